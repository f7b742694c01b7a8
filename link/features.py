"""The feature store: a data set on disk, and the fixed map that audio features go through.

A store is a folder: one ``.npy`` file an array for the whole data set (train, val and test rows
one after another), memory-mapped when it is opened, and one ``store.json`` that describes them.
What a data set is stands in `link.dataset`; its names can be imported from here too.
"""

import hashlib
import json
import shutil
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from link.dataset import (
    AXES,
    SPLITS,
    TEXTS,
    Dataset,
    FeatureError,
    Split,
    blocks,
    little_endian,
)

__all__ = [
    "Dataset",
    "FeatureError",
    "Split",
    "audio_map_matrix",
    "open_store",
    "verify_store",
    "write_store",
]

STORE_FORMAT = "link-store"
STORE_VERSION = 1
HEADER = "store.json"
_HEADER_KEYS = {"name", "simulated", "classes", "sizes", "provenance", "arrays", "names"}
_ENTRY_KEYS = {"file", "shape", "dtype", "bytes", "sha256"}


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
    try:
        partial.mkdir()
        for name in AXES:
            having = [key for key, split in dataset.splits().items() if name in split.arrays()]
            if having:
                parts = [dataset.splits()[key].arrays()[name] for key in having]
                entry = _write_array(partial / f"{name}.npy", parts)
                header["arrays"][name] = {"splits": having, **entry}
        for name in TEXTS:
            if getattr(dataset, name) is not None:
                entry = _write_array(partial / f"{name}.npy", [getattr(dataset, name)])
                header["arrays"][name] = entry
        (partial / HEADER).write_text(json.dumps(header, indent=1), encoding="utf-8")
        _put_in_place(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
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
    texts = {name: stored.pop(name, None) for name in TEXTS}
    splits: dict[str, dict[str, np.ndarray]] = {name: {} for name in SPLITS}
    try:
        for name, array in stored.items():
            start = 0
            for split_name in header["arrays"][name]["splits"]:
                stop = start + header["sizes"][split_name]
                splits[split_name][name] = array[start:stop]
                start = stop
        return Dataset(
            name=header["name"],
            simulated=header["simulated"],
            classes=header["classes"],
            **{name: Split(names=header["names"][name], **splits[name]) for name in SPLITS},
            **texts,
            provenance=header["provenance"],
        )
    except (FeatureError, KeyError, TypeError) as error:
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


def _put_in_place(partial: Path, path: Path) -> None:
    """Renames `partial` to `path`; a store already there goes only once the new one stands."""
    if not path.exists():
        partial.rename(path)
        return
    replaced = partial.with_suffix(".replaced")
    path.rename(replaced)
    try:
        partial.rename(path)
    except BaseException:
        replaced.rename(path)
        raise
    shutil.rmtree(replaced)


def _write_array(file: Path, parts: list[np.ndarray]) -> dict[str, Any]:
    """Writes the parts one after another as one .npy file; returns its entry in the header."""
    shape = (sum(len(part) for part in parts), *parts[0].shape[1:])
    dtype = little_endian(parts[0].dtype)
    with open(file, "wb") as stream:
        description = {"descr": dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, description)
        for part in parts:
            for block in blocks(part):
                stream.write(block)
    with open(file, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
    return {
        "file": file.name,
        "shape": list(shape),
        "dtype": dtype.str,
        "bytes": file.stat().st_size,
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
    entries = header.get("arrays", {}).values()
    if not (header.keys() >= _HEADER_KEYS and all(e.keys() >= _ENTRY_KEYS for e in entries)):
        raise _damage(path, [(path / HEADER, "incomplete")])
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
