"""Fetching a large file over a line that breaks: what has come is kept, and gone on from.

The client is the hub's own, for its proxies, tokens, mirrors and errors. Its `hf_hub_download` is
not used: it no longer keeps what has come when it is interrupted (huggingface_hub 1.31 and 2.4).
"""

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from link.archives import size_text
from link.errors import LinkError
from link.weights import import_library, told

T = TypeVar("T")

#: Seconds to wait between attempts that bring nothing new; after the last one it is given up.
PAUSES = (1, 2, 4, 8)
TIMEOUT = 15  # seconds without a byte
_AGAIN_LATER = (408, 416, 425, 429)  # and all from 500


class FetchError(LinkError):
    """A file that cannot be fetched: the message names it, the reason and the remedy."""


@dataclass(frozen=True)
class Remote:
    """A file somewhere else.

    page: where a person finds it. headers: what a request for it must carry. size: in bytes, if
    known. sha256: in hexadecimal digits, if known. version: different for every other content of
    the file; without one, nothing is kept of an attempt that fails.
    """

    url: str
    page: str
    headers: dict[str, str]
    size: int | None = None
    sha256: str | None = None
    version: str | None = None

    def part(self, path: Path) -> Path:
        """Where what has come of it waits for the rest, if it is to become `path`."""
        return path.with_name(f"{path.name}.{(self.version or 'new')[:16]}.part")

    def remaining(self, path: Path) -> int:
        """The bytes still to come, as far as known."""
        return 0 if path.exists() else max(0, (self.size or 0) - _size(self.part(path)))


def locate(repository: str, name: str) -> Remote:
    """A file of a data set on the hub: its place, size and checksum, as of now.

    Raises FetchError where it is not to be had.
    """
    hub = import_library("huggingface_hub")
    page = hub.hf_hub_url(repository, name, repo_type="dataset").replace("/resolve/", "/blob/")

    def ask() -> Any:
        url = hub.hf_hub_url(repository, name, repo_type="dataset")
        return hub.get_hf_file_metadata(url, timeout=TIMEOUT)

    found = _patiently(ask, page)
    etag = found.etag or ""
    return Remote(
        # The commit, so that all parts of the file are of one version.
        hub.hf_hub_url(repository, name, repo_type="dataset", revision=found.commit_hash),
        page,
        import_library("huggingface_hub.utils").build_hf_headers(),
        found.size,
        etag if re.fullmatch("[0-9a-f]{64}", etag) else None,
        re.sub(r"\W", "", etag) or found.commit_hash,
    )


def fetch(
    remote: Remote, path: Path, on_progress: Callable[[int, int | None], None] | None = None
) -> None:
    """Fetches `remote` to `path`, which is whole once it is there.

    What has come waits in a file beside it. A broken connection is taken up again where it broke,
    at once and by the next call alike; so is a process that was killed.

    on_progress: called as (bytes that are there, bytes in all or None).

    Raises FetchError where the server refuses, stays away or sends something else than it
    announced.
    """
    part = remote.part(path)
    for other in path.parent.glob(f"{path.name}.*.part"):
        if other != part or remote.version is None:
            other.unlink()

    def go_on() -> None:
        have = _size(part)
        if remote.version is None or have > (remote.size or have):
            have = 0
        if remote.size is None or have != remote.size:
            _receive(remote, part, have, on_progress)
        if _size(part) < (remote.size or 0):
            raise EOFError(f"it ended after {_size(part)} of {remote.size} bytes")

    _patiently(go_on, remote.page, lambda: _size(part))
    _check(remote, part)
    part.replace(path)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _receive(
    remote: Remote, part: Path, have: int, on_progress: Callable[[int, int | None], None] | None
) -> None:
    """Appends to `part`, which has `have` bytes, what one connection brings."""
    hub = import_library("huggingface_hub")
    headers = remote.headers | {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with hub.get_session().stream("GET", remote.url, headers=headers, timeout=TIMEOUT) as response:
        import_library("huggingface_hub.utils").hf_raise_for_status(response)
        if response.status_code == 206:
            given = response.headers.get("Content-Range", "")
            sent = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", given)
            if sent is None or int(sent[1]) != have:
                raise FetchError(
                    f"{remote.page}: asked to go on from byte {have}, the server sends "
                    f"{given or 'it does not say what'}; try again later"
                )
            total = sent[2]
        else:
            have, total = 0, response.headers.get("Content-Length", "*")
        size = remote.size if total == "*" else int(total)
        if remote.size not in (None, size):
            raise FetchError(
                f"{remote.page} has {size} bytes at the server, where {remote.size} were "
                "announced: what it holds is not what is meant; try again another day"
            )
        with part.open("r+b" if part.exists() else "wb") as file:
            file.truncate(have)
            file.seek(have)
            for block in response.iter_bytes():
                file.write(block)
                have += len(block)
                if on_progress:
                    on_progress(have, size)


def _check(remote: Remote, part: Path) -> None:
    """Raises FetchError, and removes the file, where it is not the announced one."""
    size = part.stat().st_size
    wrong = None
    if remote.size is not None and size != remote.size:
        wrong = f"is of {size_text(size)} where {size_text(remote.size)} were announced"
    elif remote.sha256 is not None:
        with part.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != remote.sha256:
            wrong = f"has the checksum {found[:12]}... where {remote.sha256[:12]}... was announced"
    if wrong:
        part.unlink()
        raise FetchError(
            f"{remote.page} arrived damaged: it {wrong}, and was removed; run it again"
        )


def _patiently(attempt: Callable[[], T], page: str, gained: Callable[[], int] = lambda: 0) -> T:
    """What `attempt` returns, tried again for as long as it brings something new."""
    errors = import_library("huggingface_hub.errors")
    # The HTTP library below the hub's client is not the same in all of its versions; the error
    # that the two share is.
    broken_line = errors.HfHubHTTPError.__bases__[0]
    most, failures = gained(), 0
    while True:
        try:
            return attempt()
        except errors.OfflineModeIsEnabled as error:
            raise FetchError(
                f"{page} was not fetched, for HF_HUB_OFFLINE is set: unset it"
            ) from error
        except errors.HfHubHTTPError as error:
            status = error.response.status_code
            if status < 500 and status not in _AGAIN_LATER:
                raise FetchError(_refusal(error, status, page)) from error
            failure: Exception = error
            why = f"the server answers {status}"
        except (broken_line, EOFError) as error:
            failure, why = error, told(error)
        if gained() > most:
            most, failures = gained(), 0
        if failures == len(PAUSES):
            kept = "what has come is kept, " if most else ""
            raise FetchError(
                f"{page} cannot be fetched ({why}): {kept}see that the network is up, and run it "
                "again"
            ) from failure
        time.sleep(PAUSES[failures])
        failures += 1


def _refusal(error: Exception, status: int, page: str) -> str:
    errors = import_library("huggingface_hub.errors")
    if isinstance(error, errors.GatedRepoError):
        return (
            f"{page} is given only to those who accept its conditions: open that page, accept "
            "them, log in with `hf auth login`, and run it again"
        )
    if status in (401, 403):
        return (
            f"{page} is not open to everybody, or is no longer there (the server answers "
            f"{status}): log in with `hf auth login` if you have access, and run it again"
        )
    if status == 404:
        return (
            f"{page} is not there (the server answers 404): see whether it has moved, and where "
            "HF_ENDPOINT or another variable names a mirror, whether that has it"
        )
    return f"{page} cannot be fetched: the server answers {status}"
