"""Many networks at once: trainings that differ in their seed alone, as one stacked model.

A network of the book's size, or of any size on a GPU, spends much of its time on asking for small
operations. Stacked along a first axis, the weights of several networks are asked for together
(`torch.func.vmap`). Every network keeps its own initial weights, order of videos, dropout, clipped
gradient and best epoch, and so becomes what it would have become alone in the fast mode of
`link.training`, up to rounding. On a GPU this holds without dropout; with it, other segments are
dropped.
"""

import copy
import os
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from link.activations import kept_bytes
from link.capture import step_taker
from link.dataset import Dataset
from link.fast import (
    Dropout,
    Masks,
    Objective,
    Sums,
    drop,
    fast_layers,
    make_dropout,
    rates_on_device,
    set_rate,
)
from link.inference import EVALUATION_BATCH, INPUTS, Batch, Predictions, Videos, scores
from link.model import LINK, LinkConfig, decide
from link.training import (
    Fitted,
    TrainingConfig,
    adamw,
    best_epoch,
    build,
    check_finite,
    check_fit,
    check_splits,
    held_out_scores,
    learning_rate,
)
from link.trial import Trial


def fit_stack(
    dataset: Dataset, model_config: LinkConfig, config: TrainingConfig, seeds: Sequence[int]
) -> list[Fitted]:
    """Train one network for each seed, all at once.

    Parameters
    ----------
    dataset, model_config, config
        As `link.training.fit` takes them; the mode is ``half``, or else counts as ``fast``, and
        the seed of ``config`` does not count.
    seeds
        The seeds, one a network, at least one.

    Returns
    -------
    list of Fitted
        In the order of ``seeds``.

    Raises
    ------
    TrainingError
        As `link.training.fit`; if one of the networks diverges, there is none.
    """
    check_fit(dataset, model_config)
    check_splits(dataset)
    stack = Stack(dataset, model_config, config, seeds)
    histories: list[list[dict]] = [[] for _ in seeds]
    best_weights = [stack.weights(network) for network in range(len(seeds))]
    for epoch in range(1, config.epochs + 1):
        rate = learning_rate(epoch, config)
        losses = stack.epoch(rate)
        for network, found in enumerate(stack.validate()):
            record = {"epoch": epoch, "learning_rate": rate, "loss": losses[network], "val": found}
            record["scalars"] = stack.scalars(network)
            histories[network].append(record)
            if best_epoch(histories[network]) == epoch:
                best_weights[network] = stack.weights(network)
    return [
        _finished(LINK.from_weights(model_config, weights), history, dataset, config.device)
        for weights, history in zip(best_weights, histories, strict=True)
    ]


def networks_at_once(
    dataset: Dataset, model_config: LinkConfig, config: TrainingConfig, jobs: int = 1
) -> int:
    """How many networks fit into memory as one stack, beside as many stacks as there are jobs.

    A quarter of the machine's memory is theirs on a CPU, whatever part of it a container may have,
    and four fifths of what is free on a GPU.
    """
    device = torch.device(config.device)
    if device.type == "cuda":
        data = sum(4 * array.size for array in dataset.train.arrays().values())
        # What torch keeps for later is free as well.
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        memory = 0.8 * (torch.cuda.mem_get_info(device)[0] + kept) - jobs * data
    else:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 4
    return max(1, int(memory / jobs / bytes_in_training(dataset, model_config, config)))


