"""The built pages as a reader's browser sees them, without a network.

`make test` builds the book first. These tests skip where no browser or no built book is found.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "_build" / "strict" / "_build" / "html"
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
PAGES = [TOC["root"], *(page["file"] for part in TOC["parts"] for page in part["chapters"])]
BROWSERS = ["chromium", "chromium-browser", "google-chrome"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=executable)
        yield opened
        opened.close()


@pytest.fixture(scope="module", params=PAGES)
def visit(request, browser) -> Iterator[SimpleNamespace]:
    """One page, opened on a telephone's width, with what the browser complained about."""
    file = BUILT / f"{request.param}.html"
    if not file.exists():
        pytest.skip(f"{file.relative_to(ROOT)} is not built; `make test` builds it")
    page = browser.new_page(viewport={"width": 400, "height": 800})
    complaints, foreign = [], []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda failed: complaints.append(failed.url))
    page.route(
        re.compile("^(https?|wss?):"),
        lambda route: (foreign.append(route.request.url), route.abort()),
    )
    page.goto(file.as_uri(), wait_until="load")
    page.evaluate("window.MathJax?.startup?.promise")
    yield SimpleNamespace(page=page, complaints=complaints, foreign=foreign)
    page.close()


def test_the_page_needs_no_network(visit):
    assert visit.foreign == []


def test_the_browser_has_nothing_to_complain_about(visit):
    assert visit.complaints == []


def test_the_page_says_something(visit):
    article = visit.page.locator("article")
    assert article.locator("h1").count() == 1
    assert len(article.inner_text()) > 200


def test_every_image_is_shown(visit):
    broken = visit.page.locator("img").evaluate_all(
        "images => images.filter(i => !i.complete || !i.naturalWidth).map(i => i.src)"
    )
    assert broken == []


def test_every_equation_is_set(visit):
    equations = visit.page.locator(".math")
    unset = equations.evaluate_all(
        "all => all.filter(e => !e.querySelector('mjx-container')).map(e => e.textContent)"
    )
    assert unset == []
    assert visit.page.locator("mjx-merror").count() == 0
    prose = visit.page.locator("article p, article li, article td, article h2").all_inner_texts()
    assert [text for text in prose if "$$" in text or r"\(" in text or r"\[" in text] == []


def test_the_page_does_not_scroll_sideways(visit):
    width = visit.page.evaluate("document.documentElement.scrollWidth")
    assert width <= 400
