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
# LINK adds three parts to VALOR++, and each has a switch: this chapter compares all eight
# combinations, over many seeds. It then asks of every part not only whether the mean went up,
# but whether the difference is larger than what another seed would have done, or other videos. And
# it turns the knob that the paper is about: how far sound and picture are apart.
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
# What a seed does to both alike cancels: the order of the videos is the same, the initial weights
# are so in part, since a module that is on draws its own in between. The effect of one module uses
# all eight combinations: for each seed it is averaged over the four settings of the other two
# modules, and the interval is taken over these averages.
#
# The paper's loss has two uni-modal video terms that VALOR lacks. They are on in all eight rows,
# so that no module is credited with what they do; their own effect is measured apart, as the
# difference between "no module" and VALOR++.
#
# :::{important}
# Every score and figure below is **simulated**, from [llp-sim](04_simulation.ipynb), unless
# `LINK_DATASET` names another data set. The sections on other draws, on single classes, on
# misalignment and on noise are always llp-sim.
# :::

# %%
from link.notebook import chapter_dataset, chapter_network, chapter_training, source

import experiments
import numpy as np
import pandas as pd

from link import plots
from link.ablation import (
    BASELINE,
    VALOR,
    differences,
    interval,
    module_effects,
    run_ablation,
    score_intervals,
    variants,
)
from link.events import CLASSES
from link.metrics import KINDS, LEVELS
from link.parsed_video import readable

# %%
dataset = chapter_dataset()
kind = f"{'simulated' if dataset.simulated else 'real'} data"
network = chapter_network(dataset)
print(f"{dataset.name}: {kind}")
print(f"{len(dataset.train)} videos to train on")

# %%
switches = ["tsam", "s_loss", "plsim", "unimodal_terms"]
configs = {name: vars(config) for name, config in variants(network).items()}
pd.DataFrame(configs).T[switches].replace({True: "on", False: ""})

# %% [markdown]
# ## Where the numbers come from
#
# The networks on this page are trained three times as long as elsewhere in the book, until the
# validation score hardly moves: a module that only makes training faster would look good earlier,
# and one that only makes it slower would look bad. (The learning rate ends near zero, so every
# curve flattens; that a still longer schedule would change nothing is not shown by that.) It is
# too much for a chapter. So `make experiments` trains them, and this chapter reads what it stored.
# The seeds of one variant train side by side, as one stacked model (`link.stack`), to the same
# networks up to rounding. Four further variants in the file are those of other chapters.

# %%
source(experiments.trained)

# %%
if dataset.simulated:
    stored = experiments.Stored("ablation")
    print(stored)
    records = stored.ablation(variants(network))
else:
    training = chapter_training(dataset)
    records = run_ablation(dataset, network, training, range(5))
    print(f"{len(records)} networks trained here, on {dataset.name}")

# %% [markdown]
# **Do they come out again?** Two variants are trained here and now, from a seed that is not among
# the stored ones. Its difference has to lie where the stored differences predict one more: in
# Student's *prediction* interval, which is wider than the interval of a mean. It is wider still
# than one of 95 %, for four chapters make such a check, and all of them together shall seldom fail
# by chance.

# %%
LINK = experiments.LINK_NAME
if dataset.simulated:
    print(stored.repeat(LINK, BASELINE, "segment/type"))

# %% [markdown]
# ## The ten scores of every combination
#
# Means over the seeds, in percent, on the test split. Where the data are llp-sim these are
# **simulated** results; they say nothing about LLP. Published scores stand on
# [their own page](../book/published_results.md).


# %%
def means(level):
    columns = {}
    for score in KINDS:
        intervals = score_intervals(records, f"{level}/{score}")
        columns[score] = {name: i.mean for name, i in intervals.items()}
    title = f"{level} level, F in %, {kind}"
    return pd.DataFrame(columns).rename_axis(title).round(1)


means(LEVELS[0])

# %%
means(LEVELS[1])

# %% [markdown]
# ## Against no module, seed by seed

# %% mystnb={"image": {"alt": "Intervals of each combination's difference to no module."}}
CHOSEN = [f"segment/{score}" for score in KINDS[:4]] + ["event/type"]
gains = {score: differences(records, score) for score in CHOSEN}
_ = plots.paired_intervals(gains, f"Minus “{BASELINE}”, {kind}")

# %% [markdown]
# *Each dot is the mean paired difference in points, each bar its 95 % interval. A grey bar crosses
# the line: a difference that these seeds cannot tell from none.*
#
# How much does pairing help? As much as a seed that is good for the one is good for the other.


