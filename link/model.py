"""LINK: the parts put together, each with a switch of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from link.han import (
    MOTION_DIM,
    AttentivePooling,
    HANEncoder,
    Norm,
    ParsingOutput,
    Projection,
    parse,
)
from link.losses import parsing_loss
from link.plsim import PLSIM
from link.tsam import TSAM

if TYPE_CHECKING:
    from link.about import About

#: What VALOR++ lacks of LINK. These are its three parts, and terms and forms of its loss.
VALOR_SWITCHES = MappingProxyType(
    dict.fromkeys(("tsam", "s_loss", "plsim", "unimodal_terms", "keep_weight"), False)
)

#: A segment, and a video, is said to hold an event from this probability on, as in HAN and VALOR.
DECISION_THRESHOLD = 0.5


@dataclass(frozen=True)
class LinkConfig:
    """What a LINK network is made of. The sizes' defaults are those of VALOR++.

    Attributes
    ----------
    classes, segments
        C and T.
    audio_dim, visual_dim, motion_dim
        Widths of the input features; ``motion_dim`` None for a network without motion features.
    hidden, heads, feed_forward, layers, dropout, norm
        Sizes of the encoder.
    tsam, s_loss, plsim
        The switches of LINK's three parts.
    unimodal_terms
        Whether the loss has the paper's two video-level terms of single modalities.
    keep_weight
        Whether S-LOSS is kept from annealing its weight away (`link.losses.similarity_loss`). The
        paper does not have this; off by default.
    initial_mu
        Where S-LOSS's mu starts. At exactly 1 it never moves (`link.losses.similarity_loss`).
    cross_modal
        Whether the encoder's cross-attention looks at the other modality, as in HAN, or, as a
        control with the same weights, at the own one (`link.han.HANEncoder`).
    """

    classes: int = 25
    segments: int = 10
    audio_dim: int = 768
    visual_dim: int = 768
    motion_dim: int | None = MOTION_DIM
    hidden: int = 256
    heads: int = 8
    feed_forward: int = 1024
    layers: int = 4
    dropout: float = 0.1
    norm: Norm = "post_norm"
    tsam: bool = True
    s_loss: bool = True
    plsim: bool = True
    unimodal_terms: bool = True
    keep_weight: bool = False
    initial_mu: float = 0.0
    cross_modal: bool = True

    @classmethod
    def valor(cls, **sizes) -> "LinkConfig":
        """VALOR++: everything of LINK is off, its loss terms too. ``sizes`` may differ."""
        return cls(**sizes, **VALOR_SWITCHES)


class LINK(nn.Module):
    """Audio-visual video parsing with LINK; with all switches off, VALOR's network.

    Parameters
    ----------
    config
        Sizes and switches.
    audio_text, visual_text
        Text features of the class captions, (C, text_dim): CLAP's for the audio, CLIP's for the
        visual side. Needed if, and only if, ``config.plsim``.

    Raises
    ------
    ValueError
        If PLSIM is on and a text feature is missing or has another number of classes.
    """

    def __init__(
        self,
        config: LinkConfig,
        audio_text: Tensor | None = None,
        visual_text: Tensor | None = None,
    ):
        super().__init__()
        c = config
        self.config = config
        self.projection = Projection(c.hidden, c.audio_dim, c.visual_dim, c.motion_dim)
        if c.tsam:
            self.tsam = TSAM(c.segments)
        self.encoder = HANEncoder(
            c.layers, c.hidden, c.heads, c.feed_forward, c.dropout, c.norm, c.cross_modal
        )
        if c.plsim:
            self.plsim_audio = PLSIM(c.hidden, _checked_text(audio_text, "audio", c.classes))
            self.plsim_visual = PLSIM(c.hidden, _checked_text(visual_text, "visual", c.classes))
        self.pooling = AttentivePooling(c.hidden, c.classes)
        if c.s_loss:
            self.mu = nn.Parameter(torch.tensor(float(c.initial_mu)))

    @classmethod
    def from_weights(cls, config: LinkConfig, weights: Mapping[str, Tensor]) -> "LINK":
        """Rebuild a network from its configuration and its state dict, in evaluation mode."""
        text = {f"{m}_text": weights.get(f"plsim_{m}.text") for m in ("audio", "visual")}
        network = cls(config, **text if config.plsim else {})
        network.load_state_dict(weights)
        return network.eval()

    def save_pretrained(self, folder: str | Path, about: "About") -> None:
        """Keep the network as a folder to share, with a model card (`link.pretrained.save`)."""
        from link.pretrained import save

        save(self, folder, about)

    @classmethod
    def from_pretrained(cls, source: str | Path) -> "LINK":
        """A network from a shared folder, a finished run or the hub (`link.pretrained.load`).

        What is known of it, a `link.about.About`, is its attribute ``about``.
        """
        from link.pretrained import load

        network, network.about = load(source)
        return network

    def forward(
        self,
        audio: Tensor,
        visual: Tensor,
        motion: Tensor | None = None,
        audio_prior: Tensor | None = None,
        visual_prior: Tensor | None = None,
    ) -> ParsingOutput:
        """Parse B videos of T segments.

        Parameters
        ----------
        audio, visual, motion
            Features, float (B, T, audio_dim), (B, T, visual_dim), (B, T, motion_dim).
        audio_prior, visual_prior
            Pseudo-labels made without any label, (B, T, C) in [0, 1]; needed by PLSIM, not used
            without it. Pseudo-labels filtered by the weak label do not belong here: at test time
            they would hand the network the answer.

        Returns
        -------
        ParsingOutput
            Its features are the encoder's output, before PLSIM; S-LOSS compares those.
        """
        audio, visual = self.projection(audio, visual, motion)
        if self.config.tsam:
            audio, visual = self.tsam(audio, visual)
        encoded = audio, visual = self.encoder(audio, visual)
        if self.config.plsim:
            if audio_prior is None or visual_prior is None:
                raise ValueError("PLSIM is on: pass audio_prior and visual_prior")
            audio = self.plsim_audio(audio, audio_prior)
            visual = self.plsim_visual(visual, visual_prior)
        return parse(self.pooling, audio, visual, encoded)

    def loss(
        self, output: ParsingOutput, weak: Tensor, audio_target: Tensor, visual_target: Tensor
    ) -> dict[str, Tensor]:
        """The terms of the loss that the configuration asks for (`link.losses.parsing_loss`)."""
        return parsing_loss(
            output,
            weak,
            audio_target,
            visual_target,
            unimodal_terms=self.config.unimodal_terms,
            mu=self.mu if self.config.s_loss else None,
            keep_weight=self.config.keep_weight,
        )


def decide(output: ParsingOutput) -> tuple[Tensor, Tensor]:
    """Decide which events are heard and which are seen: two boolean tensors (B, T, C).

    As in HAN and VALOR, a segment holds an event if its own probability and that of the whole
    video both reach 0.5.
    """
    in_video = (output.video_prob >= DECISION_THRESHOLD).unsqueeze(1)
    audio, visual = (output.segment_prob >= DECISION_THRESHOLD).unbind(dim=2)
    return audio & in_video, visual & in_video


def _checked_text(text: Tensor | None, modality: str, classes: int) -> Tensor:
    if text is None:
        raise ValueError(f"PLSIM is on: pass {modality}_text, the captions' text features")
    if len(text) != classes:
        raise ValueError(f"{modality}_text has {len(text)} rows for {classes} classes")
    return torch.as_tensor(text)
