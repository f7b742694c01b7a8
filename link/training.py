"""Training: fit on the train split, select the epoch on the validation split, evaluate once.

The loop is VALOR's: AdamW, ten epochs of linear warm-up and a cosine after that, the gradient's
norm clipped. Of all epochs, the one with the best segment-level ``type`` score on the validation
split is kept; where its segments are not annotated, the one that predicts its weak labels best.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from link.dataset import Dataset, Split
from link.errors import LinkError
from link.inference import INPUTS, Videos, batches, evaluate
from link.metrics import VIDEO_SCORE
from link.model import LINK, LinkConfig
from link.runs import RunFolder

#: The score that chooses the epoch, on the validation split; the choice of VALOR's code.
SELECTION_SCORE = "segment/type"


@dataclass(frozen=True)
class TrainingConfig:
    """How to train. The defaults are those of VALOR++.

    Attributes
    ----------
    epochs, batch_size
        Passes over the train split, and videos a step.
    learning_rate, final_learning_rate, warmup_epochs
        Peak and end of the schedule (see :func:`learning_rate`).
    beta1, beta2, weight_decay
        AdamW's. Scalar parameters (TSAM's alpha and beta, S-LOSS's mu) are not decayed.
    gradient_norm
        Gradients are scaled down to this norm where theirs is larger.
    seed
        Seeds initial weights, order of videos and dropout.
    device
        ``cpu``, ``cuda``, or any other that torch knows.
    mode
        How epochs are computed: ``plain``, as :func:`train_epoch` reads; ``fast``, the same in
        less time; ``half``, fast with products in bfloat16 (`link.fast`).
    """

    epochs: int = 60
    batch_size: int = 64
    learning_rate: float = 3e-4
    final_learning_rate: float = 3e-6
    warmup_epochs: int = 10
    beta1: float = 0.5
    beta2: float = 0.999
    weight_decay: float = 1e-3
    gradient_norm: float = 1.0
    seed: int = 0
    device: str = "cpu"
    mode: Literal["plain", "fast", "half"] = "plain"


class TrainingError(LinkError):
    """A network and a data set that do not fit, or a training that cannot go on."""


class Fitted(NamedTuple):
    """The result of training."""

    model: LINK  #: with the weights of the best epoch, in evaluation mode
    history: list[dict]  #: losses, rate, scores and scalars, a record an epoch
    best_epoch: int  #: counted from 1
    scores: dict[str, dict[str, float]]  #: of ``val`` and ``test`` at the best epoch, in percent


def fit(
    dataset: Dataset,
    model_config: LinkConfig | None = None,
    config: TrainingConfig | None = None,
    folder: RunFolder | None = None,
    on_epoch: Callable[[dict], None] | None = None,
) -> Fitted:
    """Train a network on a data set.

    Parameters
    ----------
    dataset
        Its train split supervises, its validation split selects the epoch, and its test split is
        evaluated once, at the end.
    model_config
        The network; None for LINK with all modules, fitted to the data set's widths.
    config
        How to train; None for VALOR++'s way.
    folder
        Where to keep the run (`link.runs`). If it holds an interrupted run, that is continued, to
        the same weights as if it had never stopped.
    on_epoch
        Called with each epoch's record, for a progress bar.

    Returns
    -------
    Fitted

    Raises
    ------
    TrainingError
        If the network does not fit the data set, a split is empty or annotated in one modality
        alone, or the training diverges.
    """
    config = config or TrainingConfig()
    model_config = model_config or fitting_config(dataset)
    check_fit(dataset, model_config)
    check_splits(dataset)
    torch.manual_seed(config.seed)
    model = build(model_config, dataset).to(config.device)
    optimiser = make_optimiser(model, config)
    order = torch.Generator().manual_seed(config.seed)
    history: list[dict] = []
    best_weights = clone_weights(model)
    if folder is not None:
        state = folder.restore()
        if state is not None:
            history, best_weights = state["history"], state["best_weights"]
            model.load_state_dict(state["weights"])
            optimiser.load_state_dict(state["optimiser"])
            set_random_states(order, state["random"], config.device)
    way = plain_training if config.mode == "plain" else fast_training
    run_epoch, validate = way(model, optimiser, dataset, config)

    for epoch in range(len(history) + 1, config.epochs + 1):
        started = time.perf_counter()
        rate = learning_rate(epoch, config)
        losses = run_epoch(rate, order)
        record = {"epoch": epoch, "learning_rate": rate, "loss": losses, "val": validate()}
        record["scalars"] = scalar_parameters(model)
        record["seconds"] = time.perf_counter() - started
        history.append(record)
        if best_epoch(history) == epoch:
            best_weights = clone_weights(model)
        if folder is not None:
            folder.checkpoint(
                history=history,
                best_weights=best_weights,
                weights=model.state_dict(),
                optimiser=optimiser.state_dict(),
                random=random_states(order, config.device),
            )
        if on_epoch is not None:
            on_epoch(record)

    model.load_state_dict(best_weights)
    # Or gradients would go with the model, and on a GPU a recorded step's memory with them.
    optimiser.zero_grad()
    best, scores = best_epoch(history), held_out_scores(model, dataset, config.device)
    if folder is not None:
        folder.finish(best_weights, scores, best)
    return Fitted(model.eval(), history, best, scores)


def held_out_scores(model: LINK, dataset: Dataset, device: str) -> dict[str, dict[str, float]]:
    """The scores of the splits that weights were not trained on, ``val`` and ``test``."""
    held_out = {"val": dataset.val, "test": dataset.test}
    return {name: evaluate(model, split, device) for name, split in held_out.items()}


def train_epoch(
    model: LINK,
    optimiser: torch.optim.Optimizer,
    split: Split | Videos,
    config: TrainingConfig,
    rate: float,
    order: torch.Generator,
) -> dict[str, float]:
    """One pass over the split in random order; the mean of every term of the loss."""
    model.train()
    for group in optimiser.param_groups:
        group["lr"] = rate
    sums: dict[str, float] = {}
    shuffled = torch.randperm(len(split), generator=order).numpy()
    for batch in batches(split, config.batch_size, config.device, shuffled):
        output = model(*batch.inputs)
        # Before the loss, which would reject such probabilities in words that help nobody.
        check_finite([output.video_prob], config)
        terms = model.loss(output, *batch.labels)
        optimiser.zero_grad()
        terms["total"].backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.gradient_norm)
        optimiser.step()
        for name, term in terms.items():
            sums[name] = sums.get(name, 0.0) + term.item() * len(batch.weak)
    check_finite([*model.parameters(), torch.tensor(sums["total"])], config)
    return {name: total / len(split) for name, total in sums.items()}


def plain_training(
    model: LINK, optimiser: torch.optim.Optimizer, dataset: Dataset, config: TrainingConfig
) -> tuple[Callable, Callable]:
    """:func:`train_epoch` of a rate and an order, and the scores of the validation split."""

    train = Videos(dataset.train, config.device)
    val = Videos(dataset.val, config.device, INPUTS)

    def run_epoch(rate: float, order: torch.Generator) -> dict[str, float]:
        return train_epoch(model, optimiser, train, config, rate, order)

    return run_epoch, lambda: evaluate(model, val)


def fast_training(
    model: LINK, optimiser: torch.optim.Optimizer, dataset: Dataset, config: TrainingConfig
) -> tuple[Callable, Callable]:
    """The same in less time (`link.fast`, which stands on this module)."""
    from link.fast import FastTraining

    fast = FastTraining(model, optimiser, dataset, config)
    return fast.epoch, fast.validate


def check_finite(tensors: Iterable[Tensor], config: TrainingConfig) -> None:
    """Raise TrainingError if the training has diverged to infinities or NaN."""
    # By the norm of all of them, so that a GPU is waited for once.
    if not nn.utils.get_total_norm(tensors).isfinite():
        raise TrainingError(
            "the training diverged, its numbers are no longer finite; lower the learning rate "
            f"({config.learning_rate})"
        )


def learning_rate(epoch: int, config: TrainingConfig) -> float:
    """The rate of an epoch, counted from 1: a line up to the peak, then a cosine down to the end.

    As in VALOR's code: epoch e of w warm-up epochs has e / w of the peak, epoch w the peak, and
    the last epoch the final rate.
    """
    peak, final, warmup = config.learning_rate, config.final_learning_rate, config.warmup_epochs
    if epoch < warmup:
        return epoch / warmup * peak
    progress = (epoch - warmup) / max(1, config.epochs - warmup)
    return final + 0.5 * (peak - final) * (1 + math.cos(math.pi * progress))


def make_optimiser(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW without weight decay on scalars, which mean something at their own value."""
    scalars = [p for p in model.parameters() if p.ndim == 0]
    others = [p for p in model.parameters() if p.ndim > 0]
    return adamw(others, scalars, config)


