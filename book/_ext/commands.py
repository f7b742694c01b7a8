"""The directive ``commands``: a section for each command of a program, from what its --help says.

Its argument names a Typer application, ``link.cli:app``, its option ``program`` how the program is
called. The section of a command can be led to by the program's name and the command's: ``link-avvp
train`` is the label ``link-avvp-train``.
"""

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any, ClassVar

import typer
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def in_markdown(command: Any, program: str) -> Iterator[str]:
    """What a command says of itself, as lines of Markdown: its call, its help, its options."""
    context = command.context_class(command, info_name=program)
    yield f"```text\n{program} {' '.join(command.collect_usage_pieces(context))}\n```\n"
    yield f"{with_options_as_code(command.help or '')}\n"
    yield f"{command.epilog or ''}\n"
    for parameter in command.get_params(context):
        name, says = parameter.get_help_record(context)
        if name != "--help":
            yield f"`{name}`\n: {with_options_as_code(says)}\n"


def with_options_as_code(text: str) -> str:
    """Options named in a sentence stand as code, or their dashes would become typographic ones.

    What is code already stays as it is, options in it included.
    """
    code_or_option = re.compile(r"(?P<ticks>`+).+?(?P=ticks)|(?<![\w-])--[a-z][a-z-]*", re.DOTALL)
    return code_or_option.sub(lambda found: found[0] if found["ticks"] else f"`{found[0]}`", text)


class Commands(SphinxDirective):
    required_arguments = 1
    option_spec: ClassVar = {"program": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        module, _, name = self.arguments[0].partition(":")
        group = typer.main.get_command(getattr(import_module(module), name))
        return [
            self.section(f"{self.options['program']} {name}", command)
            for name, command in group.commands.items()
        ]

    def section(self, call: str, command: Any) -> nodes.section:
        label = nodes.make_id(call)
        section = nodes.section("", nodes.title(call, call), ids=[label], names=[label])
        lines = "\n".join(in_markdown(command, call)).splitlines()
        self.state.nested_parse(lines, self.content_offset, section)
        self.env.get_domain("std").note_hyperlink_target(label, self.env.docname, label, call)
        return section


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
