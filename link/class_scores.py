"""How well each class is parsed, with intervals over videos."""

import numpy as np
import torch

from link.intervals import Interval
from link.metrics import segment_counts
from link.resampling import percentile_interval, resampled_sums


def class_scores(pred: np.ndarray, true: np.ndarray, draws: int = 1000) -> list[Interval]:
    """The segment-level F-score of every class in one modality, in percent.

    A class's score pools the segments of all videos: 2 TP / (2 TP + FP + FN). The published
    scores are means over videos (`link.metrics`), so the two differ in the weight of a video.

    Parameters
    ----------
    pred, true
        Boolean (V, T, C).
    draws
        Resamples of the videos, for the 95 % interval.

    Returns
    -------
    list of Interval
        One a class; NaN where the class is neither claimed nor true.
    """
    per_video = _counts_of_videos(pred, true)
    values = _f_score(per_video.sum(axis=0))
    resampled = _f_score(resampled_sums(per_video, draws))
    return [
        percentile_interval(value, column) if not np.isnan(value) else Interval(*[value] * 3)
        for value, column in zip(values, resampled.T, strict=True)
    ]


def pooled_scores(pred: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The scores of :func:`class_scores` without their intervals: float (C,)."""
    return _f_score(_counts_of_videos(pred, true).sum(axis=0))


def _counts_of_videos(pred: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Of `link.metrics.segment_counts`, with the videos first: (V, 3, C)."""
    return segment_counts(torch.from_numpy(pred), torch.from_numpy(true)).movedim(0, 1).numpy()


def _f_score(counts: np.ndarray) -> np.ndarray:
    """Percent, of counts (..., 3, C) of true positives, false positives and false negatives."""
    hits, invented, missed = np.moveaxis(counts.astype(float), -2, 0)
    with np.errstate(invalid="ignore"):
        return 100 * 2 * hits / (2 * hits + invented + missed)
