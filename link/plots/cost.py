"""Chapter 13: what a network costs."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from link.plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, figure

_COLOURS = (SKY, ORANGE, BLUE, GREEN, PURPLE, VERMILION, GREY, BLACK)
_MARKS = ("o", "s", "^", "D", "v", "P")


def stacked_shares(bars: dict[str, dict[str, float]]) -> Figure:
    """Bars of 100 % each, by name, made of parts; a part has one colour throughout."""
    parts = list(dict.fromkeys(part for bar in bars.values() for part in bar))
    result, axes = figure(7.4, 1.3 + 0.45 * len(bars))
    for position, bar in enumerate(bars.values()):
        left, total = 0.0, sum(bar.values())
        for part, value in bar.items():
            width = 100 * value / total
            colour = _COLOURS[parts.index(part) % len(_COLOURS)]
            axes.barh(position, width, left=left, color=colour, edgecolor="white", label=part)
            left += width
    axes.set_yticks(range(len(bars)), bars)
    axes.set_ylim(len(bars) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.set_xlabel("%")
    axes.grid(axis="y", visible=False)
    handles, names = axes.get_legend_handles_labels()
    first = {name: handle for name, handle in zip(names, handles, strict=True)}
    order = [part for part in parts if part in first]
    result.legend(
        [first[part] for part in order],
        order,
        loc="outside lower center",
        ncols=min(6, len(order)),
    )
    return result


def growth(
    panels: dict[str, tuple[Sequence[float], dict[str, Sequence[float]]]], ylabel: str
) -> Figure:
    """How costs grow with a size: logarithmic axes, lines relative to their first point.

    A panel's name, which is that of the size, leads to the sizes and to lines by name. The dotted
    line grows as the size does.
    """
    result, row = figure(7.4, 3.4, columns=len(panels), sharey=True, squeeze=False)
    for axes, (name, (sizes, lines)) in zip(row[0], panels.items(), strict=True):
        axes.plot(sizes, [size / sizes[0] for size in sizes], ":", color=BLACK, label="in step")
        for index, (line, values) in enumerate(lines.items()):
            axes.plot(
                sizes,
                [value / values[0] for value in values],
                color=(BLUE, ORANGE, GREEN, VERMILION, PURPLE)[index % 5],
                marker=_MARKS[index % len(_MARKS)],
                ms=5,
                label=line,
            )
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlabel(name)
    row[0, 0].set_ylabel(ylabel)
    handles, names = row[0, 0].get_legend_handles_labels()
    result.legend(handles, names, loc="outside lower center", ncols=min(4, len(names)))
    return result
