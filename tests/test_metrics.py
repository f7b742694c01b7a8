import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from link.metrics import SCORES, event_counts, parsing_scores, video_score, video_scores

GOLDEN = Path(__file__).parents[1].parent / "shared" / "golden" / "metrics.npz"
needs_golden = pytest.mark.skipif(not GOLDEN.exists(), reason=f"{GOLDEN} is not at hand")


def golden():
    stored = np.load(GOLDEN)
    shape = tuple(stored["shape"])
    names = ["pred_audio", "pred_visual", "true_audio", "true_visual"]
    grids = [np.unpackbits(stored[n])[: np.prod(shape)].reshape(shape).astype(bool) for n in names]
    return grids, stored


@needs_golden
def test_every_video_scores_as_the_reference_evaluation():
    grids, stored = golden()
    scores = video_scores(*grids)
    for name, expected in zip(stored["columns"], stored["per_video"].T, strict=True):
        np.testing.assert_allclose(scores[str(name)].numpy(), expected, atol=1e-9, rtol=0)


@needs_golden
def test_the_ten_figures_are_those_of_the_reference_evaluation():
    grids, stored = golden()
    expected = json.loads(str(stored["aggregate"]))
    scores = parsing_scores(*grids)
    assert set(scores) == set(expected) == set(SCORES)
    for name in SCORES:
        assert scores[name] == pytest.approx(expected[name], abs=1e-9, rel=0)


def slow_event_counts(pred, true):
    """Events by walking along the segments, matches by comparing every pair of them."""

    def events(sequence):
        runs, run = [], []
        for index, active in enumerate([*sequence, False]):
            if active:
                run.append(index)
            elif run:
                runs.append(set(run))
                run = []
        return runs

    def has_match(event, others):
        return any(2 * len(event & other) >= len(event | other) for other in others)

    predicted, actual = events(pred), events(true)
    matched = sum(has_match(event, actual) for event in predicted)
    missed = sum(not has_match(event, predicted) for event in actual)
    return matched, len(predicted) - matched, missed


def pairs_of_sequences(length):
    sequence = st.lists(st.booleans(), min_size=length, max_size=length)
    return st.tuples(sequence, sequence)


@settings(max_examples=300)
@given(st.integers(1, 14).flatmap(pairs_of_sequences))
def test_events_are_counted_as_by_comparing_every_pair(sequences):
    pred, true = sequences
    counts = event_counts(torch.tensor(pred)[:, None], torch.tensor(true)[:, None])
    assert tuple(counts.flatten().tolist()) == slow_event_counts(pred, true)


def random_grids(seed, videos=20, density=0.3):
    return np.random.default_rng(seed).random((4, videos, 10, 25)) < density


def test_swapping_prediction_and_truth_changes_nothing():
    pred_audio, pred_visual, true_audio, true_visual = random_grids(0)
    there = parsing_scores(pred_audio, pred_visual, true_audio, true_visual)
    back = parsing_scores(true_audio, true_visual, pred_audio, pred_visual)
    assert there == pytest.approx(back)


def test_the_order_of_videos_and_classes_does_not_matter():
    grids = random_grids(1)
    rng = np.random.default_rng(2)
    shuffled = grids[:, rng.permutation(20)][..., rng.permutation(25)]
    assert parsing_scores(*grids) == pytest.approx(parsing_scores(*shuffled))


def test_a_perfect_and_an_empty_prediction():
    _, _, audio, visual = random_grids(3)
    assert set(parsing_scores(audio, visual, audio, visual).values()) == {100.0}
    nothing = np.zeros_like(audio)
    assert set(parsing_scores(nothing, nothing, audio, visual).values()) == {0.0}
    assert set(parsing_scores(nothing, nothing, nothing, nothing).values()) == {100.0}


def test_tensors_and_arrays_score_alike():
    grids = random_grids(4)
    assert parsing_scores(*grids) == parsing_scores(*map(torch.from_numpy, grids))


@pytest.mark.parametrize("shape", [(10, 25), (0, 10, 25)])
def test_a_grid_of_the_wrong_shape_is_refused(shape):
    grid = np.zeros(shape, dtype=bool)
    with pytest.raises(ValueError, match="videos, segments, classes"):
        parsing_scores(grid, grid, grid, grid)


def test_probabilities_are_refused():
    probabilities = np.random.default_rng(0).random((2, 10, 25))
    with pytest.raises(ValueError, match="threshold first"):
        parsing_scores(probabilities, probabilities, probabilities, probabilities)
    ones = np.ones_like(probabilities)
    assert parsing_scores(ones, ones, ones, ones)["segment/type"] == 100


def test_prediction_and_truth_of_different_shapes_are_refused():
    pred, true = np.zeros((2, 10, 25), dtype=bool), np.zeros((2, 8, 25), dtype=bool)
    with pytest.raises(ValueError, match="differ in shape"):
        parsing_scores(pred, pred, true, true)


# ---- videos' labels ----


@settings(max_examples=100)
@given(st.integers(1, 4), st.integers(1, 5), st.data())
def test_videos_labels_are_scored_as_sets(videos, classes, data):
    size = videos * classes
    cells = st.lists(st.booleans(), min_size=size, max_size=size)
    pred, weak = (np.array(data.draw(cells)).reshape(videos, classes) for _ in range(2))
    scores = []
    for mine, theirs in zip(pred, weak, strict=True):
        said, so = {*np.flatnonzero(mine)}, {*np.flatnonzero(theirs)}
        precision = len(said & so) / len(said) if said else 0
        recall = len(said & so) / len(so) if so else 0
        both = precision + recall
        scores.append((2 * precision * recall / both if both else 0) if said | so else 1)
    assert video_score(pred, weak) == pytest.approx(100 * np.mean(scores))
    assert video_score(torch.tensor(pred), weak.astype(np.float32)) == video_score(pred, weak)


def test_the_label_score_of_three_videos():
    weak = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 0]], bool)
    pred = np.array([[1, 0, 0], [0, 0, 0], [0, 1, 1]], bool)
    # 2 / 3 of the first, all of the second, nothing of the third.
    assert video_score(pred, weak) == pytest.approx(100 * (2 / 3 + 1 + 0) / 3)


@pytest.mark.parametrize(
    ("predicted", "weak"), [((1, 3), (4, 3)), ((3,), (3,)), ((0, 3), (0, 3)), ((2, 10, 3),) * 2]
)
def test_labels_of_the_wrong_shape_are_refused(predicted, weak):
    with pytest.raises(ValueError, match=r"must have one shape \(videos, classes\)"):
        video_score(np.zeros(predicted, bool), np.zeros(weak, bool))


def test_probabilities_of_labels_are_refused():
    with pytest.raises(ValueError, match="threshold first"):
        video_score(np.full((2, 3), 0.4), np.zeros((2, 3), bool))
