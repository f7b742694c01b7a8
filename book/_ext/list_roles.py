"""The entries of a bibliography are list items to screen readers.

docutils gives them the role ``doc-biblioentry``, which DPUB-ARIA has deprecated since: readers
that no longer know it find a list without items.
"""

from typing import Any

from sphinx.application import Sphinx


def with_known_roles(body: str) -> str:
    """A page's body in which the entries of a list of works are its items."""
    return body.replace(' role="doc-biblioentry"', ' role="listitem"')


def mend(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    if "body" in context:
        context["body"] = with_known_roles(context["body"])


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-page-context", mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
