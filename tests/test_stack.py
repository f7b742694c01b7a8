"""Stacked networks become what each of them becomes alone."""

import gc
import os
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import ON_GPU, TRAINING, needs_gpu, tiny_dataset, tiny_network

from link import stack
from link.ablation import run_ablation
from link.fast import FastTraining
from link.inference import evaluate, predict
from link.stack import (
    Stack,
    bytes_in_training,
    clip_each,
    fit_stack,
    networks_at_once,
    seeds_of_stacks,
)
from link.training import TrainingError, best_epoch, build, fit, make_optimiser

DATASET = tiny_dataset()
FAST = replace(TRAINING, mode="fast")
SEEDS = (5, 0, 2)


def alone(network, config=FAST):
    return [fit(DATASET, network, replace(config, seed=seed)) for seed in SEEDS]


def assert_alike(stacked, expected, rel):
    for found, wanted in zip(stacked, expected, strict=True):
        for record, other in zip(found.history, wanted.history, strict=True):
            assert record["epoch"] == other["epoch"]
            assert record["learning_rate"] == other["learning_rate"]
            assert record["loss"] == pytest.approx(other["loss"], rel=rel)
            assert record["scalars"] == pytest.approx(other["scalars"], rel=rel, abs=1e-5)
            assert record["val"].keys() == other["val"].keys()


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"tsam": False, "s_loss": False, "plsim": False, "unimodal_terms": False},
        {"norm": "pre_norm", "keep_weight": True},
    ],
    ids=["LINK", "VALOR++", "another"],
)
def test_every_network_is_what_it_is_alone(switches):
    network = tiny_network(dropout=0.1, **switches)
    assert_alike(fit_stack(DATASET, network, FAST, SEEDS), alone(network), rel=1e-3)


def test_predictions_and_scores_are_those_of_the_network_alone():
    network, short = tiny_network(dropout=0.1), replace(FAST, epochs=1, warmup_epochs=1)
    for found, wanted in zip(
        fit_stack(DATASET, network, short, SEEDS), alone(network, short), strict=True
    ):
        assert found.model.state_dict().keys() == wanted.model.state_dict().keys()
        # Not the weights: that of a bias under a softmax has rounding for a gradient.
        says, expected = (predict(each.model, DATASET.test) for each in (found, wanted))
        np.testing.assert_allclose(says.segment_prob, expected.segment_prob, atol=1e-4)
        assert found.best_epoch == wanted.best_epoch and not found.model.training
        assert found.scores == wanted.scores


@pytest.mark.parametrize(
    ("missing", "switches"),
    [(["motion"], {}), (["audio_prior", "visual_prior"], {"plsim": False})],
    ids=["motion", "priors"],
)
def test_data_may_lack_what_the_network_does_not_read(missing, switches):
    splits = {
        name: replace(split, **dict.fromkeys(missing)) for name, split in DATASET.splits().items()
    }
    dataset = replace(DATASET, **splits)
    network = tiny_network(dataset, dropout=0.1, **switches)
    expected = [fit(dataset, network, replace(FAST, seed=seed)) for seed in SEEDS]
    assert_alike(fit_stack(dataset, network, FAST, SEEDS), expected, rel=1e-3)


def test_the_weights_are_those_of_each_network_s_best_epoch():
    fits = fit_stack(DATASET, tiny_network(dropout=0.1), FAST, range(5))
    assert len({fitted.best_epoch for fitted in fits}) > 1
    for fitted in fits:
        assert fitted.best_epoch == best_epoch(fitted.history)
        best = fitted.history[fitted.best_epoch - 1]["val"]
        assert fitted.scores["val"] == pytest.approx(best)
        assert fitted.scores["test"] == evaluate(fitted.model, DATASET.test)


@pytest.mark.parametrize("kind", [Stack, FastTraining])
def test_what_is_let_go_is_gone_at_once(kind):
    network = tiny_network()
    if kind is Stack:
        trained = Stack(DATASET, network, FAST, SEEDS)
        trained.epoch(1e-3)
    else:
        model = build(network, DATASET)
        trained = FastTraining(model, make_optimiser(model, FAST), DATASET, FAST)
        trained.epoch(1e-3, torch.Generator())
    watched = weakref.ref(trained)
    gc.disable()
    try:
        del trained
        assert watched() is None
    finally:
        gc.enable()


def test_the_seeds_matter():
    first, second, _ = fit_stack(DATASET, tiny_network(), FAST, SEEDS)
    assert first.history[0]["loss"] != second.history[0]["loss"]


