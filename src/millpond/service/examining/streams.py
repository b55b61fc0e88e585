"""A look at a stream: it is opened as the server opens it, and closed again."""

from __future__ import annotations

from millpond.contract.examination import Finding
from millpond.errors import SettingsError, SinkError, StoreError, StreamGoneError
from millpond.service.context import Context
from millpond.service.examining.looks import Look, fail, ok
from millpond.sinks.base import is_embedded, sink_url, without_secrets


def look(context: Context, stream_name: str, role_arn: str | None) -> Look:
    """
    Look at a stream.

    Args:
        role_arn: in whose name it is written; None: in the server's own.
    """
    name = f"stream {stream_name}"
    return Look(name, _open(context, name, stream_name, role_arn))


async def _open(
    context: Context, name: str, stream_name: str, role_arn: str | None
) -> Finding:
    place = without_secrets(sink_url(context.settings.streams, stream_name))
    try:
        sink = await context.open_sink(stream_name, role_arn)
    except (SinkError, SettingsError, StoreError) as error:
        return _explain(context, name, stream_name, place, error)
    await sink.aclose()
    return ok(name, f"{place} can be written to.")


def _explain(
    context: Context,
    name: str,
    stream_name: str,
    place: str,
    error: SinkError | SettingsError | StoreError,
) -> Finding:
    """Tell in the words of the sink why it cannot be opened."""
    if isinstance(error, SettingsError):
        return fail(
            name,
            str(error),
            "Correct the setting `streams`: `millpond settings check`.",
        )
    if isinstance(error, StreamGoneError) and is_embedded(
        context.settings.streams, stream_name
    ):
        return fail(
            name,
            f"The server has no stream {stream_name}.",
            f"`millpond stream create {stream_name}`, or say in the setting `streams` "
            "where it is.",
        )
    gone = isinstance(error, StreamGoneError)
    mend = (
        "Create it there, or correct its entry in the setting `streams` (`millpond "
        "settings show streams`)."
        if gone
        else "Start what is there, give the server what it needs to get in, or correct "
        "the entry in the setting `streams` (`millpond settings show streams`); what "
        "waits in the outbox is sent then."
    )
    hint = error.hint
    return fail(name, f"{place}: {error.args[0]}", f"{hint} {mend}".lstrip())
