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
# # What it learned
#
# A score says how good a network is, and nothing of how it comes by its answers. This chapter
# opens a trained LINK {cite}`wang2024link` and asks four things: where it looks, what its features
# know after each module, whether its probabilities can be believed, and what kind of mistakes it
# makes.
#
# :::{important}
# Every score and figure below is **simulated**, from llp-sim, unless `LINK_DATASET` names another
# data set. [How llp-sim is made](04_simulation.ipynb) says what that means.
# :::

# %%
from link.notebook import chapter_dataset, chapter_network, chapter_training, source

from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from link import attention, class_scores, mistakes, plots, reliability, representations
from link.ablation import BASELINE, variants
from link.events import Parsing
from link.inference import batches, predict
from link.intervals import interval
from link.parsed_video import readable
from link.resampling import percentile_interval, resampled_sums
from link.training import fit

dataset = chapter_dataset()
kind = "simulated" if dataset.simulated else "real"
test, device = dataset.test, chapter_training(dataset).device
truth = {"audio": test.audio_truth, "visual": test.visual_truth}
OTHER = {"audio": "visual", "visual": "audio"}
print(f"{dataset.name}: {kind} data, {len(test):,d} videos to test on")

# %% [markdown]
# Two networks are trained from each of three seeds: LINK, with all modules that the data allow,
# and the same without any module. The pictures of attention and features, calibration, the scores
# by class with their correlations, and the examples are of the first seed's LINK alone. The table
# of attention, the probes and the counts of mistakes are of all three seeds.

# %%
SEEDS = range(3)
configs = variants(chapter_network(dataset))
FULL = list(configs)[-1]
runs = {
    name: [fit(dataset, configs[name], chapter_training(dataset, seed=seed)) for seed in SEEDS]
    for name in (BASELINE, FULL)
}
predicted = {name: [predict(r.model, test, device) for r in each] for name, each in runs.items()}
network = runs[FULL][0].model
for name, each in runs.items():
    scores = "  ".join(f"{run.scores['test']['segment/type']:.1f}" for run in each)
    print(f"{name}: segment/type by seed {scores} ({kind})")

# %% [markdown]
# On llp-sim these networks train a third as long as those of [ablations](10_ablations.ipynb),
# where LINK ends below the network without modules. So what this page says of the difference
# between the two is said of networks after few epochs.
#
# ## Where it looks
#
# LINK has three places in which one second looks at others: the interaction of
# [TSAM](06_tsam.ipynb), and the cross-modal and the self-attention of the encoder's layers
# ([the baseline](05_baseline.ipynb)). In all three the weights are a softmax,
#
# $$
# w_{ts} = \mathrm{softmax}_s\!\left( \frac{q_t \cdot k_s}{\sqrt{d}} \right) .
# $$
#
# In TSAM $q$ and $k$ are the features themselves. In the encoder {cite}`vaswani2017attention` they
# are learned projections, several at a time, the heads.
#
# A weight is not an explanation {cite}`jain2019attention`. But if attention is to carry the dog's
# bark to the dog's picture, then the seconds in which the dog is seen must look at those in which
# it is heard more than at others. For a class $c$, with $A$ the seconds in which it happens in the
# modality that looks and $B$ those in which it happens where they look, the **extra mass** is
#
# $$
# \frac{1}{|A|} \sum_{t \in A} \sum_{s \in B} w_{ts} \;-\; \frac{|B|}{T} .
# $$
#
# It is 0 for an attention that does not know the event, and at most $1 - |B|/T$. Pairs of a video
# and a class in which there is nothing to choose, because $B$ is empty or the whole video, do not
# count.

# %%
source(attention.extra_mass)


# %%
def alike(weights):
    """How much of what the weights differ from an even share is the same in all rows, in %."""
    uneven = weights - 1 / weights.shape[3]
    return 100 * np.square(uneven.mean(axis=2)).sum() * T / np.square(uneven).sum()


def extra_masses(weights, looks, looked_at):
    """The extra mass of every pair of a video and a class, mean of the heads: (N, C)."""
    mean = weights.mean(axis=1)
    pairs = zip(truth[looks].transpose(2, 0, 1), truth[looked_at].transpose(2, 0, 1), strict=True)
    return np.stack([attention.extra_mass(mean, own, other) for own, other in pairs], axis=1)


