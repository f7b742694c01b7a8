"""The ten F-scores in which audio-visual video parsing is reported.

The definitions are those of the evaluation code of Tian et al. (ECCV 2020), which every later
paper uses: an F-score for each video and class, averaged over the classes that occur in the
prediction or in the truth of that video, then over videos. A video in which nothing is predicted
and nothing is true scores 1.
"""

import numpy as np
import torch
from torch import Tensor

LEVELS = ("segment", "event")
KINDS = ("audio", "visual", "audio_visual", "type", "event")
SCORES = tuple(f"{level}/{kind}" for level in LEVELS for kind in KINDS)

#: The score of videos' labels, where no segment is annotated; see `video_score`.
VIDEO_SCORE = "video"

#: A predicted and a true event match if their intersection over union is at least this.
MATCHING_IOU = 0.5


def parsing_scores(pred_audio, pred_visual, true_audio, true_visual) -> dict[str, float]:
    """Return the ten published figures, in percent.

    Parameters
    ----------
    pred_audio, pred_visual, true_audio, true_visual
        Boolean arrays or tensors of shape (videos, segments, classes), all four alike. Tensors
        stay on their device.

    Returns
    -------
    dict
        Keys ``segment/audio``, ``segment/visual``, ``segment/audio_visual``, ``segment/type`` (the
        mean of the former three) and ``segment/event`` (true and false positives of both
        modalities pooled), and the same five below ``event/``, where runs of segments are compared
        at an intersection over union of 0.5.

    Raises
    ------
    ValueError
        If the shapes differ, are not three-dimensional, or there is no video; if values are
        neither true nor false, such as probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> truth = np.zeros((1, 10, 25), dtype=bool)
    >>> truth[0, 2:5, 3] = True
    >>> parsing_scores(truth, truth, truth, truth)["event/audio_visual"]
    100.0
    """
    per_video = video_scores(pred_audio, pred_visual, true_audio, true_visual)
    mean = {name: 100 * scores.mean().item() for name, scores in per_video.items()}
    for level in LEVELS:
        mean[f"{level}/type"] = sum(mean[f"{level}/{kind}"] for kind in KINDS[:3]) / 3
    return {name: mean[name] for name in SCORES}


def video_score(predicted, weak) -> float:
    """Return how well videos' labels are predicted, in percent: the mean of the videos' F-scores.

    For data without segment annotation; no published figure is of this kind. The F-score of a
    video compares the set of its predicted labels with the set of its weak ones, and is 1 where
    both are empty.

    Parameters
    ----------
    predicted, weak
        Boolean arrays or tensors of shape (videos, classes).

    Raises
    ------
    ValueError
        If the shapes differ, are not two-dimensional, or there is no video; if values are neither
        true nor false.
    """
    predicted, weak = _as_boolean(predicted), _as_boolean(weak)
    if predicted.ndim != 2 or predicted.shape != weak.shape or len(weak) == 0:
        raise ValueError(
            "predicted and weak labels must have one shape (videos, classes) with at least one "
            f"video; got {tuple(predicted.shape)} and {tuple(weak.shape)}"
        )
    counts = segment_counts(predicted.unsqueeze(-1), weak.unsqueeze(-1)).double()
    return 100 * _mean_f_score(counts).mean().item()


def video_scores(pred_audio, pred_visual, true_audio, true_visual) -> dict[str, Tensor]:
    """Return the F-scores of every video, before they are averaged.

    Takes what :func:`parsing_scores` takes. Returns float64 tensors of shape (videos,), in [0, 1],
    on the device of the input, for every figure but the two ``type`` ones, which are defined on
    averages.
    """
    pred = _stack_modalities(pred_audio, pred_visual)
    true = _stack_modalities(true_audio, true_visual)
    if pred.shape != true.shape:
        raise ValueError(
            f"prediction and truth differ in shape: {tuple(pred.shape[1:])} and "
            f"{tuple(true.shape[1:])}; both must be (videos, segments, classes)"
        )
    scores = {}
    for level, count in (("segment", segment_counts), ("event", event_counts)):
        counts = count(pred, true).double()
        both_modalities = counts[:, :2].sum(dim=1)
        for index, kind in enumerate(KINDS[:3]):
            scores[f"{level}/{kind}"] = _mean_f_score(counts[:, index])
        scores[f"{level}/event"] = _mean_f_score(both_modalities)
    return scores


