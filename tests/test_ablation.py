"""The ablation trains the right networks, whatever the jobs, and compares them seed by seed."""

import itertools
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tiny import TRAINING, tiny_dataset, tiny_network

import link.ablation as ablation
from link.ablation import (
    Interval,
    Record,
    ResultsFile,
    differences,
    interval,
    module_effects,
    run_ablation,
    score_intervals,
    variants,
)
from link.metrics import SCORES
from link.model import LinkConfig
from link.runs import RunError
from link.training import TrainingError, fit

DATASET, NETWORK = tiny_dataset(), tiny_network()
SHORT = replace(TRAINING, epochs=1)

#: Every variant with its switches: TSAM, S-LOSS, PLSIM, the uni-modal terms.
SWITCHES = {
    "VALOR++": (False, False, False, False),
    "no module": (False, False, False, True),
    "TSAM": (True, False, False, True),
    "S-LOSS": (False, True, False, True),
    "PLSIM": (False, False, True, True),
    "TSAM + S-LOSS": (True, True, False, True),
    "TSAM + PLSIM": (True, False, True, True),
    "S-LOSS + PLSIM": (False, True, True, True),
    "TSAM + S-LOSS + PLSIM": (True, True, True, True),
}


def switches(config):
    return config.tsam, config.s_loss, config.plsim, config.unimodal_terms


def records(scores, name="segment/type"):
    """Made-up records from scores by variant and seed."""
    return [
        Record(variant, seed, {name: score}, 1)
        for variant, by_seed in scores.items()
        for seed, score in by_seed.items()
    ]


@pytest.fixture
def no_training(monkeypatch):
    """In the place of training, a note of what was asked for and with how many threads."""
    asked = []

    def note(dataset, config, training):
        asked.append((switches(config), training.seed, torch.get_num_threads()))
        scores = {"segment/type": float(100 * training.seed + sum(switches(config)))}
        return SimpleNamespace(scores={"val": {}, "test": scores}, best_epoch=training.seed)

    monkeypatch.setattr(ablation, "fit", note)
    return asked


# ---- what is trained ----


def test_the_variants_are_valor_and_the_eight_combinations():
    for config in (NETWORK, replace(NETWORK, tsam=False), replace(NETWORK, keep_weight=True)):
        found = variants(config)
        assert {name: switches(variant) for name, variant in found.items()} == SWITCHES
        assert list(found) == list(SWITCHES)
        for name, variant in found.items():
            assert variant.keep_weight == (config.keep_weight and name != "VALOR++")
            same = dict.fromkeys(("tsam", "s_loss", "plsim", "unimodal_terms"), True)
            same["keep_weight"] = False
            assert replace(variant, **same) == replace(config, **same)


def test_without_plsim_there_are_the_four_combinations_of_the_others():
    found = variants(LinkConfig.valor(hidden=24))
    four = {name: on for name, on in SWITCHES.items() if "PLSIM" not in name}
    assert {name: switches(variant) for name, variant in found.items()} == four
    assert len(four) == 5


def test_every_variant_is_trained_from_every_seed_in_order(no_training):
    seen = []
    found = run_ablation(DATASET, NETWORK, TRAINING, (4, 2), on_record=seen.append)
    expected = list(itertools.product(SWITCHES, (4, 2)))
    assert [(record.variant, record.seed) for record in found] == expected
    assert seen == found
    assert [asked[:2] for asked in no_training] == [(SWITCHES[v], s) for v, s in expected]
    for record in found:
        score = 100 * record.seed + sum(SWITCHES[record.variant])
        assert record.scores == {"segment/type": score}
        assert record.best_epoch == record.seed


def test_what_is_done_is_not_trained_again(no_training):
    first = run_ablation(DATASET, NETWORK, TRAINING, (0, 1))
    kept = [replace(record, best_epoch=77) for record in first[3:]]
    no_training.clear()
    again = run_ablation(DATASET, NETWORK, TRAINING, (0, 1), done=kept)
    assert [asked[:2] for asked in no_training] == [
        (SWITCHES[record.variant], record.seed) for record in first[:3]
    ]
    assert again == first[:3] + kept


