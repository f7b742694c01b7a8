"""A server that speaks as much of the hub's protocol as fetching a file of a data set takes.

As the hub does with large files, it answers a request for one with the file's commit, size and
SHA-256 and a redirection to another host, where the bytes are. Annotation files are served below
``/annotations``. Lines can be made to break, and to stand still.
"""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from huggingface_hub import close_session, constants

COMMIT = "c" * 40


@dataclass
class Hub:
    """What the server has, how it misbehaves, and what it was asked for.

    files: the data set's, by name. annotations: the annotation files. break_after: by name, at
    which byte of the file the line breaks, once for each entry. stand_still_after: by name,
    after how many bytes nothing more comes. announced: by name, a size or an etag to announce in
    place of the true one. status, error_code: what all requests for the data set are refused with.
    requests: (method, path, the Range header or None) of each request.
    """

    files: dict[str, bytes]
    annotations: dict[str, bytes]
    break_after: dict[str, list[int]] = field(default_factory=dict)
    stand_still_after: dict[str, int] = field(default_factory=dict)
    announced: dict[str, dict[str, str]] = field(default_factory=dict)
    status: int | None = None
    error_code: str | None = None
    ranges: bool = True
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    tokens: dict[str, str | None] = field(default_factory=dict)
    address: str = ""
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def annotations_url(self) -> str:
        return f"{self.address}/annotations"

    def fetched(self, name: str) -> list[str | None]:
        """The Range headers of the requests for the bytes of a file."""
        return [
            asked
            for method, path, asked in self.requests
            if method == "GET" and path in (f"/bytes/{name}", f"/annotations/{name}")
        ]


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = _Server(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        hub.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def used(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Makes this process, and those it starts, take `hub` for the hub."""
    # The hub's library reads its variables when it is imported; here they are for other processes.
    for name, value in environment(hub).items():
        monkeypatch.setenv(name, value)
    template = f"{hub.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    close_session()
    yield
    close_session()


def environment(hub: Hub) -> dict[str, str]:
    """What a process needs to take `hub` for the hub, and for where annotations are."""
    return {
        "HF_ENDPOINT": hub.address,
        "HF_HUB_OFFLINE": "0",
        "HF_TOKEN": "hf_secret",
        "LINK_ANNOTATIONS_URL": hub.annotations_url,
        "NO_PROXY": "127.0.0.1,localhost",
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that was killed in the middle of an answer is no fault of the server's."""


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, with_body: bool) -> None:
        hub, path = self.hub, urlsplit(self.path).path
        hub.requests.append((self.command, path, self.headers.get("Range")))
        hub.tokens[path] = self.headers.get("Authorization")
        kind, _, name = path.lstrip("/").rpartition("/")
        if resolved := re.fullmatch(r"datasets/[\w-]+/[\w-]+/resolve/(main|c{40})", kind):
            self._resolve(name, resolved[1])
        elif kind == "bytes" and name in hub.files:
            self._send(name, hub.files[name], with_body)
        elif kind == "annotations" and name in hub.annotations:
            self._send(name, hub.annotations[name], with_body)
        else:
            self._say(404, {})

    def _resolve(self, name: str, revision: str) -> None:
        hub = self.hub
        if hub.status is not None:
            self._say(hub.status, {"X-Error-Code": hub.error_code} if hub.error_code else {})
        elif name not in hub.files:
            self._say(404, {"X-Error-Code": "EntryNotFound"})
        else:
            content = hub.files[name]
            headers = {
                "X-Repo-Commit": COMMIT,
                "X-Linked-Size": str(len(content)),
                "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
                # Another host, as far as a client can tell.
                "Location": f"{hub.address.replace('127.0.0.1', 'localhost')}/bytes/{name}",
            }
            self._say(302, headers | hub.announced.get(name, {}))

    def _send(self, name: str, content: bytes, with_body: bool) -> None:
        hub = self.hub
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked and hub.ranges else 0
        if start >= len(content):
            self._say(416, {"Content-Range": f"bytes */{len(content)}"})
            return
        self.send_response(206 if start else 200)
        if start:
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.send_header("Content-Range", span)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if not with_body:
            return
        end = len(content)
        if breaks := hub.break_after.get(name):
            end = breaks.pop(0)
        elif name in hub.stand_still_after:
            end = hub.stand_still_after[name]
        self.wfile.write(content[start:end])
        self.wfile.flush()
        if end < len(content):
            if name in hub.stand_still_after:
                hub.closing.wait(60)
            self.close_connection = True

    def _say(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()
