import contextlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from link import training
from link.cli import app, main
from link.commands import options
from link.llp import read_llp
from link.metrics import SCORES
from link.presets import BOOK_TRAINING
from link.training import TrainingConfig

LLP = Path(__file__).parents[1].parent / "shared" / "llp"
needs_llp = pytest.mark.skipif(not LLP.exists(), reason=f"{LLP} is not at hand")
COMMANDS = ("simulate", "pack", "train", "evaluate", "ablate")


class Done(NamedTuple):
    stdout: str
    stderr: str


def call(*arguments, cwd=None, code=0) -> Done:
    """Run a command in this process, as `main` would in its own."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        patch.setattr("sys.argv", ["link-avvp", *map(str, arguments)])
        patch.setenv("COLUMNS", "200")
        patch.chdir(cwd or Path.cwd())
        with pytest.raises(SystemExit) as exit:
            main()
    done = Done(stdout.getvalue(), stderr.getvalue())
    assert (exit.value.code or 0) == code, done
    return done


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a small simulated store, a run trained on it, and an empty folder."""
    folder = tmp_path_factory.mktemp("commands")
    (folder / "empty").mkdir()
    call("simulate", "--out", "sim", "--train", 64, "--val", 20, "--test", 24, cwd=folder)
    call("train", "--data", "sim", "--out", "run", "--epochs", 2, cwd=folder)
    return folder


def test_help_shows_an_example():
    for command in COMMANDS:
        assert f"link-avvp {command}" in call(command, "--help").stdout


def test_help_does_not_import_torch():
    code = "import sys; sys.argv[1:] = ['train', '--help']\nfrom link.cli import app\n"
    code += "app(standalone_mode=False)\nassert 'torch' not in sys.modules\n"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_module_runs_as_the_command_does():
    done = subprocess.run([sys.executable, "-m", "link", "nothing"], capture_output=True)
    assert done.returncode == 2 and b"No such command" in done.stderr


def test_every_example_in_the_help_is_a_valid_call():
    """Parsed by the command line itself, up to the folders that it names."""
    for command in app.registered_commands:
        (example,) = re.findall(r"`link-avvp (.*?)`", command.epilog)
        name, *words = example.split()
        assert name == command.callback.__name__
        options = {word for word in words if word.startswith("--")}
        shown = call(name, "--help").stdout
        assert all(option in shown for option in options), example


def test_a_wrong_call_exits_with_2(place):
    for arguments in (
        [],
        ["unknown"],
        ["simulate"],
        ["simulate", "--out", "sim"],
        ["simulate", "--out", "new", "--misalignment", 3],
        ["pack", "nowhere", "--out", "new"],
        ["pack", "sim", "--out", "new"],
        ["train", "--data", "nowhere", "--out", "new"],
        ["train", "--data", "sim", "--out", "run"],
        ["train", "--data", "sim", "--out", "new", "--valor", "--plsim"],
        ["train", "--data", "sim", "--out", "new", "--no-s-loss", "--keep-weight"],
        ["evaluate", "run", "--data", "sim", "--split", "train"],
        ["ablate", "--data", "sim", "--out", "new", "--score", "segment/everything"],
    ):
        call(*arguments, cwd=place, code=2)
    assert not (place / "new").exists()


