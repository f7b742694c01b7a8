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
# # What it costs
#
# How many numbers does LINK add to VALOR++, how much arithmetic, how much memory and how much
# time? Counts say what must be done and come out alike everywhere; times say what it takes here.
# For a large network the two tell much the same story, for a small one they do not.
#
# **Counts on this page are exact, times are not.** Counts depend on sizes alone, so they hold for
# real and simulated features alike. Times are of one core of the machine that ran this page. They
# are shown as shares and ratios, and differ from run to run.

# %%
import os

# This chapter measures time: MKL may go its quickest way, not the one that all processors have.
os.environ.setdefault("MKL_CBWR", "AUTO")

from link.notebook import chapter_dataset, chapter_network, source

from dataclasses import replace

import pandas as pd

from link import cost, plots
from link.model import LinkConfig
from link.trial import TEXT_DIMS, Trial

dataset = chapter_dataset(priors=True)
small, full = chapter_network(dataset), LinkConfig()
SMALL, FULL = f"as for {dataset.name}", "VALOR++'s size"
texts = tuple(each.shape[1] for each in (dataset.audio_text, dataset.visual_text))
for name, config in {FULL: full, SMALL: small}.items():
    print(f"{name}: {config.hidden} wide, {config.layers} layers, features of", end=" ")
    print(f"{config.audio_dim}, {config.visual_dim} and {config.motion_dim}")

# %% [markdown]
# ## What is counted
#
# - **Parameters**: trained numbers.
# - **Multiply-adds** of matrix products and convolutions. The forward pass is all of inference; a
#   step of training has the backward pass besides.
# - **Kept**: bytes of activations that the forward pass keeps for the backward pass.
# - **Peak**: bytes of activations that are alive at most while a part runs in inference.
#
# The parts are run one by one on what they are given in the network, with torch's own counter:

# %%
source(cost.multiply_adds)

# %% [markdown]
# ## The table
#
# All of LINK at VALOR++'s size, per video of ten seconds; batches of four are counted. Parameters
# are in thousands, multiply-adds in millions.

# %%
BATCH = 4


def table(config, text_dims):
    counted = cost.cost(config, BATCH, text_dims)
    rows = {
        part: {
            "parameters": each.parameters,
            "forward": each.forward // BATCH,
            "backward": each.backward // BATCH,
            "kept, kB": round(each.kept / BATCH / 1e3),
            "peak, kB": round(each.peak / BATCH / 1e3),
        }
        for part, each in counted.items()
    }
    found = pd.DataFrame(rows).T
    found.loc["all"] = found.sum()
    found.loc["all", "peak, kB"] = found["peak, kB"].iloc[:-1].max()
    return found


# %%
def shown(counts):
    """Parameters in thousands, multiply-adds in millions."""
    units = {"parameters": 1e3, "forward": 1e6, "backward": 1e6}
    rounded = {
        m: (counts[m] / units[m]).round(2) if m in units else counts[m].astype(int) for m in counts
    }
    return pd.DataFrame(rounded).rename(
        columns={"parameters": "param., k", "forward": "forward, M", "backward": "backward, M"}
    )


at_full = table(full, TEXT_DIMS)
shown(at_full)

# %%
at_small = table(small, texts)
shown(at_small)

# %% [markdown]
# *Above VALOR++'s size, below that of the network which the chapters train on their data set.
# Multiply-adds and bytes are per video; the peak of all is that of the largest part, since parts
# run one after another.*

# %% mystnb={"image": {"alt": "Bars of shares by part: parameters, multiply-adds, kept bytes."}}
measures = ["parameters", "forward", "backward", "kept, kB"]
_ = plots.stacked_shares({m: at_full[m].drop("all").to_dict() for m in measures})

# %% [markdown]
# *Shares of the parts at VALOR++'s size. What keeps more than it computes, such as TSAM, works
# element by element.*
#
# What do LINK's modules add to a network of the same size without them?

# %%
plain = table(replace(full, tsam=False, s_loss=False, plsim=False), TEXT_DIMS)
lines = ["added to the network without modules, at VALOR++'s size, in %"]
for title, switches in {"TSAM": "tsam", "S-LOSS": "s_loss", "PLSIM": "plsim"}.items():
    on = {name: name == switches for name in ("tsam", "s_loss", "plsim")}
    with_it = table(replace(full, **on), TEXT_DIMS).loc["all"] / plain.loc["all"]
    extra = "  ".join(f"{m} {100 * (with_it[m] - 1):6.2f}" for m in measures)
    lines.append(f"  {title:7} {extra}")
print("\n".join(lines))

