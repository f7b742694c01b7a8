"""Folders of finished runs, without the training: what they say of their networks is all here."""

from dataclasses import replace
from pathlib import Path

from tiny import TRAINING, tiny_dataset, tiny_network

from link.about import About
from link.events import CLASSES
from link.metrics import SCORES
from link.model import LINK, LinkConfig
from link.runs import RunFolder
from link.training import build

DATASET = tiny_dataset()
ENCODERS = {"audio": "laion_clap mine.pt", "visual": "open_clip ViT-B-32 openai"}
CAPTIONS = {
    "audio": [f"the sound of {name}" for name in CLASSES],
    "visual": [f"a picture of {name}" for name in CLASSES],
    "audio_thresholds": [0.1 * n for n in range(25)],
    "visual_thresholds": [15.0 - n for n in range(25)],
}
FIGURES = {
    "val": {score: 50 + 1.03 * n for n, score in enumerate(SCORES)},
    "test": {score: 40 + 1.03 * n for n, score in enumerate(SCORES)},
}


def finished_run(path: Path, **settings) -> tuple[Path, LINK]:
    """A run on simulated data: its folder, and its network."""
    return _finish(path, DATASET, **settings)


def finished_real_run(path: Path) -> tuple[Path, LINK]:
    """A run on data that pass for real, with encoders and captions that made them."""
    provenance = {"encoders": ENCODERS, "captions": CAPTIONS}
    dataset = replace(DATASET, name="mine", simulated=False, provenance=provenance)
    return _finish(path, dataset, motion_dim=None)


def about_of(config: LinkConfig, **changes) -> About:
    """The least that can be known of a network."""
    return About(
        **{
            "classes": tuple(f"class {n}" for n in range(config.classes)),
            "captions": None,
            "encoders": None,
            "data": {"name": "d", "simulated": False, "fingerprint": "f", "videos": {"train": 3}},
            "training": {"epochs": 2},
            "scores": {"val": {"segment/type": 50.0}},
            "versions": {"torch": "2"},
            **changes,
        }
    )


def _finish(path: Path, dataset, **settings) -> tuple[Path, LINK]:
    config = tiny_network(**settings)
    network = build(config, dataset)
    RunFolder(path, dataset, config, TRAINING).finish(network.state_dict(), FIGURES, 3)
    return path, network.eval()
