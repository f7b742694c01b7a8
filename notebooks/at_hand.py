"""What the chapters about videos work with: the two encoders and a video, as far as at hand.

Nothing is downloaded behind the reader's back, neither gigabytes of weights nor anybody's video.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
from mini_hub import RANDOM_CLIP, mini_hub, use_mini_hub

from link.encoders import ClapEncoder, ClipEncoder, EncoderError
from link.media import MediaError, probe
from link.weights import cache_only

WIDTH, HEIGHT, FPS, RATE = 320, 180, 25, 48_000
#: When the ball of the drawn video can be seen, and when its tone can be heard, in seconds.
SEEN, HEARD = (2, 7), (4, 9)
#: Without its macroblock tree, by which x264 does not write the same twice.
X264 = {"mbtree": "0"}


def chapter_encoders() -> tuple[ClipEncoder, ClapEncoder]:
    """CLIP and CLAP of VALOR if this machine has their weights, else those of `mini_hub`.

    Says in a sentence which they are.
    """
    try:
        with cache_only():
            encoders = ClipEncoder(), ClapEncoder()
    except EncoderError:
        with use_mini_hub(mini_hub()):
            encoders = ClipEncoder(RANDOM_CLIP), ClapEncoder()
        print(
            "The encoders' weights are not in the Hugging Face cache of this machine, so these\n"
            "are random, and CLIP is a small one: what the two compute below means nothing."
        )
    else:
        print("CLIP and CLAP have their real weights, from the Hugging Face cache.")
    return encoders


def chapter_video() -> Path:
    """The reader's own video, which ``LINK_VIDEO`` names, or the drawn one; says which.

    Raises MediaError for one's own that cannot be read or lacks picture or sound.
    """
    own = os.environ.get("LINK_VIDEO")
    if own:
        info = probe(Path(own).expanduser())
        if not (info.has_video and info.has_audio):
            raise MediaError(f"LINK_VIDEO names {own}: name a video with picture and sound")
        print(f"The video is {info.path.name}, which LINK_VIDEO names.")
        return info.path
    seen, heard = (f"{first} to {last}" for first, last in (SEEN, HEARD))
    print(f"A drawn video: a ball is seen from second {seen}, a tone heard from {heard}.")
    return draw_video(folder() / "ball.mp4")


def draw_video(
    path: Path, seconds: int = 10, picture: bool = True, sound: bool = True, pitch: float = 440
) -> Path:
    """Draws a ball that comes and goes, and a tone that comes later and stays longer.

    After ten seconds both begin again. Without ``picture``, or without ``sound``, the file has no
    such track.
    """
    with av.open(path, "w") as container:
        # A file's header lists its tracks, so all of them come before the first frame.
        video = container.add_stream("libx264", rate=FPS, options=X264) if picture else None
        audio = container.add_stream("aac", rate=RATE, layout="mono") if sound else None
        if video:
            video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            # What more of them write depends on how many there are.
            video.codec_context.thread_count = 1
            for index in range(seconds * FPS):
                frame = av.VideoFrame.from_ndarray(_picture(index / FPS % 10), format="rgb24")
                container.mux(video.encode(frame))
            container.mux(video.encode())
        if audio:
            for frame in _sound_frames(seconds, pitch):
                container.mux(audio.encode(frame))
            container.mux(audio.encode())
    return path


@cache
def folder() -> Path:
    """A folder that goes when the process ends."""
    made = Path(tempfile.mkdtemp(prefix="link-chapter-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def _picture(time: float) -> np.ndarray:
    """A night sky over a meadow and, while it is seen, a ball that bounces across."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:] = np.linspace((14, 22, 58), (62, 92, 150), HEIGHT)[:, None]
    image[HEIGHT * 4 // 5 :] = 46, 92, 58
    first, last = SEEN
    if first <= time < last:
        share = (time - first) / (last - first)
        across = 40 + share * (WIDTH - 80)
        above = 80 * abs(np.sin(np.pi * (time - first)))
        inside = (columns - across) ** 2 + (rows - (HEIGHT * 4 / 5 - 18 - above)) ** 2 < 24**2
        image[inside] = 240, 180, 41
    return image


def _sound_frames(seconds: int, pitch: float) -> Iterator[av.AudioFrame]:
    """A tone with two overtones while it is heard, and faint noise all the time."""
    first, last = HEARD
    noise = np.random.default_rng(0)
    for start in range(0, seconds * RATE, 1024):
        time = np.arange(start, min(start + 1024, seconds * RATE)) / RATE
        there = (time % 10 >= first) & (time % 10 < last)
        tone = there * sum(np.sin(2 * np.pi * pitch * n * time) / n for n in (1, 2, 3))
        wave = 0.15 * tone + noise.normal(0, 0.002, len(time))
        frame = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        yield frame
