"""A look at a stream: it is opened as the server opens it, and closed again."""

from __future__ import annotations

import shlex
from typing import Final

from millpond.contract.examination import Finding
from millpond.errors import SettingsError, SinkError, StoreError, StreamGoneError
from millpond.service.context import Context
from millpond.service.examining.looks import Look, fail, ok
from millpond.sinks.base import embedded_name, sink_url, without_secrets

_ENTRY: Final = (
    "correct its entry in the setting `streams` (`millpond settings show streams`)"
)
_REACH: Final = (
    "Start what is there, give the server what it needs to get in, or "
    f"{_ENTRY}; what waits in the outbox is sent then."
)


def look(context: Context, stream_name: str, role_arn: str | None) -> Look:
    """
    Look at a stream.

    Args:
        role_arn: in whose name it is written; None: in the server's own.
    """
    name = f"stream {stream_name}"
    return Look(name, _open(context, name, stream_name, role_arn), _REACH)


async def _open(
    context: Context, name: str, stream_name: str, role_arn: str | None
) -> Finding:
    url = sink_url(context.settings.streams, stream_name)
    place = without_secrets(url)
    try:
        sink = await context.open_sink(stream_name, role_arn)
    except (SinkError, SettingsError, StoreError) as error:
        return _explain(name, url, place, error)
    await sink.aclose()
    return ok(name, f"{place} can be written to.")


def _explain(
    name: str, url: str, place: str, error: SinkError | SettingsError | StoreError
) -> Finding:
    """Tell in the words of the sink why it cannot be opened."""
    if isinstance(error, SettingsError):
        return fail(
            name,
            str(error),
            "Correct the setting `streams`: `millpond settings check`.",
        )
    if not isinstance(error, StreamGoneError):
        # What the sink has to say, and where that does not help, the rest.
        return fail(name, f"{place}: {error.args[0]}", f"{error.hint} {_REACH}".strip())
    embedded = embedded_name(url)
    if embedded is not None:
        return fail(
            name,
            f"The server has no stream {embedded}.",
            f"{_create_embedded(embedded)} (on the server, `millpond stream create "
            f"{embedded}`), or say in the setting `streams` where it is.",
        )
    mend = error.hint or "Create it there."
    return fail(name, f"{place}: {error.args[0]}", f"{mend} Or {_ENTRY}.")


def _create_embedded(stream_name: str) -> str:
    """Give the command that does it from wherever the developer is."""
    return (
        f"`millpond kinesis create-stream --stream-name {shlex.quote(stream_name)} "
        "--shard-count 1`"
    )
