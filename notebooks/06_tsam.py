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
# # TSAM: attention over time and features, then interaction
#
# Before the encoder sees them, LINK weights the features of each modality, first by second and
# then by feature, so that what matters stands out. Then each modality takes from the other as
# much as a few learned numbers say.
#
# The temporal-spatial attention module, TSAM, is LINK's {cite}`wang2024link` first part. Its
# attention is that of CBAM {cite}`woo2018cbam`, with time in the place of the channels of an image
# and the feature axis in the place of its pixels.
#
# :::{important}
# Every score and figure below is **simulated**, from llp-sim, unless `LINK_DATASET` names another
# data set.
# :::

# %%
from link.notebook import chapter_dataset, chapter_network, chapter_training, source

from unittest import mock

import experiments
import numpy as np
import pandas as pd
import torch

from link import plots, tsam
from link.ablation import BASELINE, interval, variants
from link.probes import exchanged
from link.inference import batches, evaluate
from link.training import build, fit

dataset = chapter_dataset()
kind = "simulated" if dataset.simulated else "real"
configs = variants(chapter_network(dataset))
device = chapter_training(dataset).device
print(f"{dataset.name}: {kind} data, {len(dataset.train):,d} videos to train on")

# %% [markdown]
# ## Step 1: a weight for each second
#
# Let $f \in \mathbb{R}^{T \times d}$ be one modality of one video. Its mean and its maximum over
# the features are two vectors over time. One small network, the same for both, turns them into a
# weight for each segment:
#
# $$
# W(f) = \sigma\big( \mathrm{MLP}(\mathrm{avg}_d f) + \mathrm{MLP}(\mathrm{max}_d f) \big)
# \in (0, 1)^T .
# $$

# %%
source(tsam.TemporalAttention)

# %% [markdown]
# The MLP is a network *over time*: it has weights of its own for the first second, the second
# second and so on, and cannot take a video of another length. Unlike the attention of HAN it can
# tell early from late.
#
# ## Step 2: a weight for each feature
#
# Mean and maximum over time are two vectors over the features. A convolution along the feature
# axis turns them into a weight for each feature:
#
# $$
# S(f) = \sigma\big( \mathrm{conv}\left( [\mathrm{avg}_T f ;\, \mathrm{max}_T f] \right) \big)
# \in (0, 1)^d .
# $$

# %%
source(tsam.SpatialAttention)

# %% [markdown]
# In an image a convolution makes sense because neighbouring pixels belong together. Neighbouring
# features of a hidden layer do not, unless training arranges them so.
#
# ## Step 3: one after the other
#
# $$
# \hat f = S\big( W(f) \odot f \big) \odot \big( W(f) \odot f \big) .
# $$
#
# The order is CBAM's: time first, then features, and the second attention sees what the first has
# left. There is no shortcut around them. With both weights in $(0, 1)$ the features can only
# shrink.

# %%
source(tsam.TemporalSpatialAttention)

# %%
torch.manual_seed(0)
model = build(configs["TSAM"], dataset).eval()
batch = next(batches(dataset.train, size=4))
with torch.no_grad():
    audio, visual = model.projection(*batch.inputs[:3])
    over_time, over_features = model.tsam.audio.weights(audio)
    attended_audio = model.tsam.audio(audio)
    attended_visual = model.tsam.visual(visual)
print("features           ", tuple(audio.shape))
print("weights of segments", tuple(over_time.shape))
print("weights of features", tuple(over_features.shape))
shrunk = (attended_audio.norm() / audio.norm()).item()
print(f"untrained, what is left of the features' norm: {100 * shrunk:.0f} % ({kind} data)")

