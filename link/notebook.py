"""What every chapter of the book begins with: its data, and numbers that come out again.

Import this before torch. Training multiplies rounding errors, and processors round differently; so
that a chapter's stored outputs come out again on another machine, this holds the numerical
libraries to one thread and to instructions that x86 processors of every maker have. MKL promises
equal results across makers on its branch ``COMPATIBLE`` only, on which a training of the book's
size takes about half as long again. Its square roots of arrays differ even so, on an emulated AMD
processor: training takes none of them (`link.training.adamw`, `link.stack.clip_each`).
"""

import inspect
import os

for _variable, _value in {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OMP_NUM_THREADS": "1",
}.items():
    os.environ.setdefault(_variable, _value)

import torch  # noqa: E402

from link.dataset import Dataset  # noqa: E402
from link.presets import SIMULATED, open_dataset  # noqa: E402
from link.presets import usual_network as chapter_network  # noqa: E402
from link.presets import usual_training as chapter_training  # noqa: E402
from link.training import has_priors  # noqa: E402

__all__ = ["chapter_dataset", "chapter_network", "chapter_training", "source"]


def chapter_dataset(priors: bool = False) -> Dataset:
    """The data set of the book: llp-sim, or what ``LINK_DATASET`` names (`link.presets`).

    A chapter that can show nothing without label-free pseudo-labels and text features asks for
    ``priors``. Where the data set named lacks them, it gets llp-sim in its place, and says so.
    """
    torch.set_num_threads(1)
    name = os.environ.get("LINK_DATASET") or SIMULATED
    dataset = open_dataset(name)
    if not priors or has_priors(dataset):
        return dataset
    print(
        f"This chapter shows {SIMULATED} (simulated), because {name} has no label-free "
        "pseudo-labels with their text features; link-avvp pack --priors writes a store that has."
    )
    return open_dataset(SIMULATED)


def source(thing):
    """The source code of a class or function, to be shown in a chapter."""
    from IPython.display import Markdown

    return Markdown(f"```python\n{inspect.getsource(thing).rstrip()}\n```")
