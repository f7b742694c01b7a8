"""The AVE annotations (Tian et al., ECCV 2018).

AVE has 4,143 clips of ten seconds, each with one event of one class that is heard *and* seen, over
a stretch of whole seconds. All other segments are background. So what is heard and what is seen
are the same, and a video has one label.

Four files of text, with a line ``Category&VideoID&Quality&StartTime&EndTime`` a clip: three splits
and one file with all of them. An event marks the segments ``start:end``, a half-open slice: so do
the label arrays that the authors publish with their code. What marks nothing, and recordings that
are listed more than once, are reported in `AVE.remarks`, line by line.

``python -m link.ave FOLDER`` writes the annotations as files that ``link-avvp label`` takes.
"""

import argparse
import csv
import io
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from link import llp
from link.errors import LinkError
from link.events import SEGMENTS
from link.files import write_whole

SPLIT_FILES = {"train": "trainSet.txt", "val": "valSet.txt", "test": "testSet.txt"}
FULL_FILE = "Annotations.txt"
HEADER = "Category&VideoID&Quality&StartTime&EndTime"

#: The 28 classes, in the order of the published label arrays.
CLASSES = (
    "Church bell",
    "Male speech, man speaking",
    "Bark",
    "Fixed-wing aircraft, airplane",
    "Race car, auto racing",
    "Female speech, woman speaking",
    "Helicopter",
    "Violin, fiddle",
    "Flute",
    "Ukulele",
    "Frying (food)",
    "Truck",
    "Shofar",
    "Motorcycle",
    "Acoustic guitar",
    "Train horn",
    "Clock",
    "Banjo",
    "Goat",
    "Baby cry, infant cry",
    "Bus",
    "Chainsaw",
    "Cat",
    "Horse",
    "Toilet flush",
    "Rodents, rats, mice",
    "Accordion",
    "Mandolin",
)

ZERO_LENGTH = "zero length"
REVERSED = "reversed"
LISTED_AGAIN = "listed again in its split"
OTHER_SPLIT = "also in another split"

_CLASS_INDEX = {name: index for index, name in enumerate(CLASSES)}


class AVEError(LinkError):
    """The annotation files cannot be read; the message names file, line and remedy."""


@dataclass(frozen=True, eq=False)
class Split(llp.Split):
    """One split: N lines of its file, in their order.

    `names` are identifiers of recordings, 11 characters; one that is listed with two categories
    is there twice. `weak` is boolean (N, 28), one class a line. `audio` and `visual` are one and
    the same array, boolean (N, 10, 28), in the training split too.
    """

    @property
    def ids(self) -> tuple[str, ...]:
        """The names, which are identifiers."""
        return self.names


@dataclass(frozen=True)
class Remark:
    """A line that is odd: it is read all the same.

    `line` counts from 1. `reasons` are among "zero length" and "reversed", which mark nothing,
    "listed again in its split" (the recording, with another category) and "also in another split".
    """

    file: str
    line: int
    reasons: tuple[str, ...]
    text: str


@dataclass(frozen=True, eq=False)
class AVE:
    """The three splits, what is odd about them, and the number of lines in every file."""

    train: Split
    val: Split
    test: Split
    remarks: tuple[Remark, ...]
    rows: dict[str, int]

    def splits(self) -> dict[str, Split]:
        """The three splits by name."""
        return {name: getattr(self, name) for name in SPLIT_FILES}


class _Line(NamedTuple):
    number: int
    text: str
    label: int
    name: str
    start: int
    end: int


def read_ave(folder: str | Path) -> AVE:
    """Read the annotation files in `folder`.

    Annotations.txt may be absent; where it is present, its lines must be those of the splits. The
    header that some copies of the files have is passed over, and the quality, which is "good"
    throughout, is not looked at.

    Raises AVEError for a missing or empty file, a line that has not five parts, an unknown
    category, an identifier of another form, and a time that is not a whole second of the clip.
    """
    folder = Path(folder)
    lines = {split: list(_lines(folder / file)) for split, file in SPLIT_FILES.items()}
    rows = {file: len(lines[split]) for split, file in SPLIT_FILES.items()}
    if (folder / FULL_FILE).exists():
        rows[FULL_FILE] = _check_full(folder / FULL_FILE, lines)
    splits = {split: _as_split(of_split) for split, of_split in lines.items()}
    return AVE(**splits, remarks=tuple(_remarks(lines)), rows=rows)


def _as_split(lines: list[_Line]) -> Split:
    weak = np.zeros((len(lines), len(CLASSES)), dtype=bool)
    events = np.zeros((len(lines), SEGMENTS, len(CLASSES)), dtype=bool)
    for row, line in enumerate(lines):
        weak[row, line.label] = True
        events[row, line.start : line.end, line.label] = True
    return Split(tuple(line.name for line in lines), weak, events, events)


