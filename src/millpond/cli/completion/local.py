"""
Our own commands, as far as completion must know them.

A table, although each command has a parser that knows more: loading the server's
settings for the sake of an option's name takes longer than a key press should. A test
compares the two.
"""

from __future__ import annotations

from millpond.cli.api.arguments import CONNECTION_OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    Value = str | tuple[str, ...]

# What follows an option: nothing, something, a path, or one of some words.
FLAG: Final = "flag"
TEXT: Final = "text"
PATH: Final = "path"

_OUTPUT: Final = ("text", "json")


class Command:
    """
    A command, or one of the commands that a command has.

    Args:
        options: by name; what follows each.
        words: those that may stand alone, and what each goes on with.
    """

    def __init__(
        self,
        options: Mapping[str, Value] | None = None,
        words: Mapping[str, Command | None] | None = None,
    ) -> None:
        self.options: dict[str, Value] = {"--help": FLAG, **(options or {})}
        self.words: dict[str, Command | None] = dict(words or {})


_SETTINGS: Final[dict[str, Value]] = {
    "--data": PATH,
    "--store": TEXT,
    "--settings": PATH,
}
_SERVER: Final[dict[str, Value]] = {**_SETTINGS, "--host": TEXT, "--port": TEXT}
_SERVE: Final[dict[str, Value]] = {
    **_SERVER,
    "--readers": TEXT,
    "--ephemeral": FLAG,
}
_STORE: Final[dict[str, Value]] = {**_SETTINGS, "--output": _OUTPUT}
_PAGE: Final[dict[str, Value]] = {"--max-items": TEXT, "--starting-token": TEXT}
_OF_POOL: Final[dict[str, Value]] = {**_STORE, "--identity-pool-id": TEXT}
_KEY: Final[dict[str, Value]] = {
    "--name": TEXT,
    "--scope": ("full", "read-only"),
    "--pool": TEXT,
    "--identity-pool-id": TEXT,
    "--expires": TEXT,
}
_PARKED: Final[dict[str, Value]] = {
    **_OF_POOL,
    "--outbox-id": TEXT,
    "--all": FLAG,
}
_CONNECTION: Final[dict[str, Value]] = {
    f"--{option.name}": TEXT if option.takes_value else FLAG
    for option in CONNECTION_OPTIONS
}
_SOURCE: Final[dict[str, Value]] = {
    "--profile": TEXT,
    "--region": TEXT,
    "--endpoint-url": TEXT,
    "--parallel": TEXT,
    "--patience": TEXT,
}

_DATA: Final[dict[str, Value]] = {
    "--file": PATH,
    "--identity-pool-id": TEXT,
    "--output": _OUTPUT,
    "--identity-id": TEXT,
    "--login": TEXT,
    "--token-file": PATH,
    "--profile": TEXT,
    "--region": TEXT,
    "--endpoint-url": TEXT,
    "--ca-bundle": PATH,
}

