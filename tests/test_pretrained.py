"""A shared network comes back as it was, from a folder, a run or the hub, or says why not."""

import json
import os
import pickle
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from finished_runs import (
    CAPTIONS,
    DATASET,
    ENCODERS,
    FIGURES,
    about_of,
    finished_real_run,
    finished_run,
)
from mini_hub import REVISION, use_mini_hub
from tiny import TRAINING

from link.captions import Captions
from link.errors import LinkError
from link.events import CLASSES
from link.inference import batches
from link.model import LINK, LinkConfig
from link.pretrained import PretrainedError, about_run, load, save
from link.runs import RunError
from link.weights import EncoderError

FILES = {"config.json", "model.safetensors", "README.md"}

needs_hub = pytest.mark.skipif(
    find_spec("huggingface_hub") is None, reason="the extra 'encoders' is not installed"
)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A finished run on simulated data: its folder, and its network."""
    return finished_run(tmp_path_factory.mktemp("runs") / "simulated")


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """One that says of its data that encoders made them."""
    return finished_real_run(tmp_path_factory.mktemp("runs") / "real")


@pytest.fixture
def shared(real, tmp_path):
    """A shared model, to be spoiled."""
    network, about = load(real[0])
    network.save_pretrained(tmp_path / "shared", about)
    return tmp_path / "shared"


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def rewritten(path, change):
    content = read(path)
    change(content)
    path.write_text(json.dumps(content))


def names(folder):
    return {file.name for file in folder.iterdir()}


def sentence(error):
    text = str(error.value)
    assert "\n" not in text
    return text


# ---- there and back ----


def assert_the_same(network, expected, data=DATASET.test):
    assert not network.training
    assert network.config == expected.config
    weights = network.state_dict()
    assert weights.keys() == expected.state_dict().keys()
    assert all(torch.equal(weights[name], w) for name, w in expected.state_dict().items())
    (batch,) = batches(data, len(data), "cpu")
    for one, other in zip(network(*batch.inputs), expected(*batch.inputs), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("which", ["simulated", "real"])
def test_a_shared_network_computes_what_the_trained_one_does(which, request, tmp_path):
    run, trained = request.getfixturevalue(which)
    trained.save_pretrained(tmp_path / "new" / "shared", about_run(run))
    assert names(tmp_path / "new" / "shared") == FILES
    network = LINK.from_pretrained(str(tmp_path / "new" / "shared"))
    assert_the_same(network, trained)
    assert json.dumps(network.about.to_json()) == json.dumps(about_run(run).to_json())


@pytest.mark.parametrize("part", ["tsam", "s_loss", "plsim", "all"])
def test_networks_with_parts_switched_off_are_shared_too(part, tmp_path):
    sizes = {"classes": 3, "audio_dim": 4, "visual_dim": 5, "hidden": 8, "heads": 2, "layers": 1}
    config = LinkConfig.valor(**sizes) if part == "all" else LinkConfig(**sizes, **{part: False})
    network = LINK(config, torch.rand(3, 6), torch.rand(3, 7)) if config.plsim else LINK(config)
    save(network, tmp_path / "m", about_of(config))
    back, _ = load(tmp_path / "m")
    assert back.config == config
    for name, tensor in network.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor)


def test_a_finished_run_is_loaded_as_it_is(simulated):
    network = LINK.from_pretrained(simulated[0])
    assert_the_same(network, simulated[1])
    assert network.about.data["fingerprint"] == DATASET.fingerprint()


def test_captions_come_back_number_for_number(real, shared):
    _, about = load(shared)
    assert isinstance(about.captions, Captions) and about.captions.classes == CLASSES
    assert list(about.captions.audio) == CAPTIONS["audio"]
    assert list(about.captions.visual) == CAPTIONS["visual"]
    for name in ("audio_thresholds", "visual_thresholds"):
        found = getattr(about.captions, name)
        assert found.dtype == np.float32
        assert np.array_equal(found, np.array(CAPTIONS[name], np.float32))


def test_the_configuration_file_says_what_the_run_says(simulated, tmp_path):
    run, trained = simulated
    save(trained, tmp_path / "m", about_run(run))
    content = read(tmp_path / "m" / "config.json")
    assert (content["format"], content["version"]) == ("link-model", 1)
    assert content["model"] == asdict(trained.config)
    assert content["classes"] == list(CLASSES)
    assert content["captions"] is None and content["encoders"] is None
    assert content["data"] == {
        "name": "llp-sim",
        "simulated": True,
        "fingerprint": DATASET.fingerprint(),
        "videos": {"train": 24, "val": 10, "test": 12},
    }
    assert content["training"] == {**asdict(TRAINING), "best_epoch": 3}
    assert content["scores"] == FIGURES
    assert content["versions"] == read(run / "run.json")["versions"]


# ---- the hub ----


def put_on_hub(home, model, repository="someone/link"):
    """As the hub's own client lays its cache out: files by content, snapshots of links to them."""
    folder = home / "hub" / f"models--{repository.replace('/', '--')}"
    for part in ("refs", "blobs", f"snapshots/{REVISION}"):
        (folder / part).mkdir(parents=True)
    (folder / "refs" / "main").write_text(REVISION)
    for number, file in enumerate(model.iterdir()):
        blob = folder / "blobs" / f"{number:040}"
        blob.write_bytes(file.read_bytes())
        (folder / "snapshots" / REVISION / file.name).symlink_to(blob)
    return folder / "snapshots" / REVISION


