import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from link.han import ParsingOutput
from link.losses import (
    label_overlap,
    parsing_loss,
    piecewise_weight,
    segment_similarity,
    similarity_loss,
)


def literal_weight(s, mu):
    """Design section 5: the three branches as they are written."""
    if s <= -0.2:
        return 1.0
    if s < 0:
        return math.exp(abs(1 - mu))
    return math.exp(abs(1 - mu)) + (1 - math.exp(abs(1 - mu))) * s


@given(st.floats(-1, 1), st.floats(-2, 3))
def test_the_weight_is_its_equation(s, mu):
    # The branch is decided in the precision of the tensor; keep clear of it by its rounding.
    similarity = torch.tensor(s, dtype=torch.float64)
    assert piecewise_weight(similarity, mu).item() == pytest.approx(literal_weight(s, mu))
    assert piecewise_weight(similarity, torch.tensor(mu, dtype=torch.float64)).item() == (
        pytest.approx(literal_weight(s, mu))
    )


def test_the_weight_jumps_once_and_ends_at_one():
    s = torch.tensor([-0.2 - 1e-6, -0.2 + 1e-6, -1e-6, 0.0, 1.0], dtype=torch.float64)
    below, above, left, right, end = piecewise_weight(s, 0.0).tolist()
    assert below == 1 and above == pytest.approx(math.e)
    assert left == pytest.approx(right) and end == pytest.approx(1)


def test_gradient_descent_can_only_pull_mu_to_one():
    torch.manual_seed(0)
    audio, visual = torch.randn(2, 4, 10, 6)
    labels = torch.randint(0, 2, (2, 4, 10, 5)).float()
    for start in (-1.0, 0.5, 1.5, 3.0):
        mu = torch.tensor(start, requires_grad=True)
        similarity_loss(audio, visual, *labels, mu).backward()
        assert mu.grad * (start - 1) > 0
    stuck = torch.tensor(1.0, requires_grad=True)
    similarity_loss(audio, visual, *labels, stuck).backward()
    assert stuck.grad == 0


def test_keeping_the_weight_is_twice_a_gaussian_s_negative_log_likelihood():
    audio, visual, *labels = random_segments()
    for mu in (0.0, 0.7):
        error = segment_similarity(audio, visual) - label_overlap(*labels)[0]
        weight = piecewise_weight(segment_similarity(audio, visual), mu)
        likelihood = torch.distributions.Normal(0, weight.rsqrt()).log_prob(error)
        expected = -2 * likelihood[label_overlap(*labels)[1]].mean() - math.log(2 * math.pi)
        found = similarity_loss(audio, visual, *labels, mu, keep_weight=True)
        assert found.item() == pytest.approx(expected.item())


def test_keeping_the_weight_has_its_optimum_where_the_weight_is_the_inverse_error():
    # One pair of orthogonal segments, s = 0, with labels that overlap by 1/2: the error is 1/4 and
    # the likelihood is highest at a weight of 4.
    audio, visual = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[0.0, 1.0]]])
    labels = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[1.0, 1.0]]])
    mu = torch.tensor(0.0, requires_grad=True)
    optimiser = torch.optim.SGD([mu], lr=0.1)
    for _ in range(300):
        optimiser.zero_grad()
        similarity_loss(audio, visual, *labels, mu, keep_weight=True).backward()
        optimiser.step()
    assert piecewise_weight(torch.tensor(0.0), mu).item() == pytest.approx(4, rel=1e-4)


@given(st.data())
def test_the_overlap_is_that_of_sets(data):
    sets = st.sets(st.integers(0, 4))
    heard = data.draw(st.lists(sets, min_size=3, max_size=3))
    seen = data.draw(st.lists(sets, min_size=3, max_size=3))

    def grid(labels):
        return torch.tensor([[[float(c in s) for c in range(5)] for s in labels]])

    overlap, defined = label_overlap(grid(heard), grid(seen))
    for i, a in enumerate(heard):
        for j, v in enumerate(seen):
            assert bool(defined[0, i, j]) == bool(a | v)
            expected = len(a & v) / len(a | v) if a | v else 0
            assert overlap[0, i, j].item() == pytest.approx(expected)


