import itertools
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from videos import (
    FILES,
    PICKS,
    UNEVEN,
    Picture,
    Sound,
    at_eight_per_second,
    barcode,
    ffmpeg,
    needs_ffmpeg,
    needs_old_ffmpeg,
    number,
    numbers,
    pitch,
    pitch_of,
    sample,
    steady,
    tones,
    write_video,
)

from link.containers import MediaError, probe
from link.media import SAMPLE_RATE, read_clip, read_windows, ticks_of
from link.windows import constant_rate, evenly


@pytest.mark.parametrize("name", FILES)
def test_a_clip_has_the_frames_and_the_sound_of_each_second(name):
    clip = read_clip(sample(name))
    rate = round(1 / FILES[name][0].time_base)
    assert clip.frames.shape == (10, 48, 64, 3)
    assert clip.frames.dtype == np.uint8
    # Where the sound begins a few milliseconds before the picture, ticks are that much earlier.
    early = name.endswith((".mkv", ".webm", ".ts"))
    assert numbers(clip.frames) == pytest.approx(PICKS[rate], abs=1 if early else 0)
    assert clip.waveform.dtype == np.float32
    assert 9.98 <= len(clip.waveform) / SAMPLE_RATE <= 10.1
    heard = [pitch(each[4800:-4800]) for each in clip.sounds()]
    assert heard == pytest.approx([pitch_of(second) for second in range(10)], abs=3)
    assert clip.seen.all()
    assert clip.heard.all()


# Of a transport stream ffmpeg counts the ticks from its picture alone, which we do not.
@needs_old_ffmpeg
@pytest.mark.parametrize("name", [each for each in FILES | UNEVEN if not each.endswith(".ts")])
def test_a_clip_has_the_very_frames_that_ffmpeg_would_hand_to_valor(name):
    clip = read_clip(sample(name))
    written = at_eight_per_second(sample(name), clip.frames.shape[1:])
    expected = written[np.round(np.linspace(0, len(written) - 1, 10)).astype(int)]
    assert constant_rate(*ticks_of(probe(sample(name)))).tolist() == numbers(written)
    assert numbers(clip.frames) == numbers(expected)
    if name != "ten_bit.mkv":  # where libraries of different age round differently
        np.testing.assert_array_equal(clip.frames, expected)


@needs_ffmpeg
def test_a_clip_cut_from_a_longer_video_in_either_way_is_sampled_as_by_ffmpeg(tmp_path):
    source = write_video(tmp_path / "long.mp4", steady(16, 25), Sound(tones(16)))
    encoded, copied = tmp_path / "encoded.mp4", tmp_path / "copied.mp4"
    ffmpeg("-ss", 3.71, "-i", source, "-t", 10, "-c:v", "libx264", "-c:a", "aac", encoded)
    ffmpeg("-ss", 3.71, "-i", source, "-t", 10, "-c", "copy", copied)  # makes an edit list
    for path in (encoded, copied):
        clip = read_clip(path)
        written = at_eight_per_second(path, clip.frames.shape[1:])
        assert numbers(clip.frames) == numbers(written[evenly(len(written), 10)])
        assert 90 <= number(clip.frames[0]) <= 93
        assert probe(path).video.start == pytest.approx(0, abs=0.04)


def test_the_transform_is_applied_to_every_frame():
    path = sample("h264_aac.mp4")
    clip = read_clip(path, transform=lambda frame: frame[::2, ::2, 0].astype(np.float16))
    expected = read_clip(path).frames[:, ::2, ::2, 0]
    np.testing.assert_array_equal(clip.frames, expected.astype(np.float16))


def test_a_clip_shorter_or_longer_than_ten_seconds_is_stretched_as_valor_does(tmp_path):
    for seconds in (4, 15):
        sound = Sound(tones(seconds), codec="flac")
        path = write_video(tmp_path / f"{seconds}.mkv", steady(seconds, 25, codec="ffv1"), sound)
        clip = read_clip(path)
        assert numbers(clip.frames)[::9] == [0, 25 * seconds - 1]
        assert np.diff(numbers(clip.frames)) == pytest.approx(2.5 * seconds, abs=7)
        assert clip.sounds().shape == (10, 4800 * seconds)
        assert clip.seen.all()
        assert clip.heard.all()


# ---- windows ----


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """23.4 seconds: 23 segments."""
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    sound = Sound(tones(23.4), codec="flac")
    return write_video(path, steady(23.4, 25, codec="mpeg4"), sound)