def adamw(
    others: list[Tensor], scalars: list[Tensor], config: TrainingConfig
) -> torch.optim.AdamW:
    """AdamW as the configuration has it, with weight decay on all but the scalars."""
    return torch.optim.AdamW(
        [{"params": others}, {"params": scalars, "weight_decay": 0.0}],
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        weight_decay=config.weight_decay,
        # The others take roots by MKL, which rounds them otherwise on other processors.
        fused=True,
    )


def fitting_config(dataset: Dataset, **settings) -> LinkConfig:
    """A configuration with the data set's widths; ``settings`` override anything else."""
    split = dataset.train
    widths = {
        "classes": len(dataset.classes),
        "segments": split.audio.shape[1],
        "audio_dim": split.audio.shape[2],
        "visual_dim": split.visual.shape[2],
        "motion_dim": None if split.motion is None else split.motion.shape[2],
    }
    return LinkConfig(**{**widths, **settings})


def check_fit(dataset: Dataset, config: LinkConfig) -> None:
    """Raise TrainingError if a network of this configuration cannot read the data."""
    fitting = fitting_config(dataset)
    for name in ("classes", "segments", "audio_dim", "visual_dim", "motion_dim"):
        wanted, found = getattr(config, name), getattr(fitting, name)
        if wanted != found and not (name == "motion_dim" and wanted is None):
            raise TrainingError(
                f"the network has {name}={wanted}, the data set {dataset.name} {found}"
            )
    if config.plsim and not has_priors(dataset):
        raise TrainingError(
            f"PLSIM reads label-free pseudo-labels and text features, which {dataset.name} lacks; "
            "switch PLSIM off or use a data set that has them"
        )


