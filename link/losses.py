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
    At exactly ``mu`` = 1 its gradient is taken to be 0, so there it stays.
    ``keep_weight`` subtracts log lambda from each term. Up to a constant, a term is then twice the
    negative log-likelihood of its error under a Gaussian of precision lambda (as in Kendall et
    al., CVPR 2018): lambda e^2 - log lambda is lowest at lambda = 1 / e^2. So small errors ask for
    a weight above 1. The piecewise weight follows as far as its one ``mu`` lets it.

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