# %% [markdown]
# Untrained, both weights are not far from one half, and every feature is multiplied by both. So
# this attention starts as little more than a scaling, and what the next step gets is short.
#
# ## Step 4: adaptive interaction
#
# Every segment of one modality compares itself with all segments of the other and takes their
# mean, weighted by how alike they are. Four learned numbers say how much of it is added:
#
# $$
# \begin{aligned}
# f^{ac} &= \hat f^a + \alpha_2\, \mathrm{softmax}\!\left(
#   \frac{\hat f^a \hat f^{v\top}}{\sqrt d} \right) \left( \beta_2 \hat f^v \right), \\
# f^{vc} &= \hat f^v + \alpha_1\, \mathrm{softmax}\!\left(
#   \frac{\hat f^v \hat f^{a\top}}{\sqrt d} \right) \left( \beta_1 \hat f^a \right) .
# \end{aligned}
# $$
#
# The softmax runs over the segments of the other modality. There are no queries, keys and values
# to learn, only the four numbers.

# %%
source(tsam.AdaptiveInteraction)

# %%
source(tsam.cross_attention)

# %%
with torch.no_grad():
    look = tsam.cross_attention(attended_audio, attended_visual)
    new_audio, new_visual = model.tsam.interaction(attended_audio, attended_visual)
print("who looks where", tuple(look.shape), " (videos, own segments, other segments)")
print("rows sum to 1: ", torch.allclose(look.sum(dim=-1), torch.ones(())))
print("audio          ", tuple(new_audio.shape))

# %% [markdown]
# ### Only the products count
#
# $\alpha_2$ stands outside the softmax and $\beta_2$ inside the sum, so they meet as
# $\alpha_2 \beta_2$. Make one four times larger and the other four times smaller: the output
# stays, and only the speed at which each learns changes.


# %%
def output_and_gradients(interaction):
    interaction.zero_grad()
    heard, _ = interaction(attended_audio, attended_visual)
    heard.square().sum().backward()
    return heard.detach(), interaction.alpha2.grad.item(), interaction.beta2.grad.item()


interaction = tsam.AdaptiveInteraction()
before, alpha_before, beta_before = output_and_gradients(interaction)
with torch.no_grad():
    interaction.alpha2 *= 4
    interaction.beta2 /= 4
after, alpha_after, beta_after = output_and_gradients(interaction)
print("the output is the same:", torch.allclose(before, after))
print(f"gradient of alpha: {alpha_after / alpha_before:.2f} times what it was")
print(f"gradient of beta:  {beta_after / beta_before:.2f} times what it was")

# %% [markdown]
# So there are two strengths, written as four numbers. All four start at 0.5, which is our choice:
# the paper names no start. Were one of a pair zero, the other would have no gradient.
#
# ## Training
#
# Three networks are trained from each seed. They differ in TSAM only; S-LOSS and PLSIM are off.
# The seed fixes the order of the videos. It does not give the encoder the same initial weights
# with TSAM as without, for TSAM draws its own first.
#
# - **no module**: the baseline, with LINK's two uni-modal loss terms;
# - **interaction alone**: step 4, on features that no attention has touched;
# - **TSAM**: all four steps.

# %%
SEEDS = (0, 1, 2)


def train(config):
    return [fit(dataset, config, chapter_training(dataset, seed=seed)) for seed in SEEDS]


def no_attention(segments):
    return torch.nn.Identity()


runs = {BASELINE: train(configs[BASELINE]), "TSAM": train(configs["TSAM"])}
with mock.patch.object(tsam, "TemporalSpatialAttention", no_attention):
    runs["interaction alone"] = train(configs["TSAM"])
trained = runs["TSAM"][0].model

# %% [markdown]
# ## What the attention looks at
#
# Two test videos, chosen by a rule before anyone has seen the weights. Of the videos with a single
# class that is heard and seen, and neither of them all the time, take the one whose extents
# overlap least and the one whose extents overlap most, by intersection over union; among equals,
# the first.

