"""Clips are encoded together as each would be by itself, and a store is read as written."""

import json
import shutil

import numpy as np
import pytest
from small_encoders import SmallClap, SmallClip
from videos import Sound, sample, steady, tones, write_video

from link.array_files import write_arrays
from link.clip_features import (
    FORMAT,
    VERSION,
    ClipFeatures,
    encode_clips,
    open_clips,
    verify_clips,
)
from link.dataset import FeatureError
from link.extraction import extract
from link.features import audio_map_matrix, open_store
from link.media import SAMPLE_RATE, Clip, read_windows


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Of a whole clip, one without sound, one without picture, a short one, and one cut short."""
    folder = tmp_path_factory.mktemp("clips")
    files = [
        sample("h264_aac.mp4"),
        write_video(folder / "silent.mp4", steady(10, 8)),
        write_video(folder / "heard.wav", None, Sound(tones(10), codec="pcm_s16le")),
        write_video(folder / "short.mkv", steady(4, 8), Sound(tones(4), codec="flac")),
        write_video(folder / "hushed.mkv", steady(17, 8), Sound(tones(12.2), codec="flac")),
    ]
    return [clip for file in files for clip in read_windows(file, 7)]


def literally(clip: Clip) -> dict[str, np.ndarray]:
    """One clip's features, segment by segment."""
    seer, hearer = SmallClip(), SmallClap()
    audio, sound, visual = np.zeros((10, 5)), np.zeros((10, 8)), np.zeros((10, 12))
    for second in range(10):
        if clip.seen[second]:
            (visual[second],) = seer.embed_frames([clip.frames[second]])
        if clip.heard[second]:
            (sound[second],) = hearer.embed_sounds([clip.sounds()[second]])
    if clip.waveform is not None:
        reached = max(np.flatnonzero(clip.heard)) + 1
        whole = np.zeros(round(len(clip.waveform) * 10 / reached), np.float32)
        whole[: len(clip.waveform)] = clip.waveform
        (cells,) = hearer.map_sounds([whole])
        for second in np.flatnonzero(clip.heard):
            weights = audio_map_matrix()[second]
            audio[second] = sum(weights[cell] * cells[cell] for cell in range(64))
    return {"audio": audio, "sound": sound, "visual": visual}


def test_a_batch_is_encoded_as_each_clip_by_itself(clips):
    features = encode_clips(clips, SmallClip(7), SmallClap(4))
    assert len(features) == len(clips) == 6
    for index, clip in enumerate(clips):
        for name, expected in literally(clip).items():
            found = getattr(features, name)[index]
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, expected, atol=3e-6, err_msg=f"{name} of {index}")
        np.testing.assert_array_equal(features.heard[index], clip.heard)
        np.testing.assert_array_equal(features.seen[index], clip.seen)


def test_the_clips_of_the_test_have_everything_that_may_be_missing(clips):
    assert [int(clip.seen.sum()) for clip in clips] == [10, 10, 0, 4, 10, 10]
    assert [int(clip.heard.sum()) for clip in clips] == [10, 0, 10, 4, 10, 5]


class Listening(SmallClap):
    """Keeps the waveforms of which it makes maps."""

    def map_sounds(self, waveforms):
        self.heard = list(waveforms)
        return super().map_sounds(self.heard)


@pytest.mark.parametrize("heard, missing", [([0, 1, 2, 3], 6), ([3, 4], 5), ([9], 0), ([0], 9)])
def test_a_short_sound_is_filled_up_so_that_a_segment_stays_a_second(heard, missing):
    flags = np.isin(np.arange(10), heard)
    waveform = tones(10 - missing)
    clip = Clip(0, 10, None, waveform, np.zeros(10, bool), flags)
    clap = Listening()
    features = encode_clips([clip], SmallClip(), clap)
    (given,) = clap.heard
    assert len(given) == 10 * SAMPLE_RATE
    np.testing.assert_array_equal(given[: len(waveform)], waveform)
    assert not given[len(waveform) :].any()
    assert (np.abs(features.audio[0]).sum(axis=1) > 0).tolist() == flags.tolist()


# ---- on disk ----


