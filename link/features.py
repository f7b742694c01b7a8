"""A data set for LINK in memory and on disk.

A `Dataset` is three `Split`s (train, val, test) of plain numpy arrays. On disk it is a folder,
the feature store: one ``.npy`` file an array for the whole data set, memory-mapped when it is
opened, and one ``store.json`` that describes them.

Shapes use N videos, T segments of one second (10 in LLP), C classes (25 in LLP).
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

SPLITS = ("train", "val", "test")
STORE_FORMAT = "link-store"
STORE_VERSION = 1
HEADER = "store.json"

# Axes of every array of a split: N videos, T segments, C classes, and a width a modality.
# Arrays of one data set agree in every axis of the same name.
_AXES = {
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
_DTYPES = {name: _BOOL for name in _AXES} | {
    "audio": _FLOAT,
    "visual": _FLOAT,
    "motion": _FLOAT,
    "audio_prior": _BOOL + _FLOAT,
    "visual_prior": _BOOL + _FLOAT,
}
# A model that reads these must find them in every split; truth may be there for some only.
_IN_ALL_OR_NONE = ("motion", "audio_prior", "visual_prior")
_OPTIONAL = (*_IN_ALL_OR_NONE, "audio_truth", "visual_truth")
_TEXTS = ("audio_text", "visual_text")


class FeatureError(ValueError):
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

    names: N video names, ``<11-character id>_<start>_<end>`` in LLP.
    audio, visual, motion: (N, T, width) float32 features; motion may be None.
    weak: (N, C) bool, the video-level label. Supervision in training, never an input.
    audio_target, visual_target: (N, T, C) bool, pseudo-labels filtered by the weak label. For
        the training loss only: at test time they would hand the model the video's labels.
    audio_prior, visual_prior: (N, T, C) bool or float32, or None. Pseudo-labels made without any
        label: the only pseudo-labels that a model may see as input.
    audio_truth, visual_truth: (N, T, C) bool, or None where nobody annotated segments (train).
        For evaluation only.

    Raises FeatureError when an array's shape or dtype is not the one above.
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
        present = {name: getattr(self, name) for name in _AXES}
        return {name: array for name, array in present.items() if array is not None}

    def subset(self, indices: Any) -> "Split":
        """The split's videos at `indices` (integers, a boolean mask or a slice), in that order."""
        kept = np.arange(len(self))[indices]
        arrays = {name: array[indices] for name, array in self.arrays().items()}
        return Split(names=tuple(self.names[i] for i in kept), **arrays)

    def _axis_sizes(self) -> dict[str, int]:
        """Size of every named axis. Raises FeatureError where two arrays disagree."""
        sizes = {"N": len(self.names)}
        for name, axes in _AXES.items():
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

    name: how reports call it. simulated: True where no recording stands behind the numbers.
    classes: C class names, in the order of the class axis.
    audio_text, visual_text: (C, Dta), (C, Dtv) float32 text features of the class captions, or
        None where the text encoders were not at hand.
    provenance: anything JSON can hold (encoder names, seed, what was left out, ...).

    Raises FeatureError when splits disagree with each other or with the classes.
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
        for name in _TEXTS:
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
            description = [label, _little_endian(array.dtype).str, list(array.shape)]
            digest.update(json.dumps(description).encode())
            for block in _blocks(array):
                digest.update(block)

        digest.update(json.dumps(["classes", *self.classes]).encode())
        for name in _TEXTS:
            if getattr(self, name) is not None:
                add(name, getattr(self, name))
        for split_name, split in self.splits().items():
            digest.update(json.dumps([split_name, *split.names]).encode())
            for name, array in split.arrays().items():
                add(name, array)
        return digest.hexdigest()


