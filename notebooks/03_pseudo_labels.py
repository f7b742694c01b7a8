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
# # Pseudo-labels: what two teachers say
#
# Training gives the names of a video's events, without times and without modalities. Two
# pretrained teachers fill in what is missing: CLAP {cite}`wu2023clap` says of every second what it
# hears, CLIP {cite}`radford2021clip` what it sees, and the weak label strikes out what cannot be.
#
# :::{important}
# Every score and figure below is **simulated**, from llp-sim, unless `LINK_DATASET` names another
# data set. The simulated teachers are not CLAP and CLIP: they are built to err, by class and with
# noise. The table of captions and thresholds is VALOR's; the simulated teachers use neither, for
# llp-sim tunes thresholds of its own ({doc}`04_simulation`).
# :::

# %%
from link.notebook import chapter_dataset, source

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from link import plots
from link.captions import CaptionError, read_captions
from link.parsed_video import readable
from link.pseudo_labels import VALOR_CAPTIONS, keep_weak, label_segments

dataset = chapter_dataset(priors=True)
kind = "simulated" if dataset.simulated else "real"
test, C = dataset.test, len(dataset.classes)
print(f"{dataset.name}: {kind} data, {len(test)} test videos")

# %% [markdown]
# ## Captions and thresholds
#
# Both teachers place text in the same space as sounds and pictures. A class is described by a
# caption, and the **logit** of class $c$ in segment $t$ is the scaled cosine between the segment's
# embedding $f_t$ and the caption's $e_c$:
#
# $$
# z_{t,c} = \kappa\; \frac{f_t \cdot e_c}{\lVert f_t \rVert\, \lVert e_c \rVert} .
# $$
#
# For CLIP, the scale $\kappa$ is 100; for CLAP it is the scale that its audio side has learned,
# whose value comes with the checkpoint. A class counts as present where its logit exceeds a
# threshold $\theta_c$ of its own. VALOR {cite}`lai2023valor` chose captions and thresholds by
# hand. They belong together, misspelled captions included: a teacher's logit for "a vacuum
# cleaner" is not its logit for "a vaccum cleaner", and the threshold was chosen for the latter.

# %%
pd.DataFrame(
    {
        "class": [readable(name) for name in VALOR_CAPTIONS.classes],
        "CLAP is told": VALOR_CAPTIONS.audio,
        "CLAP threshold": VALOR_CAPTIONS.audio_thresholds.astype(int),
        "CLIP is told": VALOR_CAPTIONS.visual,
        "CLIP threshold": VALOR_CAPTIONS.visual_thresholds.astype(int),
    }
).set_index("class")

# %% [markdown]
# *VALOR's captions, and the logit above which a class counts as heard or as seen.*
#
# ## From logits to priors to targets
#
# With $y_c$ the video's weak label:
#
# $$
# \begin{aligned}
# \text{prior:} \quad & p_{t,c} = \mathbf{1}\left[z_{t,c} > \theta_c\right] , \\
# \text{target:} \quad & q_{t,c} = p_{t,c}\; y_c .
# \end{aligned}
# $$

# %%
source(label_segments)

# %%
source(keep_weak)

# %%
print("visual priors ", test.visual_prior.shape, test.visual_prior.dtype)
print("weak labels   ", test.weak.shape, test.weak.dtype)
filtered = keep_weak(test.visual_prior > 0.5, test.weak)
print("the data set's targets are its priors, filtered:", (filtered == test.visual_target).all())

# %% [markdown]
# ## Why the two are never confused
#
# Targets supervise training. They must never be what a network reads. VALOR's published
# pseudo-labels are targets, for the test videos too, and LINK's third part takes pseudo-labels as
# an input. Fed with targets at test time, it would be told the weak label, from which the test
# scores are one small step away. That is a *leak*.
#
# How much does a target give away? Take the classes that it names anywhere in a video, heard or
# seen, and compare with the weak label. The same for priors.


# %%
def named(what):
    return (getattr(test, f"audio_{what}") | getattr(test, f"visual_{what}")).any(axis=1)


def named_share(what, data=kind):
    told = named(what)
    right = (told & test.weak).sum()
    print(f"{what}s: {100 * right / told.sum():5.1f} % of the classes that they name are in the")
    print(
        f"         weak label, and they name {100 * right / test.weak.sum():.1f} % of it ({data})"
    )
    print(f"         and {100 * told.mean():.1f} % of all pairs of a video and a class ({data})")


named_share("target")
named_share("prior")

# %% [markdown]
# A prior must come from the video alone. That can be tested. If features and captions are all that
# went into it, then for each class one threshold on the logits must reproduce it exactly, in every
# video. The label would be a second input, and break this.


