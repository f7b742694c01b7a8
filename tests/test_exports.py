"""Exports as the programs that read them see them."""

import csv
import io
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import defaultdict
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pympi
import pytest
from hypothesis import given
from parsed_videos import NASTY, example, example_probabilities, names, parsed_videos, quickly

from link import exports
from link.errors import LinkError
from link.events import Event, Parsing
from link.exports import FORMATS, known_formats, to_audacity, to_csv, to_eaf, to_vtt, write
from link.parsed_video import ParsedVideo, readable
from link.parsing_json import read_json

WORDS = {"audio": "heard", "visual": "seen"}


def named(*classes: str) -> ParsedVideo:
    """A video in which every one of these classes is heard throughout."""
    grid = np.ones((1, len(classes)), dtype=bool)
    return ParsedVideo(Parsing(grid, grid & False, classes), "./clip.webm")


# ---- CSV ----


def test_csv_by_hand():
    assert to_csv(example(probabilities=example_probabilities())) == (
        "modality,label,onset,offset,score\r\n"
        "audio,Speech,0.0,2.0,0.9\r\n"
        "audio,Dog,1.0,4.0,0.9\r\n"
        "visual,Dog,2.0,6.0,0.8\r\n"
    )
    assert to_csv(named("a,b", 'c"d')).splitlines()[1:] == [
        'audio,"a,b",0.0,1.0,',
        'audio,"c""d",0.0,1.0,',
    ]


@quickly
@given(parsed_videos())
def test_csv_brings_the_events_back(video):
    rows = csv.DictReader(io.StringIO(to_csv(video), newline=""), strict=True)
    assert video.events() == [
        Event(
            row["label"].removeprefix("'"),
            float(row["onset"]),
            float(row["offset"]),
            row["modality"],
            float(row["score"]) if row["score"] else None,
        )
        for row in rows
    ]


@quickly
@given(names)
def test_no_cell_of_a_csv_is_a_formula(name):
    for row in csv.reader(io.StringIO(to_csv(named(name)), newline="")):
        assert not any(cell.strip()[:1] in {*"=+-@＝＋－＠"} for cell in row)


def test_only_labels_that_need_it_get_an_apostrophe():
    labels = ("=1", " -1", "'tis", "Speech", "1-1", "(=)")
    rows = list(csv.DictReader(io.StringIO(to_csv(named(*labels)), newline="")))
    written = ["'=1", "' -1", "''tis", "Speech", "1-1", "(=)"]
    assert [row["label"] for row in rows] == written


# ---- WebVTT ----


def test_vtt_by_hand():
    assert to_vtt(example()) == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:02.000\nSpeech (heard)\n\n"
        "00:00:01.000 --> 00:00:02.000\nDog (heard)\n\n"
        "00:00:02.000 --> 00:00:04.000\nDog (heard and seen)\n\n"
        "00:00:04.000 --> 00:00:06.000\nDog (seen)\n"
    )
    assert (
        to_vtt(named("a --> <b> & c_d")).splitlines()[-1] == "a --&gt; &lt;b&gt; &amp; c d (heard)"
    )


def test_vtt_of_a_video_in_which_nothing_happens_is_a_header():
    grid = np.zeros((3, 1), dtype=bool)
    assert to_vtt(ParsedVideo(Parsing(grid, grid, ("rain",)), "a.mp4")) == "WEBVTT\n"


def test_vtt_counts_hours():
    grid = np.zeros((7262, 1), dtype=bool)
    grid[7261] = True
    video = ParsedVideo(Parsing(grid, grid & False, ("rain",)), "a.mp4", 7261.25)
    assert "\n02:01:01.000 --> 02:01:01.250\n" in to_vtt(video)


def test_what_lasts_a_millisecond_is_not_rounded_away():
    grid = np.array([[False], [True]])
    parsing = Parsing(grid, grid & False, ("rain",), segment_seconds=0.0115)
    video = ParsedVideo(parsing, "a.mp4", duration=0.0115001)
    assert "\n00:00:00.012 --> 00:00:00.013\n" in to_vtt(video)


