"""Decode any video into what the encoders need: a frame for each segment, and the sound.

A clip is ten seconds: ten frames and one waveform. `read_clip` cuts a file as VALOR cuts the
clips of LLP; `read_windows` reads a video of any length as overlapping clips, one after another,
with no more than two of them in memory and nothing on the disk. `probe` says what is in a file.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from link.containers import MediaError, MediaInfo, probe
from link.decoding import SAMPLE_RATE, pictures, sound
from link.events import SEGMENTS
from link.windows import (
    TICKS_PER_SECOND,
    constant_rate,
    constant_rate_part,
    covered,
    evenly,
    split_sound,
    window_starts,
)

__all__ = ["SAMPLE_RATE", "Clip", "MediaError", "MediaInfo", "probe", "read_clip", "read_windows"]

#: The longest file, in seconds, that `read_clip` takes for a clip.
LONGEST_CLIP = 60.0


@dataclass(frozen=True, eq=False)
class Clip:
    """Ten segments of a video, from `start` to `stop` seconds.

    `frames` is uint8 (10, H, W, 3), RGB, one frame a segment, or what the reader's `transform`
    made of each; None if there is no picture in the clip. `waveform` is float32 (n,) at 48 kHz,
    mono, within [-1, 1], starting at `start`; None if there is no sound in the clip. `seen` and
    `heard` are boolean (10,): which segments the picture and the sound reach. The frames of the
    others are zeros.
    """

    start: float
    stop: float
    frames: np.ndarray | None
    waveform: np.ndarray | None
    seen: np.ndarray
    heard: np.ndarray

    def sounds(self) -> np.ndarray | None:
        """The waveform cut into equal parts, a row a segment: float32 (10, n).

        n is a tenth of the waveform. Where the sound ends before the clip does, it is cut into as
        many parts as it reaches segments, and the rows that are left are zeros.
        """
        if self.waveform is None:
            return None
        reached = int(np.flatnonzero(self.heard)[-1]) + 1
        parts = split_sound(self.waveform, reached)
        return np.pad(parts, ((0, SEGMENTS - reached), (0, 0)))


def read_clip(
    media: str | Path | MediaInfo, transform: Callable[[np.ndarray], np.ndarray] | None = None
) -> Clip:
    """Cut a whole file into ten segments, as VALOR cuts the ten-second clips of LLP.

    Frames: of the video at 8 frames a second (`link.windows.constant_rate`: the very frames that
    `ffmpeg -r 8` writes), those at round(linspace(0, n - 1, 10)). They are RGB as ffmpeg converts
    them, turned upright if the file says how; pixels that are not square stay as they are, since
    the encoder's squash to a square undoes any stretch. Two differences from VALOR remain: its
    frames went through ffmpeg's default JPEG compression on the disk; and in an MPEG transport or
    program stream ffmpeg counts ticks from the first frame, not from the start of the file.

    Sound: decoded to 16 bits, all channels averaged, resampled by soxr at its quality "HQ":
    what librosa.load(path, sr=48000) does with a video. Silence is put in, and sound left out,
    only where timestamps ask for more than 0.1 seconds of it.

    Picture and sound are each cut into ten equal parts of their own length, so all segments are
    seen if there is a picture and heard if there is sound. `transform` is applied to each frame,
    uint8 (H, W, 3), as soon as it is decoded, and must return arrays of one shape.

    Raises MediaError as `probe` does, if the file lasts more than a minute (use `read_windows`),
    and if it cannot be decoded, with the time at which decoding failed.
    """
    info = _probed(media)
    if info.duration > LONGEST_CLIP:
        raise MediaError(
            f"{info.path} lasts {info.duration:.0f} seconds, which is no clip: read it in windows "
            f"or cut it to {LONGEST_CLIP:.0f} seconds or less"
        )
    every = np.ones(SEGMENTS, bool)
    picks = []
    if info.video:
        shown = constant_rate(*ticks_of(info))
        picks = info.video.stamps[shown[evenly(len(shown), SEGMENTS)]].tolist()
    plan = _Plan(0, None, picks, every & info.has_video, every & info.has_audio)
    return next(_decode(info, [plan], transform))


def read_windows(
    media: str | Path | MediaInfo,
    hop: int = 5,
    transform: Callable[[np.ndarray], np.ndarray] | None = None,
    skip: int = 0,
) -> Iterator[Clip]:
    """Read a video of any length as clips of ten seconds, a new one every `hop` seconds.

    A window is cut as VALOR would cut a clip of those ten seconds. The last one ends with the
    video (`link.windows.window_starts`); what is left of a second at the end belongs to the last
    segment if it is shorter than half a second and is a segment of its own otherwise. So a file of
    9.5 to 10.5 seconds whose picture and sound are complete is one window, the same as `read_clip`
    gives. A segment that the picture does not reach, because the video is shorter than ten
    seconds, or starts late, or ends before the sound, is padding: zeros, with `seen` false; for
    sound likewise. The V segments that are reached get V frames evenly spaced over what is there.

    Frames, sound, `transform` and errors are as for `read_clip`; the errors of `probe` are raised
    at once, those of decoding when the window is reached. The first `skip` windows are left out,
    for whoever goes on where they stopped. Raises ValueError unless `hop` is between 1 and 10.
    Memory is that of a few windows, whatever the length of the video; a `transform` that makes
    frames smaller makes that less.
    """
    info = _probed(media)
    starts = window_starts(info.segments, hop)
    return _decode(info, _plan_windows(info, starts)[skip:], transform)


# ---- what to decode ----


def ticks_of(info: MediaInfo) -> tuple[np.ndarray, np.ndarray]:
    """Times and durations of a video's frames, as `link.windows.constant_rate` wants them.

    Both are (n,), in ticks of 1/8 second, rounded as ffmpeg rounds them: to 2^-16, and off the
    exact midpoints by 2^-17. ffmpeg (to version 6.0) takes a frame for as long as the frame rate
    says, at most a tick; but where its own duration rounds to a tick or more, for that many ticks.
    """
    video = info.video
    scale = TICKS_PER_SECOND * video.time_base
    fine = np.floor((video.stamps - video.origin) * float(scale * 2**16) + 0.5) / 2**16
    ticks = fine + np.where(fine % 1 == 0, 0, np.sign(fine) / 2**17)
    own = np.rint(video.lengths * float(scale))
    usual = min(TICKS_PER_SECOND / info.fps, 1.0) if info.fps else 0.0
    return ticks, np.where(own > 0, own, usual)


@dataclass(frozen=True)
class _Plan:
    """One clip to be read: `picks` are the stamps of its frames, one for each segment seen.

    `stop` is None for the last clip, which takes all that is left.
    """

    start: int
    stop: int | None
    picks: list[int]
    seen: np.ndarray
    heard: np.ndarray


def _plan_windows(info: MediaInfo, starts: Sequence[int]) -> list[_Plan]:
    nothing = np.zeros(SEGMENTS, bool)
    ticks, lengths = ticks_of(info) if info.video else (None, None)
    plans = []
    for start in starts:
        stop = None if start == starts[-1] else start + SEGMENTS
        seen, heard = (
            covered(start, info.segments, track.start, track.end) if track else nothing
            for track in (info.video, info.audio)
        )
        picks = []
        if seen.any():
            first = (start + int(seen.argmax())) * TICKS_PER_SECOND
            end = None if stop is None else stop * TICKS_PER_SECOND
            shown = constant_rate_part(ticks, lengths, first, end)
            picks = info.video.stamps[shown[evenly(len(shown), int(seen.sum()))]].tolist()
        plans.append(_Plan(start, stop, picks, seen, heard))
    return plans


# ---- decoding ----


def _decode(
    info: MediaInfo, plans: list[_Plan], transform: Callable[[np.ndarray], np.ndarray] | None
) -> Iterator[Clip]:
    decoded = pictures(info, sorted({pick for plan in plans for pick in plan.picks}))
    tape = _Tape(sound(info))
    kept: dict[int, np.ndarray] = {}
    for plan in plans:
        frames = waveform = None
        if plan.picks:
            kept = {stamp: frame for stamp, frame in kept.items() if stamp >= plan.picks[0]}
            while plan.picks[-1] not in kept:
                stamp, frame = next(decoded)
                kept[stamp] = transform(frame) if transform else frame
            last = kept[plan.picks[-1]]
            frames = np.zeros((SEGMENTS, *last.shape), last.dtype)
            for segment, pick in zip(np.flatnonzero(plan.seen), plan.picks, strict=True):
                frames[segment] = kept[pick]
        if plan.heard.any():
            waveform = tape.cut(plan.start, plan.stop)
        yield Clip(
            start=plan.start,
            stop=info.duration if plan.stop is None else plan.stop,
            frames=frames,
            waveform=waveform,
            seen=plan.seen,
            heard=plan.heard,
        )


class _Tape:
    """A stream of samples from which overlapping stretches are cut, in ascending order."""

    def __init__(self, pieces: Iterator[np.ndarray]) -> None:
        self._pieces = pieces
        self._held = np.zeros(0, np.float32)
        self._end = 0

    def cut(self, start: int, stop: int | None) -> np.ndarray:
        """The samples from `start` to `stop` seconds, or to the end; what is before is dropped."""
        begin = start * SAMPLE_RATE
        stop = None if stop is None else stop * SAMPLE_RATE
        held = [self._held]
        while stop is None or self._end < stop:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._end += len(piece)
            if self._end <= begin:
                held = [piece[:0]]
            else:
                held.append(piece)
        samples = np.concatenate(held)
        self._held = samples[max(len(samples) - (self._end - begin), 0) :]
        return self._held[: None if stop is None else stop - begin].copy()


def _probed(media: str | Path | MediaInfo) -> MediaInfo:
    return media if isinstance(media, MediaInfo) else probe(media)