@pytest.fixture
def store(tmp_path):
    """A small store, written by hand: three videos, of 1, 2 and 1 clips, and a bad one."""
    rng = np.random.default_rng(0)
    arrays = {
        "audio": rng.random((4, 10, 5), np.float32),
        "sound": rng.random((4, 10, 8), np.float32),
        "visual": rng.random((4, 10, 12), np.float32),
        "heard": rng.random((4, 10)) < 0.5,
        "seen": rng.random((4, 10)) < 0.5,
        "starts": np.array([0, 0, 7, 0], np.int32),
    }
    header = {
        "format": FORMAT,
        "version": VERSION,
        "hop": 10,
        "encoders": {"audio": "small clap", "visual": "small clip"},
        "logit_scales": {"audio": 20.0, "visual": 100.0},
        "videos": [
            {"name": name, "clips": clips} for name, clips in (("a", 1), ("b", 2), ("c", 1))
        ],
        "failed": [{"name": "bad", "sha256": None, "error": "bad.mp4 is bad"}],
    }
    write_arrays(tmp_path / "clips", header, {name: [array] for name, array in arrays.items()})
    return tmp_path / "clips", arrays


def test_what_was_written_is_opened(store):
    path, arrays = store
    opened = open_clips(path)
    verify_clips(path)
    assert list(opened.arrays()) == list(arrays)
    for name, array in opened.arrays().items():
        np.testing.assert_array_equal(array, arrays[name])
        assert not array.flags.writeable
    assert opened.rows == {"a": slice(0, 1), "b": slice(1, 3), "c": slice(3, 4)}
    assert opened.failed == [{"name": "bad", "sha256": None, "error": "bad.mp4 is bad"}]
    assert opened.logit_scales == {"audio": 20.0, "visual": 100.0}
    assert isinstance(opened.features, ClipFeatures)
    assert (opened.path, opened.hop, len(opened.features)) == (path, 10, 4)


def test_a_store_as_extract_writes_it_is_opened(tmp_path):
    written = extract({"a": sample("h264_aac.mp4")}, tmp_path / "s", SmallClip(), SmallClap())
    (clip,) = read_windows(sample("h264_aac.mp4"))
    for name, expected in literally(clip).items():
        np.testing.assert_allclose(getattr(written.features, name)[0], expected, atol=3e-6)


def change(header):
    def changed(path):
        content = json.loads((path / "store.json").read_text())
        header(content)
        (path / "store.json").write_text(json.dumps(content))

    return changed


@pytest.mark.parametrize(
    ("damaging", "said"),
    [
        (lambda path: (path / "sound.npy").unlink(), "sound.npy: missing"),
        (lambda path: (path / "seen.npy").write_bytes(b"x"), "seen.npy: 1 bytes on disk, 168 in"),
        (lambda path: (path / "store.json").write_text("{"), "store.json: unreadable"),
        (change(lambda header: header.pop("hop")), "store.json: incomplete"),
        (change(lambda header: header["arrays"].pop("seen")), "does not tell of 4 clips"),
        (change(lambda header: header["arrays"].pop("starts")), "does not tell of 4 clips"),
        (change(lambda header: header["videos"].pop()), "does not tell of 3 clips"),
    ],
)
def test_a_damaged_store_is_not_opened(store, damaging, said):
    path, _ = store
    damaging(path)
    with pytest.raises(FeatureError, match=said) as error:
        open_clips(path)
    assert str(path) in str(error.value)
    assert "write the store again" in str(error.value)


def test_altered_content_is_found_by_reading_it(store):
    path, _ = store
    content = bytearray((path / "audio.npy").read_bytes())
    content[-3] ^= 1
    (path / "audio.npy").write_bytes(content)
    open_clips(path)
    with pytest.raises(FeatureError, match=r"audio\.npy: content differs from its checksum"):
        verify_clips(path)


def test_something_else_is_refused_with_what_to_do(store, tmp_path):
    path, _ = store
    (tmp_path / "empty").mkdir()
    for read in (open_clips, verify_clips):
        with pytest.raises(FeatureError, match=r"no store\.json in it.*'link-avvp extract'"):
            read(tmp_path / "empty")
    with pytest.raises(
        FeatureError, match=r"'link-clips'.*here: make a data set.*'link-avvp label"
    ):
        open_store(path)
    shutil.copytree(path, tmp_path / "data")
    change(lambda header: header.update(format="link-store"))(tmp_path / "data")
    with pytest.raises(FeatureError, match=r"'link-store'.*extract features anew"):
        open_clips(tmp_path / "data")
    change(lambda header: header.update(version=2))(path)
    with pytest.raises(
        FeatureError, match="version 2; this package reads 'link-clips', version 1"
    ):
        open_clips(path)
