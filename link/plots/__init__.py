"""Every figure of the book, as a function of data that returns a Matplotlib figure.

Needs Matplotlib and SciPy: install the package with its "book" extra.
"""

from link.plots.cost import growth, stacked_shares
from link.plots.intervals import paired_intervals
from link.plots.learned import (
    attention_beside_events,
    class_intervals,
    compared,
    planes,
    reliability_diagram,
)
from link.plots.network import curves, heat_maps, weights_over_time
from link.plots.priors import logit_shifts, pseudo_label_quality, scores_by_seed
from link.plots.simulation import drawn_against_table, margins, over_knob
from link.plots.style import BLUE, BOTH, HEARD, SEEN, VERMILION, figure
from link.plots.sweep import against_level
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
    "against_level",
    "attention_beside_events",
    "class_frequencies",
    "class_intervals",
    "class_shares",
    "compared",
    "curves",
    "drawn_against_table",
    "extents",
    "figure",
    "growth",
    "heat_maps",
    "labels_per_video",
    "logit_shifts",
    "margins",
    "misalignment",
    "over_knob",
    "paired_intervals",
    "parsing",
    "planes",
    "pseudo_label_quality",
    "reliability_diagram",
    "scores_by_seed",
    "segments",
    "stacked_shares",
    "weight_curves",
    "weight_in_training",
    "weights_over_time",
]
