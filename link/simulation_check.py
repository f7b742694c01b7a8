"""Is llp-sim what it claims to be? Count drawn videos as LLP's were counted, and compare.

The comparison needs SciPy, of the "cli" extra.
"""

from collections.abc import Sequence

import numpy as np

from link.llp import EVENT_FILES, LLP, Split
from link.llp_statistics import count_statistics
from link.simulated_events import SimulatedEvents

#: Extents that are expected less often than this are taken together, as is usual in the test.
RARE = 5

#: The patterns in which a class of a weak label can occur.
PATTERNS = ("heard_only", "seen_only", "both", "neither")


def count_drawn(events: SimulatedEvents) -> dict:
    """The table of `link.llp_statistics` for drawn videos, counted by the code that counted LLP.

    All of them count as videos of the test split; the others are empty.
    """
    videos, segments, classes = events.audio.shape
    names = tuple(f"drawn-{index:05d}_0_{segments}" for index in range(videos))
    grid = np.zeros((0, segments, classes), dtype=bool)
    empty = Split((), np.zeros((0, classes), dtype=bool), grid, grid)
    drawn = Split(names, events.weak, events.audio, events.visual)
    rows = dict.fromkeys(EVENT_FILES.values(), 0)
    return count_statistics(LLP(empty, empty, drawn, skipped=(), rows=rows))


def goodness_of_draw(drawn: dict, table: dict) -> dict[str, float]:
    """How likely counts as far from the table's as the drawn ones are, if both have one law.

    Parameters
    ----------
    drawn, table
        Tables of `link.llp_statistics`. The second is taken as the law, not as a sample.

    Returns
    -------
    dict
        p-values of Pearson's chi-square test, for the "labels of a video" as a set, for the
        "modalities of a class" (each class's pattern, all classes together), and for the extents
        of what is "heard only", "seen only" and "heard and seen".
    """
    patterns = [np.array([each["evaluation"][key] for key in PATTERNS]) for each in (drawn, table)]
    result = {
        "labels of a video": _p_value([_paired(drawn["label_sets"], table["label_sets"])]),
        "modalities of a class": _p_value(list(zip(patterns[0].T, patterns[1].T, strict=True))),
    }
    for key, name in (
        ("heard_only", "heard only"),
        ("seen_only", "seen only"),
        ("both", "heard and seen"),
    ):
        pair = _paired(drawn["extents"][key], table["extents"][key])
        result[f"extents, {name}"] = _p_value([pair])
    return result


def _paired(found: dict[str, int], law: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Both counts of the things that either has, in one order."""
    things = sorted(found.keys() | law.keys())
    counts = [np.array([each.get(thing, 0) for thing in things]) for each in (found, law)]
    return counts[0], counts[1]


def _p_value(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """Of counts against laws, pair by pair, given how many things each has counts of."""
    from scipy.stats import chi2

    statistic, freedom = 0.0, 0
    for found, law in pairs:
        if (found[law == 0] > 0).any():
            return 0.0
        expected = found.sum() * law / law.sum()
        common = expected >= RARE
        observed = np.append(found[common], found[~common].sum())
        expected = np.append(expected[common], expected[~common].sum())
        happens = expected > 0
        statistic += (np.square(observed - expected)[happens] / expected[happens]).sum()
        freedom += happens.sum() - 1
    return float(chi2.sf(statistic, freedom))
