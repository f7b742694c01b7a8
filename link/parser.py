"""From videos to their events: decode, encode, judge, and put the windows together again.

Who judges is either a trained network (`by_network`) or the two teachers alone (`by_teachers`),
who need no training and take any captions.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import link
from link.about import About
from link.clip_features import ClipFeatures, clip_priors, encode_clips
from link.encoders import ClapEncoder, ClipEncoder
from link.errors import LinkError
from link.events import SEGMENTS, Parsing
from link.media import Clip, MediaInfo
from link.model import DECISION_THRESHOLD, LINK
from link.parsed_video import ParsedVideo
from link.pseudo_labels import Captions, audio_priors, text_features, visual_priors
from link.reading import Opened, read_videos
from link.windows import merge_windows

#: Seconds from one window of a long video to the next, so that most seconds are in two.
HOP = 5


class ParserError(LinkError):
    """A network that cannot parse videos: the message names what it lacks and the remedy."""


@dataclass(frozen=True, eq=False)
class Judge:
    """Who says which events are there.

    `probabilities` takes the features of N clips and gives float32 (N, 10, 2, C), what is heard
    and what is seen; from 0.5 on, an event is there. `provenance` says who it was.
    """

    classes: tuple[str, ...]
    probabilities: Callable[[ClipFeatures], np.ndarray]
    provenance: Mapping[str, Any]


def by_teachers(captions: Captions, clip: ClipEncoder, clap: ClapEncoder) -> Judge:
    """The teachers alone: each class's caption is compared with every segment.

    A probability is the sigmoid of what the logit exceeds the class's threshold by; no teacher was
    ever calibrated, so it orders segments and says no more.
    """
    audio_text, visual_text = text_features(clap, clip, captions)

    def probabilities(features: ClipFeatures) -> np.ndarray:
        heard = clap.logits(features.sound, audio_text)
        seen = clip.logits(features.visual, visual_text)
        return np.stack(
            [
                audio_priors(heard, captions.audio_thresholds, temperature=1),
                visual_priors(seen, captions.visual_thresholds, temperature=1),
            ],
            axis=2,
        )

    provenance = {
        "model": "the teachers alone, by their captions",
        "captions": captions.record(),
        "encoders": {"audio": clap.name, "visual": clip.name},
    }
    return Judge(captions.classes, probabilities, provenance)


def by_network(
    model: LINK, about: About, source: str, clip: ClipEncoder, clap: ClapEncoder
) -> Judge:
    """A trained network; `source` is its name in the provenance.

    It says that an event is there where its probability for the segment and that for the whole
    clip both reach 0.5, as in HAN and VALOR. So the probability is the lower of the two.

    PLSIM's priors are the teachers' word on the sound and the frame of each segment. A network
    that was trained on LLP's published features learned from audio priors that are nearly those
    (`link.pseudo_labels.with_priors`).

    Raises ParserError where the network reads what no video gives, simulated or motion features,
    and where the encoders' features are of another width than it reads.
    """
    check_parses_videos(model, about, source)
    model.eval()
    config = model.config
    given = {"audio": (clap, clap.map_width), "visual": (clip, clip.width)}
    for modality, (encoder, width) in given.items():
        wanted = getattr(config, f"{modality}_dim")
        if width != wanted:
            raise ParserError(
                f"{source} reads {modality} features of width {wanted}, and {encoder.name} gives "
                f"{width}: use {about.encoders[modality]}, with which it was trained"
            )

    device = next(model.parameters()).device
    if config.plsim:
        parts = model.plsim_audio, model.plsim_visual
        texts = tuple(part.text.cpu().numpy() for part in parts)

    @torch.no_grad()
    def probabilities(features: ClipFeatures) -> np.ndarray:
        inputs = [features.audio, features.visual, None]
        if config.plsim:
            inputs += clip_priors(features, texts, about.captions, clip, clap)
        output = model(
            *(
                part if part is None else torch.from_numpy(part).to(device, torch.float32)
                for part in inputs
            )
        )
        lower = torch.minimum(output.segment_prob, output.video_prob[:, None, None])
        return lower.cpu().numpy()

    provenance = {
        "model": source,
        "trained_on": about.data["name"],
        "encoders": {"audio": clap.name, "visual": clip.name},
    }
    return Judge(about.classes, probabilities, provenance)


def check_parses_videos(model: LINK, about: About, source: str) -> None:
    """Raise ParserError unless videos give all that a network reads."""
    why = about.why_no_videos(model.config)
    if why:
        raise ParserError(f"{source} cannot parse videos, for {why}")


def parse_videos(
    videos: Mapping[str, Path],
    judge: Judge,
    clip: ClipEncoder,
    clap: ClapEncoder,
    hop: int = HOP,
    on_progress: Callable[[float], None] | None = None,
) -> Iterator[tuple[str, ParsedVideo | str]]:
    """Parse videos, given by name: each name with its parsing, or with why there is none.

    A video of more than ten seconds is read in windows, a new one every `hop` seconds, and a
    second has the mean probability of the windows in which it is. A modality that a video does not
    have is absent from its parsing. A window takes some kilobytes until its video is done, and its
    pictures and sound go as soon as they are encoded.

    `on_progress` is told how many videos are read, in fractions of one.
    """
    names = list(videos)
    # As many clips as it takes to fill a batch of frames.
    group = max(1, clip.batch_size // SEGMENTS)
    found: dict[str, _Video] = {}
    pending: list[tuple[str, Clip]] = []
    ended: list[tuple[str, str | None]] = []

    def settle() -> Iterator[tuple[str, ParsedVideo | str]]:
        if pending:
            features = encode_clips([each for _, each in pending], clip, clap)
            judged = judge.probabilities(features)
            for (name, each), probabilities in zip(pending, judged, strict=True):
                found[name].add(each, probabilities)
            pending.clear()
        for name, error in ended:
            video = found.pop(name, None)
            yield name, error if error is not None else video.parsed(judge)
        ended.clear()

    steps = read_videos([videos[name] for name in names], hop, clip.prepare)
    with contextlib.closing(steps):
        for index, step in steps:
            name = names[index]
            if isinstance(step, Opened):
                found[name], read = _Video(step.info), 0
                windows = step.windows
            elif isinstance(step, Clip):
                pending.append((name, step))
                read += 1
                if on_progress:
                    on_progress(index + read / windows)
            else:
                ended.append((name, step.error))
            if len(pending) >= group or (ended and not pending):
                yield from settle()
    yield from settle()


class _Video:
    """The windows of one video as they come in."""

    def __init__(self, info: MediaInfo) -> None:
        self._info = info
        self._starts: list[int] = []
        self._probabilities: list[np.ndarray] = []
        self._valid: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, clip: Clip, probabilities: np.ndarray) -> None:
        self._starts.append(int(clip.start))
        self._probabilities.append(probabilities)
        self._valid.append((clip.heard, clip.seen))

    def parsed(self, judge: Judge) -> ParsedVideo:
        info = self._info
        windows, valid = np.stack(self._probabilities), np.array(self._valid)
        merged = np.stack(
            [
                merge_windows(self._starts, windows[:, :, axis], info.segments, valid[:, axis])
                for axis in range(2)
            ],
            axis=1,
        )
        there = merged >= DECISION_THRESHOLD
        has = {"audio": info.has_audio, "visual": info.has_video}
        return ParsedVideo(
            Parsing(there[:, 0], there[:, 1], judge.classes),
            info.path,
            duration=info.duration,
            probabilities=merged,
            absent=frozenset(modality for modality, present in has.items() if not present),
            provenance={**judge.provenance, "link": link.__version__},
        )
