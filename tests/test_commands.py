"""The commands for videos, from files to features, data, networks and parsings, in one process."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import published_llp
import pytest
import torch
from hub_server import Hub, serve, used
from small_encoders import SmallClap, SmallClip
from test_cli import call
from videos import Sound, steady, tones, write_video

from link import fetching
from link.cli import app
from link.clip_features import open_clips, verify_clips
from link.commands import data, videos
from link.exports import FORMATS
from link.features import open_store, verify_store
from link.label_files import read_labels
from link.model import LINK
from link.pseudo_labels import VALOR_CAPTIONS

LENGTHS = {"v0": 10, "v1": 3, "v2": 12, "v3": 4, "v4": 3, "v5": 5}
BAD = ["w_empty", "x_text"]
#: Of the encoders below.
NAMES = {"audio": "small clap", "visual": "small clip"}
LABELS = """video,labels,split
v0.mp4,Dog;Door bell,train
v1,Dog,train
v2.mp4,Door bell,val
v3.mp4,,val
v4.mp4,Dog,test
v5.mp4,Dog;Door bell,test
w_empty.mp4,Dog,test
"""
EVENTS = """video,modality,label,onset,offset
v2,audio,Door bell,9,12
v3.mp4,,,,
v4,audio,Dog,0,2
v5.mp4,audio_visual,Door bell,1,5
v5.mp4,visual,Dog,0,1
"""


class Clip(SmallClip):
    device = torch.device("cpu")


class Clap(SmallClap):
    """Its logits lie about VALOR's thresholds."""

    logit_scale = 4.0


@pytest.fixture(scope="module")
def asked():
    """With what the commands asked for encoders."""
    return []