# %%
T = test.audio.shape[1]
looks = [attention.attention_weights(run.model, test, device) for run in runs[FULL]]
rows = {}
for place in looks[0]:
    for modality, other in OTHER.items():
        looked_at = modality if "self" in place else other
        weights = [each[place][modality] for each in looks]
        extra = [100 * np.nanmean(extra_masses(w, modality, looked_at)) for w in weights]
        mean, low, high = interval(extra)
        rows[place, f"{modality} looks at {looked_at}"] = {
            "largest weight (%)": f"{np.mean([100 * w.max(axis=-1).mean() for w in weights]):.1f}",
            "alike in all rows (%)": f"{np.mean([alike(w) for w in weights]):.0f}",
            "extra mass (points)": f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]",
        }
print(f"an even share is a weight of {100 / T:.1f} %; {kind} data")
pd.DataFrame(rows).T

# %% [markdown]
# *Means over all test videos and heads; intervals are Student's $t$ over the seeds.* The first
# column says how sharp the attention is. The second says how much of what it prefers is preferred
# by every second of the video, whatever happens in it. The third says whether what it prefers has
# to do with events.
#
# Now on videos. Of the test videos with a single class that is heard and seen, and neither of them
# all the time, take the one with the **median** extra mass in the encoder's first cross-modal
# attention, the lower of two. Beside it stands the one with the **highest**, so that nobody thinks
# that the median was chosen to look dull.

# %%
occurs = {modality: grid.any(axis=2) for modality, grid in truth.items()}
single = test.weak.sum(axis=1) == 1
for grid in occurs.values():
    single = single & grid.any(axis=1) & ~grid.all(axis=1)
