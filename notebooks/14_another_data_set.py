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
# # A second data set: AVE
#
# LLP is one data set, and its events are often heard without being seen. AVE {cite}`tian2018ave`
# is the other extreme: what is annotated is heard *and* seen at the same time, one event a video.
# This chapter reads its annotations into the same structures, says what changes in the method, and
# asks which of LINK's modules help where sound and picture agree.
#
# :::{important}
# Every score and figure below is **simulated**, from ave-sim, whatever data set the other chapters
# run on. Counts of AVE's annotations are real, and said to be.
# :::

# %%
from link.notebook import chapter_network, chapter_training, source

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from link import plots
from link.ablation import BASELINE, Record, differences, score_intervals, variants
from link.ave import AVEError, read_ave, write_label_files
from link.ave_sim import load_table, simulate_ave
from link.events import SEGMENTS
from link.inference import batches, predict
from link.intervals import interval
from link.losses import label_overlap
from link.one_class import categories, one_class, segment_accuracy
from link.simulation import SimulationConfig
from link.stack import fit_stack
from link.tsam import cross_attention

_ = torch.set_num_threads(1)

# %% [markdown]
# ## The format
#
# Four text files, a line a clip of ten seconds: the category, the recording's identifier, a
# quality that is "good" throughout, and the seconds at which the event starts and ends:
#
# ```text
# Category&VideoID&Quality&StartTime&EndTime
# ```
#
# A line marks the segments from start to end, the end not included. Three files are the splits,
# one has all lines. Here they are with six recordings that do not exist; one of them is there
# twice, as some in AVE are.

# %%
folder = Path(tempfile.mkdtemp())
FILES = {
    "trainSet.txt": "Bark&made-up-001&good&0&10\nBanjo&made-up-002&good&2&7\n"
    "Mandolin&made-up-002&good&2&7\nClock&made-up-003&good&0&0\n",
    "valSet.txt": "Frying (food)&made-up-004&good&0&6\n",
    "testSet.txt": "Goat&made-up-005&good&3&5\nTrain horn&made-up-006&good&0&10\n",
}
for file, lines in FILES.items():
    _ = (folder / file).write_text(lines)
ave = read_ave(folder)
print("train:", ave.train.weak.shape, ave.train.audio.shape)
print("test: ", ave.test.weak.shape, ave.test.audio.shape)
print("heard is seen:", np.array_equal(ave.test.audio, ave.test.visual))
print("seconds of the goat:", np.flatnonzero(ave.test.audio[0].any(axis=1)).tolist())

# %% [markdown]
# The result has the form of `read_llp`'s: for each split `names`, `weak` (videos, classes), and
# `audio` and `visual` (videos, segments, classes), which are the same array. Unlike LLP's, the
# training split is annotated too.
#
# Odd lines are read all the same, because the published scores are taken over them, and reported:

# %%
for remark in ave.remarks:
    print(f"{remark.file}, line {remark.line}: {', '.join(remark.reasons)}")

# %% [markdown]
# What cannot be read is refused, with the place and the remedy. Break a line, and see:

# %%
_ = (folder / "valSet.txt").write_text("Frying&made-up-004&good&0&6\n")
try:
    read_ave(folder)
except AVEError as error:
    print(str(error).removeprefix(f"{folder}/"))

# %% [markdown]
# ## What is in AVE
#
# The package has counts of the real annotations, as it has of LLP's: taken over the annotation
# file and the order of the splits that the authors publish with their code. The label arrays
# published there mark exactly the segments that this reading marks.

# %%
table = load_table()
extents, clips = table["extents"], sum(table["splits"].values())
events = sum(extent.count("1") * count for extent, count in extents.items())
smallest, largest = (f(table["classes"], key=table["classes"].get) for f in (min, max))
print(f"clips: {clips:,d}, {table['splits']}")
print(f"{len(table['classes'])} classes, from {smallest} to {largest}:", end=" ")
print(f"{table['classes'][smallest]} to {table['classes'][largest]} clips")
print(f"the event lasts all ten seconds: {100 * extents['1' * SEGMENTS] / clips:.0f} % of clips")
print(f"background: {100 - 100 * events / (SEGMENTS * clips):.0f} % of segments")
for reason, count in table["remarks"].items():
    print(f"lines of which a reader is told “{reason}”: {count}")