@pytest.mark.parametrize("hop, starts", [(5, [0, 5, 10, 13]), (10, [0, 10, 13]), (3, None)])
def test_windows_show_and_sound_like_their_seconds(hop, starts, film):
    windows = list(read_windows(film, hop=hop))
    starts = starts or [0, 3, 6, 9, 12, 13]
    assert [each.start for each in windows] == starts
    assert [each.stop for each in windows] == [*(each + 10 for each in starts[:-1]), 23.4]
    for window in windows:
        assert window.seen.all()
        assert window.heard.all()
        middle = np.array(numbers(window.frames)) / 25 - window.start - np.arange(10)
        assert (middle >= -0.15).all()
        assert (middle <= 1.45).all()
        heard = [pitch(each[6000:-6000]) for each in window.sounds()[:9]]
        wanted = [pitch_of(window.start + second) for second in range(9)]
        assert heard == pytest.approx(wanted, abs=10)
    assert {len(each.waveform) for each in windows[:-1]} == {480_000}
    assert len(windows[-1].waveform) == round(10.4 * SAMPLE_RATE)


def test_a_window_is_what_a_clip_cut_there_would_be(film, tmp_path):
    images = [barcode(index) for index in range(125, 375)]
    sound = Sound(tones(23.4)[5 * SAMPLE_RATE : 15 * SAMPLE_RATE], codec="flac")
    cut = write_video(tmp_path / "cut.mkv", steady(10, 25, codec="mpeg4", images=images), sound)
    window, clip = list(read_windows(film))[1], read_clip(cut)
    assert numbers(window.frames) == numbers(clip.frames)
    np.testing.assert_array_equal(window.waveform, clip.waveform)


def test_a_window_is_the_callers_to_change(film):
    windows = read_windows(film)
    first = next(windows)
    first.waveform[:] = 7
    first.frames[:] = 7
    second = next(windows)
    assert np.abs(second.waveform).max() < 1
    assert numbers(second.frames)[0] == 125


def test_windows_without_overlap_hold_the_whole_sound(tmp_path):
    # A rate that has to be converted, so that a seam between windows would show.
    sound = Sound(tones(30, 44_100), rate=44_100, codec="flac")
    path = write_video(tmp_path / "sound.mkv", None, sound)
    windows = list(read_windows(path, hop=10))
    together = np.concatenate([each.waveform for each in windows])
    np.testing.assert_array_equal(together, read_clip(path).waveform)
    assert [each.frames for each in windows] == [None] * 3


@pytest.mark.parametrize("name", ["h264_44k.mp4", "vp9_opus.webm", "mpeg4_pcm.avi", "film.mp4"])
def test_a_ten_second_video_is_one_window_the_same_as_the_clip(name):
    (window,) = read_windows(sample(name))
    clip = read_clip(sample(name))
    np.testing.assert_array_equal(window.frames, clip.frames)
    np.testing.assert_array_equal(window.waveform, clip.waveform)
    np.testing.assert_array_equal(window.sounds(), clip.sounds())
    assert (
        (window.start, window.stop) == (clip.start, clip.stop) == (0, probe(sample(name)).duration)
    )
    assert window.seen.all()
    assert window.heard.all()


def test_a_short_video_has_segments_of_a_second_and_padding(tmp_path):
    sound = Sound(tones(3.7), codec="flac")
    path = write_video(tmp_path / "short.mkv", steady(3.7, 30, codec="ffv1"), sound)
    assert probe(path).segments == 4
    (window,) = read_windows(path)
    expected = [True] * 4 + [False] * 6
    assert window.seen.tolist() == window.heard.tolist() == expected
    assert numbers(window.frames) == pytest.approx([0, 34, 72, 110] + [0] * 6, abs=4)
    assert not window.frames[4:].any()
    assert window.waveform.shape == (round(3.7 * SAMPLE_RATE),)
    sounds = window.sounds()
    assert sounds.shape == (10, round(0.925 * SAMPLE_RATE))
    assert [pitch(each[9000:-9000]) for each in sounds[:4]] == pytest.approx(
        [pitch_of(second) for second in range(4)], abs=30
    )
    assert not sounds[4:].any()


@pytest.mark.parametrize("seconds", [0.04, 0.3, 1.0])
def test_the_shortest_videos_have_one_segment(seconds, tmp_path):
    sound = Sound(tones(seconds), codec="pcm_s16le")
    path = write_video(tmp_path / "blink.mkv", steady(seconds, 25, codec="ffv1"), sound)
    (window,) = read_windows(path)
    assert window.seen.tolist() == window.heard.tolist() == [True] + [False] * 9
    assert number(window.frames[0]) == 0
    assert read_clip(path).frames.shape == (10, 48, 64, 3)


def test_sound_longer_than_the_picture(tmp_path):
    sound = Sound(tones(24), codec="flac")
    path = write_video(tmp_path / "long.mkv", steady(12.2, 25, codec="ffv1"), sound)
    first, second, third, last = read_windows(path)
    assert first.seen.all()
    assert second.seen.tolist() == [True] * 7 + [False] * 3
    assert numbers(second.frames[[0, 6]]) == pytest.approx([125, 304], abs=3)
    assert third.seen.tolist() == [True] * 2 + [False] * 8
    assert last.start == 14
    assert last.frames is None
    assert not last.seen.any()
    assert all(each.heard.all() for each in (first, second, third, last))


