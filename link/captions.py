"""What the teachers look and listen for: classes with their captions and thresholds.

VALOR's own are in `link.pseudo_labels`; one's own come from a YAML file.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from link.errors import LinkError

# What stands for a setting that is left out: captions from the class's name.
_DEFAULTS = {
    "audio": "This is a sound of {}",
    "visual": "A photo of {}.",
    "audio_threshold": 2.0,
    "visual_threshold": 15.0,
}


class CaptionError(LinkError):
    """A caption file that cannot be used: the message names the file, the line and the remedy."""


@dataclass(frozen=True, eq=False)
class Captions:
    """What the teachers look and listen for: C classes, a caption and a threshold each.

    `audio` and `visual` are the captions, in the order of `classes`; the thresholds are float32
    (C,), in the units of CLAP's and of CLIP's logits.
    """

    classes: tuple[str, ...]
    audio: tuple[str, ...]
    visual: tuple[str, ...]
    audio_thresholds: np.ndarray
    visual_thresholds: np.ndarray

    def record(self) -> dict[str, list]:
        """All but the classes, as JSON has it: what a data set's provenance says of them."""
        return {
            "audio": list(self.audio),
            "visual": list(self.visual),
            "audio_thresholds": self.audio_thresholds.tolist(),
            "visual_thresholds": self.visual_thresholds.tolist(),
        }


def read_captions(path: str | Path) -> Captions:
    """Captions and thresholds of one's own classes, from a YAML file.

    The file names the classes, in the order that they shall have. All else may be left out; what
    is left out follows VALOR's words and commonest thresholds::

        classes:
          Doorbell:
          Frying (food):
            audio: This is a sound of frying (food)
            visual: A photo of frying food.
            audio_threshold: -2
            visual_threshold: 18

    Raises CaptionError for a file that is not there, not YAML or not of this form. Needs PyYAML
    (the extra `cli`).
    """
    path = Path(path)
    top = _entries(path, _compose(path), "the file")
    if set(top) != {"classes"}:
        raise CaptionError(
            f"{path} has {', '.join(sorted(top)) or 'nothing'} at its top level: it needs the "
            "one key 'classes', and under it a line 'name:' for each class"
        )
    given = _entries(path, top["classes"], "'classes'")
    settings = {}
    for name, node in given.items():
        settings[name] = _entries(path, node, repr(name)) if not _is_empty(node) else {}
        if unknown := set(settings[name]) - _DEFAULTS.keys():
            raise _fault(
                path,
                settings[name][min(unknown)],
                f"{min(unknown)!r} of {name!r} is unknown; use {', '.join(_DEFAULTS)}",
            )

    def column(key: str) -> list[Any]:
        return [_setting(path, name, key, settings[name].get(key)) for name in given]

    return Captions(
        tuple(given),
        tuple(column("audio")),
        tuple(column("visual")),
        np.array(column("audio_threshold"), np.float32),
        np.array(column("visual_threshold"), np.float32),
    )


def default_setting(name: str, key: str) -> str | float:
    """The caption or threshold of a class for which nothing is given.

    `key` is ``audio``, ``visual``, ``audio_threshold`` or ``visual_threshold``.
    """
    default = _DEFAULTS[key]
    return default.format(name.lower().replace("_", " ")) if isinstance(default, str) else default


def _setting(path: Path, name: str, key: str, node: Any) -> str | float:
    """The value of one setting of one class."""
    default = default_setting(name, key)
    if node is None or _is_empty(node):
        return default
    if not isinstance(node.value, str) or not node.value.strip():
        raise _fault(path, node, f"{key!r} of {name!r} is no text and no number")
    if isinstance(default, str):
        return node.value
    try:
        number = float(node.value)
    except ValueError:
        number = np.nan
    if not np.isfinite(number):
        raise _fault(path, node, f"{key!r} of {name!r} is {node.value!r}, not a finite number")
    return number


def _compose(path: Path) -> Any:
    """The file as YAML's nodes: they know their lines, and building them runs no code."""
    try:
        import yaml
    except ImportError as error:
        raise CaptionError(
            f"reading {path} needs PyYAML: pip install -e '.[cli]' in the project's folder"
        ) from error
    try:
        return yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
    except OSError as error:
        raise CaptionError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CaptionError(f"{path} is not UTF-8 text; save it as such") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1
        raise CaptionError(f"{path}, line {line}: not YAML, {error.problem}") from error
    except yaml.YAMLError as error:
        raise CaptionError(f"{path} is not YAML: {str(error).splitlines()[0]}") from error


def _entries(path: Path, node: Any, what: str) -> dict[str, Any]:
    """A mapping's values by key. The keys count as written: a class may be called No, or 7."""
    if node is None or node.id != "mapping" or not node.value:
        raise _fault(path, node, f"{what} must hold lines of the form 'name: value'")
    found: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key.value, str) or not key.value:
            raise _fault(path, key, f"a name in {what} is no text")
        if key.value in found:
            raise _fault(path, key, f"{key.value!r} is there twice")
        found[key.value] = value
    return found


def _is_empty(node: Any) -> bool:
    return node.tag == "tag:yaml.org,2002:null"


def _fault(path: Path, node: Any, what: str) -> CaptionError:
    line = f", line {node.start_mark.line + 1}" if node is not None else ""
    return CaptionError(f"{path}{line}: {what}")
