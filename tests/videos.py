"""Small videos whose frames say their number and whose sound says its second."""

import functools
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

FFMPEG = shutil.which("ffmpeg")
needs_ffmpeg = pytest.mark.skipif(FFMPEG is None, reason="needs an ffmpeg to compare with")


def _samples_as_for_valor() -> bool:
    if FFMPEG is None:
        return False
    told = subprocess.run([FFMPEG, "-version"], capture_output=True, text=True).stdout
    version = re.match(r"ffmpeg version n?(\d+)\.(\d+)", told)
    return version is not None and (int(version[1]), int(version[2])) < (6, 1)


# From 6.1 on ffmpeg takes other durations where a video is slower than 16 frames a second.
needs_old_ffmpeg = pytest.mark.skipif(
    not _samples_as_for_valor(), reason="needs an ffmpeg before 6.1 to compare with"
)

WIDTH, HEIGHT = 64, 48
_BITS, _BLOCK = 12, 16


@dataclass
class Sound:
    """`samples` float32 (channels, n), from `start` seconds on.

    The seconds in `gap` are left out. Timestamps advance by `pace` seconds a second of samples.
    """

    samples: np.ndarray
    rate: int = 48_000
    codec: str = "aac"
    layout: str = "mono"
    start: float = 0.0
    gap: tuple[float, float] = (0.0, 0.0)
    pace: float = 1.0


@dataclass
class Picture:
    """A frame at each of `stamps`, in units of `time_base` seconds."""

    stamps: list[int]
    time_base: Fraction
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    images: list[np.ndarray] | None = None
    matrix: list[int] | None = None
    options: dict[str, str] = field(default_factory=dict)


def steady(seconds: float, rate: Fraction | int, **more) -> Picture:
    """A picture of constant frame rate."""
    return Picture(list(range(round(seconds * rate))), 1 / Fraction(rate), **more)


def tones(seconds: float, rate: int = 48_000) -> np.ndarray:
    """A waveform (n,) in which second k sounds at `pitch_of(k)`."""
    time = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * pitch_of(np.floor(time)) * time)).astype(np.float32)


def pitch_of(second):
    """Hertz, distinct for the seconds of a minute, below half of 8 kHz."""
    return 300 + 50 * second


def pitch(waveform: np.ndarray, rate: int = 48_000) -> float:
    """The strongest frequency in a waveform, in hertz."""
    return float(np.abs(np.fft.rfft(waveform)).argmax() * rate / len(waveform))


def barcode(number: int) -> np.ndarray:
    """A number below 4096 as blocks of black and white: uint8 (48, 64)."""
    bits = np.array([number >> bit & 1 for bit in range(_BITS)]).reshape(3, 4)
    return np.kron(np.where(bits, 235, 16), np.ones((_BLOCK, _BLOCK))).astype(np.uint8)


def number(image: np.ndarray) -> int:
    """The number in an image of any size, (H, W) or (H, W, 3)."""
    grey = image.reshape(*image.shape[:2], -1).mean(-1)
    rows = ((np.arange(3) + 0.5) * len(grey) / 3).astype(int)
    columns = ((np.arange(4) + 0.5) * len(grey[0]) / 4).astype(int)
    bits = grey[np.ix_(rows, columns)].ravel() > 125
    return int((bits << np.arange(_BITS)).sum())


def numbers(images: np.ndarray) -> list[int]:
    return [number(image) for image in images]


def write_video(path: Path, picture: Picture | None = None, sound: Sound | None = None) -> Path:
    """Write a file in the container that its name asks for."""
    with av.open(path, "w") as container:
        video = picture and _add_picture(container, picture)
        audio = sound and container.add_stream(sound.codec, rate=sound.rate, layout=sound.layout)
        # Track by track: muxers put the packets in order themselves.
        if video:
            images = picture.images or [barcode(index) for index in range(len(picture.stamps))]
            for stamp, image in zip(picture.stamps, images, strict=True):
                frame = _frame(image, picture.pix_fmt)
                frame.pts, frame.time_base = stamp, picture.time_base
                container.mux(video.encode(frame))
            container.mux(video.encode())
        if audio:
            for frame in _blocks(sound, audio):
                container.mux(audio.encode(frame))
            container.mux(audio.encode())
    return path


def _add_picture(container, picture: Picture):
    gaps = np.diff(picture.stamps)
    mean = float(gaps.mean() * picture.time_base) if len(gaps) else 1.0
    constant = len(set(gaps.tolist())) == 1
    rate = 1 / (int(gaps[0]) * picture.time_base) if constant else round(1 / mean)
    video = container.add_stream(picture.codec, rate=max(rate, 1) if not constant else rate)
    if picture.images:
        video.height, video.width = picture.images[0].shape[:2]
    else:
        video.width, video.height = WIDTH, HEIGHT
    video.pix_fmt = picture.pix_fmt
    video.codec_context.time_base = video.time_base = picture.time_base
    fast = {"libx264": {"preset": "ultrafast", "crf": "10", "bf": "2"}}
    video.options = fast.get(picture.codec, {}) | picture.options
    if picture.codec in ("mpeg4", "mjpeg"):
        video.bit_rate = 2_000_000
    if picture.matrix:
        video.set_display_matrix(picture.matrix)
    return video