def segment_counts(pred: Tensor, true: Tensor) -> Tensor:
    """Count true positive, false positive and false negative segments.

    ``pred`` and ``true`` are boolean, (..., segments, classes); the result is int16,
    (3, ..., classes).
    """
    hits, said, there = (grid.sum(-2, dtype=torch.int16) for grid in (pred & true, pred, true))
    return torch.stack([hits, said - hits, there - hits])


def event_counts(pred: Tensor, true: Tensor) -> Tensor:
    """Count matched events, unmatched predicted events and unmatched true events.

    An event is a maximal run of segments of one class. Shapes are those of
    :func:`segment_counts`.

    Matching needs no assignment: two true events are at least one segment apart, so a predicted
    event that covered half of its union with each of them would be longer than itself. Every event
    therefore matches one other at most, and a matching pair is counted once, at the first segment
    that the two share.
    """
    # Segment after segment, over all videos and classes at once: few and small numbers a step.
    pred, true = (grid.movedim(-2, 0).contiguous() for grid in (pred, true))
    pred_start, pred_end = _runs(pred)
    true_start, true_end = _runs(true)
    shared = torch.minimum(pred_end, true_end) - torch.maximum(pred_start, true_start)
    # Runs that share a segment have no gap between them, so their union is their hull.
    union = torch.maximum(pred_end, true_end) - torch.minimum(pred_start, true_start)
    # In integers, which are smaller and quicker: the threshold is one over a whole number.
    matches = _first_segments(pred & true) & (shared * round(1 / MATCHING_IOU) >= union)
    counted = (matches, _first_segments(pred), _first_segments(true))
    matched, predicted, actual = (each.sum(0, dtype=torch.int16) for each in counted)
    return torch.stack([matched, predicted - matched, actual - matched])


def _first_segments(grid: Tensor) -> Tensor:
    """The segments with which a run begins, in a grid (segments, ...) and of its shape."""
    first = grid.clone()
    first[1:] &= ~grid[:-1]
    return first


def _runs(grid: Tensor) -> tuple[Tensor, Tensor]:
    """For every active segment, the first segment of its run and the one after its last.

    ``grid`` is boolean, (segments, ...), and so shaped are the two results, int16. Where the grid
    is not active they mean nothing.
    """
    segments = len(grid)
    here = torch.arange(segments, dtype=torch.int16, device=grid.device)
    here = here.view(-1, *[1] * (grid.ndim - 1))
    # An inactive segment bounds the runs on both sides of it; the nearest bound counts. Products
    # with the grid choose between numbers many times faster than `torch.where` does.
    start = (~grid).short() * (here + 1)
    end = grid.short() * (segments - here) + here
    for segment in range(1, segments):
        torch.maximum(start[segment], start[segment - 1], out=start[segment])
    for segment in reversed(range(segments - 1)):
        torch.minimum(end[segment], end[segment + 1], out=end[segment])
    return start, end


def _stack_modalities(audio, visual) -> Tensor:
    """Stack audio, visual and audio-visual grids into (3, videos, segments, classes)."""
    audio, visual = _as_boolean(audio), _as_boolean(visual)
    if audio.ndim != 3 or audio.shape != visual.shape or len(audio) == 0:
        raise ValueError(
            "audio and visual grids must have one shape (videos, segments, classes) with at least "
            f"one video; got {tuple(audio.shape)} and {tuple(visual.shape)}"
        )
    # In memory the segments come first: counts run over them, for all videos and classes at once.
    grids = (grid.movedim(1, 0) for grid in (audio, visual, audio & visual))
    return torch.stack([*grids], dim=1).movedim(0, 2)


def _as_boolean(grid) -> Tensor:
    # A copy, because torch does not take a read-only array, which a memory map is.
    grid = grid if isinstance(grid, Tensor) else torch.from_numpy(np.array(grid))
    if grid.is_floating_point() and not ((grid == 0) | (grid == 1)).all():
        raise ValueError("grids are true or false; compare probabilities with a threshold first")
    return grid.bool()


def _mean_f_score(counts: Tensor) -> Tensor:
    """Average the F-scores of the classes that occur; 1 where none does. (3, V, C) -> (V,)."""
    true_positive, false_positive, false_negative = counts
    denominator = 2 * true_positive + false_positive + false_negative
    occurs = denominator > 0
    f_score = torch.where(occurs, 2 * true_positive / denominator.clamp(min=1), 0.0)
    classes = occurs.sum(-1)
    return torch.where(classes > 0, f_score.sum(-1) / classes.clamp(min=1), 1.0)
