"""llp-sim: a simulated benchmark with the statistics of LLP, so that the book needs no download.

What happens in a video is drawn from counts over the real annotations (`link.simulated_events`).
What a network gets to see of it is invented: every class has a prototype in an audio and in a
visual feature space, and a segment's feature is the sum of

* the prototypes of what happens in it, stronger or fainter;
* faint traces of what happens in the other modality only (a dog in the picture that does not
  bark), by which one modality misleads about the other;
* a scene that lasts all video long and that both modalities carry, so that each knows something
  of what disturbs the other;
* noise of its own, and an offset that keeps the spaces of sounds, pictures and texts apart.

The two teachers compare segments with text features, which are prototypes seen through an error
and another offset. So they are built to err by class, and more where a segment is noisy.

All numbers are integers until the last division, and sums of integers below 2^53 are exact in any
order. That is why one seed gives the same bits on every machine.
"""

from dataclasses import asdict, dataclass

import numpy as np

from link.dataset import Dataset, Split
from link.llp_statistics import load_statistics
from link.pseudo_labels import keep_weak, label_segments
from link.simulated_events import SimulatedEvents, draw_events

#: Real numbers become integers in units of 1 / SCALE.
SCALE = 64

#: Videos that the teachers' thresholds are tuned on. They are in no split.
TUNING_VIDEOS = 2000

#: How much stronger or fainter than a prototype an event may be, as integers / SCALE.
FAINTEST, STRONGEST = SCALE // 2, 3 * SCALE // 2

#: Independent directions in which scenes differ.
SCENES = 8


@dataclass(frozen=True)
class SimulationConfig:
    """Sizes and difficulty of llp-sim. Strengths are relative to a prototype's.

    Attributes
    ----------
    train, val, test
        Videos in each split.
    audio_dim, visual_dim, motion_dim
        Widths of the features; text features have those of their modality.
    misalignment
        0: whatever happens is heard and seen, at the same time. 1: as in LLP. 2: whether and when
        an event is heard says nothing about whether and when it is seen. Between these, each event
        follows the one rule or the other by chance.
    leakage
        Strength of the trace that an event leaves in the modality in which it does not happen.
    scene
        Strength of the scene that both modalities share.
    noise_audio, noise_visual
        Standard deviation of a segment's noise, in every feature.
    teacher_error
        Standard deviation of the error in each text feature.
    seed
        Seed of everything.
    """

    train: int = 640
    val: int = 200
    test: int = 400
    audio_dim: int = 64
    visual_dim: int = 64
    motion_dim: int = 32
    misalignment: float = 1.0
    leakage: float = 0.25
    scene: float = 0.5
    noise_audio: float = 1.65
    noise_visual: float = 1.2
    teacher_error: float = 0.7
    seed: int = 0


def simulate(
    config: SimulationConfig | None = None, statistics: dict | None = None, name: str = "llp-sim"
) -> Dataset:
    """Draw a data set, deterministic in ``config`` on every machine.

    ``statistics`` are LLP's (`link.llp_statistics`), or those of another data set in their form:
    of that table `link.simulated_events` tells what is read. ``name`` is the data set's.

    Raises ValueError if ``misalignment`` is not in [0, 2].
    """
    config = config or SimulationConfig()
    if not 0 <= config.misalignment <= 2:
        raise ValueError(f"misalignment must lie between 0 and 2, not {config.misalignment}")
    statistics = statistics or load_statistics()
    classes = tuple(statistics["classes"])
    world = World(config, len(classes), statistics)
    splits = {}
    for index, split in enumerate(("train", "val", "test"), start=1):
        rng = np.random.default_rng([config.seed, index])
        events = draw_events(statistics, getattr(config, split), config.misalignment, rng)
        splits[split] = world.split(split, events, rng)
    return Dataset(
        name=name,
        simulated=True,
        classes=classes,
        **splits,
        audio_text=_unit(world.audio.text),
        visual_text=_unit(world.visual.text),
        provenance={"simulation": asdict(config)},
    )


