"""Videos are read ahead, in order, a stated number of clips at a time, and threads end."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from videos import Sound, number, steady, tones, write_video

import link.reading
from link.errors import LinkError
from link.media import Clip, read_windows
from link.reading import Ahead, Ended, Opened, name_videos, read_videos


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Videos of 34, 4 and 21 seconds, the last without sound, and one that is none."""
    folder = tmp_path_factory.mktemp("reading")
    write_video(folder / "long.mkv", steady(34, 8), Sound(tones(34)))
    write_video(folder / "short.mp4", steady(4, 8), Sound(tones(4)))
    write_video(folder / "mid.mkv", steady(21, 8), None)
    (folder / "none.mp4").write_text("no video " * 99)
    return folder


def own_threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if "_make" in each.name]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = threading.active_count()
    yield
    assert soon(lambda: threading.active_count() == before)


def soon(is_so) -> bool:
    """Whether something comes to be so, and stays so."""
    deadline = time.monotonic() + 10
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    return is_so()


def test_steps_come_in_order_with_the_windows_of_each_video(folder):
    names = ["mid.mkv", "none.mp4", "short.mp4", "gone.mp4", "long.mkv", "mid.mkv"]
    steps = list(read_videos([folder / name for name in names], hop=7))
    expected, clips = [], {}
    for index, name in enumerate(names):
        if name in ("none.mp4", "gone.mp4"):
            expected.append((index, Ended))
            continue
        clips[index] = list(read_windows(folder / name, 7))
        expected += [(index, Opened), *[(index, Clip)] * len(clips[index]), (index, Ended)]
    assert [(index, type(step)) for index, step in steps] == expected
    for index, step in steps:
        name = names[index]
        if isinstance(step, Opened):
            assert step.info.path == folder / name
            assert step.windows == len(clips[index])
        elif isinstance(step, Clip):
            literal = clips[index].pop(0)
            assert step.start == literal.start
            np.testing.assert_array_equal(step.frames, literal.frames)
            np.testing.assert_array_equal(step.waveform, literal.waveform)
        elif name in ("none.mp4", "gone.mp4"):
            assert name in step.error
        else:
            assert step.error is None


def test_an_error_in_the_middle_ends_its_video_and_no_other(folder, monkeypatch):
    def breaking(info, *more):
        for count, clip in enumerate(read_windows(info, *more)):
            if info.path.name == "long.mkv" and count == 2:
                raise LinkError("long.mkv breaks off")
            yield clip

    monkeypatch.setattr(link.reading, "read_windows", breaking)
    steps = list(read_videos([folder / "long.mkv", folder / "short.mp4"], 10))
    kinds = [(index, type(step).__name__) for index, step in steps]
    assert kinds == [
        *[(0, "Opened"), (0, "Clip"), (0, "Clip"), (0, "Ended")],
        *[(1, "Opened"), (1, "Clip"), (1, "Ended")],
    ]
    assert steps[3][1].error == "long.mkv breaks off"
    assert steps[-1][1].error is None


def test_a_fault_of_the_program_is_raised_and_not_told_as_a_bad_video(folder, monkeypatch):
    def faulty(*_):
        raise ZeroDivisionError
        yield

    monkeypatch.setattr(link.reading, "read_windows", faulty)
    with pytest.raises(ZeroDivisionError):
        list(read_videos([folder / "short.mp4", folder / "mid.mkv"], 10))


def test_what_is_there_already_is_left_out(folder):
    def begin(index):
        asked.append((index, threading.current_thread() is threading.main_thread()))
        return [None, 2, 0][index]

    asked = []
    paths = [folder / "long.mkv", folder / "long.mkv", folder / "none.mp4"]
    steps = list(read_videos(paths, 10, begin=begin))
    assert [index for index, _ in steps] == [1] * 4 + [2]
    assert steps[0][1].windows == 4
    assert [step.start for _, step in steps[1:3]] == [20, 24]
    assert sorted(asked) == [(0, False), (1, False), (2, False)]


