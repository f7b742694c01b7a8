"""A page that plays a video beside its events, in one file and without a network.

The page is `player.html` with `player.css` and `player.js` in it, the events as JSON, and a table
of them as plain HTML. Names from files and captions reach it in two ways only: escaped as HTML, or
as JSON whose ``<`` is written ``\\u003c``, which the script puts on the page as text. A content
security policy lets the page run its own script, by its hash, and load its own video, and nothing
else.
"""

import base64
import hashlib
import html
import json
import mimetypes
from importlib import resources
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

import numpy as np

from link.parsed_video import WORDS, ParsedVideo, readable

#: A video of more bytes than this does not go into a notebook.
EMBEDDING_LIMIT = 16 * 2**20

ABSENT = {
    "audio": "The video has no sound, so nothing could be heard.",
    "visual": "There is no picture, so nothing could be seen.",
}


def to_html(video: ParsedVideo, url: str | None = None) -> str:
    """The page of a parsed video; ``url`` in place of the video's own, and ``""`` for no video."""
    url = video.url if url is None else url
    template, style, script = (
        resources.files("link").joinpath(f"player.{suffix}").read_text(encoding="utf-8")
        for suffix in ("html", "css", "js")
    )
    return Template(template).substitute(
        policy=_policy(style, script, url),
        style=style,
        script=script,
        name=html.escape(video.name),
        media=_media(video, url),
        legend=_legend(video),
        summary=html.escape(_summary(video)),
        notes="".join(f"<p>{ABSENT[modality]}</p>" for modality in sorted(video.absent)),
        table=_table(video),
        provenance=_provenance(video),
        data=_for_script(_time_line(video)),
    )


class Player:
    """The page as a notebook shows it: the last expression of a cell, in a frame.

    A notebook's page cannot reach files beside it in every viewer. So a video that is a file is
    embedded, if it has at most `EMBEDDING_LIMIT` bytes; a larger one, and a relative URL, is left
    out, and the time line stands alone.

    Raises OSError if the file cannot be read.
    """

    def __init__(self, video: ParsedVideo):
        self.video = video
        self.url = _embedded(video.video)

    def __repr__(self) -> str:
        return f"Player({self.video.name!r}, {len(self.video.events())} events)"

    def _repr_html_(self) -> str:
        lanes = (len(WORDS) - len(self.video.absent)) * len(_occurring(self.video))
        height = min(900, (380 if self.url else 160) + 260 + 40 * lanes)
        page = html.escape(to_html(self.video, self.url))
        # Without allow-same-origin the page cannot touch the notebook.
        return (
            f'<iframe title="Events in {html.escape(self.video.name)}" sandbox="allow-scripts" '
            f'allow="fullscreen" width="100%" height="{height}" style="border: 0" '
            f'srcdoc="{page}"></iframe>'
        )


def _embedded(video: Path | str) -> str:
    if isinstance(video, str):
        return video if urlsplit(video).scheme else ""
    if video.stat().st_size > EMBEDDING_LIMIT:
        return ""
    kind = mimetypes.guess_type(video)[0] or "video/mp4"
    return f"data:{kind};base64,{base64.b64encode(video.read_bytes()).decode()}"


# ---- parts of the page ----