def write_store(path: str | Path, dataset: Dataset, overwrite: bool = False) -> Path:
    """Writes `dataset` as a store at `path` and returns the path.

    Everything goes into a temporary sibling folder that is renamed at the end: whatever
    interrupts the writing, `path` is either the whole store or what it was before.

    Raises FeatureError when `path` exists (with `overwrite`: when it is no store, so that
    nothing else is ever deleted) or when the provenance is not JSON.
    """
    path = Path(path).absolute()
    if path.exists() and not overwrite:
        raise FeatureError(f"{path} exists; choose another path, or ask to overwrite it")
    if path.exists() and not (path / HEADER).is_file():
        raise FeatureError(f"{path} is not a feature store; it is not overwritten, move it away")
    header = {
        "format": STORE_FORMAT,
        "version": STORE_VERSION,
        "name": dataset.name,
        "simulated": dataset.simulated,
        "classes": list(dataset.classes),
        "sizes": {name: len(split) for name, split in dataset.splits().items()},
        "provenance": dataset.provenance,
        "arrays": {},
        "names": {name: list(split.names) for name, split in dataset.splits().items()},
    }
    try:
        json.dumps(header)
    except (TypeError, ValueError) as error:
        raise FeatureError(f"the provenance of {dataset.name} is not JSON: {error}") from error

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    replaced = partial.with_suffix(".replaced")
    try:
        partial.mkdir()
        for name in _AXES:
            having = [key for key, split in dataset.splits().items() if name in split.arrays()]
            if having:
                parts = [dataset.splits()[key].arrays()[name] for key in having]
                entry = _write_array(partial / f"{name}.npy", parts)
                header["arrays"][name] = {"splits": having, **entry}
        for name in _TEXTS:
            if getattr(dataset, name) is not None:
                entry = _write_array(partial / f"{name}.npy", [getattr(dataset, name)])
                header["arrays"][name] = entry
        (partial / HEADER).write_text(json.dumps(header, indent=1), encoding="utf-8")
        if path.exists():
            path.rename(replaced)
        partial.rename(path)
    except BaseException:
        if replaced.exists() and not path.exists():
            replaced.rename(path)
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)
    return path


def open_store(path: str | Path) -> Dataset:
    """Opens the store at `path`; its arrays are read-only memory maps, its splits views of them.

    Reads the header and the size of every file, not the arrays: see `verify_store` for those.

    Raises FeatureError when `path` is no store, is of another version, or an array is missing,
    truncated or not what the header says.
    """
    path = Path(path)
    header = _read_header(path)
    problems = [
        (path / entry["file"], reason)
        for entry in header["arrays"].values()
        if (reason := _size_fault(path, entry))
    ]
    if problems:
        raise _damage(path, problems)
    stored = {name: _map_array(path, entry) for name, entry in header["arrays"].items()}
    texts = {name: stored.pop(name, None) for name in _TEXTS}
    splits: dict[str, dict[str, np.ndarray]] = {name: {} for name in SPLITS}
    for name, array in stored.items():
        start = 0
        for split_name in header["arrays"][name]["splits"]:
            stop = start + header["sizes"][split_name]
            splits[split_name][name] = array[start:stop]
            start = stop
    try:
        return Dataset(
            name=header["name"],
            simulated=header["simulated"],
            classes=header["classes"],
            **{name: Split(names=header["names"][name], **splits[name]) for name in SPLITS},
            **texts,
            provenance=header["provenance"],
        )
    except (FeatureError, TypeError) as error:
        raise _damage(path, [(path / HEADER, str(error))]) from error


