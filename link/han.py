"""The baseline: the hybrid attention network and its attentive pooling.

HAN is the network of Tian et al. (ECCV 2020). VALOR (NeurIPS 2023) widened and deepened it and fed
it CLAP and CLIP features; what is here has VALOR's layers, computes what VALOR's published code
computes, and loads VALOR's published weights.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from link.features import audio_map_matrix

Norm = Literal["post_norm", "pre_norm"]
MOTION_DIM = 512
AUDIO_MAP_CELLS = 64
FRAMES_PER_SEGMENT = 8


class ParsingOutput(NamedTuple):
    """What a parsing network returns for B videos of T segments and C classes (float).

    The modality axis of the segment tensors is audio, visual.
    """

    video_prob: Tensor  #: (B, C) probability that the event occurs in the video at all
    audio_prob: Tensor  #: (B, C) probability that it is heard
    visual_prob: Tensor  #: (B, C) probability that it is seen
    segment_prob: Tensor  #: (B, T, 2, C) probability for each segment and modality
    segment_logits: Tensor  #: (B, T, 2, C) the logits of `segment_prob`
    audio: Tensor  #: (B, T, d) audio features as they come out of the encoder
    visual: Tensor  #: (B, T, d) visual features as they come out of the encoder


class Projection(nn.Module):
    """Project each modality's features to the hidden width; fuse visual and motion features.

    Without motion features (``motion_dim`` None) the visual projection is used as it is.
    """

    def __init__(self, hidden: int, audio_dim: int, visual_dim: int, motion_dim: int | None):
        super().__init__()
        self.audio = nn.Linear(audio_dim, hidden)
        self.visual = nn.Linear(visual_dim, hidden)
        if motion_dim is not None:
            self.motion = nn.Linear(motion_dim, hidden)
            self.fusion = nn.Linear(2 * hidden, hidden)

    def forward(
        self, audio: Tensor, visual: Tensor, motion: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """(B, T, audio_dim), (B, T, visual_dim), (B, T, motion_dim) to twice (B, T, hidden)."""
        projected = self.visual(visual)
        if hasattr(self, "fusion"):
            if motion is None:
                raise ValueError("this network has motion features, but none were given")
            projected = self.fusion(torch.cat([projected, self.motion(motion)], dim=-1))
        return self.audio(audio), projected


class HANLayer(nn.Module):
    """Self-attention and cross-modal attention side by side, then a feed-forward network."""

    def __init__(self, hidden: int, heads: int, feed_forward: int, dropout: float, norm: Norm):
        super().__init__()
        self.pre_norm = norm == "pre_norm"
        self.self_attention = nn.MultiheadAttention(hidden, heads, dropout, batch_first=True)
        self.cross_attention = nn.MultiheadAttention(hidden, heads, dropout, batch_first=True)
        self.expand = nn.Linear(hidden, feed_forward)
        self.contract = nn.Linear(feed_forward, hidden)
        self.norm1 = nn.LayerNorm(hidden)
        self.norm2 = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, own: Tensor, other: Tensor) -> Tensor:
        """Update the features ``own`` by ``other``, both (B, T, hidden)."""
        if self.pre_norm:
            # As in VALOR, the other modality's features enter unnormalised.
            own = own + self._attend(self.norm1(own), other)
            return own + self._feed_forward(self.norm2(own))
        own = self.norm1(own + self._attend(own, other))
        return self.norm2(own + self._feed_forward(own))

    def _attend(self, own: Tensor, other: Tensor) -> Tensor:
        crossed, _ = self.cross_attention(own, other, other, need_weights=False)
        attended, _ = self.self_attention(own, own, own, need_weights=False)
        return self.dropout(crossed) + self.dropout(attended)

    def _feed_forward(self, features: Tensor) -> Tensor:
        return self.dropout(self.contract(self.dropout(self.expand(features).relu())))


class HANEncoder(nn.Module):
    """Layers that both modalities share; the visual update sees the audio update before it.

    Without ``cross_modal`` the cross-attention is turned to the own modality: a control with the
    same weights, in which neither modality sees the other.
    """

    def __init__(
        self,
        layers: int,
        hidden: int,
        heads: int,
        feed_forward: int,
        dropout: float,
        norm: Norm,
        cross_modal: bool = True,
    ):
        super().__init__()
        self.cross_modal = cross_modal
        if norm not in ("post_norm", "pre_norm"):
            raise ValueError(f"norm must be 'post_norm' or 'pre_norm', not {norm!r}")
        self.layers = nn.ModuleList(
            HANLayer(hidden, heads, feed_forward, dropout, norm) for _ in range(layers)
        )
        ends_normalised = norm == "post_norm"
        self.final_norm_audio = nn.Identity() if ends_normalised else nn.LayerNorm(hidden)
        self.final_norm_visual = nn.Identity() if ends_normalised else nn.LayerNorm(hidden)

    def forward(self, audio: Tensor, visual: Tensor) -> tuple[Tensor, Tensor]:
        """Twice (B, T, hidden) to the same."""
        for layer in self.layers:
            audio = layer(audio, visual if self.cross_modal else audio)
            visual = layer(visual, audio if self.cross_modal else visual)
        return self.final_norm_audio(audio), self.final_norm_visual(visual)


class AttentivePooling(nn.Module):
    """Attentive multimodal multiple-instance pooling (Tian et al., section 4.3).

    Each segment of each modality is classified; a softmax over time and one over the modalities
    say how much each of these probabilities counts for the whole video.
    """

    def __init__(self, hidden: int, classes: int):
        super().__init__()
        self.event = nn.Linear(hidden, classes)
        self.segment_attention = nn.Linear(hidden, classes)
        self.modality_attention = nn.Linear(hidden, classes)

    def forward(self, audio: Tensor, visual: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Twice (B, T, hidden) to segment logits (B, T, 2, C), video (B, C), modality (B, 2, C).

        The latter two are probabilities.
        """
        features = torch.stack([audio, visual], dim=2)
        logits = self.event(features)
        over_time = self.segment_attention(features).softmax(dim=1)
        over_modalities = self.modality_attention(features).softmax(dim=2)
        weighted = over_time * logits.sigmoid()
        return logits, (weighted * over_modalities).sum(dim=(1, 2)), weighted.sum(dim=1)


