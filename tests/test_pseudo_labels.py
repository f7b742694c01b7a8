"""Captions and thresholds are VALOR's, and targets are never confused with priors."""

import itertools
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from small_encoders import SmallClap, SmallClip
from tiny import TRAINING, tiny_dataset, tiny_network

from link.captions import read_captions
from link.events import CLASSES
from link.features import open_store, write_store
from link.inference import predict
from link.pseudo_labels import (
    AUDIO_CAPTIONS,
    AUDIO_THRESHOLDS,
    VALOR_CAPTIONS,
    VISUAL_CAPTIONS,
    VISUAL_THRESHOLDS,
    audio_priors,
    captions_for,
    keep_weak,
    label_segments,
    text_features,
    visual_priors,
    with_priors,
)
from link.training import fit, has_priors

DESIGN = Path(__file__).parents[1].parent / "shared" / "design.md"


@pytest.fixture
def section():
    """What the design says about VALOR's pseudo-labels, as one line."""
    if not DESIGN.exists():
        pytest.skip(f"the design is not at {DESIGN}")
    text = DESIGN.read_text(encoding="utf-8")
    return " ".join(text.split("## 6.")[1].split("## 7.")[0].split())


def numbers(text):
    return [int(number) for number in re.findall(r"-?\d+", text)]


def test_visual_captions_and_thresholds_are_those_of_the_design(section):
    visual = section.split("- Visual:")[1].split("- Audio:")[0]
    captions, thresholds = visual.split('Captions "A photo of ...":')[1].split("Thresholds")
    things = [thing.strip() for thing in captions.split("/")]
    assert list(VISUAL_CAPTIONS) == [f"A photo of {thing}" for thing in things]
    assert VISUAL_THRESHOLDS.tolist() == numbers(thresholds)


def test_audio_captions_and_thresholds_are_those_of_the_design(section):
    audio = section.split("- Audio: ")[1].split("- Audio features")[0]
    said = re.search(r'Captions "(.*?)" \+ lower-case name \((.*?)\)\.', audio)
    prefix, exceptions = said.groups()
    *written_out, rule = [part.strip() for part in exceptions.split(";")]
    assert rule == "underscores as spaces"
    by_letters = {re.sub(r"[^a-z]", "", name.lower()): name.lower() for name in written_out}
    classes = re.search(r"Class order as in VALOR: (.*?)\. - Visual", section).group(1).split(", ")
    names = [
        by_letters.get(re.sub(r"[^a-z]", "", name.lower()), name.lower().replace("_", " "))
        for name in classes
    ]
    assert list(AUDIO_CAPTIONS) == [prefix + name for name in names]
    assert tuple(classes) == CLASSES
    assert AUDIO_THRESHOLDS.tolist() == numbers(audio.split("Thresholds")[1])


def test_the_spelling_is_valors_and_there_is_one_of_each_for_every_class():
    assert VISUAL_CAPTIONS[14] == "A photo of a vaccum cleaner."
    assert VISUAL_CAPTIONS[20] == "A photo of a acoustic guiter."
    assert AUDIO_CAPTIONS[5] == "This is a sound of frying (food)"
    assert AUDIO_CAPTIONS[12] == "This is a sound of chicken, rooster"
    for per_class in (VISUAL_CAPTIONS, AUDIO_CAPTIONS, VISUAL_THRESHOLDS, AUDIO_THRESHOLDS):
        assert len(per_class) == len(CLASSES)
    for captions in (VISUAL_CAPTIONS, AUDIO_CAPTIONS):
        assert len(set(captions)) == len(CLASSES)


def test_a_logit_that_equals_its_threshold_is_not_above_it():
    above = np.nextafter(VISUAL_THRESHOLDS, np.float32(np.inf))
    below = np.nextafter(VISUAL_THRESHOLDS, np.float32(-np.inf))
    logits = np.stack([below, VISUAL_THRESHOLDS, above])
    exceed = label_segments(logits, VISUAL_THRESHOLDS)
    assert not exceed[:2].any() and exceed[2].all()


