"""Published VALOR folders, made up here: few videos, random numbers, the right shapes."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from link.events import CLASSES
from link.features import FeatureError, open_store, write_store
from link.llp import LLP, read_llp
from link.llp import Split as Annotations
from link.valor_folders import read_valor_folders

SHAPES = {
    "CLIP/features": (10, 768),
    "CLAP/features": (64, 768),
    "feats/r2plus1d_18": (10, 512),
    "CLIP/segment_pseudo_labels": (10, 25),
    "CLAP/segment_pseudo_labels": (10, 25),
}
MOTION = "feats/r2plus1d_18"
ANNOTATIONS = Path(__file__).parents[1].parent / "shared" / "llp"


def made_up_llp(train: int = 4, val: int = 2, test: int = 3) -> LLP:
    rng = np.random.default_rng(1)

    def split(letter: str, count: int, annotated: bool) -> Annotations:
        def grid():
            return rng.random((count, 10, 25)) < 0.1

        return Annotations(
            tuple(f"{letter}-made_up_{i}_{i}_{i + 10}" for i in range(count)),
            rng.random((count, 25)) < 0.3,
            grid() if annotated else None,
            grid() if annotated else None,
        )

    parts = split("r", train, False), split("v", val, True), split("e", test, True)
    return LLP(*parts, skipped=(), rows={})


def write_video(folder: Path, name: str, weak: np.ndarray, seed: int = 0) -> None:
    rng = np.random.default_rng([seed, *name.encode()])
    for part, shape in SHAPES.items():
        if "pseudo" in part:
            array = ((rng.random(shape) < 0.5) & weak).astype(np.int64)
        else:
            array = rng.normal(size=shape).astype(np.float32)
        (folder / part).mkdir(parents=True, exist_ok=True)
        np.save(folder / part / f"{name[:11]}.npy", array)


@pytest.fixture
def llp() -> LLP:
    return made_up_llp()


@pytest.fixture
def folder(tmp_path, llp) -> Path:
    for split in (llp.train, llp.val, llp.test):
        for name, weak in zip(split.names, split.weak, strict=True):
            write_video(tmp_path / "valor", name, weak)
    return tmp_path / "valor"


def test_every_array_arrives_where_it_belongs(folder, llp):
    dataset = read_valor_folders(folder, llp)
    assert not dataset.simulated
    assert dataset.classes == CLASSES
    assert dataset.provenance["left_out"] == {"train": [], "val": [], "test": []}
    for name, split in dataset.splits().items():
        annotated = getattr(llp, name)
        assert split.names == annotated.names
        assert np.array_equal(split.weak, annotated.weak)
        assert split.audio_prior is None and split.visual_prior is None
        for truth, given in (("audio_truth", "audio"), ("visual_truth", "visual")):
            assert getattr(split, truth) is getattr(annotated, given)
        for index, video in enumerate(split.names):
            stored = {part: np.load(folder / part / f"{video[:11]}.npy") for part in SHAPES}
            assert np.array_equal(split.visual[index], stored["CLIP/features"])
            assert np.array_equal(split.motion[index], stored["feats/r2plus1d_18"])
            for modality, teacher in (("visual", "CLIP"), ("audio", "CLAP")):
                target = getattr(split, f"{modality}_target")[index]
                assert target.dtype == bool
                assert np.array_equal(target, stored[f"{teacher}/segment_pseudo_labels"] == 1)
            assert np.abs(split.audio[index] - pooled(stored["CLAP/features"])).max() < 1e-6


def pooled(cells: np.ndarray) -> np.ndarray:
    """VALOR's upsampling and pooling of one audio map, without the projection."""
    grid = torch.from_numpy(cells).T.reshape(1, -1, 2, 32)
    grid = torch.nn.functional.interpolate(grid, (2, 1024), mode="bicubic", align_corners=False)
    return torch.nn.functional.adaptive_avg_pool1d(grid.mean(dim=2), 10)[0].T.numpy()


def test_without_the_motion_folder_the_data_set_has_no_motion(folder, llp):
    whole = read_valor_folders(folder, llp)
    shutil.rmtree(folder / MOTION)
    dataset = read_valor_folders(folder, llp)
    assert (whole.provenance["motion"], dataset.provenance["motion"]) == ("R(2+1)D-18", None)
    for name, split in dataset.splits().items():
        before = whole.splits()[name].arrays()
        assert before.pop("motion") is not None and split.motion is None
        assert before.keys() == split.arrays().keys()
        assert all(np.array_equal(before[field], split.arrays()[field]) for field in before)