COMMANDS: Final[Mapping[str, Command]] = {
    "serve": Command(_SERVE),
    "settings": Command(
        words={
            "check": Command({**_SERVE, "--output": _OUTPUT}),
            "show": Command({**_SERVE, "--output": _OUTPUT}),
        }
    ),
    "apply": Command({**_CONNECTION, "--check": FLAG}),
    "dump": Command({**_CONNECTION, "--identity-pool-id": TEXT, "--ids": FLAG}),
    "configure": Command(
        words={
            "list": Command({"--profile": TEXT}),
            "get": Command({"--profile": TEXT}),
        }
    ),
    "key": Command(
        words={
            "create": Command({**_STORE, **_KEY}),
            "list": Command(_STORE),
            "change": Command({**_STORE, **_KEY, "--yes": FLAG}),
            "delete": Command({**_STORE, "--yes": FLAG}),
        }
    ),
    "audit": Command(
        words={
            "list": Command(
                {
                    **_OF_POOL,
                    **_PAGE,
                    "--pool": TEXT,
                    "--identity-id": TEXT,
                    "--key": TEXT,
                    "--operation": TEXT,
                    "--since": TEXT,
                    "--until": TEXT,
                }
            ),
        }
    ),
    "token-key": Command(
        words={
            "list": Command(_STORE),
            "rotate": Command(_STORE),
            "retire": Command(_STORE),
        }
    ),
    "data": Command(
        words={
            "get": Command(_DATA),
            "set": Command({**_DATA, "--stdin": FLAG, "--remove": FLAG}),
            "list": Command(_DATA),
            "sync": Command(_DATA),
            "watch": Command({**_DATA, "--count": TEXT, "--every": TEXT}),
        }
    ),
    "pool": Command(
        words={
            "list": Command({**_STORE, **_PAGE}),
            "show": Command(_STORE),
            "adopt": Command(
                {
                    **_STORE,
                    "--name": TEXT,
                    "--allow-unauthenticated-identities": FLAG,
                }
            ),
        }
    ),
    "identity": Command(
        words={
            "find": Command(
                {
                    **_OF_POOL,
                    **_PAGE,
                    "--login": TEXT,
                    "--provider": TEXT,
                    "--developer-user-id": TEXT,
                    "--users": FLAG,
                    "--guests": FLAG,
                    "--merged": FLAG,
                }
            ),
            "show": Command(_OF_POOL),
            "export": Command({**_SETTINGS, "--identity-pool-id": TEXT}),
            "delete": Command({**_STORE, "--yes": FLAG}),
        }
    ),
    "dataset": Command(
        words={
            "list": Command({**_OF_POOL, **_PAGE, "--deleted": FLAG}),
            "show": Command({**_OF_POOL, **_PAGE}),
            "history": Command({**_OF_POOL, **_PAGE, "--from": TEXT}),
        }
    ),
    "live": Command(
        {
            "--identity-pool-id": TEXT,
            "--identity-id": TEXT,
            "--from-start": FLAG,
            "--count": TEXT,
            "--patience": TEXT,
            "--output": _OUTPUT,
            **_CONNECTION,
        }
    ),
    "outbox": Command(
        words={
            "list": Command({**_OF_POOL, **_PAGE}),
            "retry": Command(_PARKED),
            "discard": Command(_PARKED),
            "drop": Command(_PARKED),
            "download": Command({**_SETTINGS, "--identity-pool-id": TEXT}),
        }
    ),
    "stream": Command(
        words={
            "create": Command({**_STORE, "--shards": TEXT}),
            "list": Command(_STORE),
            "tail": Command(
                {
                    **_SETTINGS,
                    "--from-start": FLAG,
                    "--count": TEXT,
                    "--identity-id": TEXT,
                    "--raw": FLAG,
                }
            ),
            "verify": Command(
                {
                    **_STORE,
                    "--identity-pool-id": TEXT,
                    "--from": TEXT,
                    "--wait": TEXT,
                }
            ),
        }
    ),
    "import": Command(
        words={
            "plan": Command({**_SOURCE, **_STORE}),
            "copy": Command({**_SOURCE, **_STORE}),
            "follow": Command(
                {
                    "--stream": TEXT,
                    "--files": TEXT,
                    "--no-api": FLAG,
                    "--profile": TEXT,
                    "--endpoint-url": TEXT,
                    "--once": FLAG,
                    "--interval": TEXT,
                    **_STORE,
                }
            ),
            "verify": Command({**_SOURCE, "--sample": TEXT, **_STORE}),
            "status": Command(_STORE),
        }
    ),
    "store": Command(
        words={
            "copy": Command({"--leave-old-sessions": FLAG, "--output": _OUTPUT}),
            "create": Command(_STORE),
            "backup": Command({**_STORE, "--with-secret-key": FLAG}),
            "verify": Command(_STORE),
        }
    ),
    "migrate": Command({**_STORE, "--distribute": FLAG}),
    "hook-secret": Command(_SETTINGS),
    "console": Command(
        {"--access-key-id": TEXT, "--url": TEXT, "--output": _OUTPUT, **_SERVER}
    ),
    "demo": Command(),
    "doctor": Command({"--identity-pool-id": TEXT, "--output": _OUTPUT, **_CONNECTION}),
    "bulk-publish": Command(
        {
            "--identity-pool-id": TEXT,
            "--wait": FLAG,
            "--interval": TEXT,
            "--patience": TEXT,
            **_CONNECTION,
        }
    ),
    "get-bulk-publish-details": Command(
        {
            "--identity-pool-id": TEXT,
            "--watch": FLAG,
            "--interval": TEXT,
            "--patience": TEXT,
            **_CONNECTION,
        }
    ),
    "install-model": Command(
        {
            "--api": ("cognito-sync", "cognito-identity"),
            "--folder": PATH,
            "--undo": FLAG,
            "--force": FLAG,
        }
    ),
    "completion": Command(words=dict.fromkeys(("bash", "zsh", "fish"))),
}
