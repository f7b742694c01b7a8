# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The baseline: HAN and its pooling
#
# A network reads ten seconds of sound and picture, lets every second look at every other second
# of both, and says for each second what is heard and what is seen. Nobody tells it when or in
# which modality an event happens. A pooling that is learned along with it turns the segments'
# answers into one for the video, which the weak label can judge; and two teachers, which err,
# suggest labels for the segments.
#
# The network is the hybrid attention network, HAN {cite}`tian2020han`, in the form that VALOR
# {cite}`lai2023valor` gave it. LINK {cite}`wang2024link` adds its parts to this one, so
# everything later in the book is compared with what happens here.
#
# :::{important}
# Every score and figure below is **simulated**, from llp-sim, unless `LINK_DATASET` names another
# data set.
# :::

# %%
from link.notebook import chapter_dataset, chapter_network, chapter_training, source

from dataclasses import replace

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from link import han, plots
from link.ablation import VALOR, interval, variants
from link.events import Parsing
from link.features import audio_map_matrix
from link.metrics import parsing_scores
from link.probes import copied_events, exchanged
from link.inference import batches, evaluate, predict
from link.training import build, fit

dataset = chapter_dataset()
kind = "simulated" if dataset.simulated else "real"
network = variants(chapter_network(dataset))[VALOR]
print(f"{dataset.name} ({kind}):")
for name, split in dataset.splits().items():
    print(f"{len(split):6,d} videos in {name}")

# %% [markdown]
# `variants` gives the network of VALOR++ at the size that the chapter uses: every part of LINK is
# off. On the simulated data set the network is small, so that it trains in seconds; on real
# features it has VALOR++'s own size.

# %%
valor_plus_plus = han.HAN()
for name, model in (("VALOR++", valor_plus_plus), ("this chapter", build(network, dataset))):
    layers = len(model.encoder.layers)
    width = model.pooling.event.in_features
    size = sum(p.numel() for p in model.parameters())
    print(f"{name:13s} d = {width:3d}, {layers} layer(s), {size / 1e6:.2f} million parameters")

# %% [markdown]
# ## Step 1: projection
#
# The encoders of sound and picture were trained apart, and their features have different widths.
# Linear maps bring them to one width $d$. What is seen has two sources, a picture feature $x^v_t$
# and a motion feature $x^m_t$; they are projected, joined and mixed:
#
# $$
# \begin{aligned}
# f^a_t &= W_a x^a_t + b_a, \\
# f^v_t &= W_f \left[ W_v x^v_t + b_v \,;\; W_m x^m_t + b_m \right] + b_f .
# \end{aligned}
# $$

# %%
source(han.Projection)

# %%
torch.manual_seed(0)
model = build(network, dataset).eval()
batch = next(batches(dataset.train, size=4))
with torch.no_grad():
    audio, visual = model.projection(*batch.inputs[:3])
print("(videos, segments, width)")
for name, tensor in zip(("audio", "visual", "motion"), batch.inputs[:3], strict=True):
    if tensor is not None:
        print(f"  {name:8s}in   {tuple(tensor.shape)}")
print(f"  audio   out  {tuple(audio.shape)}")
print(f"  visual  out  {tuple(visual.shape)}")

# %% [markdown]
# ## Step 2: a layer
#
# Attention {cite}`vaswani2017attention` answers a query $q$ with a mean of values, weighted by how
# well their keys fit the query. Of several heads, each does this in its own part of the features,
# of width $d_h$:
#
# $$
# \mathrm{att}(q, k, v) = \mathrm{softmax}\!\left( \frac{q\, k^\top}{\sqrt{d_h}} \right) v .
# $$
#
# A layer of HAN lets the segments $f$ of one modality attend to each other and, side by side, to
# the segments $g$ of the other modality. The results are added, and a feed-forward network
# follows. Dropout is left out here:
#
# $$
# \begin{aligned}
# h &= \mathrm{LN}_1\big( f + \mathrm{att}_{\text{self}}(f, f, f)
#      + \mathrm{att}_{\text{cross}}(f, g, g) \big), \\
# f' &= \mathrm{LN}_2\big( h + W_2\, \mathrm{ReLU}(W_1 h) \big) .
# \end{aligned}
# $$
#
# $W_1$ and $W_2$ stand for linear maps with their biases. Every segment can look at every other
# one. Nothing tells them apart in time: there is no position in these equations.

