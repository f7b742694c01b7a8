"""Sharing a network: a folder that says all that is needed to use it, here or on the hub.

``config.json``
    the network's configuration and what is known of it (`link.about`).
``model.safetensors``
    the weights.
``README.md``
    the model card (`link.model_card`).

Such a folder goes to the hub with the hub's own command, ``hf upload <owner>/<name> <folder>``,
and comes back by that name. A finished run (`link.runs`) is loaded as it is.

Keeping and loading need safetensors and PyYAML (the extra `cli`), the hub the extra `encoders`.
"""

import json
import os
import re
import shutil
import uuid
from dataclasses import asdict
from pathlib import Path

from link.about import About, PretrainedError, about_run, read_object
from link.files import writing
from link.model import LINK, LinkConfig
from link.model_card import model_card
from link.runs import RUN, WEIGHTS, load_run, safetensors_library
from link.weights import from_cache_or_hub, hub_url, import_library, told

__all__ = ["About", "PretrainedError", "about_run", "load", "save"]

CONFIG, CARD = "config.json", "README.md"
FORMAT, VERSION = "link-model", 1

_AGAIN = "remove it and fetch it again, or ask whoever shared it"
# The hub's rules for names, without those names that have no owner.
_HUB_NAME = re.compile(
    r"(?!.*(?:--|\.\.|\.git$))\w(?:[\w.-]{0,94}\w)?/\w(?:[\w.-]{0,94}\w)?", re.ASCII
)


def save(network: LINK, folder: str | Path, about: About) -> None:
    """Keep a network as a folder to share, whole or not at all.

    The folder must not exist, or be empty: a card that its author has filled in is not lost.

    Raises PretrainedError where it holds something, or `about` does not fit the network or is not
    JSON; LinkError where it cannot be written; RunError where safetensors is not installed.
    """
    library = safetensors_library()
    folder = Path(folder).expanduser().resolve()
    if folder.exists() and not folder.is_dir():
        raise PretrainedError(f"{folder} is a file; name a folder for the model")
    if folder.exists() and any(folder.iterdir()):
        raise PretrainedError(f"{folder} is not empty; name another folder for the model")
    _check_classes(network.config, about, folder)
    tensors = {name: w.detach().cpu().contiguous() for name, w in network.state_dict().items()}
    files = {
        CONFIG: _config_text(network.config, about, folder).encode(),
        WEIGHTS: library.torch.save(tensors),
        CARD: model_card(network.config, about).encode(),
    }
    partial = folder.with_name(f".{folder.name[:20]}.{uuid.uuid4().hex}.partial")
    try:
        with writing(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            partial.mkdir()
            for name, content in files.items():
                (partial / name).write_bytes(content)
            os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def load(source: str | Path) -> tuple[LINK, About]:
    """A network, in evaluation mode on the CPU, and what is known of it.

    Parameters
    ----------
    source
        A folder that `save` wrote, the folder of a finished run, or, as a text, the
        ``<owner>/<name>`` of a model on the hub. A folder of that name goes first. What the hub's
        cache holds is used without asking the network.

    Raises
    ------
    LinkError
        PretrainedError where the source is none of these, or its files are damaged, of another
        version or do not fit each other; RunError where a run is unfinished or damaged;
        EncoderError where neither the hub's cache nor the network has the model.
    """
    folder = _find(source)
    if (folder / CONFIG).exists():
        return _load_shared(folder)
    if not (folder / RUN).exists():
        raise PretrainedError(
            f"{folder} holds no model (neither {CONFIG} nor {RUN}); name a folder that "
            "save_pretrained or train has written"
        )
    network, _ = load_run(folder)
    about = about_run(folder)
    _check_classes(network.config, about, folder / RUN)
    return network, about


def _find(source: str | Path) -> Path:
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise PretrainedError(f"{source} is a file; name the folder that holds the model")
    if isinstance(source, str) and _HUB_NAME.fullmatch(source):
        return _from_hub(source)
    raise PretrainedError(
        f"{source} is no folder, and no name of a model on the hub, which has the form owner/name"
    )


def _from_hub(name: str) -> Path:
    """The folder of the hub's cache that holds the model: both files, and of one revision."""
    hub = import_library("huggingface_hub")

    def fetch() -> Path:
        folder = Path(hub.snapshot_download(name, allow_patterns=[CONFIG, WEIGHTS]))
        for file in (CONFIG, WEIGHTS):
            if not (folder / file).is_file():
                raise FileNotFoundError(f"there is no {file}")
        return folder

    return from_cache_or_hub(
        fetch, f"the model {hub_url(name)}", f"or name a folder that is there: {name} is none"
    )


def _load_shared(folder: Path) -> tuple[LINK, About]:
    file, weights = folder / CONFIG, folder / WEIGHTS
    content = read_object(file, _AGAIN)
    if content.get("format") != FORMAT:
        raise PretrainedError(
            f"{file} describes no model of LINK's (its format is {content.get('format')!r}, not "
            f"{FORMAT!r}); name one that save_pretrained has written"
        )
    if content.get("version") != VERSION:
        raise PretrainedError(
            f"{file} is of version {content.get('version')!r}, and this package reads {VERSION}: "
            "install the version of link-avvp that wrote it"
        )
    try:
        config, about = LinkConfig(**content["model"]), About.from_json(content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise PretrainedError(f"{file} is damaged ({told(error)}): {_AGAIN}") from error
    _check_classes(config, about, file)
    if not weights.is_file():
        raise PretrainedError(f"{weights} is not there: fetch the whole model again")
    library = safetensors_library()
    # Sizes that nobody meant make torch raise almost anything.
    try:
        return LINK.from_weights(config, library.torch.load_file(weights)), about
    except Exception as error:
        raise PretrainedError(
            f"{weights} is damaged, or does not fit {CONFIG} ({told(error)}): {_AGAIN}"
        ) from error


def _check_classes(config: LinkConfig, about: About, where: Path) -> None:
    if len(about.classes) != config.classes:
        raise PretrainedError(
            f"{where} has the names of {len(about.classes)} classes for a network of "
            f"{config.classes}: give one name a class"
        )


def _config_text(config: LinkConfig, about: About, folder: Path) -> str:
    head = {"format": FORMAT, "version": VERSION, "model": asdict(config)}
    try:
        return json.dumps({**head, **about.to_json()}, indent=1, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise PretrainedError(
            f"{folder} is not written: JSON cannot hold what about says ({error}); leave that out"
        ) from error
