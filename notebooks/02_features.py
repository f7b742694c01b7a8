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
# # Features: from a file to ten segments
#
# A network for video parsing never sees a video. It reads two rows of numbers a second, which two
# pretrained encoders have made: CLIP {cite}`radford2021clip` of the picture and CLAP
# {cite}`wu2023clap` of the sound. This chapter follows a file from the disk to these numbers, as
# VALOR {cite}`lai2023valor` did it: details that look like taste decide whether features fit the
# networks and the thresholds that were made for them.
#
# :::{important}
# The encoders' weights are gigabytes, and this book downloads nothing behind your back. Where the
# Hugging Face cache on your disk does not have them, the chapter runs the same libraries with
# **random weights** and says so below. Then what the encoders compute means nothing. Shapes, times
# of frames, sizes and the matrix below are real all the same.
# :::

# %%
import os

# This chapter measures time: MKL may go its quickest way, not the one that all processors have.
os.environ.setdefault("MKL_CBWR", "AUTO")

from link.notebook import source

import time

import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from at_hand import chapter_encoders, chapter_video, folder
from link import plots, windows
from link.clap_input import log_mel
from link.extraction import extract
from link.features import audio_map_matrix
from link.media import probe, read_windows, ticks_of

# %% tags=["nbval-ignore-output"]
clip, clap = chapter_encoders()

# %% [markdown]
# There is no video in this repository, so the chapter draws one. The variable `LINK_VIDEO` names
# yours in its place.

# %%
video = chapter_video()
info = probe(video)
print(
    f"{info.duration:.1f} s, {info.size[0]} x {info.size[1]} pixels at {info.fps:.0f} per second"
)
print(f"{len(info.video.stamps)} frames, sound: {info.has_audio}")

# %% [markdown]
# ## Which frames
#
# A video is cut into $T = 10$ segments, and a segment has one frame. VALOR first lets ffmpeg copy
# the video at 8 frames a second. Of the $n$ frames of that copy it takes
#
# $$
# i_t = \operatorname{round}\left( \frac{t\,(n - 1)}{T - 1} \right), \qquad t = 0, \dots, T - 1 .
# $$
#
# So the first frame is the first of the video and the last is the last. Frames are not taken from
# the middles of the seconds: the first stands at the start of its second, the last at the end.

# %%
shown = windows.constant_rate(*ticks_of(info))
chosen = shown[windows.evenly(len(shown), 10)]
stamps = info.video.stamps - info.video.origin
times = stamps[chosen] * float(info.video.time_base)
print(f"{len(shown)} frames at 8 per second; the ten are, of the file's own frames,")
print(chosen.tolist())
print("seconds:", times.round(2).tolist())

# %% [markdown]
# These are more frames than ten seconds hold at 8 a second. ffmpeg's way to a constant rate is not
# "the frame nearest to each tick". It walks through the frames, and drops one only where it ends
# more than 1.1 ticks too early. So the copy of a fast video lags: at each tick it shows what was
# on screen a little more than a tick earlier, and it is longer than the video.
#
# Does it matter? Here are videos of ten seconds at several rates. How far from the frame nearest
# to its tick is the one that ffmpeg takes, and does any of the ten frames fall out of its second?


# %%
def ten_frames(fps):
    """Times of the ten frames as ffmpeg's copy has them, and of those nearest to the ticks."""
    times = np.arange(round(10 * fps)) / fps
    ticks = times * windows.TICKS_PER_SECOND
    lengths = np.full(len(ticks), min(windows.TICKS_PER_SECOND / fps, 1.0))
    copied = windows.constant_rate(ticks, lengths)
    nearest = [np.abs(ticks - tick).argmin() for tick in range(80)]
    return times[copied[windows.evenly(len(copied), 10)]], times[nearest][windows.evenly(80, 10)]


