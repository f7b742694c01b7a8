"""llp-sim comes out alike everywhere, keeps labels out of priors, and is as hard as LLP."""

import csv
import os
import subprocess
import sys
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tiny import SIMULATION, tiny_dataset

import link.simulation as simulation
from link.dataset import SPLITS
from link.metrics import parsing_scores
from link.presets import usual_network, usual_training
from link.simulated_events import SimulatedEvents
from link.simulation import SimulationConfig, Space, World, simulate, tune_thresholds
from link.training import fit

#: Of the data set of `tiny.SIMULATION`. numpy 1.26, 2.0 and 2.3 give it, with any instruction set.
GOLDEN = "0e1e13e3d6425348b95c590ceb94cdd26955a06e8a4d864bd455e4de26857ae3"

#: Integers up to here have floats of their own.
EXACT = 2**53

PUBLISHED = Path(__file__).parents[1] / "book" / "published_segment.csv"
KINDS = {
    "Audio": "segment/audio",
    "Visual": "segment/visual",
    "Audio-visual": "segment/audio_visual",
}

#: What predicting the weak labels everywhere scores on LLP's own test split.
WEAK_ON_LLP = {"segment/audio": 76.1, "segment/visual": 60.4, "segment/audio_visual": 52.6}


@cache
def book_dataset():
    return simulate()


def test_one_seed_gives_the_same_bits_everywhere():
    assert simulate(SIMULATION).fingerprint() == GOLDEN


