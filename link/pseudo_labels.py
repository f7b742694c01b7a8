"""Segment labels from the two teachers, CLAP for what is heard and CLIP for what is seen.

VALOR (NeurIPS 2023) compares every segment with one caption a class, calls the class present where
the logit exceeds a threshold of its own, and keeps only classes of the video's weak label. That
gives two kinds of pseudo-labels, which must never be confused:

* **priors** are the thresholded logits alone. No label went into them, so a network may read them,
  in training and at test time.
* **targets** are priors filtered by the weak label. They supervise training. At test time they
  would hand the network the answer.
"""

import numpy as np

#: VALOR's captions, in the order of `link.events.CLASSES` and in its own spelling: the thresholds
#: were tuned for these very words.
VISUAL_CAPTIONS = tuple(
    f"A photo of {thing}."
    for thing in (
        "people talking",
        "a car",
        "people cheering",
        "a dog",
        "a cat",
        "frying food",
        "people playing basketball",
        "a fire alarm",
        "a chainsaw",
        "a cello",
        "a banjo",
        "people singing",
        "a chicken or a rooster",
        "a violin",
        "a vaccum cleaner",
        "a laughing baby",
        "an accordion",
        "a lawnmower",
        "a motorcycle",
        "a helicopter",
        "a acoustic guiter",
        "a ringing telephone",
        "a crying baby",
        "a blender",
        "hands clapping",
    )
)
AUDIO_CAPTIONS = tuple(
    f"This is a sound of {name}"
    for name in (
        "speech",
        "car",
        "cheering",
        "dog",
        "cat",
        "frying (food)",
        "basketball bounce",
        "fire alarm",
        "chainsaw",
        "cello",
        "banjo",
        "singing",
        "chicken, rooster",
        "violin fiddle",
        "vacuum cleaner",
        "baby laughter",
        "accordion",
        "lawn mower",
        "motorcycle",
        "helicopter",
        "acoustic guitar",
        "telephone bell ringing",
        "baby cry, infant cry",
        "blender",
        "clapping",
    )
)

#: VALOR's thresholds on CLIP's and on CLAP's logits, class by class.
VISUAL_THRESHOLDS = np.array(
    [20, 15, 18, 14, 15, 18, 18, 15, 15, 15, 15, 18, 15]
    + [15, 15, 15, 15, 15, 15, 16, 14, 15, 15, 15, 18],
    dtype=np.float32,
)
AUDIO_THRESHOLDS = np.array(
    [0, 0, 1, 4, 6, -2, 4, 4, 2, 2, 2, 1, 2, 3, 0, 2, 2, 2, 0, 2, -1, 2, 3, 3, 0],
    dtype=np.float32,
)


def label_segments(logits: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Priors: the classes whose logit exceeds their threshold.

    ``logits`` is float (..., C), ``thresholds`` float (C,), in the same units; the result is
    boolean (..., C). A logit that equals its threshold is not above it, as in VALOR.
    """
    return logits > thresholds


def keep_weak(priors: np.ndarray, weak: np.ndarray) -> np.ndarray:
    """Targets: priors, boolean (N, T, C), of the classes in the weak labels, boolean (N, C)."""
    return priors & weak[:, None]
