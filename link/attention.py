"""Who looks where: the attention weights of a network, caught while it parses."""

import itertools
from contextlib import ExitStack

import numpy as np
import torch
from torch import Tensor, nn

from link.dataset import Split
from link.inference import EVALUATION_BATCH, INPUTS, batches
from link.model import LINK
from link.representations import Caught
from link.tsam import cross_attention


@torch.no_grad()
def attention_weights(
    model: LINK, split: Split, device: str = "cpu"
) -> dict[str, dict[str, np.ndarray]]:
    """Every attention of one segment to others in a split.

    Returns
    -------
    dict
        By place: ``TSAM`` where the network has it, then ``layer 1, cross``, ``layer 1, self`` and
        so on. Each has ``audio`` and ``visual``, by who looks: float32 (N, heads, T, T), rows
        (who looks) sum to 1. TSAM has one head.
    """
    model.eval()
    caught = Caught()

    def interaction(module: nn.Module, inputs: tuple, output: tuple) -> None:
        audio, visual = inputs
        caught.keep(
            "TSAM",
            audio=cross_attention(audio, visual).unsqueeze(1),
            visual=cross_attention(visual, audio).unsqueeze(1),
        )

    def layer_hook(number: int):
        # A layer is used twice for a batch, for audio and then for visual.
        turn = itertools.cycle(("audio", "visual"))

        def hook(layer: nn.Module, inputs: tuple, output: Tensor) -> None:
            modality, (own, other) = next(turn), inputs
            query = layer.norm1(own) if layer.pre_norm else own
            for name, attention, key in (
                ("cross", layer.cross_attention, other),
                ("self", layer.self_attention, query),
            ):
                weights = by_head(attention, query, key)
                caught.keep(f"layer {number}, {name}", **{modality: weights})

        return hook

    with ExitStack() as hooks:
        if model.config.tsam:
            hooks.callback(model.tsam.interaction.register_forward_hook(interaction).remove)
        for number, layer in enumerate(model.encoder.layers, start=1):
            hooks.callback(layer.register_forward_hook(layer_hook(number)).remove)
        for batch in batches(split, EVALUATION_BATCH, device, names=INPUTS):
            model(*batch.inputs)
    return caught.arrays()


def by_head(attention: nn.MultiheadAttention, query: Tensor, key: Tensor) -> Tensor:
    """The weights of each head: (B, T, d), (B, S, d) to (B, heads, T, S); rows sum to 1."""
    _, weights = attention(query, key, key, need_weights=True, average_attn_weights=False)
    return weights


def extra_mass(weights: np.ndarray, own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How much more than an even share segments with an event give to segments with it.

    Parameters
    ----------
    weights
        (N, T, S), rows sum to 1.
    own, other
        When the event is in the modality that looks, boolean (N, T), and in the one looked at,
        boolean (N, S).

    Returns
    -------
    numpy.ndarray
        (N,): over the segments t with the event, the mean of the weight that falls on segments s
        with it, less the share of such segments. Zero is an attention that does not know the
        event. NaN for videos in which there is nothing to choose: no t, no s, or every s.
    """
    mass = (weights * other[:, None]).sum(axis=2) - other.mean(axis=1, keepdims=True)
    rows = own.sum(axis=1)
    choice = (rows > 0) & other.any(axis=1) & ~other.all(axis=1)
    return np.where(choice, (mass * own).sum(axis=1) / np.maximum(rows, 1), np.nan)
