"""How much of an extraction is the encoders' own work.

The encoders have the architecture of VALOR's, CLIP ViT-L/14 and the audio half of CLAP with
fusion, both in full size, and random weights; CLAP's text half is a miniature, which no extraction
uses. The clips are like LLP's: ten seconds, 640 x 360 at 30 frames a second, H.264 with sound in
AAC, made here of a picture that moves, so that decoding them is as much work as usual.

    python tests/benchmarks/extraction.py
"""

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from unittest.mock import patch

import av
import numpy as np
import torch

from link.encoders import ClapEncoder, ClipEncoder
from link.events import SEGMENTS
from link.extraction import HOP, extract
from link.reading import read_videos
from link.teachers import CLIP
from link.weights import import_library, import_torchvision

WIDTH, HEIGHT, RATE, SOUND_RATE = 640, 360, 30, 44_100


def write_clip(path: Path, seed: int) -> Path:
    """Ten seconds: a window that wanders over a large rough picture, and noise that swells."""
    random = np.random.default_rng(seed)
    rough = _rough_picture(random)
    seconds = np.arange(SEGMENTS * SOUND_RATE) / SOUND_RATE
    swell = 0.2 * (1 + np.sin(2 * np.pi * random.uniform(0.2, 2) * seconds))
    sound = (swell * random.uniform(-1, 1, (2, len(seconds)))).astype(np.float32)
    with av.open(path, "w") as container:
        picture = container.add_stream("libx264", rate=RATE)
        picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        picture.options = {"preset": "veryfast", "crf": "26"}
        track = container.add_stream("aac", rate=SOUND_RATE, layout="stereo")
        for number in range(SEGMENTS * RATE):
            right, down = 200 + 2 * number % 400, round(120 + 100 * np.sin(number / 20))
            image = rough[down : down + HEIGHT, right : right + WIDTH]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            container.mux(picture.encode(frame))
        container.mux(picture.encode())
        for start in range(0, sound.shape[1], 1024):
            block = np.ascontiguousarray(sound[:, start : start + 1024])
            heard = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            heard.sample_rate, heard.pts = SOUND_RATE, start
            heard.time_base = Fraction(1, SOUND_RATE)
            container.mux(track.encode(heard))
        container.mux(track.encode())
    return path


def _rough_picture(random: np.random.Generator) -> np.ndarray:
    """uint8 (720, 1280, 3), as rough at every scale: so are photographs."""
    height, width = 2 * HEIGHT, 2 * WIDTH
    down, right = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    falling = 1 / np.maximum(np.hypot(down, right), 1 / width)
    noise = np.fft.rfft2(random.standard_normal((3, height, width)))
    planes = np.fft.irfft2(noise * falling, (height, width))
    planes = 128 + 50 * planes / planes.std(axis=(1, 2), keepdims=True)
    return planes.clip(0, 255).astype(np.uint8).transpose(1, 2, 0)


@contextlib.contextmanager
def full_size_encoders(device: str) -> Iterator[tuple[ClipEncoder, ClapEncoder]]:
    """CLIP ViT-L/14 and CLAP of random weights; nothing is fetched."""
    sys.path.append(str(Path(__file__).parents[2] / "notebooks"))
    from mini_hub import mini_hub, use_mini_hub

    import_torchvision()
    open_clip = import_library("open_clip")

    def random_clip(model: str, weights: None, device: torch.device) -> tuple:
        network = open_clip.create_model(model, None, device=device).requires_grad_(False).eval()
        return network, None, open_clip.get_model_config(model)["embed_dim"]

    torch.manual_seed(0)
    with use_mini_hub(mini_hub()), patch("link.encoders.load_clip", random_clip):
        yield ClipEncoder(CLIP, device=device), ClapEncoder(device=device)


@contextlib.contextmanager
def remembered(*networks: torch.nn.Module) -> Iterator[list[Callable[[], object]]]:
    """What these are called with meanwhile, as calls that can be made again."""
    calls: list[Callable[[], object]] = []

    def remember(network: torch.nn.Module, given: tuple, named: dict) -> None:
        calls.append(lambda: network.forward(*given, **named))

    hooks = [each.register_forward_pre_hook(remember, with_kwargs=True) for each in networks]
    yield calls
    for hook in hooks:
        hook.remove()


def seconds_of(work: Callable[..., object], *given: object) -> float:
    started = time.perf_counter()
    work(*given)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


@torch.inference_mode()
def again(calls: list[Callable[[], object]], device: str) -> None:
    # On a GPU the encoders compute in half precision.
    with torch.autocast(device, torch.float16, enabled=device == "cuda"):
        for call in calls:
            call()


def extraction(
    folder: Path, device: str = "cpu", clips: int = 2, rounds: int = 2
) -> dict[str, float]:
    """Extracts clips; then the two networks alone, on the very batches that they were given.

    In turns, and the shortest of each counts. So few clips are encoded together, after all of them
    have been read: nothing of the reading hides behind the encoding, as it does among more.
    """
    folder.mkdir(exist_ok=True)
    paths = {f"clip{n}": write_clip(folder / f"clip{n}.mp4", n) for n in range(clips)}
    whole, reading, forward = [], [], []
    with full_size_encoders(device) as (clip, clap):
        # The first time does not count.
        clip.embed_frames([np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * clip.batch_size)
        clap.embed_sounds([np.zeros(SOUND_RATE, np.float32)] * clap.batch_size)
        for turn in range(rounds):
            with remembered(clip.network.visual, clap.network.audio_branch) as calls:
                whole.append(seconds_of(extract, paths, folder / f"turn{turn}", clip, clap))
            forward.append(seconds_of(again, calls, device))
            read = read_videos([*paths.values()], HOP, clip.prepare)
            reading.append(seconds_of(list, read))
    return {
        "extraction, s a clip of ten seconds": min(whole) / clips,
        "extraction, s a clip, reading it alone": min(reading) / clips,
        "extraction, share of the encoders' forward passes": min(forward) / min(whole),
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        print(json.dumps(extraction(Path(temporary)), indent=1))