rows = []
for fps in (5, 12, 15, 24, 25, 30, 60):
    copied, nearest = ten_frames(fps)
    seconds = np.arange(10)
    rows.append(
        {
            "rate": fps,
            "apart by (s)": np.abs(copied - nearest).max().round(2),
            "outside, ffmpeg's": ((copied < seconds) | (copied >= seconds + 1)).sum(),
            "outside, nearest": ((nearest < seconds) | (nearest >= seconds + 1)).sum(),
        }
    )
pd.DataFrame(rows).set_index("rate")

# %% [markdown]
# *By frames per second: the largest distance between the frame that ffmpeg takes and the nearest
# one, and how many of the ten stand outside of the second for which they stand, either way.*
#
# The distance is small against a second. But it is another frame, and one of the ten may show what
# was to be seen a moment before its second began. Whoever takes the nearest frames gets features
# that agree with VALOR's only nearly.
#
# ## Which samples
#
# The sound is decoded, mixed to one channel and resampled to 48,000 samples a second, then cut
# into ten equal parts:

# %%
source(windows.split_sound)

# %% [markdown]
# `read_windows` does all of this for a file of any length, ten seconds at a time. For a file of
# ten seconds it gives the one clip that VALOR would cut.

# %%
cut = next(read_windows(video))
print("frames     ", cut.frames.shape, cut.frames.dtype)
print("waveform   ", cut.waveform.shape, cut.waveform.dtype)
print("in segments", cut.sounds().shape)
print("a frame for CLIP", clip.prepare(cut.frames[0]).shape)

# %% [markdown]
# Before CLIP sees a frame, it is *squashed* to a square of 224 pixels. CLIP's own preparation
# would cut a square out of the middle, and lose what happens at the sides; VALOR's keeps
# everything and distorts it. The thresholds of the next chapter belong to distorted pictures.

# %% mystnb={"image": {"alt": "Ten frames in a row above a spectrogram of ten seconds."}}
spectrogram = log_mel(torch.from_numpy(cut.waveform)).numpy()
_ = plots.segments(cut.frames, spectrogram)

# %% [markdown]
# *The ten frames that stand for ten seconds, above the sound as CLAP reads it: power in 64 bands
# from 50 to 14,000 Hz. What is seen and what is heard do not begin or end together.*

# %% [markdown]
# ## What the encoders make of them
#
# `extract` is what the command `link-avvp extract VIDEOS --out STORE` calls. It writes one file an
# array, whatever the number of videos.

# %%
store = extract({video.stem: video}, folder() / "features", clip, clap)
for name, array in store.arrays().items():
    size = (store.path / f"{name}.npy").stat().st_size
    print(f"{name:8s}{array.shape!s:16s}{array.dtype!s:9s}{size:7,d} bytes")
features = store.features
norms = [np.linalg.norm(array, axis=-1) for array in (features.visual, features.sound)]
print("visual and sound have length 1:", all(np.allclose(norm, 1, atol=1e-5) for norm in norms))

# %% [markdown]
# - `visual` is CLIP's embedding of each frame. The network reads it, and captions are compared
#   with it.
# - `sound` is CLAP's embedding of each second by itself. Captions are compared with it.
# - `audio` comes from CLAP's *map* of the whole clip, of which more below. The network reads it.
# - `heard` and `seen` say which segments the sound and the picture reach; `starts` is where each
#   clip begins in its video.
#
# A video is decoded and encoded once; pseudo-labels with other captions, another network, or the
# teachers alone then start from these arrays. One file an array, because a hundred thousand small
# files are slow to copy, to open and to count; the arrays are memory-mapped, so that opening a
# store reads nothing. What is there is not computed again:

# %%
encoded = []
again = extract(
    {video.stem: video}, store.path, clip, clap, on_progress=lambda p: encoded.append(p)
)
print("clips encoded by the second call:", sum(progress.clips for progress in encoded))
per_clip = sum(array[:1].nbytes for array in again.arrays().values())
print(f"{per_clip:,d} bytes a clip: {11_849 * per_clip / 1e9:.2f} GB for the 11,849 videos of LLP")

