"""What the picture of a parsed video shows, read back from its HTML."""

from html.parser import HTMLParser

import numpy as np
import pytest

from link.events import CLASSES, Event, Parsing
from link.timeline import SIGNS, Timeline

TRUTH = Parsing.from_events(
    [
        Event("Dog", 0, 10, "visual"),
        Event("Dog", 2, 4, "audio"),
        Event("Speech", 3, 10, "audio"),
    ]
)
FOUND = Parsing.from_events(
    [
        Event("Dog", 0, 10, "visual"),
        Event("Dog", 3, 5, "audio"),
        Event("Cat", 9, 10, "audio"),
    ]
)
TIMELINE = Timeline(FOUND, TRUTH, "A <made-up> video")


class Cells(HTMLParser):
    """The rows of the picture: what the first cell says, then the class or text of the others."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows, self.kind = [], None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.kind = dict(attrs).get("class") if tag in ("div", "figure") else self.kind
        if self.kind == "name":
            self.rows.append(["", []])
        elif tag == "div" and self.rows and self.kind != "legend":
            self.rows[-1][1].append(self.kind if "lane" in self.kind else "")

    def handle_data(self, data):
        if self.kind == "name":
            self.rows[-1][0] += data
        elif self.kind in ("picture", "sound", "tick"):
            self.rows[-1][1][-1] += data


ROWS = dict(Cells(TIMELINE.html()).rows)


def test_the_strips_show_what_happens_in_each_second():
    dog, speech = SIGNS["Dog"], SIGNS["Speech"]
    assert ROWS["picture"] == 10 * [dog]
    assert ROWS["sound"] == ["", "", dog, speech + dog, *6 * [speech]]
    assert ROWS["second"] == [str(second) for second in range(10)]


def test_a_lane_tells_found_from_wrong_and_missed():
    verdicts = [kind.removeprefix("lane").strip() for kind in ROWS[f"{SIGNS['Dog']} Dog, heard"]]
    assert verdicts == ["", "", "missed", "heard", "heard wrong", "", "", "", "", ""]
    speech = ROWS[f"{SIGNS['Speech']} Speech, heard"]
    assert [kind == "lane missed" for kind in speech] == 3 * [False] + 7 * [True]
    assert ROWS[f"{SIGNS['Dog']} Dog, seen"] == 10 * ["lane seen"]
    assert ROWS[f"{SIGNS['Cat']} Cat, heard"] == [*9 * ["lane "], "lane heard wrong"]


def test_classes_that_neither_occur_nor_were_found_have_no_lane():
    assert sum("," in name for name in ROWS) == 2 * 3


def test_the_words_for_it_name_every_event():
    text = TIMELINE.describe()
    assert text.startswith("A <made-up> video. ")
    for words in ("Dog heard from 2 to 4 s", "Speech heard from 3 to 10 s"):
        assert words in text.split("Found")[0]
    assert "Cat heard from 9 to 10 s" in text.split("Found")[1]
    nothing = Parsing(np.zeros((10, 25), bool), np.zeros((10, 25), bool))
    assert Timeline(nothing, TRUTH, "x").describe().endswith("Found: nothing.")


def test_what_users_name_is_text_and_not_markup():
    assert "A &lt;made-up&gt; video" in TIMELINE.html()
    assert "<made-up>" not in TIMELINE.html()
    strange = Parsing.from_events([Event("<b>", 0, 1, "audio")], classes=("<b>",))
    assert "<b>" not in Timeline(strange, strange, "x").html()


def test_every_class_has_a_sign():
    assert list(SIGNS) == list(CLASSES) and all(SIGNS.values())


def test_what_does_not_match_is_refused():
    with pytest.raises(ValueError, match="different classes"):
        Timeline(Parsing.from_events([], classes=("Dog",)), TRUTH, "x")
    with pytest.raises(ValueError, match="7 segments were parsed, and 10 are annotated"):
        Timeline(Parsing.from_events([], segments=7), TRUTH, "x")
