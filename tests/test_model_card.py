"""The card is what the hub's own reader and a reader of Markdown take it for."""

import re
import sys
from importlib.util import find_spec

import pytest
import torch
import yaml
from finished_runs import DATASET, FIGURES, about_of, finished_real_run, finished_run
from hypothesis import given
from hypothesis import strategies as st

from link.about import about_run
from link.errors import LinkError
from link.inference import predict
from link.metrics import SCORES
from link.model import LINK, LinkConfig
from link.model_card import model_card

needs_hub = pytest.mark.skipif(
    find_spec("huggingface_hub") is None, reason="the extra 'encoders' is not installed"
)
NASTY = [
    "Frying_(food)",
    "a | b",
    "`",
    "``",
    "a``b`",
    " `x` ",
    "<script>alert(1)</script>",
    "one\ntwo",
    "x\n---\nlicense: mit\n---\n# Title",
    "\n```\n",
    "![](http://x)",
    "*bold* _it_ [a](b)",
    "",
    "  ",
    "\\",
    "\ud800",
    "\x00\x07\x1b",
    "\u2028 \x85",
    "{{ x }} {% y %}",
    "- a: &b *b",
    "雨",
]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    run, network = finished_run(tmp_path_factory.mktemp("runs") / "simulated")
    return network, about_run(run)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    run, network = finished_real_run(tmp_path_factory.mktemp("runs") / "real")
    return network, about_run(run)


def card_of(made):
    network, about = made
    return model_card(network.config, about)


def parts(card):
    """Its YAML, read, and its Markdown."""
    empty, head, body = re.split(r"^---$", card, maxsplit=2, flags=re.MULTILINE)
    assert empty == ""
    return yaml.safe_load(head), body


def section(body, title):
    return re.split(r"^## .*$", body.split(f"\n## {title}\n")[1], flags=re.MULTILINE)[0].strip()


# ---- for the hub ----


def test_its_yaml_says_what_the_hub_asks_for_but_the_licence(real):
    head, _ = parts(card_of(real))
    assert set(head) == {"library_name", "pipeline_tag", "tags", "model-index"}
    assert head["library_name"] == "link-avvp"
    assert "audio-visual-video-parsing" in head["tags"] and "simulated" not in head["tags"]
    assert "# The licence of the weights is their author's to choose" in card_of(real)


@needs_hub
def test_the_hubs_own_reader_finds_every_score(real, simulated):
    from huggingface_hub import ModelCard

    for made, mark in ((real, ""), (simulated, " (simulated)")):
        data = ModelCard(card_of(made)).data
        assert data.library_name == "link-avvp" and data.license is None
        assert ("simulated" in data.tags) == bool(mark)
        found = {
            (each.dataset_split, each.metric_name): each.metric_value for each in data.eval_results
        }
        assert found == {
            (split, f"{score}{mark}"): pytest.approx(value, abs=0.005)
            for split, scores in FIGURES.items()
            for score, value in scores.items()
        }
        name = made[1].data["name"]
        assert {each.dataset_name for each in data.eval_results} == {f"{name}{mark}"}


@needs_hub
def test_a_licence_named_where_the_card_asks_for_it_is_read(real):
    from huggingface_hub import ModelCard

    card = re.sub(r"^# The licence.*$", "license: mit", card_of(real), flags=re.MULTILINE)
    assert ModelCard(card).data.license == "mit"


@needs_hub
def test_without_scores_there_is_none_to_read():
    from huggingface_hub import ModelCard

    config = LinkConfig(classes=2)
    card = model_card(config, about_of(config, scores={"val": {"my own": 3.0}}))
    assert ModelCard(card).data.eval_results is None
    assert section(parts(card)[1], "Scores") == "None are known."


# ---- for people ----


def test_it_shows_every_score_under_its_split(real, simulated):
    for made, mark in ((real, ""), (simulated, " (simulated)")):
        table = section(parts(card_of(made))[1], "Scores").split("\n\n")[1].splitlines()
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
        assert rows[0] == ["score", f"val{mark}", f"test{mark}"]
        assert rows[2:] == [
            [score, f"{FIGURES['val'][score]:.1f}", f"{FIGURES['test'][score]:.1f}"]
            for score in SCORES
        ]


def test_data_without_annotated_segments_has_the_score_of_its_weak_labels():
    config = LinkConfig(classes=2)
    scores = {"val": {"video": 71.25}, "test": {"video": 62.0, "segment/type": 30.0}}
    head, body = parts(model_card(config, about_of(config, scores=scores)))
    assert section(body, "Scores").splitlines()[-2:] == [
        "| segment/type |  | 30.0 |",
        "| video | 71.2 | 62.0 |",
    ]
    val = head["model-index"][0]["results"][0]
    assert val["metrics"] == [{"type": "f1", "name": "video", "value": 71.25}]


def test_simulated_data_is_called_so_and_real_data_is_not(real, simulated):
    assert "simulated" not in card_of(real)
    body = parts(card_of(simulated))[1]
    assert "Its training data were simulated" in body.split("##")[0]
    assert "`llp-sim` (simulated)" in section(body, "Training")


def test_it_says_what_it_was_trained_on_and_how(real):
    text = section(parts(card_of(real))[1], "Training")
    assert f"`mine`, fingerprint `{DATASET.fingerprint()}`" in text
    assert "`train` 24, `val` 10, `test` 12" in text
    assert "`batch_size=7`" in text and "`seed=3`" in text and "`best_epoch=3`" in text