# %%
def by_seed(variant, score="segment/type"):
    return np.array([r.scores[score] for r in records if r.variant == variant])


print(f"correlation with “{BASELINE}” over the seeds, segment/type, {kind}:")
for name in variants(network):
    if name != BASELINE:
        print(f"  {name:23}{np.corrcoef(by_seed(name), by_seed(BASELINE))[0, 1]:+.2f}")

# %% [markdown]
# Where it is near zero, the intervals are as wide as they would be without pairing, and where it
# is below, wider. With so few seeds a correlation is itself uncertain.

# %% [markdown]
# ## The effect of each module
#
# Averaging over the other two switches uses every run of the eight combinations for every module.

# %% mystnb={"image": {"alt": "Intervals of the effect of TSAM, S-LOSS and PLSIM."}}
effects = {score: module_effects(records, score) for score in CHOSEN}
_ = plots.paired_intervals(effects, f"Effect of a module, {kind}")

# %% [markdown]
# *The same, averaged over the four settings of the other two modules.*

# %%
print(f"effect of a module in points, {kind}:")
for score in CHOSEN:
    for module, effect in effects[score].items():
        print(f"  {score:21}{module:7}{effect.verdict()}")

# %% [markdown]
# ## What the two uni-modal terms do
#
# VALOR++ has neither LINK's modules nor these terms; "no module" has the terms alone. Crediting
# this difference to the modules would flatter them.

# %%
print(f"“{BASELINE}” minus {VALOR} in points, {kind}:")
for score in CHOSEN:
    effect = differences(records, score, baseline=VALOR)[BASELINE]
    print(f"  {score:22}{effect.verdict()}")

# %% [markdown]
# ## Do the modules add up?
#
# If modules were independent of each other, switching all three on would bring the sum of what
# each brings alone. The difference between the two is their interaction.

# %%
print(f"points against “{BASELINE}”, {kind}:")
for score in CHOSEN:
    none = by_seed(BASELINE, score)
    alone = sum(by_seed(module, score) - none for module in effects[score])
    together = by_seed(" + ".join(effects[score]), score) - none
    print(f"  {score:22}summed {alone.mean():+5.1f}   together {together.mean():+5.1f}")
    print(f"  {'':22}interaction {interval(together - alone).verdict()}")

# %% [markdown]
# ## The same on other draws of the data
#
# So far every network saw the same videos. An interval over seeds tells what other initial weights
# and orders would bring, and nothing of what other videos would. So all of it was trained again on
# further draws of llp-sim, on each from another seed. Now two networks on the same draw are a
# pair, and intervals are over draws.

# %%
draws = experiments.Stored("draws")
print(draws)
NAMES = (VALOR, *experiments.MODULES, *experiments.COMBINATIONS)
simulated = experiments.Stored("ablation")
over_seeds, over_draws = simulated.ablation(NAMES), draws.ablation(NAMES)
anew = {score: module_effects(over_draws, score) for score in CHOSEN}
print(f"{len(draws.experiment.seeds)} draws; effect of a module in points (simulated):")
print(f"  {'':30}{'one draw, over seeds':24}over draws")
for score in CHOSEN:
    for module, effect in module_effects(over_seeds, score).items():
        print(f"  {score:22}{module:8}{effect!s:24}{anew[score][module].verdict()}")

# %% mystnb={"image": {"alt": "Intervals over draws of the effect of TSAM, S-LOSS and PLSIM."}}
_ = plots.paired_intervals(anew, "Effect of a module, over draws (simulated data)")

# %% [markdown]
# *As the figure before, and each pair of networks on videos of its own.*
#
# How much of it is the draw? The spread of a combination's difference to no module over seeds
# holds what training does by chance. That over draws holds it, too, and what other videos do.


# %%
def spread(stored_results, name, score="segment/type"):
    both = [stored_results.values(score, variant=each) for each in (name, BASELINE)]
    return np.std(both[0] - both[1], ddof=1)


print("standard deviation of the difference, segment/type, points (simulated):")
print(f"  {'':24}seeds  draws")
for name in NAMES:
    if name != BASELINE:
        print(f"  {name:24}{spread(simulated, name):5.1f}  {spread(draws, name):5.1f}")

# %% [markdown]
# And pair by pair: each module alone and all of them against none, and what is not one of LINK's
# switches. That is the uni-modal terms, cross-modal attention against the control that looks at
# its own modality, and PLSIM against the one without words.

# %%
PAIRS = {
    **{f"{name} alone": (name, BASELINE) for name in ("TSAM", "S-LOSS", "PLSIM")},
    "all three": (LINK, BASELINE),
    "uni-modal terms": (BASELINE, VALOR),
    "cross-modal attention": (BASELINE, experiments.UNCROSSED),
    "PLSIM's words": ("PLSIM", experiments.WORDLESS),
}


