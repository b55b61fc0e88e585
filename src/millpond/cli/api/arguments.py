"""
What can stand on a command line, and the parsers for it.

Theory of operation: three parsers run one after the other over the same words, as in
the AWS CLI, and each takes out what it knows. The first takes the global options,
wherever they stand, and the command; the second the operation; the third the options of
the operation. What is left over is unknown. Which of several faults is reported follows
from this order.
"""

from __future__ import annotations

import argparse
import sys

from millpond.cli.api.faults import PROGRAM, USAGE, UsageFault
from millpond.client.api.faults import Fault, InputFault
from millpond.client.api.model import command_name
from millpond.client.api.ways import NAMED, V1, V2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, Final, NoReturn

    from millpond.client.api.model import OperationModel, Shape
    from millpond.client.api.ways import Ways

_CHOICES_PER_LINE: Final = 2
_CHOICE_WIDTH: Final = 40
_SIMILARITY_MIN: Final = 0.8
_PROPOSALS_MAX: Final = 3
_TIMEOUT_S_DEFAULT: Final = 60
_MISSING: Final = "the following arguments are required"  # argparse says so

INPUT_JSON: Final = "cli-input-json"
INPUT_YAML: Final = "cli-input-yaml"
SKELETON: Final = "generate-cli-skeleton"


class Choices(tuple[str, ...]):
    """What an option may be; `listed` are those that its refusal lists."""

    listed: tuple[str, ...] = ()


class Option:
    """
    An option that does not come from a model.

    Args:
        choices: what its value may be.
        later_choices: more of that, which came with version 2 of the AWS CLI.
        version: the one of the AWS CLI that has the option; `None`: both do.
    """

    def __init__(
        self,
        name: str,
        text: str,
        *,
        kind: str = "string",
        choices: Sequence[str] | None = None,
        later_choices: Sequence[str] = (),
        version: int | None = None,
        **settings: Any,
    ) -> None:
        self.name = name
        self.help = text
        self.kind = kind
        self.choices = (*choices, *later_choices) if choices else None
        self.later_choices = later_choices
        self.version = version
        self._settings = settings

    @property
    def takes_value(self) -> bool:
        """Whether a value follows the option."""
        return self.kind != "boolean"

    def add_to(
        self, parser: argparse._ActionsContainer, ways: Ways | None = None
    ) -> None:
        """Make a parser know the option."""
        settings = dict(self._settings)
        if self.choices:
            choices = Choices(self.choices)
            hidden = () if ways is V2 else self.later_choices
            choices.listed = tuple(each for each in choices if each not in hidden)
            settings["choices"] = choices
        action = parser.add_argument(f"--{self.name}", help=self.help, **settings)
        if isinstance(parser, Parser) and self.version == 2 and ways is not V2:
            parser.unabbreviated.append(action)


# AWS: in this order on every help page of version 1; awscli/data/cli.json.
GLOBAL_OPTIONS: Final = (
    Option(
        "debug",
        "Write what happens to standard error.",
        kind="boolean",
        action="store_true",
    ),
    Option("endpoint-url", "Call this URL in place of the one that is configured."),
    Option(
        "no-verify-ssl",
        "Do not check the certificate of the server.",
        kind="boolean",
        action="store_false",
        dest="verify_ssl",
    ),
    Option(
        "no-paginate",
        "Make one call, and do not put pages together, where an operation has them.",
        kind="boolean",
        action="store_false",
        dest="paginate",
    ),
    Option(
        "output",
        "The form of the result.",
        choices=("json", "text", "table"),
        later_choices=("yaml", "yaml-stream"),
    ),
    Option("query", "A JMESPath expression to pick from the result."),
    Option("profile", "The profile to take credentials and settings from."),
    Option("region", "The region to sign for."),
    Option("version", "Print the version of this program."),
    Option(
        "color",
        "Whether tables are coloured.",
        choices=("on", "off", "auto"),
        default="auto",
    ),
    Option(
        "no-sign-request",
        "Do not sign the request, and look for no credentials.",
        kind="boolean",
        action="store_false",
        dest="sign_request",
    ),
    Option(
        "ca-bundle",
        "A file with the certificates to trust.",
        dest="ca_bundle",
    ),
    Option(
        "cli-read-timeout",
        "The longest wait for the server to send, in seconds; 0 waits for ever. The "
        "default is 60.",
        kind="int",
        dest="read_timeout",
    ),
    Option(
        "cli-connect-timeout",
        "The longest wait for a connection, in seconds; 0 waits for ever. The default "
        "is 60.",
        kind="int",
        dest="connect_timeout",
    ),
    Option(
        "v2-debug",
        "Accepted for the sake of scripts; it has no effect.",
        kind="boolean",
        action="store_true",
        version=1,
    ),
)