class Space:
    """One modality's feature space: prototypes (C, D), scenes (K, D), offset (D,), text (C, D).

    Arrays are float64 and hold integers.
    """

    def __init__(
        self,
        classes: int,
        width: int,
        noise: float,
        config: SimulationConfig,
        rng: np.random.Generator,
    ):
        self.noise = noise
        self.prototypes = _normal(rng, 1, (classes, width))
        self.scenes = _normal(rng, config.scene, (SCENES, width))
        self.offset = SCALE * _normal(rng, 1, (width,))
        error = _normal(rng, config.teacher_error, (classes, width))
        self.text = self.prototypes + error + _normal(rng, 1, (width,))

    def observe(self, strengths: np.ndarray, scene: np.ndarray, rng: np.random.Generator):
        """Features (V, T, D) of events' strengths (V, T, C) in videos with scenes (V, K)."""
        signal = strengths @ self.prototypes + (scene @ self.scenes)[:, None]
        noise = SCALE * _normal(rng, self.noise, signal.shape)
        return signal + noise + self.offset

    def logits(self, features: np.ndarray) -> np.ndarray:
        """100 times the cosine of features (V, T, D) and texts, as CLIP's logits: (V, T, C)."""
        norms = _norm(features) * _norm(self.text)[:, 0]
        return 100 * (features @ self.text.T) / norms


class World:
    """The two modalities' spaces, a third for motion, and the tuned teachers."""

    def __init__(self, config: SimulationConfig, classes: int, statistics: dict | None = None):
        rng = np.random.default_rng([config.seed, 0])
        self.leakage = round(SCALE * config.leakage)
        self.audio = Space(classes, config.audio_dim, config.noise_audio, config, rng)
        self.visual = Space(classes, config.visual_dim, config.noise_visual, config, rng)
        self.motion = Space(classes, config.motion_dim, config.noise_visual, config, rng)
        statistics = statistics or load_statistics()
        events = draw_events(statistics, TUNING_VIDEOS, config.misalignment, rng)
        audio, visual, _ = self.observe(events, rng)
        self.thresholds = (
            tune_thresholds(self.audio.logits(audio), events.audio, events.weak),
            tune_thresholds(self.visual.logits(visual), events.visual, events.weak),
        )

    def observe(self, events: SimulatedEvents, rng: np.random.Generator):
        """Audio, visual and motion features of what happens, each (V, T, D)."""
        scene = _normal(rng, 1, (len(events.weak), SCENES))
        strength = rng.integers(FAINTEST, STRONGEST, events.weak.shape, endpoint=True)
        trace = self.leakage * strength // SCALE
        heard, seen = (
            np.where(own, strength[:, None], np.where(other, trace[:, None], 0)).astype(float)
            for own, other in ((events.audio, events.visual), (events.visual, events.audio))
        )
        return (
            self.audio.observe(heard, scene, rng),
            self.visual.observe(seen, scene, rng),
            self.motion.observe(seen, scene, rng),
        )

    def split(self, name: str, events: SimulatedEvents, rng: np.random.Generator) -> Split:
        """What there is to know about some videos."""
        audio, visual, motion = self.observe(events, rng)
        audio_prior = label_segments(self.audio.logits(audio), self.thresholds[0])
        visual_prior = label_segments(self.visual.logits(visual), self.thresholds[1])
        annotated = name != "train"
        return Split(
            names=tuple(f"{name}-{index:05d}_0_10" for index in range(len(events.weak))),
            audio=_unit(audio),
            visual=_unit(visual),
            motion=_unit(motion),
            weak=events.weak,
            audio_target=keep_weak(audio_prior, events.weak),
            visual_target=keep_weak(visual_prior, events.weak),
            audio_prior=audio_prior,
            visual_prior=visual_prior,
            audio_truth=events.audio if annotated else None,
            visual_truth=events.visual if annotated else None,
        )


def tune_thresholds(logits: np.ndarray, truth: np.ndarray, weak: np.ndarray) -> np.ndarray:
    """For each class, the logit that as many segments exceed as there are true ones.

    Only videos with the class in their weak label count, since VALOR tuned its thresholds by hand
    for labels that are then filtered so. ``logits`` float and ``truth`` bool are (V, T, C),
    ``weak`` is bool (V, C); the result is float (C,).
    """
    thresholds = np.full(logits.shape[2], np.inf)
    for label in np.flatnonzero(weak.any(axis=0)):
        chosen = weak[:, label]
        ranked = np.sort(logits[chosen, :, label], axis=None)[::-1]
        true_segments = truth[chosen, :, label].sum()
        thresholds[label] = ranked[true_segments] if true_segments < len(ranked) else -np.inf
    return thresholds


def _normal(rng: np.random.Generator, deviation: float, shape: tuple[int, ...]) -> np.ndarray:
    """Integers, normally distributed in units of 1 / SCALE, as float64."""
    return np.rint(rng.standard_normal(shape) * deviation * SCALE)


def _norm(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(vectors).sum(axis=-1, keepdims=True))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / _norm(vectors)).astype(np.float32)
