import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.calibration import calibration_curve

from link.reliability import calibration_error, reliability

PROBABILITIES = st.floats(0, 1) | st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.7, 1.0])


@settings(deadline=None)
@given(
    probability=arrays(float, (3, 4, 5), elements=PROBABILITIES),
    truth=arrays(bool, (3, 4, 5)),
    bins=st.integers(1, 12),
)
def test_the_curve_is_scikit_learns(probability, truth, bins):
    share, mean = calibration_curve(truth.ravel(), probability.ravel(), n_bins=bins)
    ours_mean, ours_share, count = reliability(probability, truth, bins).curve()
    there = count > 0
    assert count.sum() == truth.size and there.sum() == len(share)
    assert ours_mean[there] == pytest.approx(mean)
    assert ours_share[there] == pytest.approx(share)
    assert np.isnan(ours_mean[~there]).all() and np.isnan(ours_share[~there]).all()


def test_the_error_is_the_mean_distance_of_the_bins_weighted_by_their_size():
    probability = np.array([[0.05, 0.05], [0.05, 0.95]])
    truth = np.array([[False, True], [False, True]])
    found = reliability(probability, truth)
    # Three of 0.05, of which a third is true; one of 0.95, which is.
    expected = (3 * (1 / 3 - 0.05) + 1 * 0.05) / 4
    assert calibration_error(found.per_video().sum(axis=0)) == pytest.approx(expected)
    one_by_one = calibration_error(found.per_video())
    assert one_by_one == pytest.approx([abs(0.1 - 1) / 2, 0.05])


def test_probabilities_that_come_true_as_often_as_they_say_have_no_error():
    rng = np.random.default_rng(0)
    probability = rng.random((200, 500))
    truth = rng.random((200, 500)) < probability
    calibrated = reliability(probability, truth).per_video().sum(axis=0)
    boastful = reliability(probability, truth & (rng.random(truth.shape) < 0.5))
    assert calibration_error(calibrated) < 0.01
    assert calibration_error(boastful.per_video().sum(axis=0)) == pytest.approx(0.25, abs=0.01)


def test_what_is_no_probability_is_refused():
    truth = np.ones((1, 2), dtype=bool)
    for wrong in (1.1, -0.1, np.nan):
        with pytest.raises(ValueError, match="between 0 and 1"):
            reliability(np.array([[0.5, wrong]]), truth)
    with pytest.raises(ValueError, match="outcomes"):
        reliability(np.zeros((1, 3)), truth)