def sentence(done):
    """What a call said, whatever box it was put into."""
    return " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "--data", "nowhere", "--out", "new"], "--data: nowhere does not exist: name "),
        (
            ["train", "--data", "nowhere", "--out", "new"],
            "llp-sim, llp, the folder of a store",
        ),
        (["train", "--data", "file", "--out", "new"], "--data: file is a file: name llp-sim"),
        (["evaluate", "nothing"], "RUN: nothing does not exist: make a run with 'link-avvp train"),
        (["share", "nothing", "--out", "new"], "nothing does not exist: make a run with"),
        (["pack", "nothing", "--out", "new"], "FOLDER: nothing does not exist: name the folder"),
        (["label", "nothing", "--labels", "l", "--out", "new"], "make it with 'link-avvp extract"),
        (
            ["label", "empty", "--labels", "nope.csv", "--out", "new"],
            "--labels: nope.csv does",
        ),
        (["label", "empty", "--labels", "nope.csv", "--out", "new"], "columns video and labels,"),
        (["label", "empty", "--labels", "empty", "--out", "new"], "--labels: empty is a folder"),
        (
            ["label", "empty", "--labels", "file", "--events", "nope.csv", "--out", "new"],
            "--events: nope.csv does not exist: name a CSV file with the columns video, modality,",
        ),
        (
            ["label", "empty", "--labels", "file", "--captions", "nope.yaml", "--out", "new"],
            "--captions: nope.yaml does not exist: name a YAML file that holds the line",
        ),
        (["parse", "file", "--captions", "nope.yaml"], "--captions: nope.yaml does not exist"),
        (["simulate", "--out", "sim"], "sim is already there; name another, or give --overwrite"),
        (["pack", "empty", "--out", "sim"], "or give --overwrite to replace it"),
        (
            ["train", "--data", "sim", "--out", "run"],
            "run is already there; name another, or give --resume to go on with an interrupted",
        ),
        (["ablate", "--data", "sim", "--out", "run"], "name another, or give --resume to add"),
        (["train", "--out", "new", "--valor", "--plsim"], "leave out --plsim"),
        (["train", "--out", "new", "--valor", "--keep-weight"], "leave out --keep-weight"),
    ],
)
def test_a_wrong_call_is_told_its_remedy(place, arguments, said):
    (place / "file").touch()
    told = sentence(call(*arguments, cwd=place, code=2))
    assert said in told
    assert "--keep-weight" not in told or "--keep-weight" in arguments
    assert not (place / "new").exists()


def test_llp_before_its_download_names_the_command(place, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(place / "data home"))
    done = call("train", "--data", "llp", "--out", "new", cwd=place, code=1)
    assert "run 'link-avvp download llp' first" in done.stderr
    assert str(place / "data home") in done.stderr
    assert not (place / "new").exists()


@pytest.mark.parametrize("device", ["foo", "cuda:99", "meta"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--data", "sim", "--out", "new/run"],
        ["ablate", "--data", "sim", "--out", "new/results.json"],
        ["evaluate", "run", "--data", "sim"],
        ["download", "llp", "--out", "new/store"],
    ],
)
def test_a_device_that_is_not_there_is_told_before_anything_is_written(place, arguments, device):
    done = call(*arguments, "--device", device, cwd=place, code=1)
    assert f"link-avvp: device {device} cannot be used" in done.stderr
    assert done.stderr.strip().endswith("try cpu") and "\n" not in done.stderr.strip()
    assert not (place / "new").exists()


