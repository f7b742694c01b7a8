"""A data set for LINK in memory: three splits of plain numpy arrays.

It says which arrays a model may read and which derive from labels, and gives all that training
reads one fingerprint. Its form on disk is in `link.features`.

Shapes use N videos, T segments of one second (10 in LLP), C classes (25 in LLP).
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from link.errors import LinkError

SPLITS = ("train", "val", "test")

# Axes of every array of a split: N videos, T segments, C classes, and a width a modality.
# Arrays of one data set agree in every axis of the same name.
AXES = {
    "audio": ("N", "T", "Da"),
    "visual": ("N", "T", "Dv"),
    "motion": ("N", "T", "Dm"),
    "weak": ("N", "C"),
    "audio_target": ("N", "T", "C"),
    "visual_target": ("N", "T", "C"),
    "audio_prior": ("N", "T", "C"),
    "visual_prior": ("N", "T", "C"),
    "audio_truth": ("N", "T", "C"),
    "visual_truth": ("N", "T", "C"),
}
_FLOAT, _BOOL = (np.dtype(np.float32),), (np.dtype(np.bool_),)
_DTYPES = {name: _BOOL for name in AXES} | {
    "audio": _FLOAT,
    "visual": _FLOAT,
    "motion": _FLOAT,
    "audio_prior": _BOOL + _FLOAT,
    "visual_prior": _BOOL + _FLOAT,
}
# A model that reads these must find them in every split; truth may be there for some only.
_IN_ALL_OR_NONE = ("motion", "audio_prior", "visual_prior")
_OPTIONAL = (*_IN_ALL_OR_NONE, "audio_truth", "visual_truth")
TEXTS = ("audio_text", "visual_text")


class FeatureError(LinkError):
    """Features or a store that cannot be used. The message names the file and the remedy.

    `problems` lists every fault found as (path, reason); it is empty where there is only the
    one that the message tells.
    """

    def __init__(self, message: str, problems: Sequence[tuple[Path, str]] = ()) -> None:
        super().__init__(message)
        self.problems = list(problems)


@dataclass(frozen=True, eq=False)
class Split:
    """One split of a data set. Arrays may be read-only memory maps.

    What a model may read is `audio`, `visual`, `motion` and the priors. Everything else derives
    from labels: a model that is given `weak`, a target or a truth as input is told the answer.

    Raises FeatureError when an array's shape or dtype is not the one below.

    Attributes
    ----------
    names
        N video names, ``<11-character id>_<start>_<end>`` in LLP.
    audio, visual, motion
        (N, T, width) float32 features; motion may be None.
    weak
        (N, C) bool, the video-level label. Supervision in training, never an input.
    audio_target, visual_target
        (N, T, C) bool, pseudo-labels filtered by the weak label. For the training loss only: at
        test time they would hand the model the video's labels.
    audio_prior, visual_prior
        (N, T, C) bool or float32, or None. Pseudo-labels made without any label: the only
        pseudo-labels that a model may see as input.
    audio_truth, visual_truth
        (N, T, C) bool, or None where nobody annotated segments (train). For evaluation only.
    """

    names: tuple[str, ...]
    audio: np.ndarray
    visual: np.ndarray
    weak: np.ndarray
    audio_target: np.ndarray
    visual_target: np.ndarray
    motion: np.ndarray | None = None
    audio_prior: np.ndarray | None = None
    visual_prior: np.ndarray | None = None
    audio_truth: np.ndarray | None = None
    visual_truth: np.ndarray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        self._axis_sizes()

    def __len__(self) -> int:
        return len(self.names)

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that this split has, by field name, in a fixed order."""
        present = {name: getattr(self, name) for name in AXES}
        return {name: array for name, array in present.items() if array is not None}

    def subset(self, indices: Any) -> "Split":
        """The split's videos at `indices` (integers, a boolean mask or a slice), in that order."""
        kept = np.arange(len(self))[indices]
        arrays = {name: array[indices] for name, array in self.arrays().items()}
        return Split(names=tuple(self.names[i] for i in kept), **arrays)

    def _axis_sizes(self) -> dict[str, int]:
        """Size of every named axis. Raises FeatureError where two arrays disagree."""
        sizes = {"N": len(self.names)}
        for name, axes in AXES.items():
            array = getattr(self, name)
            if array is None and name in _OPTIONAL:
                continue
            if not isinstance(array, np.ndarray):
                raise FeatureError(f"{name} must be a numpy array, not {type(array).__name__}")
            if array.dtype not in _DTYPES[name]:
                wanted = " or ".join(str(dtype) for dtype in _DTYPES[name])
                raise FeatureError(f"{name} is {array.dtype}; it must be {wanted}")
            expected = ", ".join(f"{x}={sizes[x]}" if x in sizes else x for x in axes)
            agrees = array.ndim == len(axes) and all(
                sizes.setdefault(axis, size) == size
                for axis, size in zip(axes, array.shape, strict=True)
            )
            if not agrees:
                raise FeatureError(
                    f"{name} has shape {array.shape}; expected ({expected}) for "
                    f"{len(self.names)} names"
                )
        return sizes


