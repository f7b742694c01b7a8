"""Downloading all of LLP, in small, with the hub's real client from a server of our own."""

import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import published_llp
import pytest
from hub_server import Hub, serve, used

from link import fetching
from link.archives import ArchiveError
from link.download import WAITING, DownloadError, download_llp
from link.errors import LinkError
from link.fetching import FetchError
from link.llp import LLPError
from link.valor_folders import read_valor_folders

ANNOTATIONS = published_llp.annotation_files()
ARCHIVES = published_llp.archives()
ARRAYS = published_llp.arrays()
ROOT = Path(__file__).parents[1]


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(fetching, "PAUSES", ())
    with serve(Hub(dict(ARCHIVES), dict(ANNOTATIONS))) as running, used(running, monkeypatch):
        yield running


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "deep" / "llp"


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def bytes_fetched(hub: Hub) -> list[str]:
    """The names of what was fetched, in order."""
    fetched = [path for _, path, _ in hub.requests if path.startswith(("/bytes", "/annot"))]
    return [path.rsplit("/", 1)[1] for path in fetched]


def test_all_is_fetched_unpacked_and_readable(hub, folder, capfd):
    llp = download_llp(folder)
    assert files(folder) == ANNOTATIONS | ARRAYS
    assert not (folder / WAITING).exists()
    assert capfd.readouterr() == ("", "")
    assert [name for split in (llp.train, llp.val, llp.test) for name in split.names] == (
        published_llp.VIDEOS
    )
    dataset = read_valor_folders(folder, llp)
    assert dataset.provenance["left_out"] == {"train": [], "val": [], "test": []}
    assert dataset.train.motion is None
    labels = np.load(folder / "CLAP/segment_pseudo_labels/val----vid1.npy")
    assert np.array_equal(dataset.val.audio_target[1], labels == 1)


def test_with_all_in_place_nothing_is_asked_of_the_network(hub, folder):
    download_llp(folder)
    hub.requests.clear()
    download_llp(folder)
    assert hub.requests == []
    assert files(folder) == ANNOTATIONS | ARRAYS


def test_only_what_is_missing_is_fetched(hub, folder):
    download_llp(folder)
    hub.requests.clear()
    (folder / "AVVP_val_pd.csv").unlink()
    (folder / "CLAP/features/val----vid1.npy").unlink()
    download_llp(folder)
    assert files(folder) == ANNOTATIONS | ARRAYS
    assert bytes_fetched(hub) == ["AVVP_val_pd.csv", "CLAP.zip"]


def test_an_empty_array_is_taken_for_missing(hub, folder):
    download_llp(folder)
    hub.requests.clear()
    (folder / "CLIP/segment_pseudo_labels/val----vid0.npy").write_bytes(b"")
    download_llp(folder)
    assert files(folder) == ANNOTATIONS | ARRAYS
    assert bytes_fetched(hub) == ["CLIP.zip"]


def test_progress_names_each_thing_and_ends_full(hub, folder):
    told = {}
    download_llp(folder, on_progress=lambda done, total, what: told.update({what: (done, total)}))
    assert list(told) == [
        *(f"fetching {name}" for name in ANNOTATIONS_IN_ORDER),
        "fetching CLIP.zip",
        "unpacking CLIP.zip",
        "fetching CLAP.zip",
        "unpacking CLAP.zip",
    ]
    assert all(done == total > 0 for done, total in told.values())
    assert told["fetching CLIP.zip"][0] == len(ARCHIVES["CLIP.zip"])
    clap = sum(len(content) for path, content in ARRAYS.items() if path.startswith("CLAP"))
    assert told["unpacking CLAP.zip"][0] == clap


ANNOTATIONS_IN_ORDER = (
    "AVVP_train.csv",
    "AVVP_val_pd.csv",
    "AVVP_test_pd.csv",
    "AVVP_eval_audio.csv",
    "AVVP_eval_visual.csv",
    "AVVP_dataset_full.csv",
)


def test_kept_archives_are_left_in_the_folder(hub, folder):
    download_llp(folder, keep_archives=True)
    assert files(folder) == ANNOTATIONS | ARRAYS | ARCHIVES


def test_archives_that_somebody_put_there_need_no_hub_and_stay(hub, folder):
    folder.mkdir(parents=True)
    for name, content in ARCHIVES.items():
        (folder / name).write_bytes(content)
    hub.status = 503
    download_llp(folder)
    assert files(folder) == ANNOTATIONS | ARRAYS | ARCHIVES


