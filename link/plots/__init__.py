"""Every figure of the book, as a function of data that returns a Matplotlib figure.

Needs Matplotlib and SciPy: install the package with its "book" extra.
"""

from link.plots.intervals import paired_intervals
from link.plots.network import curves, heat_maps, weights_over_time
from link.plots.priors import logit_shifts, pseudo_label_quality, scores_by_seed
from link.plots.style import BLUE, BOTH, HEARD, SEEN, VERMILION, figure
from link.plots.task import (
    class_frequencies,
    class_shares,
    extents,
    labels_per_video,
    misalignment,
    parsing,
)
from link.plots.video import segments
from link.plots.weight import weight_curves, weight_in_training

__all__ = [
    "BLUE",
    "BOTH",
    "HEARD",
    "SEEN",
    "VERMILION",
    "class_frequencies",
    "class_shares",
    "curves",
    "extents",
    "figure",
    "heat_maps",
    "labels_per_video",
    "logit_shifts",
    "misalignment",
    "paired_intervals",
    "parsing",
    "pseudo_label_quality",
    "scores_by_seed",
    "segments",
    "weight_curves",
    "weight_in_training",
    "weights_over_time",
]
