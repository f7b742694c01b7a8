"""Inference: cut a split into batches, parse its videos, and score the parsing.

What a network may read and what only the loss may is told apart here, in `Batch`.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from link.dataset import Split
from link.metrics import VIDEO_SCORE, parsing_scores, video_score
from link.model import DECISION_THRESHOLD, LINK, decide

#: Videos that are parsed at a time.
EVALUATION_BATCH = 256


class Batch(NamedTuple):
    """Some videos on the device, float32. Inputs first; then what only the loss may see."""

    audio: Tensor  #: (B, T, audio_dim)
    visual: Tensor  #: (B, T, visual_dim)
    motion: Tensor | None  #: (B, T, motion_dim)
    audio_prior: Tensor | None  #: (B, T, C)
    visual_prior: Tensor | None  #: (B, T, C)
    weak: Tensor | None  #: (B, C)
    audio_target: Tensor | None  #: (B, T, C)
    visual_target: Tensor | None  #: (B, T, C)

    @property
    def inputs(self) -> tuple[Tensor | None, ...]:
        """What the network reads: features and label-free priors, and no label."""
        return self[: len(INPUTS)]

    @property
    def labels(self) -> tuple[Tensor | None, ...]:
        """What the loss reads."""
        return self[len(INPUTS) :]


#: The arrays of a split that a network reads.
INPUTS = Batch._fields[:5]


class Predictions(NamedTuple):
    """What a network says about N videos, as numpy arrays."""

    audio: np.ndarray  #: (N, T, C) bool, what is heard
    visual: np.ndarray  #: (N, T, C) bool, what is seen
    segment_prob: np.ndarray  #: (N, T, 2, C) float32
    video_prob: np.ndarray  #: (N, C) float32


@torch.no_grad()
def predict(model: LINK, split: Split, device: str = "cpu") -> Predictions:
    """Parse every video of a split, from its features and label-free priors alone."""
    model.eval()
    audio, visual, segment_prob, video_prob = [], [], [], []
    for batch in batches(split, EVALUATION_BATCH, device, names=INPUTS):
        output = model(*batch.inputs)
        heard, seen = decide(output)
        audio.append(heard.cpu())
        visual.append(seen.cpu())
        segment_prob.append(output.segment_prob.cpu())
        video_prob.append(output.video_prob.cpu())
    return Predictions(*(torch.cat(x).numpy() for x in (audio, visual, segment_prob, video_prob)))


def evaluate(model: LINK, split: Split, device: str = "cpu") -> dict[str, float]:
    """The ten F-scores of a split, in percent (`link.metrics.parsing_scores`).

    Where nobody annotated segments, only ``video``: how well the weak labels are predicted
    (`link.metrics.video_score`).
    """
    predictions = predict(model, split, device)
    if split.audio_truth is None or split.visual_truth is None:
        return {VIDEO_SCORE: video_score(predictions.video_prob >= DECISION_THRESHOLD, split.weak)}
    return parsing_scores(
        predictions.audio, predictions.visual, split.audio_truth, split.visual_truth
    )


def batches(
    split: Split,
    size: int,
    device: str = "cpu",
    order: np.ndarray | None = None,
    names: Sequence[str] = Batch._fields,
) -> Iterator[Batch]:
    """Cut a split into batches of at most ``size`` videos, in the given order or its own.

    Only the arrays in ``names`` are read; the others are None, as those that the split lacks.
    """
    order = np.arange(len(split)) if order is None else order
    arrays = split.arrays()
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        yield Batch(
            *(
                torch.from_numpy(arrays[name][chosen]).to(device, torch.float32)
                if name in names and name in arrays
                else None
                for name in Batch._fields
            )
        )