def test_a_broken_line_is_taken_up_where_it_broke(hub, folder):
    half = len(ARCHIVES["CLAP.zip"]) // 2
    hub.break_after["CLAP.zip"] = [half]
    with pytest.raises(FetchError, match=r"CLAP\.zip cannot be fetched .* is kept"):
        download_llp(folder)
    download_llp(folder)
    assert files(folder) == ANNOTATIONS | ARRAYS
    assert hub.fetched("CLAP.zip") == [None, f"bytes={half}-"]
    assert hub.fetched("CLIP.zip") == [None]
    assert all(hub.fetched(name) == [None] for name in ANNOTATIONS)


def test_an_annotation_file_that_broke_is_fetched_again(hub, folder):
    hub.break_after["AVVP_test_pd.csv"] = [30]
    with pytest.raises(FetchError, match=r"AVVP_test_pd\.csv cannot be fetched"):
        download_llp(folder)
    assert "AVVP_test_pd.csv" not in files(folder)
    download_llp(folder)
    assert files(folder) == ANNOTATIONS | ARRAYS
    assert hub.fetched("AVVP_test_pd.csv") == [None, None]


def test_annotations_that_are_something_else_are_refused_and_removed(hub, folder):
    hub.annotations["AVVP_val_pd.csv"] = b"<html>please log in</html>"
    with pytest.raises(
        DownloadError, match=r"do not make LLP \(.*AVVP_val_pd\.csv, line 1"
    ) as told:
        download_llp(folder)
    assert hub.annotations_url in str(told.value)
    assert files(folder) == {}


def test_annotations_of_somebody_stay_and_are_named(hub, folder):
    folder.mkdir(parents=True)
    for name, content in ANNOTATIONS.items():
        (folder / name).write_bytes(content)
    (folder / "AVVP_train.csv").write_bytes(b"shopping list")
    with pytest.raises(LLPError, match=r"AVVP_train\.csv, line 1"):
        download_llp(folder)
    assert (folder / "AVVP_train.csv").read_bytes() == b"shopping list"


def without_an_array(archive: str, path: str) -> bytes:
    top = f"{archive.removesuffix('.zip')}/"
    return published_llp.archive(
        {
            name: content
            for name, content in ARRAYS.items()
            if name.startswith(top) and name != path
        }
    )


def test_an_archive_that_lacks_arrays_is_named_kept_and_can_be_accepted(hub, folder):
    missing = "CLIP/features/train--vid1.npy"
    hub.files["CLIP.zip"] = without_an_array("CLIP.zip", missing)
    with pytest.raises(
        DownloadError, match=r"CLIP\.zip lacks features of 1 of 7 videos \(train--vid1\).*skip_bad"
    ):
        download_llp(folder)
    llp = download_llp(folder, skip_bad=True)
    assert hub.fetched("CLIP.zip") == hub.fetched("CLAP.zip") == [None]
    assert files(folder).keys() == (ANNOTATIONS | ARRAYS | {"CLIP.zip": b""}).keys() - {missing}
    dataset = read_valor_folders(folder, llp, skip_bad=True)
    assert dataset.provenance["left_out"]["train"] == [published_llp.VIDEOS[1]]


def test_an_entry_that_points_outside_is_refused(hub, folder):
    hub.files["CLIP.zip"] = published_llp.archive(ARRAYS | {"../../evil.npy": b"x"})
    with pytest.raises(ArchiveError, match=r"CLIP\.zip: the entry '../../evil\.npy' points outs"):
        download_llp(folder)
    assert not list(folder.parent.parent.rglob("evil.npy"))
    assert not (folder / "CLIP").exists()


def test_a_foreign_file_in_the_way_is_named(hub, folder):
    (folder / "CLIP").mkdir(parents=True)
    (folder / "CLIP" / "features").write_bytes(b"notes")
    with pytest.raises(LinkError, match="CLIP/features is in the way"):
        download_llp(folder)
    assert (folder / "CLIP" / "features").read_bytes() == b"notes"


def test_a_folder_that_is_a_file_is_named(hub, tmp_path):
    (tmp_path / "file").write_bytes(b"notes")
    with pytest.raises(DownloadError, match="/file is in the way"):
        download_llp(tmp_path / "file")


