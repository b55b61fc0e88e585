"""The options of commands of our own that say where to, as whom and how to connect."""

from __future__ import annotations

from millpond.cli.api import arguments
from millpond.client.api.configuration import Configuration
from millpond.client.api.faults import InputFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _ArgumentGroup


def add_options(parser: ArgumentParser) -> None:
    """Add the options of the AWS CLI that say where to, as whom and how to connect."""
    group = parser.add_argument_group("connection")
    for option in arguments.CONNECTION_OPTIONS:
        option.add_to(group)


def add_place_options(group: _ArgumentGroup) -> None:
    """Add the options that say where a pool is, for commands that find out the rest."""
    group.add_argument("--profile", metavar="NAME", help="profile of the AWS CLI")
    group.add_argument(
        "--region", metavar="REGION", help="of the pool [the beginning of its id]"
    )
    group.add_argument(
        "--endpoint-url",
        metavar="URL",
        help="where the APIs are [as the AWS CLI finds it]",
    )


def settle(options: Namespace) -> Configuration:
    """
    Read the options of `add_options`, and the settings that they do not give.

    Raises:
        Fault: an option or a settings file cannot be read.
    """
    try:
        arguments.settle_connection(options)
    except ValueError as error:  # AWS: its own commands tell no more than this
        url = options.endpoint_url
        raise InputFault(f'Bad value for --endpoint-url "{url}": {error}.') from None
    options.sign_request = True
    options.cli_binary_format = None
    return Configuration(options.profile)