chosen = {}
for modality, other in OTHER.items():
    masses = extra_masses(looks[0]["layer 1, cross"][modality], modality, other)
    order = [
        video
        for video in np.nanmax(masses, axis=1, where=single[:, None], initial=-1).argsort(
            kind="stable"
        )
        if single[video]
    ]
    chosen[modality] = {"median": order[(len(order) - 1) // 2], "highest": order[-1]}
    print(f"{modality} looks: {len(order)} videos to choose from; chosen {chosen[modality]}")


# %%
def draw_attention(modality):
    other, word = OTHER[modality], {"audio": "heard", "visual": "seen"}
    panels = {}
    for place, name, which in (
        ("TSAM", "TSAM", "median"),
        ("layer 1, cross", "encoder", "median"),
        ("layer 1, cross", "encoder", "highest"),
    ):
        video = chosen[modality][which]
        weights = looks[0][place][modality][video].mean(axis=0)
        panels[f"{name}, {which}"] = weights, occurs[modality][video], occurs[other][video]
    title = f"What is {word[modality]} looks at what is {word[other]} ({kind})"
    return plots.attention_beside_events(panels, word[modality], word[other], title)


# %% mystnb={"image": {"alt": "Heat maps of attention of seen seconds to heard ones."}}
_ = draw_attention("visual")

# %% mystnb={"image": {"alt": "Heat maps of attention of heard seconds to seen ones."}}
_ = draw_attention("audio")

# %% [markdown]
# *A row is a second that looks, a column one that is looked at; white is an even share. Bars at
# the edges say when the event is. Attention that knows the event is orange where a bar at the left
# meets a bar below. Mind the scale of the colours: it differs between the two figures.*
#
# The weights that TSAM's temporal attention gives to the seconds of the median video, and of the
# one with the highest extra mass. [The chapter on TSAM](06_tsam.ipynb) looks at these weights, and
# at those of features, over all videos.

# %% mystnb={"image": {"alt": "Temporal weights of two test videos, events below."}}
whole = next(batches(test, len(test), device))
temporal = {}
projected = network.projection(*whole.inputs[:3])
for modality, features in zip(OTHER, projected, strict=True):
    weights, _ = getattr(network.tsam, modality).weights(features)
    temporal[modality] = weights.detach().cpu().numpy()[:, :, 0]
videos = {
    f"{which}, video {video} ({kind})": {
        word: (temporal[modality][video], occurs[modality][video])
        for word, modality in (("heard", "audio"), ("seen", "visual"))
    }
    for which, video in chosen["visual"].items()
}
_ = plots.weights_over_time(videos)

# %% [markdown]
# *Steps: the weight of each second. Bars: when there is an event. On llp-sim (simulated) the
# weights of the two videos are nearly the same, though their events are not.*
#
# ## What the features know
#
# The features of every second are caught on their way: as they come in, after the projection,
# after TSAM, after the encoder and after PLSIM.

# %%
source(representations.stages)

# %%
caught = [representations.stages(run.model, test, device) for run in runs[FULL]]
STAGES = list(caught[0])
for stage in STAGES:
    shapes = [caught[0][stage][modality].shape for modality in OTHER]
    print(f"{stage:11s}audio {shapes[0]}, visual {shapes[1]}")

# %% [markdown]
# First a picture: the two directions in which the features of all seconds vary most, by principal
# component analysis. Both modalities together, where they have one width.


# %%
def plane_of(groups):
    """All groups' points in the plane of all of them, and the share of variance that it holds."""
    points, share = representations.principal_plane(np.concatenate(list(groups.values())))
    borders = np.cumsum([len(group) for group in groups.values()])[:-1]
    return dict(zip(groups, np.split(points, borders), strict=True)), share


def draw_planes(groups_of):
    panels, shares = {}, {}
    for stage in STAGES:
        groups = groups_of(caught[0][stage])
        if len({group.shape[1] for group in groups.values()}) == 1:
            panels[stage], shares[stage] = plane_of(groups)
    return plots.planes(panels, shares)


step = max(1, len(test) * T // 1500)


def by_modality(features):
    return {m: features[m].reshape(-1, features[m].shape[2])[::step] for m in OTHER}


# %% mystnb={"image": {"alt": "Points of both modalities in a plane, a panel for each stage."}}
_ = draw_planes(by_modality)

# %% [markdown]
# *Every dot is a second of a test video. Do sounds and pictures share a region, or does each keep
# its own? On llp-sim (simulated) they come in apart, overlap after the projection and after TSAM,
# and lie apart again after the encoder. What overlaps in a plane need not overlap in the space.*
#
# Then the classes. The five classes that most often happen alone in a second, for each modality.


# %%
def by_class(modality):
    grid = truth[modality]
    alone = grid.sum(axis=2) == 1
    counts = grid[alone].sum(axis=0)
    frequent = np.sort(counts.argsort(kind="stable")[::-1][:5])

    def groups(features):
        return {
            readable(dataset.classes[c]): features[modality][alone & grid[:, :, c]][:300]
            for c in frequent
        }

    return groups


# %% mystnb={"image": {"alt": "Audio features of five classes, a panel for each stage."}}
_ = draw_planes(by_class("audio"))

# %% mystnb={"image": {"alt": "Visual features of five classes, a panel for each stage."}}
_ = draw_planes(by_class("visual"))

# %% [markdown]
# *Top: what is heard. Bottom: what is seen. A plane that holds a small share of the variance
# cannot show that classes are mixed, only that they are not apart in these two directions.*
#
# A picture of two dimensions is no measurement. So three questions are put to the features at each
# stage, by a **linear probe** {cite}`alain2017probes`: how often does the best linear answer hit,
# on videos that it has not been fitted to?
#
# 1. **Which class is it?** In seconds with one class in this modality.
# 2. **Which class is it over there?** In seconds with one class that happens in the *other*
#    modality only. What features know of this, they know from across or from the scene. It is what
#    tempts a network to copy.
# 3. **Is anything happening now?** In videos in which something happens in a part of the seconds.
#    It takes a sense of time.

# %%
source(representations.probe)


# %%
def questions(modality):
    """By question, the labels of all seconds (N, T) and which of them count."""
    own, other = truth[modality], truth[OTHER[modality]]
    elsewhere = other & ~own
    now = own.any(axis=2)
    partly = now.any(axis=1) & ~now.all(axis=1)
    return {
        "which class": (own.argmax(axis=2), own.sum(axis=2) == 1),
        "which class over there": (elsewhere.argmax(axis=2), elsewhere.sum(axis=2) == 1),
        "anything now": (now.astype(int), np.repeat(partly[:, None], now.shape[1], axis=1)),
    }


video_of = np.repeat(np.arange(len(test))[:, None], T, axis=1)
columns = {(m, q): asked for m in OTHER for q, asked in questions(m).items()}


# %%
def accuracy(features, labels, counts):
    return 100 * representations.probe(features[counts], labels[counts], video_of[counts]).mean()


probed = {}
for (modality, question), asked in columns.items():
    for stage in STAGES:
        # What comes in is the same for every seed.
        networks = caught[:1] if stage == "input" else caught
        hits = [accuracy(each[stage][modality], *asked) for each in networks]
        probed[modality, question, stage] = hits * (len(SEEDS) if stage == "input" else 1)

for modality in OTHER:
    table = pd.DataFrame(
        {q: {s: np.mean(probed[modality, q, s]) for s in STAGES} for q in questions(modality)}
    )
    usual = {
        q: 100 * np.bincount(labels[counts]).max() / counts.sum()
        for q, (labels, counts) in questions(modality).items()
    }
    table.loc["the commonest answer"] = usual
    print(f"{modality} features, probe right in % ({kind})")
    print(table.round(0).astype(int).to_string())

# %% [markdown]
# *Rows: stages. The last row is what one gets without looking at the features.*
#
# What does each module add, seed by seed?

# %%
print(f"points of the probe's accuracy, {kind} data:")
for modality, question in columns:
    print(f"{modality}: {question}")
    for before, after in pairwise(STAGES[1:]):
        hits = [probed[modality, question, stage] for stage in (before, after)]
        change = interval([b - a for a, b in zip(*hits, strict=True)])
        print(f"  {after:8s}{change.verdict()}")

# %% [markdown]
# Read the three questions together. A module that raises the first has made the classes clearer.
# One that raises the second has carried the other modality over, needed or not. One that lowers
# the third has blurred time. Nothing forces the three to go the same way. There are many intervals
# here, one in twenty of which may leave zero out by chance.
#
# Is it LINK, or would any encoder do so? The same probes at the encoder's output of the networks
# without modules.

# %%
plain = [representations.stages(run.model, test, device)["encoder"] for run in runs[BASELINE]]
hits_without = {
    (modality, question): [accuracy(each[modality], *asked) for each in plain]
    for (modality, question), asked in columns.items()
}
print(f"probe at the encoder's output, {kind} data:")
for (modality, question), without in hits_without.items():
    gains = np.subtract(probed[modality, question, "encoder"], without)
    print(f"{modality}: {question}, without modules {np.mean(without):.0f} %")
    print(f"  LINK minus none {interval(list(gains))} points")

# %% [markdown]
# ## Are its probabilities to be believed?
#
# Take all seconds and classes to which the network gives some 70 %. It is **calibrated** if 70 %
# of them are true. Probabilities are sorted into ten bins; with $\bar p_b$ the mean of bin $b$,
# $\bar y_b$ its share that is true and $n_b$ its size, the expected calibration error
# {cite}`guo2017calibration` is
#
# $$
# \mathrm{ECE} = \sum_b \frac{n_b}{n}\, \left| \bar p_b - \bar y_b \right| .
# $$

# %%
source(reliability.calibration_error)

# %% [markdown]
# Calibrated to what? The network has never seen the truth. It was trained on targets, the
# teachers' claims filtered by the weak label. So the diagram has two curves: how often what it
# says is true, and how often a teacher would have said the same of the test videos.

# %%
probability = predicted[FULL][0].segment_prob
panels, tables = {}, {}
for index, modality in enumerate(OTHER):
    for name, outcome in (
        ("the truth", truth[modality]),
        ("the teachers' targets", getattr(test, f"{modality}_target")),
    ):
        found = reliability.reliability(probability[:, :, index], outcome)
        tables[modality, name] = found
        panels.setdefault(f"{modality} ({kind})", {})[name] = found.curve()

# %% mystnb={"image": {"alt": "Reliability diagrams by modality, counts of bins below."}}
_ = plots.reliability_diagram(panels)

# %% [markdown]
# *Above: below the dashed line the network says more than comes true. Below: how many
# probabilities there are in each bin, on a logarithmic axis.*
#
# Nearly all probabilities are near 0, rightly, since most classes are not in a video. They would
# drown everything else, so the error is also given without the lowest bin. Intervals are from
# resampling videos, for the first seed's network. They lie rather high, as the error of a finite
# sample is never below zero.

# %%
errors, rows = {}, {}
for (modality, against), found in tables.items():
    rows[modality, against] = {}
    for name, first in (("all", 0), ("above 0.1", 1)):
        per_video = found.per_video()[:, :, first:]
        error = 100 * reliability.calibration_error(per_video.sum(axis=0))
        resampled = 100 * reliability.calibration_error(resampled_sums(per_video))
        errors[modality, against, name] = error, resampled
        _, low, high = percentile_interval(error, resampled)
        rows[modality, against][name] = f"{error:.1f} [{low:.1f}, {high:.1f}]"
pd.DataFrame(rows).T.rename_axis([f"ECE in % ({kind})", "against"])

# %%
print(f"error against the truth minus error against the targets, above 0.1 ({kind}):")
for modality in OTHER:
    (one, ones), (two, twos) = (
        errors[modality, name, "above 0.1"] for name in ("the truth", "the teachers' targets")
    )
    print(f"  {modality:7s}{percentile_interval(one - two, ones - twos).verdict()}")
print("claims, which are probabilities of one half and more:")
for modality in OTHER:
    found = tables[modality, "the truth"]
    half = found.count.shape[1] // 2
    count, said, true = (part.sum() for part in found.per_video()[:, :, half:].swapaxes(0, 1))
    print(f"  {modality:7s}said with {said / count:.0%} on average, true in {true / count:.0%}")

# %% [markdown]
# ## Class by class
#
# The F-score of each class, of the seconds of all test videos together. The published scores are
# means over videos; these are not, so that each class has one number. Intervals are from
# resampling videos, for the first seed's network.

# %%
by_class_scores = {
    modality: class_scores.class_scores(getattr(predicted[FULL][0], modality), truth[modality])
    for modality in OTHER
}
panels = {
    f"{word} ({kind})": by_class_scores[modality]
    for word, modality in (("Heard", "audio"), ("Seen", "visual"))
}

# %% mystnb={"image": {"alt": "F-scores of all classes with intervals, by modality."}}
_ = plots.class_intervals(dataset.classes, panels)

# %% [markdown]
# *A class with a long line has few test videos. Do not rank classes whose lines overlap. A class
# at 0 without a line was never found, in no resample either. That is no certainty: what another
# seed would change is not in these intervals, and can be far more. In the stored runs of
# [ablations](10_ablations.ipynb), which train longer, every seed finds some of Baby laughter
# (simulated).*
#
# ### Why are some classes hard?
#
# Two explanations are at hand. A class may be rare in training, or the teachers may fail at it,
# and then the network learns their failure. Rank correlations over the classes, for the first
# seed's network, give a hint. Both may hold, or neither. A correlation with the teacher is not
# yet a cause: what makes a class hard for the one can make it hard for the other.

# %%
training_videos = dataset.train.weak.sum(axis=0)
print(f"rank correlation with the class's F-score ({kind}):")
for modality in OTHER:
    target = getattr(test, f"{modality}_target")
    teachers = [each.mean for each in class_scores.class_scores(target, truth[modality], draws=2)]
    ours = [each.mean for each in by_class_scores[modality]]
    for name, values in (("training videos", training_videos), ("teacher's F", teachers)):
        found = spearmanr(values, ours, nan_policy="omit")
        p = "< 0.001" if found.pvalue < 0.001 else f"= {found.pvalue:.3f}"
        print(f"  {modality:7s}{name:16s}{found.statistic:+.2f} (p {p})")

# %% [markdown]
# ## Its mistakes
#
# In each modality, every pair of a video and a class that happens there or is claimed there gets
# one verdict. Pairs without either get none.
#
# - **Right**: it happens, and is claimed for exactly the seconds in which it happens.
# - **Missed**: it happens, and nothing is claimed.
# - **Invented**: it is claimed, and happens in neither modality.
# - **Copied**: it is claimed here, and happens in the other modality only.
# - **Other's extent**: it happens in both, and is claimed here for the seconds in which it happens
#   there.
# - **Wrong extent**: it happens here and is claimed, for some other wrong seconds.
#
# Copied and other's extent are what a network does that trusts the other modality too much.

# %%
source(mistakes.kinds_of_answers)


# %%
def answers(found):
    """Kinds of answers and numbers of wrong seconds, both (N, 2, C)."""
    said = {"audio": found.audio, "visual": found.visual}
    kinds = [mistakes.kinds_of_answers(said[m], truth[m], truth[OTHER[m]]) for m in OTHER]
    wrong = [mistakes.wrong_segments(said[m], truth[m]) for m in OTHER]
    return np.stack(kinds, axis=1), np.stack(wrong, axis=1)


answered = {name: [answers(found) for found in each] for name, each in predicted.items()}
rows = {}
for index, modality in enumerate(OTHER):
    for number, name in enumerate(mistakes.KINDS):
        pairs = [(kinds[:, index] == number, wrong[:, index]) for kinds, wrong in answered[FULL]]
        rows[modality, name] = {
            "answers": np.mean([which.sum() for which, _ in pairs]),
            "wrong seconds": np.mean([wrong[which].sum() for which, wrong in pairs]),
        }
table = pd.DataFrame(rows).T.round(0).astype(int)
table.rename_axis([f"LINK, {kind}", "mean of seeds"])

# %% [markdown]
# *Answers: pairs of a test video and a class that happens in the modality or is claimed.*
#
# A claim with the other modality's extent need not be copied. A network that says "all the time"
# out of habit hits it whenever the other modality has the event all the time.

# %%
for index, modality in enumerate(OTHER):
    follows = [
        kinds[:, index] == mistakes.KINDS.index("other's extent") for kinds, _ in answered[FULL]
    ]
    always = [getattr(found, modality).all(axis=1) for found in predicted[FULL]]
    count = sum(f.sum() for f in follows)
    habit = sum((f & a).sum() for f, a in zip(follows, always, strict=True))
    print(f"{modality}: {habit / count:.0%} of these claims last all video long ({kind})")

# %% [markdown]
# ### Which mistakes does LINK mend?
#
# The same counts for the network without modules, in percent of all answers, seed by seed. LINK is
# made for videos whose modalities differ. If it does what it is made for, copied events and the
# other's extents become fewer.


# %%
def shares(name, index):
    """For each seed, the share of each kind among one modality's answers, in percent."""
    counted = [
        np.bincount(kinds[:, index][kinds[:, index] >= 0], minlength=len(mistakes.KINDS))
        for kinds, _ in answered[name]
    ]
    return np.array([100 * counts / counts.sum() for counts in counted])


changes = {
    modality: {
        name: interval(list(column))
        for name, column in zip(
            mistakes.KINDS, (shares(FULL, index) - shares(BASELINE, index)).T, strict=True
        )
    }
    for index, modality in enumerate(OTHER)
}
for modality, by_kind in changes.items():
    print(f"{modality}: LINK minus no module, of 100 answers ({kind})")
    for name, change in by_kind.items():
        print(f"  {name:15s}{change.verdict()}")

# %% mystnb={"image": {"alt": "Intervals of changes in six kinds of answers, by modality."}}
_ = plots.paired_intervals(changes, f"Kinds of answers, LINK minus no module ({kind} data)")

# %% [markdown]
# *Points of the share of answers; a grey bar holds zero. Of the twelve bars in all, one may leave
# zero out by chance.*
#
# ### One of each
#
# For each kind, of the test videos in which the first seed's LINK makes mistakes of this kind and
# of no other, the one with the median number of wrong seconds, the lower of two; among equals, the
# first.

# %%
source(mistakes.median_example)


# %%
def draw_example(name):
    video = mistakes.median_example(*answered[FULL][0], name)
    if video is None:
        print(f"{name}: no test video has this mistake alone")
        return
    found = predicted[FULL][0]
    plots.compared(
        Parsing(truth["audio"][video], truth["visual"][video], dataset.classes),
        Parsing(found.audio[video], found.visual[video], dataset.classes),
        f"{name[0].upper()}{name[1:]}: test video {video} ({kind})",
    )


# %% mystnb={"image": {"alt": "A test video with a missed event, annotated and predicted."}}
draw_example("missed")

# %% mystnb={"image": {"alt": "A test video with an invented event, annotated and predicted."}}
draw_example("invented")

# %% mystnb={"image": {"alt": "A test video with a copied event, annotated and predicted."}}
draw_example("copied")

# %% mystnb={"image": {"alt": "A test video whose event has the other modality's extent."}}
draw_example("other's extent")

# %% mystnb={"image": {"alt": "A test video with a wrong extent, annotated and predicted."}}
draw_example("wrong extent")

# %% [markdown]
# *The typical mistake of each kind, left what is annotated and right what is predicted.*
#
# ## What we learned
#
# - **Attention hardly chooses.** On llp-sim (simulated) the weights are near an even share, but
#   for the encoder's cross-modal attention of what is seen to what is heard, whose largest is half
#   as much again. What is preferred in the encoder is mostly preferred by every second of the
#   video alike. TSAM's softmax knows the event by a few hundredths of a point, the encoder's
#   self-attention by about a point in what is heard. Its cross-modal attention is not shown to
#   know it: three seeds do not agree.
# - **What is carried across is carried without choosing.** On llp-sim (simulated) audio features
#   know next to nothing of what is only seen, until TSAM. Behind it a linear probe names the class
#   in more than half of the seconds, though TSAM's attention is even: the mean over the other
#   modality is enough to say *what*. It is not enough to say *when*. Nor does it take TSAM: at
#   the encoder's output, audio features of the networks without modules know about as much of it.
# - **Time can get lost.** On llp-sim (simulated) and after few epochs, the encoder makes it easier
#   to tell from the sound whether anything happens now, and harder to tell it from the picture,
#   and harder with LINK's modules than without. Which of them does it this chapter does not tell.
# - **It is too sure of what it claims.** On llp-sim (simulated), in one seed's network, less of
#   its claims comes true than it says, by the printed shares more so for pictures than for sounds.
#   What it gives less than one half lies nearer to the line, mostly below it, too. The errors
#   against the truth and against the teachers' targets are not told apart.
# - **Sounds are hard where training videos are few**, on llp-sim (simulated), in one seed's
#   network. For pictures, and for the teacher's weakness in either, the correlations point the
#   same way; with four looked at, which asks each for a $p$ below 0.0125, these are not told from
#   none. Over so few classes only a strong relation would be. Most intervals overlap, so there is
#   no ranking of classes to be had.
# - **Extent is most of the mistakes in sounds, presence in pictures.** On llp-sim (simulated)
#   wrong extents are the most frequent single mistake in sounds, and nearly so in pictures. With
#   the other's extents they are most of the mistakes in sounds and in sum; in pictures, missed,
#   invented and copied events together are more. A missed or copied event costs more seconds than
#   a wrong extent of either kind.
# - **LINK mends one kind and makes more of others.** On llp-sim (simulated) and after few epochs
#   it misses less than the same network without modules, of what is heard above all, and is right
#   more often there. It invents more sounds, and gives more of them the other's extent. That it
#   copies less cannot be shown; in pictures it rather copies more. What looks like the other
#   modality's extent is nearly always the whole video, so it may well be a habit and not a copy.
# - An example shows what a number means and proves nothing. Choose it by a rule, and say the rule.
#
# ## Where paper and book differ
#
# - The paper {cite}`wang2024link`, as far as the summary that this book was built from goes, shows
#   scores, and neither attention nor features, calibration or mistakes. A public review of the
#   paper missed the former two. What is here is a look into our network; we know of no public
#   weights of theirs.
# - The network of the book is small and has one layer. That its attention is even says nothing
#   about a network of full size on real features. The chapter runs on those as it is.
