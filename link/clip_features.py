"""What the encoders find in clips, in memory and on disk.

A clip is ten segments of a video (`link.media.Clip`). Its features are all that pseudo-labels, a
network and the teachers alone need, so a video is decoded and encoded once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from link.array_files import HEADER, damage, map_arrays, read_header, verify_arrays
from link.encoders import ClapEncoder, ClipEncoder
from link.events import SEGMENTS
from link.features import audio_map_matrix
from link.media import Clip
from link.pseudo_labels import Captions, audio_priors, visual_priors

FORMAT = "link-clips"
VERSION = 1
_HEADER_KEYS = {"hop", "encoders", "logit_scales", "videos", "failed", "arrays"}


@dataclass(frozen=True, eq=False)
class ClipFeatures:
    """Features of N clips of ten segments; zeros where a segment has no picture, or no sound.

    Attributes
    ----------
    audio
        float32 (N, 10, 768), CLAP's map of the clip, pooled to segments: what a network reads.
    sound
        float32 (N, 10, 512), CLAP's embedding of each segment by itself, of length 1: what is
        compared with captions.
    visual
        float32 (N, 10, 768), CLIP's embedding of each segment's frame, of length 1: both.
    heard, seen
        bool (N, 10), which segments have sound, and which a picture.
    """

    audio: np.ndarray
    sound: np.ndarray
    visual: np.ndarray
    heard: np.ndarray
    seen: np.ndarray

    def __len__(self) -> int:
        return len(self.audio)

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name, in a fixed order."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def encode_clips(clips: Sequence[Clip], clip: ClipEncoder, clap: ClapEncoder) -> ClipFeatures:
    """Encode N clips together; their frames may have gone through `ClipEncoder.prepare`.

    The audio map is that of VALOR's published features, pooled as its network pools it
    (`link.features.audio_map_matrix`). A clip whose sound ends before its last segment is filled
    up with silence, so that every segment of the map is a second of the video.
    """
    heard = np.array([each.heard for each in clips])
    seen = np.array([each.seen for each in clips])
    audio = np.zeros((*heard.shape, clap.map_width), np.float32)
    sound = np.zeros((*heard.shape, clap.width), np.float32)
    visual = np.zeros((*seen.shape, clip.width), np.float32)
    visual[seen] = clip.embed_frames(
        frame for each in clips if each.seen.any() for frame in each.frames[each.seen]
    )
    with_sound = [each for each in clips if each.heard.any()]
    sound[heard] = clap.embed_sounds(
        part for each in with_sound for part in each.sounds()[each.heard]
    )
    maps = clap.map_sounds(_filled_up(each) for each in with_sound)
    audio[heard.any(axis=1)] = audio_map_matrix().astype(np.float32) @ maps
    audio[~heard] = 0
    return ClipFeatures(audio, sound, visual, heard, seen)


def clip_priors(
    features: ClipFeatures,
    texts: tuple[np.ndarray, np.ndarray],
    captions: Captions,
    clip: ClipEncoder,
    clap: ClapEncoder,
) -> tuple[np.ndarray, np.ndarray]:
    """The priors of N clips, heard and seen: bool (N, 10, C), false where a segment has neither.

    `texts` are the text features of the captions (`link.pseudo_labels.text_features`). What a
    network is trained on and what it reads of a new video are both made here.
    """
    heard = audio_priors(clap.logits(features.sound, texts[0]), captions.audio_thresholds)
    seen = visual_priors(clip.logits(features.visual, texts[1]), captions.visual_thresholds)
    return heard & features.heard[..., None], seen & features.seen[..., None]


def _filled_up(clip: Clip) -> np.ndarray:
    reached = int(np.flatnonzero(clip.heard)[-1]) + 1
    missing = round(len(clip.waveform) * (SEGMENTS - reached) / reached)
    return np.pad(clip.waveform, (0, missing))


# ---- on disk ----


@dataclass(frozen=True, eq=False)
class ClipStore:
    """Features of videos as `link-avvp extract` writes them, memory-mapped.

    Attributes
    ----------
    features
        Of all clips, the rows of a video one after the other.
    videos
        A record each, in the order of the rows: ``name``, ``bytes`` and ``sha256`` of its file,
        ``duration`` in seconds, ``segments`` (the seconds that it has), ``picture`` and
        ``sound`` (whether it has them), and ``clips``, the number of its rows.
    failed
        A record each for the videos that could not be read: ``name``, ``sha256`` (None where
        there is no file) and ``error``.
    starts
        int32 (N,), where each clip starts in its video, in seconds.
    encoders, logit_scales
        By modality, ``audio`` and ``visual``: the encoder's name, and the factor between cosines
        and logits.
    hop
        Seconds from the start of a clip to that of the next.
    """

    path: Path
    videos: list[dict[str, Any]]
    failed: list[dict[str, Any]]
    features: ClipFeatures
    starts: np.ndarray
    encoders: Mapping[str, str]
    logit_scales: Mapping[str, float]
    hop: int

    @cached_property
    def rows(self) -> dict[str, slice]:
        """The rows of each video, by name."""
        rows, start = {}, 0
        for video in self.videos:
            rows[video["name"]] = slice(start, start + video["clips"])
            start += video["clips"]
        return rows

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays by name."""
        return {**self.features.arrays(), "starts": self.starts}


def open_clips(path: str | Path) -> ClipStore:
    """Opens what `link-avvp extract` wrote at `path`; its arrays are read-only memory maps.

    Raises FeatureError when it is something else, of another version, or damaged.
    """
    path = Path(path)
    header = _read_header(path)
    arrays = map_arrays(path, header)
    named = {"starts", *(field.name for field in fields(ClipFeatures))}
    clips = sum(video["clips"] for video in header["videos"])
    if arrays.keys() != named or any(len(array) != clips for array in arrays.values()):
        raise damage(path, [(path / HEADER, f"it does not tell of {clips} clips")])
    starts = arrays.pop("starts")
    described = {
        key: header[key] for key in ("videos", "failed", "encoders", "logit_scales", "hop")
    }
    return ClipStore(path=path, features=ClipFeatures(**arrays), starts=starts, **described)


def verify_clips(path: str | Path) -> None:
    """Reads every array and compares its SHA-256 with the header's; FeatureError names faults."""
    verify_arrays(Path(path), _read_header(Path(path)))


def _read_header(path: Path) -> dict[str, Any]:
    return read_header(path, FORMAT, VERSION, _HEADER_KEYS)
