"""No label of the evaluation split reaches a prediction, and a leak would be seen."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from tiny import TRAINING, tiny_dataset, tiny_network

from link.dataset import Split
from link.inference import predict
from link.pseudo_labels import keep_weak
from link.training import fit


@cache
def trained():
    """LINK with everything on, trained until PLSIM, which starts as the identity, is not."""
    return fit(tiny_dataset(), tiny_network(), replace(TRAINING, learning_rate=2e-2)).model


def labelled(split: Split, weak: np.ndarray) -> Split:
    """The split with other weak labels, and the targets that follow from them."""
    return replace(
        split,
        weak=weak,
        audio_target=keep_weak(split.audio_prior, weak),
        visual_target=keep_weak(split.visual_prior, weak),
    )


def leaking(split: Split) -> Split:
    """The mistake: PLSIM is fed the pseudo-labels that were filtered by the weak label."""
    return replace(split, audio_prior=split.audio_target, visual_prior=split.visual_target)


def shuffled(split: Split) -> Split:
    return labelled(split, np.roll(split.weak, 1, axis=0))


@pytest.fixture(params=["val", "test"])
def split(request):
    return tiny_dataset().splits()[request.param]


def test_shuffled_labels_change_no_prediction(split):
    other = shuffled(split)
    assert not np.array_equal(other.weak, split.weak)
    assert not np.array_equal(other.audio_target, split.audio_target)
    for one, two in zip(predict(trained(), split), predict(trained(), other), strict=True):
        assert np.array_equal(one, two)


def test_labels_fed_as_priors_would_change_predictions_and_these_follow_the_labels(split):
    honest = predict(trained(), split)
    told = predict(trained(), leaking(split))
    misled = predict(trained(), leaking(shuffled(split)))
    assert not np.array_equal(honest.video_prob, told.video_prob)
    for modality, index in (("audio", 0), ("visual", 1)):
        targets = (getattr(part, f"{modality}_target") for part in (split, shuffled(split)))
        moved = np.not_equal(*targets).any(axis=(1, 2))
        assert moved.any()
        # A segment's own probability depends on its video's labels in its own modality alone.
        differs = told.segment_prob[:, :, index] != misled.segment_prob[:, :, index]
        assert np.array_equal(differs.any(axis=(1, 2)), moved)