def test_sound_shorter_than_the_picture(tmp_path):
    sound = Sound(tones(12.2), codec="flac")
    path = write_video(tmp_path / "hushed.mkv", steady(24, 25, codec="ffv1"), sound)
    first, second, third, last = read_windows(path)
    assert first.heard.all()
    assert second.heard.tolist() == [True] * 7 + [False] * 3
    assert len(second.waveform) == round(7.2 * SAMPLE_RATE)
    assert third.heard.tolist() == [True] * 2 + [False] * 8
    assert last.waveform is None
    assert last.sounds() is None
    assert all(each.seen.all() for each in (first, second, third, last))


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov"])
def test_what_starts_late_is_padded_and_not_shifted(suffix, tmp_path):
    sound = Sound(tones(8), start=4.0, codec="aac")
    picture = Picture(list(range(160, 300)), Fraction(1, 25))
    path = write_video(tmp_path / f"late.{suffix}", steady(12, 25), sound)
    window = next(read_windows(path))
    assert window.heard.tolist() == [False] * 4 + [True] * 6
    assert not window.waveform[: 4 * SAMPLE_RATE - 2000].any()
    heard = [pitch(each[4800:-4800]) for each in window.sounds()[4:]]
    assert heard == pytest.approx([pitch_of(second) for second in range(6)], abs=3)

    path = write_video(tmp_path / f"blind.{suffix}", picture, Sound(tones(12)))
    window = next(read_windows(path))
    # The picture starts at 6.4 seconds.
    assert window.seen.tolist() == [False] * 6 + [True] * 4
    assert not window.frames[:6].any()
    shown = np.array(numbers(window.frames[6:])) / 25 + 6.4
    assert shown == pytest.approx([6.4, 7.5, 8.7, 9.9], abs=0.35)


def test_slides_are_shown_until_the_next(tmp_path):
    slides = Picture([0, 13, 45], Fraction(1, 1), codec="ffv1")
    path = write_video(tmp_path / "slides.mkv", slides, Sound(tones(50, 8000), 8000, "pcm_s16le"))
    windows = {each.start: each for each in read_windows(path)}
    assert numbers(windows[0].frames) == [0] * 10
    assert numbers(windows[10].frames) == pytest.approx([0] * 3 + [1] * 7, abs=0)
    assert numbers(windows[30].frames) == [1] * 10
    assert probe(path).duration == pytest.approx(50, abs=0.1)


def test_a_long_video_is_read_in_the_memory_of_a_few_windows(tmp_path):
    seconds, late = 900, 400
    silence = Sound(np.zeros((seconds - late) * 8000, np.float32), 8000, "pcm_s16le", start=late)
    images = list(itertools.islice(itertools.cycle([barcode(1), barcode(2)]), seconds))
    picture = steady(seconds, 1, codec="mpeg4", images=images)
    path = write_video(tmp_path / "long.mkv", picture, silence)
    tracemalloc.start()
    try:
        count = sum(
            1 for _ in read_windows(path, transform=lambda frame: np.tile(frame, (4, 4, 1)))
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == seconds // 5 - 1
    # One window is 1.9 MB of sound and 1.5 MB of frames; all of it is 173 MB and 133 MB.
    assert peak < 20e6


def test_a_video_without_sound_or_without_picture_is_read_in_the_one_it_has(tmp_path):
    mute = read_clip(sample("silent.mp4"))
    assert mute.waveform is None
    assert mute.sounds() is None
    assert not mute.heard.any()
    assert numbers(mute.frames) == PICKS[30]
    path = write_video(tmp_path / "sound.flac", None, Sound(tones(10), codec="flac"))
    blind = read_clip(path)
    assert blind.frames is None
    assert not blind.seen.any()
    assert len(blind.waveform) == 480_000


def test_a_long_video_is_no_clip(tmp_path):
    sound = Sound(np.zeros(61 * 8000, np.float32), 8000, "pcm_s16le")
    path = write_video(tmp_path / "long.wav", None, sound)
    with pytest.raises(MediaError, match="lasts 61 seconds, which is no clip: read it in windows"):
        read_clip(path)
    assert len(list(read_windows(path))) == 12


def test_a_hop_beyond_the_window_is_refused_at_once():
    with pytest.raises(ValueError, match="hop is 11 seconds"):
        read_windows(sample("h264_aac.mp4"), hop=11)


def test_windows_after_those_that_are_skipped_are_the_same(tmp_path):
    # At a rate that has to be converted: the sound before still runs through the filter.
    sound = Sound(tones(23.4, 44_100), rate=44_100, codec="flac")
    path = write_video(tmp_path / "film.mkv", steady(23.4, 8), sound)
    every = list(read_windows(path))
    for skip in range(len(every) + 1):
        rest = list(read_windows(path, skip=skip))
        assert [each.start for each in rest] == [each.start for each in every[skip:]]
        for each, expected in zip(rest, every[skip:], strict=True):
            np.testing.assert_array_equal(each.frames, expected.frames)
            np.testing.assert_array_equal(each.waveform, expected.waveform)
            assert each.stop == expected.stop
            assert each.seen.tolist() == expected.seen.tolist()
