"""
Help pages, written from the model.

The sections in capitals are those of the AWS CLI's pages: name, description with who
may call, synopsis, options, global options, output. Ours: the errors and the examples.
The text is plain, without a manual-page renderer; on a terminal its headings are bold,
and it goes through the pager that the environment names.
"""

from __future__ import annotations

import html
import json
import os
import re
import sys
import textwrap

from millpond.cli.api.arguments import GLOBAL_OPTIONS, options_beside
from millpond.cli.api.faults import PROGRAM
from millpond.cli.api.model import command_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any, Final

    from millpond.cli.api.arguments import Option
    from millpond.cli.api.model import OperationModel, ServiceModel, Shape

_WIDTH: Final = 78
_INDENT: Final = 7
_STEP: Final = 4
_DEPTH_MAX: Final = 8
_PROMINENT: Final = re.compile(r"(?m)^[A-Z][A-Za-z ]*$|(?<=^ {7})--[a-z0-9-]+")
_TAG: Final = re.compile(r"<[^>]*>")


def program_page(
    local_commands: Mapping[str, tuple[str, str]], apis: Iterable[str]
) -> str:
    """Describe the program: its commands and its global options."""
    commands = [f"{name}: {text}" for name, (_, text) in local_commands.items()]
    commands += [f"{name}: Call the API of that name." for name in apis]
    return _page(
        _section("NAME", _prose(PROGRAM)),
        _section(
            "DESCRIPTION",
            _prose("Keeps per-user data in step across devices; the server of it and "
                   "the commands of its API, with the syntax of the AWS CLI."),
        ),
        _section("SYNOPSIS", _prose(f"{PROGRAM} [options] &lt;command&gt; "
                                    "&lt;subcommand&gt; [parameters]")),
        _section("GLOBAL OPTIONS", _global_options()),
        _section("AVAILABLE COMMANDS", _bullets(commands)),
    )  # fmt: skip


def service_page(service: ServiceModel) -> str:
    """Describe an API: its operations."""
    return _page(
        _section("NAME", _prose(service.name)),
        _section("DESCRIPTION", _prose(service.documentation)),
        _section("AVAILABLE COMMANDS", _bullets([*service.commands, "help"])),
    )


def operation_page(operation: OperationModel, name: str) -> str:
    """Describe an operation: what it takes, answers and may refuse, and examples."""
    return _page(
        _section("NAME", _prose(name)),
        _section("DESCRIPTION", _prose(operation.documentation)),
        _section("SYNOPSIS", _synopsis(operation, name)),
        _section("OPTIONS", _options(operation)),
        _section("GLOBAL OPTIONS", _global_options()),
        _section("OUTPUT", _output(operation)),
        _section("Errors", _errors(operation)),
        _section("Examples", _examples(operation)),
    )


def show(page: str) -> None:
    """Print a page; on a terminal, through MANPAGER, PAGER or less."""
    # Ours: a pager only where somebody can page. The AWS CLI starts it on a pipe too.
    if not sys.stdout.isatty():
        sys.stdout.write(page)
        return
    import shlex
    import subprocess

    shown = _embolden(page)
    pager = os.environ.get("MANPAGER") or os.environ.get("PAGER") or "less"
    # less shows bold letters as such with R, and a short page without waiting with F.
    environment = {"LESS": "FRX", **os.environ}
    try:
        subprocess.run(
            shlex.split(pager), input=shown.encode(), env=environment, check=False
        )
    except OSError:
        sys.stdout.write(shown)


def _embolden(page: str) -> str:
    """Make headings and the names of options bold, where a terminal can."""
    if os.environ.get("TERM", "dumb") == "dumb" or os.environ.get("NO_COLOR"):
        return page
    return _PROMINENT.sub("\x1b[1m\\g<0>\x1b[m", page)


def _synopsis(operation: OperationModel, name: str) -> Iterator[str]:
    yield f"{'':5}{name}"
    for member, shape in operation.input.members.items():
        option = f"--{command_name(member)}"
        if shape.type == "boolean":
            usage = f"{option} | --no-{command_name(member)}"
        else:
            usage = f"{option} <value>"
        required = member in operation.input.required
        yield f"{'':3}{usage}" if required else f"{'':3}[{usage}]"
    for each in (*options_beside(operation), *GLOBAL_OPTIONS):
        value = " <value>" if each.takes_value else ""
        yield f"{'':3}[--{each.name}{value}]"


def _options(operation: OperationModel) -> Iterator[str]:
    for name, shape in operation.input.members.items():
        yield from _described(f"--{command_name(name)} ({shape.type})", shape, 0)
        yield from _nested(shape, _STEP)
        yield from _syntax(shape)
    for option in options_beside(operation):
        yield from _option(option)


