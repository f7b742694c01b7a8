"""The JSON document: it says everything, keeps its schema, and comes back as it was."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from jsonschema import Draft202012Validator, ValidationError
from parsed_videos import example, example_probabilities, parsed_videos, quickly

from link.errors import LinkError
from link.events import Parsing
from link.parsed_video import ParsedVideo
from link.parsing_json import SCHEMA, from_json, read_json, to_json

VALIDATOR = Draft202012Validator(
    json.loads(SCHEMA.read_text()), format_checker=Draft202012Validator.FORMAT_CHECKER
)


def strictly(text: str) -> dict:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_the_document_by_hand():
    document = strictly(
        to_json(
            example(
                duration=9.5,
                probabilities=example_probabilities(),
                provenance={"model": "runs/link"},
            )
        )
    )
    probabilities = document.pop("probabilities")
    assert document == {
        "format": "link-avvp parsing",
        "version": 1,
        "video": {"name": "clip.webm", "url": "./clip.webm", "duration": 9.5},
        "segment_seconds": 1.0,
        "segments": 10,
        "classes": ["Speech", "Dog", "Frying_(food)"],
        "absent": [],
        "events": [
            {
                "modality": modality,
                "label": label,
                "onset": onset,
                "offset": offset,
                "start_segment": onset,
                "stop_segment": offset,
                "score": score,
            }
            for modality, label, onset, offset, score in [
                ("audio", "Speech", 0, 2, 0.9),
                ("audio", "Dog", 1, 4, 0.9),
                ("visual", "Dog", 2, 6, 0.8),
            ]
        ],
        "provenance": {"model": "runs/link"},
    }
    assert probabilities["audio"][1] == [0.9, 0.9, 0.1]
    assert probabilities["visual"][2] == [0.1, 0.5, 0.1]
    assert [len(rows) for rows in probabilities.values()] == [10, 10]


def test_the_schema_is_one():
    Draft202012Validator.check_schema(VALIDATOR.schema)


@quickly
@given(parsed_videos())
def test_every_document_keeps_the_schema_and_comes_back(video):
    text = to_json(video)
    VALIDATOR.validate(strictly(text))
    back = from_json(text)
    assert back.parsing.classes == video.parsing.classes
    assert back.parsing.segment_seconds == video.parsing.segment_seconds
    assert np.array_equal(back.parsing.audio, video.parsing.audio)
    assert np.array_equal(back.parsing.visual, video.parsing.visual)
    assert (back.url, back.name, back.duration) == (video.url, video.name, video.duration)
    assert (back.absent, back.provenance) == (video.absent, video.provenance)
    assert (back.probabilities is None) == (video.probabilities is None)
    for index, modality in enumerate(("audio", "visual")):
        if video.probabilities is not None and modality not in video.absent:
            ours, theirs = back.probabilities[:, index], video.probabilities[:, index]
            np.testing.assert_allclose(ours, theirs, atol=5.1e-7)
    if video.probabilities is None:
        assert to_json(back) == text


def test_the_document_is_laid_out_a_line_an_event():
    lines = to_json(example()).splitlines()
    assert sum('"label"' in line for line in lines) == 3
    assert len(lines) < 20


def test_a_path_in_the_provenance_may_be_no_text():
    document = to_json(example(provenance={"model": "runs/\udcff"}))
    assert strictly(document)["provenance"] == {"model": "runs/?"}


def test_an_absent_modality_has_no_probabilities():
    grid = np.ones((2, 1), dtype=bool)
    probabilities = np.array([[[np.nan], [0.5]], [[np.nan], [0.7]]])
    video = ParsedVideo(
        Parsing(grid & False, grid, ("rain",)), "a.mp4", None, probabilities, {"audio"}
    )
    document = strictly(to_json(video))
    assert document["probabilities"] == {"audio": None, "visual": [[0.5], [0.7]]}


def test_a_document_in_a_file_leads_to_the_video(tmp_path):
    video = tmp_path / "films" / "a b.webm"
    path = tmp_path / "out" / "a.json"
    path.parent.mkdir()
    path.write_text(to_json(example(video).linked_from(path.parent)), encoding="utf-8")
    assert read_json(path).video == video
    path.write_text(to_json(example("https://example.org/a.webm")), encoding="utf-8")
    assert read_json(path).video == "https://example.org/a.webm"


# ---- documents that are none ----


def changed(**changes) -> dict:
    return json.loads(to_json(example(probabilities=example_probabilities()))) | changes


def event(**changes) -> list[dict]:
    return [changed()["events"][0] | changes]


WRONG = {
    "another format": changed(format="COCO"),
    "version 2": changed(version=2),
    "no events": {key: value for key, value in changed().items() if key != "events"},
    "a text for events": changed(events="none"),
    "a class twice": changed(classes=["Dog", "Dog", "Speech"]),
    "an unknown class": changed(events=event(label="Cat")),
    "an unknown modality": changed(events=event(modality="smell")),
    "an event after the end": changed(events=event(stop_segment=11)),
    "an event that does not last": changed(events=event(start_segment=2)),
    "a negative number of segments": changed(segments=-1),
    "an address of nothing": changed(video={"name": "a", "url": "javascript:a", "duration": None}),
    "a score that is no number": changed(events=event(score=float("nan"))),
    "too few probabilities": changed(probabilities={"audio": [[0.5]], "visual": [[0.5]]}),
    "a list": [1, 2],
}
# What the schema cannot say, or cannot say simply.
BEYOND_SCHEMA = {
    "an unknown class",
    "an event after the end",
    "an event that does not last",
    "a score that is no number",
    "an address of nothing",
    "too few probabilities",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_document_that_is_no_parsing_is_refused(name):
    with pytest.raises(
        LinkError, match=r"^a\.json is no parsing that can be read \(.+parse the v"
    ):
        from_json(json.dumps(WRONG[name]), "a.json")
    if name not in BEYOND_SCHEMA:
        with pytest.raises(ValidationError):
            VALIDATOR.validate(WRONG[name])


@pytest.mark.parametrize("text", ["", "{", "NaN", "null", '{"format": NaN}'])
def test_a_text_that_is_no_document_is_refused(text):
    with pytest.raises(LinkError, match="is no parsing that can be read"):
        from_json(text)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(LinkError, match="cannot be read") as raised:
            read_json(path)
        assert str(path) in str(raised.value)
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(LinkError, match=r"bytes\.json cannot be read"):
        read_json(tmp_path / "bytes.json")


def test_a_video_may_be_moved_together_with_its_document(tmp_path):
    document = to_json(example(Path("a.webm")).linked_from(Path(".")))
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "a.json"
        path.write_text(document, encoding="utf-8")
        assert read_json(path).video == tmp_path / folder / "a.webm"
        assert read_json(path).linked_from(path.parent).url == "./a.webm"
