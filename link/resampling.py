"""Intervals over videos: the bootstrap of Efron (1979), for quantities that are made of sums.

Segments of one video are not independent, so videos are drawn, never segments.
"""

import numpy as np

from link.intervals import Interval


def resampled_sums(per_video: np.ndarray, draws: int = 1000, seed: int = 0) -> np.ndarray:
    """What the sum over videos might have been: (draws, ...).

    ``per_video`` is (V, ...). Each draw sums V videos, drawn with replacement. The same seed and
    number of videos draw the same videos, so results of two calls can be compared in pairs.
    """
    videos = len(per_video)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(videos, np.full(videos, 1 / videos), size=draws)
    flat = np.asarray(per_video, dtype=float).reshape(videos, -1)
    return (weights @ flat).reshape(draws, *np.shape(per_video)[1:])


def percentile_interval(value: float, resampled: np.ndarray, level: float = 0.95) -> Interval:
    """The value with the bounds between which ``level`` of its resampled values (draws,) lie.

    Draws in which the value is not defined, NaN, are left out.
    """
    outside = 50 * (1 - level)
    low, high = np.nanpercentile(resampled, [outside, 100 - outside])
    return Interval(float(value), float(low), float(high))
