"""One class a segment, or none: how AVE is decided and scored.

A parsing says of every class whether it is heard and whether it is seen. AVE (Tian et al., ECCV
2018) asks for less: the one class that is both heard and seen in a segment, or background.
"""

import numpy as np


def categories(events: np.ndarray) -> np.ndarray:
    """The class of every segment: boolean (..., C) to integers (...), C where there is none.

    Raises ValueError where a segment has two classes, as none in AVE has.
    """
    if (events.sum(axis=-1) > 1).any():
        raise ValueError("a segment has two classes; AVE's segments have one or none")
    return np.where(events.any(axis=-1), events.argmax(axis=-1), events.shape[-1])


def one_class(video_prob: np.ndarray, segment_prob: np.ndarray) -> np.ndarray:
    """Decide for one class a video or background: integers (N, T), C for background.

    `video_prob` is float (N, C), `segment_prob` float (N, T, C). The likeliest class of a video is
    in the segments where its probability reaches one half.
    """
    label = video_prob.argmax(axis=1)[:, None]
    there = np.take_along_axis(segment_prob, label[:, None], axis=2)[..., 0] >= 0.5
    return np.where(there, label, video_prob.shape[1])


def segment_accuracy(predicted: np.ndarray, true: np.ndarray) -> float:
    """Percent of segments whose category is right, background being one: integers (N, T) each.

    AVE's score (Tian et al., ECCV 2018): the accuracy over all segments of a split, whichever
    video they are of. Raises ValueError where shapes differ.
    """
    if predicted.shape != true.shape:
        raise ValueError(f"predictions are {predicted.shape}, the truth is {true.shape}")
    return 100 * float((predicted == true).mean())
