"""The page: safe whatever the names are, and usable by mouse, keyboard and screen reader."""

import base64
import hashlib
import itertools
import json
import re
import shutil
from collections.abc import Callable
from fractions import Fraction
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from parsed_videos import NASTY, example, example_probabilities, parsed_videos, quickly

from link import player
from link.events import Parsing
from link.exports import write
from link.parsed_video import ParsedVideo, readable
from link.player import Player, clock, to_html


class Reader(HTMLParser):
    """A page's elements, and the text within each tag."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link"):
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        for tag in set(self.open):
            self.texts[tag][-1] += data

    def attributes(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


def policy(page: Reader) -> dict[str, str]:
    (content,) = (meta["content"] for meta in page.attributes("meta") if "http-equiv" in meta)
    return dict(rule.split(" ", 1) for rule in content.split("; "))


# ---- what the page is made of ----


@quickly
@given(parsed_videos())
def test_no_name_becomes_markup(video):
    page, plain = Reader(to_html(video)), Reader(to_html(example()))
    assert not page.open
    # Names add rows to the table and entries to the provenance, and nothing else.
    varying = {"tr", "th", "td", "div", "dt", "dd", "p", "li", "span", "audio", "video"}
    assert [tag for tag, _ in page.tags if tag not in varying] == [
        tag for tag, _ in plain.tags if tag not in varying
    ]
    known = {key for _, attributes in plain.tags for key in attributes} | {"colspan"}
    assert {key for _, attributes in page.tags for key in attributes} <= known
    assert page.texts["title"] == [f"Events in {video.name}"]
    assert page.texts["h1"] == [video.name]
    events = video.events()
    assert page.texts["th"][6:] == [readable(event.label) for event in events]
    assert page.texts.get("dt", []) == list(video.provenance)
    rows = json.loads(page.texts["script"][0])["rows"]
    found = sorted((row["label"], len(lane["events"])) for row in rows for lane in row["lanes"])
    lanes = [modality for modality in ("audio", "visual") if modality not in video.absent]
    shown = {event.label for event in events}
    if video.probabilities is not None:
        shown = set(video.parsing.classes)
    assert found == sorted(
        (readable(label), sum((e.label, e.modality) == (label, lane) for e in events))
        for label in shown
        for lane in lanes
    )


def test_the_policy_lets_in_this_page_s_script_and_style_and_nothing_else():
    page = Reader(to_html(example()))
    rules = policy(page)
    for tag, text in (("script", page.texts["script"][1]), ("style", page.texts["style"][0])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert [script.get("type") for script in page.attributes("script")] == [
        "application/json",
        None,
    ]


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("./a.webm", "'self' file:"),
        ("https://example.org/a.webm?a&lt;b\"onerror='harm()'", "https:"),
        ("data:video/webm;base64,AAAA", "data:"),
    ],
)
def test_the_policy_lets_in_the_video(url, source):
    page = Reader(to_html(example(url)))
    assert policy(page)["media-src"] == source
    assert page.attributes("video")[0]["src"] == url


def test_the_table_says_everything_without_a_script():
    page = to_html(example(probabilities=example_probabilities(), duration=9.5))
    rows = re.findall(r"<tr><th scope=\"row\".*</tr>", page)
    assert [re.sub("(<[^>]+>)+", "|", row) for row in rows] == [
        "|Speech|heard|0:00|0:02|0.90|",
        "|Dog|heard|0:01|0:04|0:02–0:04|0.90|",
        "|Dog|seen|0:02|0:06|0:02–0:04|0.80|",
    ]
    assert "Events: 2 heard, 1 seen; of 2 classes, in 0:09.5." in page


def test_a_page_without_events_says_so():
    grid = np.zeros((3, 1), dtype=bool)
    page = to_html(ParsedVideo(Parsing(grid, grid, ("rain",)), "./a.mp4"))
    assert "No event was found in 0:03." in page and "No event was found.</td>" in page


@pytest.mark.parametrize(
    ("modality", "element", "says"),
    [("visual", "audio", "There is no picture"), ("audio", "video", "The video has no sound")],
)
def test_a_page_says_which_modality_is_absent(modality, element, says):
    grids = {"audio": np.ones((2, 1), dtype=bool), "visual": np.ones((2, 1), dtype=bool)}
    grids[modality][:] = False
    video = ParsedVideo(Parsing(**grids, classes=("rain",)), "./a.mp4", absent={modality})
    page = Reader(to_html(video))
    assert any(says in text for text in page.texts["p"])
    assert len(page.attributes(element)) == 1
    assert len(page.texts["li"]) == 1
    (row,) = json.loads(page.texts["script"][0])["rows"]
    assert [lane["word"] for lane in row["lanes"]] == [{"visual": "heard"}.get(modality, "seen")]


def test_classes_that_do_not_occur_have_a_row_for_their_probabilities_only():
    def labels(video: ParsedVideo) -> list[str]:
        rows = json.loads(Reader(to_html(video)).texts["script"][0])["rows"]
        return [row["label"] for row in rows]

    assert labels(example()) == ["Speech", "Dog"]
    assert labels(example(probabilities=example_probabilities())) == [
        "Speech",
        "Dog",
        "Frying (food)",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (9.96, "0:09.96"),
        (59.9996, "1:00"),
        (600, "10:00"),
        (3600, "1:00:00"),
        (7261.25, "2:01:01.25"),
    ],
)
def test_the_clock(seconds, text):
    assert clock(seconds) == text


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(one: str, other: str) -> float:
    """Source: WCAG 2.2, contrast ratio."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_colours_are_those_of_the_book_and_stand_out_in_both_themes():
    style = resources.files("link").joinpath("player.css").read_text()
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
        for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)[:2]
    )
    assert [light[name] for name in ("heard", "seen", "both")] == ["#0072b2", "#e69f00", "#009e73"]
    for theme in (light, light | dark):
        for text, ground in itertools.product(("text", "quiet"), ("page", "lane")):
            assert contrast(theme[text], theme[ground]) >= 4.5, (text, ground)
        for mark in ("heard-edge", "seen-edge", "both-edge", "playhead", "focus", "quiet"):
            assert contrast(theme[mark], theme["page"]) >= 3, mark
            assert contrast(theme[mark], theme["lane"]) >= 3, mark


