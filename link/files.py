"""Files that are whole or not there at all."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO


def write_whole(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Let ``write`` fill a binary file that takes its place at ``path`` once it is complete.

    Whatever stops ``write`` leaves what was at ``path`` as it was, and nothing beside it.
    """
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
