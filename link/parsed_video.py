"""The parsing of one video with all that is known beside it: what the exports write."""

import json
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import numpy as np

from link.errors import LinkError
from link.events import Event, Modality, Parsing, runs

#: The two modalities, in the order of a probability array's axis, and what people call them.
WORDS: Mapping[Modality, str] = MappingProxyType({"audio": "heard", "visual": "seen"})

#: Seconds and probabilities are written with this many decimals, so that 0.1 * 3 is 0.3.
DECIMALS = 6


@dataclass(frozen=True, eq=False)
class ParsedVideo:
    """The parsing of one video and what is known beside it.

    Attributes
    ----------
    parsing
        What is heard and seen in each of T segments and for each of C classes.
    video
        A Path is a file here. A string is a URL: of the scheme http, https, data or blob, or
        relative to where an export lies.
    duration
        Of the video, in seconds, if known. The last segment may end after it; events do not.
    probabilities
        Floats (T, 2, C) between 0 and 1, the modalities in the order audio, visual. An event's
        score is the mean over its segments. Those of an absent modality are not looked at.
    absent
        The modalities that the video does not have: of "audio" and "visual".
    provenance
        What made the parsing, in terms that JSON has; ``{"model": ...}`` at the least.

    Raises
    ------
    LinkError
        For a class name that cannot be written: blank, used twice, or with a line break or
        another control character.
    ValueError
        Where the parts do not fit each other.
    """

    parsing: Parsing
    video: Path | str
    duration: float | None = None
    probabilities: np.ndarray | None = None
    absent: frozenset[Modality] = frozenset()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "absent", frozenset(self.absent))
        check_class_names(self.parsing.classes)
        self._check_time()
        self._check_modalities()
        if isinstance(self.video, str):
            _check_url(self.video)
        try:
            json.dumps(self.provenance, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"provenance {self.provenance!r} is not JSON: {error}") from None

    def _check_time(self) -> None:
        segments, seconds = len(self.parsing.audio), self.parsing.segment_seconds
        # The formats with the coarsest clock count milliseconds.
        if not segments or not 0.01 <= seconds < np.inf:
            raise ValueError(
                f"a parsing of {segments} segments of {seconds} s cannot be exported: "
                "it needs a segment, and 0.01 s or more a segment"
            )
        if self.duration is not None and not (segments - 1) * seconds < self.duration < np.inf:
            raise ValueError(
                f"the video lasts {self.duration} s, but the last of its {segments} segments "
                f"begins at {(segments - 1) * seconds} s: leave out segments after the end"
            )

    def _check_modalities(self) -> None:
        if not self.absent < WORDS.keys():
            raise ValueError(f"absent is {set(self.absent)}: one of audio and visual may be")
        for modality in self.absent:
            if getattr(self.parsing, modality).any():
                raise ValueError(f"there are {modality} events in a video without that modality")
        if self.probabilities is None:
            return
        expected = (len(self.parsing.audio), len(WORDS), len(self.parsing.classes))
        if self.probabilities.shape != expected:
            raise ValueError(f"probabilities are {self.probabilities.shape}, not {expected}")
        for index, modality in enumerate(WORDS):
            values = self.probabilities[:, index]
            if modality not in self.absent and not ((values >= 0) & (values <= 1)).all():
                raise ValueError(f"{modality} probabilities lie outside of 0 to 1")

    @property
    def length(self) -> float:
        """Seconds from the start of the video to its end, or to the last segment's."""
        return self.duration or len(self.parsing.audio) * self.parsing.segment_seconds

    @property
    def url(self) -> str:
        """The video's URL; that of a file is relative to the working folder."""
        return self.video if isinstance(self.video, str) else url_of(self.video, Path.cwd())

    @property
    def name(self) -> str:
        """The video's file name, with U+FFFD for what cannot be shown in one line of text."""
        if isinstance(self.video, str) and urlsplit(self.video).scheme in ("data", "blob"):
            return "video"
        name = unquote(urlsplit(self.url).path.rsplit("/", 1)[-1]) or self.url
        return "".join("\ufffd" if _unwritable(character) else character for character in name)

    def linked_from(self, folder: Path) -> "ParsedVideo":
        """The same, its video a URL relative to ``folder`` if it is a file here."""
        if isinstance(self.video, str):
            return self
        return replace(self, video=url_of(self.video, folder))

    def stretches(self, grid: np.ndarray) -> Iterator[tuple[int, int, int]]:
        """Each maximal run of true values: its start, its class, its stop, sorted so."""
        yield from sorted(
            (start, index, stop)
            for index in range(grid.shape[1])
            for start, stop in runs(grid[:, index])
        )

    def in_seconds(self, start: int, stop: int) -> tuple[float, float]:
        """Onset and offset in seconds of the segments from ``start`` to before ``stop``."""
        seconds = self.parsing.segment_seconds
        onset, offset = start * seconds, min(stop * seconds, self.length)
        # Where the video ends just after the last segment begins, an event still lasts a little.
        return round(onset, DECIMALS), round(max(offset, onset + 0.001), DECIMALS)

    def events(self) -> list[Event]:
        """What is heard and what is seen: by onset, then heard before seen, then by class."""
        return [event for event, _, _ in self.events_in_segments()]

    def events_in_segments(self) -> list[tuple[Event, int, int]]:
        """The events, each with the segments (start, stop) that it covers."""
        found = [
            (start, axis, index, stop)
            for axis, modality in enumerate(WORDS)
            for start, index, stop in self.stretches(getattr(self.parsing, modality))
        ]
        return [
            (self._event(start, axis, index, stop), start, stop)
            for start, axis, index, stop in sorted(found)
        ]

    def _event(self, start: int, axis: int, index: int, stop: int) -> Event:
        score = None
        if self.probabilities is not None:
            score = round(float(self.probabilities[start:stop, axis, index].mean()), DECIMALS)
        label, modality = self.parsing.classes[index], list(WORDS)[axis]
        return Event(label, *self.in_seconds(start, stop), modality, score)


def check_class_names(names: tuple[str, ...]) -> None:
    """Raise LinkError unless every name is one line of text, and no two are the same."""
    for name in names:
        if not name.strip() or any(map(_unwritable, name)):
            raise LinkError(
                f"{name!r} cannot name a class: a name is one line of text without control "
                "characters"
            )
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise LinkError(f"the class {min(twice)!r} is there twice: give every class its own name")


def _unwritable(character: str) -> bool:
    """Control characters, line breaks, halves of characters, and what XML leaves out."""
    return (
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in "\ufffe\uffff"
    )


def _check_url(url: str) -> None:
    scheme = re.match(r"[^/?#]*:", url)
    known = scheme is None or scheme[0].lower() in ("http:", "https:", "data:", "blob:")
    if not known or re.search(r"[^\x21-\x7e]", url) or not url:
        raise LinkError(
            f"{url!r} is no URL of a video: give http, https, data, blob or a relative one, "
            "percent-encoded; a file is given as a Path"
        )


def url_of(file: Path, folder: Path) -> str:
    """The percent-encoded URL of a file, relative to a folder."""
    relative = os.path.relpath(file, folder).replace(os.sep, "/")
    return "./" * (not relative.startswith("../")) + quote(os.fsencode(relative))


def readable(label: str) -> str:
    """A class name as a reader would write it: underscores are spaces."""
    return label.replace("_", " ")
