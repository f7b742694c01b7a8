"""Decode the picture and the sound of a video, each as a stream, once.

Both read from a handle of their own: files exist that store all of one before all of the other,
and one handle would have to hold the first in memory. Needs PyAV and soxr (the extra `encoders`).
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from link.containers import TOLERATED_DAMAGE, MediaError, MediaInfo, Track, av_module, open_media

#: Samples per second of every waveform.
SAMPLE_RATE = 48_000

# Silence is put in, or sound left out, where the timestamps ask for more seconds than this.
_TOLERATED_GAP = 0.1


def pictures(info: MediaInfo, wanted: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Decode the frames with these stamps, in ascending order: pairs (stamp, uint8 (H, W, 3)).

    RGB, turned upright, all of the first frame's size. In place of a frame that does not decode
    comes the one before it. Raises MediaError where more than a second is missing.
    """
    waiting = deque(wanted)
    video = info.video
    tolerated = TOLERATED_DAMAGE / video.time_base
    size = previous = None
    for frame in _frames(info, video, "picture"):
        if frame.pts is None:
            continue
        size = size or (frame.width, frame.height)
        while waiting and waiting[0] <= frame.pts:
            stamp = waiting.popleft()
            shown = frame if stamp == frame.pts or previous is None else previous
            if abs(stamp - shown.pts) > tolerated:
                raise _damaged(info, video, "picture", stamp)
            yield stamp, _upright(shown, size)
        if not waiting:
            return
        previous = frame
    for stamp in waiting:
        if previous is None or stamp - previous.pts > tolerated:
            raise _damaged(info, video, "picture", stamp)
        yield stamp, _upright(previous, size)


def sound(info: MediaInfo) -> Iterator[np.ndarray]:
    """Decode the sound piece by piece: float32 (n,), 48 kHz mono, the first piece at 0 seconds.

    Samples are decoded to 16 bits, channels averaged, the result resampled by soxr at its quality
    HQ: what librosa.load(path, sr=48000) does with a video. Where timestamps ask for more than 0.1
    seconds of silence it is put in, and where they overlap by more the later sound is cut. Raises
    MediaError where more than a second in a row does not decode, or the sampling rate changes.
    """
    import soxr

    resampler = None
    taken = given = 0
    for rate, samples in _mono(info):
        if resampler is None:
            resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
        taken += len(samples)
        piece = resampler.resample_chunk(samples)
        given += len(piece)
        yield piece
    if resampler is None:
        raise _damaged(info, info.audio, "sound", info.audio.origin)
    rest = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
    # The length is librosa's, to the sample, which is why the ratio is rounded first.
    missing = math.ceil(taken * (SAMPLE_RATE / rate)) - given
    yield np.pad(rest, (0, max(missing - len(rest), 0)))[:missing]


def _frames(info: MediaInfo, track: Track, what: str) -> Iterator:
    """Decode one track. Packets that do not decode are left out, up to a second of them."""
    errors = av_module().FFmpegError
    tolerated = TOLERATED_DAMAGE / track.time_base
    stamp, failing = track.origin, None
    with open_media(info.path) as container:
        stream = container.streams[track.index]
        stream.thread_type = "AUTO"
        try:
            for packet in container.demux(stream):
                stamp = next(
                    (each for each in (packet.pts, packet.dts) if each is not None), stamp
                )
                frames = []
                try:
                    frames = packet.decode()
                except errors:
                    failing = stamp if failing is None else failing
                    if stamp - failing > tolerated:
                        raise
                if frames:
                    failing = None
                yield from frames
        except errors as error:
            raise _damaged(info, track, what, stamp if failing is None else failing) from error


def _upright(frame, size: tuple[int, int]) -> np.ndarray:
    """A decoded frame as RGB, uint8 (H, W, 3), turned as its display matrix says.

    The matrix maps a point (x, y) to (a x + c y, b x + d y). Only turns by right angles and
    mirrorings are followed; a matrix between two of them counts as the nearest.
    """
    image = frame.reformat(*size, format="rgb24").to_ndarray()
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return image
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    right, down = a, d
    if abs(b) > abs(a):
        image = image.swapaxes(0, 1)
        right, down = c, b
    if right < 0:
        image = image[:, ::-1]
    if down < 0:
        image = image[::-1]
    return np.ascontiguousarray(image)


def _mono(info: MediaInfo) -> Iterator[tuple[int, np.ndarray]]:
    """The sound at its own rate, without holes from 0 seconds on: pairs (rate, float32 (n,))."""
    audio = info.audio
    rate = None
    position = 0

    def silence(samples: int) -> Iterator[tuple[int, np.ndarray]]:
        for done in range(0, samples, rate):
            yield rate, np.zeros(min(rate, samples - done), np.float32)

    for frame in _frames(info, audio, "sound"):
        if rate is None:
            rate = frame.sample_rate
        if frame.sample_rate != rate:
            raise MediaError(
                f"{info.path} changes its sampling rate from {rate} to {frame.sample_rate} Hz at "
                f"{position / rate:.1f} seconds: convert its sound with ffmpeg first"
            )
        samples = _average_channels(frame)
        if frame.pts is not None:
            due = round((frame.pts - audio.origin) * audio.time_base * rate)
            if due - position > _TOLERATED_GAP * rate:
                yield from silence(due - position)
                position = due
            elif position - due > _TOLERATED_GAP * rate:
                samples = samples[position - due :]
        position += len(samples)
        yield rate, samples
    if rate and audio.end * rate - position > _TOLERATED_GAP * rate:
        yield from silence(round(audio.end * rate) - position)


def _average_channels(frame) -> np.ndarray:
    """A frame at 16 bits, rounded as ffmpeg rounds, averaged: float32 (n,), in [-1, 1]."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    match samples.dtype.kind, samples.dtype.itemsize:
        case "f", _:
            samples = np.clip(np.rint(np.nan_to_num(samples) * 32768), -32768, 32767)
        case "i", 4:
            samples = samples >> 16
        case "u", 1:
            samples = (samples.astype(np.int16) - 128) << 8
    return np.mean(samples.astype(np.float32) / 32768, axis=0, dtype=np.float32)


def _damaged(info: MediaInfo, track: Track, what: str, stamp: int) -> MediaError:
    seconds = max(float((stamp - track.origin) * track.time_base), 0.0)
    return MediaError(
        f"{info.path} is damaged: its {what} does not decode at {seconds:.1f} seconds; copy or "
        "download it again, or let ffmpeg re-encode it"
    )
