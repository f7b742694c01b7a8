"""The two teachers: CLIP for what is seen, CLAP for what is heard, both for text.

Pictures, sounds and captions become points in a space that the caption shares; a logit is the
scaled cosine of the two. Both follow VALOR (arXiv 2305.17343), whose published features they
reproduce, and run through the models' own libraries, open_clip and laion_clap.

Embeddings are float32 and of length 1. Computation is in single precision on a CPU and, unless
asked otherwise, in half precision on a GPU. Needs the extra `encoders`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from link.clap_input import clap_input, ten_seconds
from link.teachers import CLAP, CLIP, load_clap, load_clip
from link.weights import EncoderError, pick_device

__all__ = ["ClapEncoder", "ClipEncoder", "EncoderError"]

Item = TypeVar("Item")


class _Teacher:
    """What the two have in common."""

    def __init__(
        self,
        network: nn.Module,
        logit_scale: Tensor,
        device: torch.device,
        batch_size: int | None,
        half: bool,
    ) -> None:
        on_gpu = device.type == "cuda"
        self.network = network
        self.logit_scale = logit_scale.exp().item()
        self.device = device
        # Larger batches are no faster on a CPU, and take memory.
        self.batch_size = batch_size or (32 if on_gpu else 8)
        self.half = half and on_gpu

    def logits(self, embeddings: np.ndarray, text: np.ndarray) -> np.ndarray:
        """Scaled cosines of embeddings (..., D) and captions (C, D): float32 (..., C)."""
        return np.float32(self.logit_scale) * (embeddings @ text.T)

    def _precision(self) -> AbstractContextManager:
        if not self.half:
            return nullcontext()
        return torch.autocast(self.device.type, torch.float16)

    def _run(
        self, items: Iterable[Item], encode: Callable[[list[Item]], Tensor], width: int
    ) -> np.ndarray:
        """`encode`, batch after batch, to float32 (N, width); the items need not fit in memory."""
        with torch.inference_mode():
            rows = [encode(batch).float().cpu().numpy() for batch in self._batches(items)]
        return np.concatenate(rows) if rows else np.zeros((0, width), np.float32)

    def _batches(self, items: Iterable[Item]) -> Iterator[list[Item]]:
        batch = []
        for item in items:
            batch.append(item)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch:
            yield batch


class ClipEncoder(_Teacher):
    """CLIP, for frames and captions, through open_clip.

    Frames are squashed to the model's square without a crop, as VALOR does: values divided by
    255, bilinear resize without antialiasing (what ``Resize`` did to tensors in the torchvision
    0.13 of VALOR's environment), then the model's mean and deviation.

    Parameters
    ----------
    model
        A name of open_clip's, by default OpenAI's ViT-L/14; or ``hf-hub:<owner>/<name>`` or
        ``local-dir:<folder>`` for one that is described there. Where `weights` is a file of
        OpenAI's, the name must end in ``-quickgelu``: no file tells its activation.
    weights
        A name of open_clip's for weights of that model, or a file. By default OpenAI's, or those
        that the hub or the folder has.
    device
        By default the GPU if there is one.
    batch_size
        Frames, or captions, that are encoded at once; by default 32 on a GPU, else 8.
    half
        Whether a GPU encodes frames in half precision.

    Raises
    ------
    EncoderError
        Where the model or its weights cannot be had or do not fit.
    """

    def __init__(
        self,
        model: str = CLIP,
        weights: str | Path | None = None,
        device: str | torch.device | None = None,
        batch_size: int | None = None,
        half: bool = True,
    ) -> None:
        device = pick_device(device)
        network, self._tokenizer, self.width = load_clip(model, weights, device)
        super().__init__(network, network.logit_scale, device, batch_size, half)
        if weights is None and ":" not in model:
            weights = "openai"
        #: Which weights these are, for the provenance of what they compute.
        self.name = f"open_clip {model} {Path(weights).name if weights else ''}".rstrip()
        side = self.network.visual.image_size
        self._size = (side, side) if isinstance(side, int) else tuple(side)
        self._mean, self._deviation = (
            torch.tensor(colour, device=self.device)[:, None, None]
            for colour in (self.network.visual.image_mean, self.network.visual.image_std)
        )

    def prepare(self, frame: np.ndarray) -> np.ndarray:
        """A frame, uint8 (H, W, 3), as `embed_frames` takes it too: float32 (3, 224, 224).

        For whoever reads large frames ahead of the encoder and would not keep them.
        """
        return self._squash(frame, torch.device("cpu")).numpy()

    def embed_frames(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        """Embeddings of N frames: float32 (N, D), of length 1; D is 768 by default.

        Each frame is RGB, uint8 (H, W, 3), of any size, or what `prepare` made of it.
        """

        def encode(batch: list[np.ndarray]) -> Tensor:
            pictures = torch.stack([self._squash(frame, self.device) for frame in batch])
            with self._precision():
                found = self.network.encode_image((pictures - self._mean) / self._deviation)
            return functional.normalize(found.float(), dim=-1)

        return self._run(frames, encode, self.width)

    def embed_text(self, captions: Sequence[str]) -> np.ndarray:
        """Embeddings of M captions: float32 (M, D), of length 1, in single precision."""

        def encode(batch: list[str]) -> Tensor:
            found = self.network.encode_text(self._tokenizer(batch).to(self.device))
            return functional.normalize(found, dim=-1)

        return self._run(captions, encode, self.width)

    def _squash(self, frame: np.ndarray, device: torch.device) -> Tensor:
        # The copies are for arrays that torch cannot share: mirrored views, read-only ones.
        if frame.dtype == np.float32 and frame.shape == (3, *self._size):
            return torch.from_numpy(frame.copy()).to(device)
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
            raise EncoderError(
                f"a frame is {frame.dtype} {frame.shape}: give uint8 (height, width, 3), or what "
                "prepare made of such"
            )
        picture = torch.from_numpy(frame.copy(order="C")).to(device)
        picture = picture.permute(2, 0, 1)[None].float() / 255
        return functional.interpolate(picture, self._size, mode="bilinear")[0]


class ClapEncoder(_Teacher):
    """LAION-CLAP, for sounds and captions, through laion_clap.

    Waveforms are float (n,), mono, 48 kHz, within [-1, 1], of any length, and are brought into
    the form that `link.clap_input` describes.

    Parameters
    ----------
    weights
        A file, or the name of one in ``lukewys/laion_clap`` on the hub. Size and fusion are told
        from what is in it.
    device
        By default the GPU if there is one.
    batch_size
        Waveforms, or captions, that are encoded at once; by default 32 on a GPU, else 8.
    half
        Whether a GPU encodes sounds in half precision.

    Raises
    ------
    EncoderError
        Where weights or tokenizers cannot be had or do not fit.
    """

    width = 512

    def __init__(
        self,
        weights: str | Path = CLAP,
        device: str | torch.device | None = None,
        batch_size: int | None = None,
        half: bool = True,
    ) -> None:
        device = pick_device(device)
        self._clap = load_clap(weights, device)
        network = self._clap.model
        super().__init__(network, network.logit_scale_a, device, batch_size, half)
        #: Which weights these are, for the provenance of what they compute.
        self.name = f"laion_clap {Path(weights).name}"
        #: The width of the cells of its maps.
        self.map_width: int = network.audio_branch.num_features

    def embed_sounds(self, waveforms: Iterable[np.ndarray]) -> np.ndarray:
        """Embeddings of N waveforms, VALOR's of segments: float32 (N, 512), of length 1."""
        return self._run(
            waveforms, lambda batch: self._project(self._cells(batch).mean(dim=1)), self.width
        )

    def map_sounds(self, waveforms: Iterable[np.ndarray]) -> np.ndarray:
        """The maps that VALOR publishes as audio features, of N clips: float32 (N, 64, 768).

        Each clip, whatever it lasts, is first brought to ten seconds. A map is the output of
        CLAP's audio transformer before it is pooled, 2 frequency x 32 time cells; the cell of
        frequency f and time t is row 32 f + t. Its mean, projected, is the clip's embedding.
        """
        width = self.map_width
        clips = (ten_seconds(_checked(waveform)) for waveform in waveforms)
        flat = self._run(clips, lambda batch: self._cells(batch).flatten(1), 64 * width)
        return flat.reshape(-1, 64, width)

    def project_map(self, pooled: np.ndarray) -> np.ndarray:
        """Nearly the embeddings of segments, from the map of their clip: (..., 768) to (..., 512).

        `pooled` are averages over the cells of each segment, such as the audio features of a
        store. CLAP would pool and project the cells of a sound that holds the segment alone; here
        each cell has seen the whole clip, hence nearly. For the priors of the published features,
        where there are no sounds to go back to. float32, of length 1.
        """
        rows = torch.from_numpy(np.array(pooled.reshape(-1, pooled.shape[-1]), np.float32))
        with torch.inference_mode():
            found = torch.cat([self._project(part).cpu() for part in rows.split(4096)])
        return found.reshape(*pooled.shape[:-1], self.width).numpy()

    def embed_text(self, captions: Sequence[str]) -> np.ndarray:
        """Embeddings of M captions: float32 (M, 512), of length 1, in single precision."""
        return self._run(
            captions,
            lambda batch: self._clap.get_text_embedding(batch, use_tensor=True),
            self.width,
        )

    def _cells(self, waveforms: list[np.ndarray]) -> Tensor:
        """The map (N, 64, 768) of each waveform."""
        branch = self.network.audio_branch
        sounds = [torch.from_numpy(_checked(each)).to(self.device) for each in waveforms]
        # Before precision is halved: the power of a loud sound is more than half a float holds.
        read = clap_input(sounds)
        tokens = []
        watch = branch.norm.register_forward_hook(lambda module, given, out: tokens.append(out))
        try:
            with self._precision():
                branch(read, device=self.device)
        finally:
            watch.remove()
        # The spectrogram was folded into a square: strips of time below one another, each with
        # all of its frequencies. Undo that: (strip, frequency, time in it) to (frequency, time).
        strips = branch.freq_ratio
        side = round(tokens[0].shape[1] ** 0.5)
        square = tokens[0].float().unflatten(1, (strips, side // strips, side))
        return square.transpose(1, 2).flatten(1, 3)

    def _project(self, pooled: Tensor) -> Tensor:
        projected = self.network.audio_projection(pooled.to(self.device))
        return functional.normalize(projected, dim=-1)


def _checked(waveform: np.ndarray) -> np.ndarray:
    if (
        waveform.ndim != 1
        or not len(waveform)
        or not np.issubdtype(waveform.dtype, np.floating)
        or not np.isfinite(waveform).all()
    ):
        raise EncoderError(
            f"a waveform is {waveform.dtype} {waveform.shape}: give finite floats (n,), n above 0"
        )
    return np.array(waveform, np.float32)
