"""Chapter 04: the simulated benchmark beside the counts that it is drawn from."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from link.plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION, figure


def drawn_against_table(panels: dict[str, tuple[Sequence[float], Sequence[float]]]) -> Figure:
    """A point for each quantity, the table's value to the right and the drawn one up.

    A panel's title leads to both. On the diagonal they are equal.
    """
    result, row = figure(7.4, 2.9, columns=len(panels), squeeze=False)
    for axes, (title, (table, drawn)) in zip(row[0], panels.items(), strict=True):
        largest = 1.05 * max(*table, *drawn)
        axes.plot([0, largest], [0, largest], color=GREY, lw=1)
        axes.plot(table, drawn, "o", color=BLUE, ms=4, alpha=0.6)
        axes.set_title(title)
        axes.set_xlabel("counted in LLP")
        axes.set_aspect("equal")
    row[0, 0].set_ylabel("drawn (simulated)")
    return result


def over_knob(knob: Sequence[float], panels: dict[str, dict[str, Sequence[float]]]) -> Figure:
    """Lines over the misalignment `knob`, by panel and by name; a dashed line where LLP is."""
    result, row = figure(7.4, 3.2, columns=len(panels), squeeze=False)
    for axes, (title, lines) in zip(row[0], panels.items(), strict=True):
        colours = (BLUE, ORANGE, GREEN, VERMILION)
        for (name, values), colour in zip(lines.items(), colours, strict=False):
            axes.plot(knob, values, "o-", color=colour, ms=4, label=name)
        axes.axvline(1, color=BLACK, ls="--", lw=1)
        axes.set_title(title)
        axes.set_xlabel("misalignment")
        axes.set_ylim(0, None)
        axes.legend(frameon=True, edgecolor="white")
    return result


def margins(panels: dict[str, dict[str, np.ndarray]]) -> Figure:
    """How logits lie to their threshold, as shares by panel and by name; a dashed line at it."""
    result, row = figure(7.4, 3.2, columns=len(panels), sharex=True, sharey=True, squeeze=False)
    everything = np.concatenate([each for groups in panels.values() for each in groups.values()])
    edges = np.linspace(everything.min(), everything.max(), 51)
    for axes, (title, groups) in zip(row[0], panels.items(), strict=True):
        for (name, values), colour in zip(groups.items(), (BLUE, PURPLE, GREY), strict=True):
            share = 100 * np.histogram(values, edges)[0] / values.size
            axes.stairs(share, edges, color=colour, lw=1.8, label=name)
        axes.axvline(0, color=BLACK, ls="--", lw=1)
        axes.set_title(title)
        axes.set_xlabel("logit minus threshold")
    row[0, 0].set_ylabel("share of its group (%)")
    result.legend(*row[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return result
