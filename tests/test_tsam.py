import math

import pytest
import torch

from link.tsam import TSAM, AdaptiveInteraction, TemporalSpatialAttention, cross_attention


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def literal_attention(module, f):
    """f^ = S(W(f) * f) * (W(f) * f), written out with loops for one video f[t][k]."""
    first, _, last = module.temporal.mlp
    segments, width = len(f), len(f[0])

    def mlp(x):
        hidden = [
            max(
                0.0,
                sum(first.weight[j, t].item() * x[t] for t in range(segments))
                + first.bias[j].item(),
            )
            for j in range(len(first.bias))
        ]
        return [
            sum(last.weight[t, j].item() * h for j, h in enumerate(hidden)) + last.bias[t].item()
            for t in range(segments)
        ]

    average = mlp([sum(row) / width for row in f])
    highest = mlp([max(row) for row in f])
    w = [sigmoid(a + m) for a, m in zip(average, highest, strict=True)]
    g = [[w[t] * f[t][k] for k in range(width)] for t in range(segments)]
    pooled = [
        [sum(g[t][k] for t in range(segments)) / segments for k in range(width)],
        [max(g[t][k] for t in range(segments)) for k in range(width)],
    ]
    kernel, bias = module.spatial.conv.weight[0], module.spatial.conv.bias.item()
    reach = kernel.shape[1] // 2
    s = []
    for k in range(width):
        total = bias
        for channel in range(2):
            for offset in range(-reach, reach + 1):
                if 0 <= k + offset < width:
                    total += kernel[channel, offset + reach].item() * pooled[channel][k + offset]
        s.append(sigmoid(total))
    return [[s[k] * g[t][k] for k in range(width)] for t in range(segments)]


def test_the_attention_is_its_equation():
    torch.manual_seed(0)
    module = TemporalSpatialAttention(6).double()
    features = torch.randn(3, 6, 9, dtype=torch.float64)
    for video, attended in zip(features, module(features), strict=True):
        expected = torch.tensor(literal_attention(module, video.tolist()), dtype=torch.float64)
        torch.testing.assert_close(attended, expected)


def test_the_weights_are_what_the_attention_multiplies_by():
    torch.manual_seed(0)
    module = TemporalSpatialAttention(6)
    features = torch.randn(3, 6, 9)
    over_time, over_features = module.weights(features)
    assert over_time.shape == (3, 6, 1) and over_features.shape == (3, 1, 9)
    torch.testing.assert_close(over_features * over_time * features, module(features))


def literal_addition(own, other, alpha, beta):
    """f + alpha * softmax(f g^T / sqrt(d)) (beta * g), segment by segment."""
    result = []
    for segment in own:
        exponents = [math.exp(float(segment @ g) / math.sqrt(len(segment))) for g in other]
        attended = sum(
            e / sum(exponents) * beta * g for e, g in zip(exponents, other, strict=True)
        )
        result.append(segment + alpha * attended)
    return torch.stack(result)


def test_the_interaction_is_its_equation():
    torch.manual_seed(0)
    module = AdaptiveInteraction().double()
    strengths = {"alpha1": 0.3, "beta1": -1.1, "alpha2": 0.7, "beta2": 2.0}
    with torch.no_grad():
        for name, value in strengths.items():
            getattr(module, name).fill_(value)
    audio, visual = torch.randn(2, 4, 6, 5, dtype=torch.float64)
    new_audio, new_visual = module(audio, visual)
    for b in range(4):
        heard = literal_addition(audio[b], visual[b], 0.7, 2.0)
        seen = literal_addition(visual[b], audio[b], 0.3, -1.1)
        torch.testing.assert_close(new_audio[b], heard)
        torch.testing.assert_close(new_visual[b], seen)
    assert module.strengths() == pytest.approx(
        {"audio_from_visual": 1.4, "visual_from_audio": -0.33}
    )


def test_modalities_are_treated_alike():
    torch.manual_seed(0)
    interaction = AdaptiveInteraction()
    audio, visual = torch.randn(2, 3, 10, 8)
    there, back = interaction(audio, visual), interaction(visual, audio)
    torch.testing.assert_close(there, back[::-1])


def test_an_interaction_of_no_strength_is_the_identity():
    interaction = AdaptiveInteraction()
    torch.nn.init.zeros_(interaction.alpha1)
    torch.nn.init.zeros_(interaction.beta2)
    audio, visual = torch.randn(2, 3, 10, 8)
    torch.testing.assert_close(interaction(audio, visual), (audio, visual))


def test_attention_weights_sum_to_one():
    weights = cross_attention(torch.randn(2, 4, 8), torch.randn(2, 6, 8))
    assert weights.shape == (2, 4, 6)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4))


def test_gradients_are_those_of_finite_differences():
    torch.manual_seed(0)
    module = TSAM(4).double()
    inputs = torch.randn(2, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    parameters = tuple(module.parameters())

    def run(inputs, *values):
        named = dict(zip(dict(module.named_parameters()), values, strict=True))
        return torch.func.functional_call(module, named, (inputs[0], inputs[1]))

    assert torch.autograd.gradcheck(run, (inputs, *parameters))
