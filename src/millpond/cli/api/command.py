"""
`millpond <api> <operation>`: from the words to the exit status.

The steps come in the order of the AWS CLI, because the first fault found is the one
that is reported: global options, the operation, its options, unknown words, values that
cannot be read, the profile, `--cli-input-json`, and then what `call.prepare` checks.
"""

from __future__ import annotations

import os
import sys

from millpond import __version__
from millpond.cli import page
from millpond.cli.api import arguments
from millpond.cli.api.compat import choose
from millpond.cli.api.faults import UsageFault
from millpond.client.api import models
from millpond.client.api.faults import Fault, InputFault, SettingFault
from millpond.client.api.ways import V1

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, Final

    from millpond.cli.api.paging import Fetch, Pages
    from millpond.client.api.configuration import Configuration
    from millpond.client.api.model import OperationModel
    from millpond.client.api.ways import Ways

_INPUT_SKELETONS: Final = ("input", "yaml-input")
_YAML_OUTPUTS: Final = ("yaml", "yaml-stream")


def main(words: Sequence[str], *, own_commands: Sequence[str]) -> int:
    """
    Run one command line whose command is an API or `help`.

    Args:
        own_commands: names that are no API's; they are proposed, and refused here.
    """
    ways = V1
    try:
        ways, words = choose(words, os.environ)
        return _run(words, own_commands, ways)
    except Fault as fault:
        fault.version = ways.version
        raise


def _run(words: Sequence[str], own_commands: Sequence[str], ways: Ways) -> int:
    commands = [*models.CONTRACTS, *own_commands]
    try:
        options, rest = arguments.parse_globals(words, commands, _version(), ways)
    except SystemExit as done:  # --version has printed
        return int(done.code or 0)
    if options.command in own_commands:
        raise UsageFault.from_parser(
            f"argument command: {options.command} must be the first word"
        )
    query = _settle_globals(options)
    if options.command == "help":
        from millpond.cli.help import program_page

        page.show(program_page())
        return 0
    return _run_api(options, rest, query, ways)


def _version() -> str:
    python = ".".join(str(part) for part in sys.version_info[:3])
    system = os.uname() if hasattr(os, "uname") else None
    platform = f" {system.sysname}/{system.release}" if system else ""
    return f"millpond/{__version__} Python/{python}{platform}"


def _settle_globals(options: Namespace) -> Any:
    """Read the values of the global options; give back the compiled query."""
    query = None if options.query is None else _compile_query(options.query)
    arguments.settle_connection(options)
    return query


def _compile_query(expression: str) -> Any:
    import jmespath

    try:
        return jmespath.compile(expression)
    except Exception as error:
        raise InputFault(f"Bad value for --query {expression}: {error}") from None


def _run_api(options: Namespace, words: Sequence[str], query: Any, ways: Ways) -> int:
    from millpond.client.api.configuration import Configuration
    from millpond.client.api.model import ServiceModel

    configuration = Configuration(options.profile, ways=ways)
    read_time = _time_reader(configuration)
    service = ServiceModel.load(options.command)
    name, words = arguments.parse_operation(words, service.commands)
    if name == "help":
        return _show(lambda pages: pages.service_page(service))
    operation = service.operation(name)
    given, unknown = arguments.parse_options(words, operation, ways)
    if given.help == "help":
        return _show(lambda pages: pages.operation_page(operation, name, ways))
    if unknown:
        near = arguments.near_options(unknown, operation, given)
        raise UsageFault.unknown_options(unknown, near)
    read_pages = _page_reader(given, operation, options, ways)
    parameters = _read_parameters(given, operation, configuration)
    if given.generate_cli_skeleton in _INPUT_SKELETONS:
        _print_input_skeleton(operation, given.generate_cli_skeleton, ways)
        return 0
    if given.generate_cli_skeleton == "output":
        result = _sample_result(operation, parameters, options, configuration)
    else:

        def fetch(parameters: dict[str, Any]) -> dict[str, Any]:
            return _call(operation, parameters, options, configuration, read_time)

        result = (
            fetch(parameters) if read_pages is None else read_pages(fetch, parameters)
        )
    _print_result(result, operation.name, query, options, configuration)
    return 0


def _page_reader(
    given: Namespace, operation: OperationModel, options: Namespace, ways: Ways
) -> Callable[[Fetch, dict[str, Any]], Pages | dict[str, Any]] | None:
    """What puts the pages of an operation together; `None` when one call is all."""
    how = operation.paging
    if how is None:
        return None
    from millpond.cli.api import paging

    if not paging.is_wanted(given, how, ways, paginate=options.paginate):
        return None

    def read(fetch: Fetch, parameters: dict[str, Any]) -> Pages | dict[str, Any]:
        if paging.is_by_hand(parameters, how, ways):
            return fetch(parameters)
        return paging.Pages(fetch, parameters, given, how)

    return read


