"""
Help pages, written from the model.

The sections in capitals are those of the AWS CLI's pages: name, description with who
may call, synopsis, options, global options, output; the options are those of the
version of the AWS CLI in whose ways we are. Ours: what version 2 added, the errors and
the examples. How a page is laid out and shown is `cli.page`.
"""

from __future__ import annotations

import html
import json
import re

from millpond.cli.api.arguments import (
    GLOBAL_OPTIONS,
    INPUT_JSON,
    INPUT_YAML,
    LATER_OPTIONS,
    WAYS_OPTIONS,
    of_version,
    options_beside,
)
from millpond.cli.page import (
    STEP,
    bullets,
    indent,
    is_narrow,
    page,
    prose,
    section,
    width,
)
from millpond.client.api.model import command_name
from millpond.client.api.ways import V1

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Final

    from millpond.cli.api.arguments import Option
    from millpond.client.api.model import OperationModel, ServiceModel, Shape
    from millpond.client.api.ways import Ways

_DEPTH_MAX: Final = 8
_TAG: Final = re.compile(r"<[^>]*>")
_SHARED: Final = (*GLOBAL_OPTIONS, *LATER_OPTIONS)
VERSIONS: Final = "Versions of the AWS CLI"


def service_page(service: ServiceModel) -> str:
    """Describe an API: its operations."""
    return page(
        section("NAME", _prose(service.name)),
        section("DESCRIPTION", _prose(service.documentation)),
        section("AVAILABLE COMMANDS", bullets([*service.commands, "help"])),
    )


def operation_page(operation: OperationModel, name: str, ways: Ways) -> str:
    """Describe an operation: what it takes, answers and may refuse, and examples."""
    return page(
        section("NAME", _prose(name)),
        section("DESCRIPTION", _prose(operation.documentation)),
        section("SYNOPSIS", _synopsis(operation, name, ways)),
        section("OPTIONS", _options(operation, ways)),
        section("GLOBAL OPTIONS", _global_options(ways)),
        section("OUTPUT", _output(operation)),
        section(VERSIONS, versions(options_beside(operation), ways)),
        section("Errors", _errors(operation)),
        section("Examples", _examples(operation), copied=True),
    )


def _synopsis(operation: OperationModel, name: str, ways: Ways) -> Iterator[str]:
    yield f"{'':5}{name}"
    for member, shape in operation.input.members.items():
        option = f"--{command_name(member)}"
        if shape.type == "boolean":
            usage = f"{option} | --no-{command_name(member)}"
        else:
            usage = f"{option} <value>"
        required = member in operation.input.required
        yield f"{'':3}{usage}" if required else f"{'':3}[{usage}]"
    for each in of_version((*options_beside(operation), *_SHARED), ways.version):
        value = " <value>" if each.takes_value else ""
        if each.name == INPUT_YAML:
            continue
        if each.name == INPUT_JSON and ways is not V1:
            yield f"{'':3}[--{INPUT_JSON} <value> | --{INPUT_YAML} <value>]"
        else:
            yield f"{'':3}[--{each.name}{value}]"


def _options(operation: OperationModel, ways: Ways) -> Iterator[str]:
    for name, shape in operation.input.members.items():
        yield from _described(f"--{command_name(name)} ({shape.type})", shape, 0)
        yield from _nested(shape, STEP)
        yield from _syntax(shape)
    for option in of_version(options_beside(operation), ways.version):
        yield from _option(option, ways)


def _global_options(ways: Ways) -> Iterator[str]:
    for option in of_version(_SHARED, ways.version):
        yield from _option(option, ways)


def _option(option: Option, ways: Ways) -> Iterator[str]:
    # AWS: version 2 describes the two of them side by side.
    beside = f"--{INPUT_JSON} | " if option.name == INPUT_YAML else ""
    yield f"{beside}--{option.name} ({option.kind})"
    yield from _prose(option.help, STEP)
    # AWS: choices are listed for global options alone.
    if option.choices and option in _SHARED:
        yield from bullets(_choices(option, ways), STEP)


