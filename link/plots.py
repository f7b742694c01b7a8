"""Every figure of the book, as a function of data that returns a Matplotlib figure.

Colours are those of Okabe and Ito, which people with any common colour vision tell apart; a
modality has one colour throughout. `figure` sets the style, so every function starts with it.
Needs Matplotlib and SciPy: install the package with its "book" extra.
"""

from collections import Counter
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.stats import binomtest

from link.ablation import Interval
from link.events import SEGMENTS, Parsing, runs
from link.llp_statistics import SPLITS, extent_relations, marked_extents
from link.losses import DISSIMILAR, piecewise_weight

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY = "#999999"

HEARD, SEEN, BOTH = BLUE, ORANGE, GREEN

STYLE = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelsize": 10,
    "axes.prop_cycle": plt.cycler(color=[BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, BLACK]),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "figure.dpi": 110,
    "font.size": 10,
    "grid.color": "#DDDDDD",
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "savefig.dpi": 110,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
}


def figure(width: float = 7.0, height: float = 3.6, columns: int = 1, **options):
    """A figure in the book's style, `width` by `height` inches, and its axes.

    `columns` panels stand side by side; `options` go to `matplotlib.pyplot.subplots`.
    """
    plt.rcParams.update(STYLE)
    return plt.subplots(1, columns, figsize=(width, height), layout="constrained", **options)


def readable(label: str) -> str:
    """A class name as a reader would write it: underscores are spaces."""
    return label.replace("_", " ")


# ---- chapter 01: the task and LLP ----


def parsing(video: Parsing, title: str = "") -> Figure:
    """What is heard and seen in one video: a row for each class that occurs, time to the right."""
    occurring = np.flatnonzero((video.audio | video.visual).any(axis=0))
    result, axes = figure(7.0, 1.1 + 0.5 * len(occurring))
    seconds = video.segment_seconds
    for grid, colour, shift, label in (
        (video.audio, HEARD, -0.2, "heard"),
        (video.visual, SEEN, 0.2, "seen"),
    ):
        for row, index in enumerate(occurring):
            bars = [
                (start * seconds, (stop - start) * seconds) for start, stop in runs(grid[:, index])
            ]
            axes.broken_barh(bars, (row + shift - 0.18, 0.36), color=colour)
        axes.barh(0, 0, color=colour, label=label)
    axes.set_yticks(range(len(occurring)), [readable(video.classes[i]) for i in occurring])
    axes.set_ylim(len(occurring) - 0.5, -0.5)
    axes.set_xlim(0, len(video.audio) * seconds)
    axes.set_xticks(np.arange(len(video.audio) + 1) * seconds)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("time (s)")
    axes.set_title(title)
    result.legend(loc="outside right center")
    return result


def class_frequencies(statistics: dict) -> Figure:
    """For each class, in how many videos of val and test it is heard, seen or both."""
    counts = {key: np.array(statistics["evaluation"][key]) for key in _PATTERNS}
    total = sum(counts.values())
    order = np.argsort(total, kind="stable")
    result, (left, right) = figure(7.4, 6.6, columns=2, sharey=True)
    for axes, scale in ((left, np.ones_like(total)), (right, total / 100)):
        start = np.zeros(len(total))
        for key, (colour, label) in _PATTERNS.items():
            width = counts[key] / scale
            axes.barh(
                range(len(total)), width[order], left=start[order], color=colour, label=label
            )
            start += width
        axes.grid(axis="y", visible=False)
    left.bar_label(left.containers[-1], [str(n) for n in total[order]], padding=3)
    left.set_xlim(0, 1.15 * total.max())
    left.set_yticks(range(len(total)), [readable(statistics["classes"][i]) for i in order])
    left.set_ylim(-0.6, len(total) - 0.4)
    left.set_title("How often")
    left.set_xlabel("videos of val and test")
    right.set_title("In which modality")
    right.set_xlabel("share of these videos (%)")
    result.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return result


_PATTERNS = {
    "heard_only": (HEARD, "heard only"),
    "both": (BOTH, "heard and seen"),
    "seen_only": (SEEN, "seen only"),
}