def seeds_of_stacks(
    dataset: Dataset,
    model_config: LinkConfig,
    config: TrainingConfig,
    seeds: Sequence[int],
    jobs: int = 1,
) -> list[Sequence[int]]:
    """The seeds of as few stacks as fit into memory, ``jobs`` at a time, nearly equal in size."""
    number = -(-len(seeds) // networks_at_once(dataset, model_config, config, jobs))
    return [seeds[first::number] for first in range(number)]


def bytes_in_training(dataset: Dataset, model_config: LinkConfig, config: TrainingConfig) -> int:
    """About how much memory a network of a stack takes while it trains.

    Weights, gradients and the optimiser's two moments, and twice what one step keeps for its
    gradients (`link.activations.kept_bytes`, the weights and the batch); the factor is for what
    comes and goes.
    """
    size = min(config.batch_size, len(dataset.train))
    texts = (dataset.audio_text, dataset.visual_text) if model_config.plsim else ()
    with torch.random.fork_rng(devices=[]):
        trial = Trial.make(model_config, size, [text.shape[1] for text in texts])
        kept = kept_bytes(trial).total()
    weights = sum(each.nbytes for each in trial.model.parameters())
    batch = sum(each.nbytes for each in (*trial.inputs, *trial.labels) if each is not None)
    return 4 * weights + 2 * (kept + weights + batch)


def _finished(model: LINK, history: list[dict], dataset: Dataset, device: str) -> Fitted:
    model = model.to(device)
    return Fitted(model, history, best_epoch(history), held_out_scores(model, dataset, device))


class Stack:
    """Networks of one configuration side by side.

    Every parameter has a first axis, the networks; what they share, such as PLSIM's texts, has
    none.
    """

    def __init__(
        self,
        dataset: Dataset,
        model_config: LinkConfig,
        config: TrainingConfig,
        seeds: Sequence[int],
    ) -> None:
        self.config, self.seeds = config, list(seeds)
        self.train = Videos(dataset.train, config.device)
        self.val = Videos(dataset.val, config.device, INPUTS)
        device = self.train.device
        models, self.random, self.orders = [], [], []
        for seed in self.seeds:
            torch.manual_seed(seed)
            models.append(build(model_config, dataset))
            # From here on a network alone draws from torch's generator: this one goes on like it.
            self.random.append(torch.Generator().set_state(torch.get_rng_state()))
            self.orders.append(torch.Generator().manual_seed(seed))
        stacked, _ = stack_module_state(models)
        self.parameters = {
            name: nn.Parameter(weights.detach().to(device)) for name, weights in stacked.items()
        }
        self.model = _flattening(copy.deepcopy(models[0])).to(device)
        self.shared = dict(self.model.named_buffers())
        self.objective = Objective(self.model, half=config.mode == "half")
        own = dict(models[0].named_parameters())
        self.optimiser = adamw(
            scalars=[p for name, p in self.parameters.items() if own[name].ndim == 0],
            others=[p for name, p in self.parameters.items() if own[name].ndim > 0],
            config=config,
        )
        rates_on_device(self.optimiser, device)
        self.sums = Sums()
        self.take = step_taker(device)

    def epoch(self, rate: float) -> list[dict[str, float]]:
        """One pass of every network over the train split, each in its own order."""
        self.model.train()
        set_rate(self.optimiser, rate)
        videos = len(self.train)
        shuffled = torch.stack([torch.randperm(videos, generator=own) for own in self.orders])
        order = self.train.order(shuffled)
        self.sums.clear()
        with fast_layers(self.model, self._dropout()):
            for start in range(0, videos, self.config.batch_size):
                self.take(self._step, order[:, start : start + self.config.batch_size])
        means = self.sums.means(videos)
        check_finite([means["total"], *self.parameters.values()], self.config)
        return [
            {name: mean[network].item() for name, mean in means.items()}
            for network in range(len(self.seeds))
        ]

    @torch.no_grad()
    def validate(self) -> list[dict[str, float]]:
        """The scores of every network on the validation split."""
        self.model.eval()

        def parse(parameters: dict[str, Tensor], inputs: tuple[Tensor | None, ...]) -> tuple:
            output = functional_call(self.model, (parameters, self.shared), inputs)
            return *decide(output), output.segment_prob.float(), output.video_prob.float()

        found = []
        size = EVALUATION_BATCH
        if self.val.device.type == "cpu":
            # As much at a time as of one network, which the processor's caches hold.
            size = max(1, size // len(self.seeds))
        numbers = self.val.order(torch.arange(len(self.val)))
        with fast_layers(self.model, nn.Identity()), self.objective.precision():
            for start in range(0, len(numbers), size):
                inputs = self.val.batch(numbers[start : start + size]).inputs
                found.append(vmap(parse, in_dims=(0, None))(self.parameters, inputs))
        joined = [torch.cat(parts, dim=1).cpu().numpy() for parts in zip(*found, strict=True)]
        return [
            scores(Predictions(*(each[network] for each in joined)), self.val.split)
            for network in range(len(self.seeds))
        ]

    def weights(self, network: int) -> dict[str, Tensor]:
        """The state dict of one of the networks, a copy."""
        own = {name: each[network] for name, each in self.parameters.items()}
        return {name: each.detach().clone() for name, each in {**own, **self.shared}.items()}

    def scalars(self, network: int) -> dict[str, float]:
        """`link.training.scalar_parameters` of one of the networks."""
        return {
            name: each[network].item() for name, each in self.parameters.items() if each.ndim == 1
        }

    def _step(self, chosen: Tensor | np.ndarray) -> None:
        batch = self.train.batch(chosen)
        present = Batch(*(None if each is None else 0 for each in batch))
        in_dims = (0, present)
        terms = vmap(self._terms, in_dims, randomness="different")(self.parameters, batch)
        self.optimiser.zero_grad()
        # Each network's loss depends on its own weights alone, so their sum has all gradients.
        terms["total"].sum().backward()
        clip_each(list(self.parameters.values()), self.config.gradient_norm)
        self.optimiser.step()
        self.sums.add(terms, chosen.shape[1])

    def _terms(self, parameters: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        state = {f"model.{name}": each for name, each in {**parameters, **self.shared}.items()}
        return functional_call(self.objective, state, (batch,))

    def _dropout(self) -> Dropout:
        rate, device = self.model.config.dropout, self.train.device
        if rate == 0 or device.type != "cpu":
            return make_dropout(rate, device, seed=0)
        seeds = [int(torch.randint(2**31, (), generator=own)) for own in self.random]
        masks = [Masks(rate, seed) for seed in seeds]
        return lambda features: _EachItsOwn.apply(features, masks, rate)


class _EachItsOwn(torch.autograd.Function):
    """Dropout under `vmap` by one `Masks` a network, so that each has the masks it has alone."""

    @staticmethod
    def forward(features: Tensor, masks: list[Masks], rate: float) -> Tensor:
        raise RuntimeError("this is for stacked networks")

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        raise RuntimeError("this is for stacked networks")

    @staticmethod
    def vmap(
        info, in_dims, features: Tensor, masks: list[Masks], rate: float
    ) -> tuple[Tensor, int]:
        features = features.movedim(in_dims[0], 0)
        kept = np.empty(features.shape, bool)
        for each, own in zip(masks, kept, strict=True):
            each.draw(own)
        return drop(features, kept, rate), 0


class _FlatLinear(nn.Linear):
    """A linear layer on all segments in a row.

    Of features with more axes, `vmap` would make as many small products as they have videos.
    """

    def forward(self, features: Tensor) -> Tensor:
        flat = features.flatten(0, -2) @ self.weight.mT + self.bias
        return flat.unflatten(0, features.shape[:-1])


def _flattening(model: LINK) -> LINK:
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.__class__ = _FlatLinear
    return model


def clip_each(parameters: Sequence[Tensor], norm: float) -> None:
    """Scale the gradients of every network down to this norm, where theirs is larger.

    As `torch.nn.utils.clip_grad_norm_` does for one network; here parameters have the networks as
    their first axis.
    """
    gradients = [each.grad for each in parameters if each.grad is not None]
    joined = torch.cat([each.view(len(each), -1) for each in gradients], dim=1)
    # Not torch's norm, which on a CPU adds millions of squares up one by one, and less exactly.
    # And no root of it, which MKL rounds otherwise on other processors.
    norms = joined.square().sum(dim=1).rsqrt().reciprocal()
    scale = (norm / (norms + 1e-6)).clamp(max=1.0)
    torch._foreach_mul_(gradients, [scale.view(-1, *[1] * (each.ndim - 1)) for each in gradients])