# %%
source(han.HANLayer)

# %%
layer = model.encoder.layers[0]
order = torch.randperm(audio.shape[1])
with torch.no_grad():
    updated = layer(audio, visual)
    shuffled = layer(audio[:, order], visual)
same = torch.allclose(shuffled, updated[:, order], atol=1e-5)
print("shape:", tuple(updated.shape))
print("shuffled segments come out as before, only shuffled:", same)

# %% [markdown]
# ## Step 3: the encoder
#
# The same layer serves both modalities, one after the other. Audio goes first, so the visual
# update reads audio features that have already seen the picture:
#
# $$
# f^{a} \leftarrow \mathrm{layer}_l\left(f^{a}, f^{v}\right), \qquad
# f^{v} \leftarrow \mathrm{layer}_l\left(f^{v}, f^{a}\right), \qquad l = 1, \dots, L .
# $$

# %%
source(han.HANEncoder)

# %%
with torch.no_grad():
    heard, seen = model.encoder(audio, visual)
    seen_first, heard_second = model.encoder(visual, audio)
difference = max((heard - heard_second).abs().max(), (seen - seen_first).abs().max()).item()
print("does it matter which modality goes first?", "yes" if difference > 1e-3 else "no")

# %% [markdown]
# ## Step 4: attentive pooling
#
# One linear classifier with a sigmoid answers for every segment $t$, modality $m$ and class $c$.
# Two softmaxes of further linear maps say how much each answer counts, one over time and one over
# the modalities. Both are taken for every class apart:
#
# $$
# \begin{aligned}
# p_{t,m,c} &= \sigma\left(w_c^\top f^m_t + b_c\right), \\
# \alpha_{t,m,c} &= \operatorname*{softmax}_{t}\left(u_c^\top f^m_t\right), \\
# \omega_{t,m,c} &= \operatorname*{softmax}_{m}\left(z_c^\top f^m_t\right) .
# \end{aligned}
# $$
#
# From these come the probabilities of the whole video and of each modality:
#
# $$
# p_c = \sum_{t,m} \alpha_{t,m,c}\; \omega_{t,m,c}\; p_{t,m,c}, \qquad
# p^m_c = \sum_{t} \alpha_{t,m,c}\; p_{t,m,c} .
# $$
#
# In the code $u_c$ and $z_c$ come with a bias. It changes nothing, since it is the same for all
# that a softmax compares.

# %%
source(han.AttentivePooling)

# %%
with torch.no_grad():
    output = model(*batch.inputs)
for name, tensor in output._asdict().items():
    print(f"{name:15s}{tuple(tensor.shape)}")

# %% [markdown]
# A segment is said to hold an event if its own probability and that of the whole video both reach
# 0.5. This is `link.model.decide`.
#
# ## VALOR's network and its weights
#
# VALOR reads CLAP features {cite}`wu2023clap` as a map of $2 \times 32$ cells over frequency and
# time. Its code stretches the 32 cells to 1,024 by bicubic interpolation, projects each, averages
# over frequency, and pools to ten segments. All but the projection is a fixed weighting of cells.
# It can therefore be done before the projection, and once for all, by one matrix
# $M \in \mathbb{R}^{10 \times 64}$:
#
# $$
# \mathrm{pool}_{10}\,\mathrm{mean}_{\text{freq}}
# \left( \mathrm{up}(x)\, W^\top + b \right) = (M x)\, W^\top + b .
# $$
#
# The bias $b$ passes through because every row of $M$ sums to 1.

