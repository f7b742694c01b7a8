from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import tiny_dataset, tiny_network

from link.attention import attention_weights, by_head, extra_mass
from link.training import build
from link.tsam import cross_attention


def network(**settings):
    dataset = tiny_dataset()
    torch.manual_seed(0)
    return build(replace(tiny_network(dataset), **settings), dataset).eval(), dataset.test


def weights_as_written(attention, query, key):
    """softmax(Q K^T / sqrt(d / heads)), head by head (Vaswani et al., 2017)."""
    width, heads = attention.embed_dim, attention.num_heads
    q = query @ attention.in_proj_weight[:width].T + attention.in_proj_bias[:width]
    k = key @ attention.in_proj_weight[width : 2 * width].T
    k = k + attention.in_proj_bias[width : 2 * width]
    size = width // heads
    each = []
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        scores = q[..., part] @ k[..., part].transpose(1, 2) / size**0.5
        each.append(torch.softmax(scores, dim=-1))
    return torch.stack(each, dim=1)


def test_weights_by_head_are_those_of_the_equation():
    torch.manual_seed(0)
    attention = torch.nn.MultiheadAttention(8, 2, batch_first=True).eval()
    torch.nn.init.normal_(attention.in_proj_bias)
    query, key = torch.randn(3, 5, 8), torch.randn(3, 4, 8)
    with torch.no_grad():
        weights = by_head(attention, query, key)
        torch.testing.assert_close(weights, weights_as_written(attention, query, key))
        # And they are what the module computes its output with.
        values = key @ attention.in_proj_weight[16:].T + attention.in_proj_bias[16:]
        mixed = weights @ values.unflatten(-1, (2, 4)).transpose(1, 2)
        output = attention.out_proj(mixed.transpose(1, 2).flatten(2))
        torch.testing.assert_close(output, attention(query, key, key)[0])


@pytest.mark.parametrize("norm", ["post_norm", "pre_norm"])
@pytest.mark.parametrize("tsam", [False, True])
def test_every_attention_is_caught_where_it_looks(norm, tsam, monkeypatch):
    monkeypatch.setattr("link.attention.EVALUATION_BATCH", 5)
    model, split = network(norm=norm, tsam=tsam, layers=2)
    found = attention_weights(model, split)
    layers = [f"layer {n}, {name}" for n in (1, 2) for name in ("cross", "self")]
    assert list(found) == ["TSAM"] * tsam + layers
    inputs = [torch.from_numpy(getattr(split, name)) for name in ("audio", "visual", "motion")]
    with torch.no_grad():
        audio, visual = model.projection(*inputs)
        if tsam:
            audio, visual = model.tsam.audio(audio), model.tsam.visual(visual)
            expected = {"audio": (audio, visual), "visual": (visual, audio)}
            for modality, pair in expected.items():
                looks = found["TSAM"][modality][:, 0]
                assert looks == pytest.approx(cross_attention(*pair).numpy(), abs=1e-6)
            audio, visual = model.tsam.interaction(audio, visual)
        for number, layer in enumerate(model.encoder.layers, start=1):
            # As in `link.han.HANEncoder`: the visual update sees the audio update before it.
            new_audio = layer(audio, visual)
            for modality, own, other in (("audio", audio, visual), ("visual", visual, new_audio)):
                query = layer.norm1(own) if norm == "pre_norm" else own
                for name, attention, key in (
                    ("cross", layer.cross_attention, other),
                    ("self", layer.self_attention, query),
                ):
                    weights = found[f"layer {number}, {name}"][modality]
                    expected = weights_as_written(attention, query, key).numpy()
                    assert weights == pytest.approx(expected, abs=1e-6)
            audio, visual = new_audio, layer(visual, new_audio)


def test_no_hook_stays_behind():
    model, split = network()
    attention_weights(model, split)
    assert not [module for module in model.modules() if module._forward_hooks]


def test_extra_mass_by_hand():
    own = np.array([[True, True, False], [True, False, False]])
    other = np.array([[True, False, False], [True, True, True]])
    weights = np.zeros((2, 3, 3))
    weights[0] = [[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0]]
    weights[1] = 1 / 3
    # Segments 0 and 1 give 1 and 1/2 to the one segment with it; an even share is a third.
    assert extra_mass(weights, own, other) == pytest.approx([0.75 - 1 / 3, np.nan], nan_ok=True)


def test_an_even_attention_has_no_extra_mass_and_nothing_to_choose_has_none_at_all():
    rng = np.random.default_rng(0)
    own, other = rng.random((2, 50, 10)) < 0.3
    own[0], other[1], other[2] = False, False, True
    extra = extra_mass(np.full((50, 10, 10), 0.1), own, other)
    assert np.isnan(extra[:3]).all()
    defined = own.any(axis=1) & other.any(axis=1) & ~other.all(axis=1)
    assert np.array_equal(~np.isnan(extra), defined)
    assert extra[defined] == pytest.approx(0, abs=1e-12)