def test_a_disk_that_fills_up_is_told_and_what_came_is_kept(hub, folder):
    def fill_up(done, total, what):
        if what == "fetching CLAP.zip":
            raise OSError(28, "No space left on device")

    with pytest.raises(DownloadError, match=r"llp: No space left on device; what has come is kep"):
        download_llp(folder, on_progress=fill_up)
    download_llp(folder)
    assert files(folder) == ANNOTATIONS | ARRAYS
    assert hub.fetched("CLIP.zip") == [None]
    assert hub.fetched("CLAP.zip")[1].startswith("bytes=")


def free(monkeypatch, size: int) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 0, size))


def test_a_disk_without_room_is_told_before_an_archive_is_fetched(hub, folder, monkeypatch):
    # One byte a label and two a feature, in blocks of 4096 bytes; CLIP's stay, CLAP's come on top.
    clip, clap = 7 * (4096 * 4 + 4096), 7 * (4096 * 24 + 4096)
    least = clip + clap + len(ARCHIVES["CLAP.zip"])
    free(monkeypatch, least - 1)
    with pytest.raises(
        ArchiveError, match=r"downloading CLIP\.zip and CLAP\.zip needs 2\.\d\d MB"
    ):
        download_llp(folder)
    assert set(bytes_fetched(hub)) == set(ANNOTATIONS)
    free(monkeypatch, least)
    download_llp(folder)
    assert files(folder) == ANNOTATIONS | ARRAYS


def test_what_has_come_counts_when_room_is_looked_for(hub, folder, monkeypatch):
    download_llp(folder)
    (folder / "CLAP/features/val----vid1.npy").unlink()
    free(monkeypatch, 24 * 4096 + len(ARCHIVES["CLAP.zip"]) - 1)
    with pytest.raises(ArchiveError, match=r"downloading CLAP\.zip needs"):
        download_llp(folder)


def child(folder: Path, preparation: str) -> subprocess.Popen:
    code = f"import os, signal\nfrom link.download import download_llp\n{preparation}\n"
    code += f"download_llp({str(folder)!r})\n"
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)


def test_killed_while_fetching_it_goes_on(hub, folder):
    half = len(ARCHIVES["CLAP.zip"]) // 2
    hub.stand_still_after["CLAP.zip"] = half
    running = child(folder, "")
    deadline = time.monotonic() + 60
    parts = list
    while running.poll() is None and time.monotonic() < deadline:
        parts = list((folder / WAITING).glob("CLAP.zip.*.part"))
        # A write of less than a buffer may still be on its way.
        if parts and parts[0].stat().st_size > half - 8192 * 2:
            break
        time.sleep(0.02)
    running.kill()
    assert running.wait() == -signal.SIGKILL
    have = parts[0].stat().st_size
    before = {path: path.stat().st_ino for path in (folder / "CLIP").rglob("*.npy")}
    assert len(before) == 14
    hub.stand_still_after.clear()
    download_llp(folder)
    assert files(folder) == ANNOTATIONS | ARRAYS
    assert hub.fetched("CLAP.zip") == [None, f"bytes={have}-"]
    assert hub.fetched("CLIP.zip") == [None]
    assert all(path.stat().st_ino == inode for path, inode in before.items())


def test_killed_while_unpacking_it_goes_on(hub, folder):
    """The kill comes after an array is written and before it has its name."""
    running = child(
        folder,
        "done = []\n"
        "def replace(old, new, replace=os.replace):\n"
        "    if len(done) == 5:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    replace(old, new)\n"
        "    done.extend([new] * str(new).endswith('.npy'))\n"
        "os.replace = replace",
    )
    assert running.wait(60) == -signal.SIGKILL
    place = folder / "CLIP" / "features"
    assert len(list(place.glob("*.npy"))) == 5
    assert len(list(place.glob(".*.part"))) == 1
    before = {path: path.stat().st_ino for path in place.glob("*.npy")}
    # The archive that waits is whole: with the hub down, it is the next one that is missed.
    hub.status = 503
    with pytest.raises(FetchError, match=r"CLAP\.zip"):
        download_llp(folder)
    hub.status = None
    download_llp(folder)
    assert files(folder) == ANNOTATIONS | ARRAYS
    assert hub.fetched("CLIP.zip") == [None]
    assert all(path.stat().st_ino == inode for path, inode in before.items())
