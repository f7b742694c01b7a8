"""Archives made here, some of them by somebody who means harm."""

import shutil
import stat
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest

from link import archives
from link.archives import ArchiveError, Part, unpack

NAMES = ("one", "two")
GOOD = {
    "CLIP/features/one.npy": b"1" * 500,
    "CLIP/features/two.npy": b"2" * 500,
    "CLIP/labels/one.npy": b"3" * 50,
    "CLIP/labels/two.npy": b"4" * 50,
}
LINK = zipfile.ZipInfo("CLIP/features/elsewhere")
LINK.create_system = 3
LINK.external_attr = (stat.S_IFLNK | 0o777) << 16


def packed(path: Path, entries: dict, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as made:
        for name, content in entries.items():
            made.writestr(name, content)
    return path


@pytest.fixture
def parts(tmp_path) -> list[Part]:
    return [Part(name, tmp_path / "out" / name, 600) for name in ("features", "labels")]


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


EXPECTED = {path.removeprefix("CLIP/"): content for path, content in GOOD.items()}


@pytest.mark.parametrize("top", ["CLIP/", "", "data/VALOR/CLIP/", "./CLIP/", "CLIP\\"])
def test_the_parts_are_found_wherever_they_stand(tmp_path, parts, top):
    entries = {path.replace("CLIP/", top): content for path, content in GOOD.items()}
    clutter = {f"{top}.DS_Store": b"x", f"__MACOSX/{top}features/._one.npy": b"x"}
    more = {f"{top}features/three.npy": b"x", "notes.txt": b"x", f"{top}text/one.npy": b"x"}
    archive = packed(tmp_path / "a.zip", entries | clutter | more)
    assert unpack(archive, parts, NAMES) == {}
    assert files(tmp_path / "out") == EXPECTED


def test_progress_counts_the_bytes_of_the_arrays(tmp_path, parts):
    told = []
    archive = packed(tmp_path / "a.zip", GOOD)
    unpack(archive, parts, NAMES, lambda done, total: told.append((done, total)))
    assert told == [(0, 1100), (500, 1100), (1000, 1100), (1050, 1100), (1100, 1100)]


OUTSIDE = [
    "../one.npy",
    "CLIP/features/../../../one.npy",
    "/etc/one.npy",
    "C:/one.npy",
    "C:one.npy",
    "\\\\server\\share\\one.npy",
    "CLIP\\features\\..\\..\\..\\one.npy",
    "\\one.npy",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_an_entry_that_points_outside_is_refused(tmp_path, parts, name):
    archive = packed(tmp_path / "a.zip", GOOD | {name: b"x"})
    with pytest.raises(ArchiveError, match=r"a\.zip: the entry .* points outside") as caught:
        unpack(archive, parts, NAMES)
    assert repr(name) in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_link_is_refused(tmp_path, parts):
    archive = packed(tmp_path / "a.zip", {LINK: b"/etc"} | GOOD)
    with pytest.raises(
        ArchiveError, match=r"a\.zip: the entry 'CLIP/features/elsewhere' is a lin"
    ):
        unpack(archive, parts, NAMES)
    assert not (tmp_path / "out").exists()


def test_an_array_that_would_be_too_large_is_refused(tmp_path, parts):
    bomb = {"CLIP/features/one.npy": b"\0" * 1_000_000}
    archive = packed(tmp_path / "a.zip", GOOD | bomb)
    assert archive.stat().st_size < 5_000
    with pytest.raises(ArchiveError, match=r"one\.npy would unpack to 1\.00 MB, where an array"):
        unpack(archive, parts, NAMES)
    assert not (tmp_path / "out").exists()


def test_a_size_that_is_a_lie_is_found_out(tmp_path, parts):
    """The bomb announces 500 bytes in both of its headers."""
    archive = packed(tmp_path / "a.zip", GOOD | {"CLIP/features/one.npy": b"\0" * 1_000_000})
    true, said = ((1_000_000).to_bytes(4, "little"), (500).to_bytes(4, "little"))
    assert archive.read_bytes().count(true) == 2
    archive.write_bytes(archive.read_bytes().replace(true, said))
    with pytest.raises(ArchiveError, match=r"features/one\.npy is damaged"):
        unpack(archive, parts, NAMES)
    assert files(tmp_path / "out") == {}


def test_a_flipped_bit_is_found_and_named(tmp_path, parts):
    archive = packed(tmp_path / "a.zip", GOOD, zipfile.ZIP_STORED)
    content = bytearray(archive.read_bytes())
    content[content.index(b"3333")] ^= 1
    archive.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"a\.zip: the entry CLIP/labels/one\.npy is damaged"):
        unpack(archive, parts, NAMES)
    assert "labels/one.npy" not in files(tmp_path / "out")


@pytest.mark.parametrize(
    "change", [lambda b: b[:-30], lambda b: b"<html>404</html>", lambda b: b""]
)
def test_what_is_no_archive_is_named(tmp_path, parts, change):
    archive = packed(tmp_path / "a.zip", GOOD)
    archive.write_bytes(change(archive.read_bytes()))
    with pytest.raises(ArchiveError, match=r"a\.zip is damaged .*remove .*a\.zip"):
        unpack(archive, parts, NAMES)


def test_an_encrypted_archive_is_named(tmp_path, parts):
    archive = packed(tmp_path / "a.zip", GOOD)
    content = archive.read_bytes()
    for start, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = content.index(start) + flags
        content = content[:at] + bytes([content[at] | 1]) + content[at + 1 :]
    archive.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"a\.zip cannot be unpacked .*encrypted"):
        unpack(archive, parts, NAMES)