# %% [markdown]
# ## By hand
#
# The formula below was written from the equations, not from the code. With $T$ segments, width
# $d$, $L$ layers, feed-forward width $F$, $C$ classes, inputs of widths $D_a, D_v, D_m$, text
# features of widths $E_a$ and $E_v$, and half as many hidden units as segments in the MLP of TSAM:
#
# $$
# \begin{aligned}
# \text{projection} &= T d\,(D_a + D_v + D_m + 2 d) \\
# \text{TSAM} &= 2 \left( 2 T^2 + 14\, d \right) + 4\, T^2 d \\
# \text{encoder} &= 4 L \left( 4\, T d^2 + 2\, T^2 d + T d F \right) \\
# \text{PLSIM} &= \textstyle\sum_{E} \left( T C E + 2\, T (E d + d^2) \right) \\
# \text{pooling} &= 6\, T d\, C \\
# \text{loss} &= T^2 (d + C)
# \end{aligned}
# $$
#
# An attention layer has four projections of $T d^2$ and two products of $T^2 d$; an encoder layer
# has two of them, for self and for cross, and two layers of $T d F$ behind. It is run for both
# modalities. The 14 of TSAM is a convolution over the width with a kernel of 7 and two inputs, the
# mean and the maximum over time.


# %%
def by_hand(c, text_dims):
    T, d, L, F, C = c.segments, c.hidden, c.layers, c.feed_forward, c.classes
    motion = c.motion_dim + 2 * d if c.motion_dim else 0
    return {
        "projection": T * d * (c.audio_dim + c.visual_dim + motion),
        "TSAM": 2 * (2 * T**2 + 14 * d) + 4 * T**2 * d,
        "encoder": 4 * L * (4 * T * d**2 + 2 * T**2 * d + T * d * F),
        "PLSIM": sum(T * C * E + 2 * T * (E * d + d**2) for E in text_dims),
        "pooling": 6 * T * d * C,
        "loss": T**2 * (d + C),
    }


for name, config, dims, counted in (
    (FULL, full, TEXT_DIMS, at_full),
    (SMALL, small, texts, at_small),
):
    for part, expected in by_hand(config, dims).items():
        found = int(counted.loc[part, "forward"])
        verdict = "as by hand" if found == expected else f"by hand {expected:,d}"
        print(f"{name:16}{part:11}{found:13,d}  {verdict}")

# %% [markdown]
# A common rule says that the backward pass costs twice the forward pass: a product for the
# gradient of the weights, one for that of the input. Where the input needs none, only the first
# is computed. Does the rule hold?

# %%
ratio = at_full["backward"] / at_full["forward"]
for part, value in ratio.items():
    print(f"{part:11}backward {value:.2f} times forward")

# %% [markdown]
# Below 2 are parts that read what needs no gradient: features, the text of the pseudo-labels, and
# the labels of the loss.
#
# ## Memory in training
#
# Weights, their gradients and AdamW's two moments are four numbers a parameter; activations grow
# with the batch. Where do they meet?

# %%
four = 4 * 4 * at_full.loc["all", "parameters"]
kept = 1e3 * at_full.loc["all", "kept, kB"]
print(f"weights, gradients, moments: {four / 1e6:.0f} MB")
print(f"activations of 64 videos:    {64 * kept / 1e6:.0f} MB")
print(f"as much from a batch of      {four / kept:.0f} videos on")
print(f"inference of 64 videos:      {64 * at_full.loc['all', 'peak, kB'] / 1e3:.0f} MB at most,")
print(f"                             and {four / 4e6:.0f} MB of weights")

# %% [markdown]
# ## Against width and length
#
# The width of the features, of the feed-forward network in step with it; and the number of
# segments. The inputs keep their sizes.

# %%
WIDTHS = (64, 128, 256, 512)
LENGTHS = (10, 20, 40, 80)


def totals(configs):
    found = [cost.cost(each, 2, TEXT_DIMS).values() for each in configs]
    return {
        "parameters": [sum(part.parameters for part in parts) for parts in found],
        "multiply-adds": [sum(part.forward + part.backward for part in parts) for parts in found],
        "kept bytes": [sum(part.kept for part in parts) for parts in found],
    }


wide = totals([replace(full, hidden=d, feed_forward=4 * d) for d in WIDTHS])
long = totals([replace(full, segments=t) for t in LENGTHS])
for name, sizes, counts in (("width", WIDTHS, wide), ("segments", LENGTHS, long)):
    for measure, values in counts.items():
        grown = "  ".join(f"{value / values[0]:6.2f}" for value in values)
        print(f"{measure:14} at {name} {sizes}, relative: {grown}")

# %% mystnb={"image": {"alt": "Growth of parameters, multiply-adds and kept bytes with size."}}
_ = plots.growth({"width": (WIDTHS, wide), "segments": (LENGTHS, long)}, "times the first")