def labels_per_video(statistics: dict) -> Figure:
    """How many classes the weak label of a video names, for each split."""
    result, axes = figure(7.0, 3.2)
    most = max(len(statistics["splits"][split]["labels"]) for split in SPLITS) - 1
    for position, (split, colour) in enumerate(zip(SPLITS, (GREY, SKY, PURPLE), strict=True)):
        labels = statistics["splits"][split]["labels"][1:]
        share = 100 * np.array(labels) / statistics["splits"][split]["videos"]
        centres = np.arange(1, len(share) + 1) + 0.27 * (position - 1)
        axes.bar(centres, share, 0.25, color=colour, label=split)
    axes.set_xticks(range(1, most + 1))
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("classes in the weak label")
    axes.set_ylabel("share of the split's videos (%)")
    axes.legend()
    return result


def extents(statistics: dict) -> Figure:
    """When in the video events are marked, and for how many seconds, for each modality."""
    result, (left, right) = figure(7.4, 3.2, columns=2)
    for modality, colour, label, shift in (
        ("audio", HEARD, "heard", -0.2),
        ("visual", SEEN, "seen", 0.2),
    ):
        counts = marked_extents(statistics, modality)
        marked = np.array([[digit == "1" for digit in extent] for extent in counts])
        weight = np.array(list(counts.values())) / sum(counts.values())
        left.stairs(100 * weight @ marked, baseline=None, color=colour, label=label, lw=2)
        lengths = np.bincount(marked.sum(axis=1), weight, SEGMENTS + 1)[1:]
        right.bar(np.arange(1, SEGMENTS + 1) + shift, 100 * lengths, 0.38, color=colour)
    left.set_title("When")
    left.set_xlabel("time (s)")
    left.set_ylabel("share of pairs marked (%)")
    left.set_ylim(0, 100)
    left.set_xticks(range(0, SEGMENTS + 1, 2))
    left.legend(loc="lower center")
    right.set_title("For how long")
    right.set_xlabel("seconds marked")
    right.set_ylabel("share of pairs (%)")
    right.set_xticks(range(1, SEGMENTS + 1))
    right.grid(axis="x", visible=False)
    return result


def misalignment(statistics: dict) -> Figure:
    """How the heard and the seen extent of one class in one video lie to each other."""
    result, (left, right) = figure(7.4, 3.6, columns=2)
    relations = extent_relations(statistics)
    rows = range(len(relations))
    bars = left.barh(rows, relations.values(), color=[BOTH] + 4 * [GREY])
    left.bar_label(bars, padding=3)
    left.set_yticks(rows, relations)
    left.invert_yaxis()
    left.set_xlim(0, 1.18 * max(relations.values()))
    left.grid(axis="y", visible=False)
    left.set_title("Relation of the extents")
    left.set_xlabel("pairs heard and seen")

    lengths: Counter = Counter()
    for pair, count in statistics["extents"]["both"].items():
        heard, seen = (extent.count("1") for extent in pair.split())
        lengths[heard, seen] += count
    for (heard, seen), count in lengths.items():
        colour = BOTH if heard == seen else GREY
        right.scatter(heard, seen, 0.55 * count + 3, color=colour, alpha=0.8, lw=0)
    right.set_title("Lengths (area: number of pairs)")
    right.set_xlabel("seconds heard")
    right.set_ylabel("seconds seen")
    right.set_xticks(range(1, SEGMENTS + 1))
    right.set_yticks(range(1, SEGMENTS + 1))
    right.set_xlim(0.3, SEGMENTS + 1.2)
    right.set_ylim(0.3, SEGMENTS + 1.2)
    right.set_aspect("equal")
    return result


