"""The fast epoch computes what the plain one does."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import TRAINING, tiny_dataset, tiny_network

from link.fast import FastLayer, fast_layers, make_dropout, short_softmax
from link.han import HANLayer
from link.model import LINK, LinkConfig
from link.training import build, fit

DATASET = tiny_dataset()
FAST = replace(TRAINING, mode="fast")


def gradients(module, inputs):
    copies = [each.clone().requires_grad_() for each in inputs]
    result = module(*copies)
    (result * torch.linspace(-1, 1, result.numel()).view_as(result)).sum().backward()
    own = {name.removeprefix("plain."): p.grad.clone() for name, p in module.named_parameters()}
    module.zero_grad()
    return result.detach(), [each.grad for each in copies], own


@pytest.mark.parametrize("norm", ["post_norm", "pre_norm"])
def test_a_layer_and_its_gradients_are_those_of_the_plain_layer(norm):
    torch.manual_seed(0)
    plain = HANLayer(12, 3, 20, 0.0, norm).double()
    inputs = torch.randn(2, 5, 7, 12, dtype=torch.float64)
    expected = gradients(plain, inputs)
    found = gradients(FastLayer(plain, torch.nn.Identity()), inputs)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("switches", [{}, {"tsam": False, "s_loss": False, "plsim": False}])
def test_without_dropout_a_training_is_the_plain_one_up_to_rounding(switches):
    network = tiny_network(dropout=0.0, **switches)
    plain, fast = (fit(DATASET, network, config) for config in (TRAINING, FAST))
    for expected, found in zip(plain.history, fast.history, strict=True):
        assert found["loss"] == pytest.approx(expected["loss"], rel=1e-4)


def test_products_of_half_precision_lead_to_nearly_the_same_losses():
    network = tiny_network(dropout=0.0)
    plain, half = (fit(DATASET, network, replace(TRAINING, mode=m)) for m in ("plain", "half"))
    totals = [[each["loss"]["total"] for each in done.history] for done in (plain, half)]
    np.testing.assert_allclose(totals[1], totals[0], rtol=2e-2)
    assert totals[1] != totals[0]
    assert all(p.dtype == torch.float32 for p in half.model.parameters())


def test_dropout_lets_the_right_share_through_and_keeps_the_mean():
    ones = torch.ones(1000, 1000)
    dropout = make_dropout(0.1, torch.device("cpu"), seed=3)
    first, second = dropout(ones), dropout(ones)
    assert first.unique().tolist() == pytest.approx([0, 1 / 0.9])
    for each in (first, second):
        # Five standard deviations of a million draws.
        assert (each == 0).float().mean().item() == pytest.approx(0.1, abs=5 * 3e-4)
    both = ((first == 0) & (second == 0)).float().mean().item()
    assert both == pytest.approx(0.01, abs=5e-4)
    again = make_dropout(0.1, torch.device("cpu"), seed=3)
    assert torch.equal(again(ones), first)


def test_dropout_stops_the_gradient_where_it_drops():
    features = torch.ones(50, 50, requires_grad=True)
    dropped = make_dropout(0.3, torch.device("cpu"), seed=0)(features)
    dropped.sum().backward()
    assert torch.equal(features.grad, dropped.detach())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_dropout_of_any_precision_has_the_same_mask(dtype):
    features = torch.rand(30, 41) + 1
    whole, found = (
        make_dropout(0.25, torch.device("cpu"), seed=1)(each)
        for each in (features, features.to(dtype))
    )
    assert found.dtype == dtype
    assert torch.equal(found == 0, whole == 0)
    torch.testing.assert_close(found.float(), whole, rtol=1e-2, atol=0)


@pytest.mark.parametrize("far", [0.0, 1e4])
def test_softmax_of_short_rows_is_torch_s_with_its_gradient(far):
    scores = (3 * torch.randn(4, 6, 10, dtype=torch.float64) + far).requires_grad_()
    copy = scores.detach().clone().requires_grad_()
    found, expected = short_softmax(scores), copy.softmax(dim=-1)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    ramp = torch.linspace(-1, 1, 10, dtype=torch.float64)
    (found * ramp).sum().backward()
    (expected * ramp).sum().backward()
    torch.testing.assert_close(scores.grad, copy.grad, rtol=1e-9, atol=1e-12)


def test_dropout_before_the_activation_is_dropout_behind_it():
    torch.manual_seed(0)
    plain = HANLayer(12, 3, 20, 0.5, "post_norm")
    features = torch.randn(2, 7, 12)
    layer = FastLayer(plain, make_dropout(0.5, torch.device("cpu"), seed=2))
    dropout = make_dropout(0.5, torch.device("cpu"), seed=2)
    inner = dropout(plain.expand(features).relu())
    expected = dropout(plain.contract(inner))
    torch.testing.assert_close(layer._feed_forward(features), expected)


def test_a_fast_training_with_dropout_repeats_and_learns():
    network = tiny_network(dropout=0.1)
    first, second = (fit(DATASET, network, FAST) for _ in range(2))
    assert [r["loss"] for r in first.history] == [r["loss"] for r in second.history]
    assert first.history[-1]["loss"]["total"] < first.history[0]["loss"]["total"]
    plain = fit(DATASET, network, TRAINING)
    assert first.history[0]["loss"] != plain.history[0]["loss"]


def test_the_model_is_its_plain_self_again_even_after_an_error():
    model = build(tiny_network(), DATASET)
    layers, names = model.encoder.layers, list(model.state_dict())
    with pytest.raises(KeyError), fast_layers(model, torch.nn.Identity()):
        assert isinstance(model.encoder.layers[0], FastLayer)
        raise KeyError
    assert model.encoder.layers is layers and list(model.state_dict()) == names


def test_valors_network_is_as_fast_layers_have_it():
    torch.manual_seed(1)
    model = LINK(LinkConfig.valor(dropout=0.0))
    inputs = torch.randn(2, 10, 768), torch.randn(2, 10, 768), torch.randn(2, 10, 512)
    expected = model(*inputs)
    with fast_layers(model, torch.nn.Identity()):
        found = model(*inputs)
    torch.testing.assert_close(tuple(found), tuple(expected), rtol=1e-5, atol=1e-5)
