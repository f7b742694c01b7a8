"""A video and what was found in it, second by second, as a piece of a page.

Above, what happens in each second, in signs: on the screen, and in the sound. Below, a lane for
each class and modality with what was found there, and where that is wrong. It needs no picture of
the video, so it shows simulated videos too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from link.events import CLASSES, Parsing
from link.parsed_video import readable

#: A sign for each class of LLP.
SIGNS = dict(zip(CLASSES, "💬🚗🎉🐕🐈🍳🏀🚨🪚🎻🪕🎤🐔🎻🧹👶🪗🌱🏍🚁🎸📞😭🥤👏", strict=True))

_STYLE = Path(__file__).with_name("timeline.css").read_text(encoding="utf-8")
_STREAMS = {"audio": ("sound", "heard"), "visual": ("picture", "seen")}


@dataclass(frozen=True)
class Timeline:
    """What was `found` in a video beside the `truth`, shown in a notebook or on a page.

    Both parsings are of the same classes and segments. `title` says what video it is, and whether
    it is simulated. Raises ValueError where the two do not match.
    """

    found: Parsing
    truth: Parsing
    title: str

    def __post_init__(self) -> None:
        if self.found.classes != self.truth.classes:
            raise ValueError("what was found and the truth speak of different classes")
        if self.found.audio.shape != self.truth.audio.shape:
            raise ValueError(
                f"{len(self.found.audio)} segments were parsed, and {len(self.truth.audio)} are "
                "annotated: both must cover the same video"
            )

    def describe(self) -> str:
        """The picture in words, for those who do not see it."""
        sentences = [self.title]
        for name, parsing in (("In the video", self.truth), ("Found", self.found)):
            events = [
                f"{readable(event.label)} {_STREAMS[event.modality][1]} from {event.onset:g} to "
                f"{event.offset:g} s"
                for event in parsing.events()
            ]
            sentences.append(f"{name}: {', '.join(events) or 'nothing'}")
        return ". ".join(sentences) + "."

    def html(self) -> str:
        """The piece of a page: an image to screen readers, with `describe` as its text."""
        segments = len(self.truth.audio)
        cells = "".join([*self._strips(), *self._lanes(), *self._axis()])
        return (
            f"<style>{_STYLE}</style>"
            f'<figure class="link-timeline" role="img" aria-label="{escape(self.describe())}">'
            f'<div class="title">{escape(self.title)}</div>'
            f'<div class="rows" style="--segments: {segments}">{cells}</div>{_LEGEND}</figure>'
        )

    def _repr_html_(self) -> str:
        return self.html()

    def _strips(self) -> Iterator[str]:
        """Two rows: what can be seen and what can be heard in each second."""
        for modality in ("visual", "audio"):
            stream = _STREAMS[modality][0]
            yield f'<div class="name">{stream}</div>'
            for active in getattr(self.truth, modality):
                labels = [self.truth.classes[index] for index in np.flatnonzero(active)]
                signs = "".join(f"<span>{_sign(label)}</span>" for label in labels)
                yield f'<div class="{stream}">{signs}</div>'

    def _lanes(self) -> Iterator[str]:
        """A row for each class that occurs, or was found, in each modality."""
        grids = (self.truth.audio, self.truth.visual, self.found.audio, self.found.visual)
        for index in np.flatnonzero(np.any(grids, axis=(0, 1))):
            label = self.truth.classes[index]
            for modality, (_, verb) in _STREAMS.items():
                yield f'<div class="name">{_sign(label)} {escape(readable(label))}, {verb}</div>'
                truth = getattr(self.truth, modality)[:, index]
                found = getattr(self.found, modality)[:, index]
                for there, named in zip(truth, found, strict=True):
                    verdict = {(1, 1): verb, (0, 1): f"{verb} wrong", (1, 0): "missed"}
                    yield f'<div class="lane {verdict.get((there, named), "")}"></div>'

    def _axis(self) -> Iterator[str]:
        yield '<div class="name">second</div>'
        for segment in range(len(self.truth.audio)):
            yield f'<div class="tick">{segment * self.truth.segment_seconds:g}</div>'


_LEGEND = (
    '<div class="legend">found: <i class="heard"></i>heard <i class="seen"></i>seen'
    ' <i class="heard wrong"></i><i class="seen wrong"></i>wrongly <i class="missed"></i>missed'
    "</div>"
)


def _sign(label: str) -> str:
    return SIGNS.get(label, escape(readable(label)[:3]))