# %%
matrix = audio_map_matrix()
print("shape:", matrix.shape)
print("every row sums to 1:", np.allclose(matrix.sum(axis=1), 1))
print("most negative entry:", round(matrix.min(), 3))

# %% mystnb={"image": {"alt": "Two equal heat maps, each a diagonal band of ten steps."}}
halves = {"first frequency cell": matrix[:, :32], "second frequency cell": matrix[:, 32:]}
_ = plots.heat_maps(halves, "cell in time", "segment (s)", "weight")

# %% [markdown]
# *Each segment averages the cells of its own second, equally in both frequency cells. Bicubic
# interpolation gives some cells just outside of it a faint negative weight.*
#
# To check the matrix, the next cell takes VALOR's steps one after the other, on random cells. It
# needs no file.

# %%
torch.manual_seed(0)
cells = torch.randn(4, 64, 768)
linear = torch.nn.Linear(768, 256)
with torch.no_grad():
    image = cells.mT.unflatten(2, (2, 32))
    stretched = F.interpolate(image, size=(2, 1024), mode="bicubic")
    projected = linear(stretched.permute(0, 2, 3, 1))
    step_by_step = F.adaptive_avg_pool1d(projected.mean(dim=1).mT, 10).mT
    at_once = linear(torch.from_numpy(matrix).float() @ cells)
difference = (step_by_step - at_once).abs().max().item()
print("rows to project for each video:", projected[0, ..., 0].numel(), "and", at_once.shape[1])
print("they agree to 1e-5:", difference < 1e-5)

# %% [markdown]
# `ValorHAN` applies the matrix when it is handed 64 rows. `load_valor` makes one from a published
# checkpoint and gives each weight our name:
#
# ```python
# import torch
# from link.han import load_valor
#
# weights = torch.load("checkpoint_best.pt", weights_only=True, map_location="cpu")
# network = load_valor(weights)
# output = network(clap_map, clip_features, motion_features)   # (B, 64, 768), (B, 10, 768), ...
# ```

# %%
theirs = {
    "module.hat_encoder.layers.0.cm_attn.in_proj_weight": torch.zeros(1),
    "module.fc_frame_att.weight": torch.zeros(1),
}
for old, new in zip(theirs, han.rename_valor(theirs), strict=True):
    print(f"{old}\n    -> {new}")

# %%
torch.manual_seed(0)
valor = han.ValorHAN().eval()
clap, clip, motion = torch.randn(2, 64, 768), torch.randn(2, 10, 768), torch.randn(2, 10, 512)
with torch.no_grad():
    raw = valor(clap, clip, motion)
    stored = valor(valor.audio_map @ clap, clip, motion)
same = torch.allclose(raw.segment_prob, stored.segment_prob, atol=1e-5)
print("raw map and stored segments give the same answer:", same)

# %% [markdown]
# The package's tests compare `load_valor` with what VALOR's own code gave for the same weights and
# inputs. The largest difference they allow is $10^{-5}$.
#
# ## Training
#
# VALOR++'s loss has two terms. The video's probability is compared with the weak label. Each
# segment's logit is compared with a pseudo-label, which a teacher, CLIP or CLAP, gave from one
# modality alone. The chapter on the loss takes it apart.

# %%
SEEDS = (0, 1, 2)
with_crossing = [fit(dataset, network, chapter_training(dataset, seed=seed)) for seed in SEEDS]
trained = with_crossing[0]
print("best epoch:", trained.best_epoch, "of", len(trained.history), f"({kind} data)")

# %% mystnb={"image": {"alt": "Left: losses fall. Right: validation scores rise and level."}}
terms = trained.history[0]["loss"]
losses = {name: [record["loss"][name] for record in trained.history] for name in terms}
scores = {
    name: [record["val"][f"segment/{name.replace('-', '_')}"] for record in trained.history]
    for name in ("audio", "visual", "audio-visual", "type")
}
panels = {f"Loss ({kind} data)": losses, f"Validation, F in % ({kind} data)": scores}
_ = plots.curves(panels, "epoch", marked=trained.best_epoch)

