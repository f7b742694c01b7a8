"""Features of many videos, into a store: killed at any moment, it goes on where it was.

Clips are encoded in groups, in an order that depends on the videos alone, and a group is kept as
soon as it is encoded. So a store is the same, to the bit, however often its making was stopped.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np

from link.array_files import HEADER, write_arrays
from link.clip_features import FORMAT, VERSION, ClipStore, encode_clips, open_clips
from link.dataset import FeatureError
from link.encoders import ClapEncoder, ClipEncoder
from link.errors import LinkError
from link.events import SEGMENTS
from link.files import writing
from link.journal import Journal
from link.media import Clip
from link.reading import Opened, Step, read_videos

#: Clips of a long video do not overlap, but for the last, which ends with the video.
HOP = SEGMENTS

_VIDEOS = "videos.jsonl"


@dataclass(frozen=True)
class Progress:
    """How far an extraction is: of `total` videos, in fractions of one; and clips encoded now."""

    videos: float
    total: int
    clips: int


def extract(
    videos: Mapping[str, Path],
    out: str | Path,
    clip: ClipEncoder,
    clap: ClapEncoder,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> ClipStore:
    """Encode videos, given by name, and keep their features in a store at `out`.

    What is there already is not computed again: in an interrupted extraction, which waits beside
    `out` under a hidden name, and in a finished store at `out`, to which new videos are added. A
    video counts as there if its content is the same. `overwrite` begins anew.

    A video that cannot be read, or not to its end, is left out, and the store says so. `out` comes
    into being, or changes, at the very end.

    Raises FeatureError when `out` is something else than such a store, or was made with other
    encoders; LinkError when no video at all could be read, and when another process is at work on
    `out`.
    """
    asked, out = Path(out), Path(out).absolute()
    made_with = {
        "hop": HOP,
        "encoders": {"audio": clap.name, "visual": clip.name},
        "logit_scales": {"audio": clap.logit_scale, "visual": clip.logit_scale},
    }
    before = _store_to_extend(out, made_with, overwrite)
    # As few clips as fill whole batches with their segments.
    group = max(size // gcd(size, SEGMENTS) for size in (clip.batch_size, clap.batch_size))
    identity = {"version": VERSION, "group": group, **made_with}
    with writing(asked):
        journal = Journal(out.with_name(f".{out.name}.partial"), identity)
    with journal:
        work = _Work(videos, journal, before, group)
        paths = [videos[name] for name in work.names]
        with contextlib.closing(read_videos(paths, HOP, clip.prepare, work.begin)) as steps:
            for index, step in steps:
                work.take(work.names[index], step)
                if work.is_full:
                    work.keep(clip, clap)
                if on_progress:
                    on_progress(work.progress())
        work.keep(clip, clap)
        if on_progress:
            on_progress(work.progress())
        if work.has_news:
            work.write(out, made_with)
        journal.remove()
    return open_clips(out)


def nothing_read(out: Path, errors: Iterable[str]) -> LinkError:
    """That no video could be read; the first errors stand for all."""
    told = "; ".join(islice(errors, 3))
    return LinkError(f"nothing is written to {out}, for no video could be read: {told}")


class _Work:
    """An extraction under way: what is there, what waits to be encoded, what is being read.

    `known` has a record of each video that is there, by name: those of the store before, and those
    in the journal, which say with ``first`` where their rows are in the journal.
    """

    def __init__(
        self,
        videos: Mapping[str, Path],
        journal: Journal,
        before: ClipStore | None,
        group: int,
    ) -> None:
        state = journal.state or {"rows": 0, "arrays": {}, "video": None}
        self._videos = videos
        self._journal = journal
        self._before = before
        self._group = group
        self._rows: int = state["rows"]
        self._arrays: dict[str, Any] = state["arrays"]
        #: The video in which the last commit fell: its record, with the windows that are there.
        self._resumed: dict[str, Any] = state["video"] or {}
        self._known = {record["name"]: record for record in before.videos} if before else {}
        self._failed_before = (
            {record["name"]: record for record in before.failed} if before else {}
        )
        self._known |= {record["name"]: record for record in _lines(journal.path(_VIDEOS))}
        #: In this order, since the rows of one video stand together.
        self.names = sorted(videos, key=lambda name: name != self._resumed.get("name"))
        self._digests: dict[str, str | None] = {}
        self._video: dict[str, Any] = {}
        self._pending: list[Clip] = []
        self._ended: list[dict[str, Any]] = []
        self._there, self._finished, self._encoded = 0, 0.0, 0
        self._share = 1.0

    # ---- what is read ----

    def begin(self, index: int) -> int | None:
        """How many windows of a video are there already; None if all are."""
        name = self.names[index]
        digest = self._digests[name] = _digest(self._videos[name])
        if name in self._known and self._known[name]["sha256"] == digest:
            self._there += 1
            return None
        return self._resumed["windows"] if self._resumes(name) else 0

    def take(self, name: str, step: Step) -> None:
        """Take in what comes of a video."""
        if isinstance(step, Opened):
            resumes = self._resumes(name)
            self._share = 1 / step.windows
            self._video = {
                "name": name,
                "bytes": self._videos[name].stat().st_size,
                "sha256": self._digests[name],
                "duration": step.info.duration,
                "segments": step.info.segments,
                "picture": step.info.has_video,
                "sound": step.info.has_audio,
                "windows": self._resumed["windows"] if resumes else 0,
                "first": self._resumed["first"] if resumes else self._rows + len(self._pending),
            }
        elif isinstance(step, Clip):
            self._pending.append(step)
            self._video["windows"] += 1
            self._finished += self._share
        else:
            ended, self._video = self._video, {}
            if step.error is None:
                ended["clips"] = ended.pop("windows")
            else:
                ended = {"name": name, "sha256": self._digests[name], "error": step.error}
            self._ended.append(ended)

    def _resumes(self, name: str) -> bool:
        return self._resumed.get("name") == name and self._resumed["sha256"] == self._digests[name]

    # ---- what is kept ----

    @property
    def is_full(self) -> bool:
        """Whether a whole group waits to be encoded."""
        return len(self._pending) == self._group

    def keep(self, clip: ClipEncoder, clap: ClapEncoder) -> None:
        """Encode what waits, and commit it."""
        if self._pending:
            arrays = encode_clips(self._pending, clip, clap).arrays()
            arrays["starts"] = np.array([each.start for each in self._pending], np.int32)
            for name, array in arrays.items():
                self._journal.append(name, array.tobytes())
                self._arrays[name] = [array.dtype.str, array.shape[1:]]
        self._journal.append(_VIDEOS, b"".join(_line(record) for record in self._ended))
        self._known |= {record["name"]: record for record in self._ended}
        self._rows += len(self._pending)
        self._encoded += len(self._pending)
        self._pending, self._ended = [], []
        self._journal.commit(
            {"rows": self._rows, "arrays": self._arrays, "video": self._video or None}
        )

    def progress(self) -> Progress:
        return Progress(self._there + self._finished, len(self.names), self._encoded)

    # ---- what comes of it ----

    @property
    def has_news(self) -> bool:
        """Whether there is anything that the store before does not say."""
        return (
            self._before is None
            or self._failed() != self._before.failed
            or any("first" in record for record in self._known.values())
        )

    def write(self, out: Path, made_with: Mapping[str, Any]) -> None:
        """Put the store together. LinkError if it would be empty."""
        failed = self._failed()
        videos = [record for record in self._in_order() if "error" not in record]
        if not videos:
            # So that the next call tries them again.
            self._journal.remove()
            raise nothing_read(out, [record["error"] for record in failed])
        fresh = {
            name: np.memmap(self._journal.path(name), dtype, "r", shape=(self._rows, *shape))
            for name, (dtype, shape) in self._arrays.items()
        }
        parts: dict[str, list[np.ndarray]] = {}
        for video in videos:
            if "first" in video:
                arrays, rows = fresh, slice(video["first"], video["first"] + video["clips"])
            else:
                arrays, rows = self._before.arrays(), self._before.rows[video["name"]]
            for name, array in arrays.items():
                parts.setdefault(name, []).append(array[rows])
        header = {
            "format": FORMAT,
            "version": VERSION,
            **made_with,
            "videos": [
                {key: value for key, value in video.items() if key != "first"} for video in videos
            ],
            "failed": failed,
        }
        write_arrays(out, header, parts, overwrite=True)

    def _in_order(self) -> Iterator[dict[str, Any]]:
        """The records: videos of the store before come first, then those of this call."""
        records = {**self._failed_before, **self._known}
        before = [video["name"] for video in self._before.videos] if self._before else []
        for name in dict.fromkeys([*before, *self._failed_before, *self._videos]):
            yield records[name]

    def _failed(self) -> list[dict[str, Any]]:
        return [record for record in self._in_order() if "error" in record]


def _store_to_extend(out: Path, made_with: Mapping[str, Any], overwrite: bool) -> ClipStore | None:
    """The store at `out`; None if there is none, or it is to be overwritten."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    if overwrite and (out / HEADER).is_file():
        return None
    store = open_clips(out)
    for key, now in made_with.items():
        if getattr(store, key) != now:
            raise FeatureError(
                f"{out} was made with {key} {getattr(store, key)}, and not {now}: name another "
                "folder, or ask to overwrite it"
            )
    return store


def _digest(path: Path) -> str | None:
    """SHA-256 of a file's content; None if it cannot be read, which is told where it is opened."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record).encode() + b"\n"


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().splitlines()]