# %% [markdown]
# ## The audio map
#
# Before CLAP pools what it has heard to one vector, it has a map of $2 \times 32$ cells: two bands
# of frequency, 32 steps of time, 768 features each. VALOR publishes these 64 cells. Its network
# upsamples them bicubically to $2 \times 1024$, projects every one of the 2048 to the hidden
# width, averages the two bands, and pools 1024 steps to ten segments.
#
# All of that but the projection is linear over cells and the same for every feature. So it is one
# matrix, and it commutes with the projection $P$: with cells $u_k$ and bias $b$,
#
# $$
# a_t = \sum_{k=1}^{64} M_{t,k} \left( P u_k + b \right) = P \sum_{k=1}^{64} M_{t,k}\, u_k + b,
# \qquad \sum_k M_{t,k} = 1 .
# $$

# %% mystnb={"image": {"alt": "Two heat maps: each segment weighs three or four cells of time."}}
matrix = audio_map_matrix()
panels = {"cells, first band": matrix[:, :32], "cells, second band": matrix[:, 32:]}
_ = plots.heat_maps(panels, "cell in time", "segment", "weight")
print("shape", matrix.shape, "- rows sum to one:", np.allclose(matrix.sum(axis=1), 1))

# %% [markdown]
# *Each segment is a weighted mean over the cells of its own second and its neighbours. The bands
# count alike. Bicubic interpolation overshoots, hence the faint negative weights.*
#
# The matrix is applied once, when features are stored: 10 rows a clip in place of 64, and a
# network that projects 10 cells in place of 2048. Is it exact?

# %%
torch.manual_seed(0)
cells = torch.randn(4, 64, 768)
project = torch.nn.Linear(768, 256)
with torch.no_grad():
    grid = cells.unflatten(1, (2, 32)).permute(0, 3, 1, 2)
    grid = functional.interpolate(grid, (2, 1024), mode="bicubic", align_corners=False)
    long_way = project(grid.permute(0, 2, 3, 1)).mean(dim=1)
    long_way = functional.adaptive_avg_pool1d(long_way.mT, 10).mT
    short_way = project(torch.from_numpy(matrix).float() @ cells)
difference = (long_way - short_way).abs().max().item()
print("the long way", tuple(long_way.shape), "and the short way", tuple(short_way.shape))
print("differ by less than 0.00001:", difference < 1e-5)


# %% tags=["nbval-ignore-output"]
def seconds_for(work, times=5):
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times


with torch.no_grad():
    upsampled = torch.randn(4, 2048, 768)
    long_time = seconds_for(lambda: project(upsampled))
    short_time = seconds_for(lambda: project(short_way.new_zeros(4, 10, 768)), 50)
print(f"the projection of 2048 cells takes {long_time / short_time:.0f} times as long as of 10")

# %% [markdown]
# ## Experiment: does a second of the map know of the others?
#
# `sound` of a second is computed from that second alone. The map is computed from ten seconds at
# once. CLAP's transformer could keep to the neighbourhood of each cell, or it could mix all of
# them. If it mixes, then the network's audio features of a second speak of other seconds too,
# and a label that is exact to the second meets features that are not.
#
# Silence one second at a time, and see which segments of the map change, relative to their length.

# %%
bounds = np.linspace(0, len(cut.waveform), 11).round().astype(int)
silenced = [cut.waveform.copy() for _ in range(10)]
for second, waveform in enumerate(silenced):
    waveform[bounds[second] : bounds[second + 1]] = 0
before, *after = matrix @ clap.map_sounds([cut.waveform, *silenced])
change = np.linalg.norm(after - before, axis=2) / np.linalg.norm(before, axis=1)
print("segments that change, whichever second is silenced:", (change > 1e-5).all(axis=0).sum())

# %% mystnb={"image": {"alt": "Heat map of changes."}} tags=["nbval-ignore-output"]
axes = "segment of the map", "second silenced", "relative change"
_ = plots.heat_maps({"": change}, *axes, one_sided=True)
own = np.diag(change).sum() / change.sum()
print(f"{own:.0%} of all change is in the second that was silenced, with the weights at hand;")
print("10% would be an even share")

