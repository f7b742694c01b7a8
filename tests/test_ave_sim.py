"""ave-sim has what sets AVE apart: one class a video, heard and seen at the same time."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tiny import SIMULATION

from link import ave_sim
from link.ave import CLASSES, read_ave
from link.ave_sim import ave_statistics, count_ave, load_table, main, simulate_ave
from link.dataset import SPLITS
from link.simulated_events import draw_events

ALIGNED = replace(SIMULATION, misalignment=0.0)


@pytest.fixture(scope="module")
def events():
    return draw_events(ave_statistics(), 4000, 0.0, np.random.default_rng(0))


def test_the_table_has_the_published_sizes():
    table = load_table()
    assert table["splits"] == {"train": 3339, "val": 402, "test": 402}
    assert list(table["classes"]) == list(CLASSES)
    assert sum(table["classes"].values()) == sum(table["extents"].values()) == 4143
    # The smallest and the largest class, which the paper states too.
    assert min(table["classes"].values()) == 60
    assert max(table["classes"].values()) == 188


def test_a_video_has_one_class_heard_and_seen_over_one_extent():
    dataset = simulate_ave(ALIGNED)
    assert dataset.simulated and dataset.name == "ave-sim" and dataset.classes == CLASSES
    for split in dataset.splits().values():
        assert (split.weak.sum(axis=1) == 1).all()
    for split in (dataset.val, dataset.test):
        assert np.array_equal(split.audio_truth, split.visual_truth)
        assert (split.audio_truth.any(axis=1) == split.weak).all()
        for active in split.audio_truth.any(axis=2):
            assert np.abs(np.diff(active.astype(int), prepend=0, append=0)).sum() == 2


def test_classes_and_extents_are_as_frequent_as_in_the_table(events):
    table, videos = load_table(), len(events.weak)
    expected = np.array(list(table["classes"].values())) / 4143
    reach = 5 * np.sqrt(expected * (1 - expected) / videos)
    assert (np.abs(events.weak.mean(axis=0) - expected) < reach).all()
    whole = events.audio.any(axis=2).all(axis=1).mean()
    assert whole == pytest.approx(table["extents"]["1111111111"] / 4143, abs=0.04)


def test_ave_s_own_events_are_aligned():
    as_counted = draw_events(ave_statistics(), 500, 1.0, np.random.default_rng(0))
    assert np.array_equal(as_counted.audio, as_counted.visual)


def test_the_knob_misaligns(events):
    independent = draw_events(ave_statistics(), 500, 2.0, np.random.default_rng(0))
    assert np.array_equal(events.audio, events.visual)
    assert not np.array_equal(independent.audio, independent.visual)
    assert (independent.audio.any(axis=1) == independent.weak).all()


def test_one_seed_gives_the_same_data_set():
    assert simulate_ave(ALIGNED).fingerprint() == simulate_ave(ALIGNED).fingerprint()
    other = simulate_ave(replace(ALIGNED, seed=1))
    assert other.fingerprint() != simulate_ave(ALIGNED).fingerprint()
    assert set(other.splits()) == set(SPLITS)


def test_a_folder_of_annotations_is_counted(tmp_path, monkeypatch, capsys):
    for file, line in (
        ("trainSet.txt", "Bark&aaaaaaaaaaa&good&0&3\nCat&aaaaaaaaaaa&good&0&0"),
        ("valSet.txt", "Bark&bbbbbbbbbbb&good&0&3"),
        ("testSet.txt", "Goat&ccccccccccc&good&9&10"),
    ):
        (tmp_path / file).write_text(line)
    table = count_ave(read_ave(tmp_path))
    assert table["splits"] == {"train": 2, "val": 1, "test": 1}
    assert {name: n for name, n in table["classes"].items() if n} == {
        "Bark": 2,
        "Goat": 1,
        "Cat": 1,
    }
    assert table["extents"] == {"1110000000": 2, "0000000001": 1, "0000000000": 1}
    assert table["remarks"] == {"zero length": 1, "listed again in its split": 2}
    monkeypatch.setattr(ave_sim, "__file__", str(tmp_path / "ave_sim.py"))
    assert main([str(tmp_path)]) == 0
    assert json.loads((tmp_path / "ave_statistics.json").read_text()) == table
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "cannot be opened" in capsys.readouterr().err