# %% [markdown]
# *Left: the terms of the training loss and their sum. Right: segment-level F on the validation
# split. The dashed line marks the epoch with the best `type`, the mean of the three other curves;
# its weights are kept.*
#
# ## What the scores are worth
#
# A score says little alone. Three predictors that learn nothing stand beside it. Two of them read
# the labels of the test videos, so nobody could use them; they show what the weak label is worth.
#
# - **weak labels**: every class of the video's weak label is heard and seen all the time. Reads
#   the test labels.
# - **filtered teachers**: the pseudo-labels that serve as targets in training, made for the test
#   videos: the teachers' answers, kept only for classes in the weak label. Reads the test labels.
# - **teachers**: the same without the filter. Reads no label. Left out where a data set lacks it.

# %%
test = dataset.test
truth = test.audio_truth, test.visual_truth
everywhere = np.repeat(test.weak[:, None], truth[0].shape[1], axis=1)
predictors = {
    "trained HAN": trained.scores["test"],
    "weak labels": parsing_scores(everywhere, everywhere, *truth),
    "filtered teachers": parsing_scores(test.audio_target, test.visual_target, *truth),
}
if test.audio_prior is not None:
    priors = (prior > 0.5 for prior in (test.audio_prior, test.visual_prior))
    predictors["teachers"] = parsing_scores(*priors, *truth)
table = pd.DataFrame(predictors).round(1)
table.index.name = f"F in %, {kind}"
table

# %% [markdown]
# Read the columns against each other. Whoever is told what happens in a video, and says that it
# happens all the time in both modalities, does well where most events are long and heard. The
# trained network is not told. On llp-sim the teachers alone, with no weak label to silence them,
# name far too many classes: it is the weak label that makes their answers worth learning from.
#
# One test video, and what the network makes of it. It is the first that has two classes in its
# weak label, both of which the network names, and a second in which nothing happens.

# %%
device = chapter_training(dataset).device
predicted = predict(trained.model, test, device)
named = (predicted.audio | predicted.visual).any(axis=1)
partly = ~(truth[0] | truth[1]).any(axis=2).all(axis=1)
fitting = (named == test.weak).all(axis=1) & (test.weak.sum(axis=1) == 2) & partly
index = int(fitting.argmax())
answers = {
    "annotated": Parsing(truth[0][index], truth[1][index], dataset.classes),
    "predicted": Parsing(predicted.audio[index], predicted.visual[index], dataset.classes),
}

# %% mystnb={"image": {"alt": "Bars show when the events of a test video are heard and seen."}}
_ = plots.parsing(answers["annotated"], f"Annotated: test video {index} ({kind})")

# %% mystnb={"image": {"alt": "Bars show what the network predicts for the same video."}}
_ = plots.parsing(answers["predicted"], f"Predicted: test video {index} ({kind})")

# %% [markdown]
# *One video is no evidence. It shows what errors look like: a sound that is missed altogether, a
# second that is claimed and in which nothing happens, a start or an end that is off.*
#
# ## Experiment: is cross-modal attention of any use?
#
# The first chapter found that what is heard is often not seen. Then looking at the other modality
# can inform and can mislead. Three things could come out.
#
# 1. Both modalities gain from looking at each other: what informs outweighs what misleads.
# 2. Neither gains: self-attention is all that is needed.
# 3. One gains at the other's cost.
#
# There are two ways to ask, and they are not the same question.
#
# **Does a network without it do worse?** Train one in which the cross-attention looks at the own
# modality. It has the same number of weights, starts from the same ones, and sees the videos in
# the same order. Only the view of the other modality is gone.