@dataclass(frozen=True, eq=False)
class Dataset:
    """A whole data set: what training, evaluation and the feature store work on.

    Raises FeatureError when splits disagree with each other or with the classes.

    Attributes
    ----------
    name
        What reports call it.
    simulated
        True where no recording stands behind the numbers.
    classes
        C class names, in the order of the class axis.
    train, val, test
        The splits.
    audio_text, visual_text
        (C, Dta), (C, Dtv) float32 text features of the class captions, or None where the text
        encoders were not at hand.
    provenance
        Anything JSON can hold (encoder names, seed, what was left out, ...).
    """

    name: str
    simulated: bool
    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    audio_text: np.ndarray | None = None
    visual_text: np.ndarray | None = None
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))
        expected = {**self.train._axis_sizes(), "C": len(self.classes)}
        for split_name, split in self.splits().items():
            for axis, size in split._axis_sizes().items():
                if axis != "N" and size != expected.get(axis, size):
                    raise FeatureError(
                        f"{split_name} has {axis}={size}, but the data set has {expected[axis]}"
                    )
            for name in _IN_ALL_OR_NONE:
                mine, first = getattr(split, name), getattr(self.train, name)
                if (mine is None) != (first is None) or (
                    mine is not None and mine.dtype != first.dtype
                ):
                    raise FeatureError(f"{name} must be alike in all splits, or None in all")
        for name in TEXTS:
            text = getattr(self, name)
            if text is None:
                continue
            if text.ndim != 2 or len(text) != len(self.classes) or text.dtype != np.float32:
                raise FeatureError(
                    f"{name} is {text.dtype} {text.shape}; expected float32, "
                    f"one row for each of {len(self.classes)} classes"
                )

    def splits(self) -> dict[str, Split]:
        """The three splits by name, in the order of the store."""
        return {name: getattr(self, name) for name in SPLITS}

    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything that training and evaluation read.

        Covers class and video names and every array with its shape and dtype; values enter as
        little-endian bytes in C order, so it is the same on every machine, in memory or mapped.
        `name` and `provenance` are left out: they describe the numbers, they are not read.
        """
        digest = hashlib.sha256()

        def add(label: str, array: np.ndarray) -> None:
            description = [label, little_endian(array.dtype).str, list(array.shape)]
            digest.update(json.dumps(description).encode())
            for block in blocks(array):
                digest.update(block)

        digest.update(json.dumps(["classes", *self.classes]).encode())
        for name in TEXTS:
            if getattr(self, name) is not None:
                add(name, getattr(self, name))
        for split_name, split in self.splits().items():
            digest.update(json.dumps([split_name, *split.names]).encode())
            for name, array in split.arrays().items():
                add(name, array)
        return digest.hexdigest()


def little_endian(dtype: np.dtype) -> np.dtype:
    """The same type in the byte order of stores and fingerprints."""
    return dtype.newbyteorder("<")


def blocks(array: np.ndarray, rows: int = 256) -> Iterator[memoryview]:
    """The array's bytes, little-endian, C order, some rows at a time."""
    for start in range(0, len(array), rows):
        block = np.ascontiguousarray(array[start : start + rows], little_endian(array.dtype))
        yield block.reshape(-1).view(np.uint8).data