def class_shares(
    classes: Sequence[str],
    panels: dict[str, tuple[Sequence[int], Sequence[int]]],
) -> Figure:
    """Shares by class with 95% Wilson intervals, one panel for each entry of `panels`.

    A panel's title leads to two lists of counts, one entry a class: the cases in question and all
    cases. Classes are sorted by the first panel's share; the dashed line is that of all classes
    together. A class without cases has no mark.
    """
    result, row = figure(7.4, 6.4, columns=len(panels), sharey=True, squeeze=False)
    cases, totals = (np.array(counts) for counts in next(iter(panels.values())))
    order = np.argsort(cases / np.maximum(totals, 1), kind="stable")
    for axes, (title, counts), colour in zip(
        row[0], panels.items(), (HEARD, VERMILION, PURPLE), strict=False
    ):
        cases, totals = (np.array(each) for each in counts)
        for position, index in enumerate(order):
            if totals[index]:
                _share_with_interval(axes, position, int(cases[index]), int(totals[index]), colour)
        axes.axvline(100 * cases.sum() / totals.sum(), color=BLACK, ls="--", lw=1)
        axes.set_title(title)
        axes.set_xlabel("share (%)")
        axes.set_xlim(-3, 103)
    row[0, 0].set_yticks(range(len(order)), [readable(classes[index]) for index in order])
    row[0, 0].set_ylim(-0.7, len(order) - 0.3)
    return result


def _share_with_interval(axes: Axes, position: int, cases: int, total: int, colour: str) -> None:
    low, high = binomtest(cases, total).proportion_ci(method="wilson")
    axes.plot([100 * low, 100 * high], [position, position], color=colour, lw=1.5)
    axes.plot(100 * cases / total, position, "o", color=colour, ms=5)


# ---- chapter 07: S-LOSS ----


def similarity_maps(panels: dict[str, np.ndarray], title: str) -> Figure:
    """Heat maps of audio segments (down) against visual segments (right), one for each entry.

    Values lie in [-1, 1]; NaN is drawn grey.
    """
    result, row = figure(
        0.5 + 1.75 * len(panels), 3.2, columns=len(panels), sharey=True, squeeze=False
    )
    lowest = min(0.0, *(float(np.nanmin(values)) for values in panels.values()))
    colours = plt.get_cmap("cividis").with_extremes(bad="#CCCCCC")
    for axes, (name, values) in zip(row[0], panels.items(), strict=True):
        image = axes.imshow(values, cmap=colours, vmin=lowest, vmax=1)
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("visual segment")
        axes.set_xticks(range(0, values.shape[1], 3))
        axes.set_yticks(range(0, values.shape[0], 3))
        axes.grid(visible=False)
    row[0, 0].set_ylabel("audio segment")
    result.colorbar(image, ax=row, orientation="horizontal", aspect=40, label="overlap, or cosine")
    result.suptitle(title, fontsize=11)
    return result


def weight_curves(mus: Sequence[float]) -> Figure:
    """Left the piecewise weight for some mu; right what a pair then costs, by its overlap r."""
    result, (left, right) = figure(7.4, 3.6, columns=2)
    similarity = np.linspace(-1, 1, 1001)
    for mu in mus:
        _with_jump(left, similarity, _weight(similarity, mu), label=f"μ = {mu:g}")
    left.set_title("The weight λ(s)")
    left.set_ylabel("λ")
    left.set_ylim(0, None)
    left.legend()
    for overlap, colour in ((0, BLUE), (1, ORANGE)):
        error = np.square(similarity - overlap)
        cost = _weight(similarity, mus[0]) * error
        _with_jump(right, similarity, cost, color=colour, label=f"r = {overlap}, μ = {mus[0]:g}")
        right.plot(similarity, error, color=colour, lw=1, ls="--", label=f"r = {overlap}, λ = 1")
    right.set_title("What a pair costs")
    right.set_ylabel("λ(s) (s − r)²")
    right.legend()
    for axes in (left, right):
        axes.set_xlabel("cosine similarity s")
    return result


def _weight(similarity: np.ndarray, mu: float) -> np.ndarray:
    return piecewise_weight(torch.from_numpy(similarity), mu).numpy()


def _with_jump(axes: Axes, x: np.ndarray, y: np.ndarray, **style) -> None:
    """A line that does not join the two sides of the weight's jump."""
    last_before = np.diff(x > DISSIMILAR, append=True)
    axes.plot(x, np.where(last_before, np.nan, y), **style)


