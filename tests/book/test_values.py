"""What API pages show of defaults and constants."""

from dataclasses import dataclass, field
from types import MappingProxyType

import pytest
from values import LONG, readable_value, with_made_defaults


@dataclass
class Owner:
    plain: int = 3
    made: dict[str, int] = field(default_factory=lambda: {"a": 1})
    hidden: list[int] = field(default_factory=list, init=False)
    empty: list[int] = field(default_factory=list)


def test_a_default_that_is_made_shows_as_what_is_made():
    signature = "(plain: int = 3, made: dict[str, int] = <factory>, empty: list[int] = <factory>)"
    assert with_made_defaults(signature, Owner) == (
        "(plain: int = 3, made: dict[str, int] = {'a': 1}, empty: list[int] = [])"
    )
    assert with_made_defaults(signature, print) == signature


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0.5", "0.5"),
        (repr(MappingProxyType({"audio": "heard"})), "{'audio': 'heard'}"),
        ("{'json': Format(render=<function to_json>)}", None),
        (repr("x" * LONG), None),
    ],
)
def test_a_constant_shows_if_it_is_an_expression_to_read(value, shown):
    assert readable_value(value) == shown


def test_the_pages_of_the_book_show_no_raw_value(built):
    pages = sorted((built / "book" / "api").glob("*.html"))
    assert pages
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "mappingproxy" not in text and "&lt;factory&gt;" not in text, page.name
