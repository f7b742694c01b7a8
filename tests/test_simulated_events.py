"""What happens in simulated videos has the statistics of LLP, and the knob does what it says.

All draws have fixed seeds, and "within sampling error" is five standard deviations, so nothing
here fails by chance.
"""

from functools import cache

import numpy as np
import pytest
from scipy.stats import chisquare

from link.llp_statistics import cooccurrence, load_statistics
from link.simulated_events import draw_events

STATISTICS = load_statistics()
COOCCURRENCE = cooccurrence(STATISTICS)
VIDEOS = sum(split["videos"] for split in STATISTICS["splits"].values())
KINDS = ("heard_only", "seen_only", "both", "neither")
PATTERNS = np.array([STATISTICS["evaluation"][kind] for kind in KINDS])


@cache
def drawn(misalignment=1, videos=5000, seed=0):
    return draw_events(STATISTICS, videos, misalignment, np.random.default_rng(seed))


def large():
    return drawn(videos=20000)


def within_sampling_error(share, expected, draws, also=0.0):
    return np.abs(share - expected) <= 5 * np.sqrt(expected * (1 - expected) / draws) + also


def of_events(events):
    """For each event, its class and its two extents, boolean (E, T)."""
    video, label = np.nonzero(events.weak)
    return label, events.audio[video, :, label], events.visual[video, :, label]


def kind_of(heard, seen):
    """Index into KINDS, for each event."""
    heard, seen = heard.any(axis=1), seen.any(axis=1)
    return np.select([heard & ~seen, seen & ~heard, heard & seen], [0, 1, 2], 3)


def mean_overlap(events):
    """Mean intersection over union of the two extents of each event that has one."""
    _, heard, seen = of_events(events)
    union = (heard | seen).sum(axis=1)
    return np.mean((heard & seen).sum(axis=1)[union > 0] / union[union > 0])


def share_equal(events):
    _, heard, seen = of_events(events)
    equal = (heard == seen).all(axis=1)
    return equal.mean(), len(equal)


def pooled_correlation(one, other, label):
    """Correlation given the class: a standard normal deviate if there is none (Fisher's z)."""
    deviates = []
    for index in np.unique(label):
        x, y = one[label == index], other[label == index]
        if len(x) > 10 and x.std() > 0 and y.std() > 0:
            deviates.append(np.arctanh(np.corrcoef(x, y)[0, 1]) * np.sqrt(len(x) - 3))
    assert len(deviates) > 15
    return np.sum(deviates) / np.sqrt(len(deviates))


def dependence(events):
    """How whether, when and how long an event is heard depends on the same of what is seen."""
    label, heard, seen = of_events(events)
    both = heard.any(axis=1) & seen.any(axis=1)
    measures = {"presence": (lambda x: x.any(axis=1), slice(None))}
    measures |= {
        "onset": (lambda x: x.argmax(axis=1), both),
        "length": (lambda x: x.sum(axis=1), both),
    }
    return {
        name: pooled_correlation(measure(heard[chosen]), measure(seen[chosen]), label[chosen])
        for name, (measure, chosen) in measures.items()
    }


def test_videos_have_as_many_labels_as_in_llp():
    histogram = np.zeros(10)
    for split in STATISTICS["splits"].values():
        histogram[: len(split["labels"])] += split["labels"]
    sizes = np.bincount(large().weak.sum(axis=1), minlength=10) / 20000
    assert within_sampling_error(sizes, histogram / VIDEOS, 20000).all()


def test_classes_and_pairs_are_as_frequent_as_in_llp():
    weak = large().weak.astype(int)
    shares = weak.T @ weak / 20000
    assert within_sampling_error(shares, COOCCURRENCE / VIDEOS, 20000, 1 / 20000).all()


def test_classes_that_never_go_together_in_llp_never_do():
    weak = large().weak.astype(int)
    assert not (weak.T @ weak)[COOCCURRENCE == 0].any()


def test_each_class_is_heard_only_seen_only_both_or_neither_as_often_as_in_llp():
    label, heard, seen = of_events(large())
    kind = kind_of(heard, seen)
    for index in range(25):
        counts = np.bincount(kind[label == index], minlength=4)
        expected = PATTERNS[:, index] / PATTERNS[:, index].sum()
        assert not counts[expected == 0].any()
        happens = expected > 0
        assert chisquare(counts[happens], (counts.sum() * expected)[happens]).pvalue > 1e-6