@pytest.mark.parametrize(
    "machine",
    [
        {"OPENBLAS_NUM_THREADS": "1"},
        {"OPENBLAS_NUM_THREADS": "2"},
        {"OPENBLAS_CORETYPE": "Prescott", "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F"},
    ],
)
def test_threads_and_instruction_sets_change_nothing(machine):
    # Both libraries read these when they are loaded, so it takes a process of its own.
    code = (
        "from link.simulation import SimulationConfig, simulate\n"
        f"print(simulate(SimulationConfig(**{asdict(SIMULATION)!r})).fingerprint())"
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=Path(__file__).parents[1],
        env={**os.environ, **machine},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == GOLDEN


def test_every_sum_is_one_of_integers_and_exact_in_any_order(monkeypatch):
    """In int64 the data set is the same, and no partial sum in any order reaches 2^53."""
    largest = 0

    def as_integers(*numbers):
        assert all((number == np.rint(number)).all() for number in numbers)
        return [number.astype(np.int64) for number in numbers]

    def product(one, other):
        nonlocal largest
        one, other = as_integers(one, other)
        largest = max(largest, (np.abs(one) @ np.abs(other)).max())
        return one @ other

    def observe(self, strengths, scene, rng):
        nonlocal largest
        signal = product(strengths, self.prototypes) + product(scene, self.scenes)[:, None]
        noise = simulation.SCALE * simulation._normal(rng, self.noise, signal.shape)
        noise, offset = as_integers(noise, self.offset)
        largest = max(largest, (np.abs(signal) + np.abs(noise) + np.abs(offset)).max())
        return (signal + noise + offset).astype(float)

    def logits(self, features):
        norms = norm(features) * norm(self.text)[:, 0]
        return (100 * product(features, self.text.T)).astype(float) / norms

    def norm(vectors):
        nonlocal largest
        squares = np.square(*as_integers(vectors)).sum(axis=-1, keepdims=True)
        largest = max(largest, squares.max())
        return np.sqrt(squares.astype(float))

    config = SimulationConfig(train=20, val=5, test=5)
    expected = simulate(config).fingerprint()
    monkeypatch.setattr(Space, "observe", observe)
    monkeypatch.setattr(Space, "logits", logits)
    monkeypatch.setattr(simulation, "_norm", norm)
    assert simulate(config).fingerprint() == expected
    assert 0 < 100 * largest < EXACT


def test_another_seed_is_another_world():
    other = simulate(replace(SIMULATION, seed=6))
    for name in ("audio_text", "visual_text"):
        assert not np.array_equal(getattr(other, name), getattr(tiny_dataset(), name))
    for name, split in tiny_dataset().splits().items():
        assert not np.array_equal(other.splits()[name].weak, split.weak)
        assert not np.array_equal(other.splits()[name].audio, split.audio)


def test_a_splits_size_changes_nothing_in_the_others():
    larger = simulate(replace(SIMULATION, train=30))
    for name in ("audio", "audio_prior", "weak"):
        assert np.array_equal(getattr(larger.test, name), getattr(tiny_dataset().test, name))


def test_features_are_float32_of_unit_norm():
    dataset = tiny_dataset()
    everything = [dataset.audio_text, dataset.visual_text]
    for split in dataset.splits().values():
        everything += [split.audio, split.visual, split.motion]
    for features in everything:
        assert features.dtype == np.float32
        assert np.allclose(np.linalg.norm(features.astype(float), axis=-1), 1, atol=1e-6)


def test_the_data_set_has_the_sizes_asked_for_and_says_what_it_is():
    dataset = tiny_dataset()
    assert dataset.simulated and dataset.name == "llp-sim"
    assert dataset.provenance == {"simulation": asdict(SIMULATION)}
    names = [name for split in dataset.splits().values() for name in split.names]
    assert len(set(names)) == len(names)
    for name, split in dataset.splits().items():
        assert len(split) == getattr(SIMULATION, name)
        assert split.audio.shape[1:] == (10, 9)
        assert split.visual.shape[1:] == (10, 8)
        assert split.motion.shape[1:] == (10, 7)
        assert (split.audio_truth is None) == (split.visual_truth is None) == (name == "train")
    assert dataset.audio_text.shape == (25, 9) and dataset.visual_text.shape == (25, 8)


def test_misalignment_is_that_of_the_events():
    aligned = simulate(replace(SIMULATION, misalignment=0)).test
    assert np.array_equal(aligned.audio_truth, aligned.visual_truth)
    assert not np.array_equal(tiny_dataset().test.audio_truth, tiny_dataset().test.visual_truth)


@pytest.mark.parametrize("misalignment", [-0.1, 2.1, float("nan")])
def test_misalignment_out_of_range_is_refused(misalignment):
    with pytest.raises(ValueError, match=r"misalignment must lie between 0 and 2"):
        simulate(replace(SIMULATION, misalignment=misalignment))


def clean_world():
    """A world without noise or scenes, and two videos: one class seen only, one heard only."""
    world = World(replace(SIMULATION, noise_audio=0, noise_visual=0, scene=0), 25)
    grid = np.zeros((2, 10, 25), dtype=bool)
    audio, visual = grid.copy(), grid.copy()
    visual[0, 2:5, 3] = audio[1, :, 7] = True
    return world, SimulatedEvents((audio | visual).any(axis=1), audio, visual)


def test_what_happens_is_its_prototype_and_leaves_a_trace_in_the_other_modality():
    world, events = clean_world()
    audio, visual, motion = world.observe(events, np.random.default_rng(0))
    audio, visual, motion = (
        features - space.offset
        for features, space in (
            (audio, world.audio),
            (visual, world.visual),
            (motion, world.motion),
        )
    )
    for features in (audio, visual, motion):
        assert not features[0, :2].any() and not features[0, 5:].any()
    for video, label, own, other in ((0, 3, visual, audio), (1, 7, audio, visual)):
        spaces = (world.visual, world.audio) if own is visual else (world.audio, world.visual)
        strength = own[video, 2, 0] / spaces[0].prototypes[label, 0]
        trace = other[video, 2, 0] / spaces[1].prototypes[label, 0]
        assert 0.5 <= strength / simulation.SCALE <= 1.5
        assert trace == SIMULATION.leakage * strength // 1
        for segment in (2, 3, 4):
            assert (own[video, segment] == strength * spaces[0].prototypes[label]).all()
            assert (other[video, segment] == trace * spaces[1].prototypes[label]).all()
    assert (motion[0, 2] / visual[0, 2, 0] * world.visual.prototypes[3, 0]).tolist() == (
        pytest.approx(world.motion.prototypes[3].tolist())
    )


def test_a_scene_lasts_all_video_long_and_is_in_both_modalities():
    world = World(replace(SIMULATION, noise_audio=0, noise_visual=0), 25)
    nothing = np.zeros((5, 10, 25), dtype=bool)
    events = SimulatedEvents(nothing.any(axis=1), nothing, nothing)
    audio, visual, _ = world.observe(events, np.random.default_rng(0))
    for features in (audio, visual):
        assert (features == features[:, :1]).all()
        assert len(np.unique(features[:, 0], axis=0)) == 5
    heard = (audio - world.audio.offset)[:, 0]
    scenes, *_ = np.linalg.lstsq(world.audio.scenes.T, heard.T, rcond=None)
    predicted = scenes.T @ world.visual.scenes + world.visual.offset
    assert np.allclose(predicted, visual[:, 0])


@pytest.mark.parametrize("split", SPLITS)
def test_labels_are_in_the_targets_and_nowhere_else(split):
    world = World(SIMULATION, 25)
    rng = np.random.default_rng(1)
    events = simulation.draw_events(simulation.load_statistics(), 30, 1.0, rng)
    shuffled = replace(events, weak=np.roll(events.weak, 1, axis=0))
    one, other = (world.split(split, e, np.random.default_rng(2)) for e in (events, shuffled))
    for name in ("audio", "visual", "motion", "audio_prior", "visual_prior"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    for name in ("audio", "visual"):
        priors = getattr(one, f"{name}_prior")
        for part, weak in ((one, events.weak), (other, shuffled.weak)):
            target = getattr(part, f"{name}_target")
            assert np.array_equal(target, priors * weak[:, None])
    assert not np.array_equal(one.audio_target, other.audio_target)


def test_teachers_know_more_than_the_weak_labels_and_err():
    test = simulate(SimulationConfig(train=1, val=1, test=1500)).test
    listed = np.repeat(test.weak[:, None], 10, axis=1)
    for prior, truth in (
        (test.audio_prior, test.audio_truth),
        (test.visual_prior, test.visual_truth),
    ):
        assert 0.75 < prior[truth].mean() < 0.97
        assert 0.1 < prior[listed & ~truth].mean() < prior[truth].mean() - 0.4
        for label in range(25):
            said, true, named = (array[..., label] for array in (prior, truth, listed))
            assert said[true].mean() > said[~true].mean()
            assert said[true].mean() > said[named & ~true].mean()


def test_teachers_know_each_class_with_an_error_of_its_own():
    for error in (0, 0.7):
        world = World(replace(SIMULATION, teacher_error=error), 25)
        for space in (world.audio, world.visual):
            off = (space.text - space.prototypes) / simulation.SCALE
            # What is left beside the errors is one offset for all classes.
            assert off.std(axis=0).mean() == pytest.approx(error, abs=0.1)
            assert (off.std(axis=0) > 0).any() == (error > 0)


def test_teachers_err_more_where_there_is_more_noise():
    def advantage(noise):
        test = simulate(SimulationConfig(train=1, val=1, test=100, noise_audio=noise)).test
        prior, truth = test.audio_prior, test.audio_truth
        return prior[truth].mean() - prior[~truth].mean()

    assert advantage(0.5) > advantage(1.5) + 0.05 > advantage(4) + 0.15


@settings(deadline=None)
@given(
    logits=arrays(float, (4, 3, 2), elements=st.integers(0, 10**6), unique=True),
    truth=arrays(bool, (4, 3, 2)),
    weak=arrays(bool, (4, 2)),
)
def test_as_many_segments_exceed_a_threshold_as_are_true(logits, truth, weak):
    thresholds = tune_thresholds(logits, truth, weak)
    for label in range(2):
        segments = [(v, t) for v in range(4) for t in range(3) if weak[v, label]]
        if not segments:
            assert thresholds[label] == np.inf
            continue
        true = sum(truth[v, t, label] for v, t in segments)
        above = sum(logits[v, t, label] > thresholds[label] for v, t in segments)
        assert above == true
        if true < len(segments):
            assert thresholds[label] in [logits[v, t, label] for v, t in segments]


def test_valor_scores_on_it_about_what_it_scores_on_llp():
    dataset = book_dataset()
    off = dict.fromkeys(("tsam", "s_loss", "plsim", "unimodal_terms"), False)
    scores = fit(dataset, usual_network(dataset, **off), usual_training(dataset)).scores["test"]
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        (published,) = (row for row in csv.DictReader(file) if row["Method"] == "VALOR++")
    for kind, name in KINDS.items():
        assert abs(scores[name] - float(published[kind])) < 6


def test_weak_labels_score_on_it_about_what_they_score_on_llp():
    test = book_dataset().test
    everywhere = np.repeat(test.weak[:, None], 10, axis=1)
    scores = parsing_scores(everywhere, everywhere, test.audio_truth, test.visual_truth)
    for name, score in WEAK_ON_LLP.items():
        assert abs(scores[name] - score) < 6