def _frame(image: np.ndarray, pix_fmt: str):
    frame = av.VideoFrame.from_ndarray(image, format="gray" if image.ndim == 2 else "rgb24")
    return frame.reformat(format=pix_fmt)


def _blocks(sound: Sound, audio):
    block = audio.codec_context.frame_size or 1024
    samples = np.atleast_2d(sound.samples).astype(np.float32)
    format = audio.codec_context.format.name
    resampler = av.AudioResampler(format=format, layout=sound.layout, rate=sound.rate)
    for start in range(0, samples.shape[1], block):
        if sound.gap[0] <= start / sound.rate < sound.gap[1]:
            continue
        piece = np.ascontiguousarray(samples[:, start : start + block])
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=sound.layout)
        frame.sample_rate = sound.rate
        for converted in resampler.resample(frame):
            converted.pts = round(start * sound.pace + sound.start * sound.rate)
            converted.time_base = Fraction(1, sound.rate)
            yield converted


def ffmpeg(*arguments: object) -> bytes:
    command = [FFMPEG, "-v", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def at_eight_per_second(path, shape: tuple[int, int, int]) -> np.ndarray:
    """All frames that ffmpeg writes at VALOR's rate, RGB."""
    written = ffmpeg("-i", path, "-r", 8, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    return np.frombuffer(written, np.uint8).reshape(-1, *shape)


# The frames that VALOR picks from ten seconds at a constant rate (see test_windows).
PICKS = {
    30: [0, 29, 63, 97, 130, 164, 198, 232, 265, 299],
    25: [0, 24, 52, 80, 109, 137, 165, 193, 221, 249],
}
# The stamps of a video of variable rate, in milliseconds: bursts, pauses, ten seconds in all.
VARIABLE = np.cumsum(np.tile([33, 33, 40, 500, 7, 110, 260, 33, 33, 1450], 4)).tolist()

# Name, and what goes into the file: every container and codec that we claim to read.
FILES = {
    "h264_aac.mp4": (steady(10, 30), Sound(tones(10))),
    "mpeg4_mp3.mp4": (steady(10, 25, codec="mpeg4"), Sound(tones(10), codec="libmp3lame")),
    "h264_opus.mkv": (steady(10, 30), Sound(tones(10), codec="libopus")),
    "ffv1_flac.mkv": (steady(10, 25, codec="ffv1"), Sound(tones(10), codec="flac")),
    "vp9_opus.webm": (steady(10, 25, codec="libvpx-vp9"), Sound(tones(10), codec="libopus")),
    "mpeg4_pcm.avi": (steady(10, 25, codec="mpeg4"), Sound(tones(10), codec="pcm_s16le")),
    "mjpeg_pcm.mov": (
        steady(10, 25, codec="mjpeg", pix_fmt="yuvj420p"),
        Sound(tones(10), codec="pcm_f32le"),
    ),
    "mpeg2_ac3.ts": (steady(10, 25, codec="mpeg2video"), Sound(tones(10), codec="ac3")),
    "h264_44k.mp4": (steady(10, 30), Sound(tones(10, 44_100), rate=44_100)),
    "h264_8k.mov": (steady(10, 30), Sound(tones(10, 8000), rate=8000, codec="pcm_s16le")),
    "ten_bit.mkv": (steady(10, 30, codec="ffv1", pix_fmt="yuv420p10le"), Sound(tones(10))),
}
# What ffmpeg samples in ways of its own: slow, variable, late, and cut by an edit list.
UNEVEN = {
    "slow_15.mp4": (steady(10, 15), Sound(tones(10))),
    "slow_12.mkv": (steady(10, 12), Sound(tones(10))),
    "slow_5.mp4": (steady(10, 5), Sound(tones(10))),
    "slow_1.mkv": (steady(10, 1), Sound(tones(10))),
    # Every other frame falls halfway between two ticks.
    "halves.mp4": (
        Picture([9 * each // 2 + each % 2 for each in range(36)], Fraction(1, 16), "mpeg4"),
        Sound(tones(10)),
    ),
    "fast_60.mp4": (steady(5, 60), Sound(tones(5))),
    "film.mp4": (steady(10, Fraction(24000, 1001)), Sound(tones(10))),
    "silent.mp4": (steady(10, 30), None),
    "variable.mp4": (Picture(VARIABLE, Fraction(1, 1000)), Sound(tones(10))),
    "variable_no_b.mp4": (
        Picture(VARIABLE, Fraction(1, 1000), options={"bf": "0"}),
        Sound(tones(10)),
    ),
    "variable.mkv": (Picture(VARIABLE, Fraction(1, 1000)), Sound(tones(10))),
    "late_picture.mp4": (Picture(list(range(50, 250)), Fraction(1, 25)), Sound(tones(10))),
    "late_sound.mkv": (steady(10, 30), Sound(tones(8), start=2.0)),
    "all_late.mkv": (Picture(list(range(90, 250)), Fraction(1, 25)), Sound(tones(5), start=4.0)),
}

_FOLDER = tempfile.TemporaryDirectory(prefix="link-videos-")


@functools.cache
def sample(name: str) -> Path:
    """The path of one of the files above, written when it is first asked for."""
    return write_video(Path(_FOLDER.name) / name, *(FILES | UNEVEN)[name])
