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
# # The task and LLP
#
# Audio-visual video parsing asks, for every second of a video, which events can be heard and
# which can be seen, and gives a learner nothing but the names of the events somewhere in the
# video. This chapter defines the task and measures, on the annotations of LLP
# {cite}`tian2020han`, how often sound and picture disagree: that disagreement is what LINK is
# about.
#
# All numbers here are counts of the real annotations. They come from a small table in the
# package, so the chapter needs no other file.

# %%
from link.notebook import source

import textwrap

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency, spearmanr
from scipy.stats.contingency import association

from link import plots
from link.events import CLASSES, Event, Parsing, runs
from link.llp import EVENT_FILES
from link.llp_statistics import (
    SPLITS,
    agreement,
    headline,
    load_statistics,
    marked_extents,
)
from link.parsed_video import readable

statistics = load_statistics()
names = ", ".join(readable(name) for name in CLASSES)
print(f"{len(CLASSES)} classes:")
print(textwrap.fill(names, width=68))

# %% [markdown]
# ## What is given and what is asked
#
# - A **segment** is one second of a video. A video has $T = 10$ of them.
# - A **modality** is what a segment is judged by: its sound alone or its picture alone.
# - A **weak label** names the classes that occur somewhere in the video. It says neither when
#   nor in which modality.
# - An **event** is a class over an unbroken stretch of segments, in one modality.
#
# Write $y^a_{t,c} = 1$ if class $c$ is audible in segment $t$, and $y^v_{t,c} = 1$ if it is
# visible. Training gives, for each video, the two streams and the weak label $y$:
#
# $$
# \left\{ \left(x^a_t, x^v_t\right)_{t=1}^{T},\; y \right\}, \qquad y \in \{0, 1\}^C, \qquad
# y_c = \max_{t}\, \max\left(y^a_{t,c},\, y^v_{t,c}\right).
# $$
#
# What is asked of a new video is everything that the two maxima have removed:
#
# $$
# y^a_{t,c}, \qquad y^v_{t,c} \qquad\text{and}\qquad
# y^{av}_{t,c} = y^a_{t,c}\, y^v_{t,c}.
# $$
#
# The last answer is derived, not predicted: an event is audio-visual in the segments in which
# it is heard *and* seen. Two predictions that are each a little wrong can therefore be very
# wrong together.

# %% [markdown]
# ## A grid and its events
#
# A model fills a **grid**, a boolean array of $T$ segments and $C$ classes, for each modality.
# People read events. The two say the same, and the package turns each into the other. Here is a
# made-up video, written down as events: somebody talks all the time but is on screen for three
# seconds; a dog is on screen for most of the video but barks only twice.

# %%
events = [
    Event("Speech", onset=0, offset=10, modality="audio"),
    Event("Speech", onset=3, offset=6, modality="visual"),
    Event("Dog", onset=2, offset=3, modality="audio"),
    Event("Dog", onset=7, offset=9, modality="audio"),
    Event("Dog", onset=0, offset=9, modality="visual"),
]
video = Parsing.from_events(events)
for name in ("Speech", "Dog"):
    for modality in ("audio", "visual", "audio_visual"):
        row = getattr(video, modality)[:, CLASSES.index(name)]
        digits = "".join(str(int(active)) for active in row)
        print(f"{name:8s}{modality:14s}{digits}")

# %% mystnb={"image": {"alt": "Bars show when speech and a dog are heard and seen."}}
_ = plots.parsing(video, "A made-up video")

# %% [markdown]
# *Heard and seen are two different answers: their bars differ in start, end and number.*
#
# The way back takes the maximal runs of each column. A run ends where the column changes from
# 1 to 0, so two barks with a silent second between them are two events.

# %%
source(runs)

# %%
back = video.events()
print("the same events come back:", set(back) == set(events))
for event in video.events("audio_visual"):
    times = f"{event.onset:2.0f} s to {event.offset:2.0f} s"
    print(f"heard and seen: {event.label:8s}{times}")
weak = (video.audio | video.visual).any(axis=0)
names = [CLASSES[index] for index in np.flatnonzero(weak)]
print("all that training would give of it:", names)

# %% [markdown]
# ## LLP
#
# LLP's videos last ten seconds. Training videos carry weak labels only. The videos of the
# validation and test splits were annotated second by second, sound and picture apart.

# %%
rows = []
for split in SPLITS:
    counts = statistics["splits"][split]
    videos, weak = counts["videos"], counts["weak"]
    rows.append(
        {
            "split": split,
            "videos": videos,
            "classes per video": f"{sum(weak) / videos:.2f}",
            "most classes in a video": len(counts["labels"]) - 1,
            "videos with speech (%)": f"{100 * weak[0] / videos:.1f}",
        }
    )