class HAN(nn.Module):
    """Projection, encoder and pooling: VALOR's network, and LINK with every module switched off.

    Parameters
    ----------
    classes, hidden, heads, feed_forward, layers, dropout, norm
        Sizes; the defaults are those of VALOR++.
    audio_dim, visual_dim, motion_dim
        Widths of the input features; ``motion_dim`` None builds a network without them.
    """

    def __init__(
        self,
        classes: int = 25,
        audio_dim: int = 768,
        visual_dim: int = 768,
        motion_dim: int | None = MOTION_DIM,
        hidden: int = 256,
        heads: int = 8,
        feed_forward: int = 1024,
        layers: int = 4,
        dropout: float = 0.1,
        norm: Norm = "post_norm",
    ):
        super().__init__()
        self.projection = Projection(hidden, audio_dim, visual_dim, motion_dim)
        self.encoder = HANEncoder(layers, hidden, heads, feed_forward, dropout, norm)
        self.pooling = AttentivePooling(hidden, classes)

    def forward(
        self, audio: Tensor, visual: Tensor, motion: Tensor | None = None
    ) -> ParsingOutput:
        """(B, T, audio_dim), (B, T, visual_dim), (B, T, motion_dim), float, to probabilities."""
        audio, visual = self.encoder(*self.projection(audio, visual, motion))
        return parse(self.pooling, audio, visual)


def parse(
    pooling: AttentivePooling,
    audio: Tensor,
    visual: Tensor,
    encoded: tuple[Tensor, Tensor] | None = None,
) -> ParsingOutput:
    """Pool ``audio`` and ``visual``, (B, T, hidden), and name the results.

    ``encoded`` are the encoder's outputs to report, where they are not what is pooled.
    """
    logits, video_prob, modality_prob = pooling(audio, visual)
    audio_prob, visual_prob = modality_prob.unbind(dim=1)
    encoded = encoded or (audio, visual)
    return ParsingOutput(video_prob, audio_prob, visual_prob, logits.sigmoid(), logits, *encoded)