def over_draws_of(with_it, without, score):
    both = [draws.values(score, variant=variant) for variant in (with_it, without)]
    return str(interval(both[0] - both[1]))


rows = {
    name: {score: over_draws_of(*pair, score) for score in CHOSEN} for name, pair in PAIRS.items()
}
pd.DataFrame(rows).T.rename_axis("points, over draws (simulated)")

# %% [markdown]
# ## Class by class
#
# A mean over classes may hide that a module helps some and harms others. Here is LINK with all
# three modules against none, for the segment-level F-score of each class, from the stored results
# of llp-sim (simulated). Classes with few test videos have wide intervals.

# %% mystnb={"image": {"alt": "Intervals of LINK's difference to no module for each class."}}
by_class = {
    modality: simulated.class_differences(modality, LINK, BASELINE)
    for modality in ("audio", "visual")
}
panels = {
    modality: dict(zip(map(readable, CLASSES), intervals, strict=True))
    for modality, intervals in by_class.items()
}
_ = plots.paired_intervals(panels, f"LINK minus “{BASELINE}” (simulated data)")

# %% [markdown]
# *Each dot is a class's mean paired difference, each bar its 95 % interval over seeds; grey bars
# hold zero. Each panel has a scale of its own, which its rarest class may stretch.*

# %%
for modality, intervals in by_class.items():
    better = sum(each.low > 0 for each in intervals)
    worse = sum(each.high < 0 for each in intervals)
    print(
        f"{modality} (simulated): better in {better} classes, worse in {worse}, "
        f"not told from none in {len(intervals) - better - worse}"
    )
print(f"by chance alone, one in twenty: {len(intervals) / 20:.1f} of {len(intervals)}")

# %% [markdown]
# ## Misalignment as the variable
#
# LINK is made for sound and picture that are not aligned. llp-sim has a knob for it: at 0 whatever
# happens is heard and seen at the same time, at 1 both are as far apart as in LLP, and at 2 what
# is heard says nothing of what is seen. Each level has data of its own, with their own teachers,
# and below 1 with more to hear and to see. So scores of two levels are not compared; differences
# between networks of one level are. At every level each seed trains on another draw, so intervals
# here are over videos as well as over trainings.

# %%
sweep = experiments.Stored("misalignment")
print(sweep)
LEVELS_OF_KNOB = [condition["misalignment"] for condition in sweep.experiment.conditions]


def against(baseline, names, score):
    return {
        name: [
            interval(
                sweep.values(score, variant=name, misalignment=level)
                - sweep.values(score, variant=baseline, misalignment=level)
            )
            for level in LEVELS_OF_KNOB
        ]
        for name in names
    }


# %% mystnb={"image": {"alt": "Each module's difference to none against misalignment."}}
MODULES = ["TSAM", "S-LOSS", "PLSIM", LINK]
by_score = {
    score: against(BASELINE, MODULES, f"segment/{score}") for score in ("audio", "visual", "type")
}
_ = plots.against_level(
    by_score,
    LEVELS_OF_KNOB,
    "misalignment",
    f"points against “{BASELINE}”",
    "What each module changes (simulated data)",
)

# %% [markdown]
# *Above the line a module helps, below it harms; bars are 95 % intervals over draws. At 1 the data
# are as misaligned as LLP.*

# %%
print("segment/type against no module, points (simulated):")
for name, intervals in by_score["type"].items():
    for level, each in zip(LEVELS_OF_KNOB, intervals, strict=True):
        print(f"  {name:22}{level:4}  {each.verdict()}")

# %% [markdown]
# ### Where cross-modal attention starts to hurt
#
# The encoder's cross-attention is older than LINK. Its control has as many weights, turned to the
# own modality (`LinkConfig.cross_modal`), so that neither modality sees the other.

# %% mystnb={"image": {"alt": "What cross-modal attention is worth against misalignment."}}
worth = {}
for score in ("audio", "visual", "audio_visual"):
    crossing = against(experiments.UNCROSSED, [BASELINE], f"segment/{score}")
    worth[score.replace("_", "-")] = {"cross-modal attention": crossing[BASELINE]}
_ = plots.against_level(
    worth,
    LEVELS_OF_KNOB,
    "misalignment",
    "points against none",
    "What cross-modal attention is worth (simulated data)",
)

# %% [markdown]
# *HAN with its cross-modal attention minus the control without it.*