# %%
def visual_logits(split):
    return 100 * split.visual @ dataset.visual_text.T


def one_threshold_does(logits, labels):
    """By class: whether all that is marked has a higher logit than all that is not."""
    pairs = [(z[marked], z[~marked]) for z, marked in zip(logits.T, labels.T, strict=True)]
    return [not (len(yes) and len(no)) or yes.min() > no.max() for yes, no in pairs]


logits = visual_logits(test)
for what in ("prior", "target"):
    labels = getattr(test, f"visual_{what}") > 0.5
    exact = sum(one_threshold_does(logits.reshape(-1, C), labels.reshape(-1, C)))
    print(f"classes whose {what}s follow from a threshold: {exact} of {C} ({kind})")

# %% [markdown]
# In the package the two have different names from the store to the network, `visual_prior` and
# `visual_target`, and a test holds that shuffling the weak labels of the test split changes no
# prediction.
#
# ## How good are they?
#
# **Precision** is the share of what is claimed that is true, **recall** the share of what is true
# that is claimed. The filter can only remove.

# %%
rows = {}
for modality, word in (("audio", "heard"), ("visual", "seen")):
    truth = getattr(test, f"{modality}_truth")
    prior = getattr(test, f"{modality}_prior") > 0.5
    target = getattr(test, f"{modality}_target")
    for name, claimed in (("prior", prior), ("target", target)):
        hits = (claimed & truth).sum()
        rows[word, name] = {
            "precision (%)": 100 * hits / claimed.sum(),
            "recall (%)": 100 * hits / truth.sum(),
            "false claims": (claimed & ~truth).sum(),
            "true claims removed": (prior & ~claimed & truth).sum(),
        }
table = pd.DataFrame(rows).T.round(1)
table = table.astype({"false claims": int, "true claims removed": int})
table.rename_axis([kind, "claims"])

# %% [markdown]
# *Both teachers against the annotation of the test split, in pairs of a segment and a class.*
# Where the weak label is complete, the filter removes false claims only. A true claim is removed
# where somebody has annotated a second with a class that the video's weak label lacks.

# %% mystnb={"image": {"alt": "Dots by class: shares missed and falsely claimed, by modality."}}
panels = {}
for modality, word in (("audio", "Heard"), ("visual", "Seen")):
    truth, target = (getattr(test, f"{modality}_{what}") for what in ("truth", "target"))
    hits = (truth & target).sum(axis=(0, 1))
    missed = 100 * (1 - hits / np.maximum(truth.sum(axis=(0, 1)), 1))
    wrong = 100 * (1 - hits / np.maximum(target.sum(axis=(0, 1)), 1))
    panels[f"{word} ({kind})"] = {"missed of what is true": missed, "false of targets": wrong}
_ = plots.pseudo_label_quality(dataset.classes, panels)

# %% [markdown]
# *How targets err, class by class. A teacher fails for some classes more than for others, and the
# two not for the same ones. In llp-sim that is built in: the error of each text is drawn apart.
# Where only a square shows, a dot lies beneath it.*
#
# ## What the filter cannot remove
#
# A false claim that survives the filter names a class of the video's weak label. So it can only
# be wrong in one of four ways.

# %%
rows, totals = {}, {}
for modality, other in (("audio", "visual"), ("visual", "audio")):
    truth, elsewhere = (getattr(test, f"{m}_truth") for m in (modality, other))
    false = getattr(test, f"{modality}_target") & ~truth
    here, there = (each.any(axis=1, keepdims=True) for each in (truth, elsewhere))
    rows[modality] = {
        "at this second in the other modality only": false & elsewhere,
        "at another second in this modality": false & ~elsewhere & here,
        "at another second in the other modality": false & ~elsewhere & ~here & there,
        "nowhere in the video": false & ~here & ~there,
    }
    totals[modality] = false.sum()
shares = {m: {why: 100 * w.sum() / totals[m] for why, w in row.items()} for m, row in rows.items()}
table = pd.DataFrame(shares).round(1).add_suffix(" (%)")
table.rename_axis(f"the class occurs ({kind})")

# %% [markdown]
# *All false claims that are left in the targets, by where the class really is.* The first row is
# where sound and picture disagree at the very second: the teacher names something that is there,
# and takes it for heard when it is only seen, or the other way round. The last row is where nobody
# has marked a class by the second that the weak label has. LINK's two modalities learn from each
# other amid this noise.
#
# ## Experiment: does the other modality mislead a teacher?
#
# CLIP is shown a frame, so a bark cannot make it see a dog. But what barks leaves traces in the
# picture: a leash, a garden. If such traces mislead, then a teacher claims a class more often
# while the other modality has it. If false claims were mere noise, the second would make no
# difference.
#
# Take the classes that a video has in the *other* modality alone, so that every claim is false. Is
# a claim likelier in the seconds in which the class is in the other modality? Classes of the weak
# label that occur nowhere are left out.


