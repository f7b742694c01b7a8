import itertools
import shutil
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from videos import (
    Picture,
    Sound,
    barcode,
    ffmpeg,
    needs_ffmpeg,
    sample,
    steady,
    tones,
    write_video,
)

from link.containers import MediaError, probe
from link.errors import LinkError
from link.media import Clip, read_clip, read_windows


def test_probe_tells_what_is_there(tmp_path):
    info = probe(sample("h264_aac.mp4"))
    assert (info.has_video, info.has_audio) == (True, True)
    assert info.fps == 30
    assert info.size == (64, 48)
    assert info.duration == pytest.approx(10, abs=0.03)
    assert info.segments == 10
    mute = probe(sample("silent.mp4"))
    assert (mute.has_video, mute.has_audio) == (True, False)
    blind = probe(write_video(tmp_path / "sound.m4a", None, Sound(tones(3))))
    assert (blind.has_video, blind.has_audio) == (False, True)
    assert (blind.fps, blind.size) == (None, None)
    assert blind.segments == 3


def test_times_count_from_the_start_of_the_file():
    info = probe(sample("all_late.mkv"))
    assert info.video.start == pytest.approx(0, abs=0.03)
    assert info.audio.start == pytest.approx(0.4, abs=0.03)
    assert info.duration == pytest.approx(6.4, abs=0.05)


def test_cover_art_is_no_video(tmp_path):
    path = tmp_path / "song.m4a"
    with av.open(path, "w", format="mp4") as container:
        sound = container.add_stream("aac", rate=48_000, layout="mono")
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        samples = av.AudioFrame.from_ndarray(tones(3)[None], format="fltp", layout="mono")
        samples.sample_rate = 48_000
        container.mux([*sound.encode(samples), *sound.encode()])
        image = av.VideoFrame.from_ndarray(barcode(1), format="gray").reformat(format="yuvj420p")
        container.mux([*cover.encode(image), *cover.encode()])
    with av.open(path) as container:
        assert [each.type for each in container.streams] == ["audio", "video"]
    info = probe(path)
    assert (info.has_video, info.has_audio) == (False, True)
    assert read_clip(path).frames is None


def test_of_several_pictures_the_largest_is_read(tmp_path):
    path = tmp_path / "tracks.mkv"
    with av.open(path, "w") as container:
        tracks = [container.add_stream("ffv1", rate=25) for _ in range(3)]
        for track, width in zip(tracks, (32, 64, 48), strict=True):
            track.width, track.height, track.pix_fmt, track.disposition = width, 48, "gray", 0
        for track in tracks:
            frame = av.VideoFrame.from_ndarray(np.zeros((48, track.width), np.uint8), "gray")
            container.mux([*track.encode(frame), *track.encode()])
    assert probe(path).size == (64, 48)
    assert read_clip(path).frames.shape == (10, 48, 64, 3)


def test_a_last_slide_of_unknown_duration_is_no_damage(tmp_path):
    slides = Picture([0, 8, 20], Fraction(1, 1), codec="ffv1")
    path = write_video(tmp_path / "slides.mkv", slides)
    # Let the header announce 30 seconds instead of 21.
    written, announced = struct.pack(">d", 21_000), struct.pack(">d", 30_000)
    path.write_bytes(path.read_bytes().replace(written, announced))
    with av.open(path) as container:
        assert container.duration == 30_000_000
    assert 20 <= probe(path).duration <= 21


@needs_ffmpeg
def test_subtitles_may_last_longest(tmp_path):
    text, path = tmp_path / "text.srt", tmp_path / "subtitles.mkv"
    text.write_text("1\n00:00:01,000 --> 00:00:09,000\nThe end\n")
    video = write_video(tmp_path / "video.mkv", steady(2, 25, codec="ffv1"))
    ffmpeg("-i", video, "-i", text, "-c:v", "copy", "-c:s", "srt", path)
    with av.open(path) as container:
        assert container.duration == 9_000_000
    assert probe(path).duration == 2