def _global_options() -> Iterator[str]:
    for option in GLOBAL_OPTIONS:
        yield from _option(option)


def _option(option: Option) -> Iterator[str]:
    yield f"--{option.name} ({option.kind})"
    yield from _prose(option.help, _STEP)
    # AWS: choices are listed for global options alone.
    if option.choices and option in GLOBAL_OPTIONS:
        yield from _bullets(option.choices, _STEP)


def _output(operation: OperationModel) -> Iterator[str]:
    if operation.output is None or not operation.output.members:
        yield "None"
        yield ""
    else:
        yield from _members(operation.output, 0)


def _errors(operation: OperationModel) -> Iterator[str]:
    for error in operation.errors:
        yield f"{error} ({operation.service.error_status(error)})"
        yield from _prose(operation.service.error_documentation(error), _STEP)


def _examples(operation: OperationModel) -> Iterator[str]:
    from millpond.cli.api.examples import examples

    for example in examples(operation):
        yield example.caption
        yield ""
        yield from (f"{'':{_STEP}}{line}" for line in example.text.splitlines())
        yield ""


def _members(shape: Shape, indent: int) -> Iterator[str]:
    for name, member in shape.members.items():
        yield from _described(f"{name} -> ({member.type})", member, indent)
        yield from _nested(member, indent + _STEP)


def _nested(shape: Shape, indent: int) -> Iterator[str]:
    """Describe what a member is made of."""
    if indent > _STEP * _DEPTH_MAX:
        return
    if shape.type == "structure":
        yield from _members(shape, indent)
    elif shape.type == "list":
        yield from _described(f"({shape.member.type})", shape.member, indent)
        yield from _nested(shape.member, indent + _STEP)
    elif shape.type == "map":
        yield from _described(f"key -> ({shape.key.type})", shape.key, indent)
        yield from _described(f"value -> ({shape.value.type})", shape.value, indent)
        yield from _nested(shape.value, indent + _STEP)


def _described(title: str, shape: Shape, indent: int) -> Iterator[str]:
    """Name something, and say what it is, if that is known."""
    yield f"{'':{indent}}{title}"
    prose = [*_prose(shape.documentation, indent + _STEP)]
    yield from prose or [""]


def _syntax(shape: Shape) -> Iterator[str]:
    """Show how a composed value is written."""
    if not shape.is_container:
        return
    element = shape.member if shape.type == "list" else shape
    if element.is_container:
        more = " ..." if shape.type == "list" else ""
        yield from ("Shorthand syntax:", "")
        yield f"{'':{_STEP}}{_shorthand(element, top=True)}{more}"
        yield ""
    yield from ("JSON syntax:", "")
    for line in json.dumps(_sample(shape), indent=2).splitlines():
        yield f"{'':{_STEP}}{line}"
    yield ""


def _shorthand(shape: Shape, *, top: bool = False) -> str:
    if shape.type == "structure":
        pairs = (f"{n}={_shorthand(each)}" for n, each in shape.members.items())
        text = ",".join(pairs)
    elif shape.type == "map":
        value = _shorthand(shape.value)
        text = f"KeyName1={value},KeyName2={value}"
    elif shape.type == "list":
        return f"{_shorthand(shape.member)},{_shorthand(shape.member)}"
    else:
        return shape.type
    return text if top else f"{{{text}}}"


def _sample(shape: Shape) -> Any:
    if shape.type == "structure":
        return {name: _sample(each) for name, each in shape.members.items()}
    if shape.type == "list":
        return [_sample(shape.member)]
    if shape.type == "map":
        return {"string": _sample(shape.value)}
    return "|".join(shape.enum) or shape.type


def _page(*sections: str) -> str:
    return "\n".join(sections)


def _section(title: str, lines: Iterable[str]) -> str:
    body = (f"{'':{_INDENT}}{line}".rstrip() for line in lines)
    return "\n".join((title, *body)).rstrip() + "\n"


def _bullets(items: Iterable[str], indent: int = 0) -> Iterator[str]:
    for item in items:
        yield f"{'':{indent}}* {item}"
    yield ""


def _prose(documentation: str, indent: int = 0) -> Iterator[str]:
    """Fill the paragraphs of a text; an empty line follows each."""
    for paragraph in documentation.split("</p>"):
        text = html.unescape(_TAG.sub("", paragraph))
        if text.strip():
            width = _WIDTH - _INDENT - indent
            for line in textwrap.wrap(text, width, break_on_hyphens=False):
                yield f"{'':{indent}}{line}"
            yield ""
