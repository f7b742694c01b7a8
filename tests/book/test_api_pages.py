"""Docstrings come out on the API pages as what they say.

napoleon takes what stands before a colon in the first line that describes an attribute for its
type, and a paragraph after the last section of a docstring for one more entry of that section.
"""

import html
import re
from pathlib import Path

#: Where the builder puts types, and names of parameters and of attributes described together.
TYPE = re.compile(r'>Type<span class="colon">:</span></dt>\s*<dd[^>]*>(.*?)</dd>', re.DOTALL)
NAMES = re.compile(
    r'<dl class="py attribute">\s*<dt class="sig sig-object py">(.*?)</dt>'
    r"|<p><strong>((?:(?!</strong>).)*)</strong>(?= [–(]|</p>)",
    re.DOTALL,
)


def torn(folder: Path) -> list[str]:
    """Types, and names of attributes and parameters, that are prose; each with its page."""
    found = []
    for file in sorted((folder / "book" / "api").glob("*.html")):
        page = file.read_text()
        types = [said(inside) for inside in TYPE.findall(page)]
        names = [said(one or other) for one, other in NAMES.findall(page)]
        found += [f"{file.name}: {text}" for text in types if not is_type(text)]
        found += [f"{file.name}: {text}" for text in names if not are_names(text)]
    return found


def said(inside: str) -> str:
    """What is read where this HTML stands, in one line."""
    return " ".join(html.unescape(re.sub("<.*?>", "", inside)).split())


def is_type(text: str) -> bool:
    """No two words follow each other in a type without a bar or a comma between them."""
    return not re.search(r"[^\s,|] [^|]", text)


def are_names(text: str) -> bool:
    return re.fullmatch(r"(\*{0,2}\w+(\.\w+)*(, |$))+", text) is not None


def test_no_docstring_is_torn(built):
    assert torn(built) == []


def test_torn_docstrings_are_found(tmp_path):
    field = '<dt class="field-odd">Type<span class="colon">:</span></dt>\n<dd><p>{}</p></dd>'
    attribute = '<dl class="py attribute">\n<dt class="sig sig-object py">\n<b>{}</b></dt></dl>'
    texts = [
        field.format("collections.abc.Mapping[<em>str</em>, Any] | None"),
        field.format("one record an epoch"),
        attribute.format("audio, visual"),
        attribute.format("Raises LinkError for a class name"),
        "<ul><li><p><strong>heads, norm</strong> – Sizes.</p></li>",
        "<li><p><strong>**sizes</strong></p></li><li><p><strong>Raises it</strong></p></li></ul>",
    ]
    (tmp_path / "book" / "api").mkdir(parents=True)
    (tmp_path / "book" / "api" / "page.html").write_text("".join(texts))
    assert torn(tmp_path) == [
        "page.html: one record an epoch",
        "page.html: Raises LinkError for a class name",
        "page.html: Raises it",
    ]
