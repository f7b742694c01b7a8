"""Chapters 05 and 06, and wherever else there are curves or matrices."""

from collections.abc import Collection, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from link.events import runs
from link.plots.style import BLACK, BOTH, GREY, HEARD, PURPLE, SEEN, SKY, VERMILION, YELLOW, figure


def curves(
    panels: dict[str, dict[str, Sequence[float]]],
    xlabel: str,
    ylabel: str = "",
    first: int = 1,
    marked: int | None = None,
) -> Figure:
    """Lines by panel and by name, from the abscissa `first` on; a dashed line at `marked`.

    Lines named ``audio``, ``visual`` and ``audio-visual`` have their modality's colour. Others,
    six at most in a panel, have one that no modality has. A name has one colour in all panels.
    """
    result, row = figure(7.4, 3.8, columns=len(panels), squeeze=False)
    colours = dict(_MODALITY_COLOURS)
    for axes, (title, lines) in zip(row[0], panels.items(), strict=True):
        for name, values in lines.items():
            if name not in colours:
                colours[name] = _free_colour(colours, lines)
            steps = range(first, first + len(values))
            axes.plot(steps, values, label=name, color=colours[name], lw=1.8)
        if marked is not None:
            axes.axvline(marked, color=BLACK, ls="--", lw=1)
        axes.set_title(title)
        axes.set_xlabel(xlabel)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        # Below the panel it hides no curve; long names stand in one column, or it is too wide.
        columns = 1 if max(map(len, lines)) > 12 else 2
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=columns)
    row[0, 0].set_ylabel(ylabel)
    return result


def _free_colour(colours: dict[str, str], panel: Collection[str]) -> str:
    """A colour that no name has yet, or else none of this panel."""
    here = {colours[name] for name in panel if name in colours}
    unused = [each for each in _OTHER_COLOURS if each not in colours.values()]
    return next(each for each in (*unused, *_OTHER_COLOURS) if each not in here)


_OTHER_COLOURS = (BLACK, PURPLE, VERMILION, SKY, GREY, YELLOW)
_MODALITY_COLOURS = {"audio": HEARD, "visual": SEEN, "audio-visual": BOTH}


def heat_maps(
    panels: dict[str, np.ndarray],
    xlabel: str,
    ylabel: str,
    quantity: str,
    centre: float = 0.0,
    reach: float | None = None,
    title: str = "",
    one_sided: bool = False,
) -> Figure:
    """Matrices in one scale of colours: white at `centre`, full at a distance of `reach` from it.

    Without `reach` the scale goes as far as the entries do. NaN is drawn grey. With ``one_sided``
    there is nothing below `centre`, and the scale begins there.
    """
    reach = reach or max(np.nanmax(np.abs(matrix - centre)) for matrix in panels.values())
    lowest = centre if one_sided else centre - reach
    colours = plt.get_cmap("Oranges" if one_sided else "PuOr_r").with_extremes(bad="#BBBBBB")
    result, row = figure(7.4, 3.2, columns=len(panels), sharey=True, squeeze=False)
    for axes, (name, matrix) in zip(row[0], panels.items(), strict=True):
        image = axes.imshow(matrix, cmap=colours, vmin=lowest, vmax=centre + reach, aspect="auto")
        axes.grid(visible=False)
        axes.set_title(name)
        axes.set_xlabel(xlabel)
    row[0, 0].set_ylabel(ylabel)
    result.colorbar(image, ax=row[0]).ax.set_xlabel(quantity)
    result.suptitle(title, fontsize=11)
    return result


def weights_over_time(
    videos: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]],
) -> Figure:
    """A weight for each segment, and below it where there are events; a panel for each video.

    A video's title leads to what is ``heard`` and what is ``seen``: the weights (T,) and, boolean,
    the segments (T,) with an event.
    """
    result, row = figure(7.4, 3.2, columns=len(videos), sharey=True, squeeze=False)
    for axes, (title, modalities) in zip(row[0], videos.items(), strict=True):
        for (name, (weights, marked)), colour, low in zip(
            modalities.items(), (HEARD, SEEN), (-0.12, -0.24), strict=True
        ):
            axes.stairs(weights, baseline=None, color=colour, lw=2, label=f"weight, {name}")
            bars = [(start, stop - start) for start, stop in runs(marked)]
            axes.broken_barh(bars, (low, 0.09), color=colour, alpha=0.6, label=f"event, {name}")
        axes.set_ylim(-0.28, 1)
        axes.set_yticks(np.linspace(0, 1, 5))
        axes.set_title(title)
        axes.set_xlabel("time (s)")
    row[0, 0].set_ylabel("weight")
    result.legend(*row[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return result
