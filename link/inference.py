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
        """The features and label-free priors that the network reads, and no label."""
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


class Videos:
    """The arrays of a split, to be cut into batches on a device.

    On a GPU all of them are copied there at once, as float32, so that no batch waits for the host.
    On a CPU they stay what they are: of a store's arrays, only what a batch asks for is read.

    Parameters
    ----------
    names
        The arrays that batches hold; the others are None, as those that the split lacks.
    """

    def __init__(
        self, split: Split, device: str = "cpu", names: Sequence[str] = Batch._fields
    ) -> None:
        self.device = torch.device(device)
        self.split = split
        self.arrays = {name: array for name, array in split.arrays().items() if name in names}
        if self.device.type != "cpu":
            self.arrays = {
                name: torch.from_numpy(np.array(array)).to(self.device, torch.float32)
                for name, array in self.arrays.items()
            }

    def __len__(self) -> int:
        return len(self.split)

    def order(self, chosen: Tensor) -> Tensor | np.ndarray:
        """Numbers of videos, integers of any shape, as the index that `batch` takes."""
        return chosen.numpy() if self.device.type == "cpu" else chosen.to(self.device)

    def batch(self, chosen: Tensor | np.ndarray) -> Batch:
        """The videos of these numbers; every array begins with the axes of ``chosen``."""

        def read(name: str) -> Tensor | None:
            if name not in self.arrays:
                return None
            return torch.as_tensor(self.arrays[name][chosen]).to(torch.float32)

        return Batch(*map(read, Batch._fields))


@torch.no_grad()
def predict(model: LINK, split: Split | Videos, device: str = "cpu") -> Predictions:
    """Parse every video of a split, from its features and label-free priors alone."""
    model.eval()
    audio, visual, segment_prob, video_prob = [], [], [], []
    for batch in batches(split, EVALUATION_BATCH, device, names=INPUTS):
        output = model(*batch.inputs)
        heard, seen = decide(output)
        audio.append(heard.cpu())
        visual.append(seen.cpu())
        segment_prob.append(output.segment_prob.float().cpu())
        video_prob.append(output.video_prob.float().cpu())
    return Predictions(*(torch.cat(x).numpy() for x in (audio, visual, segment_prob, video_prob)))


def evaluate(model: LINK, split: Split | Videos, device: str = "cpu") -> dict[str, float]:
    """The ten F-scores of a split, in percent (`link.metrics.parsing_scores`).

    Where nobody annotated segments, only ``video``: how well the weak labels are predicted
    (`link.metrics.video_score`).
    """
    predictions = predict(model, split, device)
    return scores(predictions, split.split if isinstance(split, Videos) else split)


def scores(predictions: Predictions, split: Split) -> dict[str, float]:
    """What :func:`evaluate` returns, of predictions already made."""
    if split.audio_truth is None or split.visual_truth is None:
        return {VIDEO_SCORE: video_score(predictions.video_prob >= DECISION_THRESHOLD, split.weak)}
    return parsing_scores(
        predictions.audio, predictions.visual, split.audio_truth, split.visual_truth
    )


def batches(
    split: Split | Videos,
    size: int,
    device: str = "cpu",
    order: np.ndarray | None = None,
    names: Sequence[str] = Batch._fields,
) -> Iterator[Batch]:
    """Cut a split into batches of at most ``size`` videos, in the given order or its own.

    Only the arrays in ``names`` are read; the others are None, as those that the split lacks.
    ``device`` and ``names`` count for a split; `Videos` have theirs.
    """
    videos = split if isinstance(split, Videos) else Videos(split, device, names)
    numbers = torch.arange(len(videos)) if order is None else torch.as_tensor(order)
    numbers = videos.order(numbers)
    for start in range(0, len(numbers), size):
        yield videos.batch(numbers[start : start + size])
