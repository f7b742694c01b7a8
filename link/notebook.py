"""What every chapter of the book needs: its data, its sizes, and numbers that come out again.

Import this before torch. Training multiplies rounding errors, and processors round differently; so
that a chapter's stored outputs come out again on another machine, this holds the numerical
libraries to one instruction set and one thread. The networks of the book are too small to profit
from more.
"""

import inspect
import os

for _variable, _value in {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OMP_NUM_THREADS": "1",
}.items():
    os.environ.setdefault(_variable, _value)

from pathlib import Path  # noqa: E402

import torch  # noqa: E402

from link.dataset import Dataset  # noqa: E402
from link.features import open_store  # noqa: E402
from link.model import LinkConfig  # noqa: E402
from link.simulation import simulate  # noqa: E402
from link.training import TrainingConfig, fitting_config  # noqa: E402

SIMULATED = "llp-sim"

#: Sizes at which a network trains in seconds on one core, and learns llp-sim.
BOOK_NETWORK = {"hidden": 64, "heads": 4, "feed_forward": 128, "layers": 1}
BOOK_TRAINING = {
    "epochs": 10,
    "batch_size": 32,
    "learning_rate": 3e-3,
    "final_learning_rate": 3e-5,
    "warmup_epochs": 2,
}


def chapter_dataset() -> Dataset:
    """The data set of the book: llp-sim, or the store that ``LINK_DATASET`` names.

    ``LINK_DATASET`` is ``llp-sim`` (as when it is unset), ``llp`` for the store of the real
    features at its usual place, or the path of a store.
    """
    torch.set_num_threads(1)
    name = os.environ.get("LINK_DATASET", SIMULATED)
    if name == SIMULATED:
        return simulate()
    return open_store(llp_store() if name == "llp" else Path(name).expanduser())


def llp_store() -> Path:
    """Where the store of LLP's real features lives unless a command is told otherwise."""
    from platformdirs import user_data_path

    return user_data_path("link-avvp") / "llp"


def chapter_network(dataset: Dataset, **settings) -> LinkConfig:
    """A network of the book's size for llp-sim, of VALOR++'s size for anything real."""
    return fitting_config(dataset, **{**(BOOK_NETWORK if dataset.simulated else {}), **settings})


def chapter_training(dataset: Dataset, **settings) -> TrainingConfig:
    """How the book trains: briefly on llp-sim, and as VALOR++ does on anything real."""
    if dataset.simulated:
        return TrainingConfig(**{**BOOK_TRAINING, **settings})
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return TrainingConfig(**{"device": device, **settings})


def source(thing):
    """The source code of a class or function, to be shown in a chapter."""
    from IPython.display import Markdown

    return Markdown(f"```python\n{inspect.getsource(thing).rstrip()}\n```")
