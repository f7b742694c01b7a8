"""Which names in prose become links to the API pages, and what is said of names that are gone."""

import html
import re

import pytest
import typer
from code_names import resolve, short_names
from commands import with_options_as_code
from sphinx.application import Sphinx

from link.cli import app

DOCUMENTED = {
    "link.tsam.TSAM",
    "link.tsam.TSAM.forward",
    "link.tsam.cross_attention",
    "link.han.encode",
    "link.plots.figure",
    "link.model.LINK.forward",
    "link.media.Clip",
    "link.probes.Clip",
}
MODULES = {"link.tsam", "link.han", "link.plots", "link.model", "link.media", "link.probes"}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("link.tsam.TSAM", "link.tsam.TSAM"),
        ("link.han.encode", "link.han.encode"),
        ("link.han.encode(audio, visual)", "link.han.encode"),
        ("TSAM", "link.tsam.TSAM"),
        ("TSAM(width=8)", "link.tsam.TSAM"),
        ("cross_attention", "link.tsam.cross_attention"),
        ("LINK.forward", "link.model.LINK.forward"),
        # Words, what several modules have, what is a part of another name, and calls of programs.
        ("encode", None),
        ("figure", None),
        ("Clip", None),
        ("forward", None),
        ("attention", None),
        ("link", None),
        ("link-avvp train", None),
        ("make book", None),
    ],
)
def test_a_name_means_one_documented_object_or_none(text, meant):
    assert resolve(text, DOCUMENTED, short_names(sorted(DOCUMENTED), MODULES)) == meant


PAGE = """# A page

`link.events.Event` and `CLASSES`, in [a link `CLASSES`](api.md), and `onset`.

## About `Event`

Gone: `link.events.Nothing` and `link-avvp vanish`. `link-avvp train --out x` is there.

```{commands} link.cli:app
:program: link-avvp
```
"""

API = """# API

```{eval-rst}
.. automodule:: link.events
   :members:
```
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[str, str]:
    """A page of a small book, and what Sphinx warned about."""
    source = tmp_path_factory.mktemp("small_book")
    (source / "index.md").write_text(PAGE)
    (source / "api.md").write_text(API)
    with (source / "warnings").open("w") as warnings:
        Sphinx(
            source,
            None,
            source / "html",
            source / "doctrees",
            "html",
            confoverrides={
                "extensions": ["myst_parser", "sphinx.ext.autodoc", "code_names", "commands"],
                "myst_enable_extensions": ["deflist"],
                "default_role": "py:obj",
            },
            status=None,
            warning=warnings,
        ).build()
    return (source / "html" / "index.html").read_text(), (source / "warnings").read_text()


def test_names_in_prose_lead_to_the_api_page(built):
    page, _ = built
    assert 'href="api.html#link.events.Event"' in page
    assert page.count('href="api.html#link.events.CLASSES"') == 1
    assert "link.events.Event.onset" not in page


def test_headings_stay_as_they_are(built):
    page, _ = built
    heading = page.split("<h2>")[1].split("</h2>")[0]
    assert "api.html" not in heading


def test_a_name_that_nothing_documents_is_a_warning(built):
    _, warnings = built
    assert "index.md:7: WARNING: no API page has `link.events.Nothing`" in warnings
    assert "index.md:7: WARNING: no page describes the command of `link-avvp vanish`" in warnings
    assert warnings.count("WARNING") == 2 + warnings.count("toctree")


def test_a_call_of_the_program_leads_to_its_command(built):
    page, _ = built
    assert (
        '<a class="reference internal" href="#link-avvp-train" title="link-avvp train --out x"'
        in page
    )


def test_every_command_has_a_section_with_its_options(built):
    page, _ = built
    for command in typer.main.get_command(app).commands.values():
        section = page.split(f'<section id="link-avvp-{command.name}">')[1].split("</section>")[0]
        shown = html.unescape(re.sub("<.*?>", "", section))
        for parameter in command.params:
            assert parameter.opts[0] in shown, (command.name, parameter.opts)
        assert shown.count("--help") == 0


def test_options_in_sentences_keep_their_dashes():
    assert with_options_as_code("Only without --model.") == "Only without `--model`."
    assert with_options_as_code("As `--half` does") == "As `--half` does"
    assert with_options_as_code("By `parse --json` or --out") == "By `parse --json` or `--out`"
    assert with_options_as_code("``a `b --c` d`` and\n--e") == "``a `b --c` d`` and\n`--e`"
    assert with_options_as_code("heard -- and seen, a--b") == "heard -- and seen, a--b"
