"""Training keeps VALOR's schedule, selects on validation, and predicts without labels."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from tiny import TRAINING, tiny_dataset, tiny_network

import link.inference as inference
import link.training as training
from link.dataset import Dataset, Split
from link.features import open_store, write_store
from link.inference import Batch, batches, evaluate, predict
from link.metrics import SCORES
from link.model import LinkConfig
from link.runs import RunFolder
from link.training import (
    TrainingConfig,
    TrainingError,
    best_epoch,
    build,
    fit,
    fitting_config,
    learning_rate,
    make_optimiser,
    train_epoch,
)

DATASET = tiny_dataset()
SCALARS = {
    "mu",
    *(f"tsam.interaction.{name}" for name in ("alpha1", "alpha2", "beta1", "beta2")),
}


@pytest.fixture(scope="module")
def fitted():
    return fit(DATASET, tiny_network(), TRAINING)


class Watcher:
    """In the place of a run folder: keeps the weights after every epoch."""

    def __init__(self):
        self.weights = []

    def restore(self):
        return None

    def checkpoint(self, weights, **_):
        self.weights.append({name: tensor.clone() for name, tensor in weights.items()})

    def finish(self, weights, scores, best_epoch):
        self.finished = weights


def same_weights(one, other) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one.keys() | other.keys())


def with_split(name: str, **arrays) -> Dataset:
    return replace(DATASET, **{name: replace(DATASET.splits()[name], **arrays)})


def without(*names: str) -> Dataset:
    """The data set without some optional arrays, in any split."""
    splits = {
        name: replace(split, **dict.fromkeys(set(names) & split.arrays().keys()))
        for name, split in DATASET.splits().items()
    }
    return replace(DATASET, **splits)


# ---- the schedule and the optimiser ----


@settings(deadline=None)
@given(
    warmup=st.integers(0, 20),
    cosine=st.integers(1, 40),
    peak=st.floats(1e-5, 1),
    share=st.floats(0, 1),
)
def test_the_learning_rate_is_that_of_valors_code(warmup, cosine, peak, share):
    epochs, final = warmup + cosine, share * peak
    config = TrainingConfig(
        epochs=epochs, warmup_epochs=warmup, learning_rate=peak, final_learning_rate=final
    )
    for epoch in range(1, epochs + 1):
        if epoch < warmup:
            expected = epoch / warmup * peak
        else:
            angle = (epoch - warmup) / (epochs - warmup) * math.pi
            expected = final + 0.5 * (peak - final) * (1.0 + math.cos(angle))
        assert learning_rate(epoch, config) == pytest.approx(expected, rel=1e-12)


def test_the_learning_rate_climbs_to_its_peak_and_ends_at_its_end():
    rates = [learning_rate(epoch, TrainingConfig()) for epoch in range(1, 61)]
    assert rates[0] == pytest.approx(3e-5) and rates[9] == 3e-4 and rates[59] == 3e-6
    assert rates[:10] == sorted(rates[:10]) and rates[9:] == sorted(rates[9:], reverse=True)


def test_training_may_end_with_its_warm_up():
    config = TrainingConfig(epochs=3, warmup_epochs=3)
    assert learning_rate(3, config) == config.learning_rate


def test_weight_decay_leaves_scalars_alone():
    model = build(tiny_network(), DATASET)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    config = TrainingConfig(learning_rate=0.1, weight_decay=0.5)
    optimiser = make_optimiser(model, config)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    for name, parameter in model.named_parameters():
        kept = 1 if name in SCALARS else 1 - 0.1 * 0.5
        assert torch.allclose(parameter, kept * before[name]), name
    assert before.keys() >= SCALARS
    assert all(group["betas"] == (0.5, 0.999) for group in optimiser.param_groups)


def test_every_mode_steps_alike_bit_for_bit():
    """torch's other ways to take AdamW's roots are not the same on all processors."""

    def stepped(mode):
        torch.manual_seed(0)
        model = build(tiny_network(), DATASET)
        optimiser = make_optimiser(model, replace(TRAINING, mode=mode))
        for _ in range(3):
            for parameter in model.parameters():
                parameter.grad = torch.randn_like(parameter)
            optimiser.step()
        return model.state_dict()

    assert same_weights(stepped("plain"), stepped("fast"))
    assert same_weights(stepped("plain"), stepped("half"))


def test_the_schedule_is_what_the_optimiser_follows(fitted):
    assert [record["learning_rate"] for record in fitted.history] == [
        learning_rate(epoch, TRAINING) for epoch in (1, 2, 3, 4)
    ]
    # Whose only epoch is the last, with the rate of the end.
    still = replace(
        TRAINING, epochs=1, warmup_epochs=0, learning_rate=0.1, final_learning_rate=0.0
    )
    assert learning_rate(1, still) == 0
    torch.manual_seed(still.seed)
    initial = build(tiny_network(), DATASET).state_dict()
    assert same_weights(fit(DATASET, tiny_network(), still).model.state_dict(), initial)


def test_gradients_are_clipped():
    model = build(tiny_network(), DATASET)
    config = replace(TRAINING, gradient_norm=1e-3)
    train_epoch(
        model, make_optimiser(model, config), DATASET.train, config, 1e-3, torch.Generator()
    )
    gradients = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    assert gradients.norm().item() == pytest.approx(1e-3, rel=1e-3)


# ---- batches and losses ----


@settings(deadline=None)
@given(size=st.integers(1, 30), seed=st.integers(0, 100))
def test_batches_cover_every_video_once(size, seed):
    order = np.random.default_rng(seed).permutation(len(DATASET.train))
    for chosen, own in ((order, order), (None, np.arange(len(order)))):
        parts = list(batches(DATASET.train, size, order=chosen))
        assert [len(part.weak) for part in parts[:-1]] == [size] * (len(parts) - 1)
        for name in Batch._fields:
            joined = torch.cat([getattr(part, name) for part in parts])
            assert joined.dtype == torch.float32
            assert np.array_equal(joined.numpy(), getattr(DATASET.train, name)[own])


def test_batches_leave_out_what_is_not_there_or_not_asked_for():
    (batch,) = batches(without("motion").train, 100, names=("audio", "motion", "weak"))
    assert [name for name in Batch._fields if getattr(batch, name) is not None] == [
        "audio",
        "weak",
    ]


def test_an_epoch_sees_every_video_once_and_never_in_the_same_order():
    seen = []
    model = build(tiny_network(), DATASET)
    model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0][:, 0, 0]))
    optimiser, order = make_optimiser(model, TRAINING), torch.Generator()
    epochs = []
    for _ in range(3):
        seen.clear()
        train_epoch(model, optimiser, DATASET.train, TRAINING, 1e-3, order)
        epochs.append(torch.cat(seen).tolist())
    videos = DATASET.train.audio[:, 0, 0].tolist()
    assert all(sorted(epoch) == sorted(videos) for epoch in epochs)
    assert len({tuple(order) for order in [videos, *epochs]}) == 4


def test_losses_are_means_over_videos():
    model = build(tiny_network(dropout=0.0), DATASET)
    still = replace(TRAINING, weight_decay=0.0)
    losses = train_epoch(
        model, make_optimiser(model, still), DATASET.train, still, 0.0, torch.Generator()
    )
    (everything,) = batches(DATASET.train, 100)
    terms = model.loss(model(*everything.inputs), *everything.labels)
    assert losses.keys() == terms.keys()
    # Not S-LOSS, nor the total with it: its mean is over pairs, of which videos have unlike many.
    for name in terms.keys() - {"similarity", "total"}:
        assert losses[name] == pytest.approx(terms[name].item(), rel=1e-5)


def test_a_training_that_diverges_ends_with_a_remedy():
    wild = replace(TRAINING, learning_rate=1e30, batch_size=12)
    with pytest.raises(TrainingError, match=r"diverged, .*; lower the learning rate \(1e\+30\)"):
        fit(DATASET, tiny_network(), wild)


def test_a_network_that_breaks_in_the_last_step_is_not_a_result():
    class Breaking(torch.optim.SGD):
        def step(self):
            next(iter(self.param_groups[0]["params"])).data.fill_(torch.nan)

    model = build(tiny_network(), DATASET)
    whole = replace(TRAINING, batch_size=24)
    with pytest.raises(TrainingError, match="diverged"):
        train_epoch(
            model, Breaking(model.parameters()), DATASET.train, whole, 1e-3, torch.Generator()
        )


# ---- selection ----


def test_the_best_epoch_is_the_first_with_the_best_type_score():
    scores = [3.0, 7.0, 7.0, 5.0]
    history = [
        {"val": {"segment/type": score, "event/type": -score}, "loss": -score} for score in scores
    ]
    assert best_epoch(history) == 2


def test_the_weights_are_those_of_the_best_epoch_on_validation(monkeypatch):
    scores = iter([{"segment/type": score} for score in (3.0, 9.0, 7.0, 8.0, 9.5)])
    on_test = {"segment/type": 50.0}
    monkeypatch.setattr(
        training,
        "evaluate",
        lambda model, split, *_: on_test if split is DATASET.test else next(scores),
    )
    watcher = Watcher()
    fitted = fit(DATASET, tiny_network(), TRAINING, watcher)
    assert fitted.best_epoch == 2
    assert same_weights(fitted.model.state_dict(), watcher.weights[1])
    assert same_weights(fitted.model.state_dict(), watcher.finished)
    assert not same_weights(watcher.weights[1], watcher.weights[3])
    # Measured once more at the end, of the weights that are kept.
    assert fitted.scores == {"val": {"segment/type": 9.5}, "test": on_test}
    assert not fitted.model.training


def test_a_trained_network_holds_no_gradients(fitted):
    assert all(weights.grad is None for weights in fitted.model.parameters())


def test_the_scores_are_those_of_the_weights(fitted):
    assert fitted.best_epoch == best_epoch(fitted.history)
    assert fitted.scores["val"] == fitted.history[fitted.best_epoch - 1]["val"]
    for name in ("val", "test"):
        assert fitted.scores[name] == evaluate(fitted.model, DATASET.splits()[name])


def test_the_test_split_selects_nothing(fitted):
    shuffled = with_split(
        "test",
        audio_truth=DATASET.test.audio_truth[::-1].copy(),
        visual_truth=~DATASET.test.visual_truth,
        weak=~DATASET.test.weak,
        audio_target=~DATASET.test.audio_target,
    )
    again = fit(shuffled, tiny_network(), TRAINING)
    assert again.best_epoch == fitted.best_epoch
    assert same_weights(again.model.state_dict(), fitted.model.state_dict())
    assert again.scores["val"] == fitted.scores["val"]
    assert again.scores["test"] != fitted.scores["test"]


def test_the_validation_split_teaches_nothing():
    one, other = Watcher(), Watcher()
    fit(DATASET, tiny_network(), TRAINING, one)
    worse = with_split("val", audio_truth=~DATASET.val.audio_truth, weak=~DATASET.val.weak)
    fit(worse, tiny_network(), TRAINING, other)
    for mine, theirs in zip(one.weights, other.weights, strict=True):
        assert same_weights(mine, theirs)


def test_the_history_tells_every_epoch(fitted):
    seen = []
    fit(DATASET, tiny_network(), TRAINING, on_epoch=seen.append)
    assert [record["epoch"] for record in seen] == [1, 2, 3, 4]
    for mine, theirs in zip(seen, fitted.history, strict=True):
        assert {**mine, "seconds": 0} == {**theirs, "seconds": 0}
        assert mine["seconds"] > 0
        assert tuple(mine["val"]) == SCORES
        assert mine["loss"].keys() == {
            *("video", "label", "video_audio", "video_visual", "similarity", "total")
        }
        assert mine["scalars"].keys() == SCALARS


# ---- determinism ----


def test_training_depends_on_its_seed_alone(fitted):
    torch.manual_seed(99)
    torch.rand(5)
    again = fit(DATASET, tiny_network(), TRAINING)
    assert same_weights(again.model.state_dict(), fitted.model.state_dict())
    other = fit(DATASET, tiny_network(), replace(TRAINING, seed=4))
    assert not same_weights(other.model.state_dict(), fitted.model.state_dict())


@pytest.mark.filterwarnings("error")
def test_a_store_trains_as_the_data_set_in_memory(fitted, tmp_path):
    mapped = open_store(write_store(tmp_path / "store", DATASET))
    assert not mapped.train.audio.flags.writeable
    again = fit(mapped, tiny_network(mapped), TRAINING)
    assert same_weights(again.model.state_dict(), fitted.model.state_dict())
    assert again.scores == fitted.scores


# ---- predictions ----


class Untouchable(np.ndarray):
    """Has a shape and a type; whoever asks for a value finds out."""

    def __getitem__(self, _):
        raise AssertionError("a label was read")

    def __array_ufunc__(self, *_, **__):
        raise AssertionError("a label was read")

    def __array_function__(self, *_, **__):
        raise AssertionError("a label was read")


def poisoned(split: Split) -> Split:
    labels = ("weak", "audio_target", "visual_target", "audio_truth", "visual_truth")
    return replace(split, **{name: getattr(split, name).view(Untouchable) for name in labels})


def test_predictions_read_no_label(fitted):
    clean = predict(fitted.model, DATASET.test)
    unseen = poisoned(DATASET.test)
    for one, other in zip(clean, predict(fitted.model, unseen), strict=True):
        assert np.array_equal(one, other)
    with pytest.raises(AssertionError, match="a label was read"):
        next(batches(unseen, 3))


def test_predictions_are_the_decisions_of_the_network_video_by_video(fitted, monkeypatch):
    monkeypatch.setattr(inference, "EVALUATION_BATCH", 5)
    fitted.model.train()
    audio, visual, segments, videos = predict(fitted.model, DATASET.test)
    assert segments.shape == (12, 10, 2, 25) and videos.shape == (12, 25)
    assert segments.dtype == videos.dtype == np.float32
    assert audio.dtype == visual.dtype == bool
    for video in range(len(DATASET.test)):
        (alone,) = batches(DATASET.test.subset([video]), 1)
        with torch.no_grad():
            output = fitted.model(*alone.inputs)
        assert np.allclose(output.segment_prob.numpy()[0], segments[video], atol=1e-6)
        assert np.allclose(output.video_prob.numpy()[0], videos[video], atol=1e-6)
    for index, decision in enumerate((audio, visual)):
        rule = (segments[:, :, index] >= 0.5) & (videos >= 0.5)[:, None]
        assert np.array_equal(decision, rule)


# ---- what does not fit ----


@pytest.mark.parametrize("name", ["classes", "segments", "audio_dim", "visual_dim", "motion_dim"])
def test_a_network_of_another_size_is_refused(name):
    config = replace(tiny_network(), **{name: 3})
    with pytest.raises(TrainingError, match=rf"{name}=3, the data set llp-sim "):
        fit(DATASET, config, TRAINING)


def test_a_network_without_motion_trains_on_data_that_has_it():
    short = replace(TRAINING, epochs=1)
    one = fit(DATASET, replace(tiny_network(), motion_dim=None), short)
    other = fit(without("motion"), tiny_network(without("motion")), short)
    assert one.model.config == other.model.config
    assert same_weights(one.model.state_dict(), other.model.state_dict())


WITHOUT_PRIORS = [
    without("audio_prior"),
    without("visual_prior"),
    replace(DATASET, audio_text=None),
    replace(DATASET, visual_text=None),
]


@pytest.mark.parametrize("dataset", WITHOUT_PRIORS)
def test_plsim_is_refused_where_there_are_no_priors(dataset):
    with pytest.raises(TrainingError, match="PLSIM reads label-free pseudo-labels"):
        fit(dataset, tiny_network(), TRAINING)
    fit(dataset, tiny_network(plsim=False), replace(TRAINING, epochs=1))


def unfit_for_training() -> Iterator[tuple[Dataset, str]]:
    for name in ("val", "test"):
        for truth in ("audio_truth", "visual_truth"):
            yield with_split(name, **{truth: None}), f"one modality alone in its {name} split"
    for name, split in DATASET.splits().items():
        yield replace(DATASET, **{name: split.subset([])}), f"no video in its {name} split"


@pytest.mark.parametrize(("dataset", "message"), list(unfit_for_training()))
def test_what_would_fail_at_the_end_is_refused_at_the_beginning(dataset, message):
    with pytest.raises(TrainingError, match=message):
        fit(dataset, tiny_network(), TRAINING, on_epoch=lambda _: pytest.fail("it trained"))


def test_without_annotation_the_weak_labels_are_what_is_scored_and_selected_on():
    bare = DATASET
    for name in ("val", "test"):
        split = replace(getattr(bare, name), audio_truth=None, visual_truth=None)
        bare = replace(bare, **{name: split})
    done = fit(bare, tiny_network(), TRAINING)
    found = [record["val"]["video"] for record in done.history]
    assert done.best_epoch == 1 + found.index(max(found)) and len(set(found)) > 1
    said = predict(done.model, bare.test).video_prob >= 0.5
    expected = 100 * f1_score(bare.test.weak, said, average="samples", zero_division=1)
    assert done.scores["test"] == {"video": pytest.approx(expected)}


def test_the_fitting_network_has_the_widths_of_the_data_and_every_module():
    expected = LinkConfig(audio_dim=9, visual_dim=8, motion_dim=7)
    assert fitting_config(DATASET) == expected
    assert fitting_config(DATASET, hidden=8, plsim=False) == replace(
        expected, hidden=8, plsim=False
    )
    assert fitting_config(without("motion")).motion_dim is None


def test_plsim_is_built_with_the_data_sets_texts():
    model = build(tiny_network(), DATASET)
    assert np.array_equal(model.plsim_audio.text.numpy(), DATASET.audio_text)
    assert np.array_equal(model.plsim_visual.text.numpy(), DATASET.visual_text)


def test_a_run_that_fails_in_its_first_epoch_leaves_nothing(tmp_path):
    wild = replace(TRAINING, learning_rate=1e30)
    folder = RunFolder(tmp_path / "run", DATASET, tiny_network(), wild)
    with pytest.raises(TrainingError):
        fit(DATASET, tiny_network(), wild, folder)
    assert not list(folder.path.iterdir())
