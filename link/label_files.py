"""Labels in CSV files: of whole videos, and of stretches of them."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from link.dataset import SPLITS
from link.errors import LinkError
from link.events import Event


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

    A row a video: its file name, with or without suffix; its classes with semicolons between them,
    or nothing if none of the classes occurs; train, val or test.

    Raises LabelError.
    """
    path = Path(path)
    labels, splits = {}, {}
    for line, row in _rows(path, ("video", "labels"), ("split",)):
        name = Path(row["video"]).stem if row["video"] else ""
        if not name:
            raise _fault(path, line, "the video has no name")
        if name in labels:
            raise _fault(path, line, f"{name} is there twice: write all its classes in one row")
        labels[name] = frozenset(filter(None, map(str.strip, row["labels"].split(";"))))
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
    is audio, visual or audio_visual, times are in seconds. A video without any event has one row
    whose other columns are empty. Returns the events of each video. Raises LabelError.
    """
    path = Path(path)
    events: dict[str, list[Event]] = {}
    for line, row in _rows(path, ("video", "modality", "label", "onset", "offset"), ()):
        of_video = events.setdefault(Path(row["video"]).stem, [])
        if not any(value for key, value in row.items() if key != "video"):
            continue
        try:
            times = float(row["onset"]), float(row["offset"])
            of_video.append(Event(row["label"], *times, row["modality"]))
        except ValueError as error:
            raise _fault(path, line, str(error)) from error
    return events


def _rows(
    path: Path, needed: Sequence[str], optional: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file by column, each with its line in the file."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            header = [name.strip() for name in next(rows, [])]
            if not {*needed} <= {*header} <= {*needed, *optional}:
                raise _fault(
                    path,
                    1,
                    f"the columns are {', '.join(header) or 'none'}: they must be "
                    f"{', '.join(needed)}"
                    + (f", and may be {', '.join(optional)}" if optional else ""),
                )
            for row in rows:
                if not any(row):
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
        raise LabelError(f"{path} is no CSV file: {error}") from error


def _fault(path: Path, line: int, what: str) -> LabelError:
    return LabelError(f"{path}, line {line}: {what}")
