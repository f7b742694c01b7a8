"""Events: the 25 classes, single events, and the parsing of a whole video.

A video is cut into T segments of equal length. For one modality a *grid* is a boolean array
(T, C): which of the C classes occurs in which segment. An *event* is the same fact seen the
other way: a class with the time it starts and the time it ends. Grids are what models predict;
events are what people read and what event-level scores compare.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

#: The classes of LLP, in the order in which VALOR numbers them.
CLASSES = (
    "Speech",
    "Car",
    "Cheering",
    "Dog",
    "Cat",
    "Frying_(food)",
    "Basketball_bounce",
    "Fire_alarm",
    "Chainsaw",
    "Cello",
    "Banjo",
    "Singing",
    "Chicken_rooster",
    "Violin_fiddle",
    "Vacuum_cleaner",
    "Baby_laughter",
    "Accordion",
    "Lawn_mower",
    "Motorcycle",
    "Helicopter",
    "Acoustic_guitar",
    "Telephone_bell_ringing",
    "Baby_cry_infant_cry",
    "Blender",
    "Clapping",
)

#: Segments in a video of LLP; each lasts one second.
SEGMENTS = 10

Modality = Literal["audio", "visual", "audio_visual"]


@dataclass(frozen=True)
class Event:
    """One class, in one modality, over one stretch of time.

    `onset` and `offset` are seconds from the start of the video; the event covers the half-open
    interval [onset, offset). `score` is the confidence of whoever found the event, if they gave
    one.

    Raises ValueError for an unknown modality and for an event that does not last.
    """

    label: str
    onset: float
    offset: float
    modality: Modality
    score: float | None = None

    def __post_init__(self) -> None:
        if self.modality not in get_args(Modality):
            raise ValueError(
                f"modality {self.modality!r} of event {self.label!r} is unknown: "
                f"use one of {', '.join(get_args(Modality))}"
            )
        if not 0 <= self.onset < self.offset:
            raise ValueError(
                f"event {self.label!r} lasts from {self.onset} s to {self.offset} s: "
                "an event starts at 0 s or later and ends after it starts"
            )


def runs(active: np.ndarray) -> list[tuple[int, int]]:
    """Maximal runs of true values in a boolean array (T,).

    Each run is a half-open pair (start, stop).
    """
    padded = np.concatenate([[False], active, [False]])
    borders = np.flatnonzero(padded[1:] != padded[:-1])
    pairs = borders.reshape(-1, 2).tolist()
    return [(start, stop) for start, stop in pairs]


def grid_to_events(
    grid: np.ndarray,
    modality: Modality,
    classes: Sequence[str] = CLASSES,
    segment_seconds: float = 1.0,
) -> list[Event]:
    """Turn a grid into events: each maximal run of segments of one class is one event.

    `grid` is boolean (T, C), C the number of `classes`. The events come sorted by onset, then by
    class. Raises ValueError where `grid` is not a boolean array of that shape.
    """
    _check_grid(grid, classes, "grid")
    found = sorted(
        (start, index, stop)
        for index in range(len(classes))
        for start, stop in runs(grid[:, index])
    )
    return [
        Event(classes[index], start * segment_seconds, stop * segment_seconds, modality)
        for start, index, stop in found
    ]


def events_to_grid(
    events: Iterable[Event],
    segments: int = SEGMENTS,
    classes: Sequence[str] = CLASSES,
    segment_seconds: float = 1.0,
) -> np.ndarray:
    """Turn events into a boolean grid (segments, C), the inverse of `grid_to_events`.

    An event marks the segments whose middle it covers. Events that start and end on the borders
    of segments therefore mark exactly the segments between; others are rounded, and one shorter
    than a segment may mark none. The events' modality is not looked at.

    Raises ValueError for a class that is not in `classes` and for an event that ends after the
    last segment.
    """
    grid = np.zeros((segments, len(classes)), dtype=bool)
    middles = (np.arange(segments) + 0.5) * segment_seconds
    position = {name: index for index, name in enumerate(classes)}
    for event in events:
        if event.label not in position:
            raise ValueError(f"unknown class {event.label!r}: it is not among the classes given")
        if event.offset > (segments + 1e-6) * segment_seconds:
            raise ValueError(
                f"event {event.label!r} ends at {event.offset} s, after the video's end at "
                f"{segments * segment_seconds} s: give more segments or an earlier offset"
            )
        grid[(event.onset <= middles) & (middles < event.offset), position[event.label]] = True
    return grid


@dataclass(frozen=True, eq=False)
class Parsing:
    """What is heard and what is seen in every segment of one video.

    `audio` and `visual` are boolean (T, C), C the number of `classes`; a segment lasts
    `segment_seconds`. Raises ValueError where shapes or types disagree.
    """

    audio: np.ndarray
    visual: np.ndarray
    classes: tuple[str, ...] = CLASSES
    segment_seconds: float = 1.0

    def __post_init__(self) -> None:
        _check_grid(self.audio, self.classes, "audio")
        _check_grid(self.visual, self.classes, "visual")
        if len(self.audio) != len(self.visual):
            raise ValueError(
                f"audio has {len(self.audio)} segments and visual has {len(self.visual)}: "
                "both must cover the same video"
            )

    @property
    def audio_visual(self) -> np.ndarray:
        """What is heard and seen in the same segment, boolean (T, C)."""
        return self.audio & self.visual

    def events(self, modality: Modality | None = None) -> list[Event]:
        """The events of one modality; without one, what is heard and then what is seen.

        Audio-visual events are derived from the other two, so they come only when asked for.
        """
        if modality is None:
            return self.events("audio") + self.events("visual")
        if modality not in get_args(Modality):
            raise ValueError(
                f"modality {modality!r} is unknown: use one of {', '.join(get_args(Modality))}"
            )
        return grid_to_events(
            getattr(self, modality), modality, self.classes, self.segment_seconds
        )

    @classmethod
    def from_events(
        cls,
        events: Iterable[Event],
        segments: int = SEGMENTS,
        classes: Sequence[str] = CLASSES,
        segment_seconds: float = 1.0,
    ) -> "Parsing":
        """The parsing that these events describe; an audio-visual event is heard and seen.

        Raises ValueError as `events_to_grid` does.
        """
        events = list(events)
        audio, visual = (
            events_to_grid(
                (event for event in events if event.modality in (modality, "audio_visual")),
                segments,
                classes,
                segment_seconds,
            )
            for modality in ("audio", "visual")
        )
        return cls(audio, visual, tuple(classes), segment_seconds)


def _check_grid(grid: np.ndarray, classes: Sequence[str], name: str) -> None:
    if grid.dtype != bool or grid.ndim != 2 or grid.shape[1] != len(classes):
        raise ValueError(
            f"{name} is {grid.dtype} {grid.shape}: a grid is a boolean array "
            f"(segments, {len(classes)})"
        )
