"""Counts agree with formulas written by hand and with torch's own count of a whole step."""

import time
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from link.cost import cost, product_share, seconds
from link.model import LinkConfig
from link.trial import PARTS, Trial

TEXTS = (11, 13)
SMALL = LinkConfig(
    classes=5,
    segments=6,
    audio_dim=20,
    visual_dim=24,
    motion_dim=28,
    hidden=16,
    heads=2,
    feed_forward=40,
    layers=3,
)
# Without dropout torch computes attention in another way on a CPU, which its counter does not see.
VALOR = replace(SMALL, dropout=0.0, tsam=False, s_loss=False, plsim=False, unimodal_terms=False)
LONG = replace(SMALL, segments=9, hidden=8, motion_dim=None, keep_weight=True)
CONFIGS = pytest.mark.parametrize("config", [SMALL, VALOR, LONG], ids=["small", "valor", "long"])


def linear(rows: int, *widths: int) -> int:
    """Multiply-adds of linear layers one after another."""
    return sum(rows * into * out for into, out in pairwise(widths))


def by_hand(config: LinkConfig) -> dict[str, int]:
    """Multiply-adds of one video's forward pass."""
    c, t, d = config, config.segments, config.hidden
    motion = linear(t, c.motion_dim, d) + linear(t, 2 * d, d) if c.motion_dim else 0
    half = max(1, t // 2)
    attention = 4 * linear(t, d, d) + 2 * t * t * d
    text = sum(t * c.classes * width + 2 * linear(t, width, d, d) for width in TEXTS)
    return {
        "projection": linear(t, c.audio_dim, d) + linear(t, c.visual_dim, d) + motion,
        "TSAM": (2 * (2 * linear(1, t, half, t) + 2 * 7 * d) + 4 * t * t * d) if c.tsam else 0,
        "encoder": c.layers * 2 * (2 * attention + linear(t, d, c.feed_forward, d)),
        "PLSIM": text if c.plsim else 0,
        "pooling": 3 * linear(2 * t, d, c.classes),
        "loss": (t * t * d + t * t * c.classes) if c.s_loss else 0,
    }


@CONFIGS
def test_multiply_adds_are_those_of_the_formula(config):
    found = {part: each.forward for part, each in cost(config, 1, TEXTS).items()}
    assert found == by_hand(config)


@CONFIGS
def test_the_parts_add_up_to_a_whole_step(config):
    parts = cost(config, 4, TEXTS).values()
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        Trial.make(config, 4, TEXTS).step().backward()
    assert 2 * sum(each.forward + each.backward for each in parts) == counter.get_total_flops()


@CONFIGS
def test_every_parameter_belongs_to_one_part(config):
    model = Trial.make(config, 1, TEXTS).model
    parts = cost(config, 1, TEXTS).values()
    assert sum(each.parameters for each in parts) == sum(p.numel() for p in model.parameters())


def test_a_part_that_is_off_costs_nothing():
    found = cost(VALOR, 2, TEXTS)
    for part in ("TSAM", "PLSIM"):
        assert set(vars(found[part]).values()) == {0}
    assert found["loss"].forward == 0


def test_all_but_the_parameters_grows_with_the_batch():
    # From two on: of a single video some transpositions are no copies.
    one, three = cost(SMALL, 2, TEXTS), cost(SMALL, 6, TEXTS)
    for part in PARTS:
        assert one[part].parameters == three[part].parameters
        assert 3 * one[part].forward == three[part].forward
        assert 3 * one[part].backward == three[part].backward
        # But for scalars, such as the mean of a loss, and seeds of dropout.
        for measure in ("kept", "peak"):
            single, triple = getattr(one[part], measure), getattr(three[part], measure)
            assert single <= triple <= 3 * single <= triple + 1000


def test_the_projection_keeps_what_it_fuses():
    floats = 2 * SMALL.hidden * SMALL.segments
    assert cost(SMALL, 7, TEXTS)["projection"].kept == 7 * 4 * floats


def test_the_projection_holds_both_halves_and_the_fused_at_most():
    # The two projections side by side, one of them still by itself, and what comes of them.
    floats = (2 + 1 + 1) * SMALL.hidden * SMALL.segments
    assert cost(SMALL, 7, TEXTS)["projection"].peak == 7 * 4 * floats


@CONFIGS
def test_a_tensor_is_kept_once(config):
    trial = Trial.make(config, 4, TEXTS)
    model = trial.model
    given = [*model.parameters(), *model.buffers(), *trial.inputs, *trial.labels]
    known = {each.untyped_storage().data_ptr() for each in given if each is not None}
    held, sizes = [], {}

    def keep(tensor):
        held.append(tensor)
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        trial.step()
    parts = cost(config, 4, TEXTS).values()
    total = sum(size for place, size in sizes.items() if place not in known)
    # Scalars of the loss apart, of which a number may stand where an operation has ended.
    assert sum(each.kept for each in parts) == pytest.approx(total, abs=100)


def test_more_layers_keep_more_and_hold_no_more():
    deep, shallow = (cost(replace(SMALL, layers=n), 2, TEXTS)["encoder"] for n in (6, 3))
    assert deep.kept == pytest.approx(2 * shallow.kept, rel=0.1)
    assert deep.peak == shallow.peak
    assert shallow.peak < shallow.kept


def test_trials_of_the_same_sizes_are_the_same_and_touch_no_other_draw():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first, second = (Trial.make(SMALL, 2, TEXTS) for _ in range(2))
    assert torch.equal(torch.rand(2), expected)
    for one, other in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(first.inputs[0], second.inputs[0])


@pytest.mark.parametrize("training", [True, False])
def test_every_part_takes_time(training):
    trial = Trial.make(SMALL, 2, TEXTS)
    started = time.perf_counter()
    found = seconds(trial, repeats=2, training=training)
    whole = time.perf_counter() - started
    forward = {"projection", "TSAM", "encoder", "PLSIM", "pooling"}
    assert set(found) == forward | ({"loss", "backward", "optimiser"} if training else set())
    assert min(found.values()) > 0
    assert found["encoder"] > found["pooling"]
    assert 2 * sum(found.values()) < whole


def test_products_are_a_larger_share_of_a_wider_network():
    wide = replace(SMALL, hidden=384, feed_forward=1536)
    shares = [product_share(Trial.make(config, 16, TEXTS), 3) for config in (SMALL, wide)]
    assert 0 < shares[0] < shares[1] < 1


def test_nothing_is_learned_while_it_is_timed():
    trial = Trial.make(SMALL, 2, TEXTS)
    before = [each.clone() for each in trial.model.parameters()]
    seconds(trial, repeats=1)
    for one, other in zip(before, trial.model.parameters(), strict=True):
        assert torch.equal(one, other)
