"""ave-sim: a simulated stand-in for AVE, for chapters that need no download.

Classes, their frequencies and the extents of events are drawn from counts over AVE's annotations,
in a small table beside this module that names no video. Features are those of `link.simulation`,
and as much invented. In AVE whatever happens is heard and seen at the same time, hence a
misalignment of 0.

``python -m link.ave_sim FOLDER`` counts the table again.
"""

import argparse
import json
import sys
from collections import Counter
from dataclasses import replace
from importlib import resources
from pathlib import Path

from link.ave import AVE, CLASSES, AVEError, read_ave
from link.dataset import Dataset
from link.llp_statistics import extent_of
from link.runs import write_json
from link.simulation import SimulationConfig, simulate

TABLE = "ave_statistics.json"
NAME = "ave-sim"


def count_ave(ave: AVE) -> dict:
    """The table: clips of each split and class, how often each extent occurs, and remarks.

    An extent is a string of T digits, 1 where the event is; remarks are lines with each reason.
    """
    classes, extents = Counter(), Counter()
    for split in ave.splits().values():
        classes.update(CLASSES[label] for label in split.weak.argmax(axis=1))
        for active in split.audio.any(axis=2):
            extents[extent_of(active)] += 1
    return {
        "splits": {name: len(split) for name, split in ave.splits().items()},
        "classes": {name: classes[name] for name in CLASSES},
        "extents": dict(sorted(extents.items(), reverse=True)),
        "remarks": dict(Counter(r for remark in ave.remarks for r in remark.reasons)),
    }


def load_table() -> dict:
    """The table that ships with the package."""
    return json.loads(resources.files("link").joinpath(TABLE).read_text(encoding="utf-8"))


def ave_statistics() -> dict:
    """The table in the form that `link.simulated_events` draws from.

    One class a video, every event heard and seen over one extent. The extent without any second is
    left out.
    """
    table = load_table()
    counts = list(table["classes"].values())
    both = {f"{extent} {extent}": n for extent, n in table["extents"].items() if "1" in extent}
    kinds = dict.fromkeys(("heard_only", "seen_only", "neither"), [0] * len(counts))
    return {
        "classes": list(table["classes"]),
        "label_sets": {str(label): videos for label, videos in enumerate(counts)},
        "evaluation": {**kinds, "both": counts},
        "extents": {"heard_only": {}, "seen_only": {}, "both": both},
    }


def simulate_ave(config: SimulationConfig | None = None) -> Dataset:
    """Draw ave-sim, deterministic in ``config``; see `link.simulation.simulate`.

    A misalignment of 1 is the same as 0 here, for AVE's own events are aligned; at 2 an event is
    heard over one of AVE's extents and seen over another.
    """
    config = config or replace(SimulationConfig(), misalignment=0.0)
    return simulate(config, ave_statistics(), NAME)


def main(arguments: list[str] | None = None) -> int:
    """The program: count again, and rewrite the table."""
    parser = argparse.ArgumentParser(
        prog="python -m link.ave_sim",
        description="Count AVE's annotations again and rewrite the table in the package.",
        epilog="example: python -m link.ave_sim AVE_Dataset",
    )
    parser.add_argument("folder", help="folder with trainSet.txt, valSet.txt and testSet.txt")
    folder = parser.parse_args(arguments).folder
    try:
        table = count_ave(read_ave(folder))
    except AVEError as error:
        print(error, file=sys.stderr)
        return 1
    path = Path(__file__).with_name(TABLE)
    write_json(path, table)
    print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
