"""The LLP annotations (Tian et al., ECCV 2020) and their known faults.

Six tab-separated files: three splits with weak labels, one file with all of them, and two files
with the audible and the visible events of validation and test. They are read as the published
evaluation code reads them, because published scores depend on it: an event marks the segments
`onset:offset`, a half-open slice, so events of zero length and reversed events mark nothing, and
rows of videos that are in no split are never read. What that leaves out is reported in
`LLP.skipped`, row by row.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from link.errors import LinkError
from link.events import CLASSES, SEGMENTS

SPLIT_FILES = {
    "train": "AVVP_train.csv",
    "val": "AVVP_val_pd.csv",
    "test": "AVVP_test_pd.csv",
}
EVENT_FILES = {"audio": "AVVP_eval_audio.csv", "visual": "AVVP_eval_visual.csv"}
FULL_FILE = "AVVP_dataset_full.csv"

ZERO_LENGTH = "zero length"
REVERSED = "reversed"
DUPLICATE = "duplicate"
UNKNOWN_VIDEO = "unknown video"
TRAINING_VIDEO = "training video"

_CLASS_INDEX = {name: index for index, name in enumerate(CLASSES)}
_SECONDS = r"\d+(?:\.\d+)?"
_NAME = re.compile(rf"(?P<id>[\w-]{{11}})_{_SECONDS}_{_SECONDS}", re.ASCII)


class LLPError(LinkError):
    """The annotation files cannot be read; the message names file, line and remedy."""


@dataclass(frozen=True)
class Skipped:
    """A row of an event file that marks nothing new or was not read.

    `line` counts from 1, the header included. `reasons` are among "zero length", "reversed",
    "duplicate", "unknown video" (in no split) and "training video"; a row can have several.
    """

    file: str
    line: int
    reasons: tuple[str, ...]
    text: str

    @property
    def reason(self) -> str:
        return ", ".join(self.reasons)


@dataclass(frozen=True, eq=False)
class Split:
    """One split: N videos, in the order of its file.

    `names` are the files' own names, ``<id>_<start>_<end>``; `weak` is boolean (N, C), the labels
    of each whole video. `audio` and `visual` are boolean (N, T, C), what is heard and seen in each
    one-second segment; the training split has neither.
    """

    names: tuple[str, ...]
    weak: np.ndarray
    audio: np.ndarray | None = None
    visual: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def ids(self) -> tuple[str, ...]:
        """The videos' 11-character identifiers."""
        return tuple(video_id(name) for name in self.names)


@dataclass(frozen=True, eq=False)
class LLP:
    """The three splits, the rows that were skipped, and the number of rows in every file."""

    train: Split
    val: Split
    test: Split
    skipped: tuple[Skipped, ...]
    rows: dict[str, int]


