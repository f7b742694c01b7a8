"""The style of every figure: colours and sizes.

Colours are those of Okabe and Ito, which people with any common colour vision tell apart; a
modality has one colour throughout. `figure` sets the style, so every function starts with it.
"""

import matplotlib.pyplot as plt

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY = "#999999"

HEARD, SEEN, BOTH = BLUE, ORANGE, GREEN

STYLE = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelsize": 10,
    "axes.prop_cycle": plt.cycler(color=[BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, BLACK]),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "figure.dpi": 110,
    "font.size": 10,
    "grid.color": "#DDDDDD",
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "savefig.dpi": 110,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
}


def figure(width: float = 7.0, height: float = 3.6, columns: int = 1, rows: int = 1, **options):
    """A figure in the book's style, `width` by `height` inches, and its axes.

    `columns` panels stand side by side, `rows` above each other; `options` go to
    `matplotlib.pyplot.subplots`.
    """
    plt.rcParams.update(STYLE)
    return plt.subplots(rows, columns, figsize=(width, height), layout="constrained", **options)
