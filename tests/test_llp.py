"""The annotations are read as the published code reads them, and bad files are refused."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from link.events import CLASSES
from link.llp import LLPError, read_llp, video_id

SHARED = Path(__file__).parents[1].parent / "shared" / "llp"
needs_llp = pytest.mark.skipif(
    not SHARED.exists(), reason=f"LLP's annotation files are not in {SHARED}"
)

EVENT_HEADER = "filename\tonset\toffset\tevent_labels\n"
SMALL = {
    "AVVP_train.csv": "filename\tevent_labels\naaaaaaaaaaa_0_10\tSpeech,Dog\n",
    "AVVP_val_pd.csv": "filename\tevent_labels\nbbbbbbbbbbb_0_10\tCat\n",
    "AVVP_test_pd.csv": "filename\tevent_labels\nccccccccccc_0_10\tSpeech\n"
    "d-d_ddddddd_7_17\tCar\n",
    "AVVP_eval_audio.csv": EVENT_HEADER + "bbbbbbbbbbb_0_10\t0\t4\tCat\n"
    "ccccccccccc_0_10\t2\t10\tSpeech\n",
    "AVVP_eval_visual.csv": EVENT_HEADER + "ccccccccccc_0_10\t3\t5\tSpeech\n",
}


@pytest.fixture
def small(tmp_path):
    for file, text in SMALL.items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="module")
def llp():
    return read_llp(SHARED)


@pytest.fixture
def circulating(tmp_path):
    """The annotations with the older copy of the audio file in place of the repaired one."""
    for path in SHARED.glob("AVVP_*.csv"):
        if "circulating" not in path.name:
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / "AVVP_eval_audio.csv").unlink()
    shutil.copy(SHARED / "AVVP_eval_audio.circulating.csv", tmp_path / "AVVP_eval_audio.csv")
    return tmp_path


def published_reading(split_file: Path, events_file: Path) -> np.ndarray:
    """Grids (videos, 10, 25) as the published evaluation makes them, video by video."""
    rows = [line.split("\t") for line in events_file.read_text().splitlines()[1:]]
    grids = []
    for line in split_file.read_text().splitlines()[1:]:
        grid = np.zeros((25, 10))
        for name, onset, offset, label in rows:
            if name == line.split("\t")[0]:
                grid[CLASSES.index(label), int(onset) : int(offset)] = 1
        grids.append(grid.T)
    return np.array(grids)


@needs_llp
def test_sizes(llp):
    assert [len(split) for split in (llp.train, llp.val, llp.test)] == [10_000, 649, 1_200]
    assert llp.train.weak.shape == (10_000, 25) and llp.train.weak.dtype == bool
    assert llp.train.audio is None and llp.train.visual is None
    for split in (llp.val, llp.test):
        for grid in (split.audio, split.visual):
            assert grid.shape == (len(split), 10, 25) and grid.dtype == bool
    identifiers = llp.train.ids + llp.val.ids + llp.test.ids
    assert len(set(identifiers)) == 11_849
    assert {len(identifier) for identifier in identifiers} == {11}


@needs_llp
def test_published_counts(llp):
    audio = np.concatenate([llp.val.audio, llp.test.audio]).any(axis=1)
    visual = np.concatenate([llp.val.visual, llp.test.visual]).any(axis=1)
    assert (audio.sum(), visual.sum(), (audio & visual).sum()) == (3_221, 2_198, 2_044)


@needs_llp
def test_weak_labels_are_the_files(llp):
    for split, file in ((llp.train, "train"), (llp.val, "val_pd"), (llp.test, "test_pd")):
        lines = (SHARED / f"AVVP_{file}.csv").read_text().splitlines()[1:]
        assert split.names == tuple(line.split("\t")[0] for line in lines)
        for line, weak in zip(lines, split.weak, strict=True):
            named = {CLASSES[index] for index in np.flatnonzero(weak)}
            assert named == set(line.split("\t")[1].split(","))


@needs_llp
@pytest.mark.parametrize("split, file", [("val", "val_pd"), ("test", "test_pd")])
@pytest.mark.parametrize("modality", ["audio", "visual"])
def test_grids_are_the_published_reading(llp, split, file, modality):
    expected = published_reading(SHARED / f"AVVP_{file}.csv", SHARED / f"AVVP_eval_{modality}.csv")
    assert np.array_equal(getattr(getattr(llp, split), modality), expected)


@needs_llp
def test_every_skipped_row_is_accounted_for(llp):
    reasons = Counter((row.file, reason) for row in llp.skipped for reason in row.reasons)
    audio, visual = "AVVP_eval_audio.csv", "AVVP_eval_visual.csv"
    unknown = {
        file: {row.text.split("\t")[0] for row in llp.skipped
               if row.file == file and "unknown video" in row.reasons}
        for file in (audio, visual)
    }  # fmt: skip
    assert reasons[audio, "zero length"] == 5
    assert reasons[audio, "reversed"] == 1
    assert reasons[audio, "duplicate"] == 8
    assert (len(unknown[audio]), len(unknown[visual])) == (8, 7)
    assert "19jWnmYnlD8_30_400" in unknown[audio]
    for row in llp.skipped:
        assert (SHARED / row.file).read_text().splitlines()[row.line - 1] == row.text
    assert (llp.rows[audio], llp.rows[visual]) == (4_131, 2_495)


@needs_llp
def test_the_circulating_copy_reads_too(circulating, llp):
    old = read_llp(circulating)
    expected = published_reading(
        SHARED / "AVVP_test_pd.csv", SHARED / "AVVP_eval_audio.circulating.csv"
    )
    assert np.array_equal(old.test.audio, expected)
    repaired = {(row.file, row.line) for row in llp.skipped}
    extra = [row for row in old.skipped if (row.file, row.line) not in repaired]
    assert [row.text.split("\t")[0] for row in extra] == [
        "Baby_cry_infant_cry",
        "Baby_cry_infant_cry",
        "KvIjsmANkxI_10_20`",
    ]
    assert {row.reason for row in extra} == {"unknown video"}


def test_small_files(small):
    llp = read_llp(small)
    assert llp.test.names == ("ccccccccccc_0_10", "d-d_ddddddd_7_17")
    assert llp.test.ids == ("ccccccccccc", "d-d_ddddddd")
    assert llp.skipped == ()
    assert llp.val.audio[0, :, CLASSES.index("Cat")].tolist() == [True] * 4 + [False] * 6
    assert llp.test.visual.sum() == 2 and llp.test.visual[0, 3:5, 0].all()
    assert np.flatnonzero(llp.train.weak[0]).tolist() == [0, 3]


def test_skipped_rows_say_where_and_why(small):
    lines = [
        "bbbbbbbbbbb_0_10\t3\t3\tCat",
        "bbbbbbbbbbb_0_10\t9\t0\tCat",
        "bbbbbbbbbbb_0_10\t0\t4\tCat",
        "aaaaaaaaaaa_0_10\t0\t4\tDog",
        "CSWQ_HzQ_10_20\t9\t9\tDog",
        "nobody\tnever\tsoon\tUnicorn",
    ]
    path = small / "AVVP_eval_audio.csv"
    path.write_text(path.read_text() + "\n".join(lines) + "\n")
    llp = read_llp(small)
    assert [(row.line, row.reason, row.text) for row in llp.skipped] == [
        (4, "zero length", lines[0]),
        (5, "reversed", lines[1]),
        (6, "duplicate", lines[2]),
        (7, "training video", lines[3]),
        (8, "unknown video, zero length", lines[4]),
        (9, "unknown video", lines[5]),
    ]
    assert llp.val.audio.sum() == 4 and llp.test.audio.sum() == 8


@pytest.mark.parametrize(
    "file, text, message",
    [
        (
            "AVVP_eval_audio.csv",
            EVENT_HEADER + "bbbbbbbbbbb_0_10\t0\t4\tCat\nbbbbbbbbbbb_0_10\t0\t4\tcat\n",
            r"line 3: unknown class 'cat'; use one of",
        ),
        (
            "AVVP_train.csv",
            "filename\tevent_labels\naaaaaaaaaaa_0_10\tSpeech,Unicorn\n",
            r"line 2: unknown class 'Unicorn'; use one of",
        ),
        (
            "AVVP_train.csv",
            "filename\tevent_labels\naaaaaaaaaaa_0_10\t\n",
            r"line 2: unknown class ''; use one of",
        ),
        (
            "AVVP_eval_visual.csv",
            "filename\tonset\tevent_labels\nccccccccccc_0_10\t3\tSpeech\n",
            r"line 1: column 'offset' is missing; the header must name filename, onset",
        ),
        (
            "AVVP_eval_visual.csv",
            EVENT_HEADER.replace("\t", ",") + "ccccccccccc_0_10,3,5,Speech\n",
            r"line 1: the columns are not separated by tabs; save",
        ),
        (
            "AVVP_eval_visual.csv",
            EVENT_HEADER + "ccccccccccc_0_10,3,5,Speech\n",
            r"line 2: 1 columns where the header has 4; separate",
        ),
        (
            "AVVP_eval_visual.csv",
            EVENT_HEADER + "ccccccccccc_0_10\t3.5\t5\tSpeech\n",
            r"line 2: onset '3.5' is not a whole second from 0 to 10; correct",
        ),
        (
            "AVVP_eval_visual.csv",
            EVENT_HEADER + "ccccccccccc_0_10\t3\t\tSpeech\n",
            r"line 2: offset '' is not a whole second",
        ),
        (
            "AVVP_eval_visual.csv",
            EVENT_HEADER + "ccccccccccc_0_10\t-1\t5\tSpeech\n",
            r"line 2: onset '-1' is not a whole second",
        ),
        (
            "AVVP_eval_visual.csv",
            EVENT_HEADER + "ccccccccccc_0_10\t3\t11\tSpeech\n",
            r"line 2: offset '11' is not a whole second",
        ),
        (
            "AVVP_test_pd.csv",
            SMALL["AVVP_test_pd.csv"] + "ccccccccccc_0_10\tSpeech\n",
            r"line 4: video 'ccccccccccc_0_10' is already listed at AVVP_test_pd.csv, line 2;",
        ),
        (
            "AVVP_test_pd.csv",
            "filename\tevent_labels\naaaaaaaaaaa_5_15\tSpeech\n",
            r"line 2: video 'aaaaaaaaaaa_5_15' is already listed at AVVP_train.csv, line 2;",
        ),
        (
            "AVVP_val_pd.csv",
            "filename\tevent_labels\nshort_0_10\tSpeech\n",
            r"line 2: 'short_0_10' is not a video's name: expected .*; correct the name",
        ),
        (
            "AVVP_val_pd.csv",
            'filename\tevent_labels\nbbbbbbbbbbb_0_10\t"Cat' + 200_000 * "\n",
            r"field larger than field limit .*; fetch the file again",
        ),
        ("AVVP_val_pd.csv", "", r"the file is empty; fetch it again"),
        ("AVVP_val_pd.csv", "filename\tevent_labels\n", r"a header but no rows; fetch it again"),
    ],
)
def test_a_bad_file_is_one_clear_error(small, file, text, message):
    (small / file).write_text(text, encoding="utf-8")
    with pytest.raises(LLPError, match=message) as error:
        read_llp(small)
    assert str(small / file) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(small):
    (small / "AVVP_test_pd.csv").unlink()
    with pytest.raises(LLPError, match=r"AVVP_test_pd\.csv: cannot be opened .*No such file"):
        read_llp(small)


def test_a_file_that_is_no_text_is_named(small):
    (small / "AVVP_test_pd.csv").write_bytes(b"PK\x03\x04\xff\xfe\x80")
    with pytest.raises(LLPError, match=r"AVVP_test_pd\.csv: the file is not UTF-8 text"):
        read_llp(small)


def test_windows_line_ends_byte_order_mark_and_quotes_are_read(small):
    for file, text in SMALL.items():
        text = text.replace("Speech,Dog", '"Speech,Dog"').replace("\n", "\r\n")
        (small / file).write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert np.flatnonzero(read_llp(small).train.weak[0]).tolist() == [0, 3]


@pytest.mark.parametrize(
    "change, message",
    [
        (("Cat", "Dog"), r"line 3: labels of 'bbbbbbbbbbb_0_10' differ from its split's; take"),
        (("bbbbbbbbbbb_0_10\tCat\n", ""), r"video 'bbbbbbbbbbb_0_10' of the splits is not listed"),
        (("bbbbbbbbbbb_0_10", "eeeeeeeeeee_0_10"), r"line 3: video 'eeeeeeeeeee_0_10' is in no"),
        (("bbbbbbbbbbb_0_10\tCat", "aaaaaaaaaaa_0_10\tCat"), r"line 3: video 'a.*' is listed tw"),
    ],
)
def test_the_file_of_all_videos_must_agree_with_the_splits(small, change, message):
    splits = ("AVVP_train.csv", "AVVP_val_pd.csv", "AVVP_test_pd.csv")
    rows = "".join(SMALL[file].split("\n", 1)[1] for file in splits)
    full = small / "AVVP_dataset_full.csv"
    full.write_text("filename\tevent_labels\n" + rows)
    assert read_llp(small).rows[full.name] == 4
    full.write_text("filename\tevent_labels\n" + rows.replace(*change))
    with pytest.raises(LLPError, match=message):
        read_llp(small)


def test_video_id():
    assert video_id("d-d_ddddddd_7_17") == "d-d_ddddddd"
    assert video_id("AP0061o0Nvk_101.8_111.8") == "AP0061o0Nvk"
    for name in ("KvIjsmANkxI_10_20`", "CSWQ_HzQ_10_20", "Baby_cry_infant_cry", ""):
        with pytest.raises(ValueError, match="not a video's name"):
            video_id(name)
