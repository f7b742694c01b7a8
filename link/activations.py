"""How much memory activations take: what the backward pass keeps, and what is alive at most."""

import itertools
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from link.model import LINK
from link.trial import Trial, watched


class _Now:
    """Which part is running. Between the modules that is the pooling, which ends in `parse`."""

    def __init__(self, model: LINK) -> None:
        self.part = "pooling"
        self._model = model

    def followed(self) -> AbstractContextManager:
        return watched(self._model, self._begin, self._end)

    def _begin(self, part: str, *_: Any) -> None:
        self.part = part

    def _end(self) -> None:
        self.part = "pooling"


def kept_bytes(trial: Trial) -> Counter:
    """Bytes of activations that each part keeps for the backward pass, in training mode."""
    model = trial.model.train()
    seen = set(_places(trial, *model.parameters(), *model.buffers()))
    kept, storages, now = Counter(), [], _Now(model)

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            # Held, so that no later tensor takes its place in memory.
            storages.append(storage)
            kept[now.part] += storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), now.followed():
        output = model(*trial.inputs)
        now.part = "loss"
        trial.loss(*output)
    return kept


def peak_bytes(trial: Trial) -> Counter:
    """Bytes of activations that are alive at most while each part runs, in inference.

    Attention is computed by torch's plain path: within its fast one, nothing can be seen.
    """
    model, now = trial.model.eval(), _Now(trial.model)
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), now.followed(), _Alive(now) as alive:
            model(*trial.inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return alive.peak


class _Alive(TorchDispatchMode):
    """Follows what operations return, until it is freed."""

    def __init__(self, now: _Now) -> None:
        super().__init__()
        self.peak = Counter()
        self._now, self._bytes = now, 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        given = {_place(each) for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)}
        out = operation(*args, **(kwargs or {}))
        for each in tree_leaves(out):
            # What an operation was given it may return, as a view or in place.
            if isinstance(each, Tensor) and _place(each) not in given | self._known:
                self._follow(each)
        self.peak[self._now.part] = max(self.peak[self._now.part], self._bytes)
        return out

    def _follow(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        place, size = storage.data_ptr(), storage.nbytes()
        self._known.add(place)
        self._bytes += size
        weakref.finalize(storage, self._forget, place, size)

    def _forget(self, place: int, size: int) -> None:
        self._known.discard(place)
        self._bytes -= size


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _places(trial: Trial, *more: Tensor) -> Iterator[int]:
    for tensor in itertools.chain(trial.inputs, trial.labels, more):
        if tensor is not None:
            yield _place(tensor)
