"""LLP as its authors and VALOR's publish it: annotations and features, fetched and unpacked.

The annotations come from the repository of Tian et al. (ECCV 2020), the features and pseudo-labels
from the data set of Lai et al. (VALOR, NeurIPS 2023). Neither is part of this package, and what
may be done with them is for their authors to say. Afterwards the folder is one that
`link.valor_folders` reads. VALOR's data set has no motion features.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from math import prod
from pathlib import Path

from link.archives import Part, check_room, lacking_text, on_disk, unpack
from link.errors import LinkError
from link.fetching import Remote, fetch, locate
from link.llp import EVENT_FILES, FULL_FILE, LLP, SPLIT_FILES, LLPError, read_llp
from link.valor_folders import SOURCES, Source

ANNOTATIONS_URL = "https://raw.githubusercontent.com/YapengTian/AVVP-ECCV20/HEAD/data"
ANNOTATION_FILES = (*SPLIT_FILES.values(), *EVENT_FILES.values(), FULL_FILE)
REPOSITORY = "NTUBarista/valor_features"
ARCHIVES = ("CLIP.zip", "CLAP.zip")

#: What has not come whole waits in this folder within the one that is filled.
WAITING = ".download"

_HEADER = 4096  # more than the header of an array takes

Progress = Callable[[int, int | None, str], None]


class DownloadError(LinkError):
    """What keeps LLP from being downloaded: the message names it and the remedy."""


def download_llp(
    folder: str | Path,
    keep_archives: bool = False,
    skip_bad: bool = False,
    on_progress: Progress | None = None,
    annotations_url: str | None = None,
    repository: str = REPOSITORY,
) -> LLP:
    """Fills `folder` with LLP's annotations and VALOR's features; returns the annotations.

    What is there already is left as it is and not fetched again: annotation files, arrays, and an
    archive CLIP.zip or CLAP.zip that somebody put into the folder. A call that was interrupted, at
    whatever moment, is taken up by the next one where it stopped; with all in place, nothing is
    asked of the network.

    Archives are checked against the size and the SHA-256 that the hub announces, their entries
    against the layout, every array against its CRC, and the number of arrays against the
    annotations, which are read by `read_llp`. What is in the arrays is checked by
    `link.valor_folders.read_valor_folders`.

    Disk: the archives' sizes are not known before the hub tells them. As VALOR's published code
    saves them (float32, int64), the arrays of 11,849 videos take 2.8 GB, CLAP's 2.4 of them; the
    archives can take as much again, but are fetched, unpacked and removed one by one, which makes
    5.2 GB at most at a time. Free space is checked before anything is fetched and before anything
    is unpacked. Memory: some 40 MB, whatever the archives hold.

    Parameters
    ----------
    folder
        Made where it is absent.
    keep_archives
        Leave each archive in `folder` rather than remove it once it is unpacked. One that was
        there before is never removed.
    skip_bad
        Content oneself with an archive that lacks arrays of some videos, which
        `read_valor_folders` can then leave out. Such an archive is kept.
    on_progress
        Called as (bytes done, bytes in all or None, what is being done).
    annotations_url
        Where the annotation files stand; by default the variable LINK_ANNOTATIONS_URL, or else
        the authors' repository on GitHub. The hub's own variables (HF_ENDPOINT, HF_TOKEN) apply
        to the features.
    repository
        The data set on the hub.

    Raises
    ------
    LinkError
        With one sentence, and with what has come kept: FetchError where something cannot be
        fetched or is not what was announced, ArchiveError for an archive that is not to be
        unpacked, LLPError for annotations that cannot be read, DownloadError for the disk.
    """
    folder = Path(folder).expanduser()
    report = on_progress or (lambda done, total, what: None)
    url = annotations_url or os.environ.get("LINK_ANNOTATIONS_URL") or ANNOTATIONS_URL
    try:
        folder.mkdir(parents=True, exist_ok=True)
        waiting = folder / WAITING
        waiting.mkdir(exist_ok=True)
        llp = _annotations(folder, url.rstrip("/"), report)
        ids = [each for split in (llp.train, llp.val, llp.test) for each in split.ids]
        pending = [name for name in ARCHIVES if any(_absent(folder, name, ids).values())]
        # What is whole needs nothing from the hub.
        remotes = {
            name: locate(repository, name)
            for name in pending
            if not _archive(folder, name).exists()
        }
        _check_room(folder, pending, remotes, ids, keep_archives)
        lacking = []
        for name in pending:
            if name in remotes:
                fetch(remotes[name], _archive(folder, name), _telling(report, f"fetching {name}"))
            lacking.append(_unpack(folder, name, ids, keep_archives, report))
        shutil.rmtree(waiting)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise DownloadError(
            f"{error.filename} is in the way: move it away, or choose another folder"
        ) from error
    except OSError as error:
        raise DownloadError(
            f"{error.filename or folder}: {error.strerror or error}; what has come is kept: "
            "put that right and run it again"
        ) from error
    if any(lacking) and not skip_bad:
        raise DownloadError(
            f"{'; '.join(filter(None, lacking))}: the rest is unpacked; pass skip_bad=True "
            "(--skip-bad) to do without these videos"
        )
    return llp


def _annotations(folder: Path, url: str, report: Progress) -> LLP:
    fetched = []
    for name in ANNOTATION_FILES:
        if not (folder / name).exists():
            place = f"{url}/{name}"
            waiting = folder / WAITING / name
            fetch(Remote(place, place, {}), waiting, _telling(report, f"fetching {name}"))
            waiting.replace(folder / name)
            fetched.append(folder / name)
    try:
        return read_llp(folder)
    except LLPError as error:
        # What was there before is somebody's, and stays.
        for path in fetched:
            path.unlink()
        if not fetched:
            raise
        raise DownloadError(
            f"the annotations from {url} do not make LLP ({error}): those that were fetched are "
            "removed again; move away any that were there before, and run it again"
        ) from error


def _sources(archive: str) -> Iterator[Source]:
    """The arrays that an archive holds: those of the folder that it is named after."""
    for source in SOURCES:
        if source.folder.startswith(f"{Path(archive).stem}/"):
            yield source


def _archive(folder: Path, name: str) -> Path:
    """Where an archive is or will be: in the folder, if somebody put it there."""
    own = folder / name
    return own if own.exists() else folder / WAITING / name


def _absent(folder: Path, archive: str, ids: Sequence[str]) -> dict[Source, int]:
    """How many of the archive's arrays are not in their place."""
    absent = {}
    for source in _sources(archive):
        there = set()
        if (folder / source.folder).is_dir():
            with os.scandir(folder / source.folder) as entries:
                there = {entry.name for entry in entries if entry.stat().st_size}
        absent[source] = sum(f"{each}.npy" not in there for each in ids)
    return absent


