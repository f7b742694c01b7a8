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
# # Training
#
# All parts are put together and trained: the loss says what is wanted, the validation split says
# which epoch to keep, and the test split is asked once, at the end. What a run leaves behind is a
# folder from which it can be repeated, resumed and used.
#
# ## What is minimised, and by what steps
#
# The loss is the sum of [the chapter on S-LOSS](07_s_loss.ipynb),
#
# $$ L = \mathrm{BCE}_{\text{video}} + \mathrm{BCE}_{\text{video}}^{\text{audio}}
#      + \mathrm{BCE}_{\text{video}}^{\text{visual}} + L_{\text{label}} + L_{\text{similarity}}, $$
#
# and the optimiser is AdamW as VALOR {cite}`lai2023valor` sets it. The learning rate climbs
# linearly for $w$ epochs and falls on a cosine for the rest: in epoch $e$ of $E$,
#
# $$ \eta_e = \begin{cases} \eta_{\max}\, e / w & e < w \\
#    \eta_{\min} + \tfrac12 (\eta_{\max} - \eta_{\min})
#    \left(1 + \cos \pi \frac{e - w}{E - w}\right) & e \ge w. \end{cases} $$
#
# :::{important}
# Every score and figure below is **simulated**, from llp-sim, unless `LINK_DATASET` names another
# data set.
# :::

# %%
from link.notebook import chapter_dataset, chapter_network, chapter_training, source

import tempfile
from dataclasses import replace
from pathlib import Path

import experiments
import numpy as np
import pandas as pd
import torch
from myst_nb import glue

from link import plots
from link.ablation import VALOR, interval, variants
from link.events import Parsing
from link.inference import INPUTS, batches, predict
from link.metrics import KINDS, SCORES, parsing_scores
from link.model import LinkConfig
from link.runs import RunFolder, load_run
from link.timeline import Timeline
from link.training import TrainingConfig, fit, learning_rate, train_epoch

dataset = chapter_dataset()
kind = "simulated" if dataset.simulated else "real"
network, training = chapter_network(dataset), chapter_training(dataset)

# %%
valor = TrainingConfig()
pd.DataFrame({"VALOR++": vars(valor), f"here, on {dataset.name}": vars(training)})


# %% mystnb={"image": {"alt": "Learning rates rise linearly and then fall on a cosine."}}
def schedule(config):
    rates = [learning_rate(e, config) for e in range(1, config.epochs + 1)]
    return {"learning rate": rates}


here = f"here, on {dataset.name}"
schedules = {"VALOR++": schedule(valor), here: schedule(training)}
_ = plots.curves(schedules, "epoch")

# %% [markdown]
# *The schedule of VALOR++, and that of this chapter, whose network is smaller.*
#
# The network of VALOR++ takes sixty epochs over ten thousand videos. The book's network is small
# enough to be trained in seconds, which is what lets a chapter train it several times.

# %%
sizes = ["hidden", "heads", "feed_forward", "layers"]
sizes += ["audio_dim", "visual_dim", "motion_dim"]
pd.DataFrame(
    {
        "VALOR++": {name: getattr(LinkConfig(), name) for name in sizes},
        here: {name: getattr(network, name) for name in sizes},
    }
)

# %% [markdown]
# ## What a network may see
#
# A batch keeps inputs and labels apart. The network is called with the first and never with the
# second; evaluation uses only the first.

# %%
batch = next(batches(dataset.train, 4))
for name, tensor in batch._asdict().items():
    role = "input" if name in INPUTS else "label"
    shape = "absent" if tensor is None else tuple(tensor.shape)
    print(f"{role}  {name:14} {shape}")

# %% [markdown]
# ## The loop
#
# One epoch, in full. There is nothing else to it.

# %%
source(train_epoch)

# %%
source(fit)

# %% [markdown]
# ## A run
#
# Given a folder, training keeps what it needs to be repeated. Here the run goes to a temporary
# folder; `link-avvp train --out runs/link` does the same from the command line.

# %%
place = Path(tempfile.mkdtemp())
folder = RunFolder(place / "link", dataset, network, training)
run = fit(dataset, network, training, folder)
print(*sorted(path.name for path in (place / "link").iterdir()), sep="\n")

# %% mystnb={"image": {"alt": "Left: the terms of the loss. Right: validation scores, by epoch."}}
terms = [name for name in run.history[0]["loss"] if name != "total"]
losses = {t: [r["loss"][t] for r in run.history] for t in terms}
scores = {k: [r["val"][f"segment/{k}"] for r in run.history] for k in KINDS[:4]}
panels = {f"loss, {kind} data": losses, f"validation F (%), {kind} data": scores}
_ = plots.curves(panels, "epoch", marked=run.best_epoch)

# %% [markdown]
# *The terms of the loss, and the segment-level scores on the validation split. The dashed line is
# the epoch that the validation split chose.*

# %%
base = fit(dataset, variants(network)[VALOR], training)
columns = {
    (name, split): fitted.scores[split]
    for name, fitted in (("VALOR++, book's size", base), ("LINK", run))
    for split in ("val", "test")
}
pd.DataFrame(columns).round(1).rename_axis(f"F in %, {kind} data")

# %% [markdown]
# One seed is an anecdote, and a few epochs are not a whole training. Whether LINK is better than
# VALOR++ is the question of [the ablations](10_ablations.ipynb), which train for longer and from
# many seeds, and come to another answer than this table.
#
# ## What the scores look like
#
# One test video, and what the network finds in it. It is not picked by eye: of the videos with two
# classes that are not heard and seen at the same times, it is the one whose own score is closest
# to the score of the whole split. So it is neither a success nor a failure, but what is usual.

