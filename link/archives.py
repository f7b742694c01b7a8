"""Unpacking arrays from an archive that somebody else made.

Nothing of the archive is believed before it is checked: what its entries are called, where they
would go, how large they become. Only the arrays that were asked for are written, each whole or not
at all, so that unpacking can be stopped at any moment and be taken up again.
"""

import lzma
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from link.errors import LinkError

LISTED = 3
_BLOCK = 4096  # bytes that a file takes at least, on usual file systems


class ArchiveError(LinkError):
    """An archive that cannot be used: the message names it, the entry and the remedy."""


@dataclass(frozen=True)
class Part:
    """A folder of arrays that stands anywhere in an archive.

    name: what the folder is called there. target: the folder its arrays go to. largest: the bytes
    that no array of it exceeds.
    """

    name: str
    target: Path
    largest: int


def unpack(
    archive: Path,
    parts: Sequence[Part],
    names: Collection[str],
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, list[str]]:
    """Unpacks ``<part>/<name>.npy`` for all `parts` and `names`; returns what the archive lacks.

    The parts are found wherever they stand in the archive; every other entry is left in it. Each
    array is checked against its CRC and appears under its own name once it is whole. One that is
    in its place already, with the archive's size and CRC, is not unpacked again.

    The answer has the names without an array, by part; parts that lack none are left out.

    on_progress: called as (bytes done, bytes in all) of the unpacked arrays.

    Raises ArchiveError for an archive that is damaged or encrypted, that has an entry which points
    outside its folder (absolute, with ``..`` or a drive, a link or a device), that has no such
    parts or one of them twice, with an array larger than `largest`; where a file with other
    content is in the way; and where the disk has too little room for what is to be unpacked.
    """
    with _opened(archive) as opened:
        entries = _choose(archive, opened, parts, frozenset(names))
        total = sum(entry.file_size for entry in entries.values())
        check_room(
            parts[0].target,
            sum(on_disk(entry.file_size) for path, entry in entries.items() if _is_free(path)),
            f"unpacking {archive.name}",
        )
        for part in parts:
            part.target.mkdir(parents=True, exist_ok=True)
            for left_by_a_kill in part.target.glob(".*.part"):
                left_by_a_kill.unlink()
        done = 0
        for path, entry in entries.items():
            if on_progress:
                on_progress(done, total)
            if not _is_there(path, entry):
                _write(path, _content(archive, opened, entry))
            done += entry.file_size
        if on_progress:
            on_progress(done, total)
    lacking = {
        part.name: [name for name in names if part.target / f"{name}.npy" not in entries]
        for part in parts
    }
    return {name: without for name, without in lacking.items() if without}


