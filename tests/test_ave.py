"""AVE's annotations are read as published, odd lines are told, bad files are refused."""

import csv

import numpy as np
import pytest
from small_encoders import SmallClap, SmallClip
from videos import sample

from link.ave import (
    CLASSES,
    HEADER,
    LISTED_AGAIN,
    OTHER_SPLIT,
    REVERSED,
    ZERO_LENGTH,
    AVEError,
    main,
    read_ave,
    write_label_files,
)
from link.extraction import extract
from link.label_files import read_events, read_labels
from link.own_data import label_clips
from link.pseudo_labels import captions_for

# A recording with two categories, one in two splits, and events that mark nothing.
SMALL = {
    "trainSet.txt": [
        "Bark&aaaaaaaaaaa&good&0&10",
        "Banjo&b-b_bbbbbbb&good&2&5",
        "Mandolin&b-b_bbbbbbb&good&2&5",
        "Clock&ccccccccccc&good&0&0",
        "Goat&sharedshare&good&0&4",
    ],
    "valSet.txt": ["Frying (food)&ddddddddddd&good&9&10"],
    "testSet.txt": ["Cat&eeeeeeeeeee&good&6&3", "Bark&sharedshare&good&0&4"],
}


@pytest.fixture
def folder(tmp_path):
    for file, lines in SMALL.items():
        (tmp_path / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def everything():
    return [line for lines in SMALL.values() for line in lines]


def test_every_line_is_an_example_in_the_order_of_its_file(folder):
    ave = read_ave(folder)
    assert ave.train.names == ave.train.ids
    assert ave.train.names[1:3] == ("b-b_bbbbbbb", "b-b_bbbbbbb")
    assert [CLASSES[i] for i in ave.train.weak.argmax(axis=1)] == [
        line.split("&")[0] for line in SMALL["trainSet.txt"]
    ]
    assert (ave.train.weak.sum(axis=1) == 1).all()
    assert ave.rows == {file: len(lines) for file, lines in SMALL.items()}


def test_an_event_marks_the_seconds_from_start_to_end(folder):
    ave = read_ave(folder)
    for split, file in (("train", "trainSet.txt"), ("val", "valSet.txt"), ("test", "testSet.txt")):
        for grid, line in zip(ave.splits()[split].audio, SMALL[file], strict=True):
            label, _, _, start, end = line.split("&")
            marked = {(second, CLASSES.index(label)) for second in range(int(start), int(end))}
            assert {tuple(map(int, at)) for at in np.argwhere(grid)} == marked


def test_what_is_heard_is_what_is_seen(folder):
    for split in read_ave(folder).splits().values():
        assert np.array_equal(split.audio, split.visual)


def test_odd_lines_are_told(folder):
    found = {(each.file, each.line): each.reasons for each in read_ave(folder).remarks}
    assert found == {
        ("trainSet.txt", 2): (LISTED_AGAIN,),
        ("trainSet.txt", 3): (LISTED_AGAIN,),
        ("trainSet.txt", 4): (ZERO_LENGTH,),
        ("trainSet.txt", 5): (OTHER_SPLIT,),
        ("testSet.txt", 1): (REVERSED,),
        ("testSet.txt", 2): (OTHER_SPLIT,),
    }


def test_headers_blank_lines_and_windows_do_no_harm(folder):
    expected = read_ave(folder)
    for file, lines in SMALL.items():
        text = "\r\n".join([HEADER, *lines, "", ""])
        (folder / file).write_text(text, encoding="utf-8-sig", newline="")
    found = read_ave(folder)
    assert found.train.names == expected.train.names
    assert np.array_equal(found.test.audio, expected.test.audio)
    assert {each.line for each in found.remarks} == {each.line + 1 for each in expected.remarks}


def test_the_file_of_all_clips_may_be_there_and_must_agree(folder):
    full = folder / "Annotations.txt"
    full.write_text("\n".join([HEADER, *everything()]))
    assert read_ave(folder).rows["Annotations.txt"] == len(everything())
    full.write_text("\n".join([*everything(), "Cat&fffffffffff&good&0&1"]))
    with pytest.raises(AVEError, match=r"Annotations.txt, line 9: 'Cat&fff.*in no split"):
        read_ave(folder)
    full.write_text("\n".join(everything()[1:]))
    with pytest.raises(AVEError, match=r"Annotations.txt lacks 'Bark&aaa"):
        read_ave(folder)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("Bark&aaaaaaaaaaa&good&0", "line 1: 4 parts in place of 5"),
        ("Bark, aaaaaaaaaaa, good, 0, 10", "line 1: 1 parts in place of 5"),
        ("Barking&aaaaaaaaaaa&good&0&10", "line 1: unknown category 'Barking'"),
        ("Bark&aaaaaaaaaaaa&good&0&10", "line 1: 'aaaaaaaaaaaa' is no identifier"),
        ("Bark&aaaaaaaaaaa&good&0&11", "line 1: end '11' is not a whole second from 0 to 10"),
        ("Bark&aaaaaaaaaaa&good&0.5&1", "line 1: start '0.5' is not a whole second"),
        ("Bark&aaaaaaaaaaa&good&-1&1", "line 1: start '-1' is not a whole second"),
        (HEADER, "has no clip in it"),
        ("", "has no clip in it"),
    ],
)
def test_a_bad_line_is_refused(folder, line, complaint):
    (folder / "testSet.txt").write_text(line + "\n")
    with pytest.raises(AVEError, match=r"testSet\.txt") as caught:
        read_ave(folder)
    assert complaint in str(caught.value)


