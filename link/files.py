"""Files that are whole or not there at all."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from link.errors import LinkError


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell of what cannot be written by the name that was asked for, in a LinkError.

    The system's own error has the name of a temporary file, or none.
    """
    try:
        yield
    except OSError as error:
        raise LinkError(
            f"{path} cannot be written ({error.strerror or error}): make room, or name another "
            "place"
        ) from error


def make_writable(folder: Path, wanted: Path) -> None:
    """Make a folder and see that a file can be made in it, before the work whose result it gets.

    Raises LinkError, which names what is ``wanted`` there.
    """
    with writing(wanted):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass


def write_whole(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Let ``write`` fill a binary file that takes its place at ``path`` once it is complete.

    Whatever stops ``write`` leaves what was at ``path`` as it was, and nothing beside it. Raises
    LinkError where the file cannot be written.
    """
    with writing(path):
        _write_whole(path, write)


def _write_whole(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    # Not the whole name: the temporary one must not be too long where the name itself is not.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:20]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        # mkstemp makes private files; these are as readable as their folder.
        shutil.copymode(path.parent, temporary)
        os.chmod(temporary, os.stat(temporary).st_mode & 0o666)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