@settings(deadline=None)
@given(
    logits=arrays(np.float32, (2, 4, 3), elements=st.sampled_from([-2.0, 0.0, 1.0, 1.5, 4.0])),
    weak=arrays(bool, (2, 3)),
)
def test_targets_are_the_priors_of_the_weak_labels_classes(logits, weak):
    thresholds = np.array([-2.0, 1.0, 4.0])
    priors = label_segments(logits, thresholds)
    targets = keep_weak(priors, weak)
    assert priors.dtype == targets.dtype == bool
    for video, segment, label in itertools.product(*map(range, logits.shape)):
        place = video, segment, label
        assert priors[place] == (logits[place] > thresholds[label])
        assert targets[place] == (priors[place] and weak[video, label])


@pytest.fixture
def logits():
    """Above, below and, since all are whole numbers, often at a threshold."""
    return np.random.default_rng(0).integers(-10, 30, (4, 10, 25)).astype(np.float32)


def test_each_modality_has_its_own_thresholds(logits):
    for priors, thresholds in (
        (audio_priors(logits), AUDIO_THRESHOLDS),
        (visual_priors(logits), VISUAL_THRESHOLDS),
    ):
        assert priors.dtype == bool
        for place in np.ndindex(logits.shape):
            assert priors[place] == (logits[place] > thresholds[place[-1]])
    higher = np.full(25, 40, np.float32)
    assert not audio_priors(logits, higher).any() and not visual_priors(logits, higher).any()


@pytest.mark.parametrize("temperature", [0.1, 1.0, 5.0])
def test_soft_priors_are_the_sigmoid_of_the_margin(logits, temperature):
    for modality, thresholds in (
        (audio_priors, AUDIO_THRESHOLDS),
        (visual_priors, VISUAL_THRESHOLDS),
    ):
        soft = modality(logits, temperature=temperature)
        margin = logits.astype(float) - thresholds
        assert soft.dtype == np.float32
        np.testing.assert_allclose(soft, 1 / (1 + np.exp(-margin / temperature)), atol=1e-6)
        np.testing.assert_array_equal(soft > 0.5, modality(logits))


def test_soft_priors_stay_in_range_and_need_a_temperature_above_zero():
    logits = np.array([-1e30, 1e30], np.float32)
    soft = label_segments(logits, np.zeros(2), 1e-3)
    np.testing.assert_array_equal(soft, [0, 1])
    for temperature in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="need one above 0"):
            label_segments(logits, np.zeros(2), temperature)


def test_valors_captions_are_together():
    assert VALOR_CAPTIONS.classes == CLASSES
    assert VALOR_CAPTIONS.audio == AUDIO_CAPTIONS and VALOR_CAPTIONS.visual == VISUAL_CAPTIONS
    assert VALOR_CAPTIONS.audio_thresholds is AUDIO_THRESHOLDS
    assert VALOR_CAPTIONS.visual_thresholds is VISUAL_THRESHOLDS


class Spelling:
    """A text encoder that makes the captions' length their feature."""

    def embed_text(self, captions):
        return np.array([[len(caption)] for caption in captions], np.float32)


def test_text_features_are_clap_of_the_sounds_and_clip_of_the_sights():
    audio, visual = text_features(Spelling(), Spelling())
    assert audio[:, 0].tolist() == [len(caption) for caption in AUDIO_CAPTIONS]
    assert visual[:, 0].tolist() == [len(caption) for caption in VISUAL_CAPTIONS]


# ---- captions of any classes ----


def test_captions_for_the_classes_of_llp_are_valors():
    captions = captions_for(CLASSES)
    assert captions.record() == VALOR_CAPTIONS.record()
    assert captions.classes == CLASSES


def test_captions_for_any_classes_are_valors_where_there_are_some(tmp_path):
    names = ("Door_bell", "Dog", "siren", "Frying_(food)", "dog")
    captions = captions_for(names)
    file = tmp_path / "captions.yaml"
    file.write_text("classes:\n  Door_bell:\n  siren:\n  dog:\n", encoding="utf-8")
    usual = read_captions(file)
    assert captions.classes == names
    for key in ("audio", "visual", "audio_thresholds", "visual_thresholds"):
        column, valors = getattr(captions, key), getattr(VALOR_CAPTIONS, key)
        assert [column[1], column[3]] == [valors[3], valors[5]]
        assert [column[0], column[2], column[4]] == list(getattr(usual, key))
    assert captions.audio_thresholds.dtype == captions.visual_thresholds.dtype == np.float32


# ---- priors for published features ----