# %%
def counts_by_video(modality, other):
    """False claims and chances for one, (videos, 4): with the class in the other modality now."""
    truth, elsewhere = (getattr(test, f"{m}_truth") for m in (modality, other))
    target = getattr(test, f"{modality}_target")
    here, there = (each.any(axis=1, keepdims=True) for each in (truth, elsewhere))
    only = test.weak[:, None] & there & ~here
    cases = only & elsewhere, only & ~elsewhere
    counts = np.stack(
        [each.sum(axis=(1, 2)) for case in cases for each in (target & case, case)], axis=1
    )
    return counts[counts.any(axis=1)]


def difference(counts):
    while_there, chances, otherwise, chances_otherwise = counts.sum(axis=0)
    return 100 * (while_there / chances - otherwise / chances_otherwise)


# %%
rng = np.random.default_rng(0)
for modality, other in (("audio", "visual"), ("visual", "audio")):
    counts = counts_by_video(modality, other)
    while_there, chances, otherwise, chances_otherwise = counts.sum(axis=0)
    resampled = [
        difference(counts[rng.integers(len(counts), size=len(counts))]) for _ in range(999)
    ]
    low, high = np.percentile(resampled, [2.5, 97.5])
    words = "leaves zero out" if low > 0 or high < 0 else "holds zero"
    print(f"{modality} targets, classes that the video has in the other modality only ({kind})")
    print(f"  claimed while it is there   {while_there / chances:6.1%} of {chances} chances")
    print(f"  claimed otherwise   {otherwise / chances_otherwise:14.1%} of {chances_otherwise}")
    print(f"  difference {difference(counts):+.1f} points [{low:+.1f}, {high:+.1f}] {words}")

# %% [markdown]
# Intervals are from resampling the videos that have such a class, at 95 %. An interval above zero
# says that a teacher's errors follow the other modality. One that holds zero leaves it open: then
# look at the number of chances. In llp-sim the errors were built to follow, by the trace that an
# event leaves in the modality in which it does not happen; what the experiment asks there is
# whether the trace is strong enough to show after the threshold. On real data it asks whether
# there is one.
#
# On llp-sim (simulated) both teachers show it, the audio teacher with less certainty: few classes
# are only seen.
#
# ## Soft priors
#
# A threshold throws away how sure a teacher was. Soft priors keep it:
#
# $$
# p_{t,c} = \sigma\left( \frac{z_{t,c} - \theta_c}{\tau} \right).
# $$
#
# Which temperature $\tau$? $\tau = 1$ takes a teacher's word for its own logits. The Brier score,
# the mean squared distance between the prior and the truth, tells whether that is wise: choose
# $\tau$ on the validation split, and compare with hard priors on the test split. Two constants
# belong beside them: to say "absent" always, and to give every class the share of validation
# segments in which a class is there. A prior that does not beat the better one is worth no trust
# as a probability. The thresholds can be read off the priors, since one threshold reproduces them.


# %%
def read_off_thresholds(logits, labels):
    pairs = [(z[marked], z[~marked]) for z, marked in zip(logits.T, labels.T, strict=True)]
    limits = [(no.max(initial=-100), yes.min(initial=100)) for yes, no in pairs]
    return np.mean(limits, axis=1).astype(np.float32)


def brier(split, priors, in_label=False):
    errors = np.square(priors - split.visual_truth.astype(float))
    among = split.weak[:, None] if in_label else True
    return errors.mean(where=among)


train_logits = visual_logits(dataset.train).reshape(-1, C)
thresholds = read_off_thresholds(train_logits, dataset.train.visual_prior.reshape(-1, C) > 0.5)
scores = {
    tau: brier(dataset.val, label_segments(visual_logits(dataset.val), thresholds, tau))
    for tau in (0.5, 1, 2, 4, 8, 16, 32)
}
best = min(scores, key=scores.get)
print("on val:", "  ".join(f"{tau}: {score:.3f}" for tau, score in scores.items()), f"({kind})")
print(f"chosen: {best}")