@pytest.mark.parametrize("kind", KINDS[:3])
def test_extents_are_drawn_from_llps(kind):
    _, heard, seen = of_events(large())
    chosen = kind_of(heard, seen) == KINDS.index(kind)
    parts = {"heard_only": (heard,), "seen_only": (seen,), "both": (heard, seen)}[kind]
    lines = [
        " ".join("".join("01"[int(on)] for on in extent) for extent in extents)
        for extents in zip(*(part[chosen] for part in parts), strict=True)
    ]
    table = STATISTICS["extents"][kind]
    found = {extent: lines.count(extent) for extent in set(lines)}
    assert found.keys() <= table.keys()
    expected = {extent: len(lines) * n / sum(table.values()) for extent, n in table.items()}
    common = [extent for extent in table if expected[extent] >= 5]
    assert sum(expected[extent] for extent in common) > 0.7 * len(lines)
    counts, means = (
        np.array([source.get(extent, 0) for extent in common] + [0.0])
        for source in (found, expected)
    )
    counts[-1], means[-1] = len(lines) - counts.sum(), len(lines) - means.sum()
    assert chisquare(counts[means > 0], means[means > 0]).pvalue > 1e-6


@pytest.mark.parametrize("misalignment", [0, 0.5, 1, 1.5, 2])
def test_nothing_happens_outside_the_weak_label(misalignment):
    events = drawn(misalignment)
    assert not ((events.audio | events.visual) & ~events.weak[:, None]).any()
    assert events.weak.any(axis=1).all()


def test_aligned_events_are_all_heard_and_seen_at_the_same_time():
    events = drawn(0)
    assert (events.audio == events.visual).all()
    assert (events.audio.any(axis=1) == events.weak).all()


def test_below_two_the_modalities_depend_on_each_other():
    # The control of the next test: it would see a dependence if there were one. In LLP itself,
    # given the class, whether an event is heard says next to nothing of whether it is seen.
    assert dependence(drawn(0.5))["presence"] > 5
    for misalignment in (0.5, 1, 1.5):
        found = dependence(drawn(misalignment))
        assert found["onset"] > 10 and found["length"] > 10


def test_independent_events_tell_nothing_of_the_other_modality():
    assert all(abs(deviate) < 4 for deviate in dependence(drawn(2)).values())


def test_independent_events_are_heard_and_seen_as_often_as_in_llp():
    label, heard, seen = of_events(drawn(2))
    for found, own in ((heard, PATTERNS[0]), (seen, PATTERNS[1])):
        for index in range(25):
            present = found[label == index].any(axis=1)
            expected = (own + PATTERNS[2])[index] / PATTERNS[:, index].sum()
            assert within_sampling_error(present.mean(), expected, len(present), 1 / len(present))


def test_overlap_falls_as_misalignment_grows():
    overlaps = [mean_overlap(drawn(misalignment)) for misalignment in (0, 0.5, 1, 1.5, 2)]
    assert overlaps[0] == 1
    assert (np.diff(overlaps) < -0.03).all()


def test_between_the_three_rules_each_event_follows_either_of_two():
    for low, high in ((0, 1), (1, 2)):
        halfway, events = share_equal(drawn((low + high) / 2))
        expected = (share_equal(drawn(low))[0] + share_equal(drawn(high))[0]) / 2
        assert within_sampling_error(halfway, expected, events / 2)


def test_the_draw_depends_on_its_generator_alone():
    again = draw_events(STATISTICS, 50, 1, np.random.default_rng(0))
    other = draw_events(STATISTICS, 50, 1, np.random.default_rng(1))
    for name in ("weak", "audio", "visual"):
        assert np.array_equal(getattr(again, name), getattr(drawn(), name)[:50])
        assert not np.array_equal(getattr(again, name), getattr(other, name))


def test_rare_things_are_drawn_as_rarely_as_they_were_counted():
    """A table small enough to work out by hand: two videos in three have both classes."""
    statistics = {
        "classes": ["rain", "thunder"],
        "label_sets": {"0": 1, "0 1": 2},
        "evaluation": {
            "heard_only": [1, 1],
            "seen_only": [0, 1],
            "both": [2, 0],
            "neither": [0, 0],
        },
        "extents": {
            "heard_only": {"1000000000": 1, "0000000001": 2},
            "seen_only": {"0000100000": 1},
            "both": {"1111100000 0000011111": 1},
        },
    }
    events = draw_events(statistics, 4000, 1, np.random.default_rng(0))
    assert not (events.visual & events.audio).any()
    rain, thunder = (events.weak[:, label] for label in range(2))
    heard, seen = events.audio, events.visual
    for share, expected, draws in (
        ((rain & thunder).mean(), 2 / 3, 4000),
        (seen[rain, 5, 0].mean(), 2 / 3, rain.sum()),
        (seen[thunder, 4, 1].mean(), 1 / 2, thunder.sum()),
        (heard[thunder, 0, 1].mean(), 1 / 6, thunder.sum()),
        (heard[thunder, 9, 1].mean(), 1 / 3, thunder.sum()),
    ):
        assert within_sampling_error(share, expected, draws)
