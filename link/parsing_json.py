"""The JSON document of a parsed video, written and read.

It is the one export that loses nothing, only that probabilities are rounded to six decimals. It
is versioned, and a JSON Schema that comes with the package describes it,
``link/parsing.schema.json``:

``format``, ``version``
    ``"link-avvp parsing"`` and 1. A change that a reader of version 1 would not survive gets a
    new version.
``video``
    ``name``, ``url`` and ``duration`` (seconds, or null). A relative URL starts at the document's
    own folder.
``segment_seconds``, ``segments``, ``classes``
    The grid: T segments of that length, from 0 s on, and the C class names.
``absent``
    The modalities that the video does not have: of ``"audio"`` and ``"visual"``.
``events``
    Each with ``modality``, ``label``, ``onset`` and ``offset`` (seconds), ``start_segment`` and
    ``stop_segment`` (half-open, from 0) and ``score`` (or null). What is heard and what is seen;
    the audio-visual events follow from these.
``probabilities``
    Null, or ``audio`` and ``visual``, each T rows of C numbers, or null for an absent modality.
``provenance``
    Whatever the maker said about the model.
"""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np

from link.errors import LinkError
from link.events import Parsing
from link.parsed_video import DECIMALS, WORDS, ParsedVideo

FORMAT, VERSION = "link-avvp parsing", 1
SCHEMA = Path(__file__).with_name("parsing.schema.json")


def to_json(video: ParsedVideo) -> str:
    """The document that this module describes, strict JSON, a line an event."""
    parsing = video.parsing
    document = {
        "format": FORMAT,
        "version": VERSION,
        "video": {"name": video.name, "url": video.url, "duration": video.duration},
        "segment_seconds": parsing.segment_seconds,
        "segments": len(parsing.audio),
        "classes": list(parsing.classes),
        "absent": sorted(video.absent),
        "events": [
            {
                "modality": event.modality,
                "label": event.label,
                "onset": event.onset,
                "offset": event.offset,
                "start_segment": start,
                "stop_segment": stop,
                "score": event.score,
            }
            for event, start, stop in video.events_in_segments()
        ],
        "probabilities": _probabilities(video),
        "provenance": dict(video.provenance),
    }
    # A path in the provenance may hold bytes that are no text.
    return (_laid_out(document) + "\n").encode("utf-8", "replace").decode()


def _probabilities(video: ParsedVideo) -> dict[str, list | None] | None:
    if video.probabilities is None:
        return None
    rounded = video.probabilities.astype(float).round(DECIMALS)
    return {
        modality: None if modality in video.absent else rounded[:, index].tolist()
        for index, modality in enumerate(WORDS)
    }


def _laid_out(value: Any, indent: str = "") -> str:
    """JSON in which only what holds further lists and objects is spread over lines."""
    inner = indent + " "
    if not isinstance(value, dict | list):
        return _compact(value)
    parts = value.values() if isinstance(value, dict) else value
    if not any(isinstance(part, dict | list) for part in parts):
        return _compact(value)
    if isinstance(value, list):
        lines, brackets = [_laid_out(part, inner) for part in value], "[]"
    else:
        lines = [f"{_compact(str(key))}: {_laid_out(part, inner)}" for key, part in value.items()]
        brackets = "{}"
    return f"{brackets[0]}\n{inner}" + f",\n{inner}".join(lines) + f"\n{indent}{brackets[1]}"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def from_json(text: str, source: str = "the text") -> ParsedVideo:
    """The parsed video that a document of `to_json` describes; LinkError if it is none.

    ``source`` is what the error calls the text.
    """
    try:
        document = json.loads(text, parse_constant=_refuse)
        if document["format"] != FORMAT:
            raise ValueError(f"its format is {document['format']!r}, not {FORMAT!r}")
        if document["version"] != VERSION:
            raise ValueError(f"its version is {document['version']!r}, and {VERSION} is known")
        return _from_document(document)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise LinkError(
            f"{source} is no parsing that can be read ({reason}); parse the video again"
        ) from error


def read_json(path: Path) -> ParsedVideo:
    """The parsed video of a document in a file, where a relative URL becomes a Path.

    Raises LinkError if the file cannot be read, or is no such document.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise LinkError(f"{path} cannot be read: {error}") from error
    video = from_json(text, str(path))
    if urlsplit(video.url).scheme:
        return video
    relative = unquote(video.url, errors="surrogateescape")
    return replace(video, video=Path(os.path.normpath(path.parent / relative)))


def _from_document(document: dict) -> ParsedVideo:
    classes = tuple(document["classes"])
    shape = (document["segments"], len(classes))
    grids = {modality: np.zeros(shape, dtype=bool) for modality in WORDS}
    for event in document["events"]:
        start, stop = event["start_segment"], event["stop_segment"]
        if not 0 <= start < stop <= shape[0]:
            raise ValueError(f"an event covers the segments {start} to {stop} of {shape[0]}")
        grids[event["modality"]][start:stop, classes.index(event["label"])] = True
    absent = frozenset(document["absent"])
    given, probabilities = document["probabilities"], None
    if given is not None:
        probabilities = np.stack(
            [
                np.zeros(shape) if modality in absent else np.array(given[modality], dtype=float)
                for modality in WORDS
            ],
            axis=1,
        )
    return ParsedVideo(
        Parsing(**grids, classes=classes, segment_seconds=document["segment_seconds"]),
        document["video"]["url"],
        document["video"]["duration"],
        probabilities,
        absent,
        document["provenance"],
    )


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number in JSON")
