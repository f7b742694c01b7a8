"""The epochs of `link.training` in less time: the same steps, computed in another way.

For networks of VALOR++'s size. Against the plain epoch, which stays the one to read:

- self-attention and cross-modal attention attend side by side, in one product for both;
- on a CPU, dropout's masks come from a generator that is several times faster than torch's;
- losses are added up on the device, so nothing waits for them;
- on a GPU the data lie on it, and a step is recorded, for each size of batch once, and replayed
  (`link.capture`);
- on request, products are in bfloat16, with weights and losses in float32.

Without dropout the losses are those of the plain epoch up to rounding; with it, other segments are
dropped.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from link.capture import step_taker
from link.dataset import Dataset
from link.han import HANLayer
from link.inference import INPUTS, Batch, Videos, evaluate
from link.model import LINK
from link.training import TrainingConfig, check_finite

Dropout = Callable[[Tensor], Tensor]

#: The probabilities of whole videos in `link.han.ParsingOutput`.
VIDEO_LEVEL = ("video", "audio", "visual")


class FastTraining:
    """Epochs and validation of one network, as `link.training.fit` asks for them.

    What it has on the device, and has recorded there, serves all epochs.

    Parameters
    ----------
    optimiser
        Of the model's parameters. On a GPU it is made ready to be recorded.
    """

    def __init__(
        self,
        model: LINK,
        optimiser: torch.optim.Optimizer,
        dataset: Dataset,
        config: TrainingConfig,
    ) -> None:
        self.model, self.optimiser, self.config = model, optimiser, config
        self.objective = Objective(model, half=config.mode == "half")
        self.train = Videos(dataset.train, config.device)
        self.val = Videos(dataset.val, config.device, INPUTS)
        self.sums = Sums()
        self.take = step_taker(self.train.device)
        rates_on_device(optimiser, self.train.device)

    def epoch(self, rate: float, order: torch.Generator) -> dict[str, float]:
        """One pass over the train split; returns what `link.training.train_epoch` does."""
        self.model.train()
        set_rate(self.optimiser, rate)
        # Drawn from torch's generator, whose state a run keeps: a resumed run has the same masks.
        seed = int(torch.randint(2**31, ()))
        dropout = make_dropout(self.model.config.dropout, self.train.device, seed)
        videos = len(self.train)
        shuffled = self.train.order(torch.randperm(videos, generator=order))
        self.sums.clear()
        with fast_layers(self.model, dropout):
            for start in range(0, videos, self.config.batch_size):
                self.take(self._step, shuffled[start : start + self.config.batch_size])
        means = self.sums.means(videos)
        check_finite([means["total"], *self.model.parameters()], self.config)
        return {name: mean.item() for name, mean in means.items()}

    def validate(self) -> dict[str, float]:
        """The scores of the validation split, as `link.inference.evaluate` has them."""
        with fast_layers(self.model, nn.Identity()), self.objective.precision():
            return evaluate(self.model, self.val)

    def _step(self, chosen: Tensor | np.ndarray) -> None:
        terms = self.objective(self.train.batch(chosen))
        self.optimiser.zero_grad()
        terms["total"].backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_norm)
        self.optimiser.step()
        self.sums.add(terms, len(chosen))


class Objective(nn.Module):
    """A network with its loss, as one module: a batch to the terms of the loss.

    Parameters
    ----------
    half
        Whether products are in bfloat16. The losses are in float32: products alone lose little by
        fewer digits.
    """

    def __init__(self, model: LINK, half: bool) -> None:
        super().__init__()
        self.model, self.half = model, half

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        with self.precision():
            output = self.model(*batch.inputs)
        output = type(output)(*(x.float() for x in output))
        # The loss would reject probabilities that are no numbers in words that help nobody. Logits
        # are none either then, and so the total tells of them when the epoch ends.
        numbers = {f"{x}_prob": getattr(output, f"{x}_prob").nan_to_num(0.5) for x in VIDEO_LEVEL}
        return self.model.loss(output._replace(**numbers), *batch.labels)

    def precision(self) -> torch.autocast:
        """The context in which the network computes."""
        device = next(self.model.parameters()).device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.half)


class Sums:
    """Terms of the loss, added up over videos on the device that they are on."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}

    def clear(self) -> None:
        # In place, since a recorded step adds to the tensors that it was recorded with.
        for total in self.sums.values():
            total.zero_()

    def add(self, terms: dict[str, Tensor], videos: int) -> None:
        for name, term in terms.items():
            term = term.detach()
            self.sums.setdefault(name, torch.zeros_like(term)).add_(term, alpha=videos)

    def means(self, videos: int) -> dict[str, Tensor]:
        return {name: total / videos for name, total in self.sums.items()}