class MapClap(SmallClap):
    """Projects pooled maps to its embeddings by a fixed matrix."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.matrix = np.random.default_rng(3).standard_normal((width, self.width))

    def project_map(self, pooled):
        found = pooled @ self.matrix
        return (found / np.linalg.norm(found, axis=-1, keepdims=True)).astype(np.float32)


class WideClip(SmallClip):
    width = tiny_dataset().visual_text.shape[1]


@pytest.fixture(scope="module")
def published():
    """Features as VALOR published them, without priors and texts; CLIP's are embeddings."""
    rng = np.random.default_rng(0)
    splits = {}
    for name, split in tiny_dataset().splits().items():
        visual = rng.standard_normal((len(split), 10, WideClip.width)).astype(np.float32)
        visual /= np.linalg.norm(visual, axis=-1, keepdims=True)
        splits[name] = replace(split, visual=visual, audio_prior=None, visual_prior=None)
    texts = {"audio_text": None, "visual_text": None}
    return replace(tiny_dataset(), **splits, **texts, provenance={"source": "published"})


@pytest.fixture(scope="module")
def teachers(published):
    return MapClap(published.train.audio.shape[2]), WideClip()


def test_priors_are_the_thresholded_logits_of_the_features(published, teachers):
    clap, clip = teachers
    dataset = with_priors(published, clap, clip)
    hearing, seeing = clap.embed_text(AUDIO_CAPTIONS), clip.embed_text(VISUAL_CAPTIONS)
    np.testing.assert_array_equal(dataset.audio_text, hearing)
    np.testing.assert_array_equal(dataset.visual_text, seeing)
    for name, split in dataset.splits().items():
        before = published.splits()[name]
        for video, segment in np.ndindex(split.audio.shape[:2]):
            heard = clap.project_map(before.audio[video, segment])
            seen = before.visual[video, segment]
            for prior, logits, thresholds in (
                (split.audio_prior, 20 * (hearing @ heard), AUDIO_THRESHOLDS),
                (split.visual_prior, 100 * (seeing @ seen), VISUAL_THRESHOLDS),
            ):
                clear = np.abs(logits - thresholds) > 1e-4
                said = prior[video, segment]
                assert (said == (logits > thresholds))[clear].all()
        assert 0 < split.audio_prior.mean() < 1 and 0 < split.visual_prior.mean() < 1
        # Labels, and what a network otherwise reads, stay as they were.
        for key, array in before.arrays().items():
            assert getattr(split, key) is array


def test_no_such_prior_depends_on_a_label(published, teachers):
    order = np.random.default_rng(1).permutation(len(published.test))
    shuffled = replace(published.test, weak=published.test.weak[order])
    before = with_priors(published, *teachers).test
    after = with_priors(replace(published, test=shuffled), *teachers).test
    np.testing.assert_array_equal(after.audio_prior, before.audio_prior)
    np.testing.assert_array_equal(after.visual_prior, before.visual_prior)
    assert (after.weak != before.weak).any()


def test_where_priors_come_from_is_in_the_provenance_and_the_data_are_others(published, teachers):
    dataset = with_priors(published, *teachers)
    assert published.provenance == {"source": "published"}
    provenance = dict(dataset.provenance)
    priors = provenance.pop("priors")
    assert priors["visual"].startswith("exact") and priors["audio"].startswith("nearly")
    assert provenance == {
        "source": "published",
        "encoders": {"audio": "small clap", "visual": "small clip"},
        "captions": VALOR_CAPTIONS.record(),
    }
    assert dataset.fingerprint() != published.fingerprint()
    assert (dataset.name, dataset.classes) == (published.name, CLASSES)


def test_plsim_is_trained_on_them(published, teachers, tmp_path):
    assert not has_priors(published)
    dataset = open_store(write_store(tmp_path / "s", with_priors(published, *teachers)))
    assert has_priors(dataset)
    fitted = fit(dataset, tiny_network(dataset), TRAINING)
    np.testing.assert_array_equal(fitted.model.plsim_audio.text, dataset.audio_text)
    assert fitted.model.plsim_audio.gamma1[-1].weight.abs().max() > 0
    test = dataset.test
    deaf = replace(test, audio_prior=~test.audio_prior, visual_prior=~test.visual_prior)
    there, other = (predict(fitted.model, split).segment_prob for split in (test, deaf))
    assert np.abs(there - other).max() > 1e-4