def weight_in_training(mu: dict[str, Sequence[float]], weights: dict[str, np.ndarray]) -> Figure:
    """Left mu before training and after each epoch; right how many pairs have which weight."""
    result, (left, right) = figure(7.4, 3.4, columns=2)
    for name, course in mu.items():
        left.plot(range(len(course)), course, "o-", ms=3, label=name)
    left.axhline(1, color=BLACK, ls="--", lw=1)
    left.set_title("μ")
    left.set_xlabel("epochs trained")
    left.set_ylabel("μ")
    left.legend(loc="upper left", bbox_to_anchor=(0, 0.92))
    edges = np.linspace(1, max(float(values.max()) for values in weights.values()), 41)
    for name, values in weights.items():
        share = 100 * np.histogram(values, edges)[0] / values.size
        right.stairs(share, edges, lw=1.8, label=name)
    right.set_title("The weights of all pairs")
    right.set_xlabel("λ")
    right.set_ylabel("share of pairs (%)")
    right.legend()
    return result


def validation_curves(curves: dict[str, np.ndarray], title: str) -> Figure:
    """A validation score by epoch; each entry is (seeds, epochs): their mean and their range."""
    result, axes = figure(7.0, 3.6)
    for (name, values), colour in zip(curves.items(), (BLACK, BLUE, ORANGE, GREEN), strict=False):
        epochs = np.arange(1, values.shape[1] + 1)
        axes.fill_between(epochs, values.min(0), values.max(0), color=colour, alpha=0.2, lw=0)
        axes.plot(epochs, values.mean(0), color=colour, label=name)
    axes.set_title(title)
    axes.set_xlabel("epoch")
    axes.set_ylabel("segment-level type F (%)")
    axes.legend(loc="lower right")
    return result


# ---- chapter 08: PLSIM ----


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
    row[0, 0].set_yticks(range(len(order)), [readable(classes[index]) for index in order])
    row[0, 0].set_ylim(-0.7, len(order) - 0.3)
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


# ---- chapters 05 and 06: the network, its training and its attention ----


def curves(
    panels: dict[str, dict[str, Sequence[float]]],
    xlabel: str,
    ylabel: str = "",
    first: int = 1,
    marked: int | None = None,
) -> Figure:
    """Lines by panel and by name, from the abscissa `first` on; a dashed line at `marked`.

    Lines named ``audio``, ``visual`` and ``audio-visual`` have their modality's colour. Others,
    six at most in a panel, have one that no modality has.
    """
    result, row = figure(7.4, 3.4, columns=len(panels), squeeze=False)
    for axes, (title, lines) in zip(row[0], panels.items(), strict=True):
        others = iter((BLACK, PURPLE, VERMILION, SKY, GREY, YELLOW))
        for name, values in lines.items():
            colour = _MODALITY_COLOURS.get(name) or next(others)
            axes.plot(range(first, first + len(values)), values, label=name, color=colour, lw=1.8)
        if marked is not None:
            axes.axvline(marked, color=BLACK, ls="--", lw=1)
        axes.set_title(title)
        axes.set_xlabel(xlabel)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
    row[0, 0].set_ylabel(ylabel)
    return result


_MODALITY_COLOURS = {"audio": HEARD, "visual": SEEN, "audio-visual": BOTH}


def heat_maps(
    panels: dict[str, np.ndarray],
    xlabel: str,
    ylabel: str,
    quantity: str,
    centre: float = 0.0,
    reach: float | None = None,
) -> Figure:
    """Matrices in one scale of colours: white at `centre`, full at a distance of `reach` from it.

    Without `reach` the scale goes as far as the entries do.
    """
    reach = reach or max(np.abs(matrix - centre).max() for matrix in panels.values())
    result, row = figure(7.4, 3.2, columns=len(panels), sharey=True, squeeze=False)
    for axes, (title, matrix) in zip(row[0], panels.items(), strict=True):
        image = axes.imshow(
            matrix, cmap="PuOr_r", vmin=centre - reach, vmax=centre + reach, aspect="auto"
        )
        axes.grid(visible=False)
        axes.set_title(title)
        axes.set_xlabel(xlabel)
    row[0, 0].set_ylabel(ylabel)
    result.colorbar(image, ax=row[0]).ax.set_xlabel(quantity)
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


# ---- chapter 10: ablations ----


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