# %%
PLACES = {"all classes": False, "classes of the weak label": True}
priors = {"hard": None, "soft, 1": 1, f"soft, {best}": best}
rows = {
    name: [
        brier(test, label_segments(logits, thresholds, tau), place) for place in PLACES.values()
    ]
    for name, tau in priors.items()
}
rows["always absent"] = [brier(test, np.zeros_like(logits), place) for place in PLACES.values()]
truth, weak = dataset.val.visual_truth, dataset.val.weak[:, None]
base = [truth.mean(where=weak if place else True) for place in PLACES.values()]
rows["share on val"] = [
    brier(test, np.full_like(logits, share), place)
    for share, place in zip(base, PLACES.values(), strict=True)
]
table = pd.DataFrame(rows, index=list(PLACES)).T.round(3)
table.rename_axis(f"Brier score on test, {kind}")


# %% [markdown]
# *The lower the better; "share on val" is the constant for its own column.* Over all classes no
# prior, hard or soft, comes near the constant that says "absent" (on llp-sim, simulated): most
# classes are not there, and thresholds were tuned for the classes of the weak label. Among these a
# prior beats both constants, and a soft one beats a hard one.


# %% mystnb={"image": {"alt": "Lines: share that is true against the soft prior."}}
def share_true(priors, among):
    tenth = np.minimum((10 * priors).astype(int), 9)
    parts = [test.visual_truth[among & (tenth == index)] for index in range(10)]
    return [100 * part.mean() if len(part) else np.nan for part in parts]


soft = label_segments(logits, thresholds, best)
in_label = np.broadcast_to(test.weak[:, None], soft.shape)
panels = {
    f"Soft visual priors ({kind})": {
        "all classes": share_true(soft, np.ones_like(in_label)),
        "classes of the weak label": share_true(soft, in_label),
        "taken at its word": np.arange(5, 100, 10),
    }
}
_ = plots.curves(panels, "soft prior, tenth (3: 20 to 30 %)", "share that is true (%)")

# %% [markdown]
# *The third line is where a prior comes true as often as it says. Thresholds are tuned for the
# classes of the weak label; among all classes, most of which are not there, the same prior comes
# true far less often.*
#
# So a prior's numbers are right or wrong only with respect to what is known beside it. Soft priors
# are an option, `temperature`, and off by default: VALOR's are hard.
#
# ## Captions of your own
#
# Other classes need no other code. A YAML file names them; what it leaves out follows VALOR's
# words and commonest thresholds.

# %%
text = """\
classes:
  Doorbell:
  Kettle:
    audio: This is a sound of a whistling kettle
    audio_threshold: 3
    visual: A photo of a kettle on a stove.
"""
folder = tempfile.TemporaryDirectory()
file = Path(folder.name) / "captions.yaml"
file.write_text(text)
own = read_captions(file)
for index, name in enumerate(own.classes):
    print(f"{name}\n  {own.audio[index]!r} above {own.audio_thresholds[index]:g}")
    print(f"  {own.visual[index]!r} above {own.visual_thresholds[index]:g}")

# %% [markdown]
# A slip of the hand is told with its line:

# %%
file.write_text(text.replace("audio_threshold: 3", "audio_treshold: 3"))
try:
    read_captions(file)
except CaptionError as error:
    print(str(error).replace(str(file), file.name))
folder.cleanup()

# %% [markdown]
# A threshold of your own is best found as VALOR found its: by looking at what the teacher finds in
# some videos, and moving it until what is found is right. {doc}`../book/own_data` goes on from
# here.
#
# ## What we learned
#
# - A pseudo-label is a logit above a threshold. Thresholds belong to the words of the captions.
# - A prior is what a teacher says by itself. A target is what remains of it when the weak label
#   has struck out the rest. One threshold a class reproduces priors, and no threshold reproduces
#   targets; that is how one tells which is which.
# - On llp-sim (simulated) the filter makes the difference between priors that are mostly wrong and
#   targets that are mostly right, and it removes nothing that is true.
# - What is wrong in targets is nearly always of a class that occurs: the second is wrong, or the
#   modality. On llp-sim (simulated) most false claims of the visual teacher name something that is
#   only heard at that second.
# - Soft priors keep what a threshold throws away. Where the weak label is known they are better
#   than hard ones; where it is not, both are worse than to say "absent" always (simulated).
#
# ## Where paper and book differ
#
# - **Two kinds.** The paper feeds pseudo-labels to its third part and does not say whether they
#   were filtered. The published ones are, for test videos too. The book keeps two kinds, and shows
#   in {doc}`08_plsim` how large the leak would be.
# - **Real teachers.** On the published features, visual priors follow exactly, since the features
#   are CLIP's embeddings; audio priors nearly, from the map ({doc}`02_features`).
# - **Soft priors** and **captions of one's own** are ours.
