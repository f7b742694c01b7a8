import numpy as np
import pytest
from sklearn.metrics import f1_score

from link.class_scores import class_scores


def grids(videos=40, classes=4):
    rng = np.random.default_rng(0)
    true = rng.random((videos, 10, classes)) < np.array([0.5, 0.2, 0.05, 0.0])
    pred = true ^ (rng.random(true.shape) < 0.1)
    pred[..., 3] = False
    return pred, true


def test_a_class_s_score_is_scikit_learns():
    pred, true = grids()
    for index, score in enumerate(class_scores(pred, true, draws=10)[:3]):
        expected = f1_score(true[..., index].ravel(), pred[..., index].ravel())
        assert score.mean == pytest.approx(100 * expected)


def test_what_neither_happens_nor_is_claimed_has_no_score():
    assert np.isnan(class_scores(*grids(), draws=10)[3]).all()


def test_intervals_hold_the_score_and_are_wider_with_fewer_videos():
    few, many = (class_scores(*grids(videos)) for videos in (20, 320))
    for score in few[:3] + many[:3]:
        assert score.low < score.mean < score.high
    for less, more in zip(few[:3], many[:3], strict=True):
        assert more.high - more.low < (less.high - less.low) / 2


def test_videos_are_drawn_and_not_segments():
    # In each video every segment is right or every one is wrong: ten segments are as good as one.
    right = np.arange(50) % 2 == 0
    true = np.ones((50, 10, 1), dtype=bool)
    long = class_scores(np.broadcast_to(right[:, None, None], true.shape).copy(), true)
    short = class_scores(right[:, None, None], true[:, :1])
    assert long == [pytest.approx(short[0])]
