"""Segment labels from the two teachers, CLAP for what is heard and CLIP for what is seen.

VALOR (NeurIPS 2023) compares every segment with one caption a class, calls the class present where
the logit exceeds a threshold of its own, and keeps only classes of the video's weak label. That
gives two kinds of pseudo-labels, which must never be confused:

* **priors** are the thresholded logits alone. No label went into them, so a network may read them,
  in training and at test time.
* **targets** are priors filtered by the weak label. They supervise training. At test time they
  would hand the network the answer.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from link.captions import Captions, default_setting, read_captions
from link.dataset import Dataset
from link.events import CLASSES

if TYPE_CHECKING:
    from link.encoders import ClapEncoder, ClipEncoder

__all__ = [
    "AUDIO_CAPTIONS",
    "AUDIO_THRESHOLDS",
    "VALOR_CAPTIONS",
    "VISUAL_CAPTIONS",
    "VISUAL_THRESHOLDS",
    "Captions",
    "audio_priors",
    "captions_for",
    "keep_weak",
    "label_segments",
    "read_captions",
    "text_features",
    "visual_priors",
    "with_priors",
]

#: VALOR's captions, in the order of `link.events.CLASSES` and in its own spelling, for the
#: thresholds were tuned for these very words.
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
#: VALOR's captions for CLAP, class by class.
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

#: VALOR's thresholds on CLIP's logits, class by class.
VISUAL_THRESHOLDS = np.array(
    [20, 15, 18, 14, 15, 18, 18, 15, 15, 15, 15, 18, 15]
    + [15, 15, 15, 15, 15, 15, 16, 14, 15, 15, 15, 18],
    dtype=np.float32,
)
#: VALOR's thresholds on CLAP's logits, class by class.
AUDIO_THRESHOLDS = np.array(
    [0, 0, 1, 4, 6, -2, 4, 4, 2, 2, 2, 1, 2, 3, 0, 2, 2, 2, 0, 2, -1, 2, 3, 3, 0],
    dtype=np.float32,
)

#: What VALOR looks and listens for, and where its teachers' word counts.
VALOR_CAPTIONS = Captions(
    CLASSES, AUDIO_CAPTIONS, VISUAL_CAPTIONS, AUDIO_THRESHOLDS, VISUAL_THRESHOLDS
)


def label_segments(
    logits: np.ndarray, thresholds: np.ndarray, temperature: float | None = None
) -> np.ndarray:
    """Priors: the classes whose logit exceeds their threshold.

    ``logits`` is float (..., C), ``thresholds`` float (C,), in the same units; the result is
    boolean (..., C). A logit that equals its threshold is not above it, as in VALOR.

    With a ``temperature``, in those units too and above 0, the priors are soft: float32,
    sigmoid((logit - threshold) / temperature), one half at the threshold. A temperature of 1
    takes a teacher's word for its own logits; the lower, the closer to the boolean ones.

    Raises ValueError for a temperature that is not above 0.
    """
    if temperature is None:
        return logits > thresholds
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}: soft priors need one above 0")
    # The sigmoid by way of tanh, which no large logit makes overflow.
    margin = (logits - thresholds) / (2 * temperature)
    return (0.5 + 0.5 * np.tanh(margin)).astype(np.float32)


def audio_priors(
    logits: np.ndarray,
    thresholds: np.ndarray = AUDIO_THRESHOLDS,
    temperature: float | None = None,
) -> np.ndarray:
    """What is heard, by CLAP's logits (..., C) alone; see `label_segments`."""
    return label_segments(logits, thresholds, temperature)


def visual_priors(
    logits: np.ndarray,
    thresholds: np.ndarray = VISUAL_THRESHOLDS,
    temperature: float | None = None,
) -> np.ndarray:
    """What is seen, by CLIP's logits (..., C) alone; see `label_segments`."""
    return label_segments(logits, thresholds, temperature)


def keep_weak(priors: np.ndarray, weak: np.ndarray) -> np.ndarray:
    """Targets: priors, boolean (N, T, C), of the classes in the weak labels, boolean (N, C)."""
    return priors & weak[:, None]


def text_features(
    clap: "ClapEncoder", clip: "ClipEncoder", captions: Captions = VALOR_CAPTIONS
) -> tuple[np.ndarray, np.ndarray]:
    """The captions as PLSIM reads them: CLAP's of the sounds and CLIP's of the sights.

    Both float32 and of length 1, (C, 512) and (C, 768) with VALOR's models.
    """
    return clap.embed_text(captions.audio), clip.embed_text(captions.visual)


def captions_for(classes: Sequence[str]) -> Captions:
    """Captions and thresholds: VALOR's for the classes of LLP, the default for any other."""
    valor = {name: index for index, name in enumerate(CLASSES)}

    def column(key: str, valors: Sequence) -> list:
        return [
            valors[valor[name]] if name in valor else default_setting(name, key)
            for name in classes
        ]

    return Captions(
        tuple(classes),
        tuple(column("audio", AUDIO_CAPTIONS)),
        tuple(column("visual", VISUAL_CAPTIONS)),
        np.array(column("audio_threshold", AUDIO_THRESHOLDS), np.float32),
        np.array(column("visual_threshold", VISUAL_THRESHOLDS), np.float32),
    )


def with_priors(dataset: Dataset, clap: "ClapEncoder", clip: "ClipEncoder") -> Dataset:
    """LLP's published features with what PLSIM reads: text features, and priors without labels.

    Visual priors follow from the features exactly, since those are CLIP's embeddings; audio priors
    nearly, from CLAP's map (`link.encoders.ClapEncoder.project_map`). The provenance says so.
    """
    captions = VALOR_CAPTIONS
    audio_text, visual_text = text_features(clap, clip, captions)
    splits = {}
    for name, split in dataset.splits().items():
        heard = clap.logits(clap.project_map(split.audio), audio_text)
        # Published features are CLIP's embeddings, but for the rounding of half precision.
        seen = clip.logits(split.visual, visual_text)
        priors = {"audio_prior": audio_priors(heard), "visual_prior": visual_priors(seen)}
        splits[name] = replace(split, **priors)
    provenance = {
        **dataset.provenance,
        "encoders": {"audio": clap.name, "visual": clip.name},
        "captions": captions.record(),
        "priors": {
            "visual": "exact: from CLIP's embeddings",
            "audio": "nearly: from CLAP's map of the clip, pooled to segments and projected",
        },
    }
    texts = {"audio_text": audio_text, "visual_text": visual_text}
    return replace(dataset, **splits, **texts, provenance=provenance)
