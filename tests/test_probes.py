import math

import numpy as np
import pytest
import torch
from tiny import tiny_dataset, tiny_network

from link.inference import batches
from link.plsim import PLSIM
from link.probes import PARTS, copied_events, exchanged, logit_shifts, similarity_agreement
from link.training import build
from link.tsam import cross_attention


def network_and_inputs(**switches):
    dataset = tiny_dataset()
    torch.manual_seed(0)
    model = build(tiny_network(dataset, **switches), dataset).eval()
    return model, next(batches(dataset.test, len(dataset.test))).inputs


def outputs(model, inputs):
    with torch.no_grad():
        return model(*inputs).segment_logits


def before(batch):
    """Each video's predecessor, the first one's being the last."""
    return torch.stack([batch[index - 1] for index in range(len(batch))])


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_exchanged_within_the_context_and_not_after_it(part):
    model, inputs = network_and_inputs()
    usual = outputs(model, inputs)
    with exchanged(model, part):
        assert not torch.equal(outputs(model, inputs), usual)
    assert torch.equal(outputs(model, inputs), usual)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_put_back_after_an_error(part):
    model, inputs = network_and_inputs()
    usual = outputs(model, inputs)
    with pytest.raises(KeyError), exchanged(model, part):
        raise KeyError
    assert torch.equal(outputs(model, inputs), usual)


@pytest.mark.parametrize("part", PARTS)
def test_videos_that_are_all_alike_lose_nothing(part):
    model, inputs = network_and_inputs()
    alike = [each[:1].expand_as(each) for each in inputs]
    usual = outputs(model, alike)
    with exchanged(model, part):
        torch.testing.assert_close(outputs(model, alike), usual)


def test_each_exchange_is_what_it_says():
    model, inputs = network_and_inputs()
    tsam = model.tsam
    audio, visual = (each.detach() for each in model.projection(*inputs[:3]))
    with torch.no_grad():
        weights = tsam.audio.temporal(audio)
        with exchanged(model, "temporal attention"):
            torch.testing.assert_close(tsam.audio.temporal(audio), before(weights))
        weights = tsam.visual.spatial(visual)
        with exchanged(model, "spatial attention"):
            torch.testing.assert_close(tsam.visual.spatial(visual), before(weights))
        with exchanged(model, "interaction"):
            new_audio, new_visual = tsam.interaction(audio, visual)
        seen, heard = before(visual), before(audio)
        torch.testing.assert_close(new_audio, audio + 0.25 * cross_attention(audio, seen) @ seen)
        torch.testing.assert_close(
            new_visual, visual + 0.25 * cross_attention(visual, heard) @ heard
        )
        with exchanged(model, "cross-attention"):
            crossed = model.encoder.layers[0](audio, visual)
        torch.testing.assert_close(crossed, model.encoder.layers[0](audio, before(visual)))


def test_an_unknown_part_is_refused():
    model, _ = network_and_inputs()
    with pytest.raises(ValueError, match="cross-attention"), exchanged(model, "attention"):
        pass


def test_tsam_cannot_be_exchanged_where_there_is_none():
    model, _ = network_and_inputs(tsam=False)
    with pytest.raises(ValueError, match="without TSAM"), exchanged(model, "interaction"):
        pass


def test_copied_events_counted_by_hand():
    # Two segments of one video, three classes.
    true_audio = np.array([[[1, 1, 0], [1, 0, 0]]], dtype=bool)
    true_visual = np.array([[[1, 0, 0], [0, 0, 1]]], dtype=bool)
    # Heard only: (0, 1) and (1, 0); the network says that the first is seen.
    pred_visual = np.array([[[0, 1, 1], [0, 1, 1]]], dtype=bool)
    # Seen only: (1, 2), which the network does not say is heard.
    pred_audio = np.array([[[1, 0, 1], [1, 1, 0]]], dtype=bool)
    assert copied_events(pred_audio, pred_visual, true_audio, true_visual) == {
        "heard only, called seen": 50,
        "seen only, called heard": 0,
    }


def test_nothing_to_copy_is_not_a_share_of_zero():
    both = np.ones((1, 2, 3), dtype=bool)
    assert all(np.isnan(share) for share in copied_events(both, both, both, both).values())


def test_similarities_agree_with_overlaps_as_numpy_says():
    torch.manual_seed(0)
    similarity, overlap = torch.rand(2, 4, 10, 10, dtype=torch.float64)
    defined = torch.rand(4, 10, 10) < 0.7
    defined[:, 0, :2] = False
    s, r, d = (x.numpy() for x in (similarity, overlap, defined))
    r[2] = 0.5  # The overlaps of this video are constant: it has no correlation.
    overlap = torch.from_numpy(r)
    together, within = similarity_agreement(similarity, overlap, defined)
    assert together == pytest.approx(np.corrcoef(s[d], r[d])[0, 1])
    each = [np.corrcoef(s[b][d[b]], r[b][d[b]])[0, 1] for b in (0, 1, 3)]
    assert within == pytest.approx(np.mean(each))


def test_telling_videos_apart_is_not_telling_segments_apart():
    # Similarities that know each video's mean overlap, and the wrong order within it.
    overlap = torch.tensor([[[0.0, 0.2], [0.1, 0.3]], [[0.7, 0.9], [0.8, 1.0]]])
    similarity = 2 * overlap.mean(dim=(1, 2), keepdim=True) - overlap
    together, within = similarity_agreement(similarity, overlap, torch.ones_like(overlap) > 0)
    assert together > 0.5 and within == pytest.approx(-1)


def test_without_a_pair_there_is_no_agreement():
    nothing = torch.zeros(2, 3, 3)
    assert all(map(math.isnan, similarity_agreement(nothing, nothing, nothing > 0)))


def test_logit_shifts_are_those_of_one_label_more():
    torch.manual_seed(0)
    module = PLSIM(6, torch.randn(4, 5)).double()
    for parameter in module.parameters():  # At its start it would shift nothing.
        torch.nn.init.normal_(parameter)
    classifier = torch.nn.Linear(6, 4).double()
    features = torch.randn(3, 7, 6, dtype=torch.float64)
    prior = torch.randint(0, 2, (3, 7, 4), dtype=torch.float64)
    kept = prior.clone()
    shifts = logit_shifts(module, classifier, features, prior)
    assert shifts.shape == (4, 4) and not shifts.requires_grad
    assert torch.equal(prior, kept)
    for c in range(4):
        only = torch.eye(4, dtype=torch.float64)[c]
        more = classifier(module(features, prior.maximum(only)))
        less = classifier(module(features, prior * (1 - only)))
        torch.testing.assert_close(shifts[c], (more - less).mean(dim=(0, 1)))
