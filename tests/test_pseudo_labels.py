"""Captions and thresholds are VALOR's, and targets are never confused with priors."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from link.events import CLASSES
from link.pseudo_labels import (
    AUDIO_CAPTIONS,
    AUDIO_THRESHOLDS,
    VALOR_CAPTIONS,
    VISUAL_CAPTIONS,
    VISUAL_THRESHOLDS,
    audio_priors,
    keep_weak,
    label_segments,
    text_features,
    visual_priors,
)

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
