"""Chapter 10: differences with their intervals."""

from matplotlib.figure import Figure

from link.ablation import Interval
from link.plots.style import BLACK, BLUE, GREY, figure


def paired_intervals(results: dict[str, dict[str, Interval]], title: str) -> Figure:
    """Means and intervals in points, by score and then by variant; a panel for each score."""
    rows = list(next(iter(results.values())))
    result, panels = figure(
        2.0 + 1.6 * len(results), 1.2 + 0.32 * len(rows), columns=len(results), sharey=True
    )
    for axes, (score, by_row) in zip(panels, results.items(), strict=True):
        axes.axvline(0, color=BLACK, linewidth=1)
        for position, row in enumerate(rows):
            mean, low, high = by_row[row]
            colour = BLUE if by_row[row].excludes_zero else GREY
            axes.plot([low, high], [position] * 2, color=colour, linewidth=2)
            axes.plot(mean, position, "o", color=colour)
        axes.set_title(score.replace("_", "-").replace("/", " level\n"))
        axes.set_xlabel("points")
        axes.grid(axis="y", visible=False)
    panels[0].set_yticks(range(len(rows)), rows)
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    result.suptitle(title)
    return result
