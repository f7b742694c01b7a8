import warnings
from fractions import Fraction

import av
import numpy as np
import pytest
from videos import (
    FFMPEG,
    PICKS,
    Picture,
    Sound,
    at_eight_per_second,
    barcode,
    needs_ffmpeg,
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
from link.media import SAMPLE_RATE, read_clip, read_windows


@needs_ffmpeg
@pytest.mark.parametrize(
    "name, layout, rate, codec",
    [
        ("stereo.mp4", "stereo", 44_100, "aac"),
        ("surround.mp4", "5.1", 48_000, "aac"),
        ("surround.mkv", "5.1", 44_100, "flac"),
        ("quiet.mov", "mono", 22_050, "pcm_s24le"),
        ("float.mov", "stereo", 44_100, "pcm_f32le"),
        ("opus.webm", "stereo", 48_000, "libopus"),
    ],
)
def test_the_sound_is_what_librosa_hears(name, layout, rate, codec, tmp_path):
    librosa = pytest.importorskip("librosa")
    channels = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
    noise = np.random.default_rng(0).uniform(-0.2, 0.2, (channels, 2 * rate))
    sound = Sound(noise.astype(np.float32), rate, codec, layout)
    path = write_video(tmp_path / name, None, sound)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected, _ = librosa.load(path, sr=SAMPLE_RATE)
    waveform = read_clip(path).waveform
    assert len(waveform) == len(expected)
    # Decoders of different age may round the last of 16 bits differently, never more.
    lossy = codec in ("aac", "libopus")
    np.testing.assert_allclose(waveform, expected, rtol=0, atol=2 / 32768 if lossy else 0)


@pytest.mark.parametrize("layout, channels", [("mono", 1), ("stereo", 2), ("5.1", 6)])
def test_channels_are_averaged(layout, channels, tmp_path):
    levels = np.linspace(0.1, 0.5, channels)[:, None]
    samples = np.repeat(levels, 24_000, axis=1).astype(np.float32)
    sound = Sound(samples, codec="pcm_s16le", layout=layout)
    waveform = read_clip(write_video(tmp_path / "levels.mkv", None, sound)).waveform
    np.testing.assert_allclose(waveform, levels.mean(), atol=1e-4)


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
def test_every_sample_format_comes_out_at_the_same_level(codec, tmp_path):
    sound = Sound(np.full((1, 24_000), -0.25, np.float32), codec=codec)
    waveform = read_clip(write_video(tmp_path / "level.mov", None, sound)).waveform
    np.testing.assert_allclose(waveform, -0.25, atol=1e-2 if codec == "pcm_u8" else 1e-4)


def test_sound_too_loud_for_sixteen_bits_is_clipped(tmp_path):
    sound = Sound(np.tile([[1.5, -1.5]], 5000).astype(np.float32), codec="pcm_f32le")
    waveform = read_clip(write_video(tmp_path / "loud.mov", None, sound)).waveform
    assert waveform[::2] == pytest.approx(32767 / 32768)
    assert waveform[1::2] == pytest.approx(-1)


# Image corners clockwise from the top left, and what is at them after each turn and mirroring.
_ONE = 65536
_TURNS = {
    "upright": ((1, 0, 0, 1), "ABCD"),
    "mirrored": ((-1, 0, 0, 1), "BADC"),
    "upside down": ((-1, 0, 0, -1), "CDAB"),
    "flipped": ((1, 0, 0, -1), "DCBA"),
    "clockwise": ((0, 1, -1, 0), "DABC"),
    "anticlockwise": ((0, -1, 1, 0), "BCDA"),
    "transposed": ((0, 1, 1, 0), "ADCB"),
    "transversed": ((0, -1, -1, 0), "CBAD"),
}
_COLOURS = {"A": (255, 0, 0), "B": (0, 255, 0), "C": (0, 0, 255), "D": (255, 255, 255)}


@pytest.mark.parametrize("turn", _TURNS)
def test_a_picture_is_turned_upright(turn, tmp_path):
    (a, b, c, d), corners = _TURNS[turn]
    image = np.zeros((48, 96, 3), np.uint8)
    halves = (slice(0, 24), slice(24, 48)), (slice(0, 48), slice(48, 96))
    for corner, (row, column) in zip("ABCD", [(0, 0), (0, 1), (1, 1), (1, 0)], strict=True):
        image[halves[0][row], halves[1][column]] = _COLOURS[corner]
    matrix = [a * _ONE, b * _ONE, 0, c * _ONE, d * _ONE, 0, 0, 0, 1 << 30]
    picture = steady(1, 25, images=[image] * 25, matrix=matrix)
    path = write_video(tmp_path / "turned.mp4", picture)
    frame = read_clip(path).frames[5].astype(int)
    high, wide = frame.shape[:2]
    assert (high, wide) == ((96, 48) if a == 0 else (48, 96))
    assert probe(path).size == (96, 48)
    found = [frame[y, x] for y, x in [(8, 8), (8, wide - 8), (high - 8, wide - 8), (high - 8, 8)]]
    for colour, corner in zip(found, corners, strict=True):
        np.testing.assert_allclose(colour, _COLOURS[corner], atol=12, err_msg=corner)
    mirrored = a * d - b * c < 0
    if FFMPEG and not mirrored:  # before version 5 it does not follow mirrorings
        np.testing.assert_array_equal(frame, at_eight_per_second(path, frame.shape)[5])


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "yuv444p", "gray", "bgr0"])
def test_odd_sizes_and_other_pixels_are_read(pix_fmt, tmp_path):
    images = [np.pad(barcode(index), ((0, 3), (0, 5))) for index in range(50)]
    picture = steady(2, 25, codec="ffv1", pix_fmt=pix_fmt, images=images)
    path = write_video(tmp_path / "odd.mkv", picture)
    clip = read_clip(path)
    assert clip.frames.shape == (10, 51, 69, 3)
    assert probe(path).size == (69, 51)
    assert [number(each[:48, :64]) for each in clip.frames][::9] == [0, 49]