# AWS: those of version 2 alone, which stand behind the others on its pages.
LATER_OPTIONS: Final = (
    Option(
        "cli-binary-format",
        "What bytes are written as on the command line and in files read with "
        "file://: base64, or as they are. Results have base64 either way.",
        choices=("base64", "raw-in-base64-out"),
        version=2,
    ),
    Option(
        "no-cli-pager",
        "Accepted for the sake of scripts: results never go through a pager here.",
        kind="boolean",
        action="store_true",
        version=2,
    ),
    Option(
        "cli-auto-prompt",
        "Accepted for the sake of scripts: nothing is ever asked for here.",
        kind="boolean",
        action="store_true",
        version=2,
    ),
    Option(
        "no-cli-auto-prompt",
        "Accepted for the sake of scripts, as above.",
        kind="boolean",
        action="store_true",
        version=2,
    ),
)

_CONNECTION_NAMES: Final = frozenset(
    (
        "debug",
        "endpoint-url",
        "no-verify-ssl",
        "profile",
        "region",
        "ca-bundle",
        "cli-read-timeout",
        "cli-connect-timeout",
    )
)

# Those that say where to, as whom and how to connect; our own commands have them too.
CONNECTION_OPTIONS: Final = tuple(
    option for option in GLOBAL_OPTIONS if option.name in _CONNECTION_NAMES
)

# In whose ways a command line is run; they are looked at before it is parsed.
WAYS_OPTIONS: Final = tuple(f"--{name}" for name in NAMED)

# The options that every operation has, beside those of its input.
COMMON_OPTIONS: Final = (
    Option(
        INPUT_JSON,
        "The whole input as JSON, of the form that --generate-cli-skeleton prints. "
        "Options on the command line win over its members. Binary values cannot be "
        "given this way.",
    ),
    Option(
        INPUT_YAML,
        "The same as YAML, of the form that --generate-cli-skeleton yaml-input prints. "
        "One of the two may be given.",
        version=2,
    ),
    Option(
        SKELETON,
        "Print a skeleton and send nothing. With no value or with input: the input, "
        "to be filled in and given to --cli-input-json. With yaml-input: the same for "
        "--cli-input-yaml. With output: a sample of the answer, after the input has "
        "been checked.",
        choices=("input", "output"),
        later_choices=("yaml-input",),
        nargs="?",
        const="input",
    ),
)


# The options of operations whose pages are put together; see paging.
PAGING_OPTIONS: Final = (
    Option("starting-token", "Where to begin: the NextToken of an earlier result."),
    Option(
        "page-size",
        "The size of the pages that are asked for.",
        kind="integer",
        type=int,
    ),
    Option(
        "max-items",
        "The most items to give back; NextToken says where to go on.",
        kind="integer",
        type=int,
    ),
)


