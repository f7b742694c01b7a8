"""Figures show the numbers they are given, in text that can be read."""

from collections.abc import Callable

import matplotlib
import numpy as np
import pytest
from matplotlib.text import Text

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from link import plots
from link.events import CLASSES, Event, Parsing
from link.llp_statistics import SPLITS, extent_relations, load_statistics

STATISTICS = load_statistics()
VIDEO = Parsing.from_events(
    [
        Event("Speech", 0, 4, "audio"),
        Event("Speech", 6, 7, "audio"),
        Event("Baby_cry_infant_cry", 2, 9, "visual"),
    ]
)
SHARES = {
    "first": (5 * [1] + 20 * [0], 24 * [4] + [0]),
    "second": (24 * [2] + [7], 24 * [3] + [9]),
}
FIGURES: dict[str, Callable] = {
    "parsing": lambda: plots.parsing(VIDEO, "a title"),
    "class_frequencies": lambda: plots.class_frequencies(STATISTICS),
    "labels_per_video": lambda: plots.labels_per_video(STATISTICS),
    "extents": lambda: plots.extents(STATISTICS),
    "misalignment": lambda: plots.misalignment(STATISTICS),
    "class_shares": lambda: plots.class_shares(CLASSES, SHARES),
}


@pytest.fixture(autouse=True)
def closed_figures():
    with matplotlib.rc_context():
        yield
    plt.close("all")


@pytest.mark.parametrize("name", FIGURES)
def test_axes_are_named_text_is_readable_and_nothing_leaves_the_figure(name):
    result = FIGURES[name]()
    result.canvas.draw()
    texts = [text for text in result.findobj(Text) if text.get_text() and text.get_visible()]
    assert min(text.get_fontsize() for text in texts) >= 9
    assert not [text.get_text() for text in texts if "_" in text.get_text()]
    for axes in result.axes:
        assert axes.get_xlabel()
        beside = axes.get_shared_y_axes().get_siblings(axes)
        ticks = [tick.get_text() for each in beside for tick in each.get_yticklabels()]
        assert axes.get_ylabel() or any(tick.strip() for tick in ticks)
    content = result.get_tightbbox(result.canvas.get_renderer())
    width, height = result.get_size_inches()
    assert content.x0 >= 0 and content.x1 <= width
    assert content.y0 >= 0 and content.y1 <= height


def test_parsing_draws_each_event_as_a_bar_of_its_length():
    (axes,) = plots.parsing(VIDEO).axes
    bars = [
        path.get_extents() for collection in axes.collections for path in collection.get_paths()
    ]
    times = sorted((round(bar.x0, 6), round(bar.x1, 6)) for bar in bars)
    assert times == [(0, 4), (2, 9), (6, 7)]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["Speech", "Baby cry infant cry"]


def test_class_frequencies_add_up():
    left, right = plots.class_frequencies(STATISTICS).axes
    evaluation = STATISTICS["evaluation"]
    assert len(left.containers) == 3
    for container, key in zip(left.containers, ("heard_only", "both", "seen_only"), strict=True):
        assert sum(bar.get_width() for bar in container) == sum(evaluation[key])
    widths = [[bar.get_width() for bar in container] for container in right.containers]
    assert np.allclose(np.sum(widths, axis=0), 100)
    speech = [label.get_text() for label in left.get_yticklabels()].index("Speech")
    assert left.containers[0][speech].get_width() == evaluation["heard_only"][0]


def test_labels_per_video_are_shares_of_each_split():
    (axes,) = plots.labels_per_video(STATISTICS).axes
    assert [container.get_label() for container in axes.containers] == list(SPLITS)
    for container in axes.containers:
        assert sum(bar.get_height() for bar in container) == pytest.approx(100)


def test_extents_agree_with_the_counts_of_marked_segments():
    left, right = plots.extents(STATISTICS).axes
    for steps, key in zip(left.patches, ("audio_segments", "visual_segments"), strict=True):
        pairs = sum(STATISTICS["evaluation"]["both"]) + sum(
            STATISTICS["evaluation"]["heard_only" if key == "audio_segments" else "seen_only"]
        )
        marked = sum(STATISTICS["evaluation"][key])
        assert steps.get_data().values.sum() / 100 == pytest.approx(marked / pairs)
    for container in right.containers:
        assert sum(bar.get_height() for bar in container) == pytest.approx(100)


def test_misalignment_shows_every_pair_once():
    left, right = plots.misalignment(STATISTICS).axes
    relations = extent_relations(STATISTICS)
    assert [bar.get_width() for bar in left.containers[0]] == list(relations.values())
    centres = [tuple(mark.get_offsets()[0]) for mark in right.collections]
    assert len(centres) == len(set(centres))
    assert {tuple(map(int, centre)) for centre in centres} >= {(10, 10), (1, 10), (10, 1)}


def test_class_shares_are_sorted_and_skip_classes_without_cases():
    first, second = plots.class_shares(CLASSES, SHARES).axes
    labels = [label.get_text() for label in first.get_yticklabels()]
    assert set(labels[-5:]) == {plots.readable(name) for name in CLASSES[:5]}
    marks = {
        round(line.get_ydata()[0]): line.get_xdata()[0]
        for line in first.lines
        if line.get_marker() == "o"
    }
    assert len(marks) == 24 and labels.index("Clapping") not in marks
    assert [marks[position] for position in range(20, 25)] == [25] * 5
    dashed = [line.get_xdata()[0] for line in second.lines if line.get_linestyle() == "--"]
    assert dashed == [pytest.approx(100 * 55 / 81)]