# %%
test = dataset.test
answer = predict(run.model, test, training.device)
truths, answers = (test.audio_truth, test.visual_truth), (answer.audio, answer.visual)
there = (truths[0] | truths[1]).any(axis=1)
apart = (truths[0] != truths[1]).any(axis=1)
candidates = np.flatnonzero((there.sum(axis=1) == 2) & (apart == there).all(axis=1))
distance = {}
for index in candidates:
    pair = [grid[[index]] for grid in (*answers, *truths)]
    distance[index] = abs(
        parsing_scores(*pair)["segment/type"] - run.scores["test"]["segment/type"]
    )
index = min(distance, key=distance.get)
print(f"{len(candidates)} videos to choose from")

# %% tags=["nbval-ignore-output"]
truth, found = (
    Parsing(heard[index], seen[index], dataset.classes) for heard, seen in (truths, answers)
)
glue("parsed_video", Timeline(found, truth, f"A test video of {dataset.name} ({kind})"))

# %% [markdown]
# *Above, what is in the picture and in the sound of each second; below, what LINK finds, having
# learned from the names of the events and from two teachers that err, and where that is wrong.*
#
# ## Interrupted and resumed
#
# A run that was stopped goes on where it was, to the same weights bit for bit: the folder holds
# the state of the optimiser and of every random generator.


# %%
def stop_after_three(record):
    if record["epoch"] == 3:
        raise KeyboardInterrupt


try:
    fit(
        dataset,
        network,
        training,
        RunFolder(place / "stopped", dataset, network, training),
        stop_after_three,
    )
except KeyboardInterrupt:
    print("stopped with", *sorted(path.name for path in (place / "stopped").iterdir()))

# %%
fit(
    dataset,
    network,
    training,
    RunFolder(place / "stopped", dataset, network, training, resume=True),
)
first, second = (load_run(place / name)[0].state_dict() for name in ("link", "stopped"))
print("the same weights:", all(torch.equal(first[name], second[name]) for name in first))

# %% [markdown]
# ## What peeking would buy
#
# Choosing the epoch on the test split would raise the reported score, since the best of several
# noisy numbers is better than it deserves. How much? The split on which an epoch is selected has
# no influence on the weights, so putting the test split in the place of the validation split
# gives the test score of every epoch of the same run.

# %%
SCORE, SEEDS = "segment/type", range(3)
peeking = replace(dataset, val=dataset.test)
gains = {"best on test": [], "last epoch": []}
for seed in SEEDS:
    seeded = replace(training, seed=seed)
    honest = run if seed == training.seed else fit(dataset, network, seeded)
    seen = [record["val"][SCORE] for record in fit(peeking, network, seeded).history]
    reported = honest.scores["test"][SCORE]
    assert abs(seen[honest.best_epoch - 1] - reported) < 1e-9
    gains["best on test"].append(max(seen) - reported)
    gains["last epoch"].append(seen[-1] - reported)
print(f"points of {SCORE} minus those selected on validation, by seed, {kind} data:")
for name, values in gains.items():
    print(f"  {name:13}", "  ".join(f"{value:+.1f}" for value in values))

# %% [markdown]
# The assertion in the loop is the check that the two runs are one and the same. Selecting on the
# test split can by construction only gain, so an interval around zero would make no sense here;
# the question is whether a seed gains as much as the effects that are being reported. The last
# epoch has no such advantage and may lie on either side.
#
# ## Does it cost score to count with fewer digits?
#
# In the mode ``half`` the products of a network are computed in bfloat16, which is faster where
# the hardware has it ([speed](../book/speed.md)). Rounding changes a training's course as another
# seed does, and a single pair of runs differs by more than the question allows. So
# `make experiments` trains a network with VALOR++'s switches, of the book's size, from many seeds,
# each both ways, on llp-sim. The question is whether the mean change lies within 0.3 points, about
# the smallest difference that is published as one.

# %%
stored = experiments.Stored("precision")
print(stored)
print("bfloat16 minus float32, points (simulated):")
for score in SCORES:
    whole, half = (
        stored.values(score, variant=name) for name in (VALOR, VALOR + experiments.HALF)
    )
    change = interval(half - whole)
    within = max(abs(change.low), abs(change.high)) <= 0.3
    bounds = f"{change.mean:+.2f} [{change.low:+.2f}, {change.high:+.2f}]"
    print(f"  {score:21}{bounds}: {'' if within else 'not '}shown to be within 0.3")

# %% [markdown]
# ## What we learned
#
# - The loop is short, and everything in it that affects a result is in the run's folder.
# - Peeking at the test split can gain as much as the largest number printed above, for nothing.
#   Differences between methods that are no larger should be doubted where it is not said how the
#   epoch was chosen.
# - Counting in bfloat16 moves the mean of no score by as much as the limit asked for: for a small
#   network on simulated data, and on a processor that imitates such products.
#
# ## Where paper and book differ
#
# - Weight decay does not touch the scalars $\alpha$, $\beta$ and $\mu$: decay would pull them to
#   zero, which means something different for each.
# - The epoch is chosen by the segment-level type score on the validation split, as VALOR's code
#   does. See [paper against book](../book/paper_against_book.md) for the rest.
