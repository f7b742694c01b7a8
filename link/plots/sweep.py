"""Chapters 8 and 10: what changes as a knob of the simulation is turned."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from link.intervals import Interval
from link.plots.style import BLACK, BLUE, GREEN, ORANGE, PURPLE, VERMILION, figure

_COLOURS = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, BLACK)
_MARKS = ("o", "s", "^", "D", "v", "P")


def against_level(
    panels: dict[str, dict[str, Sequence[Interval]]],
    levels: Sequence[float],
    xlabel: str,
    ylabel: str,
    title: str = "",
    zero: bool = True,
    colours: dict[str, str] | None = None,
) -> Figure:
    """Means with their intervals against the level of a knob; a panel leads to curves by name.

    Curves stand a little apart, so that their bars do not hide each other. With ``zero`` there is
    a line where a difference is none. Panels of one curve need no legend. ``colours`` are those of
    curves, by name, that have one of their own.
    """
    result, row = figure(7.4, 3.6, columns=len(panels), sharey=True, squeeze=False)
    colours = colours or {}
    apart = 0.02 * (max(levels) - min(levels))
    for axes, (name, curves) in zip(row[0], panels.items(), strict=True):
        if zero:
            axes.axhline(0, color=BLACK, lw=1)
        middle = (len(curves) - 1) / 2
        for index, (curve, intervals) in enumerate(curves.items()):
            places = [level + apart * (index - middle) for level in levels]
            means = [each.mean for each in intervals]
            reach = [
                [each.mean - each.low for each in intervals],
                [each.high - each.mean for each in intervals],
            ]
            axes.errorbar(
                places,
                means,
                reach,
                color=colours.get(curve, _COLOURS[index % len(_COLOURS)]),
                marker=_MARKS[index % len(_MARKS)],
                ms=5,
                lw=1.3,
                label=curve,
            )
        axes.set_title(name)
        axes.set_xlabel(xlabel)
        axes.set_xticks(levels)
    row[0, 0].set_ylabel(ylabel)
    handles, names = row[0, 0].get_legend_handles_labels()
    if len(names) > 1:
        result.legend(handles, names, loc="outside lower center", ncols=min(3, len(names)))
    result.suptitle(title, fontsize=11)
    return result
