"""The book takes its data from where LINK_DATASET says, at sizes that fit the data."""

import os
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
import torch
from tiny import tiny_dataset

from link.dataset import FeatureError
from link.features import write_store
from link.model import LinkConfig
from link.presets import BOOK_NETWORK, BOOK_TRAINING
from link.simulation import simulate
from link.training import TrainingConfig, fit, learning_rate

ROOT = Path(__file__).parents[1]


@pytest.fixture
def notebook():
    """The module; what its import says to the environment stays here."""
    threads = torch.get_num_threads()
    with mock.patch.dict(os.environ):
        import link.notebook

        yield link.notebook
    torch.set_num_threads(threads)


@pytest.fixture
def store(tmp_path):
    return write_store(tmp_path / "link-avvp" / "llp", replace(tiny_dataset(), name="mine"))


@pytest.mark.parametrize("value", [None, "", "llp-sim"])
def test_the_book_is_simulated_unless_told_otherwise(notebook, value):
    if value is None:
        os.environ.pop("LINK_DATASET", None)
    else:
        os.environ["LINK_DATASET"] = value
    dataset = notebook.chapter_dataset()
    assert dataset.simulated and dataset.fingerprint() == simulate().fingerprint()


def test_a_path_is_the_store_that_is_there(notebook, store):
    os.environ["LINK_DATASET"] = str(store)
    dataset = notebook.chapter_dataset()
    assert dataset.name == "mine" and dataset.fingerprint() == tiny_dataset().fingerprint()


@pytest.mark.parametrize(
    "missing", [("audio_prior",), ("visual_prior",), ("audio_text",), ("visual_text",)]
)
def test_a_chapter_on_priors_falls_back_on_simulated_data_and_says_so(
    notebook, tmp_path, capsys, missing
):
    whole = replace(tiny_dataset(), name="mine", simulated=False)
    lacking = {name: None for name in missing}
    if "prior" in missing[0]:
        lacking = {n: replace(split, **lacking) for n, split in whole.splits().items()}
    path = write_store(tmp_path / "bare", replace(whole, **lacking))
    os.environ["LINK_DATASET"] = str(path)
    assert notebook.chapter_dataset().name == "mine"
    assert not capsys.readouterr().out
    dataset = notebook.chapter_dataset(priors=True)
    assert dataset.name == "llp-sim" and dataset.simulated
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and said.count(".") == 1 + str(path).count(".")
    for part in ("llp-sim (simulated)", str(path), "link-avvp pack --priors"):
        assert part in said


def test_a_chapter_on_priors_takes_what_has_them_without_a_word(notebook, store, capsys):
    os.environ["LINK_DATASET"] = str(store)
    assert notebook.chapter_dataset(priors=True).name == "mine"
    del os.environ["LINK_DATASET"]
    assert notebook.chapter_dataset(priors=True).simulated
    assert not capsys.readouterr().out


def test_a_path_may_begin_at_home(notebook, store):
    os.environ["HOME"] = os.environ["USERPROFILE"] = str(store.parent)
    os.environ["LINK_DATASET"] = "~/llp"
    assert notebook.chapter_dataset().name == "mine"


def test_llp_is_the_store_at_its_usual_place(notebook, store, monkeypatch):
    os.environ["LINK_DATASET"] = "llp"
    monkeypatch.setattr("platformdirs.user_data_path", lambda name: store.parents[1] / name)
    assert notebook.chapter_dataset().name == "mine"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("llp", "is not there yet: run 'link-avvp download llp' first"),
        ("no-such-store", "is no folder; name llp-sim, llp, the folder of a store"),
    ],
)
def test_a_store_that_is_not_there_is_named(notebook, tmp_path, monkeypatch, value, said):
    os.environ["LINK_DATASET"] = value if value == "llp" else str(tmp_path / value)
    monkeypatch.setattr("platformdirs.user_data_path", lambda name: tmp_path / name)
    with pytest.raises(FeatureError, match=rf"{tmp_path}.*{value} {said}"):
        notebook.chapter_dataset()


def test_simulated_data_has_the_books_sizes_and_anything_real_has_valors(notebook, monkeypatch):
    simulated = tiny_dataset()
    real = replace(simulated, simulated=False)
    widths = {"audio_dim": 9, "visual_dim": 8, "motion_dim": 7}
    assert notebook.chapter_network(simulated) == LinkConfig(**widths, **BOOK_NETWORK)
    assert notebook.chapter_network(real) == LinkConfig(**widths)
    assert notebook.chapter_network(simulated, hidden=12, tsam=False) == LinkConfig(
        **{**widths, **BOOK_NETWORK, "hidden": 12}, tsam=False
    )
    assert notebook.chapter_training(simulated, seed=2) == TrainingConfig(**BOOK_TRAINING, seed=2)
    assert notebook.chapter_training(real, epochs=3, device="cpu") == TrainingConfig(
        epochs=3, mode="fast"
    )
    for available, device in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda available=available: available)
        assert notebook.chapter_training(real).device == device
        assert notebook.chapter_training(simulated).device == "cpu"


def test_the_books_schedule_warms_up_and_comes_to_its_end(notebook):
    config = notebook.chapter_training(tiny_dataset())
    rates = [learning_rate(epoch, config) for epoch in range(1, config.epochs + 1)]
    assert max(rates) == config.learning_rate
    assert rates[-1] == pytest.approx(config.final_learning_rate)


def test_source_shows_the_code(notebook):
    shown = notebook.source(fit).data
    assert shown.startswith("```python\ndef fit(") and shown.endswith("\n```")


@pytest.mark.parametrize(
    ("given", "kept"),
    [({}, ("1", "COMPATIBLE")), ({"OMP_NUM_THREADS": "2", "MKL_CBWR": "AVX2"}, ("2", "AVX2"))],
)
def test_chapters_hold_the_machine_to_what_all_have_and_one_thread(given, kept):
    code = (
        "import link.notebook, os, torch\n"
        "link.notebook.chapter_dataset()\n"
        "print(os.environ['OMP_NUM_THREADS'], torch.get_num_threads(), os.environ['MKL_CBWR'])\n"
        "print(torch.backends.cpu.get_cpu_capability())\n"
    )
    set_here = ("OMP_NUM_THREADS", "MKL_CBWR", "LINK_DATASET")
    free = {name: value for name, value in os.environ.items() if name not in set_here}
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**free, **given},
        capture_output=True,
        text=True,
        check=True,
    )
    variable, threads, mkl, capability = result.stdout.split()
    # What the caller has set is left alone, but for the threads of what runs here.
    assert (variable, mkl) == kept and threads == "1"
    if platform.machine() in ("x86_64", "AMD64"):
        assert capability in ("AVX2", "DEFAULT")