# %% [markdown]
# *Dotted: in step with the size. A line twice as steep on these axes grows with the square.*
#
# Attention compares every segment with every other, so a network must at some length grow with
# the square of it. How near is that?


# %%
def square_share(config):
    T, d, C = config.segments, config.hidden, config.classes
    square = 2 * config.layers * 4 * T**2 * d + 4 * T**2 * (d + 1) + T**2 * (d + C)
    return 100 * square / sum(by_hand(config, TEXT_DIMS).values())


for T in (*LENGTHS, 600):
    share = square_share(replace(full, segments=T))
    print(f"{T:4d} segments: {share:5.1f} % of the forward pass grow with the square")

# %% [markdown]
# ## Where the time goes
#
# By part, on one core, at VALOR++'s size. Beside it the share that the part has of the
# multiply-adds: if time were arithmetic, the two would agree.

# %% tags=["nbval-ignore-output"]
trial = Trial.make(full, 16)
inference = cost.seconds(trial, repeats=3, training=False)
counts = at_full["forward"].drop(["all", "loss"])
rows = {
    part: {
        "% of time": 100 * inference[part] / sum(inference.values()),
        "% of multiply-adds": 100 * counts[part] / counts.sum(),
    }
    for part in counts.index
}
pd.DataFrame(rows).T.round(1)

# %% mystnb={"image": {"alt": "Shares of time."}} tags=["nbval-ignore-output"]
timed = {FULL: Trial.make(full, 16), SMALL: Trial.make(small, 32, texts)}
trained = {name: cost.seconds(each) for name, each in timed.items()}
for name, each in timed.items():
    share = 100 * cost.product_share(each)
    print(f"{name}: {share:.0f} % of the time within operations are matrix products")
_ = plots.stacked_shares(trained)

# %% [markdown]
# *A step of training. Parts of the network are those of the forward pass; the backward pass is one
# piece. The smaller the network, the less of the time are products, and the more is what works
# element by element, and what each operation takes whatever its size.*
#
# ### Time against batch, width and length
#
# Seconds a video in a step of training, relative to the smallest; in step would mean that twice
# the size takes twice as long.


# %% tags=["nbval-ignore-output"]
def per_video(config, batch):
    trial = Trial.make(config, batch)
    # The least of several, so that one disturbance does not decide.
    return min(sum(cost.seconds(trial, repeats=1).values()) for _ in range(3)) / batch


BATCHES = (1, 4, 16)
times = {
    "batch": (BATCHES, [per_video(full, size) for size in BATCHES]),
    "width": (
        WIDTHS[:3],
        [per_video(replace(full, hidden=d, feed_forward=4 * d), 8) for d in WIDTHS[:3]],
    ),
    "segments": (LENGTHS[:3], [per_video(replace(full, segments=t), 4) for t in LENGTHS[:3]]),
}
for name, (sizes, values) in times.items():
    relative = "  ".join(f"{value / values[0]:5.2f}" for value in values)
    print(f"{name:9}{sizes!s:16} {relative}")

# %% [markdown]
# A batch shares what does not depend on it: the optimiser's step, and reading the weights. From
# some size on there is nothing left to share. With width and with segments time is not in step
# either: compare these rows with those of multiply-adds above.
#
# ## A whole training

# %%
steps = at_full.loc["all", "forward"] + at_full.loc["all", "backward"]
videos, epochs = 10_000, 60
print(f"{epochs} epochs of {videos:,d} videos: {2 * steps * videos * epochs / 1e15:.2f} PFLOP")
once = 2 * at_full.loc["all", "forward"] * videos
print(f"one pass over them in inference: {once / 1e12:.1f} TFLOP")

# %% [markdown]
# How long that takes is the matter of [speed](../book/speed.md), which measures it against the
# published procedure and the machine's own limit.
#
# ## What we learned
#
# - The encoder is most of the arithmetic and of the memory. TSAM and S-LOSS add next to nothing
#   to the arithmetic and little to the memory, PLSIM the share that is printed above.
# - Counting by hand and counting by machine agree to the last product, which says that both
#   the formula and the code are of the same network.
# - The backward pass is twice the forward pass only where the input needs a gradient.
# - Ten segments are far from where attention's square matters. The multiply-adds of longer videos
#   grow nearly in step with their length while the printed share of the square is small. Kept
#   bytes grow faster.
# - At VALOR++'s size time roughly follows arithmetic: the two columns nearly agree, except that
#   TSAM and pooling, which are small, take more of the time than of the counts. In the small
#   network, where matrix products are a minor part of the time, it does not.
#
# ## Where paper and book differ
#
# - As far as our summary of it goes, the paper gives no account of cost, so there is nothing to
#   compare with.
# - The sizes are VALOR++'s and the input features those of its published folders; the encoders
#   that make them cost more than everything on this page, and are used once.
