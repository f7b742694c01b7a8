"""Open a video and find out what is in it, and when: without decoding anything.

The file is read through once (`probe`). That costs little and tells the time of every frame, so a
reader knows which frames it wants before the first one is decoded, and damage is found before any
work is done. Times count from the earliest frame or sample in the file. Needs PyAV (the extra
`encoders`).
"""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from link.errors import LinkError
from link.windows import segment_count

# Formats whose header says how long the file is, so that a file cut short can be told.
_STATE_THEIR_LENGTH = {"mov", "matroska", "avi", "wav", "flac"}
# What FFmpeg opens too: still pictures, text as a terminal would show it, lists of other files.
_NO_VIDEO = {"tty", "image2", "hls", "dash", "concat", "sdp"}
#: So many seconds may be missing, or fail to decode in a row, before a file counts as damaged.
TOLERATED_DAMAGE = 1.0


class MediaError(LinkError):
    """The file cannot be read; the message names it, what is wrong, and the remedy."""


@dataclass(frozen=True, eq=False)
class Track:
    """When the picture, or the sound, is there: from `start` to `end`, in seconds.

    `stamps` and `lengths` are int64 (n,), times and durations of its packets in units of
    `time_base` seconds, in the order in which they are shown; a length of 0 is unknown. `origin`
    is the stamp from which times count, and `index` the number of the track in the file.
    """

    index: int
    time_base: Fraction
    origin: int
    start: float
    end: float
    stamps: np.ndarray = field(repr=False)
    lengths: np.ndarray = field(repr=False)


@dataclass(frozen=True, eq=False)
class MediaInfo:
    """What is in a file. `duration` is in seconds; `video` and `audio` are None if not there.

    `fps` is frames per second as far as the file says, `size` is (width, height) in pixels as
    stored, before any rotation; both are None without a picture.
    """

    path: Path
    duration: float
    fps: float | None
    size: tuple[int, int] | None
    video: Track | None
    audio: Track | None

    @property
    def has_video(self) -> bool:
        return self.video is not None

    @property
    def has_audio(self) -> bool:
        return self.audio is not None

    @property
    def segments(self) -> int:
        """The number of one-second segments of the whole video."""
        return segment_count(self.duration)


def probe(path: str | Path) -> MediaInfo:
    """Look through a file without decoding it.

    Of several video tracks the one marked as default counts, else the one with most pixels; of
    several sound tracks the default, else the one with most channels. Attached pictures (cover
    art) are no video, and a track without a single packet is not there.

    Raises MediaError for a file that is missing, empty, no video or sound file, without picture
    and sound, in a codec that FFmpeg does not know, or cut short. A file whose format does not
    state its length, such as a transport stream, cannot be seen to be cut short.
    """
    path = Path(path)
    with open_media(path) as container:
        stamps, lengths, broken = _read_packets(container)
        streams = [each for each in container.streams if _is_picture_or_sound(each)]
        if not streams:
            raise MediaError(f"{path} holds neither picture nor sound: give a video or sound file")
        streams = [each for each in streams if len(stamps[each.index])]
        if not streams:
            raise _cut_short(path, 0.0) from broken
        decodable = [each for each in streams if each.codec_context]
        if {each.type for each in decodable} != {each.type for each in streams}:
            raise MediaError(
                f"{path} is coded in a way that FFmpeg cannot decode: convert it to another codec"
            )
        streams = decodable
        first = [int(stamps[each.index].min()) * each.time_base for each in streams]
        start = _start(container, min(first))
        tracks = {
            each.index: _track(each, stamps[each.index], lengths[each.index], start)
            for each in streams
        }
        picture = _best(streams, "video", lambda each: each.width * each.height)
        sound = _best(streams, "audio", lambda each: each.channels)
        video, audio = (tracks[each.index] if each else None for each in (picture, sound))

        rate = picture and (picture.guessed_rate or picture.average_rate)
        end = _end(container, stamps, lengths)
        # The last frame may be shown for as long as the longest of the others, and not say so.
        slack = np.diff(video.stamps).max(initial=0) * float(video.time_base) if video else 0
        if broken or end + slack + TOLERATED_DAMAGE < _stated_end(container):
            raise _cut_short(path, end - float(start)) from broken
        return MediaInfo(
            path=path,
            duration=max(track.end for track in (video, audio) if track),
            fps=float(rate) if rate else None,
            size=(picture.width, picture.height) if picture else None,
            video=video,
            audio=audio,
        )


def av_module():
    """PyAV, imported late. Raises MediaError, with its remedy, where it is not installed."""
    try:
        import av
    except ImportError as missing:
        raise MediaError(
            "decoding needs PyAV: pip install -e '.[encoders]' in the project's folder"
        ) from missing
    return av


