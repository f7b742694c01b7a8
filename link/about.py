"""What is known of a network beside its weights: its classes, its encoders, how it was trained.

A finished run knows it of its own network (`about_run`). A shared model takes it along
(`link.pretrained`), and its card tells it (`link.model_card`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from link.captions import Captions
from link.errors import LinkError
from link.model import LinkConfig
from link.runs import RUN, SCORES, RunError, read_run
from link.teachers import CLAP, CLIP
from link.weights import told

# What is said of the features that VALOR published (`link.valor_folders`), and their encoders in
# the words of `link.encoders`.
_VALOR_SOURCE = "features published with VALOR"
_VALOR_ENCODERS = {"audio": f"laion_clap {CLAP}", "visual": f"open_clip {CLIP} openai"}


class PretrainedError(LinkError):
    """A model that cannot be shared or loaded: the message names the file and the remedy."""


@dataclass(frozen=True, eq=False)
class About:
    """What a network does not say by itself.

    Attributes
    ----------
    classes
        C names, in the order of the class axis.
    captions
        What the teachers looked and listened for, or None where that is not known.
    encoders
        What made the features, ``audio`` and ``visual``: the names that the encoders of
        `link.encoders` give themselves. None where none did, as in simulated data, or where it is
        not known.
    data
        What it was trained on: ``name``, ``simulated`` (bool), ``fingerprint``, and ``videos``,
        the number of them in each split.
    training
        The settings of the training, and its best epoch.
    scores
        In percent, by split and score: ``{"test": {"segment/audio": 60.1, ...}, ...}``.
    versions
        The software it was trained with.

    Raises
    ------
    PretrainedError
        Where these are not of this form.
    """

    classes: tuple[str, ...]
    captions: Captions | None
    encoders: dict[str, str] | None
    data: dict[str, Any]
    training: dict[str, Any]
    scores: dict[str, dict[str, float]]
    versions: dict[str, str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))
        for name, fits in _FORMS.items():
            try:
                fitting = fits(self)
            except (AttributeError, KeyError, TypeError):
                fitting = False
            if not fitting:
                raise PretrainedError(f"{name} is not of the form that link.about.About describes")

    def to_json(self) -> dict[str, Any]:
        """All of it in types that JSON has; `from_json` is the way back."""
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.captions is not None:
            content["captions"] = self.captions.record()
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "About":
        """Raises PretrainedError, KeyError or TypeError where the content is of another form."""
        given = {field.name: content[field.name] for field in fields(cls)}
        return cls(**{**given, "captions": _captions(given["classes"], given["captions"])})

    def why_no_videos(self, config: LinkConfig) -> str | None:
        """Why a network of this configuration cannot parse videos; None where it can."""
        if self.data["simulated"]:
            return "it was trained on simulated features, which no encoder makes"
        if self.encoders is None:
            return "which encoders made the features that it was trained on is not known"
        if config.motion_dim is not None:
            return (
                "it reads motion features too, which link-avvp does not extract: train --no-motion"
            )
        if config.plsim and self.captions is None:
            return "PLSIM reads pseudo-labels, and the captions that made them are not known"
        return None


def about_run(folder: str | Path) -> About:
    """What a finished run says of its network.

    Raises RunError where the folder holds no finished run, and PretrainedError where the run does
    not say enough.
    """
    folder = Path(folder)
    run = read_run(folder)
    if not (folder / SCORES).exists():
        raise RunError(f"{folder} holds an unfinished run (no {SCORES}); resume it first")
    scores = read_object(folder / SCORES, "train again")
    try:
        data, provenance = run["data"], run["data"]["provenance"]
        encoders = provenance.get("encoders")
        if encoders is None and str(provenance.get("source")).startswith(_VALOR_SOURCE):
            encoders = _VALOR_ENCODERS
        return About(
            classes=data["classes"],
            captions=_captions(data["classes"], provenance.get("captions")),
            encoders=None if data["simulated"] else encoders,
            data={key: data[key] for key in ("name", "simulated", "fingerprint", "videos")},
            training={**run["training"], "best_epoch": scores.pop("best_epoch")},
            scores=scores,
            versions=run["versions"],
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise PretrainedError(
            f"{folder / RUN} and {SCORES} do not say enough to share the run ({told(error)}): "
            "train again with this version"
        ) from error


def read_object(file: Path, remedy: str) -> dict[str, Any]:
    """The JSON object in a file. Raises PretrainedError where there is none."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise PretrainedError(f"{file} cannot be read ({told(error)}): {remedy}") from error
    if not isinstance(content, dict):
        raise PretrainedError(f"{file} is no JSON object: {remedy}")
    return content


def _captions(classes: list[str], given: Mapping[str, Any] | None) -> Captions | None:
    """Captions from what `Captions.record` made of them."""
    if given is None:
        return None
    return Captions(
        tuple(classes),
        tuple(given["audio"]),
        tuple(given["visual"]),
        np.array(given["audio_thresholds"], np.float32),
        np.array(given["visual_thresholds"], np.float32),
    )


def _all_texts(given: Any) -> bool:
    return all(isinstance(each, str) for each in given)


def _captions_fit(captions: Captions, classes: tuple[str, ...]) -> bool:
    lists = (captions.audio, captions.visual)
    thresholds = (captions.audio_thresholds, captions.visual_thresholds)
    return (
        captions.classes == classes
        and all(len(each) == len(classes) and _all_texts(each) for each in lists)
        and all(each.shape == (len(classes),) and np.isfinite(each).all() for each in thresholds)
    )


_FORMS = {
    "classes": lambda about: _all_texts(about.classes),
    "captions": lambda about: (
        about.captions is None or _captions_fit(about.captions, about.classes)
    ),
    "encoders": lambda about: (
        about.encoders is None
        or (about.encoders.keys() == {"audio", "visual"} and _all_texts(about.encoders.values()))
    ),
    "data": lambda about: (
        isinstance(about.data["simulated"], bool)
        and _all_texts([about.data["name"], about.data["fingerprint"]])
        and isinstance(about.data["videos"], dict)
    ),
    "training": lambda about: isinstance(about.training, dict),
    "scores": lambda about: all(
        isinstance(value, float | int) for each in about.scores.values() for value in each.values()
    ),
    "versions": lambda about: isinstance(about.versions, dict),
}
