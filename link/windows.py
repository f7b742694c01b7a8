"""Which seconds, which frames, which samples: the arithmetic of cutting a video up.

Nothing here opens a file. `link.media` decodes what these functions choose, and a video longer
than ten seconds is put together again by `merge_windows`.
"""

import math
from collections.abc import Sequence

import numpy as np

from link.events import SEGMENTS

#: VALOR takes its frames from a copy of the video at this constant rate, per second.
TICKS_PER_SECOND = 8

# A second that holds less than this much of the picture, or of the sound, is no segment of it.
_LEAST_SECONDS = 0.5


def constant_rate(ticks: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Which frame stands at each tick when ffmpeg turns a video into one of constant rate.

    `ticks` (n,) are the frames' times in ascending order and `lengths` (n,) their durations, both
    in ticks of the constant rate and counted from its first tick. Returns an integer array: entry
    k is the index of the frame that ffmpeg writes as its k-th.

    This is not "the frame nearest to each tick". ffmpeg walks through the frames and leaves one
    out only when it ends more than 1.1 ticks before the next free tick; so of a video
    faster than the constant rate the copy lags about one tick behind, and ten seconds at 30 frames
    a second become 82 frames at 8 a second, which start with frames 0, 1, 3 and 7. A frame that
    ends more than 1.1 ticks after the next free tick takes round(that) ticks; where it also starts
    more than 1.1 ticks late, the first round(late - 0.6) of them go to the frame before it. How
    many went back is remembered for the last three frames, and at the end of the video the last
    frame is repeated as often as their median says.
    Source: behaviour of `ffmpeg -i video -r 8 %06d.jpg`, VALOR's command, in version 4.2.2, which
    VALOR's environment names.
    """
    chosen: list[int] = []
    handed_back = [0, 0, 0]
    for index, (tick, length) in enumerate(zip(ticks.tolist(), lengths.tolist(), strict=True)):
        late = tick - len(chosen)
        end = late + length
        copies, before = 1, 0
        if end < -1.1:
            copies = 0
        elif end > 1.1:
            copies = round(end)
            if late > 1.1:
                before = min(round(late - 0.6), copies)
        chosen += [max(index - 1, 0)] * before + [index] * (copies - before)
        handed_back = [*handed_back[1:], before]
    chosen += [len(ticks) - 1] * sorted(handed_back)[1]
    return np.array(chosen, int)


def constant_rate_part(
    ticks: np.ndarray, lengths: np.ndarray, first: int, stop: int | None
) -> np.ndarray:
    """`constant_rate` for the part of a video from tick `first` to tick `stop`, or to the end.

    As if the video had been cut there: ticks count from `first`, the frame then on the screen is
    the first one, and no frame is shown beyond `stop`. Entries are indices into the whole `ticks`.
    """
    low = max(int(np.searchsorted(ticks, first, "right")) - 1, 0)
    high = len(ticks) if stop is None else max(int(np.searchsorted(ticks, stop)), low + 1)
    # One frame more, cut off again below, tells how long the last one of the part is shown.
    part = slice(low, high + 1)
    end = np.inf if stop is None else stop
    begin = np.clip(ticks[part], first, end)
    left = np.clip(lengths[part] - (begin - ticks[part]), 0, end - begin)
    shown = low + constant_rate(begin - first, left)
    return shown[shown < high]


def evenly(count: int, picks: int) -> np.ndarray:
    """`picks` indices spread over `count` things, first and last included: integers (picks,).

    round(linspace(0, count - 1, picks)), where halves go to the even neighbour, as in VALOR.
    """
    return np.rint(np.linspace(0, count - 1, picks)).astype(int)


def split_sound(waveform: np.ndarray, parts: int = SEGMENTS) -> np.ndarray:
    """Cut a waveform (n,) into equal parts (parts, n // parts), one a segment.

    Part i starts at round(i * n / parts), halves to the even neighbour, as in VALOR; up to
    parts - 1 samples between parts belong to none. Raises ValueError where there are fewer
    samples than parts.
    """
    length = len(waveform) // parts
    if length == 0:
        raise ValueError(f"{len(waveform)} samples cannot be cut into {parts} parts")
    starts = np.rint(np.linspace(0, len(waveform), parts + 1)).astype(int)[:-1]
    return waveform[starts[:, None] + np.arange(length)]


def segment_count(duration: float) -> int:
    """How many one-second segments a video of `duration` seconds has: rounded, at least one.

    What is left over at the end, less than half a second, belongs to the last segment.
    """
    return max(1, math.floor(duration + _LEAST_SECONDS))


def window_starts(segments: int, hop: int) -> list[int]:
    """Where ten-second windows over that many one-second segments start, in seconds.

    Every `hop` seconds; the last window is moved back to end with the video, so that it is as
    full as the others. A video of up to ten segments is one window. Raises ValueError unless
    `hop` is between 1 and 10.
    """
    if not 1 <= hop <= SEGMENTS:
        raise ValueError(f"hop is {hop} seconds: use 1 to {SEGMENTS}, or seconds are left out")
    last = max(segments - SEGMENTS, 0)
    return [*range(0, last, hop), last]


def covered(start: int, segments: int, begin: float, end: float) -> np.ndarray:
    """Which segments of the window at `start` are there in a stream lasting from begin to end.

    Boolean (10,): a segment counts when at least half a second of it, or all of a shorter stream,
    lies in the stream. Segments past `segments`, the number the whole video has, are not there.
    """
    seconds = start + np.arange(SEGMENTS)
    overlap = np.minimum(seconds + 1, end) - np.maximum(seconds, begin)
    return (overlap >= min(_LEAST_SECONDS, end - begin)) & (seconds < segments)


def merge_windows(
    starts: Sequence[int],
    probabilities: np.ndarray,
    segments: int,
    valid: np.ndarray | None = None,
) -> np.ndarray:
    """Put the windows of a long video together again: (segments, C).

    `probabilities` is (windows, 10, C), the window at `starts[i]` seconds in row i; `valid` is
    boolean (windows, 10), all true if left out. A segment gets the average over the windows in
    which it is valid, and zero, which is "nothing there", if it is valid in none.
    """
    rows = np.asarray(starts, int)[:, None] + np.arange(SEGMENTS)
    used = rows < segments
    if valid is not None:
        used &= valid
    total = np.zeros((segments, probabilities.shape[-1]))
    np.add.at(total, rows[used], probabilities[used])
    count = np.bincount(rows[used], minlength=segments)
    return (total / np.maximum(count, 1)[:, None]).astype(probabilities.dtype)
