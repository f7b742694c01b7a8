"""Labels are read as spreadsheets write them, and every fault is told with its file and line."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from link.events import Event
from link.label_files import LabelError, read_events, read_labels
from link.reading import name_videos


@pytest.fixture
def write(tmp_path):
    def write(content: str | bytes):
        path = tmp_path / "labels.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_labels_are_read_with_quotes_blank_lines_and_spaces(write):
    path = write('video, labels\n\n"a","Dog; ""Big"", cat ;;Dog"\n  ,  \nb, \n c ,Siren\n')
    read = read_labels(path)
    assert read.labels == {
        "a": {"Dog", '"Big", cat'},
        "b": frozenset(),
        "c": {"Siren"},
    }
    assert read.classes == ('"Big", cat', "Dog", "Siren")
    assert read.splits == {}
    assert read.path == path


@pytest.mark.parametrize("encode", [str.encode, lambda text: text.encode("utf-8-sig")])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_end_of_line_and_a_byte_order_mark_are_read(write, encode, end):
    rows = ["split,labels,video", "train,Größe,a", "val,,b", "test,Größe;Hund,c", ""]
    read = read_labels(write(encode(end.join(rows))))
    assert read.labels == {"a": {"Größe"}, "b": set(), "c": {"Größe", "Hund"}}
    assert read.splits == {"a": "train", "b": "val", "c": "test"}


def test_videos_are_named_as_the_commands_name_their_files(write, tmp_path):
    files = ["take.1.mp4", "a_0_10.MKV", "-b.wav", "x.y.z.webm", ".hidden.mp4"]
    names = list(name_videos([tmp_path / file for file in files]))
    without = "video,labels\n" + "".join(f"{name},Dog\n" for name in names)
    with_suffix = "video,labels\n" + "".join(f"some/folder/{file},Dog\n" for file in files)
    assert list(read_labels(write(without)).labels) == names
    assert list(read_labels(write(with_suffix)).labels) == names


CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Cn"]), max_size=6)
LABELS = st.lists(CELLS.filter(lambda text: text.strip() and ";" not in text), max_size=3)


@given(st.lists(LABELS, min_size=3, max_size=5).filter(any))
def test_what_a_csv_writer_wrote_is_read(tmp_path_factory, labels):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["video", "labels"])
        rows.writerows((f"v{index}", ";".join(each)) for index, each in enumerate(labels))
    read = read_labels(path)
    assert list(read.labels.values()) == [{label.strip() for label in each} for each in labels]


HEAD = "video,labels,split\na,Dog,train\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ", line 1: the columns are none: they must be video, labels, and may be split"),
        ("name,labels\n", ", line 1: the columns are name, labels: "),
        ("video;labels\n", ", line 1: the columns are video;labels: "),
        ("video,labels,labels\na,Dog,Cat\n", ", line 1: the columns are video, labels, labels: "),
        ("video,labels,note\n", ", line 1: the columns are video, labels, note: "),
        (HEAD + "b,Dog,Cat,val\n", ", line 3: 4 columns in place of 3: put quotes around commas"),
        (HEAD + "\n,Dog,val\n", ", line 4: the video has no name"),
        (HEAD + "a.mp4,Cat,val\n", ", line 3: a is there twice"),
        (HEAD + "b,Cat,dev\n", ", line 3: the split is 'dev': use train, val or test"),
        (HEAD + "b,Cat,\n", ", line 3: the split is ''"),
        (HEAD + 'b,"Bi\x07rd",val\n', r", line 3: 'Bi\x07rd' cannot name a class"),
        (HEAD + 'b,"Dog\nCat",val\n', r", line 4: 'Dog\nCat' cannot name a class"),
        (HEAD + 'b,"Dog"s,val\n', ", line 3: this is not CSV, "),
        (HEAD + 'b,"Dog,val\n', ", line 3: this is not CSV, "),
        (HEAD + "b,Cat,val\n", " names 2 videos: it takes one at least for each split"),
        ("video,labels\na,\nb,\nc,;\n", " gives no video a class"),
    ],
)
def test_each_fault_of_labels_is_told_with_its_line(write, text, said):
    path = write(text)
    with pytest.raises(LabelError) as error:
        read_labels(path)
    assert str(error.value).startswith(f"{path}{said}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("read", [read_labels, read_events])
def test_files_that_cannot_be_read_are_named(read, write, tmp_path):
    with pytest.raises(LabelError, match=r"none\.csv cannot be read: No such file"):
        read(tmp_path / "none.csv")
    with pytest.raises(LabelError, match=r"cannot be read: Is a directory"):
        read(tmp_path)
    with pytest.raises(LabelError, match=r"labels\.csv is not UTF-8 text"):
        read(write(b"video,labels\nGr\xf6\xdfe,Dog\n"))


# ---- events ----


def test_events_are_read_by_video_and_a_video_may_be_without(write):
    path = write(
        "video,modality,label,onset,offset\r\n"
        "a.mp4,audio,Dog,0,1.5\r\n"
        "quiet.one,,,,\r\n"
        "b,audio_visual,Cat,2,4\r\n\r\n"
        "a,visual,Dog,1e0,9\r\n"
    )
    assert read_events(path) == {
        "a": [Event("Dog", 0, 1.5, "audio"), Event("Dog", 1, 9, "visual")],
        "quiet.one": [],
        "b": [Event("Cat", 2, 4, "audio_visual")],
    }


def test_columns_come_in_any_order_and_a_score_may_be_among_them(write):
    text = "offset,onset,score,label,modality,video\n3,1,0.25,Dog,audio,a\n"
    assert read_events(write(text)) == {"a": [Event("Dog", 1, 3, "audio")]}


EVENTS = "video,modality,label,onset,offset\na,audio,Dog,0,1\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("video,label,onset,offset\n", ", line 1: the columns are video, label, onset, offset"),
        (EVENTS + "a,audio,Dog,3,3\n", ", line 3: event 'Dog' lasts from 3.0 s to 3.0 s"),
        (EVENTS + "a,audio,Dog,4,3\n", ", line 3: event 'Dog' lasts from 4.0 s to 3.0 s"),
        (EVENTS + "a,audio,Dog,-1,3\n", ", line 3: event 'Dog' lasts from -1.0 s"),
        (EVENTS + "a,audio,Dog,nan,3\n", ", line 3: event 'Dog' lasts from nan s"),
        (EVENTS + "a,audio,Dog,0,\n", ", line 3: offset is '', no number of seconds"),
        (EVENTS + "a,audio,Dog,0:01,2\n", ", line 3: onset is '0:01', no number of seconds"),
        (EVENTS + "a,heard,Dog,0,2\n", ", line 3: modality 'heard' of event 'Dog' is unknown"),
        (EVENTS + "a,audio,,0,2\n", ", line 3: '' cannot name a class"),
        (EVENTS + ",audio,Dog,0,2\n", ", line 3: the video has no name"),
        (EVENTS + "a,audio,Dog,0\n", ", line 3: 4 columns in place of 5"),
    ],
)
def test_each_fault_of_events_is_told_with_its_line(write, text, said):
    path = write(text)
    with pytest.raises(LabelError) as error:
        read_events(path)
    assert str(error.value).startswith(f"{path}{said}")