def test_one_job_trains_on_one_thread_as_workers_do(no_training):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        outside = []
        run_ablation(
            DATASET,
            NETWORK,
            TRAINING,
            (0,),
            on_record=lambda _: outside.append(torch.get_num_threads()),
        )
        assert {threads for *_, threads in no_training} == {1}
        assert {*outside, torch.get_num_threads()} == {2}
        ablation._start_worker(DATASET)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_an_ablation_that_is_complete_needs_no_job():
    done = run_ablation(DATASET, NETWORK, SHORT, (0,))
    seen = []
    again = run_ablation(DATASET, NETWORK, SHORT, (0,), 2, seen.append, done)
    assert (again, seen) == (done, [])


def test_jobs_change_nothing():
    alone = run_ablation(DATASET, NETWORK, SHORT, (0,), jobs=1)
    seen = []
    together = run_ablation(DATASET, NETWORK, SHORT, (0,), jobs=2, on_record=seen.append)
    assert alone == together == seen
    assert all(tuple(record.scores) == SCORES for record in alone)
    # A variant is what `fit` makes of it.
    scores = fit(DATASET, variants(NETWORK)["TSAM"], replace(SHORT, seed=0)).scores["test"]
    assert alone[2].variant == "TSAM" and alone[2].scores == scores


def test_what_cannot_be_trained_is_refused_before_anything_is(no_training):
    with pytest.raises(TrainingError, match="PLSIM reads"):
        run_ablation(replace(DATASET, audio_text=None), NETWORK, TRAINING, (0, 1))
    assert not no_training


# ---- intervals ----


@settings(deadline=None)
@given(
    values=st.lists(st.floats(-100, 100), min_size=2, max_size=8),
    level=st.floats(0.5, 0.99),
)
def test_the_interval_is_students(values, level):
    mean, low, high = interval(values, level)
    assert mean == pytest.approx(sum(values) / len(values), abs=1e-9)
    if np.ptp(values) > 1e-6:
        expected = stats.t.interval(level, len(values) - 1, np.mean(values), stats.sem(values))
        assert (low, high) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_one_value_has_no_interval():
    with pytest.raises(ValueError, match="needs two seeds or more"):
        interval([60.0])


def test_score_intervals_are_those_of_each_variants_scores():
    made = records({"A": {0: 60.0, 1: 62.0}, "B": {0: 1.0, 1: 3.0, 2: 5.0}}, "event/audio")
    assert score_intervals(made, "event/audio", 0.9) == {
        "A": interval([60, 62], 0.9),
        "B": interval([1, 3, 5], 0.9),
    }


def test_differences_are_paired_by_seed():
    made = records(
        {
            "no module": {0: 60.0, 1: 72.0, 2: 81.0},
            # Seed by seed +1, +2, 0; the mean is 1, the deviation 1.
            "TSAM": {2: 81.0, 0: 61.0, 1: 74.0},
            "PLSIM": {1: 71.5, 2: 80.5, 0: 59.5},
        }
    )
    found = differences(made, "segment/type")
    assert list(found) == ["TSAM", "PLSIM"]
    # Student's t of two degrees of freedom is 4.302653 at 97.5%, and sqrt(3) is 1.732051.
    reach = 4.302653 / 1.732051
    assert found["TSAM"] == pytest.approx((1, 1 - reach, 1 + reach), abs=1e-5)
    assert found["PLSIM"] == pytest.approx((-0.5, -0.5, -0.5))
    assert differences(made, "segment/type", "TSAM")["no module"].mean == pytest.approx(-1)
    # Of two degrees at 90%: 2.919986.
    narrow = differences(made, "segment/type", level=0.9)["TSAM"]
    assert narrow.high == pytest.approx(1 + 2.919986 / 1.732051, abs=1e-5)