def literal_similarity_loss(audio, visual, audio_labels, visual_labels, mu):
    total, pairs = 0.0, 0
    for b in range(len(audio)):
        for i in range(audio.shape[1]):
            for j in range(visual.shape[1]):
                heard = {c for c, on in enumerate(audio_labels[b, i]) if on}
                seen = {c for c, on in enumerate(visual_labels[b, j]) if on}
                if not heard | seen:
                    continue
                x, y = audio[b, i].tolist(), visual[b, j].tolist()
                dot = sum(p * q for p, q in zip(x, y, strict=True))
                s = dot / math.hypot(*x) / math.hypot(*y)
                r = len(heard & seen) / len(heard | seen)
                total += literal_weight(s, mu) * (s - r) ** 2
                pairs += 1
    return total / pairs


def random_segments(seed=0, videos=3, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(2, videos, 5, 7, generator=generator, dtype=dtype)
    labels = (torch.rand(2, videos, 5, 4, generator=generator) < 0.3).to(dtype)
    return (*features, *labels)


def test_the_similarity_loss_is_its_sum():
    segments = random_segments()
    expected = literal_similarity_loss(*segments, mu=0.4)
    assert similarity_loss(*segments, mu=0.4).item() == pytest.approx(expected)


def test_the_weight_carries_no_gradient_of_the_similarity():
    audio, visual, *labels = random_segments()
    audio.requires_grad_()
    (gradient,) = torch.autograd.grad(similarity_loss(audio, visual, *labels, 0.4), audio)
    similarity = segment_similarity(audio, visual)
    overlap, defined = label_overlap(*labels)
    weight = piecewise_weight(similarity, 0.4).detach()
    fixed = (weight * (similarity - overlap) ** 2)[defined].mean()
    (expected,) = torch.autograd.grad(fixed, audio)
    torch.testing.assert_close(gradient, expected, check_dtype=False)


def test_segments_without_any_label_cost_nothing():
    audio, visual, audio_labels, _ = random_segments()
    nothing = torch.zeros_like(audio_labels)
    assert similarity_loss(audio, visual, nothing, nothing, 0.4) == 0


def random_output(videos=2, segments=3, classes=4):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(videos, segments, 2, classes, generator=generator)
    probabilities = torch.rand(3, videos, classes, generator=generator)
    features = torch.randn(2, videos, segments, 5, generator=generator)
    output = ParsingOutput(*probabilities, logits.sigmoid(), logits, *features)
    targets = (torch.rand(2, videos, segments, classes, generator=generator) < 0.4).float()
    weak = (torch.rand(videos, classes, generator=generator) < 0.4).float()
    return output, weak, *targets


def literal_bce(probabilities, targets):
    terms = [
        -math.log(p) if y else -math.log(1 - p)
        for p, y in zip(probabilities.flatten().tolist(), targets.flatten().tolist(), strict=True)
    ]
    return sum(terms) / len(terms)


def test_every_term_is_its_cross_entropy():
    output, weak, audio_target, visual_target = random_output()
    terms = parsing_loss(output, weak, audio_target, visual_target, mu=torch.tensor(0.4))
    heard, seen = output.segment_prob[:, :, 0], output.segment_prob[:, :, 1]
    expected = {
        "video": literal_bce(output.video_prob, weak),
        "video_audio": literal_bce(output.audio_prob, audio_target.max(dim=1).values),
        "video_visual": literal_bce(output.visual_prob, visual_target.max(dim=1).values),
        "label": literal_bce(heard, audio_target) + literal_bce(seen, visual_target),
        "similarity": literal_similarity_loss(
            output.audio, output.visual, audio_target, visual_target, 0.4
        ),
    }
    expected["total"] = sum(expected.values())
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(expected, rel=1e-5)


def test_valor_has_the_video_and_the_label_term_only():
    output, *labels = random_output()
    terms = parsing_loss(output, *labels, unimodal_terms=False)
    assert set(terms) == {"video", "label", "total"}


def test_a_certain_and_wrong_probability_costs_much_but_not_infinitely_much():
    output, weak, *targets = random_output()
    certain = output._replace(video_prob=1 - weak)
    assert parsing_loss(certain, weak, *targets)["video"].item() == pytest.approx(
        -math.log(1e-7), rel=0.01
    )


def test_gradients_are_those_of_finite_differences():
    audio, visual, *labels = random_segments(videos=1)
    mu = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(
        lambda a, v: similarity_loss(a, v, *labels, 1.0), (audio.requires_grad_(), visual)
    )
    torch.autograd.gradcheck(lambda m: similarity_loss(audio.detach(), visual, *labels, m), (mu,))
