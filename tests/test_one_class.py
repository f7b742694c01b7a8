"""One class a segment: the decision, and the accuracy against a second library."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import accuracy_score

from link.one_class import categories, one_class, segment_accuracy

probabilities = st.floats(0, 1, width=32)


@given(
    arrays(int, st.tuples(st.integers(1, 6), st.just(10)), elements=st.integers(0, 3)), st.data()
)
def test_accuracy_is_that_of_another_library(true, data):
    predicted = data.draw(arrays(int, true.shape, elements=st.integers(0, 3)))
    expected = 100 * accuracy_score(true.ravel(), predicted.ravel())
    assert segment_accuracy(predicted, true) == pytest.approx(expected)


def test_accuracy_of_other_shapes_is_refused():
    with pytest.raises(ValueError, match=r"\(2, 10\)"):
        segment_accuracy(np.zeros((2, 10), int), np.zeros((2, 1), int))


def test_categories_are_read_off_a_grid():
    grid = np.zeros((1, 3, 4), bool)
    grid[0, 1, 2] = grid[0, 2, 0] = True
    assert categories(grid).tolist() == [[4, 2, 0]]
    grid[0, 1, 3] = True
    with pytest.raises(ValueError, match="two classes"):
        categories(grid)


@given(
    arrays(np.float32, (3, 4), elements=probabilities),
    arrays(np.float32, (3, 10, 4), elements=probabilities),
)
def test_the_decision_video_by_video(in_video, in_segment):
    found = one_class(in_video, in_segment)
    for video, (whole, segments) in enumerate(zip(in_video, in_segment, strict=True)):
        label = max(range(4), key=lambda each: (whole[each], -each))
        expected = [label if segment[label] >= 0.5 else 4 for segment in segments]
        assert found[video].tolist() == expected