def test_a_modules_effect_is_averaged_over_the_others_and_then_over_seeds():
    scores = {}
    for name, (tsam, s_loss, plsim, _) in SWITCHES.items():
        # TSAM is worth 3, and 4 more with PLSIM; each seed adds to everything, and to TSAM.
        worth = 3 * tsam + 1 * s_loss - 2 * plsim + 4 * tsam * plsim
        scores[name] = {seed: 50 + 10 * seed + worth + tsam * seed for seed in (0, 1, 2)}
    scores["VALOR++"] = {0: 0.0, 1: 0.0, 2: 0.0}
    found = module_effects(records(scores), "segment/type")
    assert list(found) == ["TSAM", "S-LOSS", "PLSIM"]
    # By seed 3 + 4 / 2 + seed: 5, 6, 7.
    reach = 4.302653 / 1.732051
    assert found["TSAM"] == pytest.approx((6, 6 - reach, 6 + reach), abs=1e-5)
    assert found["S-LOSS"] == pytest.approx((1, 1, 1))
    assert found["PLSIM"] == pytest.approx((0, 0, 0), abs=1e-9)


@pytest.mark.parametrize(
    ("low", "high", "excludes"),
    [(0.1, 2.0, True), (-2.0, -0.1, True), (-0.1, 2.0, False), (0.0, 1.0, False)],
)
def test_an_interval_says_whether_it_leaves_the_sign_open(low, high, excludes):
    found = Interval((low + high) / 2, low, high)
    assert found.excludes_zero == excludes
    assert ("excludes zero" in found.verdict()) == excludes
    assert str(Interval(1.23, 0.26, 2.71)) == "+1.2 [+0.3, +2.7]"


# ---- the file ----


@pytest.fixture
def results(tmp_path):
    """Opens the results of an ablation of the tiny data, where a test may change something."""

    def opened(dataset=DATASET, config=NETWORK, training=TRAINING):
        return ResultsFile(tmp_path / "new" / "results.json", dataset, config, training)

    return opened


RECORDS = records({"TSAM": {0: 61.5, 1: 62.0}})


def test_results_grow_and_can_be_taken_up_again(results):
    first = results()
    # A first training that fails leaves no results, which the next call would refuse to replace.
    assert first.path.parent.is_dir() and not list(first.path.parent.iterdir())
    for count, record in enumerate(RECORDS, start=1):
        first.add(record)
        assert first.records == results().records == RECORDS[:count]
    # Every seed is part of the ablation, so none of them tells two ablations apart.
    later = results(training=replace(TRAINING, seed=9))
    later.add(replace(RECORDS[0], seed=7))
    assert [record.seed for record in results().records] == [0, 1, 7]
    content = json.loads(first.path.read_text())
    assert content["data"]["fingerprint"] == DATASET.fingerprint()
    assert content["model"]["hidden"] == 8 and content["training"]["epochs"] == 4
    assert "torch" in content["versions"]


def test_settings_that_json_knows_by_other_types_are_the_same(results):
    results(dataset=replace(DATASET, provenance={"sizes": (1, 2)})).add(RECORDS[0])
    again = results(dataset=replace(DATASET, provenance={"sizes": (1, 2)}))
    assert again.records == RECORDS[:1]


OTHERS = [
    {"dataset": replace(DATASET, train=DATASET.val)},
    {"config": replace(NETWORK, hidden=16)},
    {"training": replace(TRAINING, epochs=5)},
]


@pytest.mark.parametrize("other", OTHERS)
def test_results_of_another_ablation_are_refused(results, other):
    results().add(RECORDS[0])
    with pytest.raises(RunError, match=r"results.json is an ablation of other data, sizes"):
        results(**other)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model": 1', '{"records": [1]}'])
def test_a_file_that_holds_no_ablation_is_refused(results, content):
    path = results().path
    path.write_text(content)
    with pytest.raises(RunError, match=r"results.json holds no ablation"):
        results()
    assert path.read_text() == content
