"""The program: ``link-avvp``, and ``python -m link``.

Exit codes: 0, done; 1, the work failed; 2, the call was wrong. What a program reads goes to the
standard output, everything else to the standard error. torch is imported by the commands that use
it, so that ``--help`` is quick.
"""

import json
import sys

try:
    import typer
    from rich.console import Console
except ImportError as missing:
    sys.exit(f"The commands need {missing.name}: pip install -e '.[cli]' in the project's folder")

from link.commands import data, training, videos
from link.errors import LinkError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="LINK: which events can be heard, which can be seen, second by second.",
)
for commands in (videos, data, training):
    app.add_typer(commands.app)
err = Console(stderr=True)


def main() -> None:
    """Run a command; turn an expected failure into one sentence and exit code 1."""
    try:
        app()
    except LinkError as failure:
        if "--json" in sys.argv:
            problems = [[str(path), why] for path, why in getattr(failure, "problems", [])]
            print(json.dumps({"error": str(failure), "problems": problems}))
        _fail(str(failure))
    except OSError as failure:
        _fail(f"{failure.filename or 'a file'}: {failure.strerror or failure}")


def _fail(sentence: str) -> None:
    err.print(f"link-avvp: {sentence}", style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