# ---- in a notebook ----


def framed(shown: Player) -> str:
    frame = Reader(shown._repr_html_())
    (attributes,) = frame.attributes("iframe")
    assert len(frame.tags) == 1 and attributes["sandbox"] == "allow-scripts"
    return attributes["srcdoc"]


def test_a_notebook_shows_the_same_page_with_the_video_in_it(tmp_path):
    video = example(tmp_path / 'a "b".webm')
    video.video.write_bytes(b"not really a video")
    url = "data:video/webm;base64," + base64.b64encode(b"not really a video").decode()
    assert framed(Player(video)) == to_html(video, url)
    assert repr(Player(video)) == "Player('a \"b\".webm', 3 events)"


def test_a_notebook_leaves_out_a_video_that_is_too_large_or_out_of_reach(tmp_path, monkeypatch):
    monkeypatch.setattr(player, "EMBEDDING_LIMIT", 3)
    large = tmp_path / "a.webm"
    large.write_bytes(b"four")
    for video in (large, "./a.webm"):
        page = framed(Player(example(video)))
        assert "not part of this page" in page and "<video" not in page
    assert 'src="https://a.org/a.webm"' in framed(Player(example("https://a.org/a.webm")))
    with pytest.raises(FileNotFoundError, match="none"):
        Player(example(tmp_path / "none.webm"))


# ---- in a browser ----


