"""Stored experiments say where they come from, and give back what was measured."""

import json
import re
from contextlib import nullcontext
from types import SimpleNamespace

import experiments
import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from link.ablation import BASELINE, VALOR, variants
from link.simulation import SimulationConfig, simulate
from link.training import build

STORED = sorted(path.stem for path in experiments.RESULTS.glob("*.json"))


def test_f_by_class_pools_the_segments_of_all_videos():
    random = np.random.default_rng(0)
    said, true = random.random((2, 9, 10, 4)) < 0.3
    said[..., 3] = true[..., 3] = False
    found = experiments.f_by_class(said, true)
    expected = [100 * f1_score(true[..., c].ravel(), said[..., c].ravel()) for c in range(3)]
    assert found[:3] == pytest.approx(expected)
    assert found[3] is None


def test_one_more_value_is_expected_where_a_prediction_interval_says():
    values = [1.0, 2.5, 2.0, 4.0]
    mean, low, high = experiments.predicted(values, level=0.95)
    spread = np.std(values, ddof=1) * np.sqrt(1 + 1 / 4)
    bounds = stats.t(3, loc=np.mean(values), scale=spread).interval(0.95)
    assert (mean, low, high) == pytest.approx((np.mean(values), *bounds))
    # Of many fifth values from the same distribution, as many as promised lie within.
    random = np.random.default_rng(1)
    draws = random.normal(size=(2000, 5))
    inside = []
    for *known, new in draws:
        _, low, high = experiments.predicted(known, level=0.95)
        inside.append(low <= new <= high)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.02)


def test_every_variant_can_be_built_and_is_another():
    dataset = simulate(SimulationConfig(train=2, val=1, test=1))
    named = experiments.networks(dataset)
    wanted = {name for each in experiments.EXPERIMENTS.values() for name in each.variants}
    assert {name.removesuffix(experiments.HALF) for name in wanted} <= named.keys()
    modes = {name: experiments.settings(dataset, name).mode for name in wanted}
    assert {name for name, mode in modes.items() if mode == "half"} == {
        name for name in wanted if name.endswith("bfloat16")
    }
    assert set(modes.values()) == {"fast", "half"}
    # The wordless one is PLSIM's network, on data without a word.
    assert named.pop(experiments.WORDLESS) == named["PLSIM"]
    assert len(set(named.values())) == len(named)
    for config in named.values():
        assert build(config, dataset).config == config
    for name in (BASELINE, VALOR):
        assert named[name] == variants(experiments.chapter_network(dataset))[name]


def test_without_words_priors_are_empty_and_nothing_else_changes():
    dataset = simulate(SimulationConfig(train=3, val=2, test=2))
    mute = experiments.wordless(dataset)
    for name, split in dataset.splits().items():
        before, after = split.arrays(), mute.splits()[name].arrays()
        assert before.keys() == after.keys()
        for array in before:
            if array.endswith("prior"):
                assert before[array].any() and not after[array].any()
                assert after[array].shape == before[array].shape
            else:
                assert np.array_equal(after[array], before[array])


def test_networks_are_measured_and_stored(monkeypatch, tmp_path):
    monkeypatch.setattr(experiments, "EPOCHS", 1)
    monkeypatch.setattr(experiments, "WARMUP", 1)
    monkeypatch.setattr(experiments, "RESULTS", tmp_path)
    records = experiments.rounded(experiments.trained("PLSIM", {"misalignment": 0.5}, 3, [4, 7]))
    assert [record["seed"] for record in records] == [4, 7]
    for record in records:
        assert record["misalignment"] == 0.5 and record["variant"] == "PLSIM"
        assert len(record["scores"]) == len(record["leak"]) == 10
        assert [len(values) for values in record["class_f"].values()] == [25, 25]
        assert len(record["validation"]) == 1 and record["mu"] == []
    provenance = {"commit": "abc", "seeds": [4, 7]}
    experiments.store("misalignment", {"provenance": provenance, "records": records})
    stored = experiments.Stored("misalignment")
    assert stored.records == records and stored.provenance == provenance
    assert stored.where(seed=7) == records[1:]
    types = [record["scores"]["segment/type"] for record in records]
    assert stored.values("segment/type", variant="PLSIM").tolist() == types
    both = experiments.Stored("misalignment").class_differences("audio", "PLSIM", "PLSIM")
    assert all(each == (0, 0, 0) for each in both)


def test_draws_are_data_sets_of_their_own():
    book, other = experiments.drawn(experiments.BOOK), experiments.drawn(2)
    assert book.fingerprint() == simulate().fingerprint() != other.fingerprint()
    assert other.fingerprint() == simulate(SimulationConfig(seed=2)).fingerprint()


@pytest.mark.parametrize("redrawn", [True, False])
def test_each_seed_sees_a_draw_of_its_own_or_all_see_the_book_s(monkeypatch, redrawn):
    asked = []

    def train(variant, condition, draw, seeds):
        asked.append((variant, tuple(condition.values()), draw, tuple(seeds)))
        return [{"seed": seed} for seed in seeds]

    conditions = ({"misalignment": 0.0}, {"misalignment": 2.0})
    experiment = experiments.Experiment(("A", "B"), range(3, 5), conditions, redrawn)
    monkeypatch.setitem(experiments.EXPERIMENTS, "this", experiment)
    here = nullcontext(SimpleNamespace(map=map))
    monkeypatch.setattr(experiments, "ProcessPoolExecutor", lambda *_: here)
    monkeypatch.setattr(experiments, "trained", train)
    found = experiments.run("this")
    groups = [(3, (3,)), (4, (4,))] if redrawn else [(0, (3, 4))]
    assert sorted(asked) == sorted(
        (variant, (level,), *group) for variant in "AB" for level in (0.0, 2.0) for group in groups
    )
    assert len(found["records"]) == 8 and found["provenance"]["redrawn"] == redrawn


def test_strengths_are_products_for_the_modality_that_takes():
    named = {"alpha1": 2, "beta1": 3, "alpha2": 5, "beta2": 7}
    scalars = {f"tsam.interaction.{name}": value for name, value in named.items()} | {"mu": 11}
    found = experiments.strengths({"scalars": scalars})
    # f^ac = f^a + alpha2 ... (beta2 f^v): what audio takes from the picture.
    assert found == {"audio from visual": 35, "visual from audio": 6}


def test_a_name_that_is_none_is_refused(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["experiments.py", "nothing"])
    with pytest.raises(SystemExit):
        experiments.main()
    assert "there is no nothing; there are ablation" in capsys.readouterr().err


@pytest.mark.parametrize("name", STORED)
def test_what_is_stored_is_complete_and_small_and_says_where_it_comes_from(name):
    file = experiments.RESULTS / f"{name}.json"
    assert file.stat().st_size < 1_000_000
    experiment, stored = experiments.EXPERIMENTS[name], experiments.Stored(name)
    found = {
        (r["variant"], r["seed"], *(r[knob] for knob in experiment.conditions[0]))
        for r in stored.records
    }
    expected = {
        (variant, seed, *condition.values())
        for variant in experiment.variants
        for seed in experiment.seeds
        for condition in experiment.conditions
    }
    assert found == expected and len(stored.records) == len(expected)
    assert re.fullmatch("[0-9a-f]{40}", stored.provenance["commit"])
    now = json.loads(json.dumps(experiments.settings(simulate()).__dict__))
    assert stored.provenance["training"] == now
