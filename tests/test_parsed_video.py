"""A parsed video: events in seconds, and names and places that every format can hold."""

import os
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parsed_videos import example, example_probabilities, names, parsed_videos, quickly

from link.errors import LinkError
from link.events import Event, Parsing, events_to_grid
from link.parsed_video import ParsedVideo, url_of


def parsing(segments: int, classes: tuple[str, ...] = ("rain",), seconds: float = 1.0) -> Parsing:
    grid = np.ones((segments, len(classes)), dtype=bool)
    return Parsing(grid, grid, classes, seconds)


def test_events_come_by_onset_and_are_scored_by_their_mean_probability():
    assert example(probabilities=example_probabilities()).events() == [
        Event("Speech", 0, 2, "audio", 0.9),
        Event("Dog", 1, 4, "audio", 0.9),
        Event("Dog", 2, 6, "visual", 0.8),
    ]


def test_events_that_begin_together_come_heard_before_seen_and_then_by_class():
    found = [
        Event("bell", 0, 2, "audio"),
        Event("rain", 0, 1, "visual"),
        Event("bell", 0, 1, "visual"),
        Event("rain", 1, 2, "audio"),
    ]
    parsing = Parsing.from_events(found[::-1], 2, ("rain", "bell"))
    video = ParsedVideo(parsing, "a.mp4")
    assert video.events() == found
    assert list(video.stretches(parsing.audio)) == [(0, 1, 2), (1, 0, 2)]


def test_without_probabilities_events_have_no_score():
    assert {event.score for event in example().events()} == {None}


def test_events_end_with_the_video():
    video = ParsedVideo(parsing(3), "a.mp4", duration=2.4)
    assert [event.offset for event in video.events()] == [2.4, 2.4]
    longer = ParsedVideo(parsing(3), "a.mp4", duration=7.0)
    assert [event.offset for event in longer.events()] == [3.0, 3.0]
    # The last segment of this one has begun, but only just.
    (event, _) = ParsedVideo(parsing(1, seconds=2.0), "a.mp4", duration=1e-9).events()
    assert event == Event("rain", 0, 0.001, "audio")


@quickly
@given(parsed_videos())
def test_the_events_are_those_of_the_parsing(video):
    whole = replace(video, duration=None)
    seconds, classes = video.parsing.segment_seconds, video.parsing.classes
    for modality in ("audio", "visual"):
        grid = getattr(video.parsing, modality)
        mine = [event for event in whole.events() if event.modality == modality]
        assert np.array_equal(events_to_grid(mine, len(grid), classes, seconds), grid)
    if video.duration is not None:
        assert all(event.offset <= video.duration + 0.001 for event in video.events())


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\tb", "\x00", "\x85", "\u2028", "\ud800"])
def test_a_class_name_that_cannot_be_written_is_refused(name):
    with pytest.raises(LinkError, match="cannot name a class"):
        ParsedVideo(parsing(1, ("rain", name)), "a.mp4")


def test_a_class_name_that_is_there_twice_is_refused():
    with pytest.raises(LinkError, match="'rain' is there twice"):
        ParsedVideo(parsing(1, ("rain", "bell", "rain")), "a.mp4")


@pytest.mark.parametrize(
    ("known", "complaint"),
    [
        ({"duration": 9.0}, "leave out segments after the end"),
        ({"duration": float("nan")}, "leave out segments after the end"),
        ({"duration": float("inf")}, "leave out segments after the end"),
        ({"absent": {"audio"}}, "audio events in a video without"),
        ({"absent": {"audio", "visual"}}, "one of audio and visual"),
        ({"absent": {"smell"}}, "one of audio and visual"),
        ({"probabilities": np.zeros((10, 3, 2))}, r"\(10, 3, 2\), not \(10, 2, 3\)"),
        ({"probabilities": np.full((10, 2, 3), np.nan)}, "audio probabilities lie outside"),
        ({"probabilities": np.full((10, 2, 3), 1.1)}, "audio probabilities lie outside"),
        ({"provenance": {"model": object()}}, "is not JSON"),
        ({"provenance": {"loss": float("nan")}}, "is not JSON"),
    ],
)
def test_parts_that_do_not_fit_are_refused(known, complaint):
    with pytest.raises(ValueError, match=complaint):
        example(**known)


@pytest.mark.parametrize(("segments", "seconds"), [(0, 1.0), (1, 0.001), (1, float("inf"))])
def test_a_grid_that_no_clock_can_follow_is_refused(segments, seconds):
    with pytest.raises(ValueError, match="cannot be exported"):
        ParsedVideo(parsing(segments, seconds=seconds), "a.mp4")


def test_probabilities_of_an_absent_modality_may_be_anything():
    grid = np.ones((1, 1), dtype=bool)
    probabilities = np.array([[[np.nan], [0.7]]])
    video = ParsedVideo(
        Parsing(grid & False, grid, ("rain",)), "a.mp4", None, probabilities, {"audio"}
    )
    assert video.events() == [Event("rain", 0, 1, "visual", 0.7)]


# ---- where the video is ----


@pytest.mark.parametrize("url", ["javascript:harm()", "file:///a.mp4", "a b.mp4", "ü.mp4", ""])
def test_a_string_that_is_no_url_of_a_video_is_refused(url):
    with pytest.raises(LinkError, match="is no URL of a video"):
        example(url)


@pytest.mark.parametrize(
    ("video", "name"),
    [
        (Path("films", "a b#1?.mp4"), "a b#1?.mp4"),
        (Path("two\nlines.mp4"), "two\ufffdlines.mp4"),
        (Path(os.fsdecode(b"no-text-\xff.mp4")), "no-text-\ufffd.mp4"),
        ("https://example.org/films/a%20b.mp4?size=large#t=3", "a b.mp4"),
        ("https://example.org/", "https://example.org/"),
        ("data:video/mp4;base64,AAAA", "video"),
    ],
)
def test_the_name_is_one_line_of_text(video, name):
    assert example(video).name == name


@quickly
@given(names.map(lambda name: name.replace("/", "-")) | st.just(os.fsdecode(b"\xff\x01\n ?")))
def test_a_url_leads_to_its_file(name):
    for folder in ("videos", "out", "videos/parsed", "."):
        url = url_of(Path("videos", name), Path(folder))
        assert url.startswith((".", "..")) and url.isascii() and not set(url) & set(" \"'<>&?#")
        found = os.path.normpath(os.fsencode(folder) + b"/" + unquote_to_bytes(url))
        assert found == os.path.normpath(b"videos/" + os.fsencode(name))


def test_a_linked_video_is_found_from_the_folder_and_a_url_stays_as_it_is():
    assert example(Path("films/a b.mp4")).linked_from(Path("out")).url == "../films/a%20b.mp4"
    url = "https://example.org/a.mp4"
    assert example(url).linked_from(Path("out")).url == url