pd.DataFrame(rows).set_index("split")

# %% mystnb={"image": {"alt": "Bar chart: most videos of all splits have one or two classes."}}
_ = plots.labels_per_video(statistics)

# %% [markdown]
# *Most videos have one class or two; the splits that were annotated by the second have more
# videos with three and four than the training split.*
#
# The last point is worth a thought. If the training videos are of the same kind, then their
# weak labels leave some classes out, and a learner is told that an event is absent which is
# there.

# %% mystnb={"image": {"alt": "Bars by class: speech is by far the most frequent class."}}
_ = plots.class_frequencies(statistics)

# %% [markdown]
# *Speech dwarfs every other class and is mostly off screen (left, blue); cats, cars and
# basketballs are often in the picture without a sound (right, orange).*

# %% [markdown]
# ## Heard and seen are not aligned
#
# Take every pair of a video of val or test and a class that occurs in it. There are two ways
# for its modalities to disagree. The class may be in **one modality only**. Or it may be in
# both, with **different extents**: the set of seconds in which it is heard is not the set of
# seconds in which it is seen. How close two extents are is measured by their intersection over
# union, IoU: 1 if they are equal, 0 if they share no second.

# %%
facts = headline(statistics)
for key, text in (
    ("heard", "pairs of a video and a class that are heard"),
    ("seen", "pairs that are seen"),
    ("both", "pairs that are heard and seen"),
):
    print(f"{facts[key]:6,d}  {text}")
for key, text in (
    ("never_seen", "of what is heard is never seen in its video"),
    ("never_heard", "of what is seen is never heard in its video"),
    ("equal", "of what is heard and seen has exactly equal extents"),
):
    print(f"{facts[key]:6.1%}  {text}")
print(f"{facts['iou']:6.2f}  mean IoU of the two extents")

# %% mystnb={"image": {"alt": "Left: share of pairs marked by second. Right: lengths."}}
_ = plots.extents(statistics)

# %% [markdown]
# *Events are marked about equally often at any time (left), and the whole video is by far the
# most frequent extent, for pictures even more than for sounds (right).*

# %% mystnb={"image": {"alt": "Left: relations of extents. Right: seconds heard against seen."}}
_ = plots.misalignment(statistics)

# %% [markdown]
# *Where extents differ, one nearly always lies within the other (left); most often something
# stays in the picture for the whole video and sounds for a part of it (right, top row). Green is
# an equal extent on the left, and an equal length, whatever the seconds, on the right.*
#
# So the modalities rarely contradict each other. One of them knows more. A model that lets each
# modality look at the other gains where they agree, and copies errors where they do not. How
# much to look is the question.
#
# Is the exact agreement an agreement in time? An event that fills the whole video agrees with
# any other that does. The next cell takes these out, and also asks what agreement would be left
# if every heard extent met a seen extent drawn at random.

# %%
shares = agreement(statistics)
for key, text in (
    ("equal", "of the pairs have equal extents"),
    ("whole_video", "have the whole video as both extents"),
    ("equal_among_the_rest", "are equal among all other pairs"),
    ("by_chance", "would be equal if paired at random"),
):
    print(f"{shares[key]:6.1%}  {text}")

# %% [markdown]
# Most of the agreement comes from events that never stop, and about half of it would be there by
# chance. Where there is something to find in time, heard and seen extents are equal in fewer than
# half of the cases.

# %% [markdown]
# ## Experiment: is misalignment a matter of a few classes?
#
# If it were, one could treat those classes by a rule and forget about the rest. Three things
# could come out.
#
# 1. Both kinds of misalignment sit in the same few classes. Then those classes are the problem.
# 2. They sit in different classes. Then no list of classes is enough, since a class that is
#    harmless in one respect is harmful in the other.
# 3. All classes are alike. Then misalignment belongs to videos, not to classes.

# %%
evaluation = statistics["evaluation"]
never_seen = np.array(evaluation["heard_only"])
both = np.array(evaluation["both"])
differ = both - np.array(evaluation["equal"])
kinds = {
    "Heard, but never seen": (never_seen, never_seen + both),
    "Heard and seen, extents differ": (differ, both),
}

# %% mystnb={"image": {"alt": "Shares by class with intervals for two kinds of misalignment."}}
_ = plots.class_shares(CLASSES, kinds)

# %% [markdown]
# *Speech, cheering and clapping are heard without being seen; animals, alarms and the blender
# are heard and seen over different extents (dots: shares, lines: 95% intervals, dashed: all
# classes together).*
#
# The chi-square test asks whether classes differ more than chance allows, and Cramér's V how
# much (0: not at all, 1: the class decides). Both are repeated without Speech, which is large
# enough to carry the result alone. Then we count how many classes hold half of all cases.