# %% [markdown]
# Two of these matter for whoever reports scores on AVE. A recording that is listed with two
# categories in one split cannot have both of them right, if a model gives one class a video. And
# a few recordings are in two splits, some of them in train and test.
#
# ## The path from AVE's videos to a network
#
# AVE comes as videos, so its features are those that you extract. The annotations become the two
# files that [your own data](../book/own_data.md) take; from there on everything is as described
# there:
#
# ```bash
# python -m link.ave AVE_Dataset --out ave
# link-avvp extract AVE_Dataset/AVE --out features
# link-avvp label features --labels ave/labels.csv --events ave/events.csv --out store
# link-avvp train --data store --out runs/ave
# ```
#
# There a video has one row: two categories are put together, and a recording in two splits stays
# where it is evaluated.

# %%
_ = (folder / "valSet.txt").write_text(FILES["valSet.txt"])
labels, marked = write_label_files(read_ave(folder), folder)
print(labels.read_text())
print(marked.read_text())

# %% [markdown]
# ## The score
#
# LLP's F-scores ask of each class whether it is heard and whether it is seen. AVE's score asks
# less: the one class of each segment, or background, and the percentage of segments $t$ of videos
# $n$ for which that is right:
#
# $$ \mathrm{accuracy} = \frac{100}{N T} \sum_{n=1}^{N} \sum_{t=1}^{T}
#    \mathbf{1}\big[ \hat c_{n,t} = c_{n,t} \big] , $$
#
# where the category $c_{n,t}$ is one of the $C$ classes or background.

# %%
source(segment_accuracy)

# %% [markdown]
# LINK has no background class; it gives probabilities of classes, for the video and for each
# segment and modality. So it decides: the likeliest class of the video, in the segments where its
# probability $p_{n,t,\hat c_n}$ reaches one half.

# %%
source(one_class)

# %% [markdown]
# ## A stand-in
#
# **ave-sim** is llp-sim's generator with AVE's counts in the place of LLP's: class frequencies
# and extents are AVE's, one class a video, heard and seen over the same seconds. Its features are
# invented, with the difficulty of llp-sim, and nothing in them was fitted to AVE's published
# scores.

# %%
source(simulate_ave)

# %%
dataset = simulate_ave(SimulationConfig(misalignment=0.0, val=120, test=300))
test = dataset.test
truth = categories(test.audio_truth & test.visual_truth)
everywhere = np.broadcast_to(test.weak.argmax(axis=1)[:, None], truth.shape)
print(f"{dataset.name}, simulated: {len(dataset.train)} videos to train on")
print(f"background: {100 * (truth == len(dataset.classes)).mean():.0f} % of segments")
print(f"the true class in every segment: {segment_accuracy(everywhere, truth):.1f} % right")

# %% [markdown]
# Keep the last figure in mind. Where events last as long as this, an accuracy that looks high is
# no sign that a network finds their bounds: whoever knows the class, and nothing of time, has it.
#
# ## What changes in the method
#
# **S-LOSS** asks that sound $i$ and picture $j$ be as similar as their labels overlap. With one
# class a video and both aligned, the overlap is 1 between any two segments of the event, nothing
# between event and background, and undefined between background and background. So S-LOSS pulls
# *all* segments of the event together, and knows no more of time than the labels do. What the
# teachers make of it is not quite that:

# %%
mixed = np.flatnonzero(~test.audio_truth.any(axis=2).all(axis=1))
lengths = test.audio_truth.any(axis=2).sum(axis=1)
shown = int(next(i for i in mixed if lengths[i] == 5))


def overlap(audio, visual):
    both = (torch.from_numpy(np.array(each[[shown]])) for each in (audio, visual))
    value, defined = label_overlap(*both)
    return np.where(defined[0], value[0], np.nan)


