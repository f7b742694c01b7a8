"""Counts over the LLP annotations, small enough to ship with the package.

The counts drive the simulator and the first chapter, so that neither needs the annotation
files. They name no video. `python -m link.llp_statistics FOLDER` counts them again.

The table's entries, C classes in the order of "classes":

- "splits": for train, val and test, "videos", "weak" (C: videos with the class in their weak
  label) and "labels" (entry n: videos with n labels).
- "label_sets": videos of all splits by their weak label. A label is the numbers of its classes,
  joined by spaces: "0 3" is the first class with the fourth.
- "evaluation": over val and test, (C) each, pairs of a video and a class that are "heard_only",
  "seen_only", "both"; "neither" counts classes of the weak label that are not marked at all, and
  "unlisted" those that are marked but not in the weak label; "equal" counts those of "both" whose
  extents agree exactly; "audio_segments" and "visual_segments" count marked segments.
- "extents": over val and test, how often each extent occurs. An extent is a string of T digits,
  1 where the class is marked: "1111100000" is the first five seconds. "heard_only" and
  "seen_only" hold one extent an entry, "both" the heard and the seen one, joined by a space.
- "faults": for each event file its number of "rows", the "skipped" ones, how many of them
  have each reason ("reasons"; a row can have several), and the number of different
  "unknown_videos".
"""

import argparse
import json
import sys
from collections import Counter
from importlib import resources
from pathlib import Path

import numpy as np

from link.events import CLASSES, SEGMENTS
from link.files import write_whole
from link.llp import EVENT_FILES, LLP, UNKNOWN_VIDEO, LLPError, Split, read_llp

TABLE = "llp_statistics.json"
SPLITS = ("train", "val", "test")


def count_statistics(llp: LLP) -> dict:
    """Count the table described above; every number in it is a Python int."""
    splits = {name: getattr(llp, name) for name in SPLITS}
    weak = np.concatenate([split.weak for split in splits.values()])
    evaluated = [llp.val, llp.test]
    audio = np.concatenate([split.audio for split in evaluated])
    visual = np.concatenate([split.visual for split in evaluated])
    listed = np.concatenate([split.weak for split in evaluated])
    return {
        "classes": list(CLASSES),
        "splits": {name: _count_split(split) for name, split in splits.items()},
        "label_sets": dict(Counter(label_set(row) for row in weak)),
        "evaluation": _count_patterns(audio, visual, listed),
        "extents": _count_extents(audio, visual),
        "faults": {file: _count_faults(llp, file) for file in EVENT_FILES.values()},
    }


def load_statistics() -> dict:
    """The table that ships with the package."""
    return json.loads(resources.files("link").joinpath(TABLE).read_text(encoding="utf-8"))


def write_statistics(statistics: dict, path: str | Path) -> None:
    """Write the table as JSON, sorted, one line for each list of numbers and each extent."""
    text = _format(statistics) + "\n"
    write_whole(Path(path), lambda file: file.write(text.encode()))


def label_set(weak: np.ndarray) -> str:
    """A weak label, bool (C,), as the numbers of its classes."""
    return " ".join(map(str, np.flatnonzero(weak)))


def cooccurrence(statistics: dict) -> np.ndarray:
    """Videos of all splits with both of two classes in their weak label, int (C, C).

    The diagonal counts the videos with the class.
    """
    together = np.zeros((len(statistics["classes"]),) * 2, dtype=int)
    for labels, videos in statistics["label_sets"].items():
        chosen = [int(label) for label in labels.split()]
        together[np.ix_(chosen, chosen)] += videos
    return together


def headline(statistics: dict) -> dict[str, float]:
    """The facts that motivate LINK, derived from the counts of val and test.

    Keys: "heard", "seen", "both" (pairs of a video and a class); "never_seen" (share of what is
    heard that is never seen in its video), "never_heard" (the reverse), "equal" (share of "both"
    whose extents agree exactly) and "iou" (mean intersection over union of the two extents).
    """
    counts = {key: sum(values) for key, values in statistics["evaluation"].items()}
    both = counts["both"]
    heard = counts["heard_only"] + both
    seen = counts["seen_only"] + both
    pairs = statistics["extents"]["both"]
    return {
        "heard": heard,
        "seen": seen,
        "both": both,
        "never_seen": counts["heard_only"] / heard,
        "never_heard": counts["seen_only"] / seen,
        "equal": counts["equal"] / both,
        "iou": sum(extent_iou(*pair.split()) * count for pair, count in pairs.items()) / both,
    }


def extent_iou(first: str, second: str) -> float:
    """Intersection over union of two extents, strings of T digits 0 and 1."""
    pairs = list(zip(first, second, strict=True))
    return pairs.count(("1", "1")) / (len(pairs) - pairs.count(("0", "0")))


def extent_relation(heard: str, seen: str) -> str:
    """How two extents lie to each other, one of the keys of `extent_relations`."""
    heard_seconds = {second for second, digit in enumerate(heard) if digit == "1"}
    seen_seconds = {second for second, digit in enumerate(seen) if digit == "1"}
    if heard_seconds == seen_seconds:
        return "equal"
    if heard_seconds < seen_seconds:
        return "heard within seen"
    if seen_seconds < heard_seconds:
        return "seen within heard"
    return "overlapping" if heard_seconds & seen_seconds else "disjoint"


