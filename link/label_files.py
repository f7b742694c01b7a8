"""Labels in CSV files: of whole videos, and of stretches of them."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from link.dataset import SPLITS
from link.errors import LinkError
from link.events import Event
from link.parsed_video import check_class_names
from link.reading import MEDIA_SUFFIX


class LabelError(LinkError):
    """Labels that cannot be used: the message names the file, the line and the remedy."""


@dataclass(frozen=True)
class WeakLabels:
    """What a CSV file says of videos: which classes occur in each, and in which split it is.

    `splits` is empty where the file has no such column.
    """

    path: Path
    labels: Mapping[str, frozenset[str]]
    splits: Mapping[str, str]

    @property
    def classes(self) -> tuple[str, ...]:
        """Every class that occurs, sorted."""
        return tuple(sorted(frozenset().union(*self.labels.values())))


def read_labels(path: str | Path) -> WeakLabels:
    """Weak labels from a CSV file with the columns ``video``, ``labels`` and maybe ``split``.

    A row a video: its file name, with or without the suffix of a video or sound file; its classes
    with semicolons between them, or nothing if none of the classes occurs; train, val or test.

    Raises LabelError.
    """
    path = Path(path)
    labels, splits = {}, {}
    for line, row in _rows(path, ("video", "labels"), ("split",)):
        name = _name(path, line, row["video"])
        if name in labels:
            raise _fault(path, line, f"{name} is there twice: write all its classes in one row")
        labels[name] = frozenset(filter(None, map(str.strip, row["labels"].split(";"))))
        for label in labels[name]:
            _check_class(path, line, label)
        if "split" in row:
            if row["split"] not in SPLITS:
                raise _fault(path, line, f"the split is {row['split']!r}: use train, val or test")
            splits[name] = row["split"]
    if len(labels) < len(SPLITS):
        raise LabelError(
            f"{path} names {len(labels)} videos: it takes one at least for each split"
        )
    if not any(labels.values()):
        raise LabelError(f"{path} gives no video a class: put classes into the column labels")
    return WeakLabels(path, labels, splits)


def read_events(path: str | Path) -> dict[str, list[Event]]:
    """Segment annotations from a CSV file: ``video,modality,label,onset,offset``, a row an event.

    The columns are those that ``link-avvp parse`` writes, with the video before them: ``modality``
    is audio, visual or audio_visual, times are in seconds; a ``score``, if there is one, is not
    looked at. A video without any event has one row whose other columns are empty. Returns the
    events of each video. Raises LabelError.
    """
    path = Path(path)
    events: dict[str, list[Event]] = {}
    needed = ("video", "modality", "label", "onset", "offset")
    for line, row in _rows(path, needed, ("score",)):
        of_video = events.setdefault(_name(path, line, row["video"]), [])
        if not any(value for key, value in row.items() if key != "video"):
            continue
        _check_class(path, line, row["label"])
        times = [_seconds(path, line, row[key], key) for key in ("onset", "offset")]
        try:
            of_video.append(Event(row["label"], *times, row["modality"]))
        except ValueError as error:
            raise _fault(path, line, str(error)) from error
    return events


def _name(path: Path, line: int, written: str) -> str:
    """A video's name, as `link.reading.name_videos` has it."""
    video = Path(written)
    name = video.stem if MEDIA_SUFFIX.fullmatch(video.suffix) else video.name
    if not name:
        raise _fault(path, line, "the video has no name")
    return name


def _check_class(path: Path, line: int, name: str) -> None:
    try:
        check_class_names((name,))
    except LinkError as error:
        raise _fault(path, line, str(error)) from error


def _seconds(path: Path, line: int, written: str, column: str) -> float:
    try:
        return float(written)
    except ValueError as error:
        raise _fault(path, line, f"{column} is {written!r}, no number of seconds") from error


def _rows(
    path: Path, needed: Sequence[str], optional: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file by column, each with its line in the file."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            header = [name.strip() for name in next(rows, [])]
            known = {*needed} <= {*header} <= {*needed, *optional}
            if not known or len(header) > len({*header}):
                raise _fault(
                    path,
                    1,
                    f"the columns are {', '.join(header) or 'none'}: they must be "
                    f"{', '.join(needed)}"
                    + (f", and may be {', '.join(optional)}" if optional else ""),
                )
            for row in rows:
                if not any(map(str.strip, row)):
                    continue
                if len(row) != len(header):
                    what = f"{len(row)} columns in place of {len(header)}"
                    raise _fault(path, rows.line_num, f"{what}: put quotes around commas")
                yield rows.line_num, dict(zip(header, map(str.strip, row), strict=True))
    except OSError as error:
        raise LabelError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise LabelError(f"{path} is not UTF-8 text; save it as such") from error
    except csv.Error as error:
        raise _fault(path, rows.line_num, f"this is not CSV, {error}") from error


def _fault(path: Path, line: int, what: str) -> LabelError:
    return LabelError(f"{path}, line {line}: {what}")