def open_media(path: Path):
    """A container of PyAV. Raises MediaError where the file is none that FFmpeg reads."""
    if not path.exists():
        raise MediaError(f"{path} does not exist: check the name")
    if not path.is_file():
        raise MediaError(f"{path} is no file: name a video in it")
    if not path.stat().st_size:
        raise MediaError(f"{path} is empty: copy or download it again")
    try:
        # With "file:" no name is taken for an address, whatever characters are in it.
        container = av_module().open(f"file:{path}", metadata_errors="replace")
    except av_module().FFmpegError as error:
        raise MediaError(
            f"{path} cannot be read as video or sound ({error.strerror}): check that it plays, "
            "and copy or download it again if it is damaged"
        ) from error
    formats = set(container.format.name.split(","))
    if formats & _NO_VIDEO or container.format.name.endswith("_pipe"):
        container.close()
        raise MediaError(f"{path} is a picture, a text or a list of files: give a video file")
    return container


def _is_picture_or_sound(stream) -> bool:
    attached = stream.disposition & av_module().stream.Disposition.attached_pic
    return stream.type in ("video", "audio") and not attached


def _best(streams: list, kind: str, size: Callable[..., int]):
    default = av_module().stream.Disposition.default
    return max(
        (each for each in streams if each.type == kind),
        key=lambda each: (bool(each.disposition & default), size(each)),
        default=None,
    )


def _read_packets(container) -> tuple[list[np.ndarray], list[np.ndarray], Exception | None]:
    """Times and durations of all packets of each stream, and the error that ended the reading.

    Packets that an edit list leaves out are left out.
    """
    stamps = [array("q") for _ in container.streams]
    lengths = [array("q") for _ in container.streams]
    broken = None
    try:
        for packet in container.demux():
            stamp = packet.dts if packet.pts is None else packet.pts
            if stamp is not None and not packet.is_discard:
                stamps[packet.stream_index].append(stamp)
                lengths[packet.stream_index].append(packet.duration or 0)
    except av_module().FFmpegError as error:
        broken = error
    return list(map(np.array, stamps)), list(map(np.array, lengths)), broken


def _start(container, earliest: Fraction) -> Fraction:
    """The second from which times count: the one that ffmpeg takes for the file's beginning.

    In a Matroska file ffmpeg before 8 begins with the sound encoder's run-in, although it is cut
    off; FFmpeg 8 begins where it ends. The older reading is VALOR's.
    """
    if container.start_time is None or "matroska" in container.format.name:
        return earliest
    return Fraction(container.start_time, 10**6)


def _track(stream, stamps: np.ndarray, lengths: np.ndarray, start: Fraction) -> Track:
    base = stream.time_base
    # As ffmpeg does, by way of whole microseconds and whole units of the track.
    origin = round(Fraction(round(start * 10**6), 10**6) / base)
    end = int((stamps + lengths).max()) - origin
    reordered = stream.type == "video" and (np.diff(stamps) < 0).any()
    if reordered and stream.base_rate and "mov" in stream.container.format.name:
        # Here durations are distances in the order of decoding, not of showing; ffmpeg before 8
        # goes by the base rate instead.
        lengths = np.full_like(lengths, round(1 / (stream.base_rate * base)))
    order = np.argsort(stamps, kind="stable")
    return Track(
        index=stream.index,
        time_base=base,
        origin=origin,
        start=float((int(stamps.min()) - origin) * base),
        end=float(end * base),
        stamps=stamps[order],
        lengths=lengths[order],
    )


def _end(container, stamps: list[np.ndarray], lengths: list[np.ndarray]) -> float:
    """The second at which the last packet ends, be it of a subtitle."""
    return max(
        float(int((stamps[each.index] + lengths[each.index]).max()) * each.time_base)
        for each in container.streams
        if len(stamps[each.index])
    )


def _stated_end(container) -> float:
    """The second at which the header says that the file ends; 0 where the format says nothing."""
    formats = set(container.format.name.split(","))
    if not formats & _STATE_THEIR_LENGTH:
        return 0.0
    stated = (container.duration or 0) / 10**6
    if "avi" in formats:
        # FFmpeg estimates from the size of the file; the header counts the frames.
        counts = [each.frames * each.time_base for each in container.streams.video]
        stated = max(stated, *map(float, counts), 0.0)
    return stated


def _cut_short(path: Path, seconds: float) -> MediaError:
    return MediaError(
        f"{path} is cut short: it breaks off after {seconds:.1f} seconds, before the end that it "
        "announces; copy or download it again"
    )
