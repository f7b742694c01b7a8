"""What chapters about videos work with: a drawn video, and encoders that nobody downloads."""

import os
from importlib.util import find_spec

import at_hand
import numpy as np
import pytest
from mini_hub import RANDOM_CLIP, use_mini_hub

from link.media import MediaError, probe, read_clip

SECONDS = np.arange(10)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return at_hand.draw_video(tmp_path_factory.mktemp("drawn") / "ball.mp4")


def within(span: tuple[int, int]) -> np.ndarray:
    return (span[0] <= SECONDS) & (span[1] > SECONDS)


def test_the_drawn_video_is_seen_and_heard_when_it_says(drawn):
    clip = read_clip(drawn)
    red, _, blue = np.moveaxis(clip.frames.astype(int), -1, 0)
    assert np.array_equal((red - blue > 100).any(axis=(1, 2)), within(at_hand.SEEN))
    loud = np.sqrt(np.square(clip.sounds()).mean(axis=1)) > 0.05
    assert np.array_equal(loud, within(at_hand.HEARD))


def test_a_drawn_video_has_the_length_and_the_tracks_asked_for(tmp_path):
    silent = probe(at_hand.draw_video(tmp_path / "silent.mp4", seconds=12, sound=False))
    assert (silent.has_video, silent.has_audio, silent.segments) == (True, False, 12)
    blind = probe(at_hand.draw_video(tmp_path / "blind.mp4", seconds=2, picture=False))
    assert (blind.has_video, blind.has_audio, blind.segments) == (False, True, 2)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be taken away here")
def test_a_video_is_drawn_alike_on_any_number_of_cores(drawn, tmp_path):
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        again = at_hand.draw_video(tmp_path / "again.mp4")
    finally:
        os.sched_setaffinity(0, cores)
    assert again.read_bytes() == drawn.read_bytes()


def test_link_video_names_one_s_own(drawn, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LINK_VIDEO", str(drawn))
    assert at_hand.chapter_video() == drawn
    assert "ball.mp4, which LINK_VIDEO names" in capsys.readouterr().out
    silent = at_hand.draw_video(tmp_path / "silent.mp4", seconds=1, sound=False)
    monkeypatch.setenv("LINK_VIDEO", str(silent))
    with pytest.raises(MediaError, match="picture and sound"):
        at_hand.chapter_video()


@pytest.mark.skipif(
    find_spec("laion_clap") is None or find_spec("open_clip") is None,
    reason="the extra 'encoders' is not installed",
)
def test_without_weights_in_the_cache_they_are_random_and_it_says_so(tmp_path, capsys):
    with use_mini_hub(tmp_path):
        clip, clap = at_hand.chapter_encoders()
    assert RANDOM_CLIP in clip.name and clip.width == clap.map_width == 768
    said = capsys.readouterr()
    assert "random" in said.out and "means nothing" in said.out
    assert "%|" not in said.err


def test_weights_in_the_cache_are_used_and_nothing_is_asked_of_the_network(monkeypatch, capsys):
    constants = pytest.importorskip("huggingface_hub.constants")

    def encoder():
        assert constants.HF_HUB_OFFLINE
        return "real"

    monkeypatch.setattr(at_hand, "ClipEncoder", encoder)
    monkeypatch.setattr(at_hand, "ClapEncoder", encoder)
    assert at_hand.chapter_encoders() == ("real", "real")
    assert "random" not in capsys.readouterr().out