def test_a_browser_reads_the_cues(chromium):
    """Chromium's own parser says what is in the file."""
    video = named(*NASTY)
    page = chromium.new_page()
    cues = page.evaluate(
        """text => new Promise((resolve, reject) => {
            const track = document.createElement("track");
            track.src = URL.createObjectURL(new Blob([text], {type: "text/vtt"}));
            track.onload = () => resolve(Array.from(track.track.cues, cue =>
                [cue.startTime, cue.endTime, cue.getCueAsHTML().textContent]));
            track.onerror = reject;
            const video = document.createElement("video");
            video.append(track);
            document.body.append(video);
            track.track.mode = "showing";
        })""",
        to_vtt(video),
    )
    page.close()
    assert cues == [[0, 1, f"{readable(label)} (heard)"] for label in NASTY]


@quickly
@given(parsed_videos())
def test_vtt_keeps_its_grammar_and_says_what_the_grid_says(video):
    header, *blocks = to_vtt(video).removesuffix("\n").split("\n\n")
    assert header == "WEBVTT"
    starts, marked = [], defaultdict(int)
    for block in blocks:
        times, text = block.split("\n")
        assert re.fullmatch(r"\d\d:[0-5]\d:[0-5]\d\.\d{3} --> \d\d:[0-5]\d:[0-5]\d\.\d{3}", times)
        start, stop = times.split(" --> ")
        assert start < stop
        starts.append(start)
        assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", text)
        marked[text.rpartition(" (")[2]] += 1
    assert starts == sorted(starts)
    audio, visual = video.parsing.audio, video.parsing.visual
    grids = {"heard": audio & ~visual, "seen": visual & ~audio, "heard and seen": audio & visual}
    assert dict(marked) == {
        f"{words})": len(list(video.stretches(grid)))
        for words, grid in grids.items()
        if grid.any()
    }


# ---- Audacity ----


def test_audacity_by_hand():
    assert to_audacity(example()) == (
        "0.000000\t2.000000\tSpeech (heard)\n"
        "1.000000\t4.000000\tDog (heard)\n"
        "2.000000\t6.000000\tDog (seen)\n"
    )


@quickly
@given(parsed_videos())
def test_audacity_brings_the_events_back(video):
    lines = [line.split("\t") for line in to_audacity(video).split("\n")[:-1]]
    assert [(float(onset), float(offset), text) for onset, offset, text in lines] == [
        (event.onset, event.offset, f"{event.label} ({WORDS[event.modality]})")
        for event in video.events()
    ]


# ---- ELAN ----


def check_structure(document: ET.Element) -> None:
    """The rules of EAF 3.0 that concern what we write."""
    assert document.tag == "ANNOTATION_DOCUMENT" and document.get("FORMAT") == "3.0"
    assert datetime.fromisoformat(document.get("DATE")).tzinfo
    assert {"AUTHOR", "VERSION"} <= document.attrib.keys()
    order = ["HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE"]
    positions = [order.index(part.tag) for part in document]
    assert positions == sorted(positions) and positions.count(3) == 1
    slots = document.findall("TIME_ORDER/TIME_SLOT")
    time = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE")) for slot in slots}
    assert len(time) == len(slots)
    assert list(time.values()) == sorted(time.values())
    types = {each.get("LINGUISTIC_TYPE_ID") for each in document.findall("LINGUISTIC_TYPE")}
    tiers = document.findall("TIER")
    assert len({tier.get("TIER_ID") for tier in tiers}) == len(tiers)
    identities, used = [], []
    for tier in tiers:
        assert tier.get("LINGUISTIC_TYPE_REF") in types
        ends = []
        for annotation in tier.findall("ANNOTATION/ALIGNABLE_ANNOTATION"):
            identities.append(annotation.get("ANNOTATION_ID"))
            references = [annotation.get(f"TIME_SLOT_REF{end}") for end in (1, 2)]
            used += references
            ends += [time[reference] for reference in references]
            assert [child.tag for child in annotation] == ["ANNOTATION_VALUE"]
        # No annotation is empty, and none begins before the one in front has ended.
        assert all(start < stop for start, stop in zip(ends[::2], ends[1::2], strict=True))
        assert all(before <= after for before, after in pairwise(ends))
    names = [*identities, *time]
    assert len(set(names)) == len(names) and all(
        re.fullmatch(r"[a-z]+\d+", name) for name in names
    )
    assert sorted(used) == sorted(time)


