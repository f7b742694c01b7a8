"""Captions and thresholds are VALOR's, and targets are never confused with priors."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from link.events import CLASSES
from link.pseudo_labels import (
    AUDIO_CAPTIONS,
    AUDIO_THRESHOLDS,
    VISUAL_CAPTIONS,
    VISUAL_THRESHOLDS,
    keep_weak,
    label_segments,
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