def test_half_precision_leads_to_nearly_the_same_losses():
    network = tiny_network(dropout=0.0)
    whole, half = (
        fit_stack(DATASET, network, replace(FAST, mode=mode), SEEDS) for mode in ("fast", "half")
    )
    for one, other in zip(whole, half, strict=True):
        totals = [[each["loss"]["total"] for each in done.history] for done in (one, other)]
        np.testing.assert_allclose(totals[1], totals[0], rtol=3e-2)
        assert totals[0] != totals[1]


def test_gradients_are_clipped_network_by_network():
    torch.manual_seed(0)
    shapes, scales = [(4, 5), (5,), ()], torch.tensor([0.1, 3.0])
    stacked = [torch.nn.Parameter(torch.zeros(2, *shape)) for shape in shapes]
    for each in stacked:
        each.grad = torch.randn_like(each) * scales.view(2, *[1] * (each.ndim - 1))
    expected = []
    for network in range(2):
        own = [torch.nn.Parameter(torch.zeros(shape)) for shape in shapes]
        for mine, each in zip(own, stacked, strict=True):
            mine.grad = each.grad[network].clone()
        torch.nn.utils.clip_grad_norm_(own, 1.0)
        expected.append([mine.grad for mine in own])
    clip_each(stacked, 1.0)
    for index, each in enumerate(stacked):
        torch.testing.assert_close(each.grad, torch.stack([own[index] for own in expected]))


def test_one_network_that_diverges_ends_all():
    class Stubborn(Stack):
        def epoch(self, rate):
            with torch.no_grad():
                next(iter(self.parameters.values()))[1] = float("nan")
            return super().epoch(rate)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack, "Stack", Stubborn)
        with pytest.raises(TrainingError, match="diverged"):
            fit_stack(DATASET, tiny_network(), FAST, SEEDS)


def test_memory_bounds_the_number_of_networks(monkeypatch):
    network = tiny_network()
    one = bytes_in_training(DATASET, network, FAST)
    weights = sum(each.nelement() * 4 for each in build(network, DATASET).parameters())
    assert one > 4 * weights
    larger = bytes_in_training(DATASET, replace(network, layers=5), FAST)
    assert larger > 2 * one
    pages = {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": 4 * 7 * one + 100}
    monkeypatch.setattr(os, "sysconf", pages.__getitem__)
    assert networks_at_once(DATASET, network, FAST) == 7
    assert networks_at_once(DATASET, network, FAST, jobs=2) == 3
    assert networks_at_once(DATASET, replace(network, layers=200), FAST) == 1


@pytest.mark.parametrize(("bound", "sizes"), [(1, [1] * 7), (3, [3, 2, 2]), (4, [4, 3]), (9, [7])])
def test_seeds_go_into_few_stacks_of_nearly_equal_size(monkeypatch, bound, sizes):
    monkeypatch.setattr("link.stack.networks_at_once", lambda *_: bound)
    dealt = seeds_of_stacks(DATASET, tiny_network(), FAST, range(10, 17))
    assert [len(seeds) for seeds in dealt] == sizes
    assert sorted(seed for seeds in dealt for seed in seeds) == list(range(10, 17))


def test_the_estimate_of_memory_changes_no_random_number():
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    bytes_in_training(DATASET, tiny_network(), FAST)
    assert torch.equal(torch.rand(3), expected)


def test_an_ablation_does_not_depend_on_how_many_train_at_once(monkeypatch):
    short = replace(FAST, epochs=1, warmup_epochs=1)
    network = tiny_network(plsim=False)
    stacks = []

    def remembered(dataset, config, training, seeds):
        stacks.append(len(seeds))
        return fit_stack(dataset, config, training, seeds)

    monkeypatch.setattr("link.ablation.fit_stack", remembered)
    found = {}
    for size in (1, 2, 5):
        monkeypatch.setattr("link.stack.networks_at_once", lambda *_, size=size: size)
        found[size] = run_ablation(DATASET, network, short, SEEDS)
    # Each of five variants has its three seeds alone, as two and one, or at once.
    assert stacks == [2] * 5 + [3] * 5
    for size in (2, 5):
        for one, other in zip(found[size], found[1], strict=True):
            assert (one.variant, one.seed) == (other.variant, other.seed)
            assert one.scores == pytest.approx(other.scores)


@needs_gpu
def test_on_a_gpu_a_stack_is_what_its_networks_are_alone():
    network = tiny_network(dropout=0.0)
    assert_alike(fit_stack(DATASET, network, ON_GPU, SEEDS), alone(network, ON_GPU), rel=1e-2)
