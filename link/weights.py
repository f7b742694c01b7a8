"""The teachers' libraries and weights: loaded late, and whatever fails told in one sentence.

The libraries are heavy, reach for the network when they are imported, and each fails in words of
its own. They are imported here alone, and only once an encoder is made. What the hub's cache holds
is used without asking the network; what it lacks is fetched once.
"""

import importlib
import logging
import re
import sys
import textwrap
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from link.errors import LinkError

Loaded = TypeVar("Loaded")

_CACHE_ADVICE = "connect to the network once, or set HF_HOME to a cache that holds it"
# A declared operator lives as long as the library object that declares it.
_declared: list[torch.library.Library] = []


class EncoderError(LinkError):
    """A teacher that cannot be made or used: the message names what is wrong and the remedy."""


def import_library(name: str) -> ModuleType:
    """Imports one of the teachers' libraries, without its warnings or changes to `sys.path`.

    laion_clap appends its own folder to the path, where its ``training`` and ``evaluate`` would
    answer for anybody's modules of those names.

    Raises EncoderError where the library is not installed or does not load.
    """
    path = sys.path.copy()
    try:
        with quiet():
            return importlib.import_module(name)
    except Exception as error:
        raise EncoderError(
            f"{name} cannot be imported ({told(error)}): install what the encoders need with "
            "pip install -e '.[encoders]' in the project's folder"
        ) from error
    finally:
        sys.path[:] = path


def import_torchvision() -> None:
    """Imports torchvision, which open_clip and laion_clap need, beside whatever torch there is.

    Python's package index serves torchvision built for CUDA. Beside a torch for CPUs its compiled
    part does not load, and the import fails because operators are unknown that nothing here
    calls. Declaring their names is enough.

    Raises EncoderError where it is not installed or fails for another reason.
    """
    for _ in range(8):
        try:
            with quiet():
                importlib.import_module("torchvision")
            return
        except RuntimeError as error:
            unknown = re.search(r"operator torchvision::(\w+) does not exist", str(error))
            if unknown is None:
                break
            library = torch.library.Library("torchvision", "FRAGMENT")
            library.define(f"{unknown[1]}(Tensor dets, Tensor scores, float threshold) -> Tensor")
            _declared.append(library)
        except ImportError:
            break
    import_library("torchvision")


def from_cache_or_hub(load: Callable[[], Loaded], wanted: str, remedy: str = "") -> Loaded:
    """What `load` returns, from the hub's cache alone if that will do, else with the network.

    `wanted` names what is loaded, and from where; `remedy` tells how to do without the hub, where
    there is a way, and starts with "or".

    Raises EncoderError, made of these, where neither the cache nor the network has it.
    """
    hub = import_library("huggingface_hub.constants")
    try:
        with quiet(), cache_only():
            return load()
    except Exception as error:
        failure = error
    unreachable = _why_unreachable()
    if unreachable is None:
        try:
            with quiet():
                return load()
        except Exception as error:
            failure = error
    raise EncoderError(
        f"{wanted} is neither in the hub's cache {hub.HF_HUB_CACHE} nor to be had from "
        f"the network ({unreachable or told(failure)}): {_CACHE_ADVICE}{remedy and ', ' + remedy}"
    ) from failure


def hub_file(repository: str, name: str, remedy: str = "") -> Path:
    """A file of a model on the hub, fetched unless the cache has it. Raises EncoderError."""
    hub = import_library("huggingface_hub")
    found = from_cache_or_hub(
        lambda: hub.hf_hub_download(repository, name),
        f"the file {name} of {hub_url(repository)}",
        remedy,
    )
    return Path(found)


def hub_url(repository: str) -> str:
    """Where a person finds a repository of the hub."""
    return f"{import_library('huggingface_hub.constants').ENDPOINT}/{repository}"


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The weights of a pickled checkpoint: name to tensor, without running any code in it.

    Training states are let be: what counts is the entry ``state_dict``, or the whole where there
    is none. Numpy's plain numbers are let through, since learning rates are often saved as such.

    Raises EncoderError for a file that holds anything else.
    """
    number = np.float64(0).__reduce__()[0]
    harmless = [
        np.dtype,
        *(type(np.dtype(kind)) for kind in ("float32", "float64", "int64")),
        # Where the function was found by the numpy that wrote the file: version 1, or 2.
        (number, "numpy.core.multiarray.scalar"),
        (number, "numpy._core.multiarray.scalar"),
    ]
    try:
        with torch.serialization.safe_globals(harmless):
            content = torch.load(
                path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
            )
        weights = content.get("state_dict", content)
        if not all(isinstance(value, Tensor) for value in weights.values()):
            raise TypeError("it holds more than tensors")
    except Exception as error:
        raise EncoderError(
            f"{path} is no checkpoint of weights alone ({told(error)}): give another, or fetch "
            "it again"
        ) from error
    return weights


def pick_device(device: str | torch.device | None) -> torch.device:
    """The device asked for; without one, the GPU if there is one. Raises EncoderError."""
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        probe = torch.zeros(1, device=chosen)
        # Also that it can be read back, which it cannot from torch's "meta".
        probe.item()
    except (RuntimeError, AssertionError) as error:
        raise EncoderError(f"device {chosen} cannot be used ({told(error)}): try cpu") from error
    return probe.device


def told(error: BaseException) -> str:
    """What an exception says, on one line and not too long."""
    return textwrap.shorten(f"{type(error).__name__}: {error}", 240, placeholder=" ...")


@contextmanager
def quiet() -> Iterator[None]:
    """Without warnings and log records, which the libraries emit for what is dealt with here."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def cache_only() -> Iterator[None]:
    """With the hub's clients held to their cache.

    Otherwise they ask the network about every file that they have, and where it is down they ask
    for minutes.
    """
    constants = import_library("huggingface_hub.constants")
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _why_unreachable() -> str | None:
    """Why the hub cannot be asked, found out at once rather than after all of its retries."""
    constants = import_library("huggingface_hub.constants")
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        with quiet():
            import_library("huggingface_hub").get_session().head(constants.ENDPOINT, timeout=10)
    except Exception as error:
        return told(error)
    return None