@pytest.fixture
def on_hub(shared, tmp_path):
    """The model in the cache of the hub, as someone/link, and nothing else within reach."""
    snapshot = put_on_hub(tmp_path / "home", shared)
    with use_mini_hub(tmp_path / "home"):
        yield snapshot


@needs_hub
def test_a_model_of_the_hub_is_loaded_from_its_cache(on_hub, real):
    network = LINK.from_pretrained("someone/link")
    assert_the_same(network, real[1])
    assert network.about.encoders == ENCODERS


@needs_hub
def test_a_folder_goes_before_a_model_of_the_hub_by_its_name(
    on_hub, simulated, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    save(simulated[1], "someone/link", about_run(simulated[0]))
    assert LINK.from_pretrained("someone/link").about.data["simulated"]


@needs_hub
def test_a_path_is_never_asked_of_the_hub(on_hub):
    with pytest.raises(PretrainedError, match="someone/link is no folder"):
        load(Path("someone/link"))


@needs_hub
@pytest.mark.parametrize("name", ["someone/lonk", "runs/2024_1.x"])
def test_a_model_that_the_hub_lacks_may_be_a_folder_mistyped(on_hub, name):
    with pytest.raises(EncoderError) as error:
        load(name)
    assert f"the model https://huggingface.co/{name} is neither in the hub's cache" in sentence(
        error
    )
    assert sentence(error).endswith(f"or name a folder that is there: {name} is none")


@needs_hub
@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_model_cached_in_part_is_not_taken_for_whole(on_hub, name):
    (on_hub / name).unlink()
    with pytest.raises(EncoderError, match="someone/link is neither in the hub's cache"):
        load("someone/link")


@pytest.mark.parametrize(
    "source",
    [
        "someone",
        "./someone/link",
        "someone/link/",
        "/someone/link",
        "a/b/c",
        "../link",
        "some one/link",
        "a--b/link",
        "someone/link.git",
        "someone/link\n",
        "",
    ],
)
def test_what_is_neither_a_folder_nor_a_name_on_the_hub_is_told(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PretrainedError, match=r"(is no folder, and no name|holds no model)"):
        load(source)


# ---- written whole or not at all ----


def failing_at(monkeypatch, name, failure):
    write = Path.write_bytes

    def write_or_fail(path, content):
        if path.name == name:
            write(path, content[: len(content) // 2])
            raise failure
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", write_or_fail)


@pytest.mark.parametrize("empty_folder", [False, True])
@pytest.mark.parametrize("name", sorted(FILES))
def test_a_write_that_fails_leaves_nothing(real, tmp_path, monkeypatch, name, empty_folder):
    if empty_folder:
        (tmp_path / "m").mkdir()
    before = names(tmp_path)
    failing_at(monkeypatch, name, OSError(28, "No space left on device"))
    with pytest.raises(LinkError, match=r"/m cannot be written \(No space left on device\)"):
        save(real[1], tmp_path / "m", about_run(real[0]))
    assert names(tmp_path) == before and not (empty_folder and names(tmp_path / "m"))


def test_an_interrupted_write_leaves_nothing(real, tmp_path, monkeypatch):
    failing_at(monkeypatch, "README.md", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        save(real[1], tmp_path / "m", about_run(real[0]))
    assert not names(tmp_path)


def test_the_folder_is_not_there_before_it_is_whole(real, tmp_path, monkeypatch):
    """So that a kill at any moment, after which nothing can be cleared, leaves no half of it."""
    put, seen = os.replace, []

    def put_whole(old, new):
        seen.append((names(Path(old)), (tmp_path / "m").exists()))
        put(old, new)

    monkeypatch.setattr(os, "replace", put_whole)
    save(real[1], tmp_path / "m", about_run(real[0]))
    assert seen == [(FILES, False)] and names(tmp_path) == {"m"}


def test_an_empty_folder_is_filled_and_a_link_to_it_stays_one(real, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    save(real[1], tmp_path / "link", about_run(real[0]))
    assert (tmp_path / "link").is_symlink() and names(tmp_path / "there") == FILES


def test_what_is_there_is_not_overwritten(real, shared, tmp_path):
    network, about = load(real[0])
    card = (shared / "README.md").read_text() + "What I found out about it."
    (shared / "README.md").write_text(card)
    with pytest.raises(PretrainedError, match="shared is not empty; name another folder"):
        save(network, shared, about)
    assert (shared / "README.md").read_text() == card
    (tmp_path / "file").write_text("mine")
    with pytest.raises(PretrainedError, match="file is a file; name a folder"):
        save(network, tmp_path / "file", about)
    with pytest.raises(LinkError, match=r"m cannot be written .*name another place"):
        save(network, tmp_path / "file" / "m", about)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"classes": ("one",)}, "has the names of 1 classes for a network of 25"),
        ({"training": {"seed": {1, 2}}}, "JSON cannot hold .*set"),
        ({"scores": {"val": {"segment/type": float("nan")}}}, "JSON cannot hold .*nan"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(real, tmp_path, changes, said):
    config = real[1].config
    with pytest.raises(PretrainedError, match=said) as error:
        save(real[1], tmp_path / "m", about_of(config, **changes))
    assert str(tmp_path / "m") in sentence(error) and not names(tmp_path)


# ---- what cannot be loaded ----


def halve(name):
    def spoil(folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return spoil


def config_with(change):
    return lambda folder: rewritten(folder / "config.json", change)


SPOILT = {
    "half a configuration": (halve("config.json"), "config.json cannot be read .*fetch it again"),
    "a list": (
        lambda folder: (folder / "config.json").write_text("[1]"),
        "config.json is no JSON object: remove it and fetch it again",
    ),
    "another library's": (
        lambda folder: (folder / "config.json").write_text('{"model_type": "bert"}'),
        r"config.json describes no model of LINK's \(its format is None, not 'link-model'\)",
    ),
    "a later version": (
        config_with(lambda content: content.update(version=2)),
        "config.json is of version 2, and this package reads 1: install",
    ),
    "no classes": (
        config_with(lambda content: content.pop("classes")),
        r"config.json is damaged \(KeyError: 'classes'\): remove it and fetch it again",
    ),
    "a class too few": (
        config_with(lambda content: content.update(classes=content["classes"][1:], captions=None)),
        "config.json has the names of 24 classes for a network of 25",
    ),
    "a caption too few": (
        config_with(lambda content: content["captions"]["audio"].pop()),
        "config.json is damaged .*captions is not of the form",
    ),
    "words for thresholds": (
        config_with(lambda content: content["captions"].update(audio_thresholds=["x"] * 25)),
        "config.json is damaged .*could not convert",
    ),
    "an unknown setting": (
        config_with(lambda content: content["model"].update(wings=2)),
        "config.json is damaged .*wings",
    ),
    "other sizes": (
        config_with(lambda content: content["model"].update(hidden=16)),
        r"model.safetensors is damaged, or does not fit config.json .*size mismatch",
    ),
    "sizes that none has": (
        config_with(lambda content: content["model"].update(hidden=-1)),
        r"model.safetensors is damaged, or does not fit config.json",
    ),
    "another module": (
        config_with(lambda content: content["model"].update(plsim=False)),
        r"model.safetensors is damaged, or does not fit config.json .*plsim",
    ),
    "no weights": (
        lambda folder: (folder / "model.safetensors").unlink(),
        "model.safetensors is not there: fetch the whole model again",
    ),
    "half the weights": (
        halve("model.safetensors"),
        "model.safetensors is damaged, or does not fit config.json",
    ),
    "nothing at all": (
        lambda folder: (folder / "config.json").unlink(),
        r"shared holds no model \(neither config.json nor run.json\); name a folder",
    ),
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_a_spoilt_model_is_refused_with_the_file_at_fault(shared, spoilt):
    spoil, message = SPOILT[spoilt]
    spoil(shared)
    with pytest.raises(PretrainedError, match=message) as error:
        LINK.from_pretrained(shared)
    assert str(shared) in sentence(error)


class Malice:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("write", [pickle.dumps, None])
def test_no_code_in_weights_is_run(shared, tmp_path, write):
    malice = {"weight": Malice(tmp_path / "was-here")}
    if write is None:
        torch.save(malice, shared / "model.safetensors")
    else:
        (shared / "model.safetensors").write_bytes(write(malice))
    with pytest.raises(PretrainedError, match=r"model.safetensors is damaged"):
        load(shared)
    assert not (tmp_path / "was-here").exists()


def test_a_file_is_no_source(shared):
    with pytest.raises(PretrainedError, match=r"model.safetensors is a file; name the folder"):
        load(shared / "model.safetensors")


RUNS = {
    "unfinished": (
        lambda run: (run / "scores.json").unlink(),
        RunError,
        r"unfinished run \(no scores.json\); resume",
    ),
    "half a score": (halve("scores.json"), PretrainedError, "scores.json cannot be read"),
    "of an older version": (
        lambda run: rewritten(run / "run.json", lambda content: content["data"].pop("classes")),
        PretrainedError,
        r"run.json and scores.json do not say enough .*'classes'.*: train again",
    ),
    "a class too few": (
        lambda run: rewritten(run / "run.json", lambda content: content["data"]["classes"].pop()),
        PretrainedError,
        r"run.json has the names of 24 classes for a network of 25",
    ),
    "without weights": (
        lambda run: (run / "model.safetensors").unlink(),
        RunError,
        r"unfinished run \(no model.safetensors\); resume",
    ),
}


@pytest.mark.parametrize("spoilt", RUNS)
def test_a_run_that_cannot_be_shared_is_told(simulated, tmp_path, spoilt):
    spoil, kind, message = RUNS[spoilt]
    for file in simulated[0].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    spoil(tmp_path)
    with pytest.raises(kind, match=message) as error:
        load(tmp_path)
    assert str(tmp_path) in sentence(error)
