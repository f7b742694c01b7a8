"""Chapters 02 and 12: what the encoders get of a video."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from link.plots.style import figure


def segments(frames: np.ndarray, spectrogram: np.ndarray, title: str = "") -> Figure:
    """The frame of each segment above the sound of all.

    `frames` is uint8 (T, H, W, 3), `spectrogram` (n, bands) decibels over the same T seconds.
    """
    count, height, width = frames.shape[:3]
    strip = 0.64 * height / width
    result, (above, below) = figure(
        7.4,
        strip + 2.9,
        rows=2,
        sharex=True,
        gridspec_kw={"height_ratios": [strip, 2]},
    )
    for second, frame in enumerate(frames):
        above.imshow(frame, extent=(second + 0.02, second + 0.98, 0, 1), aspect="auto")
    above.set_ylabel("frame")
    above.yaxis.set_major_locator(NullLocator())
    bands = spectrogram.shape[1]
    image = below.imshow(
        spectrogram.T, origin="lower", extent=(0, count, 0, bands), aspect="auto", cmap="magma"
    )
    below.vlines(range(1, count), 0, bands, color="white", lw=0.8)
    below.set_ylabel("mel band")
    for axes in (above, below):
        axes.set_xlabel("time (s)")
        axes.set_xlim(0, count)
        axes.set_xticks(range(count + 1))
        axes.grid(visible=False)
    result.colorbar(image, ax=below).ax.set_xlabel("dB")
    result.suptitle(title, fontsize=11)
    return result