def test_a_file_that_is_not_there_or_no_text_is_refused(folder):
    (folder / "valSet.txt").write_bytes(b"\xff\xfe&")
    with pytest.raises(AVEError, match=r"valSet.txt is not UTF-8"):
        read_ave(folder)
    (folder / "valSet.txt").unlink()
    with pytest.raises(AVEError, match=r"valSet.txt cannot be opened.*as their authors"):
        read_ave(folder)


def test_the_label_files_are_read_back(folder, tmp_path):
    labels, events = write_label_files(read_ave(folder), tmp_path / "out")
    weak, marked = read_labels(labels), read_events(events)
    assert weak.labels["b-b_bbbbbbb"] == {"Banjo", "Mandolin"}
    assert {each.label for each in marked["b-b_bbbbbbb"]} == {"Banjo", "Mandolin"}
    assert weak.labels["ddddddddddd"] == {"Frying (food)"}
    (event,) = marked["ddddddddddd"]
    assert (event.onset, event.offset, event.modality) == (9, 10, "audio_visual")
    assert marked["ccccccccccc"] == []
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_a_recording_in_two_splits_stays_where_it_is_evaluated(folder, tmp_path):
    labels, events = write_label_files(read_ave(folder), tmp_path / "out")
    weak = read_labels(labels)
    assert weak.splits["sharedshare"] == "test"
    assert weak.labels["sharedshare"] == {"Bark"}
    rows = [row for row in csv.DictReader(events.open()) if row["video"] == "sharedshare"]
    assert [row["label"] for row in rows] == ["Bark"]


def test_videos_become_a_data_set_with_the_annotated_seconds(folder, tmp_path):
    ave, clip, clap = read_ave(folder), SmallClip(), SmallClap()
    labels, events = write_label_files(ave, tmp_path / "out")
    weak = read_labels(labels)
    videos = dict.fromkeys(weak.labels, sample("h264_aac.mp4"))
    store = extract(videos, tmp_path / "features", clip, clap)
    captions = captions_for(weak.classes)
    dataset = label_clips(store, weak, captions, clip, clap, read_events(events))
    assert dataset.val.names == ave.val.names
    place = dataset.classes.index("Frying (food)")
    assert dataset.val.weak[0, place] and dataset.val.weak.sum() == 1
    for truth in (dataset.val.audio_truth, dataset.val.visual_truth):
        assert np.argwhere(truth).tolist() == [[0, 9, place]]
    # All of its videos are annotated, so the training split is, too.
    assert dataset.train.audio_truth[dataset.train.names.index("aaaaaaaaaaa")].sum() == 10


def test_the_command_writes_both_files_or_says_what_is_wrong(folder, tmp_path, capsys):
    assert main([str(folder), "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.split() == [
        str(tmp_path / "out" / name) for name in ("labels.csv", "events.csv")
    ]
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "trainSet.txt cannot be opened" in capsys.readouterr().err