@pytest.fixture(autouse=True, scope="module")
def small(asked):
    """Every command gets encoders without weights."""

    def load_encoders(clip_model, clip_weights, clap_weights, device, like=None):
        asked.append((clip_model, clip_weights, clap_weights, device, like))
        return Clip(), Clap()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load_encoders", load_encoders)
        patch.setattr(videos, "load_encoders", load_encoders)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory, small):
    """A folder of good and bad videos, extracted, labelled and trained on."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "videos").mkdir()
    for name, seconds in LENGTHS.items():
        sound = None if name == "v3" else Sound(tones(seconds, 8000), 8000)
        write_video(folder / "videos" / f"{name}.mp4", steady(seconds, 8), sound)
    (folder / "videos" / "w_empty.mp4").touch()
    (folder / "videos" / "x_text.mp4").write_text("no video\n" * 99)
    (folder / "labels.csv").write_text(LABELS)
    (folder / "events.csv").write_text(EVENTS)
    (folder / "empty").mkdir()
    done = call("extract", "videos", "--out", "features", cwd=folder, code=1)
    assert "features: 7 clips of 6 videos" in done.stdout
    told_of_bad(done, of=8)
    label = ["label", "features", "--labels", "labels.csv"]
    call(*label, "--events", "events.csv", "--out", "store", cwd=folder)
    call(*label, "--out", "weak", cwd=folder)
    for store, run in (("store", "run"), ("weak", "weak_run")):
        train = ["train", "--data", store, "--out", run, "--epochs", 1]
        call(*train, "--device", "cpu", cwd=folder)
    return folder


def told_of_bad(done, of):
    """The failing videos, each in a line of its own, are the last that is told."""
    head, *told = done.stderr.strip().splitlines()[-1 - len(BAD) :]
    assert head == f"{len(BAD)} of {of} videos could not be read:"
    for name, line in zip(BAD, told, strict=True):
        assert f"videos/{name}.mp4" in line


# ---- extract ----


def test_features_of_all_good_videos_are_there(place):
    store = open_clips(place / "features")
    verify_clips(place / "features")
    assert list(store.rows) == list(LENGTHS)
    assert [failed["name"] for failed in store.failed] == BAD
    assert store.encoders == NAMES


def test_extracted_again_nothing_is_encoded_and_the_bad_ones_are_told_again(place, monkeypatch):
    before = (place / "features" / "store.json").stat()
    monkeypatch.setattr(Clip, "embed_frames", None)
    done = call("extract", "videos", "--out", "features", "--json", cwd=place, code=1)
    answer = json.loads(done.stdout)
    assert answer.pop("failed").keys() == set(BAD)
    assert answer == {
        "store": "features",
        "videos": 6,
        "clips": 7,
        "encoders": NAMES,
    }
    told_of_bad(done, of=8)
    after = (place / "features" / "store.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert not [path for path in place.iterdir() if path.name.startswith(".")]


def test_videos_are_added_and_without_a_bad_one_the_exit_code_is_zero(place, tmp_path):
    for name in ("v1", "v4"):
        call("extract", place / "videos" / f"{name}.mp4", "--out", "f", cwd=tmp_path)
    assert list(open_clips(tmp_path / "f").rows) == ["v1", "v4"]
    some = ["extract", place / "videos" / "v3.mp4", "--out", "f", "--overwrite"]
    call(*some, cwd=tmp_path)
    assert list(open_clips(tmp_path / "f").rows) == ["v3"]


def test_without_a_good_video_there_is_no_store(place, tmp_path):
    bad = place / "videos" / "w_empty.mp4"
    done = call("extract", bad, "gone.mp4", "--out", "f", "--json", cwd=tmp_path, code=1)
    assert "w_empty.mp4" in json.loads(done.stdout)["error"]
    assert not (tmp_path / "f").exists()


# ---- label ----


def test_a_store_of_data_has_what_the_files_say(place):
    dataset = open_store(place / "store")
    verify_store(place / "store")
    assert dataset.classes == read_labels(place / "labels.csv").classes == ("Dog", "Door bell")
    assert dataset.train.names == ("v0", "v1")
    assert dataset.val.names == ("v2_0_10", "v2_2_12", "v3")
    assert dataset.train.audio_truth is None
    assert dataset.val.audio_truth.sum(axis=1).tolist() == [[0, 1], [0, 3], [0, 0]]
    assert dataset.test.audio_truth.sum(axis=1).tolist() == [[2, 0], [0, 4]]
    assert dataset.test.visual_truth.sum(axis=1).tolist() == [[0, 0], [1, 4]]
    assert not dataset.simulated
    # LLP knows dogs, and no door bells.
    captions = dataset.provenance["captions"]
    assert captions["audio"] == [VALOR_CAPTIONS.audio[3], "This is a sound of door bell"]
    assert dataset.provenance["left_out"]["not readable"] == BAD


def test_labels_are_compared_by_the_encoders_of_the_features(place, asked, tmp_path):
    arguments = ["label", place / "features", "--labels", place / "labels.csv", "--out", "s"]
    (tmp_path / "captions.yaml").write_text("classes:\n  Dog:\n  Door bell:\n    audio: ding\n")
    answer = json.loads(
        call(*arguments, "--captions", "captions.yaml", "--json", cwd=tmp_path).stdout
    )
    assert asked[-1] == (None, None, None, None, NAMES)
    assert answer["videos"] == {"train": 2, "val": 3, "test": 2}
    dataset = open_store(tmp_path / "s")
    assert answer["fingerprint"] == dataset.fingerprint()
    assert dataset.provenance["captions"]["audio"] == ["This is a sound of dog", "ding"]
    np.testing.assert_array_equal(dataset.audio_text[1], Clap().embed_text(["ding"])[0])


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("labels.csv", "video,labels\na,Dog\nb,Dog\n", "labels.csv names 2 videos"),
        ("labels.csv", LABELS + "v9,Dog,test\n", "lacks v9, which labels.csv labels"),
        ("labels.csv", LABELS + "v0,Cat,test\n", "labels.csv, line 9: v0 is there twice"),
        ("events.csv", EVENTS + "v4,audio,Dog,2,1\n", "events.csv, line 7: event 'Dog' lasts"),
        ("events.csv", EVENTS + "v4,audio,Cow,1,2\n", "annotation of v4: unknown class 'Cow'"),
        (
            "captions.yaml",
            "classes:\n  Dog:\n",
            "has the class 'Door bell', for which there is no",
        ),
    ],
)
def test_files_that_do_not_fit_are_told_in_one_sentence(place, tmp_path, file, content, said):
    files = {"labels.csv": LABELS, "events.csv": EVENTS, "captions.yaml": None} | {file: content}
    options = []
    for name, text in files.items():
        if text is not None:
            (tmp_path / name).write_text(text)
            options += [f"--{Path(name).stem}", name]
    arguments = ["label", place / "features", "--out", "s", *options]
    done = call(*arguments, "--json", cwd=tmp_path, code=1)
    assert said in json.loads(done.stdout)["error"]
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "s").exists()


# ---- train, evaluate, ablate ----


def test_it_is_trained_on_with_all_of_link(place):
    run = json.loads((place / "run" / "run.json").read_text())
    assert run["model"]["plsim"] and run["model"]["motion_dim"] is None
    assert run["data"]["fingerprint"] == open_store(place / "store").fingerprint()
    scores = json.loads((place / "run" / "scores.json").read_text())
    assert "segment/type" in scores["val"] and "segment/type" in scores["test"]


@pytest.mark.parametrize(("option", "mode"), [([], "fast"), (["--half"], "half")])
def test_real_features_train_fast_and_half_is_followed(place, tmp_path, option, mode):
    call("train", "--data", "store", "--out", tmp_path / "r", "--epochs", 1, *option, cwd=place)
    assert json.loads((tmp_path / "r" / "run.json").read_text())["training"]["mode"] == mode


def test_without_annotation_videos_labels_are_scored_and_an_ablation_says_no(place):
    done = call("evaluate", "weak_run", "--data", "weak", "--json", cwd=place)
    scores = json.loads(done.stdout)["scores"]
    assert scores.keys() == {"video"} and 0 <= scores["video"] <= 100
    assert "video" in call("evaluate", "weak_run", "--data", "weak", cwd=place).stdout
    done = call("ablate", "--data", "weak", "--out", "ablation.json", cwd=place, code=1)
    assert "weak has no segment annotation of its test split" in done.stderr
    assert not (place / "ablation.json").exists()


def test_motion_features_are_left_out_where_asked(tmp_path):
    small = ["--train", 8, "--val", 4, "--test", 4]
    call("simulate", "--out", "sim", *small, cwd=tmp_path)
    assert open_store(tmp_path / "sim").train.motion is not None
    for option, is_there in (("--motion", True), ("--no-motion", False)):
        arguments = ["train", "--data", "sim", "--out", f"run{option}", "--epochs", 1, option]
        call(*arguments, cwd=tmp_path)
        run = json.loads((tmp_path / f"run{option}" / "run.json").read_text())
        assert (run["model"]["motion_dim"] is not None) == is_there
        call("evaluate", f"run{option}", "--data", "sim", cwd=tmp_path)
    write_video(tmp_path / "v.mp4", steady(1, 8))
    done = call("parse", "v.mp4", "--model", "run--no-motion", cwd=tmp_path, code=1)
    assert "run--no-motion cannot parse videos, for it was trained on simulated" in done.stderr


# ---- parse ----


@pytest.fixture(scope="module", params=["run", "shared", None])
def model(request, place):
    """A run, the same as a shared model, and nothing: the teachers alone."""
    if request.param == "shared" and not (place / "shared").exists():
        call("share", "run", "--out", "shared", cwd=place)
    return ["--model", request.param] if request.param else ["--classes", "Dog, Door bell,"]


def test_good_and_bad_videos_are_parsed_and_told(place, model, tmp_path, asked):
    out = tmp_path / "parsed"
    done = call("parse", "videos", "--out", out, *model, cwd=place, code=1)
    told_of_bad(done, of=8)
    assert "--model" not in model or asked[-1][-1] == NAMES
    written = {path.name for path in out.iterdir()}
    assert written == {name + form.suffix for name in LENGTHS for form in FORMATS.values()}
    assert ", no sound" in next(line for line in done.stderr.splitlines() if "v3.mp4:" in line)
    parsed = json.loads((out / "v2.json").read_text())
    assert parsed["classes"] == ["Dog", "Door bell"]
    judge = model[1] if "--model" in model else "the teachers alone, by their captions"
    assert parsed["provenance"]["model"] == judge


def test_the_json_answer_says_of_every_video_what_came_of_it(place, model, tmp_path):
    arguments = ["parse", "videos/x_text.mp4", "videos/v1.mp4", "nowhere.mp4", "videos/v3.mp4"]
    options = ["--out", tmp_path, "--format", "json, csv", "--json", *model]
    done = call(*arguments, *options, cwd=place, code=1)
    bad, first, gone, last = json.loads(done.stdout)
    assert bad.keys() == gone.keys() == {"video", "error"}
    assert "nowhere.mp4" in gone["error"]
    for answer, name in ((first, "v1"), (last, "v3")):
        assert answer["video"] == f"videos/{name}.mp4"
        assert sorted(answer["files"]) == [f"{tmp_path}/{name}.csv", f"{tmp_path}/{name}.json"]
        content = json.loads((tmp_path / f"{name}.json").read_text())
        assert answer["events"] == len(content["events"])
    assert len(list(tmp_path.iterdir())) == 4


def test_without_words_of_ones_own_the_classes_are_those_of_llp(place, tmp_path):
    call("parse", "videos/v1.mp4", "--out", tmp_path, "--format", "json", cwd=place)
    parsed = json.loads((tmp_path / "v1.json").read_text())
    assert parsed["classes"] == list(VALOR_CAPTIONS.classes)


def test_a_file_of_captions_and_a_hop_are_followed(place, tmp_path):
    classes = "classes:\n  Whistle: {audio_threshold: -1000}\n  Hum: {audio_threshold: 0}\n"
    (tmp_path / "c.yaml").write_text(classes)
    words = ["--captions", tmp_path / "c.yaml", "--format", "json,csv"]
    for hop in (1, 10):
        out = tmp_path / str(hop)
        call("parse", "videos/v2.mp4", *words, "--hop", hop, "--out", out, cwd=place)
        assert (out / "v2.csv").read_text().splitlines()[1].startswith("audio,Whistle,0.0,12")
    # Where windows overlap, a second has the mean of more of them.
    few, many = (json.loads((tmp_path / hop / "v2.json").read_text()) for hop in ("10", "1"))
    assert few["probabilities"] != many["probabilities"]


# ---- share ----


def test_a_shared_network_is_the_trained_one(place, tmp_path):
    done = call("share", place / "run", "--out", "mine", cwd=tmp_path)
    assert "README.md" in done.stdout
    network, shared = LINK.from_pretrained(place / "run"), LINK.from_pretrained(tmp_path / "mine")
    assert shared.about.to_json() == network.about.to_json()
    for (name, weight), (_, other) in zip(
        network.state_dict().items(), shared.state_dict().items(), strict=True
    ):
        assert torch.equal(weight, other), name
    card = tmp_path / "mine" / "README.md"
    card.write_text("of my own")
    done = call("share", place / "run", "--out", "mine", cwd=tmp_path, code=1)
    assert "mine is not empty" in done.stderr and card.read_text() == "of my own"


# ---- pack and download ----


class WideClip(Clip):
    width = 768


class MapClap(Clap):
    map_width = 768

    def project_map(self, pooled):
        return (
            pooled[..., : self.width]
            / np.linalg.norm(pooled[..., : self.width], axis=-1)[..., None]
        )


@pytest.fixture
def wide(monkeypatch):
    monkeypatch.setattr(data, "load_encoders", lambda *_: (WideClip(), MapClap()))


def test_published_features_are_packed_with_priors(wide, tmp_path):
    for path, content in {**published_llp.annotation_files(), **published_llp.arrays()}.items():
        (tmp_path / "valor" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "valor" / path).write_bytes(content)
    for options, has in (([], False), (["--priors"], True)):
        arguments = ["pack", "valor", "--out", "store", "--overwrite", *options, "--json"]
        answer = json.loads(call(*arguments, cwd=tmp_path).stdout)
        dataset = open_store(tmp_path / "store")
        assert answer["fingerprint"] == dataset.fingerprint()
        assert (dataset.train.audio_prior is not None) == ("priors" in dataset.provenance) == has
    call("train", "--data", "store", "--out", "run", "--epochs", 1, "--plsim", cwd=tmp_path)


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(fetching, "PAUSES", ())
    served = Hub(published_llp.archives(), published_llp.annotation_files())
    with serve(served) as running, used(running, monkeypatch):
        yield running


def test_llp_is_downloaded_into_a_store(wide, hub, tmp_path):
    arguments = ["download", "llp", "--out", "deep/store", "--json"]
    done = call(*arguments, cwd=tmp_path)
    answer = json.loads(done.stdout)
    counts = {split: len(names) for split, names in published_llp.SPLITS.items()}
    assert answer["videos"] == counts
    dataset = open_store(tmp_path / "deep" / "store")
    assert dataset.train.audio_prior is not None
    assert "deep/store-downloaded is no longer needed" in done.stderr
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"store", "store-downloaded"}
    call(*arguments, cwd=tmp_path, code=2)
    hub.requests.clear()
    call(*arguments, "--overwrite", "--no-priors", cwd=tmp_path)
    assert not hub.requests
    assert open_store(tmp_path / "deep" / "store").train.audio_prior is None


# ---- before encoders are loaded ----


@pytest.mark.parametrize("kind", ["nowhere.mp4", "nowhere", "empty.mp4", "text.mp4"])
def test_files_are_looked_at_before_encoders_are_loaded(asked, tmp_path, kind):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video\n" * 99)
    asked.clear()
    for command in (["extract"], ["extract", "--overwrite"], ["parse"]):
        done = call(*command, kind, "--out", "new", cwd=tmp_path, code=1)
        told = done.stderr.strip().splitlines()
        assert kind in told[-1] and len(told) == 1 + (command == ["parse"])
    answers = json.loads(call("parse", kind, "--json", cwd=tmp_path, code=1).stdout)
    assert [answer["video"] for answer in answers] == [kind] and kind in answers[0]["error"]
    assert not asked
    assert not (tmp_path / "new").exists()


def test_a_store_that_is_there_takes_in_that_a_video_cannot_be_read(place, tmp_path):
    call("extract", place / "videos" / "v1.mp4", "--out", "f", cwd=tmp_path)
    call("extract", place / "videos" / "w_empty.mp4", "--out", "f", cwd=tmp_path, code=1)
    assert [failed["name"] for failed in open_clips(tmp_path / "f").failed] == ["w_empty"]


def test_a_place_that_cannot_be_written_is_told_by_the_name_asked_for(place, tmp_path):
    (tmp_path / "file").touch()
    for command in ("extract", "parse"):
        video = place / "videos" / "v1.mp4"
        done = call(command, video, "--out", "file/x", cwd=tmp_path, code=1)
        assert "link-avvp: file/x cannot be written (" in done.stderr


# ---- wrong calls, and help ----


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["extract", "videos/v1.mp4", "more/v1.wav", "--out", "new"], "would both be called v1"),
        (["parse", "videos/v1.mp4", "more/v1.wav", "--out", "new"], "would both be called v1"),
        (["parse", "videos", "--format", "json,pdf", "--out", "new"], "no format 'pdf'"),
        (["parse", "videos", "--format", "", "--out", "new"], "no format ''"),
        (["parse", "videos", "--hop", "11", "--out", "new"], "for '--hop'"),
        (["parse", "videos", "--classes", "a,a", "--out", "new"], "the class 'a' is there twice"),
        (["parse", "videos", "--classes", " , ", "--out", "new"], "names nothing to look for"),
        (["parse", "empty", "--out", "new"], "empty is a folder without video or sound files"),
        (["extract", "empty", "--out", "new"], "empty is a folder without video or sound files"),
        (["parse", "videos", "--model", "run", "--classes", "a", "--out", "new"], "--model has"),
        (["parse", "videos", "--classes", "a", "--captions", "b", "--out", "new"], "not both"),
        (["parse", "--out", "new"], "Missing argument"),
        (
            ["label", "nowhere", "--labels", "labels.csv", "--out", "new"],
            "nowhere does not exist: make",
        ),
        (["label", "features", "--labels", "labels.csv", "--out", "store"], "store is already"),
        (["share", "nowhere", "--out", "new"], "nowhere does not exist: make"),
        (["download", "lpp", "--out", "new"], "'lpp' is not"),
        (["pack", "store", "--out", "new"], "store is a store already"),
    ],
)
def test_a_wrong_call_exits_with_2_and_a_sentence(place, asked, arguments, said):
    asked.clear()
    done = call(*arguments, cwd=place, code=2)
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert not done.stdout
    assert not asked, "encoders were loaded for a wrong call"
    assert not (place / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["label", "videos", "--labels", "labels.csv", "--out", "new"], "no store.json in it"),
        (["label", "store", "--labels", "labels.csv", "--out", "new"], "'link-avvp extract'"),
        (["train", "--data", "features", "--out", "new"], "'link-avvp label'"),
        (["parse", "videos", "--model", "features", "--out", "new"], "features holds no model"),
        (["share", "videos", "--out", "new"], "run.json"),
    ],
)
def test_work_that_fails_exits_with_1_and_a_sentence(place, arguments, said):
    done = call(*arguments, cwd=place, code=1)
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (place / "new").exists()


def test_help_of_every_command_shows_an_example_and_is_quick():
    names = [command.callback.__name__ for command in app.registered_commands]
    for group in app.registered_groups:
        names += [each.callback.__name__ for each in group.typer_instance.registered_commands]
    assert {"extract", "label", "parse", "share", "download", "pack", "train"} <= set(names)
    code = """
import contextlib, io, sys
from link.cli import app
for name in sys.argv[1:]:
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        app([name, "--help"])
    assert f"link-avvp {name}" in shown.getvalue(), name
    assert not {"torch", "numpy", "av"} & set(sys.modules), name
"""
    command = [sys.executable, "-c", code, *names]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[1])
