"""The feature store: a data set on disk, and the fixed map that audio features go through.

A store is a folder: one ``.npy`` file an array for the whole data set (train, val and test rows
one after another), memory-mapped when it is opened, and one ``store.json`` that describes them.
What a data set is stands in `link.dataset`; its names can be imported from here too.
"""

from pathlib import Path
from typing import Any

import numpy as np

from link.array_files import (
    HEADER,
    damage,
    map_arrays,
    read_header,
    verify_arrays,
    write_arrays,
)
from link.dataset import AXES, SPLITS, TEXTS, Dataset, FeatureError, Split

__all__ = [
    "HEADER",
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
_HEADER_KEYS = {"name", "simulated", "classes", "sizes", "provenance", "arrays", "names"}


def write_store(path: str | Path, dataset: Dataset, overwrite: bool = False) -> Path:
    """Writes `dataset` as a store at `path` and returns the path.

    Whatever interrupts the writing, `path` is either the whole store or what it was before.

    Raises FeatureError when `path` exists (with `overwrite`: when it is no store, so that
    nothing else is ever deleted) or when the provenance is not JSON.
    """
    splits = dataset.splits()
    having = {
        name: [key for key, split in splits.items() if name in split.arrays()] for name in AXES
    }
    having = {name: keys for name, keys in having.items() if keys}
    header = {
        "format": STORE_FORMAT,
        "version": STORE_VERSION,
        "name": dataset.name,
        "simulated": dataset.simulated,
        "classes": list(dataset.classes),
        "sizes": {name: len(split) for name, split in splits.items()},
        "provenance": dataset.provenance,
        "arrays": {name: {"splits": keys} for name, keys in having.items()},
        "names": {name: list(split.names) for name, split in splits.items()},
    }
    arrays = {name: [splits[key].arrays()[name] for key in keys] for name, keys in having.items()}
    texts = {
        name: [getattr(dataset, name)] for name in TEXTS if getattr(dataset, name) is not None
    }
    return write_arrays(path, header, {**arrays, **texts}, overwrite)


def open_store(path: str | Path) -> Dataset:
    """Opens the store at `path`; its arrays are read-only memory maps, its splits views of them.

    Reads the header and the size of every file, not the arrays: see `verify_store` for those.

    Raises FeatureError when `path` is no store, is of another version, or an array is missing,
    truncated or not what the header says.
    """
    path = Path(path)
    header = _read_header(path)
    stored = map_arrays(path, header)
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
        raise damage(path, [(path / HEADER, str(error))]) from error


def verify_store(path: str | Path) -> None:
    """Reads every array of the store and compares its SHA-256 with the header's.

    Raises FeatureError that names every missing, truncated or altered array (also `problems`).
    """
    verify_arrays(Path(path), _read_header(Path(path)))


def _read_header(path: Path) -> dict[str, Any]:
    return read_header(path, STORE_FORMAT, STORE_VERSION, _HEADER_KEYS)


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
