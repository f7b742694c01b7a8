"""PLSIM: the text of a segment's pseudo-labels as a prior on its features."""

import torch
from torch import Tensor, nn


class PLSIM(nn.Module):
    """Pseudo-label semantic interaction of one modality: F = f * gamma1 + gamma2 + f.

    gamma1 and gamma2 are two multi-layer perceptrons of the text feature of the segment's
    pseudo-labels, their mean where there are several and zero where there is none. Both end in a
    layer that starts at zero, so that the module starts as the identity.

    Parameters
    ----------
    hidden
        Width d of the features.
    text
        Text features of the class captions, float (C, text_dim). They are kept with the weights
        and not trained.
    """

    def __init__(self, hidden: int, text: Tensor):
        super().__init__()
        self.register_buffer("text", torch.as_tensor(text, dtype=torch.float32))
        self.gamma1 = _mlp(self.text.shape[1], hidden)
        self.gamma2 = _mlp(self.text.shape[1], hidden)

    def forward(self, features: Tensor, prior: Tensor) -> Tensor:
        """Modulate features (B, T, d) by the label-free pseudo-labels (B, T, C), in [0, 1]."""
        text = label_text(prior, self.text)
        return features * self.gamma1(text) + self.gamma2(text) + features


def label_text(prior: Tensor, text: Tensor) -> Tensor:
    """Mean text feature of each segment's pseudo-labels: (B, T, C), (C, D) to (B, T, D)."""
    prior = prior.to(text.dtype)
    return prior @ text / prior.sum(dim=-1, keepdim=True).clamp(min=1)


def _mlp(text_dim: int, hidden: int) -> nn.Sequential:
    mlp = nn.Sequential(nn.Linear(text_dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
    nn.init.zeros_(mlp[-1].weight)
    nn.init.zeros_(mlp[-1].bias)
    return mlp
