"""Where the book's repository is: told when the pages are built, so that no address is made up.

With ``BOOK_REPOSITORY`` set to the address of a GitHub repository (and ``BOOK_BRANCH``, if it is
not ``main``), every page links to it, and every chapter has a button that opens it on Colab.
Without it there are no such buttons, and chapters can still be downloaded.

There is no button for Binder: the images it builds are too small for PyTorch.
"""

import os
from collections.abc import Mapping
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

COLAB = "https://colab.research.google.com"


def theme_options(environment: Mapping[str, str]) -> dict[str, Any]:
    """What the theme has to be told of the repository; nothing, where none is named."""
    address = environment.get("BOOK_REPOSITORY", "").rstrip("/")
    if not address:
        return {}
    return {
        "repository_url": address,
        "repository_branch": environment.get("BOOK_BRANCH") or "main",
        "use_repository_button": True,
        "launch_buttons": {"colab_url": COLAB},
    }


def tell_theme(app: Sphinx, config: Config) -> None:
    config.html_theme_options |= theme_options(os.environ)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", tell_theme)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
