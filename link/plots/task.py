"""Chapter 01: what the annotations say, and the parsing of one video."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import binomtest

from link.events import SEGMENTS, Parsing
from link.intervals import Interval
from link.llp_statistics import SPLITS, extent_relations, marked_extents
from link.parsed_video import readable
from link.plots.rows import event_rows, mark_interval, name_classes, occurring
from link.plots.style import (
    BLACK,
    BOTH,
    GREY,
    HEARD,
    PURPLE,
    SEEN,
    SKY,
    VERMILION,
    figure,
)


def parsing(video: Parsing, title: str = "") -> Figure:
    """What is heard and seen in one video: a row for each class that occurs, time to the right."""
    classes = occurring(video)
    result, axes = figure(7.0, 1.1 + 0.5 * len(classes))
    event_rows(axes, video, classes)
    for colour, label in ((HEARD, "heard"), (SEEN, "seen")):
        axes.barh(0, 0, color=colour, label=label)
    axes.set_xticks(np.arange(len(video.audio) + 1) * video.segment_seconds)
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
                share = _share(int(cases[index]), int(totals[index]))
                mark_interval(axes, position, share, colour)
        axes.axvline(100 * cases.sum() / totals.sum(), color=BLACK, ls="--", lw=1)
        axes.set_title(title)
        axes.set_xlabel("share (%)")
        axes.set_xlim(-3, 103)
    name_classes(row[0, 0], classes, order)
    return result


def _share(cases: int, total: int) -> Interval:
    low, high = binomtest(cases, total).proportion_ci(method="wilson")
    return Interval(100 * cases / total, 100 * low, 100 * high)