r = {
    "by the truth": overlap(test.audio_truth, test.visual_truth),
    "by the teachers, filtered": overlap(test.audio_target, test.visual_target),
}

# %% mystnb={"image": {"alt": "Two ten by ten matrices of label overlap, true and by teachers."}}
axes = "second of the picture", "second of the sound", "overlap"
_ = plots.heat_maps(r, *axes, reach=1.0, one_sided=True)

# %% [markdown]
# *The overlap $r_{ij}$ of one simulated video's labels; grey where neither has any. By the truth
# it is a block: the seconds of the event, with each other. Where the panels differ,
# S-LOSS asks for what the truth does not ask for, or, where only the right one is grey, for
# nothing.*
#
# **TSAM** lets a segment take from the other modality what resembles it. When sound and picture
# agree, the best that it could do is to look at the event from within the event.
#
# **The teachers** have two tries at one thing. What CLAP hears and what CLIP sees are estimates of
# the same labels, so they can be put together, which on LLP would be wrong.
#
# ## Do the modules help?
#
# The same seeds for every variant, paired differences and their intervals, as in
# [ablations](10_ablations.ipynb). A segment counts as holding a class if it is heard **and** seen:
# the smaller of the two probabilities.

# %%
SEEDS = (0, 1, 2)
training = chapter_training(dataset, mode="fast")
configs = variants(chapter_network(dataset))
CHOSEN = (BASELINE, "TSAM", "S-LOSS", "PLSIM", "TSAM + S-LOSS + PLSIM")
RULES = {
    "heard and seen": lambda prob: prob.min(axis=2),
    "heard or seen": lambda prob: prob.max(axis=2),
    "mean of both": lambda prob: prob.mean(axis=2),
    "heard": lambda prob: prob[:, :, 0],
    "seen": lambda prob: prob[:, :, 1],
}


def trained(name, config, data=dataset):
    runs, records = fit_stack(data, config, training, SEEDS), []
    for seed, run in zip(SEEDS, runs, strict=True):
        found = predict(run.model, test)
        scores = dict(run.scores["test"])
        for rule, combined in RULES.items():
            decided = one_class(found.video_prob, combined(found.segment_prob))
            scores[rule] = segment_accuracy(decided, truth)
        records.append(Record(name, seed, scores, run.best_epoch))
    return runs, records


# %%
runs, records = {}, []
for name in CHOSEN:
    runs[name], of_variant = trained(name, configs[name])
    records += of_variant
ACCURACY = "heard and seen"
means = {
    "accuracy": score_intervals(records, ACCURACY),
    "segment/type": score_intervals(records, "segment/type"),
}
columns = {score: {n: i.mean for n, i in each.items()} for score, each in means.items()}
pd.DataFrame(columns).rename_axis("ave-sim, simulated, %").round(1)

# %% mystnb={"image": {"alt": "Differences to no module with their intervals, by variant."}}
gains = {"accuracy": differences(records, ACCURACY)}
gains["segment/type"] = differences(records, "segment/type")
_ = plots.paired_intervals(gains, f"Minus “{BASELINE}”, ave-sim (simulated)")

# %% [markdown]
# *Each dot is the mean paired difference in points, each bar its 95 % interval. Blue where it
# excludes zero. On the left AVE's score, on the right LLP's.*

# %%
print("against no module, in points (simulated):")
for score, by_variant in gains.items():
    for name, gain in by_variant.items():
        print(f"  {score:14}{name:24}{gain.verdict()}")
beaten = segment_accuracy(everywhere, truth)
for name, accuracy in means["accuracy"].items():
    above = "above" if accuracy.low > beaten else "not shown to be above"
    print(f"{name}: {above} the true class in every segment")

# %% [markdown]
# These trainings are short, so a difference may be one of speed. In
# [ablations](10_ablations.ipynb), where llp-sim's networks train three times as long, neither
# PLSIM nor all three modules show a gain in segment/type on aligned data (simulated).
#
# ### Where does TSAM look?
#
# In videos with an event and background, where sound looks at picture: how much of an event
# segment's attention goes to event segments of the picture, more than if it were spread evenly?
# The other direction is not measured here.