def video_id(name: str) -> str:
    """The 11-character identifier in a name ``<id>_<start>_<end>``.

    Published feature folders name their files by it; it is unique over all of LLP. Raises
    ValueError where `name` has another form.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(
            f"{name!r} is not a video's name: expected <11-character id>_<start>_<end>"
        )
    return match["id"]


def read_llp(folder: str | Path) -> LLP:
    """Read the annotation files in `folder` as the published evaluation code reads them.

    AVVP_dataset_full.csv may be absent; where it is present it must agree with the splits.
    Raises LLPError for a missing or empty file, a missing column, a wrong separator, an unknown
    class, a time that is not a whole second of the video, and a video listed twice.
    """
    folder = Path(folder)
    rows: dict[str, int] = {}
    weak: dict[str, dict[str, np.ndarray]] = {}
    seen: dict[str, str] = {}
    for split, file in SPLIT_FILES.items():
        weak[split] = _read_weak(folder / file, seen)
        rows[file] = len(weak[split])
    if (folder / FULL_FILE).exists():
        rows[FULL_FILE] = _check_full(folder / FULL_FILE, weak)

    evaluated = {
        split: {name: index for index, name in enumerate(weak[split])} for split in ("val", "test")
    }
    grids: dict[str, dict[str, np.ndarray]] = {split: {} for split in evaluated}
    skipped: list[Skipped] = []
    for modality, file in EVENT_FILES.items():
        for split, index in evaluated.items():
            grids[split][modality] = np.zeros((len(index), SEGMENTS, len(CLASSES)), dtype=bool)
        targets = {
            name: grids[split][modality][row]
            for split, index in evaluated.items()
            for name, row in index.items()
        }
        rows[file] = _read_events(folder / file, targets, weak["train"], skipped)

    splits = {
        split: Split(tuple(labels), np.stack(list(labels.values())), **grids.get(split, {}))
        for split, labels in weak.items()
    }
    return LLP(**splits, skipped=tuple(skipped), rows=rows)


def _read_weak(path: Path, seen: dict[str, str]) -> dict[str, np.ndarray]:
    """Weak labels (C,) by name; `seen` holds where each identifier stood, over all splits."""
    labels = {}
    for line, (name, text) in _rows(path, ("filename", "event_labels")):
        try:
            identifier = video_id(name)
        except ValueError as error:
            raise _error(path, line, f"{error}; correct the name") from None
        if identifier in seen:
            raise _error(
                path,
                line,
                f"video {name!r} is already listed at {seen[identifier]}; "
                "remove one of the two rows",
            )
        seen[identifier] = f"{path.name}, line {line}"
        labels[name] = _weak_label(path, line, text)
    return labels


def _check_full(path: Path, weak: dict[str, dict[str, np.ndarray]]) -> int:
    """Compare the file of all videos with the splits; returns its number of rows."""
    expected = {name: label for labels in weak.values() for name, label in labels.items()}
    listed = set()
    remedy = f"take all files from the same source, or remove {path.name}, which is optional"
    for line, (name, text) in _rows(path, ("filename", "event_labels")):
        if name in listed:
            raise _error(path, line, f"video {name!r} is listed twice; remove one of the rows")
        if name not in expected:
            raise _error(path, line, f"video {name!r} is in no split; {remedy}")
        if not np.array_equal(_weak_label(path, line, text), expected[name]):
            raise _error(path, line, f"labels of {name!r} differ from its split's; {remedy}")
        listed.add(name)
    missing = next((name for name in expected if name not in listed), None)
    if missing is not None:
        raise _error(path, None, f"video {missing!r} of the splits is not listed; {remedy}")
    return len(listed)


def _read_events(
    path: Path, targets: dict[str, np.ndarray], training: dict, skipped: list[Skipped]
) -> int:
    """Mark the events of one modality in `targets`, grids (T, C) by name; returns the rows."""
    seen = set()
    count = 0
    for line, row in _rows(path, ("filename", "onset", "offset", "event_labels")):
        name, onset_text, offset_text, label = row
        count += 1
        onset, offset = _second(onset_text), _second(offset_text)
        reasons = []
        if name in training:
            reasons.append(TRAINING_VIDEO)
        elif name not in targets:
            reasons.append(UNKNOWN_VIDEO)
        else:
            if label not in _CLASS_INDEX:
                raise _unknown_class(path, line, label)
            for column, text, second in (
                ("onset", onset_text, onset),
                ("offset", offset_text, offset),
            ):
                if second is None:
                    raise _error(
                        path,
                        line,
                        f"{column} {text!r} is not a whole second from 0 to "
                        f"{SEGMENTS}; correct it or remove the row",
                    )
        if onset is not None and offset is not None:
            if onset == offset:
                reasons.append(ZERO_LENGTH)
            elif onset > offset:
                reasons.append(REVERSED)
        if row in seen:
            reasons.append(DUPLICATE)
        seen.add(row)
        if reasons:
            skipped.append(Skipped(path.name, line, tuple(reasons), "\t".join(row)))
        else:
            targets[name][onset:offset, _CLASS_INDEX[label]] = True
    return count


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Line number and the named columns of every row of a tab-separated file."""
    try:
        handle = path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise _error(
            path,
            None,
            f"cannot be opened ({error.strerror}); put LLP's annotation files, as "
            "their authors publish them, into this folder",
        ) from None
    with handle:
        reader = csv.reader(handle, delimiter="\t")
        line = 0
        try:
            header = next(reader, None)
            if header is None:
                raise _error(path, None, "the file is empty; fetch it again")
            positions = _positions(path, header, columns)
            for row in reader:
                if not row:
                    continue
                line = reader.line_num
                if len(row) != len(header):
                    raise _error(
                        path,
                        line,
                        f"{len(row)} columns where the header has {len(header)}; "
                        "separate the columns by single tabs",
                    )
                yield line, tuple(row[position] for position in positions)
        except UnicodeDecodeError:
            raise _error(path, None, "the file is not UTF-8 text; fetch it again") from None
        except csv.Error as error:
            raise _error(path, reader.line_num, f"{error}; fetch the file again") from None
    if line == 0:
        raise _error(path, None, "the file has a header but no rows; fetch it again")


def _positions(path: Path, header: list[str], columns: tuple[str, ...]) -> list[int]:
    for column in columns:
        if column not in header:
            if len(header) == 1 and re.search("[,; ]", header[0]):
                raise _error(
                    path, 1, "the columns are not separated by tabs; save the file tab-separated"
                )
            raise _error(
                path, 1, f"column {column!r} is missing; the header must name {', '.join(columns)}"
            )
    return [header.index(column) for column in columns]


def _weak_label(path: Path, line: int, text: str) -> np.ndarray:
    label = np.zeros(len(CLASSES), dtype=bool)
    for name in text.split(","):
        if name not in _CLASS_INDEX:
            raise _unknown_class(path, line, name)
        label[_CLASS_INDEX[name]] = True
    return label


def _second(text: str) -> int | None:
    """A whole second of the video, 0 to T, or None where the text is anything else."""
    if re.fullmatch(r"[0-9]+", text) and int(text) <= SEGMENTS:
        return int(text)
    return None


def _unknown_class(path: Path, line: int, label: str) -> LLPError:
    return _error(
        path, line, f"unknown class {label!r}; use one of the names in link.events.CLASSES"
    )


def _error(path: Path, line: int | None, message: str) -> LLPError:
    place = f"{path}" if line is None else f"{path}, line {line}"
    return LLPError(f"{place}: {message}")
