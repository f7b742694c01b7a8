import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from tiny import tiny_dataset, tiny_network

from link.inference import batches
from link.representations import principal_plane, probe, stages
from link.training import build


def network(**switches):
    dataset = tiny_dataset()
    torch.manual_seed(0)
    model = build(tiny_network(dataset, **switches), dataset).eval()
    for parameter in model.parameters():  # PLSIM starts as the identity.
        torch.nn.init.normal_(parameter, std=0.3)
    return model, dataset.test


def test_every_stage_is_what_enters_the_next(monkeypatch):
    monkeypatch.setattr("link.representations.EVALUATION_BATCH", 5)
    model, split = network()
    found = stages(model, split)
    assert list(found) == ["input", "projection", "TSAM", "encoder", "PLSIM"]
    tensors = {
        stage: [torch.from_numpy(each[m]) for m in ("audio", "visual")]
        for stage, each in found.items()
    }
    batch = next(batches(split, len(split)))
    with torch.no_grad():
        expected = {
            "projection": model.projection(*tensors["input"], batch.motion),
            "TSAM": model.tsam(*tensors["projection"]),
            "encoder": model.encoder(*tensors["TSAM"]),
            "PLSIM": (
                model.plsim_audio(tensors["encoder"][0], batch.audio_prior),
                model.plsim_visual(tensors["encoder"][1], batch.visual_prior),
            ),
        }
        last = model.pooling(*tensors["PLSIM"])[0]
        torch.testing.assert_close(last, model(*batch.inputs).segment_logits)
    assert np.array_equal(found["input"]["audio"], split.audio)
    for stage, pair in expected.items():
        for mine, theirs in zip(tensors[stage], pair, strict=True):
            torch.testing.assert_close(mine, theirs)


def test_a_network_has_the_stages_of_its_modules_and_keeps_no_hook():
    model, split = network(tsam=False, plsim=False)
    assert list(stages(model, split)) == ["input", "projection", "encoder"]
    assert not [module for module in model.modules() if module._forward_hooks]


def labelled(videos=60, noise=1.0):
    """Ten vectors of each video, of two classes by turns of seconds, in five dimensions."""
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(10) % 2, videos)
    features = rng.normal(size=(10 * videos, 5)) * noise
    features[:, 2] += 2 * labels
    return features, labels, np.repeat(np.arange(videos), 10)


def test_a_probe_finds_what_is_there_and_nothing_else():
    features, labels, videos = labelled()
    accuracy = probe(features, labels, videos).mean()
    reference = LogisticRegression().fit(features, labels).score(features, labels)
    assert accuracy == pytest.approx(reference, abs=0.02) and accuracy > 0.8
    features[:, 2] = 0
    assert probe(features, labels, videos).mean() == pytest.approx(0.5, abs=0.06)


def test_a_probe_is_judged_on_videos_that_it_has_not_seen():
    # Each video has a direction of its own that gives its label away, and nothing else does.
    rng = np.random.default_rng(0)
    videos = np.repeat(np.arange(40), 10)
    labels = rng.integers(2, size=40)[videos]
    features = np.eye(40)[videos] + rng.normal(size=(400, 40)) * 0.01
    assert probe(features, labels, videos).mean() < 0.7
    assert probe(features, labels, rng.permutation(400)).mean() > 0.95


def test_a_probe_does_not_mind_the_scale():
    features, labels, videos = labelled()
    scaled = features * np.array([1, 1, 1e-4, 1, 100])
    assert np.array_equal(probe(features, labels, videos), probe(scaled, labels, videos))


def test_the_principal_plane_holds_the_directions_of_most_variance():
    rng = np.random.default_rng(0)
    deviations = np.array([0.1, 5, 0.2, 3, 0.1])
    features = rng.normal(size=(2000, 5)) * deviations + 7
    points, share = principal_plane(features)
    assert np.abs(np.corrcoef(points[:, 0], features[:, 1])[0, 1]) > 0.99
    assert np.abs(np.corrcoef(points[:, 1], features[:, 3])[0, 1]) > 0.99
    variances = np.linalg.eigvalsh(np.cov(features.T))
    assert share == pytest.approx(100 * variances[-2:].sum() / variances.sum())
