"""What kind of mistake is it? Every pair of a video and a class, in each modality, has one answer.

The kinds follow the two things that a parser must tell apart, modality and time:

- ``right``: the extent claimed is the true one;
- ``missed``: it happens in this modality, and nothing is claimed;
- ``invented``: it is claimed and happens in neither modality;
- ``copied``: it is claimed here and happens in the other modality only;
- ``other's extent``: it happens in both, and is claimed over the extent it has in the other;
- ``wrong extent``: it happens here and is claimed, at some other wrong extent.
"""

import numpy as np

#: The kinds of answers, in the order of their numbers.
KINDS = ("right", "missed", "invented", "copied", "other's extent", "wrong extent")
#: The kinds that are mistakes.
MISTAKES = KINDS[1:]


def kinds_of_answers(pred: np.ndarray, true: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The answer to each pair of a video and a class in one modality.

    Parameters
    ----------
    pred, true
        What is claimed and what is true in this modality, boolean (V, T, C).
    other
        What is true in the other modality, boolean (V, T, C).

    Returns
    -------
    numpy.ndarray
        Integer (V, C), indices into `KINDS`, and -1 where there is nothing to say: the class does
        not happen in this modality and is not claimed.
    """
    claimed, happens, elsewhere = (grid.any(axis=1) for grid in (pred, true, other))
    equal = (pred == true).all(axis=1)
    follows = (pred == other).all(axis=1)
    return np.select(
        [
            ~claimed & ~happens,
            claimed & happens & equal,
            happens & ~claimed,
            claimed & ~happens & ~elsewhere,
            claimed & ~happens,
            follows,
        ],
        [-1, 0, 1, 2, 3, 4],
        default=5,
    )


def wrong_segments(pred: np.ndarray, true: np.ndarray) -> np.ndarray:
    """How many segments of each pair are wrong: boolean (V, T, C) twice to integer (V, C)."""
    return (pred != true).sum(axis=1)


def median_example(kinds: np.ndarray, wrong: np.ndarray, kind: str) -> int | None:
    """The video that shows one kind of mistake as it usually is, or None if there is none.

    Parameters
    ----------
    kinds, wrong
        Of `kinds_of_answers` and `wrong_segments`, (V, M, C), over M modalities.
    kind
        One of `MISTAKES`.

    Returns
    -------
    int or None
        Of the videos whose mistakes are all of this kind, the one with the median number of wrong
        segments, the lower of two medians; among equals, the first.
    """
    index = KINDS.index(kind)
    mistaken = kinds > 0
    only = mistaken.any(axis=(1, 2)) & (~mistaken | (kinds == index)).all(axis=(1, 2))
    videos = np.flatnonzero(only)
    if len(videos) == 0:
        return None
    amounts = wrong[videos].sum(axis=(1, 2))
    middle = np.sort(amounts)[(len(amounts) - 1) // 2]
    return int(videos[np.flatnonzero(amounts == middle)[0]])
