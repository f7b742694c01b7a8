"""A data set of one's own: labels, priors, targets, splits and truth against literal loops."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_encoders import SmallClap, SmallClip
from tiny import TRAINING

from link.captions import Captions
from link.clip_features import ClipFeatures, ClipStore
from link.events import Event
from link.features import open_store, verify_store, write_store
from link.inference import predict
from link.label_files import LabelError, WeakLabels
from link.own_data import label_clips
from link.training import fit, fitting_config
from link.windows import window_starts

CLASSES = ("Siren", "Dog", "Door bell")
CLIP, CLAP = SmallClip(), SmallClap()
# Thresholds about which the logits of random features lie.
CAPTIONS = Captions(
    CLASSES,
    tuple(f"the sound of {name}" for name in CLASSES),
    tuple(f"a picture of {name}" for name in CLASSES),
    np.array([1.0, -1.0, 0.0], np.float32),
    np.array([-3.0, 5.0, 0.0], np.float32),
)


def unit(rng, *shape):
    rows = rng.standard_normal(shape).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def store_of(durations: dict[str, float], failed=(), seed=0) -> ClipStore:
    """What extract would write of videos of that many seconds, with random features."""
    rng = np.random.default_rng(seed)
    videos, starts, there = [], [], []
    for name, duration in durations.items():
        segments = max(1, int(duration + 0.5))
        clips = window_starts(segments, 10)
        starts += clips
        there += [[start + second < segments for second in range(10)] for start in clips]
        videos.append(
            {"name": name, "duration": duration, "segments": segments, "clips": len(clips)}
        )
    shape = len(starts), 10
    heard, seen = (np.array(there) & (rng.random(shape) < 0.8) for _ in range(2))
    features = ClipFeatures(
        audio=rng.standard_normal((*shape, CLAP.map_width)).astype(np.float32) * heard[..., None],
        sound=unit(rng, *shape, CLAP.width) * heard[..., None],
        visual=unit(rng, *shape, CLIP.width) * seen[..., None],
        heard=heard,
        seen=seen,
    )
    return ClipStore(
        path=Path("features"),
        videos=videos,
        failed=[{"name": name, "sha256": None, "error": "bad"} for name in failed],
        features=features,
        starts=np.array(starts, np.int32),
        encoders={"audio": CLAP.name, "visual": CLIP.name},
        logit_scales={"audio": CLAP.logit_scale, "visual": CLIP.logit_scale},
        hop=10,
    )


def labels_of(labels: dict[str, str], splits=()) -> WeakLabels:
    return WeakLabels(
        Path("mine.csv"),
        {name: frozenset(filter(None, each.split(";"))) for name, each in labels.items()},
        dict(splits),
    )


NAMES = [f"v{index}" for index in range(12)]
LABELS = {name: ";".join(CLASSES[: index % 4]) for index, name in enumerate(NAMES)}
SPLITS = {
    name: "train" if index < 6 else ("val", "test")[index % 2] for index, name in enumerate(NAMES)
}


@pytest.fixture(scope="module")
def store():
    return store_of({name: 4.0 if name == "v3" else 10.2 for name in reversed(NAMES)})


@pytest.fixture(scope="module")
def dataset(store):
    return label_clips(store, labels_of(LABELS, SPLITS), CAPTIONS, CLIP, CLAP, name="mine")


def test_every_video_is_in_its_split_with_its_features_and_labels(store, dataset):
    assert dataset.classes == CLASSES
    assert (dataset.name, dataset.simulated) == ("mine", False)
    for name, split in dataset.splits().items():
        assert list(split.names) == [video for video in NAMES if SPLITS[video] == name]
        for video, audio, visual, weak in zip(
            split.names, split.audio, split.visual, split.weak, strict=True
        ):
            row = list(reversed(NAMES)).index(video)
            np.testing.assert_array_equal(audio, store.features.audio[row])
            np.testing.assert_array_equal(visual, store.features.visual[row])
            assert weak.tolist() == [label in LABELS[video].split(";") for label in CLASSES]
        assert split.audio_truth is split.visual_truth is split.motion is None


def test_priors_are_what_the_teachers_say_and_targets_what_the_labels_leave_of_it(store, dataset):
    texts = {
        "audio": (CLAP, CAPTIONS.audio, CAPTIONS.audio_thresholds, "sound", "heard"),
        "visual": (CLIP, CAPTIONS.visual, CAPTIONS.visual_thresholds, "visual", "seen"),
    }
    shares = []
    for modality, (teacher, captions, thresholds, feature, flag) in texts.items():
        text = np.stack([teacher.embed_text([caption])[0] for caption in captions])
        np.testing.assert_array_equal(getattr(dataset, f"{modality}_text"), text)
        for split in dataset.splits().values():
            prior, target = (getattr(split, f"{modality}_{kind}") for kind in ("prior", "target"))
            assert prior.dtype == target.dtype == bool
            shares.append(prior.mean())
            for video, segment, label in np.ndindex(prior.shape):
                row = list(reversed(NAMES)).index(split.names[video])
                there = getattr(store.features, flag)[row, segment]
                embedding = getattr(store.features, feature)[row, segment].astype(float)
                margin = teacher.logit_scale * (embedding @ text[label]) - thresholds[label]
                assert abs(margin) > 1e-3 or not there
                said = there and margin > 0
                assert prior[video, segment, label] == said
                assert target[video, segment, label] == (said and split.weak[video, label])
    assert min(shares) > 0.1 and max(shares) < 0.9


def test_no_prior_and_no_feature_depends_on_a_label(store, dataset):
    shuffled = dict(
        zip(NAMES, np.random.default_rng(1).permutation(list(LABELS.values())), strict=True)
    )
    other = label_clips(store, labels_of(shuffled, SPLITS), CAPTIONS, CLIP, CLAP)
    changed = 0
    for split, as_before in zip(other.splits().values(), dataset.splits().values(), strict=True):
        for name in ("audio", "visual", "audio_prior", "visual_prior"):
            np.testing.assert_array_equal(getattr(split, name), getattr(as_before, name))
        changed += (split.audio_target != as_before.audio_target).sum()
    assert changed
    np.testing.assert_array_equal(other.audio_text, dataset.audio_text)


def test_what_is_not_heard_or_seen_has_no_priors_whatever_the_thresholds(store):
    low = replace(
        CAPTIONS,
        audio_thresholds=np.full(3, -1e3, np.float32),
        visual_thresholds=np.full(3, -1e3, np.float32),
    )
    dataset = label_clips(store, labels_of(LABELS, SPLITS), low, CLIP, CLAP)
    for split in dataset.splits().values():
        rows = [list(reversed(NAMES)).index(name) for name in split.names]
        for prior, there in (
            (split.audio_prior, store.features.heard),
            (split.visual_prior, store.features.seen),
        ):
            np.testing.assert_array_equal(prior, np.repeat(there[rows][..., None], 3, axis=2))


# ---- splits ----


@given(st.sets(st.text("abcdef", min_size=1, max_size=4), min_size=3, max_size=45))
def test_splits_are_drawn_by_name_alone_and_none_is_empty(names):
    names = sorted(names)
    drawn = []
    for order in (names, names[::-1]):
        store = store_of(dict.fromkeys(order, 10.0))
        labels = labels_of(dict.fromkeys(order, "Dog"))
        splits = label_clips(store, labels, CAPTIONS, CLIP, CLAP).splits()
        drawn.append({name: sorted(split.names) for name, split in splits.items()})
    assert drawn[0] == drawn[1]
    together = sorted(name for split in drawn[0].values() for name in split)
    assert together == names
    held_out = max(1, round(len(names) / 10))
    assert [len(drawn[0][split]) for split in ("val", "test")] == [held_out, held_out]
    assert drawn[0]["train"]


def test_splits_are_drawn_among_the_videos_that_could_be_read():
    names = [f"v{index}" for index in range(30)]
    labels = labels_of(dict.fromkeys(names, "Dog"))
    for left in range(3, 30, 4):
        store = store_of(dict.fromkeys(names[:left], 10.0), failed=names[left:])
        dataset = label_clips(store, labels, CAPTIONS, CLIP, CLAP)
        assert sum(len(split) for split in dataset.splits().values()) == left
        assert dataset.provenance["left_out"]["not readable"] == names[left:]


@pytest.mark.parametrize("left", [1, 2])
def test_with_fewer_than_three_videos_it_is_told_which_split_is_empty(left):
    store = store_of(dict.fromkeys(NAMES[:left], 10.0), failed=NAMES[left:])
    labels = labels_of(dict.fromkeys(NAMES, "Dog"))
    with pytest.raises(LabelError, match=r"no video is left in the split train: .*mine\.csv"):
        label_clips(store, labels, CAPTIONS, CLIP, CLAP)


def test_a_split_whose_videos_all_failed_is_told():
    bad = [name for name in NAMES if SPLITS[name] == "test"]
    store = store_of({name: 10.0 for name in NAMES if name not in bad}, failed=bad)
    with pytest.raises(LabelError, match="no video is left in the split test"):
        label_clips(store, labels_of(LABELS, SPLITS), CAPTIONS, CLIP, CLAP)


def test_a_labelled_video_that_was_not_extracted_is_told(store):
    labels = labels_of(LABELS | {f"w{index}": "Dog" for index in range(7)})
    said = r"features lacks w0, w1, w2, w3, w4 and 2 more, which mine\.csv labels: extract"
    with pytest.raises(LabelError, match=said):
        label_clips(store, labels, CAPTIONS, CLIP, CLAP)


def test_what_is_left_out_is_in_the_provenance():
    store = store_of(dict.fromkeys([*NAMES, "more", "another"], 10.0), failed=["bad", "worse"])
    labels = labels_of({**LABELS, "bad": "Dog"})
    provenance = label_clips(store, labels, CAPTIONS, CLIP, CLAP).provenance
    assert provenance["left_out"] == {
        "without a label": ["another", "more"],
        "not readable": ["bad", "worse"],
    }
    assert provenance["encoders"] == {"audio": "small clap", "visual": "small clip"}
    assert provenance["captions"] == CAPTIONS.record()


def test_a_class_without_a_caption_is_told(store):
    labels = labels_of({**LABELS, "v0": "Dogg"})
    with pytest.raises(LabelError, match=r"mine\.csv has the class 'Dogg'.*Siren, Dog, Door bell"):
        label_clips(store, labels, CAPTIONS, CLIP, CLAP)


@pytest.mark.parametrize("modality", ["audio", "visual"])
def test_captions_are_not_compared_with_features_of_other_encoders(store, modality):
    other = SmallClap() if modality == "audio" else SmallClip()
    other.name = "another"
    encoders = (CLIP, other) if modality == "audio" else (other, CLAP)
    with pytest.raises(
        LabelError, match=f"the {modality} features in features .*not with another"
    ):
        label_clips(store, labels_of(LABELS), CAPTIONS, *encoders)


# ---- long videos and truth ----

DURATIONS = {"clip": 10.4, "long": 34.4, "short": 4.0, "half": 15.0}
WHERE = {"clip": "val", "long": "test", "short": "train", "half": "train"}


def long_dataset(events=None):
    labels = labels_of({"long": "Dog;Siren", "clip": "Dog", "short": "", "half": "Siren"}, WHERE)
    return label_clips(store_of(DURATIONS), labels, CAPTIONS, CLIP, CLAP, events)


def test_the_clips_of_a_long_video_are_called_by_their_seconds_and_share_its_label():
    dataset = long_dataset()
    assert dataset.test.names == ("long_0_10", "long_10_20", "long_20_30", "long_24_34")
    assert dataset.train.names == ("short", "half_0_10", "half_5_15")
    assert dataset.val.names == ("clip",)
    assert dataset.test.weak.tolist() == [[True, True, False]] * 4
    assert dataset.train.weak.tolist() == [[False] * 3, *[[True, False, False]] * 2]


def test_truth_is_cut_into_the_same_windows():
    events = {
        "long": [
            Event("Dog", 3, 12.0, "audio"),
            Event("Siren", 23.4, 26.6, "audio_visual"),
            # Until the very end of the video, which its last segment is taken to last to.
            Event("Door bell", 30.0, 34.4, "visual"),
            Event("Dog", 34.1, 34.3, "visual"),
        ],
        "clip": [Event("Dog", 9.0, 10.4, "audio")],
        "of no interest": [Event("Cat", 0, 1, "audio")],
    }
    dataset = long_dataset(events)
    for split in (dataset.val, dataset.test):
        grids = {"audio": split.audio_truth, "visual": split.visual_truth}
        for modality, grid in grids.items():
            assert grid.dtype == bool
            for clip, segment, label in np.ndindex(grid.shape):
                video, *seconds = split.names[clip].split("_")
                middle = int(seconds[0] if seconds else 0) + segment + 0.5
                expected = any(
                    event.label == CLASSES[label]
                    and event.modality in (modality, "audio_visual")
                    and event.onset <= middle < event.offset
                    for event in events[video]
                )
                assert grid[clip, segment, label] == expected
    assert dataset.test.visual_truth.sum() == 4 + 3 + 4
    assert dataset.train.audio_truth is None


def test_a_split_counts_as_annotated_if_each_of_its_videos_is():
    dataset = long_dataset({"clip": [], "short": [Event("Dog", 0, 4, "audio")]})
    assert not dataset.val.audio_truth.any() and not dataset.val.visual_truth.any()
    assert dataset.train.audio_truth is dataset.test.audio_truth is None


def test_a_split_to_evaluate_on_is_annotated_whole_or_not_at_all():
    labels = labels_of(
        {"long": "Dog", "clip": "Dog", "short": "", "half": "Dog"}, {**WHERE, "half": "test"}
    )
    events = {"half": [Event("Dog", 0, 4, "audio")]}
    with pytest.raises(LabelError, match=r"events of long are not given.*split, test: add a row"):
        label_clips(store_of(DURATIONS), labels, CAPTIONS, CLIP, CLAP, events)


def test_a_short_video_has_no_truth_after_its_end():
    events = {"short": [Event("Dog", 0, 4, "audio")], "half": []}
    (short, *_) = long_dataset(events).train.audio_truth
    assert np.argwhere(short).tolist() == [[second, 1] for second in range(4)]


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (Event("Cat", 0, 1, "audio"), "the annotation of clip: unknown class 'Cat'"),
        (Event("Dog", 9, 10.6, "audio"), "the annotation of clip: event 'Dog' ends at 10.6 s"),
        (Event("Dog", 12, 14, "audio"), "the annotation of clip: event 'Dog' ends at 14 s"),
    ],
)
def test_an_event_that_does_not_fit_is_told(event, said):
    with pytest.raises(LabelError, match=said):
        long_dataset({"clip": [event]})


# ---- what comes of it ----


def test_it_is_written_opened_and_trained_on_without_annotation(dataset, tmp_path):
    opened = open_store(write_store(tmp_path / "store", dataset))
    verify_store(tmp_path / "store")
    assert opened.fingerprint() == dataset.fingerprint()
    assert opened.provenance == dataset.provenance
    config = fitting_config(opened, hidden=8, heads=2, feed_forward=12, layers=1)
    assert config.plsim and config.motion_dim is None
    fitted = fit(opened, config, TRAINING)
    assert fitted.scores.keys() == {"val", "test"}
    said = predict(fitted.model, dataset.test).video_prob >= 0.5
    assert fitted.scores["test"]["video"] == pytest.approx(100 * mean_f_score(said, dataset))
    again = fit(dataset, config, TRAINING)
    assert again.scores == fitted.scores


def mean_f_score(said, dataset):
    scores = []
    for mine, theirs in zip(said, dataset.test.weak, strict=True):
        both = (mine & theirs).sum()
        wrong = (mine ^ theirs).sum()
        scores.append(1.0 if both + wrong == 0 else 2 * both / (2 * both + wrong))
    return np.mean(scores)


def test_it_is_trained_on_with_annotation_of_the_splits_that_have_it():
    dataset = long_dataset({"long": [Event("Dog", 3, 12, "audio")]})
    config = fitting_config(dataset, hidden=8, heads=2, feed_forward=12, layers=1)
    fitted = fit(dataset, config, TRAINING)
    assert fitted.scores["val"].keys() == {"video"}
    assert "segment/type" in fitted.scores["test"]
