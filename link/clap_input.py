"""What CLAP reads of a waveform: a log-mel spectrogram of ten seconds, four times over.

The fusion model of LAION-CLAP takes four spectrograms a waveform. Up to ten seconds the waveform
is repeated as often as it fits, padded with zeros, and the four are the same. A longer one gives
a shrunk overview and three crops. Everything is computed as in the reference code, which needs
torchaudio; the transform is small, and written out here it needs torch alone.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

SAMPLE_RATE = 48_000
#: Samples in the ten seconds that CLAP looks at.
CLIP_SAMPLES = 480_000

_WINDOW = 1024
_HOP = 480
_MELS = 64
_LOWEST, _HIGHEST = 50.0, 14_000.0
_FRAMES = CLIP_SAMPLES // _HOP + 1


def ten_seconds(waveform: np.ndarray) -> np.ndarray:
    """A waveform (n,) as one of 480,000 samples, each the nearest of n, as VALOR does.

    What lasts more or less than ten seconds is so sped up or slowed down.
    """
    return waveform[np.round(np.linspace(0, len(waveform) - 1, CLIP_SAMPLES)).astype(np.int64)]


def clap_input(waveforms: list[Tensor]) -> dict[str, Tensor]:
    """The input of CLAP's audio branch for N waveforms, float (n_i,) at 48 kHz within [-1, 1].

    ``mel_fusion`` is float (N, 4, 1001, 64) decibels and ``longer`` boolean (N, 1), for models
    with fusion; ``waveform`` is float (N, 480000), for models without.

    Above ten seconds the reference draws its three crops at random, one from each third of the
    places there are; here they are the middle ones, so that a sound has one embedding. A model
    without fusion gets the middle ten seconds.
    """
    waveforms = [_quantise(waveform) for waveform in waveforms]
    clips = torch.stack([_fill(waveform) for waveform in waveforms])
    mels = log_mel(clips)[:, None].repeat(1, 4, 1, 1)
    longer = torch.zeros(len(waveforms), 1, dtype=torch.bool)
    for index, waveform in enumerate(waveforms):
        if len(waveform) > CLIP_SAMPLES:
            whole = log_mel(waveform)
            mels[index] = _overview_and_crops(whole)
            longer[index] = len(whole) > _FRAMES
    return {"mel_fusion": mels, "longer": longer, "waveform": clips}


def log_mel(waveforms: Tensor) -> Tensor:
    """Spectrograms in decibels: float (..., n) to (..., n // 480 + 1, 64), n samples at 48 kHz.

    Power of a periodic Hann window of 1024 samples every 480, in 64 triangular bands of the HTK
    scale from 50 to 14,000 Hz, not normalised, floored at -100 dB.
    """
    window = torch.hann_window(_WINDOW, device=waveforms.device)
    flat = waveforms.reshape(-1, waveforms.shape[-1])
    spectrum = torch.stft(flat, _WINDOW, _HOP, window=window, return_complex=True)
    power = spectrum.abs().square().transpose(1, 2) @ _mel_bands().to(waveforms.device)
    decibels = 10 * power.clamp(min=1e-10).log10()
    return decibels.reshape(*waveforms.shape[:-1], *decibels.shape[1:])


@cache
def _mel_bands() -> Tensor:
    """The weight of each frequency in each band, float (513, 64)."""

    def mel(hertz: float) -> float:
        return 2595 * np.log10(1 + hertz / 700)

    corners = 700 * (10 ** (np.linspace(mel(_LOWEST), mel(_HIGHEST), _MELS + 2) / 2595) - 1)
    frequency = np.linspace(0, SAMPLE_RATE / 2, _WINDOW // 2 + 1)[:, None]
    rising = (frequency - corners[:-2]) / np.diff(corners)[:-1]
    falling = (corners[2:] - frequency) / np.diff(corners)[1:]
    return torch.from_numpy(np.minimum(rising, falling).clip(min=0)).float()


def _quantise(waveform: Tensor) -> Tensor:
    """Rounded towards zero to what 16 bits hold, and back: CLAP was trained on such sounds."""
    return (waveform.clamp(-1, 1) * 32767).to(torch.int16).float() / 32767


def _fill(waveform: Tensor) -> Tensor:
    """Exactly ten seconds: the waveform as often as it fits whole and zeros, or its middle."""
    if len(waveform) > CLIP_SAMPLES:
        return waveform[(len(waveform) - CLIP_SAMPLES) // 2 :][:CLIP_SAMPLES]
    filled = waveform.repeat(CLIP_SAMPLES // len(waveform))
    return functional.pad(filled, (0, CLIP_SAMPLES - len(filled)))


def _overview_and_crops(mel: Tensor) -> Tensor:
    """A long spectrogram (frames, 64), shrunk to 1001 frames, and three crops of as many."""
    size = (_FRAMES, _MELS)
    overview = functional.interpolate(mel[None, None], size, mode="bilinear")[0, 0]
    thirds = np.array_split(np.arange(len(mel) - _FRAMES + 1), 3)
    starts = [int(third[len(third) // 2]) if len(third) else 0 for third in thirds]
    return torch.stack([overview, *(mel[start : start + _FRAMES] for start in starts)])
