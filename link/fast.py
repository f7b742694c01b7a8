"""The training epoch of `link.training` in less time: the same steps, computed in another way.

For networks of VALOR++'s size. Against the plain epoch, which stays the one to read:

- self-attention and cross-modal attention are computed side by side in one product each;
- on a CPU, dropout's masks come from a generator that is several times faster than torch's;
- the optimiser is a fused one, and losses are added up on the device, so nothing waits for them;
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

from link.dataset import Split
from link.han import HANLayer
from link.inference import batches
from link.model import LINK
from link.training import TrainingConfig, check_finite

Dropout = Callable[[Tensor], Tensor]


def fast_epoch(
    model: LINK,
    optimiser: torch.optim.Optimizer,
    split: Split,
    config: TrainingConfig,
    rate: float,
    order: torch.Generator,
) -> dict[str, float]:
    """One pass over the split; takes and returns what `link.training.train_epoch` does."""
    model.train()
    for group in optimiser.param_groups:
        group["lr"] = rate
    device = torch.device(config.device)
    # Drawn from torch's generator, whose state a run keeps: so a resumed run has the same masks.
    dropout = make_dropout(model.config.dropout, device, seed=int(torch.randint(2**31, ())))
    sums: dict[str, Tensor] = {}
    shuffled = torch.randperm(len(split), generator=order).numpy()
    with fast_layers(model, dropout):
        for batch in batches(split, config.batch_size, config.device, shuffled):
            with torch.autocast(device.type, torch.bfloat16, enabled=config.mode == "half"):
                output = model(*batch.inputs)
            # The losses are in float32: products alone lose little by fewer digits.
            terms = model.loss(type(output)(*(x.float() for x in output)), *batch.labels)
            optimiser.zero_grad()
            terms["total"].backward()
            nn.utils.clip_grad_norm_(model.parameters(), config.gradient_norm)
            optimiser.step()
            for name, term in terms.items():
                sums[name] = sums.get(name, 0.0) + term.detach() * len(batch.weak)
    check_finite([sums["total"], *model.parameters()], config)
    return {name: total.item() / len(split) for name, total in sums.items()}


@contextmanager
def fast_layers(model: LINK, dropout: Dropout) -> Iterator[None]:
    """Within, the layers of the model's encoder are `FastLayer`s; its parameters stay the same."""
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

        def split(projected: Tensor) -> Tensor:
            return projected.view(videos, segments, heads, -1).transpose(1, 2)

        # Of the features themselves: all three of self-attention, and the other's query.
        weight = torch.cat([within.in_proj_weight, across.in_proj_weight[:hidden]])
        bias = torch.cat([within.in_proj_bias, across.in_proj_bias[:hidden]])
        query, key, value, asked = functional.linear(own, weight, bias).chunk(4, dim=-1)
        weight, bias = across.in_proj_weight[hidden:], across.in_proj_bias[hidden:]
        other_key, other_value = functional.linear(other, weight, bias).chunk(2, dim=-1)

        queries = torch.stack([split(query), split(asked)])
        keys = torch.stack([split(key), split(other_key)])
        values = torch.stack([split(value), split(other_value)])
        scaled = queries @ keys.transpose(-1, -2) * (hidden // heads) ** -0.5
        attended = self.dropout(scaled.softmax(dim=-1)) @ values
        attended = attended.transpose(2, 3).reshape(2, videos, segments, hidden)
        return self.dropout(within.out_proj(attended[0])) + self.dropout(
            across.out_proj(attended[1])
        )


def make_dropout(rate: float, device: torch.device, seed: int) -> Dropout:
    """Dropout at this rate: torch's own on a GPU, on a CPU one whose masks are drawn faster."""
    if rate == 0 or device.type != "cpu":
        return nn.Dropout(rate)
    random = np.random.Generator(np.random.SFC64(seed))
    # The share of 16-bit numbers below this is the rate to five digits.
    bound = round(rate * 2**16)

    def dropout(features: Tensor) -> Tensor:
        drawn = np.frombuffer(random.bytes(2 * features.numel()), np.uint16)
        kept = torch.from_numpy(drawn >= bound).view(features.shape)
        return torch.where(kept, features * (1 / (1 - rate)), features.new_zeros(()))

    return dropout
