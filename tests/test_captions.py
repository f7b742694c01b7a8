"""A caption file is read as written, and every fault in it is told with its line."""

import json
import sys

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from link.captions import CaptionError, Captions, default_setting, read_captions
from link.pseudo_labels import VALOR_CAPTIONS


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "captions.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_what_is_left_out_follows_valors_words_and_commonest_thresholds(write):
    captions = read_captions(
        write(
            """
classes:
  Door_bell:
  Frying (food):
    visual: A photo of frying food.
    audio_threshold: -2
  Dog: {audio: "Woof: loud", visual_threshold: 1.5e1, audio_threshold: }
"""
        )
    )
    assert captions.classes == ("Door_bell", "Frying (food)", "Dog")
    assert captions.audio == (
        "This is a sound of door bell",
        "This is a sound of frying (food)",
        "Woof: loud",
    )
    assert captions.visual == (
        "A photo of door bell.",
        "A photo of frying food.",
        "A photo of dog.",
    )
    common = [
        np.bincount(each.clip(0).astype(int)).argmax()
        for each in (VALOR_CAPTIONS.audio_thresholds, VALOR_CAPTIONS.visual_thresholds)
    ]
    assert captions.audio_thresholds.tolist() == [common[0], -2, common[0]]
    assert captions.visual_thresholds.tolist() == [common[1], common[1], 15]
    assert captions.audio_thresholds.dtype == captions.visual_thresholds.dtype == np.float32


def test_valors_own_captions_survive_a_file(write):
    valor = VALOR_CAPTIONS
    rows = zip(
        valor.audio,
        valor.visual,
        valor.audio_thresholds.tolist(),
        valor.visual_thresholds.tolist(),
        strict=True,
    )
    keys = ("audio", "visual", "audio_threshold", "visual_threshold")
    classes = {
        name: dict(zip(keys, row, strict=True))
        for name, row in zip(valor.classes, rows, strict=True)
    }
    read = read_captions(write(yaml.safe_dump({"classes": classes}, sort_keys=False)))
    assert (read.classes, read.audio, read.visual) == (valor.classes, valor.audio, valor.visual)
    np.testing.assert_array_equal(read.audio_thresholds, valor.audio_thresholds)
    np.testing.assert_array_equal(read.visual_thresholds, valor.visual_thresholds)


def test_names_that_yaml_takes_for_something_else_are_names(write):
    names = ("No", "7", "null", "2024-01-01", "Größe")
    assert (
        read_captions(write("classes:\n" + "".join(f"  {each}:\n" for each in names))).classes
        == names
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ": the file must hold lines"),
        ("- Dog\n", ", line 1: the file must hold lines"),
        ("dogs:\n", " has dogs at its top level: it needs the one key 'classes'"),
        ("classes:\n", ", line 1: 'classes' must hold lines of the form 'name: value'"),
        ("classes:\n  - Dog\n", ", line 2: 'classes' must hold lines"),
        ("classes:\n  Cat:\n  Dog: a dog\n", ", line 3: 'Dog' must hold lines"),
        ("classes:\n  Dog:\n  Cat:\n  Dog:\n", ", line 4: 'Dog' is there twice"),
        (
            "classes:\n  Dog:\n    audoi: x\n",
            ", line 3: 'audoi' of 'Dog' is unknown; use audio, v",
        ),
        ("classes:\n  Dog:\n    audio: [x]\n", ", line 3: 'audio' of 'Dog' is no text"),
        ("classes:\n  Dog:\n    audio: ' '\n", ", line 3: 'audio' of 'Dog' is no text"),
        ("classes:\n  Dog:\n    audio_threshold: loud\n", ", line 3: .* is 'loud', not a finite"),
        ("classes:\n  Dog:\n    visual_threshold: nan\n", ", line 3: .* is 'nan', not a finite"),
        ("classes:\n  ? [Dog]\n  : \n", ", line 2: a name in 'classes' is no text"),
        ("classes:\n  Dog: {\n", ", line 3: not YAML, "),
        ("classes:\n  Dog: \0\n", " is not YAML: "),
        (
            "classes:\n  Dog: !!python/object/apply:os.abort []\n",
            ", line 2: 'Dog' must hold lines",
        ),
    ],
)
def test_each_fault_is_told_with_its_line(write, text, said):
    path = write(text)
    with pytest.raises(CaptionError, match=said) as error:
        read_captions(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_files_that_cannot_be_read_are_named(tmp_path, monkeypatch):
    path = tmp_path / "captions.yaml"
    with pytest.raises(CaptionError, match=r"captions\.yaml cannot be read: No such file"):
        read_captions(path)
    path.write_bytes(b"classes:\n  Gr\xf6\xdfe:\n")
    with pytest.raises(CaptionError, match=r"captions\.yaml is not UTF-8 text"):
        read_captions(path)
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(CaptionError, match=r"needs PyYAML: pip install -e '\.\[cli\]'"):
        read_captions(path)


@given(st.text(alphabet="{}:- 'a\n\"[]&*!?", max_size=40))
def test_no_file_is_a_fault_of_the_programs(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CaptionError):
        read_captions(path)


def test_a_setting_that_is_left_out_is_what_a_file_without_it_gives(write):
    for name in ("Door_bell", "Frying (food)", "{braces}", "Größe"):
        read = read_captions(write(yaml.safe_dump({"classes": {name: None}}, allow_unicode=True)))
        found = [
            read.audio[0],
            read.visual[0],
            read.audio_thresholds[0],
            read.visual_thresholds[0],
        ]
        keys = ("audio", "visual", "audio_threshold", "visual_threshold")
        assert found == [default_setting(name, key) for key in keys]
    assert default_setting("Door_Bell", "audio") == "This is a sound of door bell"
    assert default_setting("{0}", "visual") == "A photo of {0}."


def test_a_record_is_all_that_json_needs_to_give_them_back():
    captions = Captions(
        ("a", "b"),
        ("one", "two"),
        ("eins", "zwei"),
        np.array([0.1, -2], np.float32),
        np.array([15, 1 / 3], np.float32),
    )
    record = json.loads(json.dumps(captions.record()))
    again = Captions(captions.classes, **record)
    assert tuple(again.audio) == captions.audio and tuple(again.visual) == captions.visual
    for key in ("audio_thresholds", "visual_thresholds"):
        given = np.array(record[key], np.float32)
        np.testing.assert_array_equal(given, getattr(captions, key))
    assert record.keys() == {"audio", "visual", "audio_thresholds", "visual_thresholds"}
