"""Videos in, a store of their features out, however often it is stopped."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import small_encoders
from small_encoders import SmallClap, SmallClip
from videos import Sound, sample, steady, tones, write_video

from link.clip_features import open_clips, verify_clips
from link.dataset import FeatureError
from link.errors import LinkError
from link.extraction import extract
from link.journal import Journal
from link.reading import name_videos


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Clips, a long video, one without sound, one without picture, one short, two bad ones."""
    folder = tmp_path_factory.mktemp("videos")
    write_video(folder / "b_long.mkv", steady(34.0, 8), Sound(tones(34)))
    write_video(folder / "c_silent.mp4", steady(10, 8))
    write_video(folder / "d_heard.wav", None, Sound(tones(10), codec="pcm_s16le"))
    (folder / "e_empty.mp4").touch()
    write_video(folder / "f_short.mp4", steady(4, 8), Sound(tones(4)))
    (folder / "g_text.mp4").write_text("no video at all\n" * 99)
    write_video(folder / "h_last.mp4", steady(10, 25), Sound(tones(10)))
    return {"a_clip": sample("h264_aac.mp4"), **name_videos([folder])}


@pytest.fixture(scope="module")
def undisturbed(videos, tmp_path_factory):
    return extract(videos, tmp_path_factory.mktemp("undisturbed") / "s", SmallClip(), SmallClap())


def content(store: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in store.iterdir()}


def test_a_store_has_every_clip_of_every_video_that_can_be_read(undisturbed):
    verify_clips(undisturbed.path)
    assert {video["name"]: video["clips"] for video in undisturbed.videos} == {
        "a_clip": 1,
        "b_long": 4,
        "c_silent": 1,
        "d_heard": 1,
        "f_short": 1,
        "h_last": 1,
    }
    assert undisturbed.starts.tolist() == [0, 0, 10, 20, 24, 0, 0, 0, 0]
    assert [failed["name"] for failed in undisturbed.failed] == ["e_empty", "g_text"]
    assert "e_empty.mp4" in undisturbed.failed[0]["error"]
    assert undisturbed.encoders == {"audio": "small clap", "visual": "small clip"}


def test_what_is_not_there_is_zero_and_said_to_be_absent(undisturbed):
    features, rows = undisturbed.features, undisturbed.rows
    for name, heard, seen in (("c_silent", 0, 10), ("d_heard", 10, 0), ("f_short", 4, 4)):
        row = rows[name].start
        assert features.heard[row].sum() == heard
        assert features.seen[row].sum() == seen
    for array, there in (
        (features.visual, features.seen),
        (features.sound, features.heard),
        (features.audio, features.heard),
    ):
        assert (np.abs(array).sum(axis=-1) > 0).tolist() == there.tolist()


def test_rows_do_not_depend_on_the_videos_around_them(videos, undisturbed, tmp_path):
    alone = extract({"b_long": videos["b_long"]}, tmp_path / "s", SmallClip(), SmallClap())
    for name, array in alone.arrays().items():
        among = undisturbed.arrays()[name][undisturbed.rows["b_long"]]
        np.testing.assert_allclose(array, among, atol=2e-6)


class Killed(BaseException):
    pass


def test_an_extraction_stopped_at_every_commit_is_the_same_to_the_bit(
    videos, undisturbed, tmp_path, monkeypatch
):
    out, clip = tmp_path / "s", SmallClip()
    kills = 0
    commit, append = Journal.commit, Journal.append

    # The first thing that a stretch may do is done; then it is killed, before a commit or after.
    def dying(after):
        def stop(journal, *arguments):
            if after:
                commit(journal, *arguments)
            else:
                append(journal, "audio", b"half a row")
            raise Killed

        return stop

    while not out.exists():
        with monkeypatch.context() as patch:
            if kills < 12:
                patch.setattr(Journal, "commit", dying(after=kills % 2))
            try:
                extract(videos, out, clip, SmallClap())
            except Killed:
                kills += 1
                assert [path.name for path in tmp_path.iterdir()] == [".s.partial"]
    assert kills >= 6
    assert content(out) == content(undisturbed.path)
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_nothing_is_encoded_twice(videos, tmp_path, monkeypatch):
    out, clip = tmp_path / "s", SmallClip()
    commit = Journal.commit

    def once(journal, *arguments):
        commit(journal, *arguments)
        raise Killed

    for _ in range(2):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(Journal, "commit", once)
            extract(videos, out, clip, SmallClap())
    store = extract(videos, out, clip, SmallClap())
    assert clip.encoded == store.features.seen.sum()
    again = SmallClip()
    extract(videos, out, again, SmallClap())
    assert again.encoded == 0