def _time_reader(configuration: Configuration) -> Callable[[Any], Any]:
    """What to make of the times in an answer. AWS: refused before anything else."""
    ways = configuration.ways
    time_format = configuration.profile_or_nothing.get(
        "cli_timestamp_format", ways.time_format
    )
    if time_format not in ways.time_formats:
        *most, last = (f'"{each}"' for each in ways.time_formats)
        raise SettingFault(
            f"Unknown cli_timestamp_format value: {time_format}, valid values are "
            f"{', '.join(most)} or {last}"
        )
    if time_format != "iso8601":
        return lambda value: value
    from millpond.client.api import times

    return times.iso8601


def _read_parameters(
    given: Namespace, operation: OperationModel, configuration: Configuration
) -> dict[str, Any]:
    from millpond.cli.api import parameters

    ways = configuration.ways
    follow = configuration.profile_or_nothing.get("cli_follow_urlparam", "true")
    built = parameters.build(
        given, operation, follow_urls=ways.follows_urls and follow == "true"
    )
    if ways.version == 1 or given.generate_cli_skeleton not in _INPUT_SKELETONS:
        _ = configuration.profile  # AWS: a profile that does not exist is told here
    parameters.merge_input(given, built, ways)
    return built


def _print_input_skeleton(operation: OperationModel, kind: str, ways: Ways) -> None:
    from millpond.cli.api import formatting, skeleton

    # AWS: in this form, whatever --output and --query say; {} is printed too.
    if kind == "yaml-input":
        from millpond.cli.api import yaml

        sys.stdout.write(yaml.skeleton_of(operation.input))
        return
    pick = skeleton.any_of if ways.version == 1 else skeleton.first_of
    text = formatting.as_json(skeleton.of_input(operation.input, pick))
    sys.stdout.write(text or "{}\n")


def _sample_result(
    operation: OperationModel,
    parameters: dict[str, Any],
    options: Namespace,
    configuration: Configuration,
) -> Any:
    from millpond.cli.api import skeleton
    from millpond.client.api import call, validation

    call.prepare(operation, parameters, options, configuration)
    sample = skeleton.of_output(operation.output)
    if operation.output is not None:
        # AWS: the sample is checked as an input is; one with a RoleArn does not pass.
        validation.check(sample, operation.output)
    return sample


def _call(
    operation: OperationModel,
    parameters: dict[str, Any],
    options: Namespace,
    configuration: Configuration,
    read_time: Callable[[Any], Any],
) -> dict[str, Any]:
    from millpond.client.api import answers, call

    prepared = call.prepare(operation, parameters, options, configuration)
    response = call.make(prepared, options)
    return answers.parse_result(response, operation, read_time)


def _print_result(
    result: Any,
    title: str,
    query: Any,
    options: Namespace,
    configuration: Configuration,
) -> None:
    output = options.output
    if output is None:
        output = configuration.get("output")
    if output is None:
        output = "json"
    for part in _parts(result, output):
        shown = part if query is None else _search(query, part)
        sys.stdout.write(_formatted(shown, output, title, color=options.color))
    sys.stdout.flush()


def _parts(result: Any, output: str) -> Iterable[Any]:
    """
    Part pages, where there are some.

    AWS: text is written page by page, without what is no item; a stream of YAML, too,
    with all that was answered.
    """
    if isinstance(result, dict):
        return [result]
    pages: Pages = result
    if output == "yaml-stream":
        return pages.answers()
    return pages.parts() if output == "text" else [pages.whole()]


def _formatted(result: Any, output: str, title: str, *, color: str) -> str:
    if output == "table":
        from millpond.cli.api import table

        return table.as_table(title, result, color=color)
    from millpond.cli.api import formatting

    if output == "json":
        return formatting.as_json(result)
    if output == "text":
        return formatting.as_text(result)
    if output in _YAML_OUTPUTS:
        from millpond.cli.api import yaml

        return yaml.dump(result, as_item=output == "yaml-stream")
    raise Fault(f"Unknown output type: {output}")


def _search(query: Any, result: Any) -> Any:
    from jmespath.exceptions import JMESPathError

    try:
        return query.search(result)
    except JMESPathError as error:
        raise Fault(str(error)) from None


def _show(write: Callable[[Any], str]) -> int:
    """Show a help page. AWS: whatever else stands on the line does no harm."""
    from millpond.cli.api import help as pages

    page.show(write(pages))
    return 0
