"""Parsed videos for tests, and the names that somebody who wants to do harm would choose."""

from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from link.events import Event, Parsing
from link.parsed_video import ParsedVideo

NASTY = (
    "</script><script>window.harm = 1</script>",
    "<img src=x onerror='window.harm = 1'>",
    '" onfocus="window.harm = 1" autofocus x="',
    "<!-- <script>",
    "a --> b",
    "]]>",
    "&lt;b&gt; & &#60;",
    "$data ${data} $$",
    "=HYPERLINK(1)",
    " +1",
    "-1",
    "@SUM(A1)",
    "＝1",
    "'tis",
    'a "quoted", name; with\\signs',
    "Frying_(food)",
    "犬が吠える",
    "\u202eright to left",
    "👩\u200d👧",
)

#: How long a test may go on looking for a parsed video that breaks it.
quickly = settings(max_examples=40, deadline=None)

#: What a class may be called.
names = st.one_of(
    st.sampled_from(NASTY),
    st.text(
        st.characters(
            exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="\ufffe\uffff"
        ),
        min_size=1,
        max_size=8,
    ).filter(str.strip),
)


@st.composite
def parsed_videos(draw) -> ParsedVideo:
    """Any parsed video of a few segments and classes."""
    classes = tuple(draw(st.lists(names, min_size=1, max_size=3, unique=True)))
    segments = draw(st.integers(1, 8))
    seconds = draw(st.sampled_from([1.0, 0.96, 0.1, 10 / 3, 1000.0]) | st.floats(0.01, 100))
    grids = {name: draw(arrays(bool, (segments, len(classes)))) for name in ("audio", "visual")}
    absent = draw(st.sampled_from([frozenset(), frozenset({"audio"}), frozenset({"visual"})]))
    for modality in absent:
        grids[modality][:] = False
    shape = (segments, 2, len(classes))
    end_in_last = st.floats(0.001, 2.0).map(lambda part: (segments - 1 + part) * seconds)
    return ParsedVideo(
        Parsing(**grids, classes=classes, segment_seconds=seconds),
        draw(names.map(lambda name: Path("videos", name.replace("/", "-") + ".mp4"))),
        draw(st.none() | end_in_last),
        draw(st.none() | arrays(np.float32, shape, elements=st.floats(0, 1, width=32))),
        absent,
        draw(st.dictionaries(names, names | st.integers() | st.none(), max_size=2)),
    )


def example(video: Path | str = "./clip.webm", **known) -> ParsedVideo:
    """A dog heard from 1 to 4 s and seen from 2 to 6 s, and speech heard from 0 to 2 s."""
    events = [
        Event("Dog", 1, 4, "audio"),
        Event("Dog", 2, 6, "visual"),
        Event("Speech", 0, 2, "audio"),
    ]
    classes = ("Speech", "Dog", "Frying_(food)")
    return ParsedVideo(Parsing.from_events(events, 10, classes), video, **known)


def example_probabilities() -> np.ndarray:
    """0.9 where the example has an event, 0.1 elsewhere, but 0.5 for the dog seen at 2 s."""
    parsing = example().parsing
    probabilities = np.where(np.stack([parsing.audio, parsing.visual], axis=1), 0.9, 0.1)
    probabilities[2, 1, 1] = 0.5
    return probabilities