class ValorHAN(HAN):
    """A HAN that takes VALOR's raw inputs as well as ten-segment features."""

    def __init__(self, **sizes):
        super().__init__(**sizes)
        matrix = torch.from_numpy(audio_map_matrix()).float()
        self.register_buffer("audio_map", matrix, persistent=False)

    def forward(
        self, audio: Tensor, visual: Tensor, motion: Tensor | None = None
    ) -> ParsingOutput:
        """Parse (B, 64 or T, audio_dim), (B, 80 or T, visual_dim) and (B, T, 512), float.

        64 audio rows are the cells of CLAP's map, collapsed by its fixed 10 x 64 matrix; 80 visual
        rows are frames, eight a segment, which VALOR averages after a linear projection and which
        may as well be averaged before it.
        """
        if audio.shape[1] == AUDIO_MAP_CELLS:
            audio = self.audio_map @ audio
        if visual.shape[1] == FRAMES_PER_SEGMENT * len(self.audio_map):
            visual = visual.unflatten(1, (-1, FRAMES_PER_SEGMENT)).mean(dim=2)
        return super().forward(audio, visual, motion)


#: Where VALOR's parameters live in ours.
VALOR_NAMES = {
    "fc_prob": "pooling.event",
    "fc_frame_att": "pooling.segment_attention",
    "fc_av_att": "pooling.modality_attention",
    "fc_a": "projection.audio",
    "fc_v": "projection.visual",
    "fc_st": "projection.motion",
    "fc_fusion": "projection.fusion",
    "hat_encoder.final_norm_a": "encoder.final_norm_audio",
    "hat_encoder.final_norm_v": "encoder.final_norm_visual",
    "hat_encoder.layers": "encoder.layers",
    "self_attn": "self_attention",
    "cm_attn": "cross_attention",
    "linear1": "expand",
    "linear2": "contract",
}


def rename_valor(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a VALOR state dict under our names, without the ``module.`` of a parallel run."""
    renamed = {}
    for name, tensor in state_dict.items():
        name = name.removeprefix("module.") + "."
        for theirs, ours in VALOR_NAMES.items():
            if name.startswith(f"{theirs}."):
                name = f"{ours}." + name.removeprefix(f"{theirs}.")
            else:
                name = name.replace(f".{theirs}.", f".{ours}.")
        renamed[name.removesuffix(".")] = tensor
    return renamed


def load_valor(
    state_dict: Mapping[str, Tensor],
    *,
    heads: int = 8,
    norm: Norm = "post_norm",
    **sizes: int,
) -> ValorHAN:
    """Build the network of a published VALOR checkpoint and load its weights.

    Parameters
    ----------
    state_dict
        As VALOR saves it (``checkpoint_best.pt``; load it with ``torch.load(...,
        weights_only=True)``).
    heads, norm
        What the weights cannot tell. VALOR, VALOR+ and VALOR++ all have 8 heads and post_norm.
    **sizes
        ``hidden_dim``, ``ff_dim``, ``layers``, ``audio_dim`` and ``visual_dim`` are read off the
        weights; given here, they are checked against them. The first two have VALOR's names:
        `HAN` and `link.model.LinkConfig` call them ``hidden`` and ``feed_forward``.

    Returns
    -------
    ValorHAN
        In evaluation mode; it takes VALOR's raw inputs and equals VALOR's network to 1e-5.

    Raises
    ------
    ValueError
        If the weights are not VALOR's, or a size given contradicts them.
    """
    weights = rename_valor(state_dict)
    layers = {int(name.split(".")[2]) for name in weights if name.startswith("encoder.layers.")}
    try:
        classes, hidden = weights["pooling.event.weight"].shape
        found = {
            "hidden_dim": hidden,
            "ff_dim": len(weights["encoder.layers.0.expand.weight"]),
            "layers": len(layers),
            "audio_dim": weights["projection.audio.weight"].shape[1],
            "visual_dim": weights["projection.visual.weight"].shape[1],
        }
        motion_dim = weights["projection.motion.weight"].shape[1]
    except KeyError as missing:
        raise ValueError(f"this is no VALOR checkpoint: it has no {missing}") from None
    for name, size in sizes.items():
        if found.get(name) != size:
            raise ValueError(f"{name}={size} was asked for, but the checkpoint has {found}")
    network = ValorHAN(
        classes=classes,
        audio_dim=found["audio_dim"],
        visual_dim=found["visual_dim"],
        motion_dim=motion_dim,
        hidden=hidden,
        heads=heads,
        feed_forward=found["ff_dim"],
        layers=found["layers"],
        norm=norm,
    )
    if norm == "post_norm":
        # VALOR builds the final norms always and uses them only after pre-norm layers.
        weights = {name: w for name, w in weights.items() if "final_norm" not in name}
    network.load_state_dict(weights)
    return network.eval()
