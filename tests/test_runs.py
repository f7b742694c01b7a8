"""A run folder says what was done, goes on where it stopped, and is never half written."""

import json
import pickle
import shutil
import sys
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pytest
import safetensors.torch
import torch
from tiny import TRAINING, tiny_dataset, tiny_network

import link.runs as runs
from link.errors import LinkError
from link.files import write_whole
from link.inference import predict
from link.runs import RunError, RunFolder, load_run, write_json
from link.training import fit, random_states, set_random_states

DATASET, NETWORK = tiny_dataset(), tiny_network()
FINISHED = {"run.json", "history.json", "model.safetensors", "scores.json"}
INTERRUPTED = {"run.json", "history.json", "checkpoint.pt"}


class Stop(Exception):
    """What interrupts a training here."""


def train(path, resume=False, stop_after=None, dataset=DATASET, network=NETWORK, config=TRAINING):
    """Train into a folder, or until ``stop_after`` epochs; returns what `fit` returns, or None."""

    def on_epoch(record):
        if record["epoch"] == stop_after:
            raise Stop

    folder = RunFolder(path, dataset, network, config, resume)
    try:
        return fit(dataset, network, config, folder, on_epoch)
    except Stop:
        return None


def files(path):
    return {file.name for file in path.iterdir()}


def timeless(history):
    return [{**record, "seconds": None} for record in history]


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An undisturbed run: its folder, and what `fit` returned."""
    path = tmp_path_factory.mktemp("runs") / "deep" / "whole"
    return path, train(path)


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A run interrupted after its second epoch."""
    path = tmp_path_factory.mktemp("runs") / "half"
    train(path, stop_after=2)
    return path


@pytest.fixture
def broken(whole, tmp_path):
    """A copy of the finished run's folder, to be spoiled."""
    for name in FINISHED:
        (tmp_path / name).write_bytes((whole[0] / name).read_bytes())
    return tmp_path


# ---- what it says ----


