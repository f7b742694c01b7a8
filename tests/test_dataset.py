"""The data set in memory: what fits together, and one fingerprint for what training reads."""

import dataclasses
import hashlib

import numpy as np
import pytest

from link.dataset import Dataset, FeatureError, Split

CLASSES = ("Speech", "Car", "Dog")


def make_split(videos: int, seed: int = 0, **changes) -> Split:
    rng = np.random.default_rng(seed)

    def grid():
        return rng.random((videos, 4, len(CLASSES))) < 0.3

    arrays = {
        "audio": rng.normal(size=(videos, 4, 6)).astype(np.float32),
        "visual": rng.normal(size=(videos, 4, 5)).astype(np.float32),
        "weak": rng.random((videos, len(CLASSES))) < 0.5,
        "audio_target": grid(),
        "visual_target": grid(),
        "audio_truth": grid(),
    }
    return Split(names=tuple(f"v{seed}{i}" for i in range(videos)), **arrays | changes)


def make_dataset(**changes) -> Dataset:
    rng = np.random.default_rng(9)
    parts = {
        "name": "made up",
        "simulated": True,
        "classes": CLASSES,
        "train": make_split(5, 1, audio_truth=None),
        "val": make_split(2, 2),
        "test": make_split(3, 3),
        "audio_text": rng.normal(size=(len(CLASSES), 7)).astype(np.float32),
    }
    return Dataset(**parts | changes)


def test_split_knows_its_length_and_arrays():
    split = make_split(5)
    assert len(split) == 5
    assert list(split.arrays()) == [
        "audio",
        "visual",
        "weak",
        "audio_target",
        "visual_target",
        "audio_truth",
    ]


@pytest.mark.parametrize(
    "indices", [[4, 0], np.array([True, False, False, True, False]), slice(1, 3)]
)
def test_subset_takes_the_same_videos_of_names_and_arrays(indices):
    split = make_split(5)
    part = split.subset(indices)
    rows = list(range(5))[indices] if isinstance(indices, slice) else np.arange(5)[indices]
    assert part.names == tuple(split.names[row] for row in rows)
    assert len(part) == 2
    for name, array in part.arrays().items():
        for new, old in enumerate(rows):
            assert np.array_equal(array[new], getattr(split, name)[old])
    assert part.motion is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"visual": np.zeros((5, 3, 5), np.float32)}, r"visual has shape \(5, 3, 5\).*T=4"),
        ({"weak": np.zeros((4, 3), bool)}, r"weak has shape \(4, 3\).*N=5.*5 names"),
        ({"audio_prior": np.zeros((5, 4, 2), bool)}, r"audio_prior.*C=3"),
        ({"audio": np.zeros((5, 4), np.float32)}, r"audio has shape \(5, 4\)"),
        ({"audio": np.zeros((5, 4, 6))}, "audio is float64; it must be float32"),
        ({"visual_prior": np.zeros((5, 4, 3), int)}, "visual_prior is int64.*bool or float32"),
        ({"audio_target": np.zeros((5, 4, 3), np.float32)}, "audio_target.*must be bool"),
        ({"weak": [[True] * 3] * 5}, "weak must be a numpy array, not list"),
        ({"visual_target": None}, "visual_target must be a numpy array"),
    ],
)
def test_split_refuses_arrays_that_do_not_fit(changes, message):
    with pytest.raises(FeatureError, match=message):
        make_split(5, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val": make_split(2, audio=np.zeros((2, 4, 8), np.float32))}, "val has Da=8.*has 6"),
        ({"classes": CLASSES[:2]}, "train has C=3.*has 2"),
        ({"test": make_split(3, motion=np.zeros((3, 4, 2), np.float32))}, "motion must be alike"),
        ({"audio_text": np.zeros((2, 7), np.float32)}, r"audio_text is float32 \(2, 7\)"),
        ({"visual_text": np.zeros((3, 7))}, "visual_text is float64"),
    ],
)
def test_dataset_refuses_splits_that_do_not_fit(changes, message):
    with pytest.raises(FeatureError, match=message):
        make_dataset(**changes)


def test_priors_of_two_types_do_not_mix():
    prior = {"audio_prior": np.zeros((5, 4, 3), bool)}
    parts = {"train": make_split(5, 1, **prior), "val": make_split(5, 2, **prior)}
    assert make_dataset(**parts, test=make_split(5, 3, **prior)).test.audio_prior is not None
    floats = {"audio_prior": np.zeros((5, 4, 3), np.float32)}
    with pytest.raises(FeatureError, match="audio_prior must be alike"):
        make_dataset(**parts, test=make_split(5, 3, **floats))


def test_fingerprint_is_the_documented_hash():
    """One video, written out by hand: the value may change only with the format."""
    split = Split(
        names=("a",),
        audio=np.array([[[1.0]]], np.float32),
        visual=np.array([[[2.0]]], np.float32),
        weak=np.array([[True]]),
        audio_target=np.array([[[True]]]),
        visual_target=np.array([[[False]]]),
    )
    dataset = Dataset("tiny", True, ("Dog",), split, split, split)
    one_split = (
        b'["audio", "<f4", [1, 1, 1]]\x00\x00\x80\x3f'
        b'["visual", "<f4", [1, 1, 1]]\x00\x00\x00\x40'
        b'["weak", "|b1", [1, 1]]\x01'
        b'["audio_target", "|b1", [1, 1, 1]]\x01'
        b'["visual_target", "|b1", [1, 1, 1]]\x00'
    )
    spelled = b'["classes", "Dog"]' + b"".join(
        b'["%s", "a"]' % name + one_split for name in (b"train", b"val", b"test")
    )
    assert dataset.fingerprint() == hashlib.sha256(spelled).hexdigest()


def test_fingerprint_ignores_memory_order_name_and_provenance():
    dataset = make_dataset()
    turned = {name: np.asfortranarray(array) for name, array in dataset.val.arrays().items()}
    same = make_dataset(
        val=Split(dataset.val.names, **turned), provenance={"written": "another day"}
    )
    assert same.fingerprint() == dataset.fingerprint()
    assert dataclasses.replace(dataset, name="other").fingerprint() == dataset.fingerprint()


@pytest.mark.parametrize(
    "field",
    ["audio", "visual", "weak", "audio_target", "visual_target", "audio_truth"],
)
def test_fingerprint_sees_one_changed_value_in_any_array(field):
    dataset = make_dataset()
    array = getattr(dataset.test, field).copy()
    array[-1, -1] = ~array[-1, -1] if array.dtype == bool else array[-1, -1] + 1
    changed = dataclasses.replace(dataset, test=make_split(3, 3, **{field: array}))
    assert changed.fingerprint() != dataset.fingerprint()


def test_fingerprint_sees_names_classes_and_texts():
    dataset = make_dataset()
    renamed = dataclasses.replace(dataset.test, names=("x", *dataset.test.names[1:]))
    prints = {
        dataset.fingerprint(),
        dataclasses.replace(dataset, test=renamed).fingerprint(),
        dataclasses.replace(dataset, classes=("Speech", "Car", "Cat")).fingerprint(),
        dataclasses.replace(dataset, audio_text=dataset.audio_text + 1).fingerprint(),
        dataclasses.replace(
            dataset, audio_text=None, visual_text=dataset.audio_text
        ).fingerprint(),
    }
    assert len(prints) == 5
