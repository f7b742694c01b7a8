"""Confidence intervals over seeds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A mean with the bounds of its confidence interval."""

    mean: float  #: of what was observed
    low: float  #: the lower bound
    high: float  #: the upper bound

    @property
    def excludes_zero(self) -> bool:
        return not self.low <= 0 <= self.high

    def __str__(self) -> str:
        """``+1.2 [+0.3, +2.1]``, for differences in points."""
        return f"{self.mean:+.1f} [{self.low:+.1f}, {self.high:+.1f}]"

    def verdict(self) -> str:
        """The interval, and in words whether it leaves the sign of the difference open."""
        holds = "its interval excludes zero" if self.excludes_zero else "its interval holds zero"
        return f"{self} points: {holds}"


def interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Mean and Student's t confidence interval. ValueError for fewer than two values."""
    from scipy.stats import t

    if len(values) < 2:
        raise ValueError("a confidence interval needs two seeds or more")
    mean = float(np.mean(values))
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5
    reach = float(t.ppf((1 + level) / 2, len(values) - 1)) * error
    return Interval(mean, mean - reach, mean + reach)