# %%
test = dataset.test
heard, seen = (truth.any(axis=2) for truth in (test.audio_truth, test.visual_truth))
single = test.weak.sum(axis=1) == 1
candidates = np.flatnonzero(
    single & heard.any(axis=1) & seen.any(axis=1) & ~heard.all(axis=1) & ~seen.all(axis=1)
)
overlap = (heard & seen).sum(axis=1) / np.maximum(1, (heard | seen).sum(axis=1))
chosen = {}
for extreme in (
    candidates[overlap[candidates].argmin()],
    candidates[overlap[candidates].argmax()],
):
    chosen[f"{kind} video {extreme}, IoU {overlap[extreme]:.1f}"] = int(extreme)


# %%
def weights_of(model, batch):
    """For each modality, as numpy arrays: weights of segments (B, T) and of features (B, d)."""
    weights = {}
    with torch.no_grad():
        projected = model.projection(*batch.inputs[:3])
        for name, features in zip(("audio", "visual"), projected, strict=True):
            both = getattr(model.tsam, name).weights(features)
            weights[name] = [each.flatten(1).cpu().numpy() for each in both]
    return weights


whole_test = next(batches(test, len(test), device))
weights = weights_of(trained, whole_test)

# %% mystnb={"image": {"alt": "Temporal weights as steps over ten seconds, events below."}}
videos = {
    title: {
        "heard": (weights["audio"][0][index], heard[index]),
        "seen": (weights["visual"][0][index], seen[index]),
    }
    for title, index in chosen.items()
}
_ = plots.weights_over_time(videos)

# %% [markdown]
# *Steps: the learned weight of each second in two test videos. Bars below: when there is an event.
# Compare the steps with the bars, and the left panel with the right one.*

# %% mystnb={"image": {"alt": "Weights of the features in two test videos, by modality."}}
panels = {
    f"weights of {name} features": {
        title: weights[name][1][index] for title, index in chosen.items()
    }
    for name in ("audio", "visual")
}
_ = plots.curves(panels, "feature", "weight", first=0)

# %% [markdown]
# *The weight of each feature in the same two videos. Mind the scale of the vertical axes.*
#
# ### Does the attention attend?
#
# Two numbers say more than two videos. The first: take all weights of all test videos. How much of
# their variance is explained by the position alone, that is by which second, or which feature, it
# is? At 100 % the attention does not depend on the video at all; it is a fixed mask. The second:
# in videos that have seconds with and without an event, how much more weight do the former get?


# %%
def explained_by_position(weights):
    return 100 * weights.mean(axis=0).var() / weights.var()


def extra_weight(weights, events):
    mixed = events.any(axis=1) & ~events.all(axis=1)
    pairs = zip(weights[mixed], events[mixed], strict=True)
    return np.mean([video[event].mean() - video[~event].mean() for video, event in pairs])


by_seed = [weights_of(run.model, whole_test) for run in runs["TSAM"]]
rows = {}
for name in ("audio", "visual"):
    for which, kinds in enumerate(("seconds", "features")):
        values = [weights[name][which] for weights in by_seed]
        rows[f"{name}, {kinds}"] = {
            "mean": np.mean([each.mean() for each in values]).round(2),
            "standard deviation": np.mean([each.std() for each in values]).round(3),
            "by position (%)": np.mean([explained_by_position(each) for each in values]).round(),
        }
table = pd.DataFrame(rows).T.astype({"by position (%)": int})
table.index.name = f"weights of ({kind})"
table

# %%
for name, events in (("audio", heard), ("visual", seen)):
    extra = interval([extra_weight(weights[name][0], events) for weights in by_seed])
    words = "excludes zero" if extra.excludes_zero else "holds zero"
    print(f"{name}: extra weight of seconds with an event ({kind} data)")
    print(f"  {extra.mean:+.3f} [{extra.low:+.3f}, {extra.high:+.3f}]: its interval {words}")