# %% [markdown]
# *A cell says how much a segment of the map changes when a second of the sound is silenced. Were
# the map local, only the diagonal would be coloured. With random weights the strengths, and the
# share printed above, say nothing of the trained CLAP; that no cell is zero does.*
#
# The side bands two to three seconds off come from the architecture, trained or not. CLAP folds
# its spectrogram into a square, four strips of two and a half seconds below one another, so that
# sounds two and a half seconds apart are neighbours.
#
# No segment of the map is free of the rest of the clip. The reason is in the architecture, so it
# holds for any weights: in the last of the transformer's stages, attention spans all cells. This
# is why the book's audio features and its audio pseudo-labels come from two different arrays, and
# why priors that are made from the published maps, for want of the sounds, are only nearly right.

# %% [markdown]
# ## Longer videos
#
# A longer video is read in windows of ten seconds. To store features, they do not overlap, but for
# the last, which ends with the video. To parse, a new one starts every five seconds: a second at
# the edge of one window is in the middle of another, and the probabilities are averaged.

# %%
for hop in (10, 5):
    print(f"37 seconds, a window every {hop}:")
    for start in windows.window_starts(37, hop):
        print(f"{start:4d} {' ' * start}{'=' * 10}")

# %%
source(windows.window_starts)

# %% [markdown]
# Windows are decoded one after another, and each file once. Memory holds two or three of them,
# whether the video lasts a minute or three hours.

# %% [markdown]
# ## How long it takes
#
# Seconds for this one clip, on one processor core of the machine that built this page.

# %% tags=["nbval-ignore-output"]
frames = [clip.prepare(frame) for frame in cut.frames]
parts = {
    "decoding picture and sound": lambda: next(read_windows(video, transform=clip.prepare)),
    "CLIP, ten frames": lambda: clip.embed_frames(frames),
    "CLAP, the map of ten seconds": lambda: clap.map_sounds([cut.waveform]),
    "CLAP, ten single seconds": lambda: clap.embed_sounds(cut.sounds()),
}
lines = [f"{name:30s}{seconds_for(work, 1):6.2f} s" for name, work in parts.items()]
print("\n".join(lines))
print(f"CLIP has {sum(p.numel() for p in clip.network.parameters()) / 1e6:,.0f} million weights")

# %% [markdown]
# CLAP's audio half has its real size in either case, so its times are real. ViT-L/14 has 428
# million weights; if the line above says less, then CLIP's time is that of a small stand-in. CLAP
# fills up every second to ten by repeating it, so ten single seconds are the work of ten clips. In
# `extract`, decoding runs beside the encoders.
#
# ## What we learned
#
# - A segment is one frame and a tenth of the sound. The frame is not from the middle of its
#   second, and which one it is depends on how ffmpeg thins out frames.
# - CLIP sees squashed pictures. Thresholds and networks belong to that choice.
# - VALOR's upsampling, averaging and pooling of the audio map are one matrix of 10 rows and 64
#   columns, applied once.
# - The map mixes all ten seconds. What a network reads of a second's sound is not confined to it;
#   what is compared with captions is.
#
# ## Where paper and book differ
#
# LINK takes its features from VALOR and adds nothing. The book's differ from the published ones in
# three points.
#
# - **JPEG.** VALOR's frames went through ffmpeg's JPEG compression on a disk. Ours never leave
#   memory.
# - **Crops.** Of a sound longer than ten seconds CLAP's code takes crops at random. Ours are the
#   middle ones, so that a sound has one embedding. Clips of LLP last ten seconds and are hardly
#   touched.
# - **Motion.** VALOR also has motion features, from R(2+1)D {cite}`tran2018r2plus1d`. The package
#   reads the published ones but computes none, so a network that is to parse videos of your own is
#   trained without them.
