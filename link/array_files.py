"""Arrays on disk: a folder of ``.npy`` files and a ``store.json`` that describes them.

A folder comes into being whole: it is written under another name and then renamed. What the
folders hold stands in `link.features` and `link.clip_features`.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from link.dataset import FeatureError, blocks, little_endian
from link.files import writing

HEADER = "store.json"
_ENTRY_KEYS = {"file", "shape", "dtype", "bytes", "sha256"}


def write_arrays(
    path: str | Path,
    header: Mapping[str, Any],
    arrays: Mapping[str, Sequence[np.ndarray]],
    overwrite: bool = False,
) -> Path:
    """Writes a folder of arrays at `path` and returns the path.

    Each array is given as the parts it consists of, which are written one after another, and the
    header as JSON; its ``arrays`` may say more of each array by name. Whatever interrupts the
    writing, `path` is either the whole folder or what it was before.

    Raises FeatureError when `path` exists (with `overwrite`: when it is no such folder, so that
    nothing else is ever deleted) or when the header is not JSON; LinkError when it cannot be
    written.
    """
    asked, path = Path(path), Path(path).absolute()
    if path.is_dir() and not any(path.iterdir()):
        path.rmdir()
    if path.exists() and not overwrite:
        raise FeatureError(f"{path} exists; choose another path, or ask to overwrite it")
    if path.exists() and not (path / HEADER).is_file():
        raise FeatureError(f"{path} is not a feature store; it is not overwritten, move it away")
    try:
        json.dumps(header)
    except (TypeError, ValueError) as error:
        raise FeatureError(f"the provenance of {path} is not JSON: {error}") from error
    partial = path.with_name(f".{path.name}.writing")
    # What a kill may have left.
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with writing(asked):
            partial.mkdir(parents=True)
            more = header.get("arrays", {})
            entries = {
                name: {**more.get(name, {}), **write_array(partial / f"{name}.npy", parts)}
                for name, parts in arrays.items()
            }
            content = json.dumps({**header, "arrays": entries}, indent=1)
            (partial / HEADER).write_text(content, encoding="utf-8")
            _put_in_place(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return path


def write_array(file: Path, parts: Sequence[np.ndarray]) -> dict[str, Any]:
    """Writes the parts one after another as one .npy file; returns its entry in the header."""
    shape = (sum(len(part) for part in parts), *parts[0].shape[1:])
    dtype = little_endian(parts[0].dtype)
    with open(file, "wb") as stream:
        description = {"descr": dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, description)
        for part in parts:
            for block in blocks(part):
                stream.write(block)
    return {
        "file": file.name,
        "shape": list(shape),
        "dtype": dtype.str,
        "bytes": file.stat().st_size,
        "sha256": _digest(file),
    }


def read_header(path: Path, form: str, version: int, keys: Iterable[str]) -> dict[str, Any]:
    """The header of the folder at `path`, which must be of this form and version.

    Raises FeatureError when there is none, when it cannot be read, and when it lacks a key.
    """
    if not (path / HEADER).is_file():
        raise FeatureError(
            f"{path} is not a feature store (no {HEADER} in it); make one with "
            "'link-avvp pack', 'link-avvp simulate' or 'link-avvp extract'"
        )
    try:
        header = json.loads((path / HEADER).read_text(encoding="utf-8"))
        found = header["format"], header["version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damage(path, [(path / HEADER, f"unreadable, {error!r}")]) from error
    if found != (form, version):
        advice = _ADVICE.get(found[0] if found[0] != form else None, "write the store again")
        raise FeatureError(
            f"{path / HEADER} is of format {found[0]!r}, version {found[1]!r}; this package reads "
            f"{form!r}, version {version}, here: {advice}"
        )
    entries = header.get("arrays", {}).values()
    if not (header.keys() >= {*keys} and all(entry.keys() >= _ENTRY_KEYS for entry in entries)):
        raise damage(path, [(path / HEADER, "incomplete")])
    return header


#: What to do with a folder of one form where the other is asked for.
_ADVICE = {
    "link-clips": "make a data set of these features with 'link-avvp label'",
    "link-store": "extract features anew with 'link-avvp extract'",
}


def map_arrays(path: Path, header: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of a folder by name, as read-only memory maps.

    Looks at the size of every file, not at its content: see `verify_arrays` for that. Raises
    FeatureError that names every array which is missing, truncated or not what the header says.
    """
    _raise_faults(path, [(entry, _size_fault(path, entry)) for entry in _entries(header)])
    return {name: _map_array(path, entry) for name, entry in header["arrays"].items()}


def verify_arrays(path: Path, header: Mapping[str, Any]) -> None:
    """Reads every array and compares its SHA-256 with the header's.

    Raises FeatureError that names every missing, truncated or altered array (also `problems`).
    """
    faults = []
    for entry in _entries(header):
        reason = _size_fault(path, entry)
        if reason is None and _digest(path / entry["file"]) != entry["sha256"]:
            reason = "content differs from its checksum"
        faults.append((entry, reason))
    _raise_faults(path, faults)


def damage(path: Path, problems: list[tuple[Path, str]]) -> FeatureError:
    """The error that names all that is wrong with a folder."""
    listing = "; ".join(f"{file.name}: {reason}" for file, reason in problems)
    return FeatureError(f"{path} is damaged ({listing}); write the store again", problems)


def _entries(header: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(header["arrays"].values())


def _raise_faults(path: Path, faults: Iterable[tuple[dict[str, Any], str | None]]) -> None:
    problems = [(path / entry["file"], reason) for entry, reason in faults if reason]
    if problems:
        raise damage(path, problems)


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
        raise damage(path, [(file, str(error))]) from error
    if list(array.shape) != entry["shape"] or array.dtype.str != entry["dtype"]:
        found = f"{array.dtype.str} {array.shape}"
        raise damage(path, [(file, f"is {found}, unlike the header")])
    return np.asarray(array)


def _digest(file: Path) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _put_in_place(partial: Path, path: Path) -> None:
    """Renames `partial` to `path`; a folder already there goes only once the new one stands."""
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
