"""The feature store on disk, and the fixed map that audio features go through."""

import dataclasses
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from link import array_files
from link.errors import LinkError
from link.features import (
    Dataset,
    FeatureError,
    Split,
    audio_map_matrix,
    open_store,
    verify_store,
    write_store,
)


@st.composite
def datasets(draw) -> Dataset:
    """Small data sets of every make: with and without optional arrays, empty splits too."""
    segments, classes, *widths = (draw(st.integers(1, 3)) for _ in range(5))
    motion, priors = draw(st.booleans()), draw(st.sampled_from([None, bool, np.float32]))

    def drawn(shape, dtype):
        elements = st.floats(width=32) if dtype == np.float32 else st.booleans()
        return draw(arrays(dtype, shape, elements=elements))

    def split(name: str) -> Split:
        videos = draw(st.integers(0, 3))
        grid = (videos, segments, classes)
        fields = {
            "audio": drawn((videos, segments, widths[0]), np.float32),
            "visual": drawn((videos, segments, widths[1]), np.float32),
            "weak": drawn((videos, classes), bool),
            "audio_target": drawn(grid, bool),
            "visual_target": drawn(grid, bool),
        }
        if motion:
            fields["motion"] = drawn((videos, segments, widths[2]), np.float32)
        if priors is not None:
            fields["audio_prior"] = drawn(grid, priors)
            fields["visual_prior"] = drawn(grid, priors)
        for truth in ("audio_truth", "visual_truth"):
            if draw(st.booleans()):
                fields[truth] = drawn(grid, bool)
        names = draw(st.lists(st.text(max_size=5), min_size=videos, max_size=videos))
        return Split(names=tuple(names), **fields)

    return Dataset(
        name=draw(st.text(max_size=5)),
        simulated=draw(st.booleans()),
        classes=tuple(draw(st.text(max_size=5)) for _ in range(classes)),
        train=split("train"),
        val=split("val"),
        test=split("test"),
        audio_text=drawn((classes, 2), np.float32) if draw(st.booleans()) else None,
        visual_text=drawn((classes, 3), np.float32) if draw(st.booleans()) else None,
        provenance=draw(st.dictionaries(st.text(max_size=3), st.integers() | st.text())),
    )


