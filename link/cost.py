"""What a network costs, part by part: parameters, multiply-adds, memory, and time.

Parts are those of the equation: projection, TSAM, encoder, PLSIM of both modalities, pooling, and
the loss. Counts depend on sizes alone, so random inputs do. They are of one batch.

Multiply-adds are those of matrix products and convolutions, as `torch.utils.flop_counter` counts
them: two of its operations are one. What works element by element (sums, softmax, norms, dropout)
costs time and is not among them.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from link.activations import kept_bytes, peak_bytes
from link.model import LINK, LinkConfig
from link.trial import PARTS, TEXT_DIMS, Trial, modules_of, watched


@dataclass(frozen=True)
class Cost:
    """What one part costs for one batch.

    Attributes
    ----------
    parameters
        Trained numbers.
    forward, backward
        Multiply-adds of the forward pass, which is all of inference, and of the backward pass.
    kept
        Bytes of activations kept from the forward for the backward pass. A tensor that several
        parts keep counts for the first of them; weights and the batch itself do not count.
    peak
        Bytes of activations that are alive at most while the part runs in inference. Those that
        later parts wait for are among them.
    """

    parameters: int = 0
    forward: int = 0
    backward: int = 0
    kept: int = 0
    peak: int = 0


def cost(
    config: LinkConfig, batch: int = 1, text_dims: Sequence[int] = TEXT_DIMS
) -> dict[str, Cost]:
    """The costs of a network's parts, by name; those that are switched off cost nothing.

    ``text_dims`` are the widths of the captions' text features, audio and visual.
    """
    trial = Trial.make(config, batch, text_dims)
    forward, backward = multiply_adds(trial)
    kept, peak = kept_bytes(trial), peak_bytes(trial)
    return {
        part: Cost(
            _parameters(trial.model, part), forward[part], backward[part], kept[part], peak[part]
        )
        for part in PARTS
    }


def _parameters(model: LINK, part: str) -> int:
    if part == "loss":
        return sum(p.numel() for p in model.parameters(recurse=False))
    return sum(p.numel() for module in modules_of(model, part) for p in module.parameters())


def multiply_adds(trial: Trial) -> tuple[Counter, Counter]:
    """Multiply-adds of each part, forward and backward.

    Each part runs by itself on what it is given in the network, for torch's own counter tells the
    modules of a backward pass apart only roughly, and knows attention only as matrix products.
    """
    forward, backward = Counter(), Counter()
    for part, run, given in _calls(trial):
        given = [_fresh(each) for each in given]
        with sdpa_kernel(SDPBackend.MATH):
            with FlopCounterMode(display=False) as counter:
                out = [each for each in tree_leaves(run(*given)) if each.requires_grad]
            forward[part] += counter.get_total_flops() // 2
            with FlopCounterMode(display=False) as counter:
                torch.autograd.backward(out, [torch.ones_like(each) for each in out])
            backward[part] += counter.get_total_flops() // 2
    return forward, backward


def _calls(trial: Trial) -> list[tuple[str, Callable, list]]:
    """What is called in one step, with what it is given there."""
    calls: list[tuple[str, Callable, list]] = []
    with watched(trial.model, lambda part, module, given: calls.append((part, module, given))):
        output = trial.model(*trial.inputs)
    return [*calls, ("loss", trial.loss, output)]


def _fresh(given: Any) -> Any:
    """Cut off from what made it; it asks for a gradient if it did before."""
    if not isinstance(given, Tensor):
        return given
    return given.detach().requires_grad_(given.requires_grad)


_PRODUCTS = {torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.bmm, torch.ops.aten.baddbmm}


def seconds(trial: Trial, repeats: int = 5, training: bool = True) -> dict[str, float]:
    """Seconds of one batch by part, on a CPU: the mean of some repetitions.

    In training the parts are those of the forward pass, with ``loss``, ``backward`` and
    ``optimiser`` behind them.
    """
    clock, work = _Clock(), _work(trial, training)
    work(_Clock())
    with watched(trial.model, clock.start, clock.stop):
        for _ in range(repeats):
            work(clock)
    return {part: spent / repeats for part, spent in clock.spent.items()}


def product_share(trial: Trial, repeats: int = 5) -> float:
    """The share of matrix products in the time of all operations of a step of training.

    On a CPU. The time between operations, which Python and autograd take, counts for neither.
    """
    work = _work(trial, training=True)
    work(_Clock())
    with _Products() as operations:
        for _ in range(repeats):
            work(_Clock())
    return operations.products / operations.all


def _work(trial: Trial, training: bool) -> Callable[["_Clock"], None]:
    """One batch in inference, or one step of training, of which a clock tells the pieces."""
    model = trial.model.train(training)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.0)

    def infer(clock: _Clock) -> None:
        with torch.no_grad():
            model(*trial.inputs)

    def train(clock: _Clock) -> None:
        output = model(*trial.inputs)
        clock.start("loss")
        loss = trial.loss(*output)
        clock.stop()
        clock.start("backward")
        loss.backward()
        clock.stop()
        clock.start("optimiser")
        optimiser.step()
        optimiser.zero_grad()
        clock.stop()

    return train if training else infer


class _Clock:
    """Seconds spent by part."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self._part, self._started = "", 0.0

    def start(self, part: str, *_: Any) -> None:
        self._part, self._started = part, time.perf_counter()

    def stop(self) -> None:
        self.spent[self._part] += time.perf_counter() - self._started


class _Products(TorchDispatchMode):
    """Adds up the time of matrix products, and that of all operations."""

    def __init__(self) -> None:
        super().__init__()
        self.products, self.all = 0.0, 0.0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        started = time.perf_counter()
        out = operation(*args, **(kwargs or {}))
        spent = time.perf_counter() - started
        self.all += spent
        if operation.overloadpacket in _PRODUCTS:
            self.products += spent
        return out
