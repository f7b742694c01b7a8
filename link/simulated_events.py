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

    Of the table "classes" and "cooccurrence" are read, "labels" of each of "splits", the four
    kinds of "evaluation", and "extents".

    ``misalignment`` is that of `link.simulation.SimulationConfig`: 0 aligned, 1 as in LLP, 2
    independent, and between them a chance of the one or the other for each event.
    """
    labels = _LabelSets(statistics)
    extents = _Extents(statistics)
    shape = (videos, SEGMENTS, len(statistics["classes"]))
    weak = np.zeros((videos, shape[2]), dtype=bool)
    audio, visual = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for video in range(videos):
        for label in labels.draw(rng):
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


class _LabelSets:
    """Single labels, pairs as often as they go together, and further labels by their company."""

    def __init__(self, statistics: dict):
        together = np.array(statistics["cooccurrence"])
        total = together.diagonal().copy()
        np.fill_diagonal(together, 0)
        self.together = together
        histograms = [split["labels"] for split in statistics["splits"].values()]
        self.sizes = _Table(
            {
                n: sum(h[n] for h in histograms if n < len(h))
                for n in range(1, max(map(len, histograms)))
            }
        )
        # Videos with three labels count in two pairs of each, so this is a lower bound.
        alone = np.maximum(total - together.sum(axis=1), 1)
        self.single = _Table(dict(enumerate(alone.tolist())))
        classes = range(len(total))
        self.pairs = _Table({(i, j): int(together[i, j]) for i in classes for j in range(i)})

    def draw(self, rng: np.random.Generator) -> list[int]:
        size = self.sizes.draw(rng)
        if size == 1:
            return [self.single.draw(rng)]
        labels = list(self.pairs.draw(rng))
        while len(labels) < size:
            # No label is in its own company: the diagonal is zero.
            company = self.together[labels].min(axis=0)
            if not company.any():
                break
            labels.append(_Table(dict(enumerate(company.tolist()))).draw(rng))
        return labels


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
