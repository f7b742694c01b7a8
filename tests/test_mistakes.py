import numpy as np
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from link.mistakes import KINDS, kinds_of_answers, median_example, wrong_segments


def answer(pred, true, other):
    """The kinds as their definitions read, for one video and class; lists of segments."""
    if not pred and not true:
        return None
    if pred == true:
        return "right"
    if not pred:
        return "missed"
    if not true:
        return "copied" if other else "invented"
    return "other's extent" if pred == other else "wrong extent"


few = arrays(bool, (3, 2, 4))


@settings(deadline=None)
@given(few, few, few)
def test_each_answer_is_of_the_kind_that_its_definition_says(pred, true, other):
    kinds = kinds_of_answers(pred, true, other)
    for video in range(3):
        for label in range(4):
            extents = [
                np.flatnonzero(grid[video, :, label]).tolist() for grid in (pred, true, other)
            ]
            kind = kinds[video, label]
            assert (KINDS[kind] if kind >= 0 else None) == answer(*extents)


@settings(deadline=None)
@given(few, few, few)
def test_mistakes_are_where_segments_are_wrong(pred, true, other):
    wrong = wrong_segments(pred, true)
    assert ((kinds_of_answers(pred, true, other) > 0) == (wrong > 0)).all()
    assert wrong.sum() == (pred ^ true).sum()


def test_the_example_is_the_median_of_the_videos_with_nothing_else_wrong():
    missed, copied = KINDS.index("missed"), KINDS.index("copied")
    kinds = np.zeros((7, 2, 3), dtype=int)
    wrong = np.zeros((7, 2, 3), dtype=int)
    for video, amount in ((1, 9), (2, 4), (3, 4), (5, 1)):
        kinds[video, 0, 1], wrong[video, 0, 1] = missed, amount
    kinds[6, 0, 0], wrong[6, 0, 0] = missed, 4
    kinds[6, 1, 0], wrong[6, 1, 0] = copied, 1
    kinds[4, 1, 2] = -1
    # Amounts 1, 4, 4 and 9: the lower median is 4, and video 2 is the first that has it.
    assert median_example(kinds, wrong, "missed") == 2
    # Two mistakes of one kind count together.
    kinds[2, 1, 0], wrong[2, 1, 0] = missed, 4
    assert median_example(kinds, wrong, "missed") == 3
    assert median_example(kinds, wrong, "copied") is None
