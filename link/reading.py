"""Videos read ahead of whoever encodes them: in threads, in order, a few clips at a time."""

import os
import queue
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from link.containers import MediaInfo, probe
from link.errors import LinkError
from link.media import Clip, read_windows
from link.windows import window_starts

Item = TypeVar("Item")

#: Clips of one video that may wait for the encoder.
_WAITING = 2
#: Videos that are read at the same time, on however many processors: each is a decoder in memory.
_MOST_AT_ONCE = 16
#: Video and sound files, by the end of their names; what a folder is searched for.
MEDIA_SUFFIX = re.compile(
    r"\.(3gp|aac|avi|flac|flv|m2ts|m4a|m4v|mka|mkv|mov|mp3|mp4|mpeg|mpg|mts|og[agv]|opus|ts|vob|wav"
    r"|webm|wma|wmv)",
    re.IGNORECASE,
)


class Opened(NamedTuple):
    """A video begins: what is in its file, and how many windows there are to come."""

    info: MediaInfo  #: what the container says
    windows: int  #: how many there are to come


class Ended(NamedTuple):
    """All windows of a video have been read, or there is an error in place of the rest."""

    error: str | None = None  #: why the rest could not be read


Step = Opened | Clip | Ended


def name_videos(paths: Iterable[Path]) -> dict[str, Path]:
    """The videos that a call names: each file, and the video and sound files in each folder.

    Returns them by name, which is the file's name without its suffix, in the order given, those of
    a folder by name. A file that is not there is among them; that is told when it is opened.

    Raises LinkError where two videos have one name, and for a folder without videos.
    """
    named: dict[str, Path] = {}
    for path in _without_folders(paths):
        other = named.setdefault(path.stem, path)
        if other != path:
            raise LinkError(
                f"{other} and {path} would both be called {path.stem}: rename one, or give them "
                "in calls of their own"
            )
    return named


def _without_folders(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        inside = sorted(file for file in path.iterdir() if MEDIA_SUFFIX.fullmatch(file.suffix))
        if not inside:
            raise LinkError(f"{path} is a folder without video or sound files: name another")
        yield from inside


def read_videos(
    paths: Sequence[Path],
    hop: int,
    transform: Callable[[np.ndarray], np.ndarray] | None = None,
    begin: Callable[[int], int | None] | None = None,
) -> Iterator[tuple[int, Step]]:
    """Read videos one after another: pairs of a video's position in `paths` and what comes of it.

    For each video comes `Opened`, its clips (`link.media.read_windows`), and `Ended`; where it
    cannot be read, or only in part, `Ended` with the error. As many videos as there are
    processors, but no more than 16, are read at the same time, each a few clips ahead of the
    caller.

    `begin` is asked, in the thread that reads a video, how many of its windows to leave out; None
    leaves out the video, of which nothing comes then.
    """

    def steps(index: int) -> Iterator[Step]:
        try:
            skip = begin(index) if begin else 0
            if skip is None:
                return
            info = probe(paths[index])
            yield Opened(info, len(window_starts(info.segments, hop)))
            yield from read_windows(info, hop, transform, skip)
            yield Ended()
        except (LinkError, OSError) as error:
            yield Ended(str(error))

    at_once = min(os.cpu_count() or 1, _MOST_AT_ONCE)
    reading: deque[tuple[int, Ahead[Step]]] = deque()
    waiting = iter(range(len(paths)))
    try:
        while True:
            for index in waiting:
                reading.append((index, Ahead(steps(index), _WAITING)))
                if len(reading) >= at_once:
                    break
            if not reading:
                return
            index, video = reading[0]
            for step in video:
                yield index, step
            reading.popleft()
    finally:
        for _, video in reading:
            video.close()


class Ahead(Generic[Item]):
    """The items of an iterator, made in a thread, at most `waiting` of them ahead of the caller.

    What the iterator raises is raised where the item would have come. `close` ends the thread.
    """

    def __init__(self, items: Iterator[Item], waiting: int) -> None:
        self._queue: queue.Queue[tuple[str, Any]] = queue.Queue(waiting)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._make, args=(items,), daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Item]:
        while True:
            kind, item = self._queue.get()
            if kind == "end":
                return
            if kind == "error":
                raise item
            yield item

    def close(self) -> None:
        """Stop making items, and wait until the thread has ended."""
        self._closed.set()
        while self._thread.is_alive():
            # A place in the queue, for a thread that waits for one.
            try:
                self._queue.get(timeout=0.05)
            except queue.Empty:
                continue

    def _make(self, items: Iterator[Item]) -> None:
        try:
            for item in items:
                if self._closed.is_set():
                    return
                self._queue.put(("item", item))
            self._queue.put(("end", None))
        except BaseException as error:
            self._queue.put(("error", error))
