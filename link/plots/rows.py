"""What figures with a row for each class share."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from link.events import Parsing, runs
from link.intervals import Interval
from link.parsed_video import readable
from link.plots.style import HEARD, SEEN


def name_classes(axes: Axes, classes: Sequence[str], order: Sequence[int]) -> None:
    """A row for each class, from below in this order."""
    axes.set_yticks(range(len(order)), [readable(classes[index]) for index in order])
    axes.set_ylim(-0.7, len(order) - 0.3)


def mark_interval(axes: Axes, position: int, interval: Interval, colour: str) -> None:
    """A dot in a row, and a line between its bounds."""
    axes.plot([interval.low, interval.high], [position] * 2, color=colour, lw=1.5)
    axes.plot(interval.mean, position, "o", color=colour, ms=5)


def event_rows(axes: Axes, video: Parsing, classes: Sequence[int]) -> None:
    """What is heard and seen of these classes of a video as bars, a row each, from above."""
    seconds = video.segment_seconds
    for grid, colour, shift in ((video.audio, HEARD, -0.2), (video.visual, SEEN, 0.2)):
        for row, index in enumerate(classes):
            bars = [
                (start * seconds, (stop - start) * seconds) for start, stop in runs(grid[:, index])
            ]
            axes.broken_barh(bars, (row + shift - 0.18, 0.36), color=colour)
    axes.set_yticks(range(len(classes)), [readable(video.classes[index]) for index in classes])
    axes.set_ylim(len(classes) - 0.5, -0.5)
    axes.set_xlim(0, len(video.audio) * seconds)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("time (s)")


def occurring(*videos: Parsing) -> np.ndarray:
    """The classes that are heard or seen in any of these, as indices."""
    grids = [grid for video in videos for grid in (video.audio, video.visual)]
    return np.flatnonzero(np.any([grid.any(axis=0) for grid in grids], axis=0))
