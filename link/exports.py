"""A parsed video as files for other programs: one file a format, beside each other.

``json``
    Everything; see `link.parsing_json`.
``csv``
    A row an event, for spreadsheets and data frames.
``vtt``
    WebVTT, for the caption track of a video player.
``eaf``
    An annotation document for ELAN.
``audacity``
    A label track for Audacity.
``html``
    A page with the video and its events on a time line; see `link.player`.

Every function turns a `ParsedVideo` into the text of a file. What is heard and what is seen are
events of their own in ``json``, ``csv``, ``eaf`` and ``audacity``; ``vtt`` and ``html`` show
where a class is both.
"""

import csv
import io
import mimetypes
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import link
from link.errors import LinkError
from link.events import Event
from link.files import write_whole, writing
from link.parsed_video import WORDS, ParsedVideo, readable
from link.parsing_json import to_json
from link.player import to_html


def to_csv(video: ParsedVideo) -> str:
    """One row an event: ``modality``, ``label``, ``onset``, ``offset`` and ``score``.

    The modality is audio or visual, times are in seconds, and the score is empty where there is
    none. As RFC 4180 has it, with a header; UTF-8 without a byte order mark.

    A spreadsheet takes a cell that begins with =, +, - or @ for a formula, and class names may
    come with a model that somebody else has made. So a label that begins with one of these, or
    with an apostrophe, gets one apostrophe in front. Without a leading apostrophe, if there is
    one, it is the label again.
    """
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(("modality", "label", "onset", "offset", "score"))
    for event in video.events():
        score = "" if event.score is None else event.score
        label = _no_formula(event.label)
        rows.writerow((event.modality, label, event.onset, event.offset, score))
    return text.getvalue()


def _no_formula(label: str) -> str:
    # Spreadsheets of East Asia read the wide forms of the signs as formulas as well.
    return f"'{label}" if label.lstrip()[0] in "=+-@'＝＋－＠" else label


def to_vtt(video: ParsedVideo) -> str:
    """A cue for each stretch in which a class is heard, seen, or heard and seen.

    So one event may be several cues, ``Dog (heard)`` and then ``Dog (heard and seen)``. Sorted by
    start, then by class. Source: WebVTT, W3C Candidate Recommendation.
    """
    audio, visual = video.parsing.audio, video.parsing.visual
    cues = sorted(
        (*video.in_seconds(start, stop), index, words)
        for words, grid in (
            ("heard", audio & ~visual),
            ("seen", visual & ~audio),
            ("heard and seen", audio & visual),
        )
        for start, index, stop in video.stretches(grid)
    )
    blocks = ["WEBVTT"]
    for onset, offset, index, words in cues:
        start, stop = _milliseconds(onset, offset)
        label = readable(video.parsing.classes[index])
        escaped = label.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        blocks.append(f"{_clock(start)} --> {_clock(stop)}\n{escaped} ({words})")
    return "\n\n".join(blocks) + "\n"


def _milliseconds(onset: float, offset: float) -> tuple[int, int]:
    start = round(1000 * onset)
    return start, max(start + 1, round(1000 * offset))


def _clock(milliseconds: int) -> str:
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{milliseconds:03}"


def to_audacity(video: ParsedVideo) -> str:
    """One line an event: onset and offset in seconds, and the label; tabs between them.

    Labels read ``Dog (heard)``. Audacity draws labels that overlap in rows of their own.
    """
    return "".join(
        f"{event.onset:.6f}\t{event.offset:.6f}\t{_marked(event)}\n" for event in video.events()
    )


def _marked(event: Event) -> str:
    return f"{event.label} ({WORDS[event.modality]})"


