"""API pages show values as a reader would write them, or leave them to the source.

A default that is made anew for each object prints as ``<factory>``, which is no Python, and Sphinx
then shows the whole signature raw. Here it is what the factory makes. A mapping that cannot be
written to shows as a dict; and what is no expression, or too long to read in a heading, is left
out: the source is a click away.
"""

import ast
import re
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

FACTORY = "<factory>"
READ_ONLY = re.compile(r"^mappingproxy\((.*)\)$", re.DOTALL)

#: Characters of a value that a heading still bears.
LONG = 800


def with_made_defaults(signature: str, owner: object) -> str:
    """A dataclass's signature with what its factories make in place of ``<factory>``."""
    if is_dataclass(owner):
        for field in fields(owner):
            if field.default_factory is not MISSING and field.init:
                signature = signature.replace(FACTORY, repr(field.default_factory()), 1)
    return signature


def readable_value(value: str) -> str | None:
    """The text of a value; None if it is not to be shown."""
    value = READ_ONLY.sub(r"\1", value)
    try:
        ast.parse(value, mode="eval")
    except SyntaxError:
        return None
    return value if len(value) <= LONG else None


def mend_signature(
    app: Sphinx,
    what: str,
    name: str,
    owner: object,
    options: object,
    signature: str | None,
    returned: str | None,
) -> tuple[str, str | None] | None:
    if signature and FACTORY in signature:
        return with_made_defaults(signature, owner), returned
    return None


def mend_values(app: Sphinx, document: nodes.document) -> None:
    for shown in list(document.findall(addnodes.desc_annotation)):
        if not shown.astext().startswith(" = "):
            continue
        readable = readable_value(shown[-1].astext())
        if readable is None:
            shown.parent.remove(shown)
        else:
            shown[-1] = nodes.Text(readable)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-signature", mend_signature)
    app.connect("doctree-read", mend_values)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