def test_run_json_says_everything_needed_to_repeat_the_run(whole):
    path, _ = whole
    run = read(path / "run.json")
    assert run["model"] == asdict(NETWORK)
    assert run["training"] == asdict(TRAINING) and run["training"]["seed"] == 3
    assert run["data"]["fingerprint"] == DATASET.fingerprint()
    assert run["data"]["name"] == "llp-sim" and run["data"]["simulated"] is True
    assert run["data"]["classes"] == list(DATASET.classes)
    assert run["data"]["videos"] == {"train": 24, "val": 10, "test": 12}
    assert run["data"]["provenance"] == DATASET.provenance
    assert run["versions"]["torch"] == torch.__version__
    assert run["versions"]["numpy"] == np.__version__
    assert run["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert run["versions"]["link"] == runs.link.__version__
    assert run["versions"]["processor"].startswith("1 threads, ")


def test_a_finished_run_holds_the_result_and_no_checkpoint(whole):
    path, fitted = whole
    assert files(path) == FINISHED
    assert read(path / "history.json") == fitted.history
    assert read(path / "scores.json") == {"best_epoch": fitted.best_epoch, **fitted.scores}
    weights = safetensors.torch.load_file(path / "model.safetensors")
    assert weights.keys() == fitted.model.state_dict().keys()
    assert all(torch.equal(weights[n], w) for n, w in fitted.model.state_dict().items())


def test_its_files_are_as_readable_as_its_folder(whole):
    path, _ = whole
    for name in FINISHED:
        assert (path / name).stat().st_mode & 0o777 == path.stat().st_mode & 0o666


def test_keeping_a_run_changes_nothing_in_it(whole):
    _, fitted = whole
    assert timeless(fit(DATASET, NETWORK, TRAINING).history) == timeless(fitted.history)


def test_a_loaded_run_predicts_what_was_trained(whole):
    path, fitted = whole
    model, run = load_run(str(path))
    assert run == read(path / "run.json")
    assert not model.training
    for one, other in zip(
        predict(model, DATASET.test), predict(fitted.model, DATASET.test), strict=True
    ):
        assert np.array_equal(one, other)


# ---- going on ----


@pytest.mark.parametrize("epoch", [1, 2, 3, 4])
def test_a_resumed_run_ends_as_if_it_had_never_stopped(whole, tmp_path, epoch):
    expected_path, expected = whole
    assert train(tmp_path, stop_after=epoch) is None
    assert files(tmp_path) == INTERRUPTED
    assert len(read(tmp_path / "history.json")) == epoch
    started = read(tmp_path / "run.json")
    torch.rand(7)
    resumed = train(tmp_path, resume=True)
    assert timeless(resumed.history) == timeless(expected.history)
    assert (resumed.best_epoch, resumed.scores) == (expected.best_epoch, expected.scores)
    assert files(tmp_path) == FINISHED
    for name in ("model.safetensors", "scores.json"):
        assert (tmp_path / name).read_bytes() == (expected_path / name).read_bytes()
    assert read(tmp_path / "history.json") == resumed.history
    assert read(tmp_path / "run.json") == started


def test_a_run_on_the_processor_leaves_the_gpu_alone(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for name in ("get_rng_state", "set_rng_state"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: pytest.fail("the GPU was asked"))
    order = torch.Generator()
    set_random_states(order, random_states(order, "cpu"), "cpu")


def test_the_random_state_is_that_of_the_gpu_in_use(monkeypatch):
    """With two GPUs, of which training is on the second."""
    states = {"cuda:0": torch.tensor([0]), "cuda:1": torch.tensor([1])}
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device="cuda:0": states[device])
    monkeypatch.setattr(
        torch.cuda, "set_rng_state", lambda state, device="cuda:0": states.update({device: state})
    )
    kept = random_states(torch.Generator(), "cuda:1")
    states["cuda:1"] = torch.tensor([9])
    set_random_states(torch.Generator(), kept, "cuda:1")
    assert states == {"cuda:0": torch.tensor([0]), "cuda:1": torch.tensor([1])}


def test_a_run_stopped_before_its_first_epoch_starts_again(whole, tmp_path):
    RunFolder(tmp_path / "run", DATASET, NETWORK, TRAINING)
    for resume in (True, False):
        assert not files(tmp_path / "run")
        assert train(tmp_path / "run", resume, stop_after=1) is None
        assert files(tmp_path / "run") == INTERRUPTED
        shutil.rmtree(tmp_path / "run")
        RunFolder(tmp_path / "run", DATASET, NETWORK, TRAINING, resume)
    assert train(tmp_path / "run").scores == whole[1].scores


def test_resuming_where_nothing_is_starts_a_run(whole, tmp_path):
    assert train(tmp_path / "new", resume=True).scores == whole[1].scores


@pytest.mark.parametrize("name", ["history.json", "checkpoint.pt"])
@pytest.mark.parametrize("epoch", [2, 4])
def test_a_run_stopped_while_it_keeps_an_epoch_can_go_on(
    whole, tmp_path, monkeypatch, name, epoch
):
    written = []

    def stopping(path, write):
        if path.name == name and written.count(name) == epoch - 1:
            raise Stop
        written.append(path.name)
        write_whole(path, write)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "write_whole", stopping)
        assert train(tmp_path) is None
    resumed = train(tmp_path, resume=True)
    assert resumed.scores == whole[1].scores
    assert timeless(read(tmp_path / "history.json")) == timeless(whole[1].history)


@pytest.mark.parametrize("name", ["model.safetensors", "scores.json"])
def test_a_run_stopped_while_it_keeps_its_result_can_go_on(whole, tmp_path, monkeypatch, name):
    def stopping(path, write):
        if path.name == name:
            raise Stop
        write_whole(path, write)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "write_whole", stopping)
        assert train(tmp_path) is None
    assert train(tmp_path, resume=True).scores == whole[1].scores
    assert files(tmp_path) == FINISHED


# ---- what it refuses ----


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(RunError, match="is not empty; name another folder, or resume"):
        train(tmp_path)
    with pytest.raises(RunError, match=r"is no run folder \(no run.json\)"):
        train(tmp_path, resume=True)
    assert files(tmp_path) == {"precious.txt"}


def test_a_place_that_cannot_be_written_is_known_before_the_training(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LinkError, match=r"file/run cannot be written \(Not a directory\): make"):
        RunFolder(tmp_path / "file" / "run", DATASET, NETWORK, TRAINING)


@pytest.mark.parametrize("resume", [False, True])
def test_a_file_in_its_place_is_refused(tmp_path, resume):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(RunError, match="run is a file; name a folder"):
        train(tmp_path / "run", resume)


OTHER_SETTINGS = [
    ({"config": replace(TRAINING, epochs=5)}, "training epochs=4, not 5"),
    ({"config": replace(TRAINING, seed=4)}, "training seed=3, not 4"),
    ({"config": replace(TRAINING, device="cuda")}, "training device='cpu', not 'cuda'"),
    ({"network": replace(NETWORK, tsam=False)}, "model tsam=True, not False"),
    ({"network": replace(NETWORK, hidden=16)}, "model hidden=8, not 16"),
    ({"dataset": replace(DATASET, train=DATASET.val)}, "data fingerprint="),
    ({"dataset": replace(DATASET, name="other")}, "data name='llp-sim', not 'other'"),
]


