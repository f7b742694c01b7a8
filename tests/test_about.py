"""What is known of a network is what its run says, and is checked where it is said."""

import json
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
from finished_runs import CAPTIONS, ENCODERS, about_of, finished_real_run, finished_run

import link.encoders
import link.valor_folders
from link.about import PretrainedError, about_run
from link.captions import Captions
from link.model import LinkConfig

VALOR = "features published with VALOR (Lai et al., NeurIPS 2023)"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    return finished_run(tmp_path_factory.mktemp("runs") / "simulated")


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    return finished_real_run(tmp_path_factory.mktemp("runs") / "real")


def rewritten(path, change):
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content))


def about_with(run, tmp_path, **data):
    for name in ("run.json", "scores.json"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    rewritten(tmp_path / "run.json", lambda content: content["data"].update(data))
    return about_run(tmp_path)


def test_the_encoders_of_valors_features_are_named_as_they_name_themselves(
    real, tmp_path, monkeypatch
):
    assert VALOR in Path(link.valor_folders.__file__).read_text(encoding="utf-8")
    clip, clap = MagicMock(), MagicMock()
    clip.visual.image_size, clip.visual.image_mean, clip.visual.image_std = 2, (0, 0, 0), (1, 1, 1)
    monkeypatch.setattr(link.encoders, "load_clip", lambda *_: (clip, None, 768))
    monkeypatch.setattr(link.encoders, "load_clap", lambda *_: clap)
    assert about_with(real[0], tmp_path, provenance={"source": VALOR}).encoders == {
        "audio": link.encoders.ClapEncoder(device="cpu").name,
        "visual": link.encoders.ClipEncoder(device="cpu").name,
    }


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, ENCODERS),
        ({"provenance": {"source": VALOR, "encoders": ENCODERS}}, ENCODERS),
        ({"provenance": {"source": "a friend"}}, None),
        ({"provenance": {}}, None),
        ({"simulated": True}, None),
        ({"simulated": True, "provenance": {"source": VALOR}}, None),
    ],
)
def test_encoders_are_those_that_the_provenance_names(real, tmp_path, data, expected):
    assert about_with(real[0], tmp_path, **data).encoders == expected


@pytest.mark.parametrize(
    ("change", "settings", "said"),
    [
        ({"encoders": ENCODERS}, {"plsim": False, "motion_dim": None}, None),
        ({"encoders": ENCODERS}, {"plsim": True, "motion_dim": None}, "captions"),
        ({"encoders": ENCODERS}, {"plsim": False, "motion_dim": 512}, "motion"),
        ({}, {"plsim": False, "motion_dim": None}, "not known"),
    ],
)
def test_it_is_told_why_a_network_cannot_parse_videos(change, settings, said):
    config = LinkConfig(classes=2, **settings)
    reason = about_of(config, **change).why_no_videos(config)
    assert reason is None if said is None else said in reason


def test_with_captions_plsim_parses_videos_and_simulated_networks_never(real, simulated):
    assert about_run(real[0]).why_no_videos(real[1].config) is None
    assert "simulated" in about_run(simulated[0]).why_no_videos(simulated[1].config)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("classes", ("a", 1)),
        ("captions", CAPTIONS),
        ("captions", Captions(("x",), ("a",), ("b",), np.zeros(1), np.zeros(1))),
        ("captions", Captions(("a", "b"), ("a",), ("b", "c"), np.zeros(2), np.zeros(2))),
        ("captions", Captions(("a", "b"), ("a", "b"), ("b", "c"), np.zeros(1), np.zeros(2))),
        (
            "captions",
            Captions(("a", "b"), ("a", "b"), ("b", "c"), np.zeros(2), np.full(2, np.nan)),
        ),
        ("encoders", {"audio": "one"}),
        ("encoders", {"audio": "one", "visual": 2}),
        ("data", {"name": "d", "fingerprint": "f", "videos": {}}),
        ("data", {"name": "d", "simulated": "no", "fingerprint": "f", "videos": {}}),
        ("data", {"name": None, "simulated": False, "fingerprint": "f", "videos": {}}),
        ("training", None),
        ("scores", {"best_epoch": 2}),
        ("scores", {"val": {"segment/type": "50"}}),
        ("versions", []),
    ],
)
def test_what_is_said_of_a_network_has_a_form(part, value):
    with pytest.raises(PretrainedError, match=f"^{part} is not of the form"):
        about_of(LinkConfig(classes=2), **{"classes": ("a", "b"), part: value})