@quickly
@given(parsed_videos())
def test_eaf_keeps_its_structure_and_brings_the_events_back(video):
    document = ET.fromstring(to_eaf(video).encode())
    check_structure(document)
    found = [
        (tier.get("TIER_ID"), value.text)
        for tier in document.findall("TIER")
        for value in tier.findall(".//ANNOTATION_VALUE")
    ]
    assert sorted(found) == sorted(
        (f"{event.label} ({WORDS[event.modality]})", event.label) for event in video.events()
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_another_library_reads_the_eaf(tmp_path):
    path = tmp_path / "a.eaf"
    path.write_text(to_eaf(example()), encoding="utf-8")
    document = pympi.Eaf(path)
    assert {name: document.get_annotation_data_for_tier(name) for name in document.tiers} == {
        "Speech (heard)": [(0, 2000, "Speech")],
        "Dog (heard)": [(1000, 4000, "Dog")],
        "Dog (seen)": [(2000, 6000, "Dog")],
    }
    assert document.get_linked_files()[0]["RELATIVE_MEDIA_URL"] == "./clip.webm"
    assert document.get_full_time_interval() == (0, 6000)


def media(video: ParsedVideo) -> dict:
    return ET.fromstring(to_eaf(video)).find("HEADER/MEDIA_DESCRIPTOR").attrib


def test_eaf_names_the_file_as_it_is_and_a_url_as_a_url():
    path = "../films/my dog & I #1.webm"
    linked = example(Path("films/my dog & I #1.webm")).linked_from(Path("out"))
    assert media(linked) == {
        "MEDIA_URL": path,
        "RELATIVE_MEDIA_URL": path,
        "MIME_TYPE": "video/webm",
    }
    url = "https://example.org/a%20b.mp4"
    assert media(example(url)) == {"MEDIA_URL": url, "MIME_TYPE": "video/mp4"}


# ---- files ----


def test_every_format_is_a_file_beside_the_others(tmp_path):
    paths = write(example(), tmp_path / "new" / "out", "my.clip")
    suffixes = [".json", ".csv", ".vtt", ".eaf", ".audacity.txt", ".html"]
    assert paths == [tmp_path / "new" / "out" / f"my.clip{suffix}" for suffix in suffixes]
    assert sorted(paths) == sorted((tmp_path / "new" / "out").iterdir())
    for path, form in zip(paths, FORMATS.values(), strict=True):
        if path.suffix != ".eaf":  # It says when it was written.
            assert path.read_bytes() == form.render(example()).encode()


@pytest.mark.parametrize("name", [*NASTY[4:], os.fsdecode(b"bytes-\xff"), "two\nlines"])
def test_exports_lead_to_a_video_of_any_name(tmp_path, name):
    video = tmp_path / "films" / f"{name.replace('/', '-')}.webm"
    video.parent.mkdir()
    video.touch()
    paths = write(example(video), tmp_path / "out", "a", ["json", "html", "eaf"])
    assert read_json(paths[0]).video == video
    assert read_json(paths[0]).video.exists()


def test_only_the_formats_named_are_written_each_once(tmp_path):
    assert known_formats(["vtt", "csv", "vtt"]) == ["csv", "vtt"]
    assert known_formats(["csv", "all"]) == list(FORMATS)
    assert write(example(), tmp_path, "a", ["csv"]) == [tmp_path / "a.csv"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_an_unknown_format_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(LinkError, match="no format 'srt': name some of json, csv, vtt, eaf"):
        write(example(), tmp_path / "out", "a", ["csv", "srt"])
    with pytest.raises(LinkError, match="no format given"):
        known_formats([])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("stem", ["", "a/b", "../a", "/a"])
def test_a_stem_that_leads_elsewhere_is_refused(tmp_path, stem):
    with pytest.raises(ValueError, match="leave out folders"):
        write(example(), tmp_path / "out", stem)


def test_a_render_that_fails_leaves_the_old_files(tmp_path, monkeypatch):
    write(example(), tmp_path, "a", ["csv"])
    before = (tmp_path / "a.csv").read_bytes()

    def fail(video):
        raise RuntimeError("no")

    broken = {**FORMATS, "vtt": FORMATS["vtt"]._replace(render=fail)}
    monkeypatch.setattr(exports, "FORMATS", broken)
    with pytest.raises(RuntimeError):
        write(named("rain"), tmp_path, "a", ["csv", "vtt"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert (tmp_path / "a.csv").read_bytes() == before


def test_exports_need_no_torch():
    code = "import sys, link.exports; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