@pytest.mark.parametrize(("changes", "message"), OTHER_SETTINGS)
def test_a_run_of_other_settings_or_data_is_not_resumed(half, changes, message):
    before = {name: (half / name).read_bytes() for name in files(half)}
    with pytest.raises(RunError) as caught:
        train(half, resume=True, **changes)
    assert message in str(caught.value) and str(half) in str(caught.value)
    assert {name: (half / name).read_bytes() for name in files(half)} == before


def test_settings_that_json_knows_by_other_types_are_the_same(tmp_path):
    dataset = replace(DATASET, provenance={"sizes": (1, 2)})
    train(tmp_path, stop_after=1, dataset=dataset)
    assert train(tmp_path, resume=True, dataset=dataset)


def test_a_finished_run_is_not_resumed(whole):
    with pytest.raises(RunError, match="holds a finished run; name another folder"):
        train(whole[0], resume=True)


class Evil:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("save", [torch.save, partial(pickle.dump, protocol=2)])
def test_a_checkpoint_that_is_code_is_not_run(half, tmp_path, save):
    run = tmp_path / "run"
    shutil.copytree(half, run)
    with (run / "checkpoint.pt").open("wb") as file:
        save({"history": [], "weights": Evil(tmp_path / "hacked")}, file)
    with pytest.raises(RunError, match=r"checkpoint.pt is damaged, or no checkpoint; remove it"):
        train(run, resume=True)
    assert not (tmp_path / "hacked").exists()


def test_a_damaged_checkpoint_can_be_removed_and_the_run_begins_again(half, whole, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(half, run)
    content = (run / "checkpoint.pt").read_bytes()
    (run / "checkpoint.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(RunError, match=r"checkpoint.pt is damaged"):
        train(run, resume=True)
    (run / "checkpoint.pt").unlink()
    assert train(run, resume=True).scores == whole[1].scores


def test_without_safetensors_no_run_begins(tmp_path, whole, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(RunError, match=r"needs safetensors: pip install -e '\.\[cli\]'"):
        train(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(RunError, match=r"needs safetensors"):
        load_run(whole[0])


# ---- what cannot be loaded ----


def spoil_run_json(change):
    def spoil(path):
        run = read(path / "run.json")
        change(run)
        (path / "run.json").write_text(json.dumps(run))

    return spoil


def halve(name):
    def spoil(path):
        content = (path / name).read_bytes()
        (path / name).write_bytes(content[: len(content) // 2])

    return spoil


SPOILT = {
    "no run.json": (lambda path: (path / "run.json").unlink(), r"no run folder \(no run.json\)"),
    "half a run.json": (halve("run.json"), r"run.json is damaged \(.*copy the whole run"),
    "a list": (lambda path: (path / "run.json").write_text("[1]"), r"run.json does not describe"),
    "no model": (spoil_run_json(lambda run: run.pop("model")), r"run.json does not describe"),
    "no weights": (
        lambda path: (path / "model.safetensors").unlink(),
        r"holds an unfinished run \(no model.safetensors\); resume it",
    ),
    "half the weights": (
        halve("model.safetensors"),
        r"model.safetensors is damaged, .*: copy the whole run again, or train again",
    ),
    "other sizes": (
        spoil_run_json(lambda run: run["model"].update(hidden=16)),
        r"model.safetensors is .* does not fit run.json",
    ),
    "another module": (
        spoil_run_json(lambda run: run["model"].update(tsam=False)),
        r"model.safetensors is .* does not fit run.json",
    ),
    "an unknown setting": (
        spoil_run_json(lambda run: run["model"].update(wings=2)),
        r"model.safetensors is .* does not fit run.json \(.*wings",
    ),
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_a_spoilt_run_is_refused_with_the_file_at_fault(broken, spoilt):
    spoil, message = SPOILT[spoilt]
    spoil(broken)
    with pytest.raises(RunError, match=message) as caught:
        load_run(broken)
    assert str(broken) in str(caught.value)


@pytest.mark.parametrize("what", ["nowhere", "a file"])
def test_what_is_no_folder_holds_no_run(tmp_path, what):
    if what == "a file":
        (tmp_path / what).write_text("mine")
    with pytest.raises(RunError, match=what):
        load_run(tmp_path / what)


# ---- writing ----


def test_json_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file.json"
    write_json(path, {"a": [1, "\u00e9"]})
    with pytest.raises(TypeError):
        write_json(path, {"a": 1, "b": object()})
    assert read(path) == {"a": [1, "\u00e9"]} and files(tmp_path) == {"file.json"}