def test_a_training_that_fails_in_its_first_epoch_leaves_no_run(place, monkeypatch):
    arguments = ["train", "--data", "sim", "--out", "again", "--epochs", 1]
    with monkeypatch.context() as patch:
        patch.setattr(training, "evaluate", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            call(*arguments, cwd=place)
    assert not list((place / "again").iterdir())
    done = call(*arguments, cwd=place)
    assert "; 1 epoch on " in done.stderr
    assert json.loads((place / "again" / "run.json").read_text())["training"]["epochs"] == 1


@pytest.mark.parametrize(
    ("command", "out"),
    [("simulate", "file/x"), ("train", "file/x"), ("ablate", "file/x.json")],
)
def test_a_place_that_cannot_be_written_is_told_by_the_name_asked_for(place, command, out):
    (place / "file").touch()
    options = ["--train", 4, "--val", 4, "--test", 4] if command == "simulate" else []
    options = options or ["--data", "sim", "--epochs", 1]
    done = call(command, "--out", out, *options, cwd=place, code=1)
    told = done.stderr.strip().splitlines()[-1]
    assert told.startswith(f"link-avvp: {out} cannot be written (") and "name another" in told


def test_the_help_says_how_long_and_in_what_steps_is_trained_by_default():
    shown = " ".join(call("train", "--help").stdout.replace("│", " ").split())
    for name in ("epochs", "batch_size", "learning_rate"):
        book, real = BOOK_TRAINING[name], getattr(TrainingConfig(), name)
        assert f"by default {book:g} on simulated data, {real:g} on real data" in shown, name
    assert "order of the videos and dropout. [default: 0]" in shown


def test_one_is_not_plural():
    assert (options.count(1, "clip"), options.count(2, "clip")) == ("1 clip", "2 clips")


def test_failing_work_exits_with_1_in_one_sentence(place):
    done = call("train", "--data", "empty", "--out", "new", cwd=place, code=1)
    assert "AVVP_train.csv" in done.stderr
    assert not (place / "new").exists()
    done = call("evaluate", "empty", "--data", "sim", cwd=place, code=1)
    assert "run.json" in done.stderr


def test_json_is_all_that_goes_to_the_output(place):
    answer = json.loads(call("evaluate", "run", "--data", "sim", "--json", cwd=place).stdout)
    assert set(answer["scores"]) == set(SCORES)
    stored = json.loads((place / "run" / "scores.json").read_text())
    assert answer["scores"] == stored["test"]
    call("simulate", "--out", "sim2", "--train", 4, "--val", 4, "--test", 4, cwd=place)
    failed = call("train", "--data", "empty", "--out", "new", "--json", cwd=place, code=1)
    assert "AVVP_train.csv" in json.loads(failed.stdout)["error"]


def test_tables_say_that_data_are_simulated(place):
    assert "simulated data" in call("evaluate", "run", "--data", "sim", cwd=place).stdout


def test_an_ablation_goes_on_where_it_stopped(place):
    arguments = ["ablate", "--data", "sim", "--epochs", 1, "--seeds", 2, "--out", "results.json"]
    whole = json.loads(call(*arguments, "--json", cwd=place).stdout)
    assert len(whole["records"]) == 18 and whole["training"]["mode"] == "fast"
    # In the middle of a stack, so that the rest of it trains without the other.
    kept = {**whole, "records": whole["records"][:15]}
    (place / "results.json").write_text(json.dumps(kept))
    call(*arguments, cwd=place, code=2)
    again = json.loads(call(*arguments, "--resume", "--json", cwd=place).stdout)
    assert again["records"][:15] == kept["records"] and len(again["records"]) == 18
    for found, expected in zip(again["records"], whole["records"], strict=True):
        assert (found["variant"], found["seed"]) == (expected["variant"], expected["seed"])
        assert found["scores"] == pytest.approx(expected["scores"], abs=0.5)
    assert "no module" in call(*arguments, "--resume", cwd=place).stdout
    other = [*arguments[:3], "--epochs", 2, *arguments[5:], "--resume"]
    assert "other" in call(*other, cwd=place, code=1).stderr


def write_valor_folder(folder, videos, rng):
    for kind, shape in {
        "CLIP/features": (10, 768),
        "CLAP/features": (64, 768),
        "feats/r2plus1d_18": (10, 512),
    }.items():
        (folder / kind).mkdir(parents=True)
        for name in videos:
            array = rng.standard_normal(shape).astype(np.float32)
            np.save(folder / kind / f"{name[:11]}.npy", array)
    for kind in ("CLIP", "CLAP"):
        (folder / kind / "segment_pseudo_labels").mkdir(parents=True)
        for name, weak in videos.items():
            labels = (rng.random((10, 25)) < 0.5).astype(np.int64) * weak
            np.save(folder / kind / "segment_pseudo_labels" / f"{name[:11]}.npy", labels)


@needs_llp
def test_random_features_of_real_videos_train_and_evaluate(tmp_path):
    llp = read_llp(LLP)
    videos = {}
    for split, count in ((llp.train, 8), (llp.val, 4), (llp.test, 4)):
        videos |= dict(zip(split.names[:count], split.weak[:count], strict=True))
    write_valor_folder(tmp_path / "valor", videos, np.random.default_rng(0))
    arguments = ["train", "--data", "valor", "--annotations", LLP, "--out", "run", "--epochs", 1]
    done = call(*arguments, "--json", cwd=tmp_path, code=1)
    assert "missing" in json.loads(done.stdout)["error"]
    assert len(json.loads(done.stdout)["problems"]) > 10_000
    assert not (tmp_path / "run").exists()
    done = call(*arguments, "--skip-bad", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["simulated"] is False
    assert "PLSIM is off" in done.stderr
    pack = ["pack", "valor", "--annotations", LLP, "--skip-bad", "--out", "store", "--json"]
    packed = json.loads(call(*pack, cwd=tmp_path).stdout)
    assert packed["videos"] == {"train": 8, "val": 4, "test": 4}
    ablation = ["ablate", "--data", "store", "--out", "results.json", "--seeds", 2, "--epochs", 1]
    records = json.loads(call(*ablation, "--json", cwd=tmp_path).stdout)["records"]
    assert len(records) == 10 and not any("PLSIM" in record["variant"] for record in records)
    call("train", "--data", "store", "--out", "run2", "--epochs", 1, "--valor", cwd=tmp_path)
    run = json.loads((tmp_path / "run2" / "run.json").read_text())
    assert run["data"]["fingerprint"] == packed["fingerprint"]
    assert not any(run["model"][module] for module in ("tsam", "s_loss", "plsim"))