def test_a_motion_folder_that_is_there_must_be_whole(folder, llp):
    for file in (folder / MOTION).iterdir():
        file.unlink()
    with pytest.raises(FeatureError, match=r"missing 9\)"):
        read_valor_folders(folder, llp)


def test_what_was_read_can_be_packed_and_opened(folder, llp, tmp_path):
    dataset = read_valor_folders(folder, llp)
    opened = open_store(write_store(tmp_path / "store", dataset))
    assert opened.fingerprint() == dataset.fingerprint()
    assert opened.provenance == dataset.provenance


def test_half_precision_features_and_boolean_labels_are_read(folder, llp):
    before = read_valor_folders(folder, llp)
    video = llp.val.names[0][:11]
    for part in SHAPES:
        path = folder / part / f"{video}.npy"
        array = np.load(path)
        np.save(path, array.astype(bool if "pseudo" in part else np.float16))
    after = read_valor_folders(folder, llp)
    assert after.val.visual.dtype == np.float32
    assert np.array_equal(after.val.visual[0], before.val.visual[0].astype(np.float16))
    assert np.array_equal(after.val.audio_target, before.val.audio_target)


def test_progress_is_told_after_each_video(folder, llp):
    told = []
    read_valor_folders(folder, llp, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 9) for done in range(1, 10)]


def cut_short(path, _):
    path.write_bytes(path.read_bytes()[:-100])


def emptied(path, _):
    path.write_bytes(b"")


def pickled(path, _):
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)


def zipped(path, array):
    with open(path, "wb") as file:
        np.savez(file, array=array)


def garbage(path, _):
    path.write_bytes(b"<html>404 Not Found</html>")


def one_value(value):
    def fault(path, array):
        array[3, 4] = value
        np.save(path, array)

    return fault


def saved(change):
    return lambda path, array: np.save(path, change(array))


def outside(path, array):
    array[2, :] = 1
    np.save(path, array)


FEATURE, LABEL, AUDIO = "CLIP/features", "CLIP/segment_pseudo_labels", "CLAP/features"
FAULTS = [
    (FEATURE, lambda path, _: path.unlink(), "missing"),
    (LABEL, lambda path, _: path.unlink(), "missing"),
    (FEATURE, cut_short, "unreadable"),
    (LABEL, cut_short, "unreadable"),
    (FEATURE, emptied, "unreadable"),
    (FEATURE, pickled, "unreadable"),
    (FEATURE, zipped, "unreadable: an archive"),
    (FEATURE, garbage, "unreadable"),
    (FEATURE, saved(lambda array: array[:9]), r"wrong shape: \(9, 768\), expected \(10, 768\)"),
    (AUDIO, saved(lambda array: array.reshape(32, -1)), "wrong shape"),
    (LABEL, saved(lambda array: array.T), r"wrong shape: \(25, 10\), expected \(10, 25\)"),
    ("feats/r2plus1d_18", saved(lambda array: array[None]), r"wrong shape: \(1, 10, 512\)"),
    (FEATURE, saved(lambda array: array.astype(np.int32)), "wrong type: int32"),
    (AUDIO, saved(lambda array: array.astype(np.complex64)), "wrong type: complex64"),
    (LABEL, saved(lambda array: array.astype(np.float32)), "wrong type: float32"),
    (FEATURE, one_value(np.nan), "not finite: 1 of 7680 values"),
    (AUDIO, one_value(-np.inf), "not finite: 1 of 49152 values"),
    (FEATURE, saved(lambda array: array * np.float64(1e60)), "not finite"),
    (LABEL, one_value(2), "not 0 or 1: values from 0 to 2"),
    (LABEL, one_value(-1), "not 0 or 1"),
    (LABEL, outside, "outside the weak label: .*"),
]


@pytest.mark.parametrize(("part", "fault", "reason"), FAULTS)
def test_each_fault_is_named(folder, llp, part, fault, reason):
    path = folder / part / f"{llp.test.names[1][:11]}.npy"
    fault(path, np.load(path))
    with pytest.raises(FeatureError, match=f"{path.name}: {reason}") as caught:
        read_valor_folders(folder, llp)
    assert "1 faulty arrays of 1 videos" in str(caught.value)
    assert "skip_bad" in str(caught.value)
    assert [problem_path for problem_path, _ in caught.value.problems] == [path]


