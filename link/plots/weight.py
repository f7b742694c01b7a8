"""Chapter 07: the weight that S-LOSS gives to pairs of segments."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from link.losses import DISSIMILAR, piecewise_weight
from link.plots.style import BLACK, BLUE, ORANGE, figure


def weight_curves(mus: Sequence[float]) -> Figure:
    """Left the piecewise weight for some mu; right what a pair then costs, by its overlap r."""
    result, (left, right) = figure(7.4, 3.6, columns=2)
    similarity = np.linspace(-1, 1, 1001)
    for mu in mus:
        _with_jump(left, similarity, _weight(similarity, mu), label=f"μ = {mu:g}")
    left.set_title("The weight λ(s)")
    left.set_ylabel("λ")
    left.set_ylim(0, None)
    left.legend()
    for overlap, colour in ((0, BLUE), (1, ORANGE)):
        error = np.square(similarity - overlap)
        cost = _weight(similarity, mus[0]) * error
        _with_jump(right, similarity, cost, color=colour, label=f"r = {overlap}, μ = {mus[0]:g}")
        right.plot(similarity, error, color=colour, lw=1, ls="--", label=f"r = {overlap}, λ = 1")
    right.set_title("What a pair costs")
    right.set_ylabel("λ(s) (s − r)²")
    right.legend()
    for axes in (left, right):
        axes.set_xlabel("cosine similarity s")
    return result


def _weight(similarity: np.ndarray, mu: float) -> np.ndarray:
    return piecewise_weight(torch.from_numpy(similarity), mu).numpy()


def _with_jump(axes: Axes, x: np.ndarray, y: np.ndarray, **style) -> None:
    """A line that does not join the two sides of the weight's jump."""
    last_before = np.diff(x > DISSIMILAR, append=True)
    axes.plot(x, np.where(last_before, np.nan, y), **style)


def weight_in_training(mu: dict[str, Sequence[float]], weights: dict[str, np.ndarray]) -> Figure:
    """Left mu before training and after each epoch; right how many pairs have which weight."""
    result, (left, right) = figure(7.4, 3.4, columns=2)
    for name, course in mu.items():
        left.plot(range(len(course)), course, "o-", ms=3, label=name)
    left.axhline(1, color=BLACK, ls="--", lw=1)
    left.set_title("μ")
    left.set_xlabel("epochs trained")
    left.set_ylabel("μ")
    left.legend(loc="upper left", bbox_to_anchor=(0, 0.92))
    edges = np.linspace(1, max(float(values.max()) for values in weights.values()), 41)
    for name, values in weights.items():
        share = 100 * np.histogram(values, edges)[0] / values.size
        right.stairs(share, edges, lw=1.8, label=name)
    right.set_title("The weights of all pairs")
    right.set_xlabel("λ")
    right.set_ylabel("share of pairs (%)")
    right.legend()
    return result
