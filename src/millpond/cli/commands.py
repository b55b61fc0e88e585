"""
Our own commands: one row each, in the groups of the first help page.

To add a command: a row here, a module with `main(argv) -> int` and `make_parser()`, and
what completion must know of it in `completion/local`.

Rule: importing this module costs next to nothing; the module of a command is imported
when that is called.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

RUN: Final = "Run"
LOOK: Final = "Look"
DATA: Final = "Data"
MOVE: Final = "Move"
AWS_APIS: Final = "AWS APIs"  # the commands of these are in `api.models`

# In the order of the page, with what each is about.
GROUPS: Final[Mapping[str, str]] = {
    RUN: "a server, its keys and its settings",
    LOOK: "what is there, how it goes, what is wrong",
    DATA: "pools, streams and what goes into them",
    MOVE: "to another store, and away from AWS",
    AWS_APIS: "the words and answers of the AWS CLI",
}


class Command:
    """
    A command of ours.

    Args:
        group: under which heading the help page has it; one of `GROUPS`.
        module: where its `main` and `make_parser` are.
        about: what it does, in one line.
    """

    __slots__ = ("about", "group", "module")

    def __init__(self, group: str, module: str, about: str) -> None:
        self.group = group
        self.module = f"millpond.cli.{module}"
        self.about = about


COMMANDS: Final[Mapping[str, Command]] = {
    "serve": Command(RUN, "serve", "Run a server."),
    "demo": Command(RUN, "demo", "Run a server with sample data, to try things out."),
    "settings": Command(
        RUN, "settings", "Check the settings, and show where each comes from."
    ),
    "console": Command(RUN, "console", "Print a link that logs in to the console."),
    "key": Command(RUN, "key", "Create, list, change and delete developer keys."),
    "token-key": Command(RUN, "token_key", "Rotate the keys that sign tokens."),
    "hook-secret": Command(
        RUN, "hook_secret", "Print the secret that signs what sync triggers are sent."
    ),
    "completion": Command(
        RUN, "completion", "Print what makes a shell complete our commands."
    ),
    "configure": Command(
        LOOK, "configure", "Show the settings that calls of the APIs go by."
    ),
    "doctor": Command(LOOK, "doctor", "Find out why calls fail, and what to do."),
    "get-bulk-publish-details": Command(
        LOOK,
        "bulk_publish_details",
        "Say how a bulk publish goes, and watch it to its end.",
    ),
    "live": Command(LOOK, "live", "Follow the changes of an identity."),
    "audit": Command(LOOK, "audit", "See who changed what, when and from where."),
    "identity": Command(
        LOOK, "identity", "Find users and guests, and see what they hold."
    ),
    "dataset": Command(
        LOOK, "dataset", "See datasets and their records, now and before."
    ),
    "data": Command(
        DATA, "data", "Keep a user's datasets on this machine, in step with a server."
    ),
    "apply": Command(DATA, "apply", "Make pools and streams what a file describes."),
    "dump": Command(DATA, "dump", "Write pools and streams as a file for `apply`."),
    "pool": Command(DATA, "pool", "See pools, or create one under its id at AWS."),
    "stream": Command(DATA, "stream", "Create, list, follow and verify streams."),
    "outbox": Command(
        DATA, "outbox", "See what waits for a stream, or was refused by it."
    ),
    "bulk-publish": Command(
        DATA, "bulk_publish", "Publish everything to the stream, and see how it goes."
    ),
    "import": Command(
        MOVE, "importing", "Move a pool in from AWS, with its counts and all its data."
    ),
    "store": Command(
        MOVE, "store", "Make a store, copy all, back it up, or look it over."
    ),
    "migrate": Command(
        MOVE, "migrate", "Bring a store's schema up to date, or spread it over servers."
    ),
    "install-model": Command(
        MOVE, "install_model", "Make the AWS CLI and boto3 know the API without AWS."
    ),
}