def test_new_and_mended_videos_are_added_to_a_store(videos, undisturbed, tmp_path):
    out, clip = tmp_path / "s", SmallClip()
    some = {name: videos[name] for name in ("a_clip", "g_text", "b_long")}
    extract(some, out, clip, SmallClap())
    mended = tmp_path / "g_text.mp4"
    mended.write_bytes(videos["c_silent"].read_bytes())
    changed = tmp_path / "a_clip.mp4"
    changed.write_bytes(videos["h_last"].read_bytes())
    encoded = clip.encoded
    store = extract(
        {"g_text": mended, "a_clip": changed, "f_short": videos["f_short"]},
        out,
        clip,
        SmallClap(),
    )
    assert [video["name"] for video in store.videos] == ["a_clip", "b_long", "g_text", "f_short"]
    assert not store.failed
    assert clip.encoded - encoded == 10 + 10 + 4
    for name, other in (("a_clip", "h_last"), ("b_long", "b_long"), ("g_text", "c_silent")):
        for array, like in zip(
            store.arrays().values(), undisturbed.arrays().values(), strict=True
        ):
            rows, like_rows = store.rows[name], undisturbed.rows[other]
            np.testing.assert_allclose(array[rows], like[like_rows], atol=2e-6)


def test_a_store_by_other_encoders_is_not_extended(videos, tmp_path):
    some = {"a_clip": videos["a_clip"]}
    extract(some, tmp_path / "s", SmallClip(), SmallClap())
    other = SmallClip()
    other.name = "another clip"
    with pytest.raises(FeatureError, match="another clip"):
        extract(some, tmp_path / "s", other, SmallClap())
    assert extract(some, tmp_path / "s", other, SmallClap(), overwrite=True).encoders == {
        "audio": "small clap",
        "visual": "another clip",
    }


def test_nothing_else_is_overwritten(videos, tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "thesis.tex").touch()
    for overwrite in (False, True):
        clip = SmallClip()
        with pytest.raises(FeatureError, match="not a feature store"):
            extract({"a": videos["a_clip"]}, tmp_path / "s", clip, SmallClap(), overwrite)
        assert clip.encoded == 0
    assert (tmp_path / "s" / "thesis.tex").exists()


def test_without_a_single_video_there_is_no_store(videos, tmp_path):
    with pytest.raises(LinkError, match=r"no video could be read: .*e_empty\.mp4"):
        extract({"e": videos["e_empty"]}, tmp_path / "s", SmallClip(), SmallClap())
    assert list(tmp_path.iterdir()) == []


def test_a_video_that_failed_is_remembered_when_others_are_added(videos, tmp_path):
    encoders = SmallClip(), SmallClap()
    extract({name: videos[name] for name in ("a_clip", "e_empty")}, tmp_path / "s", *encoders)
    store = extract({"c_silent": videos["c_silent"]}, tmp_path / "s", *encoders)
    assert [failed["name"] for failed in store.failed] == ["e_empty"]


def test_two_processes_do_not_write_one_store(videos, tmp_path):
    with Journal(tmp_path / ".s.partial", {}), pytest.raises(LinkError, match="another process"):
        extract({"a": videos["a_clip"]}, tmp_path / "s", SmallClip(), SmallClap())


SLOWLY = """
import sys, time
from pathlib import Path
from small_encoders import SmallClap, SmallClip
from link.extraction import extract
from link.reading import name_videos
class Slow(SmallClip):
    def embed_frames(self, frames):
        time.sleep(0.05)
        return super().embed_frames(frames)
extract(name_videos(map(Path, sys.argv[2:])), sys.argv[1], Slow(), SmallClap())
"""


def test_a_killed_process_leaves_what_goes_on(videos, undisturbed, tmp_path):
    out = tmp_path / "s"
    call = [sys.executable, "-c", SLOWLY, str(out), *map(str, videos.values())]
    paths = [str(Path(small_encoders.__file__).parent), str(Path(__file__).parents[1])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    for _ in range(3):
        process = subprocess.Popen(call, env=environment)
        commit = tmp_path / ".s.partial" / "commit.json"
        before = commit.read_bytes() if commit.exists() else b""
        while process.poll() is None and (not commit.exists() or commit.read_bytes() == before):
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(call, env=environment, check=True)
    names = [video["name"] for video in open_clips(out).videos]
    assert names[1:] == [video["name"] for video in undisturbed.videos][1:]
    for name, digest in content(undisturbed.path).items():
        assert name == "store.json" or content(out)[name] == digest
