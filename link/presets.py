"""Usual sizes and places: what commands and chapters take unless they are told otherwise."""

from collections.abc import Callable
from pathlib import Path

import torch

from link.dataset import Dataset, FeatureError
from link.features import HEADER, open_store
from link.llp import read_llp
from link.model import LinkConfig
from link.simulation import simulate
from link.training import TrainingConfig, fitting_config, has_priors
from link.valor_folders import read_valor_folders

#: The name of the simulated data set, wherever a data set is asked for.
SIMULATED = "llp-sim"

#: The name of the store of LLP's real features at its usual place.
LLP = "llp"

#: What may be given where a data set is asked for, in words.
KNOWN_DATA = (
    f"{SIMULATED}, {LLP}, the folder of a store, or a folder of features as VALOR published them"
)

#: Sizes at which a network trains in seconds on one core, and learns llp-sim.
BOOK_NETWORK = {"hidden": 64, "heads": 4, "feed_forward": 128, "layers": 1}
BOOK_TRAINING = {
    "epochs": 8,
    "batch_size": 32,
    "learning_rate": 4e-3,
    "final_learning_rate": 4e-5,
    "warmup_epochs": 1,
}


def open_dataset(
    name: str | Path,
    annotations: str | Path | None = None,
    skip_bad: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Open a data set by name or folder.

    Parameters
    ----------
    name
        ``llp-sim``: simulated as the book has it. ``llp``: the store of the real features at its
        usual place. Otherwise a folder: a store, or one in the layout of the published VALOR
        features, which is read into memory.
    annotations
        For published features: the folder of LLP's annotation files, if it is another one.
    skip_bad, on_progress
        For published features, as `link.valor_folders.read_valor_folders` takes them.

    Raises
    ------
    FeatureError, LLPError
        If there is no such folder, or what it holds cannot be used.
    """
    if name == SIMULATED:
        return simulate()
    folder = llp_store() if name == LLP else Path(name).expanduser()
    if name == LLP and not folder.exists():
        raise FeatureError(f"{folder} is not there yet: run 'link-avvp download llp' first")
    if not folder.is_dir():
        raise FeatureError(f"{folder} is no folder; name {KNOWN_DATA}")
    if (folder / HEADER).exists():
        return open_store(folder)
    return read_valor_folders(folder, read_llp(annotations or folder), skip_bad, on_progress)


def llp_store() -> Path:
    """The usual place of the store of LLP's real features."""
    from platformdirs import user_data_path

    return user_data_path("link-avvp") / LLP


def usual_network(dataset: Dataset, **settings) -> LinkConfig:
    """A network of the book's size for simulated data, of VALOR++'s size for anything real.

    PLSIM is on where the data have what it reads: label-free pseudo-labels and text features.
    """
    usual = {"plsim": has_priors(dataset), **(BOOK_NETWORK if dataset.simulated else {})}
    return fitting_config(dataset, **{**usual, **settings})


def usual_training(dataset: Dataset, **settings) -> TrainingConfig:
    """Training of the book's length on simulated data, of VALOR++'s on anything real.

    Simulated data trains on the processor, where the book's small networks are at home.
    """
    if dataset.simulated:
        return TrainingConfig(**{**BOOK_TRAINING, **settings})
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return TrainingConfig(**{"device": device, "mode": "fast", **settings})


def usual_jobs(device: str) -> int:
    """How many stacks of networks train at a time: one a core, since each takes one thread."""
    return torch.get_num_threads() if device == "cpu" else 1
