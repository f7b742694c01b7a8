"""Names of the package in prose become links to the API pages.

Wherever a page says ``link.losses.piecewise_weight``, or ``piecewise_weight`` as code, the reader
can go there. Nothing has to be marked: an inline literal links if exactly one documented object
has that name. A name may stand without its module if it cannot be taken for a word, so it has a
capital, an underscore or a dot in it; arguments behind it (``LinkConfig(keep_weight=True)``) do
not matter.

A call of the program, ``link-avvp train --out runs/link``, leads to its command.

A dotted name that begins with ``link.`` and that nothing documents is reported as a warning, and
so is an unknown command: prose that names what is no longer there is wrong.
"""

import re
from collections import defaultdict
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.nodes import make_refnode

PACKAGE = "link"

logger = logging.getLogger(__name__)


def short_names(documented: list[str], modules: set[str]) -> dict[str, str]:
    """Full names by what is left of them without their module, where that is unambiguous."""
    found = defaultdict(list)
    for name in documented:
        module = max((m for m in modules if name.startswith(f"{m}.")), key=len, default=None)
        if module is not None:
            found[name.removeprefix(f"{module}.")].append(name)
    return {short: full[0] for short, full in found.items() if len(full) == 1}


def resolve(text: str, documented: set[str], short: dict[str, str]) -> str | None:
    """The full name of the object that `text` means; None if it means none or several."""
    name = re.sub(r"\(.*\)$", "", text, flags=re.DOTALL).strip()
    if name in documented:
        return name
    return short.get(name) if re.search(r"[A-Z_.]", name) else None


class LinkCodeNames(SphinxPostTransform):
    # After Sphinx has resolved the references that were marked as such.
    default_priority = 20

    def run(self, **kwargs: Any) -> None:
        documented, short = names_of(self.env)
        for literal in list(self.document.findall(nodes.literal)):
            if occupied(literal):
                continue
            text = literal.astext()
            name = resolve(text, documented.keys(), short)
            if name is not None:
                self.put_link(literal, documented[name].docname, documented[name].node_id, name)
            elif command := re.match(r"(link-avvp [a-z]+)( |$)", text):
                self.put_command(literal, nodes.make_id(command.group(1)))
            elif re.fullmatch(rf"{PACKAGE}(\.[A-Za-z]\w*)+(\(.*\))?", text):
                logger.warning("no API page has `%s`", text, location=literal)

    def put_command(self, literal: nodes.literal, label: str) -> None:
        """Calls of the program lead to the section of their command (`commands`)."""
        page, place = self.env.get_domain("std").anonlabels.get(label, (None, None))
        if page is None:
            logger.warning(
                "no page describes the command of `%s`", literal.astext(), location=literal
            )
        else:
            self.put_link(literal, page, place, literal.astext())

    def put_link(self, literal: nodes.literal, page: str, place: str, title: str) -> None:
        inside = literal.deepcopy()
        inside["classes"] = [*literal["classes"], "xref", "py"]
        link = make_refnode(self.app.builder, self.env.docname, page, place, inside, title)
        literal.replace_self(link)


def names_of(env: BuildEnvironment) -> tuple[dict[str, Any], dict[str, str]]:
    """Documented objects by full name, and full by short names."""
    domain = env.get_domain("py")
    documented = {name: entry for name, entry in domain.objects.items() if not entry.aliased}
    return documented, short_names(list(documented), set(domain.modules))


def occupied(literal: nodes.literal) -> bool:
    node = literal.parent
    while node is not None:
        if isinstance(node, (nodes.reference, nodes.title)) or node.tagname.startswith("desc_sig"):
            return True
        node = node.parent
    return False


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_post_transform(LinkCodeNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
