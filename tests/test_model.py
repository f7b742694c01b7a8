import itertools
import json
from dataclasses import replace

import pytest
import torch
from test_han import CASES, assert_is_golden, golden, needs_golden

from link.features import audio_map_matrix
from link.han import rename_valor
from link.model import LINK, LinkConfig, decide

SMALL = {
    "classes": 5,
    "segments": 6,
    "audio_dim": 7,
    "visual_dim": 8,
    "motion_dim": 9,
    "hidden": 16,
    "heads": 4,
    "feed_forward": 24,
    "layers": 2,
}
SWITCHES = ("tsam", "s_loss", "plsim", "unimodal_terms")


def small_link(seed=0, **switches):
    torch.manual_seed(seed)
    config = LinkConfig(**SMALL, **switches)
    return LINK(config, torch.randn(5, 3), torch.randn(5, 4))


def random_batch(videos=3):
    generator = torch.Generator().manual_seed(5)
    features = [torch.randn(videos, 6, dim, generator=generator) for dim in (7, 8, 9)]
    labels = (torch.rand(5, videos, 6, 5, generator=generator) < 0.3).float()
    return features, labels[:2], labels[2:4], labels[4, :, 0]


@needs_golden
@pytest.mark.parametrize("case", [case for case in CASES if "clap_clip" in case])
def test_with_all_switches_off_it_is_the_network_of_valor(case):
    sizes, state_dict, inputs, expected = golden(case)
    config = LinkConfig.valor(
        hidden=sizes["hidden_dim"],
        heads=sizes["heads"],
        feed_forward=sizes["ff_dim"],
        layers=sizes["layers"],
        norm=sizes["norm"],
    )
    weights = rename_valor(state_dict)
    if sizes["norm"] == "post_norm":
        weights = {name: w for name, w in weights.items() if "final_norm" not in name}
    network = LINK.from_weights(config, weights)
    audio = torch.from_numpy(audio_map_matrix()).float() @ inputs["audio"]
    with torch.no_grad():
        output = network(audio, inputs["visual"], inputs["visual_st"])
    assert_is_golden(output, expected)


@pytest.mark.parametrize("on", list(itertools.product([False, True], repeat=4)))
def test_every_combination_of_switches_trains_all_its_parameters(on):
    network = small_link(**dict(zip(SWITCHES, on, strict=True)))
    features, targets, priors, weak = random_batch()
    # PLSIM starts at zero, where its first layers have no gradient yet.
    for name, parameter in network.named_parameters():
        if "gamma" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    output = network(*features, *priors)
    terms = network.loss(output, weak, *targets)
    terms["total"].backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name
    assert ("similarity" in terms) == on[1] and ("video_audio" in terms) == on[3]
    assert any("tsam" in name for name, _ in network.named_parameters()) == on[0]
    assert any("plsim" in name for name, _ in network.named_parameters()) == on[2]


def test_only_plsim_reads_the_priors():
    features, _, priors, _ = random_batch()
    for plsim in (False, True):
        network = small_link(plsim=plsim).eval()
        for name, parameter in network.named_parameters():
            if "gamma" in name:
                torch.nn.init.normal_(parameter)
        outputs = [network(*features, *p).segment_prob for p in (priors, 1 - priors)]
        assert torch.equal(*outputs) != plsim


def test_plsim_does_not_change_the_features_that_s_loss_compares():
    network = small_link().eval()
    for name, parameter in network.named_parameters():
        if "gamma" in name:
            torch.nn.init.normal_(parameter)
    features, _, priors, _ = random_batch()
    first, second = (network(*features, *p) for p in (priors, 1 - priors))
    torch.testing.assert_close(first.audio, second.audio)
    assert not torch.equal(first.segment_prob, second.segment_prob)


def test_weights_rebuild_the_network():
    network = small_link().eval()
    features, _, priors, _ = random_batch()
    again = LINK.from_weights(network.config, network.state_dict())
    torch.testing.assert_close(again(*features, *priors), network(*features, *priors))


@pytest.mark.parametrize("start", [0.0, 0.25, 1])
def test_mu_starts_where_it_is_told(start):
    network = small_link(initial_mu=start)
    assert network.mu.item() == start and network.mu.dtype == torch.float32


def test_a_configuration_survives_json():
    config = LinkConfig(**SMALL, tsam=False, initial_mu=0.5)
    assert LinkConfig(**json.loads(json.dumps(vars(config)))) == config


def test_valor_is_off_everywhere():
    config = LinkConfig.valor(**SMALL)
    assert not any(getattr(config, switch) for switch in (*SWITCHES, "keep_weight"))
    with pytest.raises(TypeError):
        LinkConfig.valor(**SMALL, plsim=True)
    assert replace(config, **dict.fromkeys(SWITCHES, True)) == LinkConfig(**SMALL)


def test_a_decision_needs_the_segment_and_the_video():
    features, _, priors, _ = random_batch()
    output = small_link()(*features, *priors)
    output = output._replace(
        segment_prob=torch.tensor([0.5, 0.4, 0.9, 0.9]).reshape(1, 1, 2, 2),
        video_prob=torch.tensor([[0.5, 0.49]]),
    )
    audio, visual = decide(output)
    assert audio.tolist() == [[[True, False]]] and visual.tolist() == [[[True, False]]]


def test_plsim_needs_text_and_priors():
    with pytest.raises(ValueError, match="audio_text"):
        LINK(LinkConfig(**SMALL))
    with pytest.raises(ValueError, match="3 rows for 5 classes"):
        LINK(LinkConfig(**SMALL), torch.randn(3, 3), torch.randn(5, 4))
    features, *_ = random_batch()
    with pytest.raises(ValueError, match="audio_prior"):
        small_link()(*features)


@pytest.mark.parametrize("norm", ["post_norm", "pre_norm"])
def test_without_cross_modal_attention_neither_encoded_modality_knows_of_the_other(norm):
    sizes = {**SMALL, "tsam": False, "plsim": False, "norm": norm, "dropout": 0.0}
    torch.manual_seed(0)
    crossing = LINK(LinkConfig(**sizes))
    torch.manual_seed(0)
    apart = LINK(LinkConfig(**sizes, cross_modal=False))
    for name, weights in crossing.state_dict().items():
        assert torch.equal(weights, apart.state_dict()[name])
    audio, visual = (
        torch.randn(2, 10, width)
        for width in (crossing.config.audio_dim, crossing.config.visual_dim)
    )
    motion = (
        None
        if crossing.config.motion_dim is None
        else torch.randn(2, 10, crossing.config.motion_dim)
    )
    for network, knows in ((crossing, True), (apart, False)):
        before = network(audio, visual, motion)
        assert torch.equal(network(audio, -visual, motion).audio, before.audio) is not knows
        assert torch.equal(network(-audio, visual, motion).visual, before.visual) is not knows