# %%
own_modality_only = replace(network, cross_modal=False)
without_crossing = [
    fit(dataset, own_modality_only, chapter_training(dataset, seed=seed)) for seed in SEEDS
]

# %% [markdown]
# **Does the trained network rely on it?** Leave its weights alone and let the cross-attention look
# at the other modality *of another video*. The idea is that of permutation importance
# {cite}`breiman2001forests`.

# %%
source(exchanged)

# %%
misled = []
for fitted in with_crossing:
    with exchanged(fitted.model, "cross-attention"):
        misled.append(evaluate(fitted.model, test, device))

# %% [markdown]
# Both are compared by seed, and the interval is Student's $t$ over the seeds at 95 %. With so few
# seeds it is wide. It says where the mean of many seeds would lie on these videos, and nothing of
# other videos.

# %%
SCORES = ("segment/audio", "segment/visual", "segment/audio_visual", "segment/type", "event/type")
plain = [fitted.scores["test"] for fitted in with_crossing]
own_only = [fitted.scores["test"] for fitted in without_crossing]


def loss_of(variant):
    """By score: the change, in points, when the variant takes the place of the plain HAN."""
    return {
        score.replace("_", "-"): interval(
            [a[score] - b[score] for a, b in zip(variant, plain, strict=True)]
        )
        for score in SCORES
    }


changes = {"trained without": loss_of(own_only), "other video's": loss_of(misled)}
for question, by_score in changes.items():
    print(f"{question} ({kind} data)")
    for score, change in by_score.items():
        print(f"  {score:21s}{change.verdict()}")

# %% mystnb={"image": {"alt": "Differences to the plain HAN with intervals, by score."}}
_ = plots.paired_intervals(changes, f"Change against HAN, {kind} data")

# %% [markdown]
# *In the left panel: left of zero, cross-modal attention was worth something; right of zero, the
# network is better off without it. The panels have different scales.*
#
# The right panel can only say that a network uses what it was trained to use: that is reliance.
# The left panel says whether this was worth learning. A part can be relied on and be of no use.
#
# What misleads can be counted. Take everything that is heard and not seen in a segment: how often
# does the network claim that it is seen? And the reverse?


# %%
def mean_copied(runs):
    shares = [copied_events(*predict(fitted.model, test, device)[:2], *truth) for fitted in runs]
    return pd.DataFrame(shares).mean().round(1)


copied = {"HAN": mean_copied(with_crossing), "own modality only": mean_copied(without_crossing)}
table = pd.DataFrame(copied)
table.index.name = f"% of such pairs, {kind}"
table

# %% [markdown]
# ## What we learned
#
# - HAN is self-attention and cross-modal attention side by side, in layers whose weights both
#   modalities share, and a pooling that learns which second and which modality to believe.
# - VALOR's audio pipeline is one small matrix and a projection. Its published weights run here as
#   they are.
# - On llp-sim (simulated) it is the third outcome: hearing gains from looking at the picture, and
#   seeing loses more than that from listening. The mean score `type` hides most of it. After a
#   longer training, with more seeds and on other draws of the videos, in
#   [ablations](10_ablations.ipynb), the gain is not shown any more, and the cost is.
# - On llp-sim (simulated), looking across is also copying: with cross-modal attention the network
#   claims events in a modality in which they do not happen far more often than without.
#   This is the problem that LINK sets out to solve.
# - A large loss under exchanged inputs is no proof of use. Train without the part, and compare.
#
# ## Where paper and book differ
#
# - HAN's published code updates both modalities from the same features. VALOR's lets the visual
#   update read the audio update before it. We follow VALOR.
# - VALOR starts all layers of the encoder as copies of one; here each is drawn by itself. With
#   loaded weights, or with one layer, there is no difference.
# - VALOR averages eight frames a segment after their projection, we may do so before: both are
#   linear, so the result is the same.
# - On llp-sim the network is far smaller than VALOR++, and its scores say nothing about LLP. The
#   published ones are quoted on a page of their own.
