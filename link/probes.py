"""Questions to a trained network that its F-scores leave open.

Does it use a part of itself, or would the part serve as well if it had seen another video? When
something happens in one modality only, how often does it claim the same of the other? Are its
features as alike as their labels are? And what has PLSIM learned that a word means?
"""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from link.model import LINK
from link.plsim import PLSIM


@contextmanager
def exchanged(model: LINK, part: str) -> Iterator[None]:
    """Within this context, one part of a network looks at another video than the rest of it.

    Every video of a batch gets what the part makes of the video before it, and the first of the
    last. How far the scores drop says how much the trained network relies on the part's view of
    the video at hand; the idea is that of Breiman's permutation importance (2001). It does not say
    whether a network trained without the part would be worse.

    Parameters
    ----------
    model
        In evaluation mode. It is as before when the context ends.
    part
        ``"temporal attention"`` or ``"spatial attention"``: TSAM's weights; ``"interaction"``: the
        other modality in TSAM's interaction; ``"cross-attention"``: the other modality in every
        layer of the encoder.

    Raises
    ------
    ValueError
        If there is no such part, or this network was built without it.
    """
    if part not in PARTS:
        raise ValueError(f"{part!r} is no part to exchange; there are {', '.join(PARTS)}")
    if part != "cross-attention" and not model.config.tsam:
        raise ValueError(f"this network has no {part}: it was built without TSAM")
    with ExitStack() as hooks:
        for handle in PARTS[part](model):
            hooks.callback(handle.remove)
        yield


def copied_events(
    pred_audio: np.ndarray,
    pred_visual: np.ndarray,
    true_audio: np.ndarray,
    true_visual: np.ndarray,
) -> dict[str, float]:
    """How often an event of one modality only is claimed in the other, in percent.

    Parameters
    ----------
    pred_audio, pred_visual, true_audio, true_visual
        Boolean, (videos, segments, classes).

    Returns
    -------
    dict
        ``heard only, called seen``: of all pairs of a segment and a class that is heard and not
        seen there, the share predicted to be seen. ``seen only, called heard``: the reverse. NaN
        where there is no such pair.
    """
    shares = {}
    for name, claimed, present, absent in (
        ("heard only, called seen", pred_visual, true_audio, true_visual),
        ("seen only, called heard", pred_audio, true_visual, true_audio),
    ):
        alone = present & ~absent
        shares[name] = 100 * float(claimed[alone].mean()) if alone.any() else float("nan")
    return shares


def similarity_agreement(
    similarity: Tensor, overlap: Tensor, defined: Tensor
) -> tuple[float, float]:
    """How well similarities follow label overlaps: two Pearson correlations.

    Parameters
    ----------
    similarity, overlap
        Float (B, T, T), of `link.losses.segment_similarity` and `link.losses.label_overlap`.
    defined
        Boolean (B, T, T): which pairs count.

    Returns
    -------
    all_pairs, within_videos : float
        The correlation over all pairs of all videos, and the mean of the correlations over the
        pairs of each video. The first is high already for who tells videos apart; for the second
        one has to tell segments apart. Videos in which either side is constant have no correlation
        and are left out; NaN if nothing is left.
    """
    chosen = [(s[d], r[d]) for s, r, d in zip(similarity, overlap, defined, strict=True)]
    each = [_correlation(s, r) for s, r in chosen]
    within = [correlation for correlation in each if not math.isnan(correlation)]
    mean = sum(within) / len(within) if within else math.nan
    return _correlation(similarity[defined], overlap[defined]), mean


@torch.no_grad()
def logit_shifts(plsim: PLSIM, classifier: nn.Module, features: Tensor, prior: Tensor) -> Tensor:
    """How a pseudo-label of each class moves the logits of all: (C, C), mean over all segments.

    Parameters
    ----------
    plsim
        PLSIM of one modality.
    classifier
        From features (..., d) to logits (..., C).
    features
        (B, T, d), as they reach PLSIM.
    prior
        The segments' pseudo-labels, float (B, T, C). All but the one in question stay.

    Returns
    -------
    Tensor
        Row c, column k: the logit of k with c among the segment's pseudo-labels, less the logit of
        k without it.
    """

    def logits(label: int, present: float) -> Tensor:
        changed = prior.clone()
        changed[..., label] = present
        return classifier(plsim(features, changed)).mean(dim=(0, 1))

    return torch.stack([logits(c, 1.0) - logits(c, 0.0) for c in range(prior.shape[-1])])


def _temporal(model: LINK) -> Iterator:
    for attention in (model.tsam.audio, model.tsam.visual):
        yield attention.temporal.register_forward_hook(_output_of_another_video)


def _spatial(model: LINK) -> Iterator:
    for attention in (model.tsam.audio, model.tsam.visual):
        yield attention.spatial.register_forward_hook(_output_of_another_video)


def _interaction(model: LINK) -> Iterator:
    yield model.tsam.interaction.register_forward_hook(_interact_with_another_video)


def _cross_attention(model: LINK) -> Iterator:
    for layer in model.encoder.layers:
        yield layer.cross_attention.register_forward_pre_hook(_attend_to_another_video)


PARTS: dict[str, Callable[[LINK], Iterator]] = {
    "temporal attention": _temporal,
    "spatial attention": _spatial,
    "interaction": _interaction,
    "cross-attention": _cross_attention,
}


def _of_another_video(batch: Tensor) -> Tensor:
    return batch.roll(1, dims=0)


def _output_of_another_video(part: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
    return _of_another_video(output)


def _attend_to_another_video(part: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    own, keys, values = inputs
    return own, _of_another_video(keys), _of_another_video(values)


def _interact_with_another_video(part: nn.Module, inputs: tuple, output: tuple) -> tuple:
    audio, visual = inputs
    new_audio, _ = part.forward(audio, _of_another_video(visual))
    _, new_visual = part.forward(_of_another_video(audio), visual)
    return new_audio, new_visual


def _correlation(x: Tensor, y: Tensor) -> float:
    if len(x) == 0 or x.min() == x.max() or y.min() == y.max():
        return math.nan
    return torch.corrcoef(torch.stack([x, y]).double())[0, 1].item()
