import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from link.han import HAN, AttentivePooling, HANLayer, load_valor

GOLDEN = Path(__file__).parents[1].parent / "shared" / "golden" / "valor_han.safetensors"
needs_golden = pytest.mark.skipif(not GOLDEN.exists(), reason=f"{GOLDEN} is not at hand")
KINDS = ("clap_clip", "vggish_resnet")
CASES = [f"{norm}/{kind}" for norm in ("post_norm", "pre_norm") for kind in KINDS]


def golden(case):
    from safetensors import safe_open

    with safe_open(GOLDEN, framework="pt") as file:
        sizes = json.loads(file.metadata()[f"{case}/"])
        parts = {part: {} for part in ("state_dict", "input", "output")}
        for key in file.keys():
            if key.startswith(f"{case}/"):
                part, name = key.removeprefix(f"{case}/").split("/")
                parts[part][name] = file.get_tensor(key)
    return sizes, parts["state_dict"], parts["input"], parts["output"]


def assert_is_golden(output, expected):
    for name, tensor in expected.items():
        torch.testing.assert_close(getattr(output, name), tensor, atol=1e-5, rtol=0)


@needs_golden
@pytest.mark.parametrize("case", CASES)
def test_a_valor_checkpoint_gives_its_own_outputs_from_raw_inputs(case):
    sizes, state_dict, inputs, expected = golden(case)
    network = load_valor(state_dict, **sizes)
    with torch.no_grad():
        output = network(inputs["audio"], inputs["visual"], inputs["visual_st"])
    assert_is_golden(output, expected)


@needs_golden
@pytest.mark.parametrize("case", CASES)
def test_a_valor_checkpoint_gives_its_own_outputs_from_ten_segments(case):
    sizes, state_dict, inputs, expected = golden(case)
    network = load_valor(state_dict, **sizes)
    audio, visual = inputs["audio"], inputs["visual"]
    if audio.shape[1] == 64:
        audio = network.audio_map @ audio
    if visual.shape[1] == 80:
        visual = visual.reshape(len(visual), 10, 8, -1).mean(dim=2)
    with torch.no_grad():
        output = network(audio, visual, inputs["visual_st"])
    assert_is_golden(output, expected)


@needs_golden
def test_the_weights_of_a_parallel_run_load_too():
    sizes, state_dict, inputs, expected = golden(CASES[0])
    network = load_valor({f"module.{name}": w for name, w in state_dict.items()}, **sizes)
    with torch.no_grad():
        output = network(inputs["audio"], inputs["visual"], inputs["visual_st"])
    assert_is_golden(output, expected)


@needs_golden
def test_a_size_that_contradicts_the_weights_is_refused():
    sizes, state_dict, _, _ = golden(CASES[0])
    with pytest.raises(ValueError, match="layers=7"):
        load_valor(state_dict, **{**sizes, "layers": 7})


def test_weights_of_another_network_are_refused():
    with pytest.raises(ValueError, match="no VALOR checkpoint"):
        load_valor({"linear.weight": torch.zeros(2, 2)})


def literal_attention(attention, query, key):
    """Multi-head attention written out, one head at a time (Vaswani et al., equation 1)."""
    width = query.shape[-1] // attention.num_heads
    w_q, w_k, w_v = attention.in_proj_weight.chunk(3)
    b_q, b_k, b_v = attention.in_proj_bias.chunk(3)
    q, k, v = F.linear(query, w_q, b_q), F.linear(key, w_k, b_k), F.linear(key, w_v, b_v)
    heads = []
    for start in range(0, query.shape[-1], width):
        part = slice(start, start + width)
        weights = (q[..., part] @ k[..., part].mT / width**0.5).softmax(dim=-1)
        heads.append(weights @ v[..., part])
    return attention.out_proj(torch.cat(heads, dim=-1))


@pytest.mark.parametrize("norm", ["post_norm", "pre_norm"])
def test_a_layer_is_its_equation(norm):
    torch.manual_seed(0)
    layer = HANLayer(16, 4, 24, dropout=0.5, norm=norm).eval()
    own, other = torch.randn(2, 3, 10, 16)

    def feed_forward(x):
        return layer.contract(F.relu(layer.expand(x)))

    if norm == "post_norm":
        attended = literal_attention(layer.cross_attention, own, other)
        attended = attended + literal_attention(layer.self_attention, own, own)
        hidden = layer.norm1(own + attended)
        expected = layer.norm2(hidden + feed_forward(hidden))
    else:
        query = layer.norm1(own)
        attended = literal_attention(layer.cross_attention, query, other)
        hidden = own + attended + literal_attention(layer.self_attention, query, query)
        expected = hidden + feed_forward(layer.norm2(hidden))
    torch.testing.assert_close(layer(own, other), expected)


def test_pooling_is_its_sum():
    torch.manual_seed(0)
    pooling = AttentivePooling(8, 5)
    audio, visual = torch.randn(2, 2, 4, 8)
    logits, video, modality = pooling(audio, visual)
    for b in range(2):
        for c in range(5):
            score = torch.zeros(4, 2)
            over_time, over_modality = torch.zeros(4, 2), torch.zeros(4, 2)
            for t in range(4):
                for m, features in enumerate([audio, visual]):
                    score[t, m] = torch.sigmoid(pooling.event(features[b, t])[c])
                    over_time[t, m] = pooling.segment_attention(features[b, t])[c].exp()
                    over_modality[t, m] = pooling.modality_attention(features[b, t])[c].exp()
            over_time = over_time / over_time.sum(dim=0, keepdim=True)
            over_modality = over_modality / over_modality.sum(dim=1, keepdim=True)
            torch.testing.assert_close(video[b, c], (score * over_time * over_modality).sum())
            torch.testing.assert_close(modality[b, :, c], (score * over_time).sum(dim=0))
            torch.testing.assert_close(logits[b, :, :, c].sigmoid(), score)


def test_the_default_network_has_the_size_of_valor_plus_plus():
    parameters = sum(p.numel() for p in HAN().parameters())
    assert 4.8e6 < parameters < 5.0e6


def test_a_network_without_motion_takes_none():
    torch.manual_seed(0)
    network = HAN(audio_dim=6, visual_dim=7, motion_dim=None, hidden=8, heads=2, layers=1)
    output = network(torch.randn(2, 10, 6), torch.randn(2, 10, 7))
    assert output.segment_prob.shape == (2, 10, 2, 25)


def test_a_network_with_motion_misses_it():
    network = HAN(audio_dim=6, visual_dim=7, hidden=8, heads=2, layers=1)
    with pytest.raises(ValueError, match="motion"):
        network(torch.randn(2, 10, 6), torch.randn(2, 10, 7))


def test_an_unknown_norm_is_refused():
    with pytest.raises(ValueError, match="post_norm"):
        HAN(norm="layer_norm")