def test_all_faults_of_all_splits_are_told_in_one_error(folder, llp):
    videos = [name[:11] for split in (llp.train, llp.val, llp.test) for name in split.names]
    broken = set()
    for index, (part, fault, _) in enumerate(FAULTS):
        path = folder / part / f"{videos[index % len(videos)]}.npy"
        if path not in broken:
            fault(path, np.load(path))
            broken.add(path)
    with pytest.raises(FeatureError) as caught:
        read_valor_folders(folder, llp)
    assert {path for path, _ in caught.value.problems} == broken
    kinds = [reason.split(":")[0] for _, reason in caught.value.problems]
    for kind in set(kinds):
        assert f"{kind} {kinds.count(kind)}" in str(caught.value).splitlines()[0]
    assert len(set(kinds)) > 4


def test_a_long_list_is_cut_in_the_message_and_whole_in_the_error(folder, llp):
    for part in SHAPES:
        for file in (folder / part).iterdir():
            file.unlink()
    with pytest.raises(FeatureError) as caught:
        read_valor_folders(folder, llp)
    message = str(caught.value)
    assert "45 faulty arrays of 9 videos (missing 45)" in message
    assert message.count(".npy: missing") == 20
    assert "and 25 more" in message
    assert len(caught.value.problems) == 45


def test_skip_bad_leaves_the_videos_out_and_says_so(folder, llp):
    whole = read_valor_folders(folder, llp)
    (folder / FEATURE / f"{llp.train.names[1][:11]}.npy").unlink()
    (folder / AUDIO / f"{llp.train.names[1][:11]}.npy").unlink()
    emptied(folder / LABEL / f"{llp.test.names[0][:11]}.npy", None)
    dataset = read_valor_folders(folder, llp, skip_bad=True)
    assert dataset.provenance["left_out"] == {
        "train": [llp.train.names[1]],
        "val": [],
        "test": [llp.test.names[0]],
    }
    assert dataset.provenance["faulty_arrays"] == {"missing": 2, "unreadable": 1}
    for name, kept in (("train", [0, 2, 3]), ("val", [0, 1]), ("test", [1, 2])):
        expected = whole.splits()[name].subset(kept)
        assert dataset.splits()[name].names == expected.names
        for field, array in expected.arrays().items():
            assert np.array_equal(getattr(dataset.splits()[name], field), array)


def test_a_split_left_empty_is_an_error(folder, llp):
    for name in llp.val.names:
        (folder / AUDIO / f"{name[:11]}.npy").unlink()
    with pytest.raises(FeatureError, match=r"no video is left in val \(missing 2\)"):
        read_valor_folders(folder, llp, skip_bad=True)


@pytest.mark.parametrize("skip_bad", [False, True])
def test_absent_folders_are_named_with_the_expected_layout(tmp_path, llp, skip_bad):
    (tmp_path / "CLIP" / "features").mkdir(parents=True)
    with pytest.raises(FeatureError) as caught:
        read_valor_folders(tmp_path, llp, skip_bad=skip_bad)
    message = str(caught.value)
    absent, expected = message.split("expected are")
    for part in SHAPES:
        assert part in expected
        assert (part in absent) == (part not in ("CLIP/features", MOTION))
    assert "\n" not in message


def test_a_path_that_is_no_folder_is_named(tmp_path, llp):
    with pytest.raises(FeatureError, match="absent is no folder"):
        read_valor_folders(tmp_path / "absent", llp)


@pytest.mark.skipif(not ANNOTATIONS.is_dir(), reason="the LLP annotations are not at hand")
def test_a_few_videos_of_the_real_annotations(tmp_path):
    """Thirty of the 11,849 videos are there; they alone make the data set."""
    llp = read_llp(ANNOTATIONS)
    chosen = {"train": range(0, 10_000, 500), "val": range(4), "test": range(100, 106)}
    for name, rows in chosen.items():
        split = getattr(llp, name)
        for row in rows:
            write_video(tmp_path, split.names[row], split.weak[row])
    dataset = read_valor_folders(tmp_path, llp, skip_bad=True)
    for name, rows in chosen.items():
        annotated, split = getattr(llp, name), dataset.splits()[name]
        assert split.names == tuple(annotated.names[row] for row in rows)
        assert np.array_equal(split.weak, annotated.weak[list(rows)])
    assert np.array_equal(dataset.test.audio_truth, llp.test.audio[100:106])
    assert len(dataset.provenance["left_out"]["train"]) == 9_980
    assert dataset.provenance["faulty_arrays"] == {"missing": 11_819 * 5}