def test_frames_go_through_the_transform(folder):
    steps = read_videos([folder / "short.mp4"], 10, lambda frame: frame[::4, ::4])
    clip = next(step for _, step in steps if isinstance(step, Clip))
    steps.close()
    whole = next(read_windows(folder / "short.mp4"))
    np.testing.assert_array_equal(clip.frames, whole.frames[:, ::4, ::4])
    assert number(whole.frames[2]) > 0


def test_closed_early_it_leaves_no_thread(folder):
    steps = read_videos([folder / "long.mkv"] * 5, 1)
    next(steps)
    next(steps)
    assert own_threads()
    steps.close()
    assert not own_threads()


def test_no_more_than_the_stated_number_of_clips_waits(folder, monkeypatch):
    """Of each video that is read: two in its queue, and one that waits for a place there."""
    monkeypatch.setattr(link.reading.os, "cpu_count", lambda: 3)
    made, lock = {}, threading.Lock()

    def counted(info, hop, transform, skip):
        for clip in read_windows(info, hop, transform, skip):
            with lock:
                made[info.path] = made.get(info.path, 0) + 1
            yield clip

    monkeypatch.setattr(link.reading, "read_windows", counted)
    videos = []
    for index in range(6):
        videos.append(folder / f"copy{index}.mkv")
        if not videos[-1].exists():
            videos[-1].hardlink_to(folder / "long.mkv")
    steps = read_videos(videos, 1)
    taken = 0
    for _, step in steps:
        taken += isinstance(step, Clip)
        if taken in (1, 12):
            # The step that opens a video is one of the two in its queue.
            waiting = [taken + 3, 2, 2, 0, 0, 0]
            assert soon(lambda w=waiting: [made.get(video, 0) for video in videos] == w)
        if taken == 12:
            break
    steps.close()


def test_so_many_processors_read_no_more_than_sixteen_videos(folder, monkeypatch):
    monkeypatch.setattr(link.reading.os, "cpu_count", lambda: 200)
    begun = []

    def begin(index):
        begun.append(index)
        return 0

    steps = read_videos([folder / "short.mp4"] * 40, 10, begin=begin)
    next(steps)
    assert soon(lambda: sorted(begun) == list(range(16)))
    steps.close()


# ---- names ----


def test_videos_are_named_by_their_files(folder):
    paths = [Path("b.x.mp4"), folder, Path("a.unknown"), Path("./b.x.mp4")]
    assert list(name_videos(paths).items()) == [
        ("b.x", Path("b.x.mp4")),
        *[(name.split(".")[0], folder / name) for name in sorted(in_folder(folder))],
        ("a", Path("a.unknown")),
    ]


def in_folder(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_folder_is_searched_for_videos_alone(tmp_path):
    for name in ("B.MP4", "a.opus", "c.ogv", "d.ts"):
        (tmp_path / name).touch()
    for name in ("notes.txt", "e.mp4.part", "mp4", "cover.jpg", "f.ogx"):
        (tmp_path / name).touch()
    assert list(name_videos([tmp_path])) == ["B", "a", "c", "d"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(LinkError, match="empty is a folder without video or sound files"):
        name_videos([tmp_path / "empty"])


def test_two_videos_of_one_name_are_refused(tmp_path):
    (tmp_path / "a.mp4").touch()
    with pytest.raises(LinkError, match=r"a\.wav and .*a\.mp4 would both be called a: rename"):
        name_videos([Path("a.wav"), tmp_path])
    assert list(name_videos([tmp_path / "a.mp4", tmp_path])) == ["a"]


# ---- ahead ----


def test_items_and_errors_come_where_they_were():
    def items():
        yield from "abc"
        raise LinkError("after c")

    ahead = Ahead(items(), 1)
    seen = []
    with pytest.raises(LinkError, match="after c"):
        for item in ahead:
            seen.append(item)
    assert seen == list("abc")


def test_closing_ends_a_thread_that_waits_for_room():
    ended = threading.Event()

    def items():
        try:
            yield from range(1000)
        finally:
            ended.set()

    ahead = Ahead(items(), 2)
    time.sleep(0.05)
    ahead.close()
    assert ended.wait(5)
