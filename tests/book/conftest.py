"""The built pages, opened in a browser.

`make test` builds the book first. What needs a browser, or a built book, skips where there is
none.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "_build" / "strict" / "_build" / "html"
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
CHAPTERS = [page["file"] for part in TOC["parts"] for page in part["chapters"]]


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of the built pages."""
    if not BUILT.exists():
        pytest.skip(f"{BUILT.relative_to(ROOT)} is not there; `make test` builds it")
    return BUILT


@pytest.fixture(scope="session", params=[TOC["root"], *CHAPTERS, "search", "genindex"])
def visit(request, chromium, built) -> Iterator[SimpleNamespace]:
    """One page, open, with what the browser complained about. Tests set its width and theme."""
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    complaints, foreign = [], []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda failed: complaints.append(failed.url))
    page.route(
        re.compile("^(https?|wss?):"),
        lambda route: (foreign.append(route.request.url), route.abort()),
    )
    file = built / f"{request.param}.html"
    page.goto(file.as_uri(), wait_until="load")
    page.evaluate("window.MathJax?.startup?.promise")
    yield SimpleNamespace(
        name=request.param, file=file, page=page, complaints=complaints, foreign=foreign
    )
    page.close()
