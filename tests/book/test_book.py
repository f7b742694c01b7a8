"""The built pages as a reader's browser sees them, without a network."""

import pytest

#: What a page may weigh: itself and the images on it. Scripts, styles and fonts are the same for
#: all pages and fetched once.
HEAVIEST = 3_000_000

#: A telephone's width, in pixels.
NARROW = 380


def test_the_page_needs_no_network(visit):
    assert visit.foreign == []


def test_the_browser_has_nothing_to_complain_about(visit):
    assert visit.complaints == []


def test_the_page_says_something(visit):
    article = visit.page.locator("article")
    if visit.name == "search":
        pytest.skip("the page for searching is empty until one searches")
    assert article.locator("h1").count() == 1
    assert len(article.inner_text()) > 200


def test_every_image_is_shown_and_told_in_words(visit):
    images = visit.page.locator("article img").evaluate_all(
        "all => all.map(i => ({shown: i.complete && i.naturalWidth > 0, src: i.src, alt: i.alt}))"
    )
    assert [image["src"] for image in images if not image["shown"]] == []
    # Where no words are given, the builder puts the image's file name in their place.
    silent = [i["src"] for i in images if not i["alt"] or i["src"].endswith(i["alt"][-20:])]
    assert silent == []


def test_every_equation_is_set(visit):
    equations = visit.page.locator(".math")
    unset = equations.evaluate_all(
        "all => all.filter(e => !e.querySelector('mjx-container')).map(e => e.textContent)"
    )
    assert unset == []
    # MathJax sets a command that it does not know in red.
    assert visit.page.locator("mjx-merror, mjx-container [style*='color: red']").count() == 0
    prose = visit.page.locator("article p, article li, article td, article h2").all_inner_texts()
    assert [text for text in prose if "$$" in text or r"\(" in text or r"\[" in text] == []


def test_the_page_does_not_scroll_sideways(visit):
    visit.page.set_viewport_size({"width": NARROW, "height": 800})
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= NARROW


def test_the_page_is_light(visit):
    sources = visit.page.locator("img").evaluate_all("all => all.map(i => i.currentSrc)")
    local = {source.removeprefix("file://") for source in sources if source.startswith("file:")}
    images = [path for path in visit.file.parents[2].rglob("*") if str(path) in local]
    assert len(images) == len(local)
    assert sum(path.stat().st_size for path in [visit.file, *images]) < HEAVIEST


def test_a_chapter_can_be_downloaded(visit):
    if not visit.name.startswith("notebooks/"):
        pytest.skip("no chapter")
    target = visit.page.locator("a.btn-download-source-button").evaluate("link => link.href")
    assert target.endswith(f"/_sources/{visit.name}.ipynb")