def _check_room(
    folder: Path,
    pending: Sequence[str],
    remotes: dict[str, Remote],
    ids: Sequence[str],
    keep_archives: bool,
) -> None:
    """Raises ArchiveError where even the smallest arrays that can be would not fit.

    These hold float16 and one byte a label; `unpack` looks again, with the true sizes.
    """
    filled = most = 0
    for name in pending:
        arrays = sum(
            count * on_disk(prod(source.shape) * (1 if source.is_label else 2))
            for source, count in _absent(folder, name, ids).items()
        )
        archive = remotes[name].remaining(_archive(folder, name)) if name in remotes else 0
        most = max(most, filled + archive + arrays)
        filled += arrays + (archive if keep_archives else 0)
    check_room(folder, most, f"downloading {' and '.join(pending)}")


def _unpack(
    folder: Path, name: str, ids: Sequence[str], keep_archive: bool, report: Progress
) -> str | None:
    """Unpacks one archive; what it lacks, in words, or None."""
    archive, own = _archive(folder, name), folder / name
    parts = [
        Part(Path(source.folder).name, folder / source.folder, prod(source.shape) * 8 + _HEADER)
        for source in _sources(name)
    ]
    lacking = unpack(archive, parts, ids, _telling(report, f"unpacking {name}"))
    if archive != own:
        if keep_archive or lacking:
            archive.replace(own)
        else:
            archive.unlink()
    return lacking_text(own, lacking, len(ids)) if lacking else None


def _telling(report: Progress, what: str) -> Callable[[int, int | None], None]:
    return lambda done, total: report(done, total, what)