@pytest.mark.parametrize(
    ("off", "said"),
    [
        ({}, "with TSAM, S-LOSS, PLSIM."),
        ({"tsam": False}, "with S-LOSS, PLSIM."),
        ({"tsam": False, "s_loss": False, "plsim": False}, "with none of TSAM, S-LOSS, PLSIM."),
    ],
)
def test_it_says_what_of_link_is_in_it(off, said):
    config = LinkConfig(classes=2, **off)
    assert said in model_card(config, about_of(config)).split("##")[0]


@pytest.mark.parametrize("which", ["real", "simulated", "plain"])
def test_its_example_runs(which, request, monkeypatch):
    if which == "plain":
        sizes = {"audio_dim": 9, "visual_dim": 8, "motion_dim": 7, "hidden": 8, "heads": 2}
        config = LinkConfig.valor(**sizes)
        network, about = LINK(config).eval(), about_of(config)
    else:
        network, about = request.getfixturevalue(which)
    body = parts(model_card(network.config, about))[1]
    (code,) = re.findall(r"```python\n(.*?)```", body, re.DOTALL)
    assert len(code.splitlines()) == 3
    asked = []
    monkeypatch.setattr(LINK, "from_pretrained", lambda name: asked.append(name) or network)
    shapes = re.findall(r"`(\w+)` \(B, (\d+), (\d+)\)", section(body, "Use"))
    split = DATASET.test
    names = {name: torch.from_numpy(getattr(split, name)).float() for name, *_ in shapes}
    assert all([*names[name].shape[1:]] == [int(t), int(w)] for name, t, w in shapes)
    exec(code, names)
    assert asked == ["owner/name"]
    heard, seen = predict(network, split)[:2]
    assert torch.equal(names["heard"], torch.as_tensor(heard)) and 0 < heard.mean() < 1
    assert torch.equal(names["seen"], torch.as_tensor(seen)) and 0 < seen.mean() < 1


def test_it_shows_the_command_where_the_network_can_parse_videos(real, simulated):
    command = "link-avvp parse VIDEO --model owner/name --out parsed"
    assert command in section(parts(card_of(real))[1], "Use").splitlines()
    text = section(parts(card_of(simulated))[1], "Use")
    assert command not in text and "It cannot parse a video: it was trained on simulated" in text


# ---- names that would be more than names ----


def code_spans(text):
    """Code spans as CommonMark 6.1 has them, and what is left of the text without them."""
    runs = [(each.start(), each.end()) for each in re.finditer("`+", text)]
    spans, rest, at = [], "", 0
    while runs:
        start, end = runs.pop(0)
        closing = [run for run in runs if run[1] - run[0] == end - start]
        if not closing:
            continue
        content = text[end : closing[0][0]].replace("\n", " ")
        if content[0] == content[-1] == " " and content.strip(" "):
            content = content[1:-1]
        spans.append(content)
        rest += text[at:start]
        at = closing[0][1]
        runs = [run for run in runs if run[0] >= at]
    return spans, rest + text[at:]


def plain(name):
    return " ".join(name.split()).replace("\ud800", "?")


def assert_only_names(classes, **data):
    config = LinkConfig(classes=len(classes))
    described = {"name": "d", "simulated": True, "fingerprint": "f", "videos": {}, **data}
    about = about_of(config, classes=classes, data=described)
    card = model_card(config, about)
    head, body = parts(card.encode().decode())
    spans, rest = code_spans(section(body, "Classes"))
    assert [span.strip() for span in spans] == [plain(name).strip() for name in classes]
    assert rest == ", ".join([""] * len(classes))
    ordinary = parts(model_card(config, about_of(config, data={**described, "name": "d"})))
    assert re.findall("^#.*$", body, re.MULTILINE) == re.findall(
        "^#.*$", ordinary[1], re.MULTILINE
    )
    (index,) = head.pop("model-index")
    (expected,) = ordinary[0].pop("model-index")
    assert head == ordinary[0]
    name = index["results"][0]["dataset"].pop("name")
    assert name.replace("\ud800", "?") == f"{plain(described['name'])} (simulated)"
    assert index["results"][0]["metrics"] == expected["results"][0]["metrics"]
    return body


def test_no_name_of_a_class_is_read_as_markup():
    assert_only_names(tuple(NASTY))


@given(st.lists(st.text(st.sampled_from("`a \n-#<|*"), max_size=8), min_size=1, max_size=5))
def test_no_name_made_of_markup_is_read_as_such(classes):
    assert_only_names(tuple(classes))


@pytest.mark.parametrize("name", NASTY)
def test_no_name_of_data_is_read_as_markup(name):
    body = assert_only_names(("a", "b"), name=name)
    spans, rest = code_spans(section(body, "Training"))
    assert spans[:2] == [spans[0], "f"] and spans[0].strip() == plain(name).strip()
    assert rest.splitlines()[0] == "- Data:  (simulated), fingerprint "


@needs_hub
def test_the_hubs_own_reader_takes_every_name(simulated):
    from huggingface_hub import ModelCard

    config = LinkConfig(classes=len(NASTY))
    for name in NASTY:
        data = {"name": name, "simulated": False, "fingerprint": "f", "videos": {name: 1}}
        about = about_of(config, classes=tuple(NASTY), data=data, training={name: name})
        assert ModelCard(model_card(config, about)).data.license is None


def test_without_pyyaml_it_is_told(real, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(LinkError, match=r"needs PyYAML: pip install -e '\.\[cli\]'"):
        card_of(real)