def _remarks(lines: dict[str, list[_Line]]) -> Iterator[Remark]:
    times = {split: Counter(line.name for line in each) for split, each in lines.items()}
    for split, of_split in lines.items():
        elsewhere = set().union(*(times[other] for other in lines if other != split))
        for line in of_split:
            found = {
                ZERO_LENGTH: line.start == line.end,
                REVERSED: line.start > line.end,
                LISTED_AGAIN: times[split][line.name] > 1,
                OTHER_SPLIT: line.name in elsewhere,
            }
            reasons = tuple(reason for reason, true in found.items() if true)
            if reasons:
                yield Remark(SPLIT_FILES[split], line.number, reasons, line.text)


def _check_full(path: Path, lines: dict[str, list[_Line]]) -> int:
    """Compare the file of all clips with the splits; returns its number of lines."""
    listed = {line.text: line.number for line in _lines(path)}
    remedy = f"take all files from the same source, or remove {path.name}, which is optional"
    in_splits = {line.text for of_split in lines.values() for line in of_split}
    for text, number in listed.items():
        if text not in in_splits:
            raise _fault(path, number, f"{text!r} is in no split; {remedy}")
    for text in in_splits:
        if text not in listed:
            raise AVEError(f"{path} lacks {text!r}, which is in a split; {remedy}")
    return len(listed)


def _lines(path: Path) -> Iterator[_Line]:
    try:
        texts = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise AVEError(
            f"{path} cannot be opened ({error.strerror}); put AVE's annotation files, as their "
            "authors publish them, into this folder"
        ) from None
    except UnicodeDecodeError:
        raise AVEError(f"{path} is not UTF-8 text; fetch it again") from None
    found = 0
    for number, text in enumerate(map(str.strip, texts), start=1):
        if text and not (number == 1 and text == HEADER):
            found += 1
            yield _parse(path, number, text)
    if not found:
        raise AVEError(f"{path} has no clip in it; fetch it again")


def _parse(path: Path, number: int, text: str) -> _Line:
    parts = text.split("&")
    if len(parts) != 5:
        raise _fault(path, number, f"{len(parts)} parts in place of 5; write {HEADER}")
    category, name, _, *times = parts
    if category not in _CLASS_INDEX:
        raise _fault(
            path, number, f"unknown category {category!r}; use one of those in link.ave.CLASSES"
        )
    if not re.fullmatch(r"[\w-]{11}", name, re.ASCII):
        raise _fault(path, number, f"{name!r} is no identifier of 11 characters; correct it")
    for what, time in zip(("start", "end"), times, strict=True):
        if not re.fullmatch(r"[0-9]+", time) or int(time) > SEGMENTS:
            raise _fault(
                path,
                number,
                f"{what} {time!r} is not a whole second from 0 to {SEGMENTS}; correct it",
            )
    return _Line(number, text, _CLASS_INDEX[category], name, *map(int, times))


def _fault(path: Path, number: int, message: str) -> AVEError:
    return AVEError(f"{path}, line {number}: {message}")


# ---- to a data set ----


def write_label_files(ave: AVE, folder: str | Path) -> tuple[Path, Path]:
    """Write ``labels.csv`` and ``events.csv`` as `link.label_files` reads them; their paths.

    There a video has one row: the categories of one that is listed twice are put together. One
    that is in two splits stays where it is evaluated, in test before val, and leaves the other.
    """
    folder = Path(folder)
    split_of = {name: split for split, each in ave.splits().items() for name in each.names}
    labels: dict[str, list[str]] = {name: [] for name in split_of}
    events = []
    for split, of_split in ave.splits().items():
        for name, weak, grid in zip(of_split.names, of_split.weak, of_split.audio, strict=True):
            if split_of[name] != split:
                continue
            label = CLASSES[int(weak.argmax())]
            labels[name].append(label)
            marked = np.flatnonzero(grid.any(axis=1))
            times = (label, marked[0], marked[-1] + 1) if len(marked) else ("", "", "")
            events.append((name, "audio_visual" if len(marked) else "", *times))
    folder.mkdir(parents=True, exist_ok=True)
    whole = [(name, ";".join(labels[name]), split) for name, split in split_of.items()]
    return (
        _write(folder / "labels.csv", ("video", "labels", "split"), whole),
        _write(folder / "events.csv", ("video", "modality", "label", "onset", "offset"), events),
    )


def _write(path: Path, header: tuple[str, ...], rows: list[tuple]) -> Path:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    write_whole(path, lambda file: file.write(text.getvalue().encode()))
    return path


def main(arguments: list[str] | None = None) -> int:
    """The program: write the two label files."""
    parser = argparse.ArgumentParser(
        prog="python -m link.ave",
        description="Write AVE's annotations as labels.csv and events.csv for link-avvp label.",
        epilog="example: python -m link.ave AVE_Dataset --out ave",
    )
    parser.add_argument("folder", help="folder with trainSet.txt, valSet.txt and testSet.txt")
    parser.add_argument("--out", default=".", help="folder to write to, by default this one")
    asked = parser.parse_args(arguments)
    try:
        ave = read_ave(asked.folder)
    except AVEError as error:
        print(error, file=sys.stderr)
        return 1
    for path in write_label_files(ave, asked.out):
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
