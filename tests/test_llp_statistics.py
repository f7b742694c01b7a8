"""The table in the package is what the annotations say, and what its headline needs."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from link import llp_statistics
from link.events import CLASSES
from link.llp import LLP, Skipped, Split, read_llp
from link.llp_statistics import (
    TABLE,
    agreement,
    cooccurrence,
    count_statistics,
    extent_iou,
    extent_relation,
    extent_relations,
    headline,
    load_statistics,
    main,
    marked_extents,
    write_statistics,
)

SHARED = Path(__file__).parents[1].parent / "shared" / "llp"
PACKAGED = Path(llp_statistics.__file__).with_name(TABLE)
needs_llp = pytest.mark.skipif(
    not SHARED.exists(), reason=f"LLP's annotation files are not in {SHARED}"
)
SPEECH, CAR, DOG, CAT = (CLASSES.index(name) for name in ("Speech", "Car", "Dog", "Cat"))


def made_up() -> LLP:
    """Three videos whose table can be counted by hand."""
    weak = np.zeros((3, 25), dtype=bool)
    weak[0, [SPEECH, DOG]] = True
    weak[1, [SPEECH, CAR]] = True
    weak[2, SPEECH] = True
    audio = np.zeros((3, 10, 25), dtype=bool)
    visual = np.zeros((3, 10, 25), dtype=bool)
    audio[1, :4, SPEECH] = True
    visual[1, 2:6, SPEECH] = True
    audio[1, 9, CAT] = True
    audio[2, 5:, SPEECH] = visual[2, 5:, SPEECH] = True
    skipped = (
        Skipped("AVVP_eval_audio.csv", 7, ("unknown video", "zero length"), "x\t1\t1\tDog"),
        Skipped("AVVP_eval_audio.csv", 8, ("unknown video",), "x\t1\t2\tDog"),
    )
    return LLP(
        train=Split(("aaaaaaaaaaa_0_10",), weak[:1]),
        val=Split(("bbbbbbbbbbb_0_10",), weak[1:2], audio[1:2], visual[1:2]),
        test=Split(("ccccccccccc_0_10",), weak[2:], audio[2:], visual[2:]),
        skipped=skipped,
        rows={"AVVP_eval_audio.csv": 5, "AVVP_eval_visual.csv": 2},
    )


def named(counts: list[int]) -> dict[str, int]:
    return {name: count for name, count in zip(CLASSES, counts, strict=True) if count}


def test_counts_by_hand():
    table = count_statistics(made_up())
    assert table["splits"]["train"]["videos"] == 1
    assert named(table["splits"]["train"]["weak"]) == {"Speech": 1, "Dog": 1}
    assert table["splits"]["train"]["labels"] == [0, 0, 1]
    assert table["splits"]["test"]["labels"] == [0, 1]
    assert table["label_sets"] == {f"{SPEECH} {DOG}": 1, f"{SPEECH} {CAR}": 1, f"{SPEECH}": 1}
    assert named(cooccurrence(table)[SPEECH].tolist()) == {"Speech": 3, "Car": 1, "Dog": 1}
    assert named(cooccurrence(table)[DOG].tolist()) == {"Speech": 1, "Dog": 1}
    assert {key: named(counts) for key, counts in table["evaluation"].items()} == {
        "heard_only": {"Cat": 1},
        "seen_only": {},
        "both": {"Speech": 2},
        "equal": {"Speech": 1},
        "neither": {"Car": 1},
        "unlisted": {"Cat": 1},
        "audio_segments": {"Speech": 9, "Cat": 1},
        "visual_segments": {"Speech": 9},
    }
    assert table["extents"] == {
        "heard_only": {"0000000001": 1},
        "seen_only": {},
        "both": {"1111000000 0011110000": 1, "0000011111 0000011111": 1},
    }
    assert table["faults"]["AVVP_eval_audio.csv"] == {
        "rows": 5,
        "skipped": 2,
        "reasons": {"unknown video": 2, "zero length": 1},
        "unknown_videos": 1,
    }
    facts = headline(table)
    assert (facts["heard"], facts["seen"], facts["both"]) == (3, 2, 2)
    assert facts["never_seen"] == pytest.approx(1 / 3)
    assert facts["never_heard"] == 0
    assert facts["equal"] == 0.5
    assert facts["iou"] == pytest.approx((2 / 6 + 1) / 2)


def test_extent_iou():
    assert extent_iou("1100", "0110") == pytest.approx(1 / 3)
    assert extent_iou("1100", "0011") == 0
    with pytest.raises(ValueError):
        extent_iou("110", "1100")


def test_relations_of_extents():
    assert extent_relation("1100", "1100") == "equal"
    assert extent_relation("0100", "1100") == "heard within seen"
    assert extent_relation("1111", "1001") == "seen within heard"
    assert extent_relation("1100", "0110") == "overlapping"
    assert extent_relation("1100", "0011") == "disjoint"
    relations = extent_relations(count_statistics(made_up()))
    assert relations == {
        "equal": 1,
        "heard within seen": 0,
        "seen within heard": 0,
        "overlapping": 1,
        "disjoint": 0,
    }


def test_extents_of_a_modality_are_those_of_its_events_however_they_occur():
    table = count_statistics(made_up())
    assert marked_extents(table, "audio") == {
        "0000000001": 1,
        "1111000000": 1,
        "0000011111": 1,
    }
    assert marked_extents(table, "visual") == {"0011110000": 1, "0000011111": 1}


def test_agreement_is_that_of_pairs_written_out_one_by_one():
    table = load_statistics()
    pairs = [
        pair.split() for pair, count in table["extents"]["both"].items() for _ in range(count)
    ]
    whole = ["1" * 10, "1" * 10]
    rest = [pair for pair in pairs if pair != whole]
    # Every heard extent against every seen one is what drawing at random comes to on average.
    heard = np.array([pair[0] for pair in pairs])
    seen = np.array([pair[1] for pair in pairs])
    found = agreement(table)
    assert found["equal"] == pytest.approx(headline(table)["equal"])
    assert found["whole_video"] == pytest.approx(pairs.count(whole) / len(pairs))
    assert found["equal_among_the_rest"] == pytest.approx(np.mean([a == b for a, b in rest]))
    assert found["by_chance"] == pytest.approx((heard[:, None] == seen[None, :]).mean())


@needs_llp
def test_the_packaged_table_is_what_the_annotations_say(tmp_path):
    statistics = count_statistics(read_llp(SHARED))
    assert statistics == load_statistics()
    write_statistics(statistics, tmp_path / TABLE)
    assert (tmp_path / TABLE).read_bytes() == PACKAGED.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == [TABLE]


def test_the_packaged_table_holds_counts_and_no_video():
    text = PACKAGED.read_text(encoding="utf-8")
    assert len(text) < 60_000
    assert not re.search(r"[\w-]{11}_\d+_\d+", text)

    def leaves(value):
        if isinstance(value, dict | list):
            for item in value.values() if isinstance(value, dict) else value:
                yield from leaves(item)
        else:
            yield value

    table = json.loads(text)
    assert tuple(table.pop("classes")) == CLASSES
    assert {type(leaf) for leaf in leaves(table)} == {int}


def test_the_headline_is_the_published_one():
    facts = headline(load_statistics())
    assert (facts["heard"], facts["seen"], facts["both"]) == (3_221, 2_198, 2_044)
    assert round(facts["never_seen"], 2) == 0.37
    assert round(facts["equal"], 2) == 0.60
    assert round(facts["iou"], 2) == 0.83


def test_the_parts_of_the_table_agree():
    table = load_statistics()
    weak = sum(np.array(split["weak"]) for split in table["splits"].values())
    assert np.array_equal(np.diag(cooccurrence(table)), weak)
    sizes = Counter()
    for labels, videos in table["label_sets"].items():
        sizes[len(labels.split())] += videos
    for split in table["splits"].values():
        sizes.subtract(dict(enumerate(split["labels"])))
    assert not any(sizes.values())
    for split in table["splits"].values():
        assert sum(split["labels"]) == split["videos"]
        assert sum(n * count for n, count in enumerate(split["labels"])) == sum(split["weak"])
    evaluation = table["evaluation"]
    for key, extents in table["extents"].items():
        assert sum(extents.values()) == sum(evaluation[key])
    marked = [sum(evaluation["audio_segments"]), sum(evaluation["visual_segments"])]
    extents = table["extents"]
    heard = list(extents["heard_only"].items())
    heard += [(key.split()[0], n) for key, n in extents["both"].items()]
    seen = list(extents["seen_only"].items())
    seen += [(key.split()[1], n) for key, n in extents["both"].items()]
    assert marked == [sum(key.count("1") * n for key, n in pairs) for pairs in (heard, seen)]


def test_the_command_rewrites_the_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(llp_statistics, "__file__", str(tmp_path / "llp_statistics.py"))
    monkeypatch.setattr(llp_statistics, "read_llp", lambda folder: made_up())
    assert main([str(tmp_path)]) == 0
    assert json.loads((tmp_path / TABLE).read_text()) == count_statistics(made_up())
    assert capsys.readouterr().out.strip() == str(tmp_path / TABLE)


def test_the_command_reports_bad_annotations_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(llp_statistics, "__file__", str(tmp_path / "llp_statistics.py"))
    assert main([str(tmp_path)]) == 1
    assert "AVVP_train.csv: cannot be opened" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
