"""Files that only grow, and that a kill at any moment takes back to where they last were whole."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from link.errors import LinkError
from link.files import write_whole, writing

_COMMIT, _LOCK = "commit.json", "lock"


class Journal:
    """A folder of files that are appended to, and a state; both count once they are committed.

    What was appended after the last `commit` is cut off when the journal is opened again. A
    journal of another `identity` is thrown away. As a context manager, it keeps other processes
    out until it is closed. Needs filelock (the extra `encoders`).

    Parameters
    ----------
    folder
        Its place; made if it is not there.
    identity
        What the content depends on, as JSON has it.

    Raises
    ------
    LinkError
        If another process has it open.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        from filelock import FileLock, Timeout

        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / _LOCK, timeout=0)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise LinkError(
                f"another process is at work in {folder}: wait until it has ended"
            ) from error
        self._identity = json.loads(json.dumps(identity))
        found = self._read()
        committed = found or {"sizes": {}, "state": None}
        #: The state of the last commit; None before the first.
        self.state: Any = committed["state"]
        self._sizes: dict[str, int] = committed["sizes"]
        for file in folder.iterdir():
            if file.name in self._sizes:
                os.truncate(file, self._sizes[file.name])
            elif file.name != _LOCK and (file.name != _COMMIT or found is None):
                file.unlink()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def append(self, name: str, content: bytes) -> None:
        """Add to the end of a file."""
        path = self.path(name)
        with writing(path), open(path, "ab") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self._sizes[name] = path.stat().st_size

    def commit(self, state: Any) -> None:
        """From now on all that was appended counts, and so does this state, as JSON has it."""
        self.state = state
        content = {"identity": self._identity, "sizes": self._sizes, "state": state}
        write_whole(self.folder / _COMMIT, lambda file: file.write(json.dumps(content).encode()))

    def path(self, name: str) -> Path:
        """Where a file is, whether there is anything in it yet or not."""
        return self.folder / name

    def remove(self) -> None:
        """Throw all of it away."""
        shutil.rmtree(self.folder)

    def _read(self) -> dict[str, Any] | None:
        try:
            content = json.loads((self.folder / _COMMIT).read_text(encoding="utf-8"))
            whole = all(
                self.path(name).stat().st_size >= size for name, size in content["sizes"].items()
            )
            ours = content["identity"] == self._identity and "state" in content
            return content if whole and ours else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