# %%
print("with cross-modal attention minus without, points (simulated):")
for score, by_name in worth.items():
    for level, each in zip(LEVELS_OF_KNOB, by_name["cross-modal attention"], strict=True):
        print(f"  {score:13}{level:4}  {each.verdict()}")

# %%
alone = against(experiments.UNCROSSED, (BASELINE, *MODULES), "segment/type")
print("each minus the control that looks at its own modality, segment/type (simulated):")
for name, intervals in alone.items():
    for level, each in zip(LEVELS_OF_KNOB, intervals, strict=True):
        print(f"  {name:22}{level:4}  {each.verdict()}")

# %% [markdown]
# Copying is how the other modality misleads: an event that is only heard is claimed to be seen, or
# the reverse. The table counts pairs of a second and a class that happens in one modality only,
# and shows the share that is claimed for the other as well. Where all is aligned there are none.

# %%
rows = {}
for name in (experiments.UNCROSSED, BASELINE, LINK):
    for what in ("heard only, called seen", "seen only, called heard"):
        rows[name, what] = [
            np.mean([r["copied"][what] for r in sweep.where(variant=name, misalignment=level)])
            for level in LEVELS_OF_KNOB
        ]
table = pd.DataFrame(rows, index=LEVELS_OF_KNOB).T.rename_axis("%, simulated", axis=1)
table.map("{:.1f}".format).replace("nan", "")

# %%
print(f"points of that share against “{BASELINE}”, over the draws above (simulated):")
for what in ("heard only, called seen", "seen only, called heard"):
    print(what)
    shares = {
        name: np.array([record["copied"][what] for record in draws.where(variant=name)])
        for name in (BASELINE, *MODULES, experiments.WORDLESS)
    }
    for name in (*MODULES, experiments.WORDLESS):
        print(f"  {name:22}{interval(shares[name] - shares[BASELINE]).verdict()}")

# %% [markdown]
# ### What the learned strengths do
#
# TSAM's interaction adds to each modality what it attends to in the other, times a product of two
# learned numbers ([its chapter](06_tsam.ipynb)). If a network could learn from weak labels how far
# to trust the other modality, the products would fall as the knob is turned up.


# %%
def products(name, words):
    """By level of the knob: the products of the networks, by seed."""
    return {
        level: np.array(
            [
                experiments.strengths(record)[words]
                for record in sweep.where(variant=name, misalignment=level)
            ]
        )
        for level in LEVELS_OF_KNOB
    }


# %% mystnb={"image": {"alt": "The learned products of alpha and beta against misalignment."}}
WORDS = ("audio from visual", "visual from audio")
strengths = {
    name: {words: [interval(v) for v in products(name, words).values()] for words in WORDS}
    for name in ("TSAM", LINK)
}
_ = plots.against_level(
    strengths,
    LEVELS_OF_KNOB,
    "misalignment",
    "alpha times beta",
    "Learned strengths of the interaction (simulated data)",
    zero=False,
)

# %% [markdown]
# *Both products start at a quarter, which is 0.5 times 0.5.*

# %%
print("product at misalignment 2 minus at 0, over draws (simulated):")
for name in strengths:
    for words in WORDS:
        aligned, *_, independent = products(name, words).values()
        change = interval(independent - aligned)
        word = "excludes" if change.excludes_zero else "holds"
        print(
            f"  {name:22}{words}: {change.mean:+.2f} [{change.low:+.2f}, {change.high:+.2f}], "
            f"its interval {word} zero"
        )

# %% [markdown]
# ### When the own modality is not enough
#
# In llp-sim a segment's own features tell most of what happens in it, so there is little that the
# other modality could add. Does a module help where features are noisier? Three more settings,
# each with a draw for every seed: the noise of both modalities one and a half times and twice as
# strong, aligned; and one and a half times as strong, as misaligned as LLP.

# %%
noise = experiments.Stored("noise")
print(noise)
print("segment/type against no module, points (simulated):")
for condition in noise.experiment.conditions:
    times = condition["noise_audio"] / noise.provenance["simulation"]["noise_audio"]
    plain = noise.values("segment/type", variant=BASELINE, **condition)
    print(f"misalignment {condition['misalignment']}, noise x {times:.1f}: {plain.mean():.1f} %")
    for name in MODULES:
        gain = noise.values("segment/type", variant=name, **condition) - plain
        print(f"  {name:26}{interval(gain).verdict()}")
    crossing = plain - noise.values("segment/type", variant=experiments.UNCROSSED, **condition)
    print(f"  {'cross-modal attention':26}{interval(crossing).verdict()}")
    heard = [
        noise.values("segment/audio", variant=name, **condition)
        for name in (BASELINE, experiments.UNCROSSED)
    ]
    print(f"  {'  in what is heard':26}{interval(heard[0] - heard[1]).verdict()}")