def _choices(option: Option, ways: Ways) -> list[str]:
    later = option.later_choices if ways is V1 else ()
    return [each for each in option.choices or () if each not in later]


def versions(options: Iterable[Option], ways: Ways) -> Iterator[str]:
    """
    Name what version 2 of the AWS CLI added, which works in the ways of version 1, too.

    Args:
        options: those beside the global ones.
    """
    lines = [f"{', '.join(WAYS_OPTIONS)}: In whose ways this command line is run."]
    for option in (*options, *_SHARED) if ways is V1 else ():
        if option.version == 2:
            choices = f" {', '.join(option.choices)}" if option.choices else ""
            lines.append(f"--{option.name}{choices}: {option.help}")
        lines += [f"--{option.name} {each}" for each in option.later_choices]
    for line in lines:
        first, *rest = prose(line, 2)
        yield f"* {first.lstrip()}"
        yield from rest[:-1]
    yield ""


def _output(operation: OperationModel) -> Iterator[str]:
    if operation.output is None or not operation.output.members:
        yield "None"
        yield ""
    else:
        yield from _members(operation.output, 0)


def _errors(operation: OperationModel) -> Iterator[str]:
    for error in operation.errors:
        yield f"{error} ({operation.service.error_status(error)})"
        yield from _prose(operation.service.error_documentation(error), STEP)


def _examples(operation: OperationModel) -> Iterator[str]:
    from millpond.cli.api.examples import examples

    for example in examples(operation):
        yield from prose(example.caption)
        inner = 0 if is_narrow() else STEP
        for line in example.text.splitlines():
            yield from (f"{'':{inner}}{part}" for part in _narrowed(line))
        yield ""


def _narrowed(line: str) -> Iterator[str]:
    """Put the value of an option on a line of its own where a page is narrow."""
    name, _, value = line.strip().partition(" ")
    fits = not is_narrow() or len(line) <= width() - indent()
    if fits or not name.startswith("--") or len(value) < 3:
        yield line
    else:
        yield f"{'':{STEP}}{name} \\"
        yield value


def _members(shape: Shape, inner: int) -> Iterator[str]:
    for name, member in shape.members.items():
        yield from _described(f"{name} -> ({member.type})", member, inner)
        yield from _nested(member, inner + STEP)


def _nested(shape: Shape, inner: int) -> Iterator[str]:
    """Describe what a member is made of."""
    if inner > STEP * _DEPTH_MAX:
        return
    if shape.type == "structure":
        yield from _members(shape, inner)
    elif shape.type == "list":
        yield from _described(f"({shape.member.type})", shape.member, inner)
        yield from _nested(shape.member, inner + STEP)
    elif shape.type == "map":
        yield from _described(f"key -> ({shape.key.type})", shape.key, inner)
        yield from _described(f"value -> ({shape.value.type})", shape.value, inner)
        yield from _nested(shape.value, inner + STEP)


def _described(title: str, shape: Shape, inner: int) -> Iterator[str]:
    """Name something, and say what it is, if that is known."""
    yield f"{'':{inner}}{title}"
    prose = [*_prose(shape.documentation, inner + STEP)]
    yield from prose or [""]


def _syntax(shape: Shape) -> Iterator[str]:
    """Show how a composed value is written."""
    if not shape.is_container:
        return
    element = shape.member if shape.type == "list" else shape
    if element.is_container:
        more = " ..." if shape.type == "list" else ""
        yield from ("Shorthand syntax:", "")
        yield f"{'':{STEP}}{_shorthand(element, top=True)}{more}"
        yield ""
    yield from ("JSON syntax:", "")
    for line in json.dumps(_sample(shape), indent=2).splitlines():
        yield f"{'':{STEP}}{line}"
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


def _prose(documentation: str, inner: int = 0) -> Iterator[str]:
    """Fill the paragraphs of a text; an empty line follows each."""
    for paragraph in documentation.split("</p>"):
        yield from prose(html.unescape(_TAG.sub("", paragraph)), inner)
