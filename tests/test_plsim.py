import torch
import torch.nn.functional as F

from link.plsim import PLSIM, label_text


def perturbed(hidden=6, classes=4, text_dim=5):
    torch.manual_seed(0)
    module = PLSIM(hidden, torch.randn(classes, text_dim)).double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    return module


def literal_mlp(mlp, x):
    first, _, last = mlp
    return last.weight @ F.relu(first.weight @ x + first.bias) + last.bias


def test_the_module_is_its_equation():
    module = perturbed()
    features = torch.randn(3, 7, 6, dtype=torch.float64)
    prior = torch.randint(0, 2, (3, 7, 4), dtype=torch.float64)
    prior[0, 0] = 0
    result = module(features, prior)
    for b in range(3):
        for t in range(7):
            f = features[b, t]
            labels = [c for c in range(4) if prior[b, t, c]]
            text = torch.zeros(5, dtype=torch.float64)
            for c in labels:
                text += module.text[c] / len(labels)
            gamma1, gamma2 = literal_mlp(module.gamma1, text), literal_mlp(module.gamma2, text)
            torch.testing.assert_close(result[b, t], f * gamma1 + gamma2 + f)


def test_the_module_starts_as_the_identity():
    module = PLSIM(6, torch.randn(4, 5))
    features, prior = torch.randn(2, 3, 6), torch.ones(2, 3, 4)
    torch.testing.assert_close(module(features, prior), features)


def test_gradients_are_those_of_finite_differences():
    module = perturbed()
    features = torch.randn(2, 3, 6, dtype=torch.float64, requires_grad=True)
    prior = torch.rand(2, 3, 4, dtype=torch.float64, requires_grad=True)
    names, values = zip(*module.named_parameters(), strict=True)

    def run(features, prior, *values):
        named = dict(zip(names, values, strict=True))
        return torch.func.functional_call(module, named, (features, prior))

    # Soft priors whose sum is below 1 are not renormalised; stay clear of that kink.
    assert torch.autograd.gradcheck(run, (features, (prior + 0.5).detach(), *values))


def test_one_label_gives_its_own_text_and_none_gives_zero():
    text = torch.randn(4, 5)
    prior = torch.zeros(1, 2, 4)
    prior[0, 0, 2] = 1
    torch.testing.assert_close(
        label_text(prior, text), torch.stack([text[2], torch.zeros(5)])[None]
    )


def test_text_is_kept_and_not_trained():
    module = PLSIM(6, torch.randn(4, 5))
    assert "text" in module.state_dict()
    assert "text" not in dict(module.named_parameters())