def rates_on_device(optimiser: torch.optim.Optimizer, device: torch.device) -> None:
    """Keep learning rates where a recorded step reads them anew, on a GPU."""
    if device.type != "cuda":
        return
    for group in optimiser.param_groups:
        group["capturable"] = True
        group["lr"] = torch.tensor(float(group["lr"]), device=device)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate, in place where it is a tensor."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


@contextmanager
def fast_layers(model: LINK, dropout: Dropout) -> Iterator[None]:
    """Within, the encoder's layers are of `FastLayer`; the model's parameters stay the same."""
    plain = model.encoder.layers
    model.encoder.layers = nn.ModuleList(FastLayer(layer, dropout) for layer in plain)
    try:
        yield
    finally:
        model.encoder.layers = plain


class FastLayer(HANLayer):
    """What a `link.han.HANLayer` computes, by its own parts, with both attentions side by side."""

    def __init__(self, plain: HANLayer, dropout: Dropout) -> None:
        nn.Module.__init__(self)
        self.pre_norm = plain.pre_norm
        for name, part in plain.named_children():
            setattr(self, name, dropout if part is plain.dropout else part)

    def _attend(self, own: Tensor, other: Tensor) -> Tensor:
        within, across = self.self_attention, self.cross_attention
        videos, segments, hidden = own.shape
        heads = within.num_heads

        # Of all segments in a row: products of two matrices, where networks are stacked as well.
        own, other = own.flatten(0, 1), other.flatten(0, 1)
        widths = hidden, 2 * hidden
        of_own, of_other = zip(
            across.in_proj_weight.split(widths), across.in_proj_bias.split(widths), strict=True
        )
        projected = [
            functional.linear(own, within.in_proj_weight, within.in_proj_bias),
            functional.linear(own, *of_own),
            functional.linear(other, *of_other),
        ]
        # Two attentions, each with its queries, keys and values.
        parts = torch.cat(projected, dim=-1).view(videos, segments, 2, 3, heads, -1)
        queries, keys, values = parts.permute(3, 2, 0, 4, 1, 5).contiguous().unbind()
        scaled = queries @ keys.transpose(-1, -2) * (hidden // heads) ** -0.5
        attended = self.dropout(short_softmax(scaled)) @ values
        attended = attended.transpose(2, 3).reshape(2, videos * segments, hidden)
        last = within.out_proj, across.out_proj
        weights = torch.stack([each.weight for each in last])
        biases = torch.stack([each.bias for each in last])
        found = self.dropout(torch.baddbmm(biases[:, None], attended, weights.mT))
        # No sum, which a GPU's autocast would make of float32.
        kept, crossed = found.unbind()
        return (kept + crossed).view(videos, segments, hidden)

    def _feed_forward(self, features: Tensor) -> Tensor:
        # Dropout before the activation is dropout behind it, and needs no copy of either.
        return self.dropout(self.contract(self.dropout(self.expand(features)).relu_()))


def short_softmax(scores: Tensor) -> Tensor:
    """Softmax over the last axis, of rows so short that torch's own is slow on a CPU."""
    if scores.device.type != "cpu":
        return scores.softmax(dim=-1)
    powers = (scores - scores.detach().amax(dim=-1, keepdim=True)).exp()
    return powers / powers.sum(dim=-1, keepdim=True)


def make_dropout(rate: float, device: torch.device, seed: int) -> Dropout:
    """Dropout at this rate: torch's own on a GPU, on a CPU one whose masks are drawn faster."""
    if rate == 0 or device.type != "cpu":
        return nn.Dropout(rate)
    masks = Masks(rate, seed)

    def dropout(features: Tensor) -> Tensor:
        kept = np.empty(features.shape, bool)
        masks.draw(kept)
        return drop(features, kept, rate)

    return dropout


class Masks:
    """What dropout keeps, from a generator that is several times faster than torch's."""

    def __init__(self, rate: float, seed: int) -> None:
        self.random = np.random.SFC64(seed)
        # The share of 16-bit numbers below this is the rate to five digits.
        self.bound = round(rate * 2**16)

    def draw(self, kept: np.ndarray) -> None:
        """Fill an array of bool, contiguous and of any shape."""
        drawn = self.random.random_raw(-(-kept.size // 4)).view(np.uint16)[: kept.size]
        np.greater_equal(drawn, self.bound, out=kept.reshape(-1))


def drop(features: Tensor, kept: np.ndarray, rate: float) -> Tensor:
    """Dropout with a given mask, bool of the features' shape."""
    scale = 1 / (1 - rate)
    if features.dtype == torch.float32:
        return features * torch.from_numpy(kept * np.float32(scale))
    if features.dtype == torch.bfloat16:
        # By the bits of its 1, since NumPy has no bfloat16 and torch makes it of bool slowly.
        return features * scale * torch.from_numpy(kept * np.uint16(0x3F80)).view(torch.bfloat16)
    return features * scale * torch.from_numpy(kept)
