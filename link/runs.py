"""A run on disk: a folder that says everything needed to repeat it.

``run.json``
    configurations, versions, the data set's name, fingerprint and provenance; there once the
    first epoch is done.
``history.json``
    a record an epoch: losses, learning rate, validation scores, seconds.
``checkpoint.pt``
    where an interrupted run goes on; gone once the run is finished.
``model.safetensors``, ``scores.json``
    weights of the best epoch and its scores; there once the run is finished.

Every file is written beside its place and then renamed, so that none is ever half there.
"""

import json
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

import link
from link.dataset import Dataset
from link.errors import LinkError
from link.files import make_writable, write_whole
from link.model import LINK, LinkConfig
from link.weights import told

RUN, HISTORY, SCORES = "run.json", "history.json", "scores.json"
WEIGHTS, CHECKPOINT = "model.safetensors", "checkpoint.pt"

#: What must agree for an interrupted run to be continued.
IDENTITY = ("model", "training", "data")


#: What helps where a finished run's files are damaged.
_AGAIN = "copy the whole run again, or train again"


class RunError(LinkError):
    """A run folder that cannot be used; the message names it and the remedy."""


class RunFolder:
    """The folder of one training run. It stays empty until the first epoch is done.

    Parameters
    ----------
    path
        The folder. It must not exist, or hold an interrupted run of the same kind if ``resume``.
    dataset, model_config, training_config
        What the run is made of; the configurations are dataclasses.
    resume
        Continue what is there, if anything is.

    Raises
    ------
    RunError
        If the path is no folder, or holds something already, or another run than the one to be
        resumed; or if safetensors, which keeps the weights, is not installed.
    LinkError
        If the path cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        dataset: Dataset,
        model_config: LinkConfig,
        training_config: Any,
        resume: bool = False,
    ):
        self.path = Path(path)
        # Found missing now, and not when the training is done and its result to be kept.
        safetensors_library()
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file; name a folder for the run")
        identity = {
            "model": asdict(model_config),
            "training": asdict(training_config),
            "data": describe_data(dataset),
        }
        if self.path.exists() and any(self.path.iterdir()):
            if not resume:
                raise RunError(f"{self.path} is not empty; name another folder, or resume the run")
            self._check_same(identity)
        else:
            make_writable(self.path, self.path)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        self._run = {**identity, "versions": versions(), "started": started}

    def restore(self) -> dict | None:
        """The state to go on from, or None at the start of a run."""
        path = self.path / CHECKPOINT
        if not path.exists():
            return None
        try:
            return torch.load(path, weights_only=True, map_location="cpu")
        except Exception as error:
            raise RunError(
                f"{path} is damaged, or no checkpoint; remove it, and the run starts from its "
                "first epoch"
            ) from error

    def checkpoint(self, history: list[dict], **state) -> None:
        """Keep what is needed to go on after this epoch."""
        self._describe()
        # The history first: were it second and the run stopped in between, the last epoch's record
        # would never be written, since a resumed run has no more epochs to add.
        write_json(self.path / HISTORY, history)
        write_whole(
            self.path / CHECKPOINT, lambda file: torch.save({"history": history, **state}, file)
        )

    def finish(
        self, weights: dict[str, Tensor], scores: dict[str, dict[str, float]], best_epoch: int
    ) -> None:
        """Keep the result, and drop what was only needed to go on."""
        self._describe()
        save = safetensors_library().torch.save
        tensors = {name: w.detach().cpu().contiguous() for name, w in weights.items()}
        write_whole(self.path / WEIGHTS, lambda file: file.write(save(tensors)))
        write_json(self.path / SCORES, {"best_epoch": best_epoch, **scores})
        (self.path / CHECKPOINT).unlink(missing_ok=True)

    def _describe(self) -> None:
        """Write ``run.json``, unless an earlier epoch has.

        Not before there is an epoch to keep: a training that fails in its first one leaves an
        empty folder, into which the next can go.
        """
        if not (self.path / RUN).exists():
            write_json(self.path / RUN, self._run)

    def _check_same(self, identity: dict) -> None:
        there = read_run(self.path)
        if (self.path / SCORES).exists():
            raise RunError(f"{self.path} holds a finished run; name another folder for a new one")
        for part in IDENTITY:
            for name in sorted(there[part].keys() | identity[part].keys()):
                old, new = there[part].get(name), identity[part].get(name)
                if json.loads(json.dumps(new)) != old:
                    raise RunError(
                        f"{self.path} is a run with {part} {name}={old!r}, not {new!r}; "
                        "resume it with its own settings, or name another folder"
                    )


def load_run(path: str | Path) -> tuple[LINK, dict]:
    """The trained network of a finished run, and its ``run.json``.

    Raises RunError if the folder holds no finished run or its files do not fit each other.
    """
    library = safetensors_library()
    path = Path(path)
    run = read_run(path)
    if not (path / WEIGHTS).exists():
        raise RunError(f"{path} holds an unfinished run (no {WEIGHTS}); resume it first")
    try:
        weights = library.torch.load_file(path / WEIGHTS)
        return LINK.from_weights(LinkConfig(**run["model"]), weights), run
    except (library.SafetensorError, RuntimeError, TypeError, ValueError) as error:
        raise RunError(
            f"{path / WEIGHTS} is damaged, or does not fit {RUN} ({told(error)}): {_AGAIN}"
        ) from error


def read_run(path: Path) -> dict:
    """What ``run.json`` says. RunError if it is not there or not whole."""
    try:
        run = json.loads((path / RUN).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path} is no run folder (no {RUN}); make one with train") from None
    except (OSError, ValueError) as error:
        raise RunError(f"{path / RUN} is damaged ({told(error)}): {_AGAIN}") from error
    if not isinstance(run, dict) or not all(isinstance(run.get(part), dict) for part in IDENTITY):
        raise RunError(f"{path / RUN} does not describe a run; make one with train")
    return run


def safetensors_library() -> ModuleType:
    """The library, imported where a run is kept or loaded: the rest needs torch alone."""
    try:
        import safetensors
        import safetensors.torch
    except ImportError:
        raise RunError(
            "keeping and loading runs needs safetensors: pip install -e '.[cli]' in the project's "
            "folder"
        ) from None
    return safetensors


def describe_data(dataset: Dataset) -> dict:
    """Which data a run was made with."""
    return {
        "name": dataset.name,
        "simulated": dataset.simulated,
        "classes": list(dataset.classes),
        "fingerprint": dataset.fingerprint(),
        "videos": {name: len(split) for name, split in dataset.splits().items()},
        "provenance": dataset.provenance,
    }


def versions() -> dict[str, str]:
    """What a result may depend on besides code and data."""
    return {
        "link": link.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        # Sums come out otherwise in another order, and training multiplies the difference.
        "processor": f"{torch.get_num_threads()} threads, "
        f"{torch.backends.cpu.get_cpu_capability()}",
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as JSON, whole or not at all."""
    text = json.dumps(content, indent=1) + "\n"
    write_whole(path, lambda file: file.write(text.encode()))
