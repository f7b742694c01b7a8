"""TSAM: temporal-spatial attention, then cross-modal interaction with learned strengths.

The attention is the channel-then-spatial attention of CBAM (Woo et al., ECCV 2018) with time in
the place of the channels and the feature axis in the place of the image.
"""

import torch
from torch import Tensor, nn

#: Features that the convolution of the spatial attention spans, as in CBAM.
KERNEL = 7
#: The temporal network narrows the segments by this factor; CBAM, with many channels, by more.
REDUCTION = 2

#: Where alpha and beta start. Only their product counts, and were either zero, the other would
#: have no gradient.
INITIAL_STRENGTH = 0.5


class TemporalAttention(nn.Module):
    """A weight for each segment: W(f) = sigmoid(MLP(avg_d f) + MLP(max_d f)), in R^T."""

    def __init__(self, segments: int):
        super().__init__()
        bottleneck = max(1, segments // REDUCTION)
        self.mlp = nn.Sequential(
            nn.Linear(segments, bottleneck), nn.ReLU(), nn.Linear(bottleneck, segments)
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, T, d) to weights (B, T, 1) in (0, 1)."""
        pooled = self.mlp(features.mean(dim=2)) + self.mlp(features.amax(dim=2))
        return pooled.sigmoid().unsqueeze(2)


class SpatialAttention(nn.Module):
    """A weight for each feature: S(f) = sigmoid(conv1d([avg_T f; max_T f])), in R^d."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(2, 1, KERNEL, padding=KERNEL // 2)

    def forward(self, features: Tensor) -> Tensor:
        """(B, T, d) to weights (B, 1, d) in (0, 1)."""
        pooled = torch.stack([features.mean(dim=1), features.amax(dim=1)], dim=1)
        return self.conv(pooled).sigmoid()


class TemporalSpatialAttention(nn.Module):
    """f^ = S(W(f) * f) * (W(f) * f), for one modality."""

    def __init__(self, segments: int):
        super().__init__()
        self.temporal = TemporalAttention(segments)
        self.spatial = SpatialAttention()

    def forward(self, features: Tensor) -> Tensor:
        """(B, T, d) to (B, T, d)."""
        weighted = self.temporal(features) * features
        return self.spatial(weighted) * weighted

    def weights(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """What (B, T, d) features are multiplied by: (B, T, 1) in time, then (B, 1, d)."""
        over_time = self.temporal(features)
        return over_time, self.spatial(over_time * features)


class AdaptiveInteraction(nn.Module):
    """Add to each modality what its segments attend to in the other, by learned strengths.

    f^ac = f^a + alpha2 * softmax(f^a f^v^T) (beta2 * f^v) and
    f^vc = f^v + alpha1 * softmax(f^v f^a^T) (beta1 * f^a), the softmax over the other modality's
    segments. The product under the softmax is scaled by 1 / sqrt(d), as in the Transformer, so
    that it is no sharper for wider features. The paper does not write this.
    """

    def __init__(self):
        super().__init__()
        self.alpha1 = nn.Parameter(torch.tensor(INITIAL_STRENGTH))
        self.beta1 = nn.Parameter(torch.tensor(INITIAL_STRENGTH))
        self.alpha2 = nn.Parameter(torch.tensor(INITIAL_STRENGTH))
        self.beta2 = nn.Parameter(torch.tensor(INITIAL_STRENGTH))

    def forward(self, audio: Tensor, visual: Tensor) -> tuple[Tensor, Tensor]:
        """Twice (B, T, d) to the same."""
        to_visual = cross_attention(audio, visual)
        to_audio = cross_attention(visual, audio)
        return (
            audio + self.alpha2 * (to_visual @ (self.beta2 * visual)),
            visual + self.alpha1 * (to_audio @ (self.beta1 * audio)),
        )

    def strengths(self) -> dict[str, float]:
        """What each modality takes from the other: the products of alpha and beta."""
        return {
            "audio_from_visual": (self.alpha2 * self.beta2).item(),
            "visual_from_audio": (self.alpha1 * self.beta1).item(),
        }


def cross_attention(own: Tensor, other: Tensor) -> Tensor:
    """softmax(own other^T / sqrt(d)): (B, T, d), (B, S, d) to (B, T, S); rows sum to 1."""
    return (own @ other.mT / own.shape[-1] ** 0.5).softmax(dim=-1)


class TSAM(nn.Module):
    """Temporal-spatial attention in each modality, then the adaptive interaction of the two.

    Parameters
    ----------
    segments
        T, the length of every video; the temporal attention is a network over time and cannot
        take another.
    """

    def __init__(self, segments: int):
        super().__init__()
        self.audio = TemporalSpatialAttention(segments)
        self.visual = TemporalSpatialAttention(segments)
        self.interaction = AdaptiveInteraction()

    def forward(self, audio: Tensor, visual: Tensor) -> tuple[Tensor, Tensor]:
        """Twice (B, T, d) to the same."""
        return self.interaction(self.audio(audio), self.visual(visual))