def check_splits(dataset: Dataset) -> None:
    """Raise TrainingError if there is nothing to train on, to select on or to evaluate on."""
    for name, split in dataset.splits().items():
        if not len(split):
            raise TrainingError(f"{dataset.name} has no video in its {name} split; add some")
        if (split.audio_truth is None) != (split.visual_truth is None):
            raise TrainingError(
                f"{dataset.name} has a segment annotation of one modality alone in its {name} "
                "split; add the other, or leave both out"
            )


def has_priors(dataset: Dataset) -> bool:
    """Whether a data set has what PLSIM needs."""
    parts = (dataset.train.audio_prior, dataset.train.visual_prior)
    return all(part is not None for part in (*parts, dataset.audio_text, dataset.visual_text))


def build(config: LinkConfig, dataset: Dataset) -> LINK:
    """An untrained network, with the data set's text features if PLSIM is on."""
    if not config.plsim:
        return LINK(config)
    texts = (np.array(text) for text in (dataset.audio_text, dataset.visual_text))
    return LINK(config, *map(torch.from_numpy, texts))


def best_epoch(history: list[dict]) -> int:
    """The epoch, counted from 1, that the validation split prefers; the first among equals."""
    return 1 + max(range(len(history)), key=lambda epoch: selection(history[epoch])[1])


def selection(record: dict) -> tuple[str, float]:
    """The score by which an epoch is chosen, by name, from the epoch's record."""
    name = SELECTION_SCORE if SELECTION_SCORE in record["val"] else VIDEO_SCORE
    return name, record["val"][name]


def scalar_parameters(model: nn.Module) -> dict[str, float]:
    """Every parameter that is a single number, by name: TSAM's alpha and beta, S-LOSS's mu."""
    return {name: p.item() for name, p in model.named_parameters() if p.ndim == 0}


def clone_weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def random_states(order: torch.Generator, device: str) -> dict[str, Tensor]:
    """All that the next epochs draw from: the order of videos, and dropout on the device."""
    states = {"order": order.get_state(), "cpu": torch.get_rng_state()}
    if torch.device(device).type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_random_states(order: torch.Generator, states: dict[str, Tensor], device: str) -> None:
    order.set_state(states["order"])
    torch.set_rng_state(states["cpu"])
    if "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
