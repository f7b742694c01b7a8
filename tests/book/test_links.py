"""No link within the book leads nowhere, and its search finds."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest


class Page(HTMLParser):
    """The places of a page that can be led to, and where it leads itself."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.places, self.targets = {"", "top"}, set()
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.places |= {given.get("id"), given.get("name")}
        target = given.get("href") or given.get("src")
        if target and tag in ("a", "img", "link", "script", "iframe"):
            self.targets.add(target)


def dead_links(folder: Path) -> dict[str, set[str]]:
    """Pages of a folder, each with the targets in the folder that do not exist."""
    files = [file for file in folder.rglob("*.html") if "_static" not in file.parts]
    pages = {file: Page(file.read_text()) for file in files}
    dead = defaultdict(set)
    for file, page in pages.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            there = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            lost = there in pages and unquote(parts.fragment) not in pages[there].places
            if lost or not there.is_file():
                dead[str(file.relative_to(folder))].add(target)
    return dict(dead)


def test_no_link_within_the_book_is_dead(built):
    assert dead_links(built.resolve()) == {}


def test_dead_links_are_found(tmp_path):
    (tmp_path / "a.html").write_text('<h1 id="x">A</h1><a href="b.html#y">b</a><img src="c.png">')
    (tmp_path / "b.html").write_text('<a href="a.html#x">a</a><a href="https://else.where">e</a>')
    assert dead_links(tmp_path) == {"a.html": {"b.html#y", "c.png"}}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address(built) -> Iterator[str]:
    """The built book, published on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=built)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("piecewise_weight", "book/api/network.html"),
        ("misalignment", "notebooks/01_the_task.html"),
        ("cosine schedule", "notebooks/09_training.html"),
    ],
)
def test_a_reader_finds_what_is_searched_for(chromium, address, words, page):
    tab = chromium.new_page(viewport={"width": 1280, "height": 900})
    tab.goto(f"{address}/index.html")
    tab.locator("button.search-button-field:visible, button.search-button:visible").first.click()
    tab.keyboard.type(words)
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/search.html?q=*")
    results = tab.locator("#search-results li a")
    results.first.wait_for()
    found = {
        urlsplit(link).path[1:] for link in results.evaluate_all("all => all.map(a => a.href)")
    }
    tab.close()
    assert page in found
