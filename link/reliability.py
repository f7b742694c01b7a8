"""Calibration: is what a network calls 70 % likely true in 70 % of the cases?

Reliability diagrams and the expected calibration error are those of Guo et al. (ICML 2017), for
probabilities of two outcomes.
"""

from dataclasses import dataclass

import numpy as np

BINS = 10


@dataclass(frozen=True, eq=False)
class Reliability:
    """Probabilities of one kind in bins of equal width, as sums for each of V videos.

    Attributes
    ----------
    count, probability, true
        (V, bins): how many probabilities lie in a bin, their sum, and how many of them came true.
        The sum over any selection of videos is the table of that selection.
    """

    count: np.ndarray
    probability: np.ndarray
    true: np.ndarray

    def curve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each bin mean probability, share that is true, and count; NaN where it is empty."""
        count = self.count.sum(axis=0)
        with np.errstate(invalid="ignore"):
            return (
                self.probability.sum(axis=0) / count,
                self.true.sum(axis=0) / count,
                count,
            )

    def per_video(self) -> np.ndarray:
        """What `calibration_error` takes, for each video: (V, 3, bins)."""
        return np.stack([self.count, self.probability, self.true], axis=1)


def reliability(probability: np.ndarray, truth: np.ndarray, bins: int = BINS) -> Reliability:
    """Sort probabilities into bins.

    Parameters
    ----------
    probability
        In [0, 1], (V, ...).
    truth
        Boolean, of the same shape.
    bins
        Bins of equal width. A probability on the border of two belongs to the lower one.

    Raises
    ------
    ValueError
        If shapes differ or something is not a probability.
    """
    if probability.shape != truth.shape:
        raise ValueError(f"{probability.shape} probabilities for {truth.shape} outcomes")
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("probabilities must lie between 0 and 1")
    videos = len(probability)
    flat = probability.reshape(videos, -1).astype(float)
    which = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], flat)
    cell = (which + bins * np.arange(videos)[:, None]).ravel()
    sums = (
        np.bincount(cell, weights, videos * bins).reshape(videos, bins)
        for weights in (None, flat.ravel(), truth.reshape(-1).astype(float))
    )
    return Reliability(*sums)


def calibration_error(sums: np.ndarray) -> np.ndarray:
    """The expected calibration error, in [0, 1]: (..., 3, bins) to (...).

    ``sums`` are `Reliability.per_video`, summed over videos. The error is the mean over all
    probabilities of the distance between their bin's mean and their bin's share that is true.
    """
    count, probability, true = np.moveaxis(sums, -2, 0)
    return np.abs(probability - true).sum(axis=-1) / count.sum(axis=-1)
