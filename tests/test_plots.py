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
from link.intervals import Interval
from link.llp_statistics import SPLITS, extent_relations, load_statistics
from link.parsed_video import readable

STATISTICS = load_statistics()
VIDEO = Parsing.from_events(
    [
        Event("Speech", 0, 4, "audio"),
        Event("Speech", 6, 7, "audio"),
        Event("Baby_cry_infant_cry", 2, 9, "visual"),
    ]
)
OTHER_VIDEO = Parsing.from_events([Event("Speech", 1, 4, "visual"), Event("Dog", 0, 1, "audio")])
SHARES = {
    "first": (5 * [1] + 20 * [0], 24 * [4] + [0]),
    "second": (24 * [2] + [7], 24 * [3] + [9]),
}
LINES = {"Loss": {"total": [3, 2, 1]}, "Score": {"visual": [50, 60, 55], "other": [1, 2, 3]}}
MATRICES = {"left": np.array([[0.0, 0.5], [-0.2, 0.1]]), "right": np.array([[0.0, 0.1]] * 2)}
WEIGHTS = {
    "heard": (np.linspace(0, 0.9, 10), np.arange(10) < 3),
    "seen": (np.full(10, 0.4), np.arange(10) % 4 == 1),
}
ATTENTION = {
    name: (np.full((10, 10), 0.1) + np.eye(10) * size, WEIGHTS["heard"][1], WEIGHTS["seen"][1])
    for name, size in (("faint", 0.1), ("sharp", 0.4))
}
POINTS = {
    "input": {"cat": np.array([[4.0, 0], [-2, 1]]), "dog": np.array([[0.0, 3]])},
    "encoder": {"cat": np.array([[0.1, 0.1]]), "dog": np.array([[0.0, -0.2]])},
}
CURVE = (np.array([0.1, np.nan, 0.9]), np.array([0.2, np.nan, 0.5]), np.array([90, 0, 10]))
CLASS_SCORES = {
    "heard": [Interval(60 - i, 50 - i, 65 - i) for i in range(24)] + [Interval(*[np.nan] * 3)],
    "seen": [Interval(10 + i, 5 + i, 40 + i) for i in range(25)],
}
BARS = {"first": {"a": 1, "b": 3}, "second": {"b": 2, "c": 4, "d": 2}}
GROWTH = {"width": ([2, 4, 8], {"x": [3, 6, 12], "y": [1, 4, 16]}), "length": ([1, 10], {})}
CLASS_CHANGES = {
    name: {
        readable(label): Interval(i, i - 4, i + 4)
        for i, label in zip(range(-12, 13), CLASSES, strict=True)
    }
    for name in ("heard", "seen")
}
LEVELS = {
    "audio": {
        "TSAM": [Interval(1, 0, 2), Interval(2, 1, 4), Interval(-3, -5, 0)],
        "PLSIM": [Interval(0, -1, 1)] * 3,
    },
    "visual": {name: [Interval(5, 4, 6)] * 3 for name in ("TSAM", "PLSIM")},
}
DRAWN = {"first": ([1.0, 2.0], [1.5, 2.0]), "second": ([30.0], [10.0])}
KNOB = {"share (%)": {"equal": [100, 50, 20], "heard only": [0, 5, 9]}, "s": {"heard": [1, 2, 3]}}
MARGINS = {"heard": {"here": np.arange(9.0), "beside": -np.arange(5.0), "absent": np.ones(3)}}
MU = {"on": [0.0, 0.2, 0.3], "at one": [1.0, 1.0, 1.0]}
BY_SEED = {"honest": [60.0, 62.0], "told": [70.0]}
MAPS = {"first": np.linspace(-0.5, 1, 9).reshape(3, 3), "second": np.full((3, 3), 0.25)}
MAPS["second"][0, 0] = np.nan
SHIFTS = {"audio": np.diag(np.arange(25.0)), "visual": -np.eye(25)}
QUALITY = {
    "audio": {"recall": np.arange(25.0, 0, -1), "precision": np.full(25, 50.0)},
    "visual": {"recall": np.arange(25.0), "precision": np.full(25, np.nan)},
}
FRAMES = np.zeros((10, 9, 16, 3), np.uint8) + np.arange(10, dtype=np.uint8)[:, None, None, None]
SPECTROGRAM = np.linspace(-100, 0, 1001)[:, None] - np.arange(64)
FIGURES: dict[str, Callable] = {
    "parsing": lambda: plots.parsing(VIDEO, "a title"),
    "class_frequencies": lambda: plots.class_frequencies(STATISTICS),
    "labels_per_video": lambda: plots.labels_per_video(STATISTICS),
    "extents": lambda: plots.extents(STATISTICS),
    "misalignment": lambda: plots.misalignment(STATISTICS),
    "class_shares": lambda: plots.class_shares(CLASSES, SHARES),
    "curves": lambda: plots.curves(LINES, "epoch", "percent", marked=2),
    "heat_maps": lambda: plots.heat_maps(MATRICES, "cell", "segment", "weight"),
    "heat_maps of pairs": lambda: plots.heat_maps(MAPS, "seen", "heard", "r", 0, 1, "a title"),
    "weights_over_time": lambda: plots.weights_over_time({"one": WEIGHTS, "two": WEIGHTS}),
    "segments": lambda: plots.segments(FRAMES, SPECTROGRAM, "a title"),
    "segments, upright": lambda: plots.segments(FRAMES.swapaxes(1, 2), SPECTROGRAM),
    "attention_beside_events": lambda: plots.attention_beside_events(
        ATTENTION, "heard", "seen", "a title"
    ),
    "planes": lambda: plots.planes(POINTS, {"input": 20.2, "encoder": 60.0}),
    "reliability_diagram": lambda: plots.reliability_diagram({"a": {"b": CURVE, "c": CURVE}}),
    "class_intervals": lambda: plots.class_intervals(CLASSES, CLASS_SCORES),
    "against_level": lambda: plots.against_level(LEVELS, [0, 1, 2], "knob", "points", "a title"),
    "paired_intervals, classes": lambda: plots.paired_intervals(CLASS_CHANGES, "a title"),
    "compared": lambda: plots.compared(VIDEO, OTHER_VIDEO, "a title"),
    "drawn_against_table": lambda: plots.drawn_against_table(DRAWN),
    "over_knob": lambda: plots.over_knob([0, 1, 2], KNOB),
    "margins": lambda: plots.margins(MARGINS),
    "weight_curves": lambda: plots.weight_curves([0, 0.5, 1]),
    "weight_in_training": lambda: plots.weight_in_training(MU, {"on": np.linspace(1, 2, 50)}),
    "pseudo_label_quality": lambda: plots.pseudo_label_quality(CLASSES, QUALITY),
    "logit_shifts": lambda: plots.logit_shifts(CLASSES, SHIFTS, "a title"),
    "stacked_shares": lambda: plots.stacked_shares(BARS),
    "growth": lambda: plots.growth(GROWTH, "times"),
    "scores_by_seed": lambda: plots.scores_by_seed(BY_SEED, {"told"}, "a title"),
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
        if axes.get_label() == "<colorbar>":
            continue
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
    assert set(labels[-5:]) == {readable(name) for name in CLASSES[:5]}
    marks = {
        round(line.get_ydata()[0]): line.get_xdata()[0]
        for line in first.lines
        if line.get_marker() == "o"
    }
    assert len(marks) == 24 and labels.index("Clapping") not in marks
    assert [marks[position] for position in range(20, 25)] == [25] * 5
    dashed = [line.get_xdata()[0] for line in second.lines if line.get_linestyle() == "--"]
    assert dashed == [pytest.approx(100 * 55 / 81)]


def test_curves_start_where_they_are_told_and_keep_a_modality_s_colour():
    left, right = plots.curves(LINES, "epoch", first=4, marked=5).axes
    total, mark = left.lines
    assert list(total.get_xdata()) == [4, 5, 6] and list(total.get_ydata()) == [3, 2, 1]
    assert set(mark.get_xdata()) == {5}
    visual, other = (line.get_color() for line in right.lines[:2])
    assert visual == plots.SEEN and other not in (plots.HEARD, plots.SEEN, plots.BOTH)
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["visual", "other"]


def test_a_name_has_one_colour_in_every_panel():
    panels = {"one": {"a": [1], "b": [2]}, "two": {"b": [3], "c": [4]}}
    left, right = plots.curves(panels, "epoch").axes
    a, b = (line.get_color() for line in left.lines)
    again, c = (line.get_color() for line in right.lines)
    assert again == b and len({a, b, c}) == 3
    many = {"one": {key: [1] for key in "abcdef"}, "two": {key: [1] for key in "fghijk"}}
    for axes in plots.curves(many, "epoch").axes:
        assert len({line.get_color() for line in axes.lines}) == 6


@pytest.mark.parametrize(
    ("centre", "reach", "limits"), [(0.0, None, (-0.5, 0.5)), (0.1, 0.3, (-0.2, 0.4))]
)
def test_heat_maps_share_a_scale_of_colours_around_their_centre(centre, reach, limits):
    figure = plots.heat_maps(MATRICES, "x", "y", "weight", centre, reach)
    images = [image for axes in figure.axes for image in axes.images]
    assert len(images) == 2
    for image, matrix in zip(images, MATRICES.values(), strict=True):
        assert np.array_equal(image.get_array(), matrix)
        assert image.get_clim() == pytest.approx(limits)


def test_a_heat_map_of_what_is_never_negative_begins_at_its_centre():
    figure = plots.heat_maps(MATRICES, "x", "y", "overlap", reach=1, one_sided=True)
    assert figure.axes[0].images[0].get_clim() == (0, 1)


def test_heat_maps_show_what_is_not_there_in_grey():
    figure = plots.heat_maps(MAPS, "x", "y", "overlap", title="a title")
    first, second = (axes.images[0] for axes in figure.axes[:2])
    assert first.get_clim() == second.get_clim() == (-1, 1)
    assert np.array_equal(first.get_array(), MAPS["first"])
    assert second.get_array().mask[0, 0] and second.get_array().mask.sum() == 1
    red, green, blue, _ = second.cmap(second.get_array())[0, 0]
    assert red == green == blue < 1
    assert figure.get_suptitle() == "a title"


def test_weights_over_time_draws_weights_and_events():
    left, _ = plots.weights_over_time({"one": WEIGHTS, "two": WEIGHTS}).axes
    steps = [patch.get_data().values for patch in left.patches if hasattr(patch, "get_data")]
    assert np.array_equal(steps, [WEIGHTS["heard"][0], WEIGHTS["seen"][0]])
    bars = [
        [path.get_extents() for path in collection.get_paths()] for collection in left.collections
    ]
    spans = [[(round(bar.x0), round(bar.x1)) for bar in each] for each in bars]
    assert spans == [[(0, 3)], [(1, 2), (5, 6), (9, 10)]]


def spans(collection, axis):
    """Where the bars of a collection start and stop, horizontally (0) or vertically (1)."""
    boxes = [path.get_extents() for path in collection.get_paths()]
    return [(round(box.min[axis], 6), round(box.max[axis], 6)) for box in boxes]


def test_attention_beside_events_has_each_side_s_events_at_its_edge():
    faint, sharp, scale = plots.attention_beside_events(ATTENTION, "heard", "seen").axes
    for axes, weights in ((faint, ATTENTION["faint"][0]), (sharp, ATTENTION["sharp"][0])):
        (image,) = axes.images
        assert np.array_equal(image.get_array(), weights)
        assert image.get_extent() == [0, 10, 10, 0]
        assert image.get_clim() == pytest.approx((-0.3, 0.5))
        below, *left = axes.collections
        assert spans(below, 0) == [(1, 2), (5, 6), (9, 10)] and spans(below, 1)[0][0] > 10
        assert [spans(bar, 1) for bar in left] == [[(0, 3)]] and spans(left[0], 0)[0][1] < 0
        assert matplotlib.colors.to_hex(below.get_facecolor()[0]).upper() == plots.SEEN
        assert matplotlib.colors.to_hex(left[0].get_facecolor()[0]).upper() == plots.HEARD
    assert scale.get_ylim() == pytest.approx((0, 0.5))


def test_planes_are_scaled_and_groups_keep_their_colour():
    first, second = plots.planes(POINTS, {"input": 20.2, "encoder": 60.0}).axes
    cat, dog = first.collections
    assert cat.get_offsets().tolist() == [[1, 0], [-0.5, 0.25]]
    assert dog.get_offsets().tolist() == [[0, 0.75]]
    assert second.collections[1].get_offsets().tolist() == [[0, -1]]
    for one, other in zip(first.collections, second.collections, strict=True):
        assert np.array_equal(one.get_facecolor(), other.get_facecolor())
    assert not np.array_equal(cat.get_facecolor(), dog.get_facecolor())
    assert first.get_xlabel().startswith("20 %")


def test_reliability_diagram_shows_the_curve_the_diagonal_and_the_counts():
    above, below = plots.reliability_diagram({"a": {"b": CURVE}}).axes
    diagonal, curve = above.lines
    assert np.array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    assert np.array_equal(curve.get_xdata(), CURVE[0], equal_nan=True)
    assert np.array_equal(curve.get_ydata(), CURVE[1], equal_nan=True)
    (steps,) = below.patches
    assert list(steps.get_data().values) == [90, 0, 10]


def test_class_intervals_are_sorted_and_skip_what_has_no_score():
    heard, seen = plots.class_intervals(CLASSES, CLASS_SCORES).axes
    labels = [label.get_text() for label in heard.get_yticklabels()]
    assert labels == [readable(name) for name in (CLASSES[24], *CLASSES[23::-1])]
    bar, dot = heard.lines[-2:]
    assert list(bar.get_xdata()) == [50, 65] and list(dot.get_xdata()) == [60]
    assert len(heard.lines) == 2 * 24 and len(seen.lines) == 2 * 25


def test_against_level_has_every_mean_with_its_bounds():
    left, right = plots.against_level(LEVELS, [0, 1, 2], "knob", "points").axes
    for axes, curves in ((left, LEVELS["audio"]), (right, LEVELS["visual"])):
        assert len(axes.containers) == len(curves)
        for container, (name, intervals) in zip(axes.containers, curves.items(), strict=True):
            line, _, (bars,) = container.lines
            assert container.get_label() == name
            assert line.get_ydata().tolist() == [each.mean for each in intervals]
            bounds = [segment[:, 1].tolist() for segment in bars.get_segments()]
            assert bounds == [[each.low, each.high] for each in intervals]
    none = [line.get_ydata()[0] for line in left.lines if line.get_linestyle() == "-"]
    assert 0 in none
    name = next(iter(LEVELS["audio"]))
    own = plots.against_level(LEVELS, [0, 1, 2], "knob", "points", colours={name: plots.VERMILION})
    assert own.axes[0].containers[0].lines[0].get_color() == plots.VERMILION


def test_differences_by_class_stand_in_the_order_of_the_classes():
    left, _ = plots.paired_intervals(CLASS_CHANGES, "a title").axes
    labels = [label.get_text() for label in left.get_yticklabels()]
    assert labels == [readable(name) for name in CLASSES]
    dots = [line for line in left.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in dots] == list(range(-12, 13))
    assert len({line.get_color() for line in dots}) == 2


def test_compared_draws_both_parsings_in_the_same_rows():
    annotated, predicted = plots.compared(VIDEO, OTHER_VIDEO, "a title").axes
    labels = [label.get_text() for label in annotated.get_yticklabels()]
    assert labels == ["Speech", "Dog", "Baby cry infant cry"]
    rows = [
        [
            (*span, round(np.mean(spans(bars, 1)[0])))
            for bars in axes.collections
            for span in spans(bars, 0)
        ]
        for axes in (annotated, predicted)
    ]
    assert sorted(rows[0]) == [(0, 4, 0), (2, 9, 2), (6, 7, 0)]
    assert sorted(rows[1]) == [(0, 1, 1), (1, 4, 0)]


def test_drawn_against_table_shows_the_table_to_the_right():
    left, right = plots.drawn_against_table(DRAWN).axes
    diagonal, points = left.lines
    assert np.array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    assert list(points.get_xdata()) == [1, 2] and list(points.get_ydata()) == [1.5, 2]
    assert right.lines[0].get_xdata()[1] > 30


def test_over_knob_marks_where_llp_is():
    left, right = plots.over_knob([0, 1, 2], KNOB).axes
    equal, heard_only, mark = left.lines
    assert list(equal.get_ydata()) == [100, 50, 20] and list(equal.get_xdata()) == [0, 1, 2]
    assert list(heard_only.get_ydata()) == [0, 5, 9] and set(mark.get_xdata()) == {1}
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["heard"]


def test_margins_are_shares_of_each_group():
    (axes,) = plots.margins(MARGINS).axes
    values = [patch.get_data().values for patch in axes.patches]
    assert [value.sum() for value in values] == pytest.approx([100] * 3)
    assert [np.count_nonzero(value) for value in values] == [9, 5, 1]
    assert set(axes.lines[0].get_xdata()) == {0}


def test_weight_curves_jump_and_meet():
    left, right = plots.weight_curves([0, 0.5]).axes
    first, second = left.lines
    s, weight = first.get_data()
    gap = np.flatnonzero(np.isnan(weight))
    assert len(gap) == 1 and s[gap[0]] == pytest.approx(-0.2, abs=2e-3)
    assert weight[gap[0] - 1] == 1 and weight[gap[0] + 1] == pytest.approx(np.e)
    assert weight[-1] == 1 and np.nanmax(second.get_ydata()) == pytest.approx(np.exp(0.5))
    cost, error = right.lines[:2]
    assert cost.get_ydata()[500] == error.get_ydata()[500] == 0
    assert cost.get_ydata()[450] == pytest.approx(np.e * 0.1**2)


def test_weight_in_training_counts_every_pair():
    left, right = plots.weight_in_training(MU, {"on": np.linspace(1, 2, 50)}).axes
    assert list(left.lines[0].get_xdata()) == [0, 1, 2]
    assert list(left.lines[0].get_ydata()) == MU["on"]
    (steps,) = right.patches
    assert steps.get_data().values.sum() == pytest.approx(100)


def test_pseudo_label_quality_is_sorted_by_the_first_series():
    left, right = plots.pseudo_label_quality(CLASSES, QUALITY).axes
    labels = [label.get_text() for label in left.get_yticklabels()]
    assert labels == [readable(name) for name in CLASSES[::-1]]
    assert list(left.lines[0].get_xdata()) == list(range(1, 26))
    assert list(right.lines[0].get_xdata()) == list(range(24, -1, -1))


def test_logit_shifts_are_shown_as_they_are_around_zero():
    left, right = plots.logit_shifts(CLASSES, SHIFTS, "a title").axes[:2]
    assert np.array_equal(left.images[0].get_array(), SHIFTS["audio"])
    assert right.images[0].get_clim() == left.images[0].get_clim() == (-24, 24)


def test_scores_by_seed_mark_means_and_cheats():
    (axes,) = plots.scores_by_seed(BY_SEED, {"told"}, "a title").axes
    dots, mean, told, _ = axes.lines
    assert list(dots.get_xdata()) == [60, 62] and list(mean.get_xdata()) == [61, 61]
    assert dots.get_color() == plots.BLUE and told.get_color() == plots.VERMILION


def test_segments_stand_above_their_seconds_of_sound():
    above, below = plots.segments(FRAMES, SPECTROGRAM).axes[:2]
    assert [image.get_array().flat[0] for image in above.images] == list(range(10))
    assert [round(np.mean(image.get_extent()[:2]), 6) for image in above.images] == [
        second + 0.5 for second in range(10)
    ]
    (sound,) = below.images
    assert np.array_equal(sound.get_array(), SPECTROGRAM.T) and sound.origin == "lower"
    assert sound.get_extent() == [0, 10, 0, 64]
    assert above.get_xlim() == below.get_xlim() == (0, 10)


def test_shares_fill_their_bar_and_parts_keep_their_colour():
    (axes,) = plots.stacked_shares(BARS).axes
    found = {}
    for container in axes.containers:
        (bar,) = container
        found[container.get_label(), round(bar.get_y() + bar.get_height() / 2)] = bar
    assert {key: bar.get_width() for key, bar in found.items()} == pytest.approx(
        {("a", 0): 25, ("b", 0): 75, ("b", 1): 25, ("c", 1): 50, ("d", 1): 25}
    )
    assert found["c", 1].get_x() == 25 and found["d", 1].get_x() == 75
    colours = {key: bar.get_facecolor() for key, bar in found.items()}
    assert colours["b", 0] == colours["b", 1]
    assert len(set(colours.values())) == 4
    (legend,) = axes.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b", "c", "d"]


def test_growth_is_relative_to_the_first_point():
    left, right = plots.growth(GROWTH, "times").axes
    lines = {line.get_label(): list(line.get_ydata()) for line in left.lines}
    assert lines == {"in step": [1, 2, 4], "x": [1, 2, 4], "y": [1, 4, 16]}
    assert [list(line.get_ydata()) for line in right.lines] == [[1, 10]]