def tiny_video(path: Path, seconds: int = 10) -> None:
    """VP8 at ten frames a second; its colour changes every second."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libvpx", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(10 * seconds):
            pixels = np.full((48, 64, 3), 25 * (index // 10), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("player")
    tiny_video(folder / "dog #1 & <b>.webm")
    return folder


Visit = Callable[..., SimpleNamespace]


@pytest.fixture
def visit(chromium, folder):
    """Open the page of a parsed video; at the end no page may have complained."""
    opened = []

    def open_page(video: ParsedVideo | None = None, width: int = 1280, file: str = "a.html"):
        video = video or example(
            folder / "dog #1 & <b>.webm", duration=10.0, probabilities=example_probabilities()
        )
        write(video, folder, file.removesuffix(".html"), ["html"])
        context = chromium.new_context(viewport={"width": width, "height": 900})
        page = context.new_page()
        complaints, requests = [], []
        page.on("console", lambda said: complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto((folder / file).as_uri())
        opened.append((context, complaints))
        return SimpleNamespace(page=page, complaints=complaints, requests=requests)

    yield open_page
    for context, complaints in opened:
        context.close()
        assert complaints == []


def seconds(page) -> float:
    """Where the video is, once it has arrived there."""
    page.wait_for_function(
        "() => { const m = document.querySelector('#media'); "
        "return m.readyState >= 2 && !m.seeking }"
    )
    return round(page.evaluate("document.querySelector('#media').currentTime"), 3)


def now(page) -> list[str]:
    return page.locator("#now dd").all_text_contents()


def test_clicks_seek_the_video(visit):
    page = visit().page
    page.get_by_role("button", name="Dog, seen from 0:02 to 0:06").click()
    assert seconds(page) == 2
    assert now(page) == ["Dog", "Dog", "Dog"]
    page.get_by_role("button", name="Dog, heard from 0:01 to 0:04").click()
    assert seconds(page) == 1
    assert now(page) == ["Speech, Dog", "nothing", "nothing"]
    track = page.locator(".row:not(.scale) .track").first
    box = track.bounding_box()
    track.click(position={"x": 0.85 * box["width"], "y": box["height"] / 2})
    assert seconds(page) == pytest.approx(8.5, abs=0.05)
    assert now(page) == ["nothing", "nothing", "nothing"]


def test_the_scale_can_be_dragged(visit):
    page = visit().page
    box = page.get_by_role("slider").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.2 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], middle)
    assert seconds(page) == pytest.approx(6, abs=0.05)
    page.mouse.up()
    page.mouse.move(box["x"] + 0.1 * box["width"], middle)
    assert seconds(page) == pytest.approx(6, abs=0.05)


def test_keys_seek_the_video(visit):
    page = visit().page
    for key, place in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1)):
        page.keyboard.press(key)
        assert seconds(page) == place
    page.get_by_role("slider").focus()
    for key, place in (("End", 10), ("PageDown", 0), ("PageUp", 10), ("Home", 0), ("ArrowUp", 1)):
        page.keyboard.press(key)
        assert seconds(page) == place
    page.get_by_role("button", name="Dog, seen").focus()
    page.keyboard.press("Enter")
    assert seconds(page) == 2
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowRight")
    assert seconds(page) == 3


def test_arrow_keys_go_to_the_borders_of_segments(visit):
    page = visit().page
    page.evaluate("document.querySelector('#media').currentTime = 4.5")
    assert seconds(page) == 4.5
    page.keyboard.press("ArrowRight")
    assert seconds(page) == 5
    page.evaluate("document.querySelector('#media').currentTime = 4.5")
    assert seconds(page) == 4.5
    page.keyboard.press("ArrowLeft")
    assert seconds(page) == 4


def test_the_playhead_follows_the_video(visit):
    page = visit().page
    page.get_by_role("slider").focus()
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelector('#media').currentTime > 1.2")
    assert "Dog" in now(page)[0]
    page.keyboard.press("Space")
    assert page.evaluate("document.querySelector('#media').paused")
    place = seconds(page)
    left = page.evaluate("document.querySelector('.playhead').getBoundingClientRect().left + 1")
    box = page.get_by_role("slider").bounding_box()
    assert (left - box["x"]) / box["width"] == pytest.approx(place / 10, abs=0.005)


def test_what_is_both_heard_and_seen_is_marked_in_both_lanes(visit):
    page = visit().page
    mark = page.locator(".both-mark")
    assert mark.count() == 1
    box, scale = mark.bounding_box(), page.get_by_role("slider").bounding_box()
    assert (box["x"] - scale["x"]) / scale["width"] == pytest.approx(0.2, abs=0.005)
    assert box["width"] / scale["width"] == pytest.approx(0.2, abs=0.005)
    for word in ("heard", "seen"):
        lane = page.get_by_role("button", name=f"Dog, {word}").bounding_box()
        assert box["y"] <= lane["y"] + 1
        assert lane["y"] + lane["height"] <= box["y"] + box["height"] + 1


def test_probabilities_come_on_demand(visit):
    page = visit().page
    toggle = page.get_by_role("button", name="Probabilities")
    other = page.get_by_role("group", name="Frying (food)")
    assert page.locator(".curve").count() == 0 and not other.is_visible()
    page.get_by_role("button", name="Dog, seen").click()
    toggle.click()
    assert toggle.get_attribute("aria-pressed") == "true"
    assert page.locator(".curve").count() == 6 and other.is_visible()
    words = page.get_by_role("group", name="Dog").locator(".words")
    assert words.inner_text().split("\n") == ["heard 0.90", "seen 0.50"]
    page.keyboard.press("ArrowRight")
    assert words.inner_text().split("\n") == ["heard 0.90", "seen 0.90"]
    drawn = page.locator(".curve path").nth(3).get_attribute("d")
    assert drawn == "M0 0.900V0.900H1V0.900H2V0.500H3V0.100H4V0.100H5V0.100H6" + "".join(
        f"V0.900H{end}" for end in range(7, 11)
    )
    toggle.click()
    assert words.inner_text().split("\n") == ["heard", "seen"] and not other.is_visible()


def test_a_screen_reader_finds_its_way(visit):
    page = visit().page
    for role in ("banner", "main", "contentinfo"):
        assert page.get_by_role(role).count() == 1, role
    headings = page.get_by_role("heading").all_text_contents()
    assert headings == ["dog #1 & <b>.webm", "Now", "Time line", "All events"]
    assert page.get_by_role("table").get_by_role("row").count() == 4
    page.get_by_role("button", name="Dog, heard").click()
    assert (
        page.get_by_role("status").inner_text() == "0:01; heard: Speech, Dog; seen: nothing; "
        "both: nothing"
    )
    slider = page.get_by_role("slider", name="Position in the video")
    assert slider.get_attribute("aria-valuenow") == "1.000"
    assert slider.get_attribute("aria-valuetext").startswith("0:01; heard: Speech, Dog;")
    page.keyboard.press("Control+Home")
    page.reload()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the table of events"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "table"


def test_names_are_inert_in_a_browser(visit, folder):
    grid = np.ones((10, len(NASTY)), dtype=bool)
    video = ParsedVideo(
        Parsing(grid, grid, NASTY),
        folder / "dog #1 & <b>.webm",
        provenance={name: name for name in NASTY},
    )
    visited = visit(video)
    page = visited.page
    page.locator(".lane button").first.click()
    assert page.evaluate("window.harm") is None
    assert page.locator(".label").all_text_contents() == [readable(name) for name in NASTY]
    assert [url for url in visited.requests if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("width", [1280, 380])
def test_nothing_sticks_out_of_the_window(visit, folder, width):
    known = example(probabilities=example_probabilities())
    long = shutil.copy(folder / "dog #1 & <b>.webm", folder / f"{'n' * 200}.webm")
    video = ParsedVideo(
        Parsing(known.parsing.audio, known.parsing.visual, ("W" * 200, "word " * 40, "Dog")),
        Path(long),
        probabilities=known.probabilities,
        provenance={"model": "m" * 300},
    )
    page = visit(video, width).page
    page.get_by_role("button", name="Probabilities").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_long_video_can_be_zoomed_into_and_stays_quick(visit, folder):
    generator = np.random.default_rng(0)
    # Two hours, some ten seconds an event.
    grid = np.repeat(generator.random((720, 2, 12)) < 0.03, 10, axis=0)
    video = ParsedVideo(
        Parsing(grid[:, 0], grid[:, 1], tuple("abcdefghijkl")),
        folder / "dog #1 & <b>.webm",
        duration=7199.5,
    )
    page = visit(video).page
    assert page.locator(".lane button").count() == len(video.events()) > 300
    scale, zoom_in = page.get_by_role("slider"), page.get_by_role("button", name="Zoom in")
    before = scale.bounding_box()["width"]
    zoom_in.click()
    assert scale.bounding_box()["width"] == pytest.approx(2 * before, rel=0.01)
    for _ in range(20):
        if zoom_in.is_enabled():
            zoom_in.click()
    assert scale.bounding_box()["width"] == pytest.approx(16 * 7199.5, rel=0.01)
    assert page.locator(".tick").count() < 2000
    away = "document.querySelector('#time-line').scrollLeft = 50000"
    page.evaluate(away)
    page.keyboard.press("ArrowRight")
    visible = page.locator("#time-line").bounding_box()
    playhead = page.locator(".playhead").bounding_box()["x"]
    assert visible["x"] <= playhead <= visible["x"] + visible["width"]
    # Who scrolls away while the video plays is left in peace.
    page.evaluate(away)
    page.evaluate("document.querySelector('#media').currentTime = 0")
    page.evaluate("document.querySelector('#media').play()")
    page.wait_for_function("() => document.querySelector('#media').currentTime > 0.5")
    assert page.evaluate("document.querySelector('#time-line').scrollLeft") == 50000


def test_a_short_video_has_no_zoom(visit):
    assert not visit().page.get_by_role("button", name="Zoom in").is_visible()


def test_a_video_that_does_not_play_says_so_and_the_time_line_works(visit, folder):
    visited = visit(example(folder / "gone.webm"))
    page = visited.page
    page.get_by_role("alert").wait_for()
    assert "cannot be played" in page.get_by_role("alert").inner_text()
    page.get_by_role("button", name="Dog, seen").click()
    assert now(page) == ["Dog", "Dog", "Dog"]
    (complaint,) = visited.complaints
    assert "ERR_FILE_NOT_FOUND" in complaint
    visited.complaints.clear()


def test_the_frame_of_a_notebook_plays(visit, folder):
    shown = Player(example(folder / "dog #1 & <b>.webm"))
    notebook = f"<!doctype html><title>notebook</title>{shown._repr_html_()}"
    (folder / "notebook.html").write_text(notebook, encoding="utf-8")
    page = visit().page
    page.goto((folder / "notebook.html").as_uri())
    frame = page.frame_locator("iframe")
    frame.get_by_role("button", name="Dog, seen").click()
    assert frame.locator("#now dd").first.inner_text() == "Dog"
    inside = page.frames[1]
    inside.wait_for_function("() => document.querySelector('#media').readyState >= 2")
    assert inside.evaluate("document.querySelector('#media').currentTime") == 2
    assert page.locator("iframe").get_attribute("title") == "Events in dog #1 & <b>.webm"
