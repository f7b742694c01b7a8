"""Grids and events are two views of one fact: each must come back unchanged from the other."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from link.events import CLASSES, Event, Parsing, events_to_grid, grid_to_events, runs

NAMES = ("rain", "bell", "choir")


def grids(classes: int = len(NAMES)) -> st.SearchStrategy[np.ndarray]:
    return st.integers(1, 12).flatmap(lambda segments: arrays(bool, (segments, classes)))


def grid_of(*columns: str) -> np.ndarray:
    """A grid written down by hand: one string of 0 and 1 a class."""
    return np.array([[digit == "1" for digit in column] for column in columns]).T


def test_classes_are_valors_in_valors_order():
    order = """Speech Car Cheering Dog Cat Frying_(food) Basketball_bounce Fire_alarm Chainsaw
    Cello Banjo Singing Chicken_rooster Violin_fiddle Vacuum_cleaner Baby_laughter Accordion
    Lawn_mower Motorcycle Helicopter Acoustic_guitar Telephone_bell_ringing Baby_cry_infant_cry
    Blender Clapping"""
    assert tuple(order.split()) == CLASSES


@given(st.lists(st.booleans(), max_size=15))
def test_runs_are_those_of_groupby(values):
    expected, position = [], 0
    for value, group in itertools.groupby(values):
        length = len(list(group))
        if value:
            expected.append((position, position + length))
        position += length
    assert runs(np.array(values, dtype=bool)) == expected


def test_grid_to_events_by_hand():
    grid = grid_of("1101", "0000", "0110")
    events = grid_to_events(grid, "visual", NAMES, segment_seconds=0.5)
    assert events == [
        Event("rain", 0.0, 1.0, "visual"),
        Event("choir", 0.5, 1.5, "visual"),
        Event("rain", 1.5, 2.0, "visual"),
    ]


@given(grids(), st.sampled_from([1.0, 0.1, 0.96, 10 / 3]))
def test_events_bring_the_grid_back(grid, seconds):
    events = grid_to_events(grid, "audio", NAMES, seconds)
    assert np.array_equal(events_to_grid(events, len(grid), NAMES, seconds), grid)


@given(grids())
def test_events_are_maximal(grid):
    """No two events of a class touch: a touching pair would be one event."""
    events = grid_to_events(grid, "audio", NAMES)
    for name in NAMES:
        times = [(event.onset, event.offset) for event in events if event.label == name]
        assert all(first[1] < second[0] for first, second in itertools.pairwise(times))


@settings(max_examples=50)
@given(st.integers(0, 99), st.integers(1, 40))
def test_an_event_off_the_borders_marks_the_segments_whose_middle_it_covers(start, length):
    onset, offset = start / 10, min((start + length) / 10, 10.0)
    grid = events_to_grid([Event("rain", onset, offset, "audio")], 10, NAMES)
    # In tenths of a second, so that the comparison is one of whole numbers.
    stop = min(start + length, 100)
    expected = [start <= 10 * segment + 5 < stop for segment in range(10)]
    assert grid[:, 0].tolist() == expected
    assert not grid[:, 1:].any()


@given(st.integers(1, 8).flatmap(lambda t: st.tuples(*[arrays(bool, (t, 3))] * 2)))
def test_parsing_survives_its_events(pair):
    audio, visual = pair
    parsing = Parsing(audio, visual, NAMES)
    back = Parsing.from_events(parsing.events(), len(audio), NAMES)
    assert np.array_equal(back.audio, audio)
    assert np.array_equal(back.visual, visual)
    assert np.array_equal(back.audio_visual, np.logical_and(audio, visual))


def test_parsing_lists_what_is_heard_then_what_is_seen():
    parsing = Parsing(grid_of("111", "000", "000"), grid_of("011", "000", "100"), NAMES)
    assert parsing.events() == [
        Event("rain", 0, 3, "audio"),
        Event("choir", 0, 1, "visual"),
        Event("rain", 1, 3, "visual"),
    ]
    assert parsing.events("audio_visual") == [Event("rain", 1, 3, "audio_visual")]


def test_an_audio_visual_event_is_heard_and_seen():
    parsing = Parsing.from_events([Event("bell", 1, 2, "audio_visual")], 3, NAMES)
    assert np.array_equal(parsing.audio, grid_of("000", "010", "000"))
    assert np.array_equal(parsing.visual, parsing.audio)


@pytest.mark.parametrize("onset, offset", [(2, 2), (9, 0), (-1, 3), (float("nan"), 3)])
def test_an_event_must_last(onset, offset):
    with pytest.raises(ValueError, match="an event starts at 0 s or later"):
        Event("Speech", onset, offset, "audio")


def test_an_event_has_a_known_modality():
    with pytest.raises(ValueError, match=r"'smell'.*audio, visual, audio_visual"):
        Event("Speech", 0, 1, "smell")


def test_wrong_grids_and_events_are_refused():
    with pytest.raises(ValueError, match="ends at 4"):
        events_to_grid([Event("rain", 1, 4, "audio")], 3, NAMES)
    with pytest.raises(ValueError, match="unknown class 'snow'"):
        events_to_grid([Event("snow", 1, 2, "audio")], 3, NAMES)
    with pytest.raises(ValueError, match="float64"):
        grid_to_events(np.zeros((4, 3)), "audio", NAMES)
    with pytest.raises(ValueError, match=r"visual is bool \(4, 2\)"):
        Parsing(np.zeros((4, 3), bool), np.zeros((4, 2), bool), NAMES)
    with pytest.raises(ValueError, match="audio has 4 segments and visual has 5"):
        Parsing(np.zeros((4, 3), bool), np.zeros((5, 3), bool), NAMES)
    with pytest.raises(ValueError, match="modality 'classes' is unknown"):
        Parsing(np.zeros((4, 3), bool), np.zeros((4, 3), bool), NAMES).events("classes")
