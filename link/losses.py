"""The loss: VALOR's terms, the audio-visual semantic similarity and its piecewise weight.

L = BCE(video) + BCE(video, audio) + BCE(video, visual) + L_label + L_similarity, in which

* the first is VALOR's and HAN's: the video's probabilities against its weak label;
* the next two compare what is heard, and what is seen, anywhere in the video with the
  pseudo-labels' maximum over time;
* L_label is VALOR's: every segment against its pseudo-labels, audio and visual;
* L_similarity, S-LOSS, is mean_ij lambda(s_ij) (s_ij - r_ij)^2 over audio segments i and visual
  segments j of a video, with s the cosine of their features and r the overlap of their
  pseudo-labels (after LEAP, Zhou et al., ECCV 2024).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from link.han import ParsingOutput

#: Below this similarity the weight is 1.
DISSIMILAR = -0.2

#: Probabilities are kept this far from 0 and 1, as in VALOR, so that no logarithm is infinite.
PROBABILITY_MARGIN = 1e-7


def piecewise_weight(similarity: Tensor, mu: Tensor | float) -> Tensor:
    """LINK's lambda(s), the weight of a pair of segments by its similarity.

    1 for s <= -0.2; e^|1 - mu| for -0.2 < s < 0; e^|1 - mu| + (1 - e^|1 - mu|) s for s >= 0.
    It is never below 1 for s in [-1, 1], jumps at -0.2, is continuous at 0 and 1 at s = 1.

    Parameters
    ----------
    similarity
        Cosine similarities in [-1, 1], float, of any shape.
    mu
        The learned parameter, a scalar. At exactly 1 the weight is 1 everywhere.

    Returns
    -------
    Tensor
        Of the shape of ``similarity``.
    """
    peak = mu.sub(1).abs().exp() if isinstance(mu, Tensor) else math.exp(abs(1 - mu))
    weight = peak + (1 - peak) * similarity.clamp(min=0)
    return torch.where(similarity <= DISSIMILAR, 1.0, weight)


def segment_similarity(audio: Tensor, visual: Tensor) -> Tensor:
    """Cosine of every audio with every visual segment: twice (B, T, d) to (B, T, T)."""
    return F.normalize(audio, dim=-1) @ F.normalize(visual, dim=-1).mT


def label_overlap(audio_labels: Tensor, visual_labels: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union of the label sets of every audio with every visual segment.

    Parameters
    ----------
    audio_labels, visual_labels
        (B, T, C), 0 or 1.

    Returns
    -------
    overlap, defined : Tensor
        (B, T, T): float in [0, 1], and boolean, false where both sets are empty and the overlap
        has no meaning (it is 0 there).
    """
    audio_labels, visual_labels = audio_labels.float(), visual_labels.float()
    shared = audio_labels @ visual_labels.mT
    sizes = audio_labels.sum(-1, keepdim=True) + visual_labels.sum(-1).unsqueeze(1)
    union = sizes - shared
    return shared / union.clamp(min=1), union > 0


def similarity_agreement(
    similarity: Tensor, overlap: Tensor, defined: Tensor
) -> tuple[float, float]:
    """How well similarities follow label overlaps: two Pearson correlations.

    Parameters
    ----------
    similarity, overlap
        Float (B, T, T), of :func:`segment_similarity` and :func:`label_overlap`.
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


def similarity_loss(
    audio: Tensor,
    visual: Tensor,
    audio_labels: Tensor,
    visual_labels: Tensor,
    mu: Tensor | float,
    keep_weight: bool = False,
) -> Tensor:
    """S-LOSS: mean_ij lambda(s_ij) (s_ij - r_ij)^2.

    The similarity inside lambda carries no gradient. Since the squared error is never negative,
    gradient descent can only lower lambda, which pulls ``mu`` to 1 and the weight to 1 everywhere.
    ``keep_weight`` subtracts log lambda from each term. That makes the loss the negative
    log-likelihood of a Gaussian whose precision is lambda (as in Kendall et al., CVPR 2018), which
    is lowest where the weight is the inverse of the squared error, and not where it vanishes.

    Parameters
    ----------
    audio, visual
        Segment features, float (B, T, d).
    audio_labels, visual_labels
        Pseudo-labels, (B, T, C), 0 or 1. Pairs in which both sets are empty are left out.
    mu
        The parameter of :func:`piecewise_weight`.

    Returns
    -------
    Tensor
        A scalar; zero if no pair has a label.
    """
    similarity = segment_similarity(audio, visual)
    overlap, defined = label_overlap(audio_labels, visual_labels)
    weight = piecewise_weight(similarity.detach(), mu)
    loss = weight * (similarity - overlap).square()
    if keep_weight:
        loss = loss - weight.log()
    return (loss * defined).sum() / defined.sum().clamp(min=1)


def parsing_loss(
    output: ParsingOutput,
    weak: Tensor,
    audio_target: Tensor,
    visual_target: Tensor,
    *,
    unimodal_terms: bool = True,
    mu: Tensor | None = None,
    keep_weight: bool = False,
) -> dict[str, Tensor]:
    """Return the terms of the loss, and their sum as ``total``.

    Parameters
    ----------
    output
        What the network returned for B videos.
    weak
        Weak labels, float (B, C), 0 or 1.
    audio_target, visual_target
        Pseudo-labels filtered by the weak labels, float (B, T, C), 0 or 1.
    unimodal_terms
        Whether to add the two video-level terms of single modalities, which VALOR lacks.
    mu, keep_weight
        S-LOSS is added if ``mu`` is given; see :func:`similarity_loss`.

    Returns
    -------
    dict
        Scalars ``video``, ``label``, and where they are on ``video_audio``, ``video_visual`` and
        ``similarity``; ``total``.
    """
    terms = {
        "video": _probability_loss(output.video_prob, weak),
        "label": F.binary_cross_entropy_with_logits(output.segment_logits[:, :, 0], audio_target)
        + F.binary_cross_entropy_with_logits(output.segment_logits[:, :, 1], visual_target),
    }
    if unimodal_terms:
        terms["video_audio"] = _probability_loss(output.audio_prob, audio_target.amax(dim=1))
        terms["video_visual"] = _probability_loss(output.visual_prob, visual_target.amax(dim=1))
    if mu is not None:
        terms["similarity"] = similarity_loss(
            output.audio, output.visual, audio_target, visual_target, mu, keep_weight
        )
    terms["total"] = sum(terms.values())
    return terms


def _probability_loss(probability: Tensor, target: Tensor) -> Tensor:
    clamped = probability.clamp(PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN)
    return F.binary_cross_entropy(clamped, target)


def _correlation(x: Tensor, y: Tensor) -> float:
    if len(x) == 0 or x.min() == x.max() or y.min() == y.max():
        return math.nan
    return torch.corrcoef(torch.stack([x, y]).double())[0, 1].item()
