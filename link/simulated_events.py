"""What happens in simulated videos: label sets, modalities and extents drawn from LLP's counts."""

from dataclasses import dataclass

import numpy as np

from link.events import SEGMENTS


@dataclass(frozen=True, eq=False)
class SimulatedEvents:
    """What happens in V videos: ``weak`` bool (V, C); ``audio``, ``visual`` bool (V, T, C)."""

    weak: np.ndarray
    audio: np.ndarray
    visual: np.ndarray


def draw_events(
    statistics: dict, videos: int, misalignment: float, rng: np.random.Generator
) -> SimulatedEvents:
    """Draw videos from the table of `link.llp_statistics`, or from another of its form.

    Of the table "classes", "label_sets", the four kinds of "evaluation" and "extents" are read.

    ``misalignment`` is that of `link.simulation.SimulationConfig`: 0 aligned, 1 as in LLP, 2
    independent, and between them a chance of the one or the other for each event.
    """
    label_sets = _Table(statistics["label_sets"])
    extents = _Extents(statistics)
    shape = (videos, SEGMENTS, len(statistics["classes"]))
    weak = np.zeros((videos, shape[2]), dtype=bool)
    audio, visual = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for video in range(videos):
        for label in map(int, label_sets.draw(rng).split()):
            weak[video, label] = True
            chance = rng.random()
            if chance >= misalignment:
                heard, seen = extents.draw_aligned(rng)
            elif chance >= misalignment - 1:
                heard, seen = extents.draw_as_in_llp(label, rng)
            else:
                heard, seen = extents.draw_independent(label, rng)
            audio[video, :, label] = heard
            visual[video, :, label] = seen
    return SimulatedEvents(weak, audio, visual)


class _Table:
    """Things with counts, drawn in proportion to them."""

    def __init__(self, counts: dict):
        self.things = [thing for thing in sorted(counts) if counts[thing] > 0]
        self.cumulative = np.cumsum([counts[thing] for thing in self.things])

    def draw(self, rng: np.random.Generator):
        # Integers, not probabilities: the draw does not depend on how a sum was rounded.
        drawn = rng.integers(self.cumulative[-1])
        return self.things[np.searchsorted(self.cumulative, drawn, side="right")]


class _Extents:
    """Over which segments a class is heard and seen, as pairs of boolean arrays (T,)."""

    KINDS = ("heard_only", "seen_only", "both", "neither")

    def __init__(self, statistics: dict):
        counts = statistics["evaluation"]
        extents = statistics["extents"]
        classes = range(len(statistics["classes"]))
        self.kind = [_Table({kind: counts[kind][c] for kind in self.KINDS}) for c in classes]
        self.extent = {kind: _Table(extents[kind]) for kind in self.KINDS[:3]}

    def draw_as_in_llp(self, label: int, rng: np.random.Generator) -> tuple:
        return self._extents(self.kind[label].draw(rng), rng)

    def draw_aligned(self, rng: np.random.Generator) -> tuple:
        heard, _ = self._extents("both", rng)
        return heard, heard

    def draw_independent(self, label: int, rng: np.random.Generator) -> tuple:
        # Two draws as in LLP, of which one gives what is heard and the other what is seen.
        heard, _ = self.draw_as_in_llp(label, rng)
        _, seen = self.draw_as_in_llp(label, rng)
        return heard, seen

    def _extents(self, kind: str, rng: np.random.Generator) -> tuple:
        nothing = np.zeros(SEGMENTS, dtype=bool)
        if kind == "neither":
            return nothing, nothing
        drawn = [_active(extent) for extent in self.extent[kind].draw(rng).split()]
        if kind == "heard_only":
            return drawn[0], nothing
        if kind == "seen_only":
            return nothing, drawn[0]
        return drawn[0], drawn[1]


def _active(extent: str) -> np.ndarray:
    return np.array([digit == "1" for digit in extent])