def check_room(folder: Path, needed: int, purpose: str) -> None:
    """Raises ArchiveError where the disk of `folder`, which need not exist, has less free."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise ArchiveError(
            f"{purpose} needs {size_text(needed)} on the disk of {there}, which has "
            f"{size_text(free)} free: make room, or choose a folder on another disk"
        )


def on_disk(size: int) -> int:
    """The bytes that a file of this size takes: whole blocks."""
    return -(-size // _BLOCK) * _BLOCK


def size_text(size: int) -> str:
    """Bytes as a person reads them: 2.36 GB, 17.00 MB, 4.1 kB."""
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if size >= unit / 2:
            return f"{size / unit:.2f} {name}"
    return f"{size / 1e3:.1f} kB"


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    remedy = f"remove {archive} and fetch it again"
    try:
        with zipfile.ZipFile(archive) as opened:
            yield opened
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
        raise ArchiveError(f"{archive} is damaged ({_sentence(error)}): {remedy}") from error
    # What zipfile raises for encrypted entries, and a kind of it for compression that it lacks.
    except RuntimeError as error:
        raise ArchiveError(
            f"{archive} cannot be unpacked ({_sentence(error)}): {remedy}"
        ) from error


def _choose(
    archive: Path, opened: zipfile.ZipFile, parts: Sequence[Part], names: Collection[str]
) -> dict[Path, zipfile.ZipInfo]:
    """The entries to unpack, by the path that each goes to."""
    by_name = {part.name: part for part in parts}
    chosen: dict[Path, zipfile.ZipInfo] = {}
    places: dict[str, PureWindowsPath] = {}
    inside = [(_inside(archive, entry), entry) for entry in opened.infolist()]
    for path, entry in inside:
        part = by_name.get(path.parent.name)
        if part is None or entry.is_dir() or path.suffix != ".npy" or _is_clutter(path):
            continue
        place = places.setdefault(part.name, path.parent)
        if place != path.parent:
            raise ArchiveError(
                f"{archive} has a folder {part.name} at {place.as_posix()} and another at "
                f"{path.parent.as_posix()}: which is meant is unclear, so nothing was unpacked"
            )
        if path.stem not in names:
            continue
        if entry.file_size > part.largest:
            raise ArchiveError(
                f"{archive}: {entry.orig_filename} would unpack to {size_text(entry.file_size)}, "
                f"where an array of {part.name} has at most {size_text(part.largest)}; nothing "
                "was unpacked"
            )
        if chosen.setdefault(part.target / path.name, entry) is not entry:
            raise ArchiveError(
                f"{archive} holds {entry.orig_filename} twice; nothing was unpacked"
            )
    absent = [name for name in by_name if name not in places]
    if absent:
        raise ArchiveError(
            f"{archive} has no arrays in a folder {' or '.join(absent)}; it holds "
            f"{_folders(opened)}, so it is not the archive that was expected"
        )
    return chosen


def _inside(archive: Path, entry: zipfile.ZipInfo) -> PureWindowsPath:
    """An entry's path, if it stays inside the folder that one unpacks into."""
    # Windows' notion of a path covers the others': both slashes separate, and drives count.
    path = PureWindowsPath(entry.orig_filename)
    if path.anchor or ".." in path.parts or "\0" in entry.orig_filename:
        raise ArchiveError(
            f"{archive}: the entry {entry.orig_filename!r} points outside its folder; nothing was "
            "unpacked, and an archive with such an entry is not to be trusted"
        )
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ArchiveError(
            f"{archive}: the entry {entry.orig_filename!r} is a link or a device; nothing was "
            "unpacked, and an archive with such an entry is not to be trusted"
        )
    return path


def _is_clutter(path: PureWindowsPath) -> bool:
    """What macOS leaves in archives beside every file."""
    return path.parts[0] == "__MACOSX" or path.name.startswith("._")


def _folders(opened: zipfile.ZipFile) -> str:
    found = dict.fromkeys(PureWindowsPath(name).parent.as_posix() for name in opened.namelist())
    shown = ", ".join(list(found)[:LISTED])
    return f"{shown} and more" if len(found) > LISTED else shown or "nothing"


def _is_free(path: Path) -> bool:
    # An empty file is what a crash of the machine may leave: there is nothing in it to lose.
    return not path.exists() or (path.is_file() and path.stat().st_size == 0)


def _is_there(path: Path, entry: zipfile.ZipInfo) -> bool:
    """Whether the array is in its place. Raises ArchiveError if something else is."""
    if _is_free(path):
        return False
    same_size = path.is_file() and path.stat().st_size == entry.file_size
    if same_size and zlib.crc32(path.read_bytes()) == entry.CRC:
        return True
    raise ArchiveError(
        f"{path} is there already and is not the {entry.orig_filename} of the archive: move it "
        "away, or choose another folder"
    )


def _content(archive: Path, opened: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    try:
        return opened.read(entry)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
        raise ArchiveError(
            f"{archive}: the entry {entry.orig_filename} is damaged ({_sentence(error)}): remove "
            f"{archive} and fetch it again"
        ) from error


def _write(path: Path, content: bytes) -> None:
    # Not write_whole: a kill must leave a name that the next attempt recognises and removes.
    temporary = path.with_name(f".{os.getpid()}.part")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def lacking_text(archive: Path, lacking: Mapping[str, Sequence[str]], names: int) -> str:
    """What an archive lacks, in one clause."""
    told = []
    for part, without in lacking.items():
        shown = ", ".join(without[:LISTED]) + (", ..." if len(without) > LISTED else "")
        told.append(f"{part} of {len(without)} of {names} videos ({shown})")
    return f"{archive} lacks {' and '.join(told)}"