def broken_files(folder):
    """Name, and what the message has to say."""
    (folder / "empty.mp4").touch()
    (folder / "words.mp4").write_text("no video\n" * 100)
    (folder / "words.txt").write_text("no video\n" * 100)
    (folder / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(20_000))
    (folder / "list.m3u8").write_text("#EXTM3U\n#EXTINF:10,\nother.ts\n#EXT-X-ENDLIST\n")
    (folder / "words.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nno video\n")
    (folder / "folder.mp4").mkdir()
    with av.open(folder / "photo.png", "w", format="image2") as container:
        still = container.add_stream("png", rate=1)
        still.width, still.height, still.pix_fmt = 64, 48, "gray"
        container.mux(still.encode(av.VideoFrame.from_ndarray(barcode(1), format="gray")))
    return {
        "absent.mp4": "does not exist: check the name",
        "empty.mp4": "is empty: copy or download it again",
        "words.mp4": "cannot be read as video or sound",
        "noise.mp4": "cannot be read as video or sound",
        "words.txt": "give a video file",
        "photo.png": "give a video file",
        "list.m3u8": "",
        "words.srt": "holds neither picture nor sound",
        "folder.mp4": "is no file",
    }


def test_a_file_that_is_no_video_is_named_with_what_is_wrong(tmp_path):
    for name, complaint in broken_files(tmp_path).items():
        for read in (probe, read_clip, read_windows):
            with pytest.raises(MediaError) as raised:
                read(tmp_path / name)
            assert str(raised.value).startswith(str(tmp_path / name)), name
            assert complaint in str(raised.value), name
            assert "\n" not in str(raised.value)
    assert issubclass(MediaError, LinkError)


@pytest.mark.parametrize("name", ["h264_opus.mkv", "vp9_opus.webm", "mpeg4_pcm.avi"])
def test_a_file_that_is_cut_short_is_an_error_that_says_where(name, tmp_path):
    whole = sample(name).read_bytes()
    path = tmp_path / name
    path.write_bytes(whole[: len(whole) * 6 // 10])
    with pytest.raises(MediaError, match=r"is cut short: it breaks off after [3-7]\.\d seconds"):
        probe(path)


def test_an_mp4_file_that_is_cut_short_is_an_error(tmp_path):
    path, streamed = tmp_path / "end.mp4", tmp_path / "start.mp4"
    whole = sample("h264_aac.mp4").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])  # its index, at the end, is lost
    with pytest.raises(MediaError, match=r"end\.mp4"):
        probe(path)
    with av.open(sample("h264_aac.mp4")) as source:
        options = {"movflags": "faststart"}
        with av.open(streamed, "w", options=options) as target:
            tracks = {each: target.add_stream_from_template(each) for each in source.streams}
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = tracks[packet.stream]
                    target.mux(packet)
    whole = streamed.read_bytes()
    streamed.write_bytes(whole[: len(whole) * 6 // 10])  # its index, at the start, is there
    with pytest.raises(MediaError, match=r"start\.mp4 is cut short"):
        probe(streamed)


def test_an_unknown_codec_is_an_error(tmp_path):
    path = tmp_path / "unknown.mp4"
    data = sample("h264_aac.mp4").read_bytes()
    path.write_bytes(data.replace(b"avc1", b"zzzz").replace(b"avcC", b"zzzC"))
    with pytest.raises(MediaError, match="coded in a way that FFmpeg cannot decode"):
        probe(path)


@pytest.mark.parametrize("name", ["a:b.mp4", "100%d %s.mp4", "größe 音.mp4", "http:x.mp4"])
def test_no_name_is_taken_for_anything_but_a_file(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(sample("h264_aac.mp4"), tmp_path / name)
    assert probe(name).segments == 10
    assert read_clip(name).frames is not None


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_is_broken_is_read_or_named(data, tmp_path):
    name = data.draw(st.sampled_from(["h264_aac.mp4", "h264_opus.mkv", "mpeg4_pcm.avi"]))
    content = bytearray(sample(name).read_bytes())
    for _ in range(data.draw(st.integers(1, 20))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path / name
    path.write_bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))])
    try:
        clips = list(itertools.islice(read_windows(path), 5))
    except MediaError as error:
        assert str(path) in str(error)
    else:
        assert all(isinstance(each, Clip) for each in clips)