def to_eaf(video: ParsedVideo) -> str:
    """An annotation document of format 3.0 with a tier for each class heard and each class seen.

    ELAN allows no overlap in a tier, and the events of one class and modality do not overlap. The
    tier ``Dog (heard)`` holds the annotations ``Dog``, so that a search over several tiers finds
    labels. Scores are left out. Source: ELAN Annotation Format 3.0, schema and description, Max
    Planck Institute for Psycholinguistics.
    """
    schema_instance = "http://www.w3.org/2001/XMLSchema-instance"
    document = ET.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": f"link-avvp {link.__version__}",
            "DATE": datetime.now(UTC).isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            f"{{{schema_instance}}}noNamespaceSchemaLocation": (
                "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
            ),
        },
    )
    events = video.events()
    header = ET.SubElement(document, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    _describe_media(header, video.url)
    ET.SubElement(header, "PROPERTY", NAME="lastUsedAnnotationId").text = str(len(events))

    ends = sorted(
        (time, number, end)
        for number, event in enumerate(events)
        for end, time in enumerate(_milliseconds(event.onset, event.offset), start=1)
    )
    slots, slot_of = ET.SubElement(document, "TIME_ORDER"), {}
    for position, (time, *which) in enumerate(ends, start=1):
        slot_of[tuple(which)] = f"ts{position}"
        ET.SubElement(slots, "TIME_SLOT", TIME_SLOT_ID=f"ts{position}", TIME_VALUE=str(time))

    tiers: dict[str, ET.Element] = {}
    for number, event in enumerate(events):
        name = _marked(event)
        if name not in tiers:
            tiers[name] = ET.Element("TIER", LINGUISTIC_TYPE_REF="event", TIER_ID=name)
        annotation = ET.SubElement(
            ET.SubElement(tiers[name], "ANNOTATION"),
            "ALIGNABLE_ANNOTATION",
            ANNOTATION_ID=f"a{number + 1}",
            TIME_SLOT_REF1=slot_of[number, 1],
            TIME_SLOT_REF2=slot_of[number, 2],
        )
        ET.SubElement(annotation, "ANNOTATION_VALUE").text = event.label
    document.extend(tiers[name] for name in sorted(tiers))
    ET.SubElement(
        document,
        "LINGUISTIC_TYPE",
        GRAPHIC_REFERENCES="false",
        LINGUISTIC_TYPE_ID="event",
        TIME_ALIGNABLE="true",
    )
    ET.indent(document)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(document, encoding="unicode")}\n'


def _describe_media(header: ET.Element, url: str) -> None:
    kind = mimetypes.guess_type(urlsplit(url).path)[0] or "unknown"
    if urlsplit(url).scheme:
        ET.SubElement(header, "MEDIA_DESCRIPTOR", MEDIA_URL=url, MIME_TYPE=kind)
        return
    # ELAN looks for the file of exactly this name, without decoding it.
    path = unquote(url)
    ET.SubElement(
        header, "MEDIA_DESCRIPTOR", MEDIA_URL=path, MIME_TYPE=kind, RELATIVE_MEDIA_URL=path
    )


class Format(NamedTuple):
    """One form in which `write` writes a parsed video."""

    suffix: str  #: what its files' names end with
    render: Callable[[ParsedVideo], str]  #: makes a file's text


#: What `write` writes, by the name that a caller gives.
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "json": Format(".json", to_json),
        "csv": Format(".csv", to_csv),
        "vtt": Format(".vtt", to_vtt),
        "eaf": Format(".eaf", to_eaf),
        "audacity": Format(".audacity.txt", to_audacity),
        "html": Format(".html", to_html),
    }
)


def known_formats(names: Iterable[str]) -> list[str]:
    """The formats of these names, each once; ``all`` stands for every one.

    Raises LinkError for a name that is none, and for no name at all.
    """
    wanted = set(names)
    unknown = sorted(wanted - {*FORMATS, "all"})
    if unknown or not wanted:
        raise LinkError(
            f"there is no format {', '.join(map(repr, unknown)) or 'given'}: "
            f"name some of {', '.join(FORMATS)}, or all"
        )
    return [name for name in FORMATS if name in wanted or "all" in wanted]


def write(
    video: ParsedVideo, folder: str | Path, stem: str, formats: Iterable[str] = ("all",)
) -> list[Path]:
    """Write ``folder/stem.json`` and so on, and return the paths written.

    The folder is made if it is not there; what was at a path is replaced, once the new file is
    complete. A video that is a file is linked to by its path relative to the folder.

    Raises LinkError for an unknown format, before anything is written, and where a file cannot be
    written.
    """
    folder = Path(folder)
    if not stem or Path(stem).name != stem:
        raise ValueError(f"{stem!r} cannot begin a file's name: leave out folders")
    linked = video.linked_from(folder)
    contents = {
        folder / f"{stem}{FORMATS[name].suffix}": FORMATS[name].render(linked).encode()
        for name in known_formats(formats)
    }
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for path, content in contents.items():
        write_whole(path, lambda file, content=content: file.write(content))
    return list(contents)