# %% [markdown]
# The table averages over the seeds. To compare: a weight may lie anywhere between 0 and 1.
#
# ## Who looks where
#
# The softmax of step 4 for the second of the two videos, and beside it the cross-attention of the
# encoder behind it, which has learned queries and keys (mean of its heads). White is a weight of
# $1/T$: that second counts as much as any other.

# %%
with torch.no_grad():
    projected = trained.projection(*whole_test.inputs[:3])
    own, other = trained.tsam.audio(projected[0]), trained.tsam.visual(projected[1])
    in_tsam = tsam.cross_attention(own, other)
    query, key = trained.tsam(*projected)
    look_across = trained.encoder.layers[0].cross_attention
    _, by_head = look_across(query, key, key, average_attn_weights=False)
in_encoder = by_head.mean(dim=1)
segments = in_tsam.shape[2]

# %% mystnb={"image": {"alt": "Two ten by ten heat maps of attention weights."}}
title, index = list(chosen.items())[1]
one = {"TSAM": in_tsam[index].cpu().numpy(), "encoder": in_encoder[index].cpu().numpy()}
_ = plots.heat_maps(
    {f"{name}, {title}": look for name, look in one.items()},
    "second of what is seen",
    "second of what is heard",
    "weight",
    centre=1 / segments,
)

# %% [markdown]
# *Rows sum to 1. Mind the scale of the colours: it reaches as far as these weights do, and white
# is an even share. An attention that picks out seconds has weights far from it.*
#
# How sharp is it over all test videos, and would it be sharper without the scaling by $\sqrt d$,
# which the paper does not write? The network is that of the first seed, and was trained with the
# scaling. The encoder's heads are taken one by one, for a mean of heads is more even than each.

# %%
unscaled = tsam.cross_attention(own * own.shape[2] ** 0.5, other)
print(f"largest weight of a row, mean over all test videos ({kind} data)")
print(f"  if all were even           {1 / segments:.3f}")
print(f"  TSAM                       {in_tsam.amax(-1).mean():.3f}")
print(f"  TSAM without the scaling   {unscaled.amax(-1).mean():.3f}")
print(f"  encoder, each head         {by_head.amax(-1).mean():.3f}")
print("norm of an audio segment's features")
print(f"  before TSAM's attention    {projected[0].norm(dim=-1).mean():.2f}")
print(f"  after it                   {own.norm(dim=-1).mean():.2f}")

# %% [markdown]
# The softmax compares inner products. Short features have small inner products, and the softmax of
# small numbers is nearly even. If it is, a plain mean over the other modality's segments can take
# its place:


# %%
def plain_mean(own, other):
    return torch.full_like(own @ other.mT, 1 / other.shape[1])


usual = [run.scores["test"]["segment/type"] for run in runs["TSAM"]]
with mock.patch.object(tsam, "cross_attention", plain_mean):
    averaging = [evaluate(r.model, test, device)["segment/type"] for r in runs["TSAM"]]
print(f"segment/type by seed ({kind} data)")
print("  with the softmax ", "  ".join(f"{score:.1f}" for score in usual))
print("  with a plain mean", "  ".join(f"{score:.1f}" for score in averaging))

# %% [markdown]
# ## What the four numbers learn
#
# Training keeps every scalar parameter in the record of each epoch.

# %% mystnb={"image": {"alt": "Left: alpha and beta by epoch. Right: their products."}}
PAIRS = {"audio from visual": "2", "visual from audio": "1"}


def trajectory(run, name):
    start = [tsam.INITIAL_STRENGTH]
    return np.array(start + [e["scalars"][f"tsam.interaction.{name}"] for e in run.history])


first = runs["TSAM"][0]
names = ("alpha1", "beta1", "alpha2", "beta2")
products = {
    modality: trajectory(first, f"alpha{n}") * trajectory(first, f"beta{n}")
    for modality, n in PAIRS.items()
}
panels = {
    f"The four numbers ({kind} data)": {name: trajectory(first, name) for name in names},
    f"Products of two ({kind} data)": products,
}
_ = plots.curves(panels, "epoch", "strength", first=0, marked=first.best_epoch)