def test_an_archive_of_something_else_is_named_with_what_it_holds(tmp_path, parts):
    archive = packed(tmp_path / "a.zip", {"other/features/one.npy": b"x", "other/readme": b"x"})
    with pytest.raises(
        ArchiveError, match="no arrays in a folder labels; it holds other/features"
    ):
        unpack(archive, parts, NAMES)


def test_two_folders_of_one_name_are_refused(tmp_path, parts):
    archive = packed(tmp_path / "a.zip", GOOD | {"old/features/one.npy": b"x"})
    with pytest.raises(ArchiveError, match="features at CLIP/features and another at old/feature"):
        unpack(archive, parts, NAMES)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_entry_that_is_there_twice_is_refused(tmp_path, parts):
    archive = packed(tmp_path / "a.zip", GOOD)
    with zipfile.ZipFile(archive, "a") as made:
        made.writestr("CLIP/labels/two.npy", b"5")
    with pytest.raises(ArchiveError, match=r"labels/two\.npy twice"):
        unpack(archive, parts, NAMES)


def test_what_the_archive_lacks_is_returned_and_the_rest_unpacked(tmp_path, parts):
    archive = packed(tmp_path / "a.zip", GOOD)
    assert unpack(archive, parts, (*NAMES, "three")) == {
        "features": ["three"],
        "labels": ["three"],
    }
    assert files(tmp_path / "out") == EXPECTED


def test_what_is_in_its_place_is_not_written_again(tmp_path, parts):
    archive = packed(tmp_path / "a.zip", GOOD)
    unpack(archive, parts, NAMES)
    labels = tmp_path / "out" / "labels"
    (labels / "two.npy").unlink()
    (labels / "one.npy").write_bytes(b"")
    before = {path: path.stat() for path in (tmp_path / "out" / "features").iterdir()}
    (labels / ".123.part").write_bytes(b"half")
    unpack(archive, parts, NAMES)
    assert files(tmp_path / "out") == EXPECTED
    assert all(path.stat().st_ino == stats.st_ino for path, stats in before.items())


@pytest.mark.parametrize("content", [b"1" * 499, b"9" * 500])
def test_a_foreign_file_in_the_way_is_named_and_kept(tmp_path, parts, content):
    foreign = tmp_path / "out" / "features" / "one.npy"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"features/one\.npy is there already"):
        unpack(packed(tmp_path / "a.zip", GOOD), parts, NAMES)
    assert foreign.read_bytes() == content


def test_a_full_disk_is_told_before_anything_is_written(tmp_path, parts, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 16_000, 16_000))
    archive = packed(tmp_path / "a.zip", GOOD)
    with pytest.raises(ArchiveError, match=r"unpacking a\.zip needs 16\.4 kB on the disk of"):
        unpack(archive, parts, NAMES)
    assert not (tmp_path / "out").exists()
    # Four files of less than a block take four blocks.
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, 4 * 4096))
    assert unpack(archive, parts, NAMES) == {}


def test_a_write_that_fails_leaves_nothing(tmp_path, parts, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archives.os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        unpack(packed(tmp_path / "a.zip", GOOD), parts, NAMES)
    assert files(tmp_path / "out") == {}