# %%
rows = []
for kind, (cases, totals) in kinds.items():
    for name, first in (("all", 0), ("without Speech", 1)):
        table = np.stack([cases, totals - cases])[:, first:]
        p = chi2_contingency(table).pvalue
        ranked = np.sort(table[0])[::-1]
        held = ranked.cumsum() / ranked.sum()
        rows.append(
            {
                "kind": kind,
                "classes": name,
                "share (%)": f"{100 * ranked.sum() / table.sum():.1f}",
                "p": "<\N{NO-BREAK SPACE}0.001" if p < 0.001 else f"{p:.3f}",
                "Cramér's V": f"{association(table, 'cramer'):.2f}",
                "largest class (%)": f"{100 * held[0]:.0f}",
                "classes with half": 1 + int(np.argmax(held >= 0.5)),
            }
        )
pd.DataFrame(rows).set_index(["kind", "classes"])

# %%
share = [cases / totals for cases, totals in kinds.values()]
rank = spearmanr(*share)
print("rank correlation of the two shares over the classes:")
print(f"{rank.statistic:.2f} (p = {rank.pvalue:.2f})")

# %% [markdown]
# The second outcome. The first kind is concentrated: Speech alone has more than half of it, and
# without Speech the share drops steeply, though classes still differ. The second kind is
# spread over many classes, and Speech has no special part in it. A class's place in one order
# says nothing that we can detect about its place in the other.
#
# The tests count pairs as independent. Pairs of one video are not quite, so the p-values are a
# little too small; they are far from the border. With so few classes the rank correlation is
# uncertain: it excludes that the two orders are the same, not that they are weakly related.

# %% [markdown]
# ## Known faults of the files
#
# The files have errors, and published scores have been computed with them. `link.llp.read_llp`
# reads them as the published evaluation does: an event marks the segments `onset:offset`, a
# half-open slice, and rows of videos that are in no split are never looked up.
#
# ```python
# from link.llp import read_llp
#
# llp = read_llp("data/llp")   # the folder with the annotation files
# llp.test.audio               # boolean, (videos, segments, classes)
# llp.skipped                  # every row that marks nothing, with file, line and reason
# ```
#
# The rows that mark nothing new are these. A row can have more than one fault.

# %%
faults = statistics["faults"]
columns = {}
for file, entry in faults.items():
    columns[file] = {"rows": entry["rows"], "skipped": entry["skipped"]}
    columns[file] |= entry["reasons"]
    columns[file]["different unknown videos"] = entry["unknown_videos"]
pd.DataFrame(columns).fillna(0).astype(int)

# %% [markdown]
# Two more facts cannot be seen in a single row. Rows are not events: where rows of one class
# touch or overlap, they make one event. And the weak labels of val and test do not always agree
# with what was marked by the second, so $y_c = \max_t \max(y^a_{t,c}, y^v_{t,c})$ holds almost
# always, but not always.

# %%
for modality, file in EVENT_FILES.items():
    found = 0
    for extent, count in marked_extents(statistics, modality).items():
        found += count * len(runs(np.array(list(extent)) == "1"))
    rows = faults[file]["rows"]
    print(f"{rows:,} rows make {found:,} {modality} events")
neither = sum(evaluation["neither"])
unlisted = sum(evaluation["unlisted"])
print(f"{neither} classes of a weak label are marked nowhere")
print(f"{unlisted} marked classes are missing from the weak label")

# %% [markdown]
# Most published code carries an older copy of the audio file, in which three rows name no video of
# LLP. A score is a mean over the test videos, so what three rows can change is bounded.

# %%
most = 100 * 3 / statistics["splits"]["test"]["videos"]
print(f"three rows move a score by {most:.2f} points at most")

# %% [markdown]
# ## What we learned
#
# - The task is to undo two maxima: over time and over modalities.
# - A large part of what is heard is never seen, and most of that is speech from off screen. The
#   reverse is rare.
# - Where a class is in both modalities, its extents are equal or nested, hardly ever apart. Much
#   of the exact agreement comes from events that fill the whole video.
# - The two kinds of misalignment do not sit in the same classes: no one list of classes covers
#   both.
#
# ## Where paper and book differ
#
# - The counts of this chapter are our own, from the annotation files. The LINK paper
#   {cite}`wang2024link` is motivated by misalignment; the figures here are not quoted from it.
# - We read the annotations as published code does, faults included, and report what is skipped.
# - The reader takes the current copy of the audio file and the older one that most published code
#   carries. How far their scores can differ stands with the faults above.
