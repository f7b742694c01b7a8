"""Chapter 11: what a trained network looks at, knows, believes and gets wrong."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from link.events import Parsing, runs
from link.intervals import Interval
from link.plots.rows import event_rows, mark_interval, name_classes, occurring
from link.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    HEARD,
    ORANGE,
    PURPLE,
    SEEN,
    VERMILION,
    figure,
)

_GROUP_COLOURS = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, BLACK)


def attention_beside_events(
    panels: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]],
    looks: str,
    looked_at: str,
    title: str = "",
) -> Figure:
    """Who looks where, with the events of both sides along the edges.

    A panel's title leads to weights (T, S), white at an even share, and to the segments with an
    event of those who look, boolean (T,), and of those who are looked at, boolean (S,). `looks`
    and `looked_at` are ``heard`` or ``seen``. All panels have one scale of colours.
    """
    result, row = figure(7.4, 3.9, columns=len(panels), sharey=True, squeeze=False)
    reach = max(np.abs(w - 1 / w.shape[1]).max() for w, _, _ in panels.values())
    colour = {"heard": HEARD, "seen": SEEN}
    for axes, (name, (weights, own, other)) in zip(row[0], panels.items(), strict=True):
        even = 1 / weights.shape[1]
        # Segment t covers the time from t to t + 1.
        image = axes.imshow(
            weights,
            cmap="PuOr_r",
            vmin=even - reach,
            vmax=even + reach,
            extent=(0, weights.shape[1], len(weights), 0),
            aspect="auto",
        )
        below = [(start, stop - start) for start, stop in runs(other)]
        axes.broken_barh(below, (len(weights) + 0.3, 0.7), color=colour[looked_at])
        for start, stop in runs(own):
            axes.broken_barh([(-1, 0.7)], (start, stop - start), color=colour[looks])
        axes.set_xlim(-1.1, weights.shape[1])
        axes.set_ylim(len(weights) + 1.1, 0)
        axes.set_xticks(range(0, weights.shape[1] + 1, 2))
        axes.grid(visible=False)
        axes.set_title(name)
        axes.set_xlabel(f"{looked_at}, time (s)")
    row[0, 0].set_ylabel(f"{looks}, time (s)")
    bar = result.colorbar(image, ax=row[0]).ax
    bar.set_xlabel("weight")
    # White in the middle takes colours down to where no weight can be.
    bar.set_ylim(bottom=max(0, image.norm.vmin))
    result.suptitle(title, fontsize=11)
    return result


def planes(panels: dict[str, dict[str, np.ndarray]], shares: dict[str, float]) -> Figure:
    """Points by panel and by group, six groups at most, each plane scaled to its largest point.

    Points are (n, 2); `shares` say how much of the variance the panel's plane holds, in percent.
    """
    result, row = figure(7.4, 2.6, columns=len(panels), sharex=True, sharey=True, squeeze=False)
    for axes, (title, groups) in zip(row[0], panels.items(), strict=True):
        largest = max(np.abs(points).max() for points in groups.values())
        for (name, points), colour in zip(groups.items(), _GROUP_COLOURS, strict=False):
            axes.scatter(*(points / largest).T, s=3, color=colour, alpha=0.5, lw=0, label=name)
        axes.set_title(title)
        axes.set_xlabel(f"{shares[title]:.0f} % of\nvariance")
        axes.set_xticks([])
        axes.set_yticks([-1, 0, 1])
        axes.grid(visible=False)
    handles, names = row[0, 0].get_legend_handles_labels()
    legend = result.legend(
        handles, names, loc="outside lower center", ncols=len(names), columnspacing=1
    )
    for handle in legend.legend_handles:
        handle.set_sizes([30])
        handle.set_alpha(1)
    return result


def reliability_diagram(
    panels: dict[str, dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]],
) -> Figure:
    """Mean probability against the share that is true, and below how many there are of each.

    A panel's title leads to curves by name, each as `link.reliability.Reliability.curve` has it.
    On the dashed diagonal a network is calibrated.
    """
    result, rows = figure(
        7.4,
        4.6,
        columns=len(panels),
        rows=2,
        sharex=True,
        sharey="row",
        squeeze=False,
        gridspec_kw={"height_ratios": [3, 1]},
    )
    for (above, below), (title, curves) in zip(rows.T, panels.items(), strict=True):
        above.plot([0, 1], [0, 1], color=GREY, ls="--", lw=1)
        for (name, (mean, share, _)), colour in zip(curves.items(), _GROUP_COLOURS, strict=False):
            above.plot(mean, share, "o-", color=colour, ms=4, label=name)
        count = next(iter(curves.values()))[2]
        edges = np.linspace(0, 1, len(count) + 1)
        below.stairs(count, edges, color=GREY, fill=True, baseline=1)
        below.set_yscale("log")
        above.set_title(title)
        above.set_xlabel("probability")
        below.set_xlabel("probability")
    rows[0, 0].set_ylabel("share that is true")
    rows[1, 0].set_ylabel("how many")
    rows[0, 0].legend()
    return result


def class_intervals(classes: Sequence[str], panels: dict[str, Sequence[Interval]]) -> Figure:
    """A score and its interval for each class, sorted by the first panel; NaN has no mark."""
    result, row = figure(7.4, 6.6, columns=len(panels), sharey=True, squeeze=False)
    means = np.array([each.mean for each in next(iter(panels.values()))])
    order = np.argsort(np.nan_to_num(means, nan=-1), kind="stable")
    for axes, (title, scores), colour in zip(row[0], panels.items(), (HEARD, SEEN), strict=False):
        for position, index in enumerate(order):
            score = scores[index]
            if not np.isnan(score.mean):
                mark_interval(axes, position, score, colour)
        axes.set_title(title)
        axes.set_xlabel("segment F of the class (%)")
        axes.set_xlim(-3, 103)
    name_classes(row[0, 0], classes, order)
    return result


def compared(true: Parsing, predicted: Parsing, title: str = "") -> Figure:
    """One video twice, as it is annotated and as it is predicted; a row for each class."""
    classes = occurring(true, predicted)
    result, row = figure(7.4, 1.5 + 0.5 * len(classes), columns=2, sharey=True)
    for axes, name, video in zip(row, ("annotated", "predicted"), (true, predicted), strict=True):
        event_rows(axes, video, classes)
        axes.set_title(name)
    result.suptitle(title, fontsize=11)
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in (HEARD, SEEN)]
    result.legend(handles, ["heard", "seen"], loc="outside right center")
    return result