def same_array(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.dtype == other.dtype and np.array_equal(
        one, other, equal_nan=one.dtype == np.float32
    )


def small_dataset(videos: tuple[int, int, int] = (4, 2, 3), **changes) -> Dataset:
    rng = np.random.default_rng(5)

    def split(name: str, count: int, annotated: bool) -> Split:
        def grid():
            return rng.random((count, 10, 3)) < 0.3

        truth = {"audio_truth": grid(), "visual_truth": grid()} if annotated else {}
        return Split(
            names=tuple(f"{name}{i}" for i in range(count)),
            audio=rng.normal(size=(count, 10, 6)).astype(np.float32),
            visual=rng.normal(size=(count, 10, 5)).astype(np.float32),
            weak=rng.random((count, 3)) < 0.5,
            audio_target=grid(),
            visual_target=grid(),
            **truth,
        )

    splits = {
        name: split(name, count, name != "train")
        for name, count in zip(("train", "val", "test"), videos, strict=True)
    }
    fields = {"name": "small", "simulated": True, "classes": ("Speech", "Car", "Dog")}
    return Dataset(**fields | splits | changes)


@settings(max_examples=40, deadline=None)
@given(dataset=datasets())
def test_a_store_gives_back_what_was_written(dataset):
    with tempfile.TemporaryDirectory() as folder:
        opened = open_store(write_store(Path(folder) / "store", dataset))
        verify_store(Path(folder) / "store")
        for field in ("name", "simulated", "classes", "provenance"):
            assert getattr(opened, field) == getattr(dataset, field)
        for field in ("audio_text", "visual_text"):
            assert same_array(getattr(opened, field), getattr(dataset, field))
        for name, split in dataset.splits().items():
            for field in dataclasses.fields(Split):
                one, other = getattr(opened.splits()[name], field.name), getattr(split, field.name)
                assert one == other if field.name == "names" else same_array(one, other)
        assert opened.fingerprint() == dataset.fingerprint()


def test_splits_of_a_store_are_read_only_views_of_one_mapped_file(tmp_path):
    opened = open_store(write_store(tmp_path / "store", small_dataset()))
    addresses = [split.audio.__array_interface__["data"][0] for split in opened.splits().values()]
    row = opened.train.audio[0].nbytes
    assert addresses[1] - addresses[0] == 4 * row
    assert addresses[2] - addresses[1] == 2 * row
    whole = np.load(tmp_path / "store" / "audio.npy")
    assert np.array_equal(whole[6:], opened.test.audio)
    with pytest.raises(ValueError, match="read-only"):
        opened.test.audio[0] = 0


def test_truth_is_stored_for_the_splits_that_have_it(tmp_path):
    write_store(tmp_path / "store", small_dataset())
    header = json.loads((tmp_path / "store" / "store.json").read_text())
    assert header["arrays"]["audio_truth"]["splits"] == ["val", "test"]
    assert header["arrays"]["audio_truth"]["shape"] == [5, 10, 3]
    assert header["sizes"] == {"train": 4, "val": 2, "test": 3}
    assert np.load(tmp_path / "store" / "audio_truth.npy").shape == (5, 10, 3)
    assert open_store(tmp_path / "store").train.audio_truth is None


def test_opening_does_not_read_the_arrays(tmp_path):
    """A store of 64 GB (a hole on disk, no memory would hold it) opens as any other."""
    store = write_store(tmp_path / "store", small_dataset())
    header = json.loads((store / "store.json").read_text())
    entry = header["arrays"]["audio"]
    width = 2**36 // (9 * 10 * 4)
    entry["shape"] = [9, 10, width]
    with open(store / "audio.npy", "wb") as file:
        description = {"descr": "<f4", "fortran_order": False, "shape": (9, 10, width)}
        np.lib.format.write_array_header_1_0(file, description)
        entry["bytes"] = file.tell() + 9 * 10 * width * 4
        file.truncate(entry["bytes"])
    (store / "store.json").write_text(json.dumps(header))
    assert open_store(store).test.audio[2, 9, -1] == 0


def test_opening_a_store_of_the_real_size_is_quick(tmp_path):
    """Some milliseconds; the bound only tells them from reading or checking the arrays."""
    store = write_store(tmp_path / "store", small_dataset((10_000, 649, 1_200)))
    start = time.perf_counter()
    opened = open_store(store)
    assert time.perf_counter() - start < 1
    assert sum(len(split) for split in opened.splits().values()) == 11_849


class Killed(BaseException):
    """Stands for whatever ends a program: no `except Exception` sees it."""


@pytest.mark.parametrize("files_before", [0, 3])
@pytest.mark.parametrize("there_already", [False, True])
def test_a_killed_write_leaves_what_was_there(tmp_path, monkeypatch, files_before, there_already):
    store = tmp_path / "store"
    first = small_dataset(name="first")
    if there_already:
        write_store(store, first)
    write_array, written = array_files.write_array, []

    def dying(file, parts):
        if len(written) == files_before:
            file.write_bytes(b"half")
            raise Killed
        written.append(file)
        return write_array(file, parts)

    monkeypatch.setattr(array_files, "write_array", dying)
    with pytest.raises(Killed):
        write_store(store, small_dataset(name="second"), overwrite=True)
    assert len(written) == files_before
    assert [path.name for path in tmp_path.iterdir()] == (["store"] if there_already else [])
    if there_already:
        verify_store(store)
        assert open_store(store).name == "first"


def test_a_failed_last_rename_puts_the_old_store_back(tmp_path, monkeypatch):
    store = write_store(tmp_path / "store", small_dataset(name="first"))
    rename = Path.rename

    def failing(path, target):
        if path.suffix == ".writing":
            raise OSError("disk gone")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(LinkError, match=r"store cannot be written \(disk gone\)"):
        write_store(store, small_dataset(name="second"), overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
    assert open_store(store).name == "first"


def test_a_store_can_be_replaced_by_what_was_opened_from_it(tmp_path):
    store = write_store(tmp_path / "store", small_dataset(name="first"))
    opened = open_store(store)
    write_store(store, dataclasses.replace(opened, name="second"), overwrite=True)
    again = open_store(store)
    assert again.name == "second"
    assert again.fingerprint() == opened.fingerprint()
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_nothing_but_a_store_is_overwritten_and_that_only_when_asked(tmp_path):
    store = write_store(tmp_path / "store", small_dataset())
    with pytest.raises(FeatureError, match="store exists; choose another path"):
        write_store(store, small_dataset())
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "thesis.tex").write_text("years of work")
    with pytest.raises(FeatureError, match="papers is not a feature store"):
        write_store(tmp_path / "papers", small_dataset(), overwrite=True)
    assert (tmp_path / "papers" / "thesis.tex").read_text() == "years of work"


def test_provenance_must_be_json(tmp_path):
    with pytest.raises(FeatureError, match="the provenance of"):
        write_store(tmp_path / "store", small_dataset(provenance={"encoder": object()}))
    assert list(tmp_path.iterdir()) == []


def test_open_names_every_missing_and_truncated_array(tmp_path):
    store = write_store(tmp_path / "store", small_dataset())
    (store / "weak.npy").unlink()
    os.truncate(store / "visual.npy", 500)
    for check in (open_store, verify_store):
        with pytest.raises(FeatureError, match="write the store again") as caught:
            check(store)
        assert "weak.npy: missing" in str(caught.value)
        assert "visual.npy: 500 bytes on disk, 1928 in the header" in str(caught.value)
        assert {path.name for path, _ in caught.value.problems} == {"weak.npy", "visual.npy"}


def test_verify_names_every_altered_array(tmp_path):
    store = write_store(tmp_path / "store", small_dataset())
    for name in ("audio.npy", "visual_truth.npy"):
        content = bytearray((store / name).read_bytes())
        content[-1] ^= 1
        (store / name).write_bytes(content)
    open_store(store)
    with pytest.raises(FeatureError, match="checksum") as caught:
        verify_store(store)
    assert {path.name for path, _ in caught.value.problems} == {"audio.npy", "visual_truth.npy"}


@pytest.mark.parametrize("replacement", [np.zeros((9, 3), np.uint8), np.zeros((3, 9), bool)])
def test_an_array_unlike_its_header_is_refused(tmp_path, replacement):
    store = write_store(tmp_path / "store", small_dataset())
    np.save(store / "weak.npy", replacement)
    with pytest.raises(FeatureError, match=r"weak\.npy: is .* unlike the header"):
        open_store(store)


def test_a_file_that_is_no_array_is_refused(tmp_path):
    store = write_store(tmp_path / "store", small_dataset())
    (store / "weak.npy").write_bytes(b"x" * (store / "weak.npy").stat().st_size)
    with pytest.raises(FeatureError, match=r"damaged \(weak\.npy: "):
        open_store(store)


def without(*keys):
    def change(header):
        part = header
        for key in keys[:-1]:
            part = part[key]
        del part[keys[-1]]
        return header

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda header: header | {"version": 2}, r"version 2; this package reads .*version 1"),
        (lambda header: header | {"format": "zarr"}, "is of format 'zarr'"),
        (lambda header: [header], r"store\.json: unreadable"),
        (without("format"), r"store\.json: unreadable"),
        (without("names"), r"store\.json: incomplete"),
        (without("arrays", "audio", "sha256"), r"store\.json: incomplete"),
        (without("arrays", "audio"), r"store\.json: .*'audio'"),
        (without("sizes", "val"), r"store\.json: 'val'"),
        (without("names", "val", 0), r"store\.json: audio has shape"),
    ],
)
def test_a_header_that_cannot_be_used_is_named(tmp_path, change, message):
    store = write_store(tmp_path / "store", small_dataset())
    header = change(json.loads((store / "store.json").read_text()))
    (store / "store.json").write_text(json.dumps(header))
    with pytest.raises(FeatureError, match=message) as caught:
        open_store(store)
    assert str(store) in str(caught.value)
    assert "write the store again" in str(caught.value)