# %% [markdown]
# *Left: the four learned numbers from their start on; lines can hide each other. Right:
# $\alpha_2\beta_2$, how much audio takes from visual, and $\alpha_1\beta_1$, how much visual takes
# from audio. The dashed line marks the epoch that is kept.*

# %%
rows = [run.model.tsam.interaction.strengths() for run in runs["TSAM"]]
table = pd.DataFrame(rows, index=pd.Index(SEEDS, name="seed")).round(2)
table.columns = [name.replace("_", " ") for name in table.columns]
apart = max(
    np.abs(trajectory(run, f"alpha{n}") - trajectory(run, f"beta{n}")).max()
    for run in runs["TSAM"]
    for n in PAIRS.values()
)
print(f"start: {tsam.INITIAL_STRENGTH**2} for both products ({kind} data)")
print(f"alpha and beta of a pair never differ by more than 0.001: {apart < 1e-3}")
table

# %% [markdown]
# Equal starts and equal gradients: within a pair, each number's gradient is the other one times
# the same sum. What starts together stays together. Two numbers would do.
#
# ## Experiment: does TSAM help, and where?
#
# LINK is meant for videos whose modalities do not agree. Call a test video *aligned* if, in every
# second, exactly the same classes are heard and seen. Three things could come out.
#
# 1. TSAM helps where the modalities do not agree. This is what it is meant to do.
# 2. TSAM helps where they agree. Then it makes them agree, rather than cope with disagreement.
# 3. TSAM helps nowhere, by more than chance does.

# %%
aligned = (test.audio_truth == test.visual_truth).all(axis=(1, 2))
groups = {
    "all": test,
    "aligned": test.subset(aligned),
    "not aligned": test.subset(~aligned),
}
results = {
    name: {
        group: [evaluate(r.model, part, device) for r in by_seed] for group, part in groups.items()
    }
    for name, by_seed in runs.items()
}
print(f"{aligned.sum()} of {len(test)} test videos are aligned ({kind} data)")


def gains(name, reference, group, score):
    pairs = zip(results[name][group], results[reference][group], strict=True)
    return [with_it[score] - without[score] for with_it, without in pairs]


# %% mystnb={"image": {"alt": "Gains of TSAM with intervals, by group of videos."}}
SCORES = ("segment/audio", "segment/visual", "segment/audio_visual", "segment/type", "event/type")
by_group = {
    group: {
        score.replace("_", "-"): interval(gains("TSAM", BASELINE, group, score))
        for score in SCORES
    }
    for group in groups
}
_ = plots.paired_intervals(by_group, f"TSAM against no module, {kind} data")

# %% [markdown]
# *Paired by seed; intervals are Student's $t$ at 95 %. A blue interval leaves zero out, a grey one
# holds it. There are fifteen intervals, and if TSAM did nothing, one in twenty of independent ones
# would still be blue.*
#
# One score was chosen beforehand to decide: `segment/type`, by which training also selects its
# epoch.

# %%
print(f"what TSAM changes in segment/type ({kind} data)")
for group in groups:
    change = interval(gains("TSAM", BASELINE, group, "segment/type"))
    print(f"  {group:12s}{change.verdict()}")
by_seed = zip(*(gains("TSAM", BASELINE, g, "segment/type") for g in list(groups)[1:]), strict=True)
contrast = interval([agree - disagree for agree, disagree in by_seed])
print(f"aligned minus not aligned\n  {'':12s}{contrast.verdict()}")

# %% [markdown]
# ### Which of its parts?
#
# Two questions, as in the chapter on the baseline. First, what does each step add when it is
# trained with what stands before it?