def extent_relations(statistics: dict) -> dict[str, int]:
    """How many of the pairs heard and seen have extents that are equal, nested and so on."""
    keys = ("equal", "heard within seen", "seen within heard", "overlapping", "disjoint")
    counts = dict.fromkeys(keys, 0)
    for pair, count in statistics["extents"]["both"].items():
        counts[extent_relation(*pair.split())] += count
    return counts


def agreement(statistics: dict) -> dict[str, float]:
    """How much of the exact agreement of heard and seen extents is agreement in time.

    Shares of the pairs heard and seen: "equal"; "whole_video", those that are heard and seen in
    every second; "equal_among_the_rest", the equal ones where those are left out; and "by_chance",
    the share that would be equal had each heard extent met a seen extent drawn at random.
    """
    pairs = statistics["extents"]["both"]
    heard, seen = _extents_of_both(statistics, 0), _extents_of_both(statistics, 1)
    total = sum(pairs.values())
    equal = extent_relations(statistics)["equal"]
    always = "1" * SEGMENTS
    whole = pairs.get(f"{always} {always}", 0)
    return {
        "equal": equal / total,
        "whole_video": whole / total,
        "equal_among_the_rest": (equal - whole) / (total - whole),
        "by_chance": sum(count * seen[extent] for extent, count in heard.items()) / total**2,
    }


def marked_extents(statistics: dict, modality: str) -> Counter:
    """How often each extent occurs among all that is heard ("audio") or seen ("visual")."""
    side, alone = {"audio": (0, "heard_only"), "visual": (1, "seen_only")}[modality]
    return _extents_of_both(statistics, side) + Counter(statistics["extents"][alone])


def _extents_of_both(statistics: dict, side: int) -> Counter:
    counts: Counter = Counter()
    for pair, count in statistics["extents"]["both"].items():
        counts[pair.split()[side]] += count
    return counts


def _count_split(split: Split) -> dict:
    return {
        "videos": len(split),
        "weak": split.weak.sum(axis=0).tolist(),
        "labels": np.bincount(split.weak.sum(axis=1)).tolist(),
    }


def _count_patterns(audio: np.ndarray, visual: np.ndarray, listed: np.ndarray) -> dict:
    heard, seen = audio.any(axis=1), visual.any(axis=1)
    equal = heard & seen & (audio == visual).all(axis=1)
    pairs = {
        "heard_only": heard & ~seen,
        "seen_only": seen & ~heard,
        "both": heard & seen,
        "equal": equal,
        "neither": listed & ~heard & ~seen,
        "unlisted": (heard | seen) & ~listed,
    }
    counts = {key: marked.sum(axis=0).tolist() for key, marked in pairs.items()}
    counts["audio_segments"] = audio.sum(axis=(0, 1)).tolist()
    counts["visual_segments"] = visual.sum(axis=(0, 1)).tolist()
    return counts


def _count_extents(audio: np.ndarray, visual: np.ndarray) -> dict:
    extents: dict[str, Counter] = {
        "heard_only": Counter(),
        "seen_only": Counter(),
        "both": Counter(),
    }
    for video, index in np.argwhere(audio.any(axis=1) | visual.any(axis=1)):
        heard, seen = extent_of(audio[video, :, index]), extent_of(visual[video, :, index])
        if "1" not in seen:
            extents["heard_only"][heard] += 1
        elif "1" not in heard:
            extents["seen_only"][seen] += 1
        else:
            extents["both"][f"{heard} {seen}"] += 1
    return {key: dict(counter) for key, counter in extents.items()}


def extent_of(active: np.ndarray) -> str:
    """The segments (T,) of one event as a string of T digits, 1 where it is."""
    return "".join("1" if value else "0" for value in active)


def _count_faults(llp: LLP, file: str) -> dict:
    skipped = [row for row in llp.skipped if row.file == file]
    return {
        "rows": llp.rows[file],
        "skipped": len(skipped),
        "reasons": dict(Counter(reason for row in skipped for reason in row.reasons)),
        "unknown_videos": len(
            {row.text.split("\t")[0] for row in skipped if UNKNOWN_VIDEO in row.reasons}
        ),
    }


def _format(value: object, indent: str = "") -> str:
    """JSON with sorted keys, lists of numbers on one line, so that a change is easy to read."""
    inner = indent + " "
    if isinstance(value, dict) and value:
        items = [
            f"{inner}{json.dumps(key)}: {_format(value[key], inner)}" for key in sorted(value)
        ]
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    if isinstance(value, list) and value and isinstance(value[0], list):
        items = [inner + _format(row, inner) for row in value]
        return "[\n" + ",\n".join(items) + f"\n{indent}]"
    return json.dumps(value)


def main(arguments: list[str] | None = None) -> int:
    """The program: count again, and rewrite the table."""
    parser = argparse.ArgumentParser(
        prog="python -m link.llp_statistics",
        description="Count LLP's annotations again and rewrite the table in the package.",
        epilog="example: python -m link.llp_statistics data/llp",
    )
    parser.add_argument("folder", help="folder with the annotation files, AVVP_*.csv")
    folder = parser.parse_args(arguments).folder
    try:
        statistics = count_statistics(read_llp(folder))
    except LLPError as error:
        print(error, file=sys.stderr)
        return 1
    path = Path(__file__).with_name(TABLE)
    write_statistics(statistics, path)
    print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