def test_a_header_cut_short_is_named(tmp_path):
    store = write_store(tmp_path / "store", small_dataset())
    os.truncate(store / "store.json", 100)
    with pytest.raises(FeatureError, match=r"store\.json: unreadable"):
        open_store(store)


def test_a_folder_that_is_no_store_is_refused_with_the_remedy(tmp_path):
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(FeatureError, match=r"not a feature store .*link-avvp pack"):
            open_store(path)


def valor_segments(cells: torch.Tensor, project: torch.nn.Linear) -> torch.Tensor:
    """VALOR's way from (B, 64, D) cells to (B, 10, d) segments, step by step."""
    grid = cells.permute(0, 2, 1).reshape(len(cells), -1, 2, 32)
    size = (2, 1024)
    grid = torch.nn.functional.interpolate(grid, size, mode="bicubic", align_corners=False)
    projected = project(grid.permute(0, 2, 3, 1))
    over_time = projected.mean(dim=1).permute(0, 2, 1)
    return torch.nn.functional.adaptive_avg_pool1d(over_time, 10).permute(0, 2, 1)


def test_audio_map_equals_upsampling_projecting_and_pooling():
    torch.manual_seed(0)
    cells = torch.randn(3, 64, 24, dtype=torch.float64)
    project = torch.nn.Linear(24, 16, dtype=torch.float64)
    matrix = torch.from_numpy(audio_map_matrix())
    with torch.no_grad():
        expected = valor_segments(cells, project)
        assert (project(matrix @ cells) - expected).abs().max() < 1e-12
        singles = valor_segments(cells.float(), project.float())
        assert (project(matrix.float() @ cells.float()) - singles).abs().max() < 1e-6


def test_audio_map_lets_the_bias_of_the_projection_through():
    matrix = torch.from_numpy(audio_map_matrix())
    assert (matrix.sum(dim=1) - 1).abs().max() < 1e-12
    cells, project = torch.randn(64, 4).double(), torch.nn.Linear(4, 3).double()
    assert (matrix @ project(cells) - project(matrix @ cells)).abs().max() < 1e-12


def test_audio_map_of_other_sizes_still_follows_torch():
    """No upsampling by a whole number, windows that do not overlap, three frequencies."""
    cells = torch.randn(1, 1, 3, 7, dtype=torch.float64)
    grid = torch.nn.functional.interpolate(cells, (3, 50), mode="bicubic", align_corners=False)
    expected = torch.nn.functional.adaptive_avg_pool1d(grid.mean(dim=2), 5)
    matrix = torch.from_numpy(audio_map_matrix(7, 3, upsampled=50, segments=5))
    assert matrix.shape == (5, 21)
    assert (matrix @ cells.reshape(21) - expected.reshape(5)).abs().max() < 1e-12