def verify_store(path: str | Path) -> None:
    """Reads every array of the store and compares its SHA-256 with the header's.

    Raises FeatureError that names every missing, truncated or altered array (also `problems`).
    """
    path = Path(path)
    problems = []
    for entry in _read_header(path)["arrays"].values():
        reason = _size_fault(path, entry)
        if reason is None:
            with open(path / entry["file"], "rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != entry["sha256"]:
                    reason = "content differs from its checksum"
        if reason is not None:
            problems.append((path / entry["file"], reason))
    if problems:
        raise _damage(path, problems)


def audio_map_matrix(
    cells_time: int = 32, cells_frequency: int = 2, upsampled: int = 1024, segments: int = 10
) -> np.ndarray:
    """The linear map from CLAP's audio cells to segments, (segments, cells) float64.

    VALOR's network (arXiv 2305.17343, reference code) upsamples the (frequency, time) cells
    bicubically to (frequency, `upsampled`), projects each with one linear layer, averages over
    frequency and pools to segments by adaptive averages. All but the projection is linear over
    cells and the same for every feature, so it commutes with the projection:
    ``project(matrix @ cells)`` equals the network's output. Rows sum to 1, so the projection's
    bias passes through. Cell index: frequency * cells_time + time.

    Bicubic interpolation is the usual one: Keys' kernel with a = -0.75, pixel centres at
    half-integers (align_corners False), cells beyond the border repeated. Frequency keeps its
    size, hence is not interpolated.
    """
    position = (np.arange(upsampled) + 0.5) * cells_time / upsampled - 0.5
    nearest = np.floor(position).astype(int)
    interpolation = np.zeros((upsampled, cells_time))
    for tap in range(-1, 3):
        cell = nearest + tap
        weight = _keys_kernel(np.abs(position - cell))
        np.add.at(interpolation, (np.arange(upsampled), cell.clip(0, cells_time - 1)), weight)
    # Adaptive pooling: windows start at the floor and end at the ceiling, so they overlap.
    index = np.arange(segments)
    starts = index * upsampled // segments
    stops = -(-(index + 1) * upsampled // segments)
    pooled = [interpolation[a:b].mean(axis=0) for a, b in zip(starts, stops, strict=True)]
    return np.tile(np.stack(pooled) / cells_frequency, cells_frequency)


def _keys_kernel(distance: np.ndarray, a: float = -0.75) -> np.ndarray:
    near = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    far = a * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))


def _little_endian(dtype: np.dtype) -> np.dtype:
    return dtype.newbyteorder("<")


def _blocks(array: np.ndarray, rows: int = 256) -> Iterator[memoryview]:
    """The array's bytes, little-endian, C order, some rows at a time."""
    for start in range(0, len(array), rows):
        block = np.ascontiguousarray(array[start : start + rows], _little_endian(array.dtype))
        yield block.reshape(-1).view(np.uint8).data


def _write_array(file: Path, parts: list[np.ndarray]) -> dict[str, Any]:
    """Writes the parts one after another as one .npy file; returns its entry in the header."""
    shape = (sum(len(part) for part in parts), *parts[0].shape[1:])
    dtype = _little_endian(parts[0].dtype)
    with open(file, "wb") as stream:
        description = {"descr": dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, description)
        for part in parts:
            for block in _blocks(part):
                stream.write(block)
    with open(file, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
    return {
        "file": file.name,
        "shape": list(shape),
        "dtype": dtype.str,
        "bytes": os.path.getsize(file),
        "sha256": digest.hexdigest(),
    }


def _read_header(path: Path) -> dict[str, Any]:
    if not (path / HEADER).is_file():
        raise FeatureError(
            f"{path} is not a feature store (no {HEADER} in it); make one with "
            "'link-avvp pack' or 'link-avvp simulate'"
        )
    try:
        header = json.loads((path / HEADER).read_text(encoding="utf-8"))
        is_store = header["format"] == STORE_FORMAT
        version = header["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise _damage(path, [(path / HEADER, f"unreadable, {error!r}")]) from error
    if not is_store or version != STORE_VERSION:
        raise FeatureError(
            f"{path / HEADER} is of format {header['format']!r}, version {version!r}; this "
            f"package reads {STORE_FORMAT!r}, version {STORE_VERSION}: write the store again"
        )
    return header


def _size_fault(path: Path, entry: dict[str, Any]) -> str | None:
    file = path / entry["file"]
    if not file.is_file():
        return "missing"
    size = file.stat().st_size
    if size != entry["bytes"]:
        return f"{size} bytes on disk, {entry['bytes']} in the header"
    return None


def _map_array(path: Path, entry: dict[str, Any]) -> np.ndarray:
    file = path / entry["file"]
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise _damage(path, [(file, str(error))]) from error
    if list(array.shape) != entry["shape"] or array.dtype.str != entry["dtype"]:
        found = f"{array.dtype.str} {array.shape}"
        raise _damage(path, [(file, f"is {found}, unlike the header")])
    return np.asarray(array)


def _damage(path: Path, problems: list[tuple[Path, str]]) -> FeatureError:
    listing = "; ".join(f"{file.name}: {reason}" for file, reason in problems)
    return FeatureError(f"{path} is damaged ({listing}); write the store again", problems)