# %% [markdown]
# ## What we learned
#
# All of this is about small networks on llp-sim, which is simulated. It is no verdict on LLP.
#
# - Where training has settled, no module of LINK raises the type score here, and all three lower
#   it: over seeds, and over other draws of the videos. Second by second TSAM costs most, through
#   what is seen above all; by whole events PLSIM costs no less, and there, over draws, its words
#   do. After few epochs the picture is another one, for modules change how fast training goes:
#   [S-LOSS](07_s_loss.ipynb) and [PLSIM](08_plsim.ipynb) show their differences early and late. An
#   ablation that stops early, or reports one seed, may show the opposite.
# - S-LOSS is for what is heard and seen at once. No interval shows that it raises that score.
#   Alone it lowers it over seeds, and averaged over the settings of the other modules over draws.
# - **One draw of the data is one sample.** A combination's difference to none mostly spreads more
#   over draws than over seeds. Most verdicts are the same both ways, and not all: what TSAM costs
#   in what is heard shows over seeds alone, and what PLSIM costs in what is heard and seen at once
#   over draws alone. An interval over seeds speaks of one set of videos, and not of others.
# - The modules do not add up. Together they cost less than the sum of what each costs alone, in
#   all of the scores above but that of what is heard.
# - The uni-modal terms raise the audio score. A comparison of LINK with VALOR++ that leaves them
#   out of sight would credit the modules with that.
# - **Misalignment matters most for what is older than LINK.** In the type score, cross-modal
#   attention is worth nothing where sound and picture agree, though what is seen loses there, and
#   it costs more the farther they are apart, and beyond LLP's misalignment no less. What is heard
#   and seen at once gains from it where they agree, and loses some five points where they are
#   farthest apart. As soon as they are apart at all, a network that simply looks at its own
#   modality beats, in type, every variant of these levels. On other draws of videos as misaligned
#   as LLP's, cross-modal attention costs no less.
# - LINK's answer to misalignment is that the network learns how far to trust the other modality.
#   From end to end of the knob its learned strengths change by less than 0.1, and the largest
#   change is the wrong way: with TSAM alone, what is seen takes *more* of a sound that is
#   independent of it. TSAM alone takes more of the other modality than at its start under every
#   setting; with all modules, what is seen takes a little less. Perhaps weak labels say too little
#   about time to teach them; nothing here tests that. A strength alone is not trust either, since
#   what it multiplies can grow or shrink.
# - Copying is what LINK is to prevent. With S-LOSS or with PLSIM alone the network hears fewer
#   events that are only seen; PLSIM's layers do so without a word. With S-LOSS alone it also sees
#   fewer events that are only heard. TSAM does the opposite, both ways round, and with all three
#   at once more of what is only heard is claimed to be seen. Their fewer copies did not bring a
#   better type score. The network without cross-modal attention copies far less, and has the
#   better one wherever sound and picture are apart.
# - Noise changes that for cross-modal attention: where sound and picture agree, it is worth the
#   more the poorer a segment's own features are. It does not change it for LINK: TSAM's cost may
#   shrink with noise, and no gain takes its place. So under no condition tried here does a module
#   raise the type score once training has settled. After
#   few epochs PLSIM does, here and where sound and picture agree
#   ([AVE](14_another_data_set.ipynb)).
# - Why could LLP be different? Real sound and picture share more than llp-sim's
#   [scene and trace](04_simulation.ipynb), real teachers know things that the features do not
#   show, and a training set many times as large leaves less to overfit. The same cells answer that
#   on real features: `LINK_DATASET=llp`, or `link-avvp ablate`.
# - Many intervals stand on this page. One in twenty of those without any effect excludes zero by
#   chance, so a verdict on one score alone is weak evidence.
#
# ## Where paper and book differ
#
# - The paper reports one figure a row; the book reports intervals and pairs the rows. Intervals
#   over seeds are over initial weights, orders and dropout, and not over videos; those over draws
#   are over videos as well.
# - The uni-modal terms are held on in all eight rows and measured apart. In the paper's sum they
#   come with the method.
# - In the paper, by the summary at hand, every module helps on LLP;
#   [published results](../book/published_results.md) have the whole of LINK. The
#   book cannot contradict that from simulated videos, and does not confirm it.
# - These are results on simulated videos as long as `LINK_DATASET` does not name real features:
#   a network of the book's size. More on this in
#   [paper against book](../book/paper_against_book.md).
