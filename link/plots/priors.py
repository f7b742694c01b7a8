"""Chapter 08: pseudo-labels, and what they do to a network."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from link.parsed_video import readable
from link.plots.rows import name_classes
from link.plots.style import BLUE, GREEN, ORANGE, VERMILION, figure


def pseudo_label_quality(
    classes: Sequence[str], panels: dict[str, dict[str, np.ndarray]]
) -> Figure:
    """Percentages by class, one panel for each entry; each of its series has its own mark.

    Classes are sorted by the first panel's first series. NaN has no mark.
    """
    result, row = figure(7.4, 6.6, columns=len(panels), sharey=True, squeeze=False)
    order = np.argsort(next(iter(next(iter(panels.values())).values())), kind="stable")
    for axes, (title, series) in zip(row[0], panels.items(), strict=True):
        for (name, values), mark, colour in zip(
            series.items(), "os^", (BLUE, ORANGE, GREEN), strict=False
        ):
            axes.plot(values[order], range(len(order)), mark, color=colour, ms=5, label=name)
        axes.set_title(title)
        axes.set_xlabel("share (%)")
        axes.set_xlim(-3, 103)
    name_classes(row[0, 0], classes, order)
    result.legend(*row[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return result


def logit_shifts(classes: Sequence[str], panels: dict[str, np.ndarray], title: str) -> Figure:
    """Heat maps of (class in the pseudo-label, class whose logit changes), one for each entry."""
    result, row = figure(7.4, 6.0, columns=len(panels), sharey=True, squeeze=False)
    reach = max(float(np.abs(values).max()) for values in panels.values())
    for axes, (name, values) in zip(row[0], panels.items(), strict=True):
        image = axes.imshow(values, cmap="RdBu_r", vmin=-reach, vmax=reach, aspect="auto")
        axes.set_title(name)
        axes.set_xlabel("logit of (same order)")
        axes.set_xticks([])
        axes.grid(visible=False)
    row[0, 0].set_yticks(range(len(classes)), [readable(label) for label in classes])
    row[0, 0].set_ylabel("pseudo-label")
    result.colorbar(image, ax=row, orientation="horizontal", aspect=40, label="change of logit")
    result.suptitle(title, fontsize=11)
    return result


def scores_by_seed(scores: dict[str, Sequence[float]], cheats: set[str], title: str) -> Figure:
    """A score for each variant and seed, and the mean; variants in `cheats` in another colour."""
    result, axes = figure(7.2, 1.2 + 0.45 * len(scores))
    for position, (name, values) in enumerate(scores.items()):
        colour = VERMILION if name in cheats else BLUE
        axes.plot(values, [position] * len(values), "o", color=colour, ms=6, alpha=0.6)
        axes.plot([np.mean(values)] * 2, [position - 0.3, position + 0.3], color=colour, lw=2)
    axes.set_yticks(range(len(scores)), scores)
    axes.set_ylim(len(scores) - 0.5, -0.5)
    axes.set_title(title)
    axes.set_xlabel("segment-level type F (%)")
    axes.grid(axis="y", visible=False)
    return result