def test_a_hole_in_the_sound_is_silence_and_what_follows_stays_in_time(tmp_path):
    sound = Sound(tones(10), codec="pcm_s16le", gap=(3.0, 6.0))
    path = write_video(tmp_path / "hole.mkv", steady(10, 25, codec="ffv1"), sound)
    sounds = read_clip(path).sounds()
    assert np.abs(sounds[4]).max() == 0
    wanted = [pitch_of(second) for second in (0, 1, 2, 7, 8, 9)]
    assert [pitch(sounds[second]) for second in (0, 1, 2, 7, 8, 9)] == pytest.approx(wanted, abs=3)


@pytest.mark.parametrize("pace", [0.97, 1.03])
def test_sound_follows_its_timestamps_where_they_drift_from_its_samples(pace, tmp_path):
    sound = Sound(tones(30), codec="pcm_s16le", pace=pace)
    path = write_video(tmp_path / "drift.mkv", None, sound)
    last = list(read_windows(path))[-1]
    for segment in (2, 5, 8):
        heard = pitch(last.sounds()[segment][20_000:28_000])
        second = int((last.start + segment + 0.5) / pace)
        assert heard == pytest.approx(pitch_of(second), abs=10)


def overwrite(source, target, kind: str, begin: float, end: float) -> None:
    """Copy an MP4 file with the packets of one track between two seconds overwritten."""
    data = bytearray(source.read_bytes())
    with av.open(source) as container:
        for packet in container.demux():
            if packet.pts is None or packet.stream.type != kind:
                continue
            if begin <= packet.pts * packet.time_base < end:
                data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    target.write_bytes(data)


@pytest.mark.parametrize("kind, what", [("video", "picture"), ("audio", "sound")])
def test_damage_is_tolerated_for_a_moment_and_then_named_with_its_time(kind, what, tmp_path):
    path = tmp_path / "damaged.mp4"
    overwrite(sample("h264_aac.mp4"), path, kind, 2.0, 2.4)
    clip = read_clip(path)
    assert len(clip.waveform) / SAMPLE_RATE == pytest.approx(10, abs=0.05)
    assert pitch(clip.sounds()[7][4800:-4800]) == pytest.approx(pitch_of(7), abs=3)
    assert number(clip.frames[0]) == 0

    overwrite(sample("h264_aac.mp4"), path, kind, 9.4, 11.0)
    assert len(read_clip(path).waveform) / SAMPLE_RATE == pytest.approx(10, abs=0.1)

    overwrite(sample("h264_aac.mp4"), path, kind, 3.0, 9.0)
    assert next(read_windows(sample("h264_aac.mp4"))).seen.all()
    windows = read_windows(path)
    with pytest.raises(MediaError, match=f"damaged.mp4 is damaged: its {what} .* at [34]\\.\\d s"):
        next(windows)

    overwrite(sample("h264_aac.mp4"), path, kind, -1.0, 11.0)
    with pytest.raises(MediaError, match=f"its {what} does not decode at 0\\.\\d seconds"):
        read_clip(path)


def test_a_frame_that_is_gone_is_replaced_by_the_one_before_it_or_missed(tmp_path):
    # What decoding does with frames that were there when the file was probed, and are not now.
    path = tmp_path / "changed.mkv"
    info = probe(write_video(path, steady(10, 25, codec="mpeg4")))
    write_video(path, Picture(list(range(0, 250, 5)), Fraction(1, 25), codec="mpeg4"))
    assert numbers(read_clip(info).frames) == [each // 5 for each in PICKS[25]]
    for stamps, second in [(range(100, 250), r"0\.0"), (range(100), r"4\.\d|5\.\d")]:
        write_video(path, Picture(list(stamps), Fraction(1, 25), codec="mpeg4"))
        with pytest.raises(MediaError, match=f"its picture does not decode at ({second}) seconds"):
            read_clip(info)