# %%
steps = (("interaction alone", BASELINE), ("TSAM", "interaction alone"))
print(f"segment/type ({kind} data)")
for name, reference in steps:
    change = interval(gains(name, reference, "all", "segment/type"))
    print(f"  {name} against {reference}\n    {change.verdict()}")

# %% [markdown]
# Second, what does the trained TSAM rely on? One part at a time looks at another video
# {cite}`breiman2001forests`.


# %%
def change_by_exchange(run, part):
    with exchanged(run.model, part):
        misled = evaluate(run.model, test, device)
    return misled["segment/type"] - run.scores["test"]["segment/type"]


parts = ("temporal attention", "spatial attention", "interaction")
changes = {part: interval([change_by_exchange(r, part) for r in runs["TSAM"]]) for part in parts}
print(f"segment/type when a part looks at another video ({kind} data)")
for part, change in changes.items():
    print(f"  {part:20s}{change.verdict()}")

# %% [markdown]
# A part that may as well look at another video is not needed.
#
# ### Is it a matter of time?
#
# These networks train for a few epochs. `make experiments` trains TSAM and no module three times
# as long, until the validation score hardly moves, from more seeds, on llp-sim. What it stored is
# read here; one more seed, trained here, must agree with it.

# %%
settled = experiments.Stored("ablation")
print(settled)
print("TSAM minus none, points (simulated):")
for score in SCORES:
    both = [settled.values(score, variant=v) for v in ("TSAM", BASELINE)]
    print(f"  {score:22}{interval(both[0] - both[1]).verdict()}")
print(settled.repeat("TSAM", BASELINE, "segment/type"), "(simulated)")

# %%
print("copied events, in % of those that could be (simulated):")
for what in ("heard only, called seen", "seen only, called heard"):
    shares = {
        name: np.array([record["copied"][what] for record in settled.where(variant=name)])
        for name in ("TSAM", BASELINE)
    }
    more = interval(shares["TSAM"] - shares[BASELINE])
    means = ", ".join(f"{name} {share.mean():.0f}" for name, share in shares.items())
    print(f"  {what}: {means}, {more.verdict()}")

# %% [markdown]
# ## What we learned
#
# - TSAM is two masks, one over time and one over features, and a cross-attention without weights
#   of its own, added with a learned strength.
# - Four numbers are two: only the products count, and with equal starts the two of a pair stay
#   equal.
# - On llp-sim (simulated) the weights of seconds are nearly the same for every video and hardly
#   know the events. The weights of features differ from video to video, by about a hundredth.
#   Handing either to another video costs nothing worth speaking of.
# - On llp-sim (simulated) the softmax is nearly even, with or without the scaling, and the
#   encoder's is hardly sharper. What the interaction adds to every second is the mean of the other
#   modality over the whole video. That can say *that* something happens, and not *when*.
# - On llp-sim (simulated) the trained network leans on this mean heavily and is not the better for
#   it. Three seeds and few epochs leave much open. The longer training does not: there TSAM costs
#   points in every score of the list but that of what is heard, most in what is seen, and the
#   network copies more events from one modality to the other than without it. On
#   [other draws of the videos](10_ablations.ipynb) it costs points, too.
# - None of this is a law. Features of another length, a longer training, or real data can give the
#   softmax something to choose from. The chapter measures it for whatever data set it runs on.
#
# ## Where paper and book differ
#
# - **Scaling.** The product under the softmax is divided by $\sqrt d$, as in the Transformer
#   {cite}`vaswani2017attention`. The paper writes no scaling.
# - **Start.** $\alpha$ and $\beta$ start at 0.5. The paper names no start. They are not decayed.
# - **What interacts.** The interaction takes $\hat f$, the result of step 3, everywhere: in the
#   softmax, in what is taken and in what it is added to.
# - **Sizes.** The MLP's hidden layer has half as many units as there are segments; the convolution
#   spans seven features, as in CBAM. The paper gives neither.
# - **Two of each.** Audio and visual have attention weights of their own. Nothing is shared.
