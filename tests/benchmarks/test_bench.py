"""The benchmark's results: a column a machine."""

import csv
import json

from bench import keep


def machine(processor, when):
    return {"processor": processor, "accelerator": "none", "torch": "2", "when": when}


def test_figures_are_kept_machine_by_machine(tmp_path):
    path = tmp_path / "figures.json"
    keep(machine("one", "first"), {"rate": 1.0, "gone": 2.0}, path)
    keep(machine("other", "then"), {"rate": 12.345}, path)
    keep(machine("one", "last"), {"rate": 3.0, "new": 4.0}, path)
    assert [run["figures"] for run in json.loads(path.read_text())] == [
        {"rate": 3.0, "new": 4.0},
        {"rate": 12.345},
    ]
    rows = list(csv.reader(path.with_suffix(".csv").read_text().splitlines()))
    assert rows == [
        ["figure", "one", "other"],
        ["rate", "3", "12.3"],
        ["new", "4", ""],
        ["accelerator", "none", "none"],
        ["torch", "2", "2"],
        ["when", "last", "then"],
    ]