class Parser(argparse.ArgumentParser):
    """An argument parser that speaks as the AWS CLI does, and raises its errors."""

    def __init__(self, *, of_aws: bool = False) -> None:
        """
        Args:
            of_aws: all that it knows is the AWS CLI's, whose messages programs may
                compare; only on a terminal they say more.
        """
        super().__init__(prog=PROGRAM, usage=USAGE, add_help=False)
        self._of_aws = of_aws
        self.color = False  # newer Pythons would colour the usage
        self.unabbreviated: list[argparse.Action] = []
        self._words: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as ever, and know of what it was if it has to be refused."""
        self._words = args or ()
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        # AWS: this alone, and programs may compare it; people are told more.
        if message.startswith(_MISSING) and sys.stderr.isatty():
            message += self._propose().removesuffix("\n")
        raise UsageFault.from_parser(message)

    def _propose(self) -> str:
        """Propose options where something is missing: it may stand there misspelled."""
        words = [each.partition("=")[0] for each in self._words if each[:1] == "-"]
        known = [each for each in self._option_string_actions if each not in words]
        known.append("--help")  # no parser's, and yet known everywhere
        return "".join(
            proposal(word, known)
            for word in words
            if not self._option_string_actions.keys() & {word}
            and not self._get_option_tuples(word)
        )

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = getattr(action.choices, "listed", action.choices)
            # `version` may be meant for `--version`.
            also = None if action.option_strings else list(self._option_string_actions)
            plain = self._of_aws and not sys.stderr.isatty()
            raise argparse.ArgumentError(
                action, invalid_choice(str(value), list(choices), also, plain=plain)
            )

    def _get_option_tuples(self, option_string: str) -> list[Any]:
        # What version 2 added takes no short form from the options of version 1.
        found: list[Any] = super()._get_option_tuples(option_string)
        return [each for each in found if each[0] not in self.unabbreviated]


def invalid_choice(
    value: str,
    choices: Sequence[str],
    also: Sequence[str] | None = None,
    *,
    plain: bool = False,
) -> str:
    """
    List the choices, and those that come close. AWS: awscli/argparser.py.

    Args:
        also: what may have been meant beside them by a word; None: it is the value of
            an option. AWS: nothing is proposed for one that is further off.
        plain: propose what the AWS CLI proposes, and nothing else.
    """
    lines = ["Invalid choice, valid choices are:\n"]
    for start in range(0, len(choices), _CHOICES_PER_LINE):
        row = choices[start : start + _CHOICES_PER_LINE]
        lines.append(" | ".join(each.ljust(_CHOICE_WIDTH) for each in row))
    known = [*choices, *(also or ())]
    near = proposal(value, known, far=also is not None, plain=plain)
    return "\n".join(lines) + near.removesuffix("\n")


def proposal(
    value: str, choices: Sequence[str], *, far: bool = True, plain: bool = False
) -> str:
    """
    Propose the choices that come close to a wrong one; empty when none does.

    Args:
        far: also those that are a little further off.
        plain: those alone that the AWS CLI proposes.
    """
    from difflib import get_close_matches

    from millpond import nearness

    # AWS: these alone. Ours: where there are none, those that are written in another
    # way, and those that are further off.
    close = get_close_matches(value, choices, cutoff=_SIMILARITY_MIN)
    if not close and far and not plain:
        close = nearness.find(value, choices, most=_PROPOSALS_MAX)
    if not close and not plain:
        close = nearness.find_respelled(value, choices)
    if not close:
        return ""
    listed = "".join(f"  * {each}\n" for each in close)
    return f"\n\n\nInvalid choice: {value!r}, maybe you meant:\n\n{listed}"


def parse_globals(
    words: Sequence[str], commands: Iterable[str], version: str, ways: Ways = V1
) -> tuple[argparse.Namespace, list[str]]:
    """Take out the global options and the command."""
    parser = Parser()
    for option in (*GLOBAL_OPTIONS, *LATER_OPTIONS):
        if option.name != "version" and (ways is V1 or option.version != 1):
            option.add_to(parser, ways)
    parser.add_argument("--version", action="version", version=version)
    parser.add_argument("command", choices=[*commands, "help"])
    parsed: tuple[argparse.Namespace, list[str]] = parser.parse_known_args(words)
    return parsed


def settle_connection(options: argparse.Namespace) -> None:
    """
    Read the values of the options that say where and how to connect.

    Raises:
        Fault: the URL has no scheme, or a timeout is no number.
    """
    if options.endpoint_url is not None:
        _check_scheme(options.endpoint_url)
    options.read_timeout = _seconds(options.read_timeout)
    options.connect_timeout = _seconds(options.connect_timeout)


def _check_scheme(url: str) -> None:
    from urllib.parse import urlsplit

    if not urlsplit(url).scheme:
        raise InputFault(
            f'Bad value for --endpoint-url "{url}": scheme is missing.  Must be of the '
            "form http://<hostname>/ or https://<hostname>/"
        )


def _seconds(value: str | None) -> int | None:
    """Read a timeout: 0 means none at all."""
    try:
        seconds = _TIMEOUT_S_DEFAULT if value is None else int(value)
    except ValueError as error:
        raise Fault(str(error)) from None
    return seconds or None


def parse_operation(
    words: Sequence[str], operations: Iterable[str]
) -> tuple[str, list[str]]:
    """Take out the operation."""
    parser = Parser(of_aws=True)
    parser.add_argument("operation", choices=[*operations, "help"])
    parsed, rest = parser.parse_known_args(words)
    operation: str = parsed.operation
    return operation, rest


def parse_options(
    words: Sequence[str], operation: OperationModel, ways: Ways = V1
) -> tuple[argparse.Namespace, list[str]]:
    """Take out the options of an operation; `help` is set when help is asked for."""
    if list(words) == ["help"]:
        return argparse.Namespace(help="help"), []
    parser = Parser(of_aws=True)
    lenient = _lifts_required(words)
    for name, shape in operation.input.members.items():
        required = name in operation.input.required and not lenient
        _add_member(parser, command_name(name), shape, required=required)
    for option in options_beside(operation):
        option.add_to(parser, ways)
    parser.add_argument("help", nargs="?")
    parsed, rest = parser.parse_known_args(words)
    if parsed.help and parsed.help != "help":
        rest.append(parsed.help)
    return parsed, rest


def options_beside(operation: OperationModel) -> tuple[Option, ...]:
    """The options of an operation that do not come from its input."""
    return COMMON_OPTIONS + (PAGING_OPTIONS if operation.paging else ())


def of_version(options: Iterable[Option], version: int) -> list[Option]:
    """Choose the options that a version of the AWS CLI has."""
    return [each for each in options if each.version in (None, version)]


def near_options(
    unknown: Sequence[str], operation: OperationModel, given: argparse.Namespace
) -> str:
    """
    Propose options for those that are unknown.

    Ours: the AWS CLI proposes commands alone. One that is on the line already is not
    what was meant.
    """
    missing = [
        f"--{name}"
        for name in map(command_name, operation.input.members)
        if getattr(given, attribute(name)) is None
    ]
    others = (*GLOBAL_OPTIONS, *LATER_OPTIONS, *options_beside(operation))
    known = [*missing, *(f"--{each.name}" for each in others)]
    words = [each.partition("=")[0] for each in unknown if each.startswith("--")]
    # A name that is right stands in the wrong place, such as after a bare '--'.
    wrong = [word for word in words if word not in known]
    return "".join(proposal(word, known) for word in wrong).removeprefix("\n")


def attribute(option: str) -> str:
    """The name under which a parser keeps the value of an option."""
    return option.replace("-", "_")


def _lifts_required(words: Sequence[str]) -> bool:
    """
    Tell whether required options may be missing.

    AWS: the words are looked at as they stand, so that neither a prefix nor the form
    with '=' counts (awscli/customizations/arguments.py).
    """
    if f"--{INPUT_JSON}" in words or f"--{INPUT_YAML}" in words:
        return True
    if f"--{SKELETON}" not in words:
        return False
    after = words[words.index(f"--{SKELETON}") + 1 :]
    return not after or after[0] != "output"


def _add_member(
    parser: argparse.ArgumentParser, name: str, shape: Shape, *, required: bool
) -> None:
    option = f"--{name}"
    if shape.type == "boolean":
        dest = attribute(name)
        parser.add_argument(option, dest=dest, action="store_true", default=None)
        parser.add_argument(
            f"--no-{name}", dest=dest, action="store_false", default=None
        )
    elif shape.type == "list":
        parser.add_argument(option, nargs="*", required=required)
    elif shape.type == "long":
        # AWS: a long is converted by the parser, an integer later; the texts differ.
        parser.add_argument(option, type=int, required=required)
    elif shape.type in ("float", "double"):
        parser.add_argument(option, type=float, required=required)
    else:
        parser.add_argument(option, required=required)
