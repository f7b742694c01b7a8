import numpy as np
import pytest
from scipy.stats import bootstrap

from link.resampling import percentile_interval, resampled_sums


def test_each_draw_has_as_many_videos_and_only_those_there_are():
    videos = 7
    sums = resampled_sums(np.eye(videos), draws=50)
    assert sums.shape == (50, videos)
    assert (sums == sums.round()).all() and (sums >= 0).all()
    assert (sums.sum(axis=1) == videos).all()
    assert (sums == 0).any() and (sums > 1).any()


def test_parts_of_a_video_stay_together():
    per_video = np.arange(24.0).reshape(4, 2, 3)
    weights = resampled_sums(np.eye(4), draws=20)
    expected = np.einsum("dv,v...->d...", weights, per_video)
    assert np.allclose(resampled_sums(per_video, draws=20), expected)


def test_the_seed_decides_the_draw():
    per_video = np.arange(9)
    assert np.array_equal(resampled_sums(per_video), resampled_sums(per_video))
    assert not np.array_equal(resampled_sums(per_video), resampled_sums(per_video, seed=1))


def test_the_interval_is_that_of_scipys_bootstrap():
    values = np.random.default_rng(3).gamma(1.0, size=200)
    ours = percentile_interval(values.mean(), resampled_sums(values, draws=5000) / len(values))
    theirs = bootstrap((values,), np.mean, n_resamples=5000, method="percentile", rng=1)
    assert ours.mean == values.mean()
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.02)


def test_draws_without_a_value_are_left_out():
    resampled = np.concatenate([np.arange(101.0), np.full(50, np.nan)])
    assert percentile_interval(50, resampled, level=0.9) == pytest.approx((50, 5, 95))