def _policy(style: str, script: str, url: str) -> str:
    # 'self' is a page from a server, file: one from a disk.
    media = f"{urlsplit(url).scheme}:" if urlsplit(url).scheme else "'self' file:"
    return html.escape(
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        f"media-src {media}; img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _for_script(value: object) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _media(video: ParsedVideo, url: str) -> str:
    if not url:
        return "<p>The video itself is not part of this page.</p>"
    element = "audio" if "visual" in video.absent else "video"
    return (
        f'<{element} id="media" controls playsinline preload="metadata" '
        f'src="{html.escape(url)}" aria-label="{html.escape(video.name)}"></{element}>'
    )


def _legend(video: ParsedVideo) -> str:
    words = [WORDS[modality] for modality in WORDS if modality not in video.absent]
    entries = [(word, word) for word in words]
    if len(words) > 1:
        entries.append(("both", "both at once"))
    return "".join(f'<li><span class="swatch {kind}"></span>{text}</li>' for kind, text in entries)


def _summary(video: ParsedVideo) -> str:
    counts = [f"{len(video.parsing.events(m))} {WORDS[m]}" for m in WORDS if m not in video.absent]
    classes = len(_occurring(video))
    if not classes:
        return f"No event was found in {clock(video.length)}."
    return (
        f"Events: {', '.join(counts)}; of {classes} {'class' if classes == 1 else 'classes'}, "
        f"in {clock(video.length)}."
    )


def _table(video: ParsedVideo) -> str:
    rows = []
    for event, start, stop in video.events_in_segments():
        index = video.parsing.classes.index(event.label)
        both = np.zeros_like(video.parsing.audio)
        both[start:stop, index] = video.parsing.audio_visual[start:stop, index]
        shared = ", ".join(_span(*video.in_seconds(a, b)) for a, _, b in video.stretches(both))
        score = "" if event.score is None else f"{event.score:.2f}"
        cells = (WORDS[event.modality], clock(event.onset), clock(event.offset), shared, score)
        rows.append(
            f'<tr><th scope="row" dir="auto">{html.escape(readable(event.label))}</th>'
            + "".join(f"<td>{cell}</td>" for cell in cells)
            + "</tr>"
        )
    return "\n".join(rows) or '<tr><td colspan="6">No event was found.</td></tr>'


def _span(onset: float, offset: float) -> str:
    return f"{clock(onset)}–{clock(offset)}"


def clock(seconds: float) -> str:
    """Hours if there are any, minutes, seconds, and what is left to the millisecond."""
    milliseconds = round(1000 * seconds)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, fraction = divmod(rest, 1000)
    start = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{start}:{whole:02}" + f".{fraction:03}".rstrip("0").rstrip(".")


def _provenance(video: ParsedVideo) -> str:
    pairs = {
        str(key): value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in video.provenance.items()
    }
    return "".join(
        f"<div><dt>{html.escape(key)}</dt><dd>{html.escape(value)}</dd></div>"
        for key, value in pairs.items()
    )


# ---- what the script draws ----


def _occurring(video: ParsedVideo) -> list[int]:
    """The classes that occur, by their first onset."""
    found = video.parsing.audio | video.parsing.visual
    return list(dict.fromkeys(index for _, index, _ in video.stretches(found)))


def _time_line(video: ParsedVideo) -> dict:
    """The rows of the time line, one a class: those that occur, by their first onset, come first.

    Classes that do not occur have a row only for the sake of their probabilities.
    """
    classes = _occurring(video)
    if video.probabilities is not None:
        classes += [i for i in range(len(video.parsing.classes)) if i not in classes]
    return {
        "length": video.length,
        "step": video.parsing.segment_seconds,
        "rows": [_row(video, index) for index in classes],
        "hasProbabilities": video.probabilities is not None,
    }


def _row(video: ParsedVideo, index: int) -> dict:
    lanes = []
    for axis, (modality, word) in enumerate(WORDS.items()):
        if modality in video.absent:
            continue
        spans = _spans(video, getattr(video.parsing, modality)[:, index])
        lane = {"word": word, "events": spans}
        if video.probabilities is not None:
            # Three decimals are finer than a screen, and a long video has many segments.
            lane["probabilities"] = (
                video.probabilities[:, axis, index].astype(float).round(3).tolist()
            )
        lanes.append(lane)
    return {
        "label": readable(video.parsing.classes[index]),
        "lanes": lanes,
        "both": _spans(video, video.parsing.audio_visual[:, index]),
    }


def _spans(video: ParsedVideo, active: np.ndarray) -> list[list[float]]:
    return [
        list(video.in_seconds(start, stop)) for start, _, stop in video.stretches(active[:, None])
    ]
