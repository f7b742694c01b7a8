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
# # Ablations
#
# LINK adds three parts to VALOR++, and each has a switch: this chapter trains all eight
# combinations from several seeds. It then asks of every part not only whether the mean went up,
# but whether the difference is larger than what another seed would have done.
#
# ## The design of the experiment
#
# Three switches make a $2^3$ factorial design. Every combination is trained from the same seeds,
# so two combinations are compared **in pairs**: with $y_{k,s}$ the score of combination $k$ from
# seed $s$ and $0$ the combination without any module,
#
# $$ d_{k,s} = y_{k,s} - y_{0,s}, \qquad
#    \bar d_k \pm t_{0.975,\,n-1}\,\frac{\operatorname{sd}(d_{k,1}, \dots, d_{k,n})}{\sqrt n}. $$
#
# What the seed does to both cancels. The effect of one module uses all eight combinations: for
# each seed it is averaged over the four settings of the other two modules, and the interval is
# taken over these averages.
#
# The paper's loss has two uni-modal video terms that VALOR lacks. They are on in all eight rows,
# so that no module is credited with what they do; their own effect is measured apart, as the
# difference between "no module" and VALOR++.
#
# :::{important}
# Every score and figure below is **simulated**, from llp-sim, unless `LINK_DATASET` names another
# data set.
# :::

# %%
from link.notebook import chapter_dataset, chapter_network, chapter_training, source

import pandas as pd

from link import plots
from link.ablation import (
    BASELINE,
    VALOR,
    differences,
    module_effects,
    run_ablation,
    score_intervals,
    variants,
)
from link.metrics import KINDS, LEVELS

dataset = chapter_dataset()
source_of_data = f"{'simulated' if dataset.simulated else 'real'} data"
network, training = chapter_network(dataset), chapter_training(dataset)
print(f"{dataset.name}: {source_of_data}")
print(f"{len(dataset.train)} videos to train on")

# %%
switches = ["tsam", "s_loss", "plsim", "unimodal_terms"]
configs = {name: vars(config) for name, config in variants(network).items()}
pd.DataFrame(configs).T[switches].replace({True: "on", False: ""})

# %% [markdown]
# The whole experiment is one call. Each training runs on one thread, two of them at a time, and
# the result does not depend on how many run at once.

# %%
source(run_ablation)

# %%
SEEDS = range(3)
records = run_ablation(dataset, network, training, SEEDS, jobs=2)
print(f"{len(records)} networks trained")

# %% [markdown]
# ## The ten scores of every combination
#
# Means over the seeds, in percent, on the test split. Where the data are llp-sim these are
# **simulated** results; they say nothing about LLP. Published scores stand on
# [their own page](../book/published_results.md).


# %%
def means(level):
    columns = {}
    for kind in KINDS:
        intervals = score_intervals(records, f"{level}/{kind}")
        columns[kind] = {name: i.mean for name, i in intervals.items()}
    title = f"{level} level, F in %, {source_of_data}"
    return pd.DataFrame(columns).rename_axis(title).round(1)


means(LEVELS[0])

# %%
means(LEVELS[1])

# %% [markdown]
# ## Against no module, seed by seed

# %%
CHOSEN = [f"segment/{kind}" for kind in KINDS[:3]] + ["event/type"]
gains = {score: differences(records, score) for score in CHOSEN}
_ = plots.paired_intervals(gains, f"Minus “{BASELINE}”, {source_of_data}")

# %% [markdown]
# *Each dot is the mean paired difference in points, each bar its 95 % interval. A bar that
# crosses the line is a difference that these seeds cannot tell from none.*
#
# With three seeds the intervals are wide, and honestly so: Student's $t$ with two degrees of
# freedom multiplies the standard error by more than four.

# %% [markdown]
# ## The effect of each module
#
# Averaging over the other two switches uses every training run for every module.

# %%
effects = {score: module_effects(records, score) for score in CHOSEN}
_ = plots.paired_intervals(effects, f"Effect of a module, {source_of_data}")

# %% [markdown]
# *The same, averaged over the four settings of the other two modules.*
#
# :::{warning}
# On llp-sim, read these as effects **after few epochs**. The book trains it for a fraction of
# VALOR++'s sixty epochs, too short for the scores to settle. A module that makes training faster
# looks good then, and one that makes it slower looks bad, whatever either is worth in the end. So
# the differences are mostly differences in how fast training goes. Two of the modules have been
# trained for longer in their own chapters, with one seed: [S-LOSS](07_s_loss.ipynb) under “Is it a
# matter of patience?”, and [PLSIM](08_plsim.ipynb) under “Is it a matter of time?”. The tables
# there show, epochs beside epochs, how much of a difference is left.
# :::

# %%
print(f"effect of a module in points, {source_of_data}:")
for score in CHOSEN:
    for module, effect in effects[score].items():
        print(f"  {score:21}{module:7}{effect.verdict()}")

# %% [markdown]
# ## What the two uni-modal terms do
#
# VALOR++ has neither LINK's modules nor these terms; "no module" has the terms alone. Crediting
# this difference to the modules would flatter them.

# %%
print(f"“{BASELINE}” minus {VALOR} in points, {source_of_data}:")
for score in CHOSEN:
    effect = differences(records, score, baseline=VALOR)[BASELINE]
    print(f"  {score:22}{effect.verdict()}")

# %% [markdown]
# ## Do the modules add up?
#
# If modules were independent of each other, switching all three on would bring the sum of what
# each brings alone. The difference between the two is their interaction.

# %%
print(f"points against “{BASELINE}”, {source_of_data}:")
for score in CHOSEN:
    alone = sum(gains[score][module].mean for module in effects[score])
    together = gains[score][" + ".join(effects[score])].mean
    print(f"  {score:22}summed {alone:+5.1f}   together {together:+5.1f}")

# %% [markdown]
# ## What we learned
#
# - On llp-sim (simulated) PLSIM raises the scores, S-LOSS lowers them, and TSAM is not told from
#   none. The verdicts above say where the intervals hold zero.
# - All of this is after few epochs, and mostly about how fast training goes. It is not a ranking
#   of the modules: see the longer trainings of [S-LOSS](07_s_loss.ipynb) and
#   [PLSIM](08_plsim.ipynb) first.
# - Whether PLSIM's gain is the words' doing cannot be seen here, since its switch removes layers
#   and words together. [Its chapter](08_plsim.ipynb) has the control that tells them apart.
# - The uni-modal terms raise the audio score on their own, which has to be taken out before a
#   module is judged. On the other scores their effect is open.
# - Many intervals stand on this page. One in twenty of those without any effect excludes zero by
#   chance, so a verdict on one score alone is weak evidence.
# - Three seeds separate large effects from none and no more. More seeds narrow the intervals:
#   `link-avvp ablate --seeds 10 --jobs 2 --out ablation.json` runs the same experiment outside
#   the notebook and can be interrupted and resumed.
#
# ## Where paper and book differ
#
# - The paper reports one figure a row; the book reports intervals over seeds and pairs the rows.
# - The uni-modal terms are held on in all eight rows and measured apart. In the paper's sum they
#   come with the method.
# - These are results on simulated videos as long as `LINK_DATASET` does not name real features:
#   a network of the book's size, trained for the book's few epochs. More on this in
#   [paper against book](../book/paper_against_book.md).