# %%
whole_test = next(batches(test, len(test)))
active = torch.from_numpy(test.audio_truth.any(axis=2))
chosen = active & ~active.all(dim=1, keepdim=True)
even = active.float().mean(dim=1, keepdim=True).expand(active.shape)[chosen]


def attention_on_event(model):
    with torch.no_grad():
        sound, picture = model.projection(*whole_test.inputs[:3])
        look = cross_attention(model.tsam.audio(sound), model.tsam.visual(picture))
    on_event = (look * active[:, None]).sum(dim=2)[chosen]
    return 100 * (on_event - even).mean().item()


extra = interval([attention_on_event(run.model) for run in runs["TSAM"]])
print("attention of sound on the picture's event, from within it (simulated):")
print(f"  an even share       {100 * even.mean():.1f} %")
print(f"  beyond that, TSAM   {extra.verdict()}")

# %% [markdown]
# What is left to 100 % is as far as it could go. TSAM's figure is very small beside that: in this
# direction its interaction adds little else than the mean of the other modality, and cannot tell
# when.
#
# ### Two teachers for one label
#
# If what is heard is what is seen, a segment's targets may be what **both** teachers find, or
# what **either** finds. The first is right more often where it says yes, the second where it says
# no. How good are the labels themselves, and what does a network make of them?

# %%
JOINED = {"both teachers": np.logical_and, "either teacher": np.logical_or}
for name, join in {"CLAP alone": lambda a, v: a, "CLIP alone": lambda a, v: v, **JOINED}.items():
    labels = categories(join(test.audio_target, test.visual_target))
    print(f"{name:15}{segment_accuracy(labels, truth):5.1f} % of segments right (simulated)")

# %%
for name, join in JOINED.items():
    target = join(dataset.train.audio_target, dataset.train.visual_target)
    train = replace(dataset.train, audio_target=target, visual_target=target)
    _, joined = trained(name, configs[BASELINE], replace(dataset, train=train))
    records += joined
print("accuracy against each teacher for its modality, in points (simulated):")
for name in JOINED:
    print(f"  {name:15}{differences(records, ACCURACY)[name].verdict()}")

# %% [markdown]
# ### Which decision?
#
# An event of AVE is heard and seen by definition, so both probabilities should reach one half. But
# where both say the same thing, the mean of two estimates may be the better estimate.

# %%
print("“no module”, accuracy against “heard and seen”, in points (simulated):")
of_baseline = [each.scores for each in records if each.variant == BASELINE]
for rule in RULES:
    if rule != ACCURACY:
        gain = interval([scores[rule] - scores[ACCURACY] for scores in of_baseline])
        print(f"  {rule:16}{gain.verdict()}")

# %% [markdown]
# ## What we learned
#
# - AVE's annotations fit the structures of LLP's: one label a video, and two grids that are one.
# - The accuracy must be read against the true class in every segment, which knows nothing of time
#   and is high on AVE, because most events last from the first second to the last.
# - Where sound and picture agree, S-LOSS asks for similarity within the event and says nothing
#   about time that the labels do not say.
# - On ave-sim (simulated), after few epochs, S-LOSS alone lowers both scores. The rest is not told
#   from no module; PLSIM's gain in LLP's score comes nearest. The differences may be ones of
#   speed.
# - Alignment makes new things possible that have nothing to do with LINK: joining the teachers,
#   and joining the two probabilities. Neither is shown to help.
# - Three seeds show only large differences, and all this is simulated.
#
# ## Where paper and book differ
#
# - The paper reports results on LLP only. Nothing here is a result of LINK on AVE: nobody has
#   published one that we know of, and no features of AVE were at hand.
# - The published methods for AVE train a classifier with a background class, often on the
#   segments' labels. Here LINK stays as it is, learns from the label of the whole video and from
#   the teachers, and decides at the end.
