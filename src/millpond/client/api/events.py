"""
Live updates, as they come over a connection: server-sent events with a change in each.

Whoever listens comes back with the id of the last message that had one (docs/live.md).
"""

from __future__ import annotations

import json
from collections import namedtuple

from millpond.client.api.faults import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Final

    from millpond.client.api.transport import Lines

OPERATION: Final = "GetLiveUpdates"
EVERYTHING: Final = "none"  # an id that no event had: every dataset is told of
_CONTENT_TYPE: Final = "text/event-stream"


class Message(namedtuple("Message", ("event_id", "data"))):
    """A message of the stream; an event when it has data. Both are text, or `None`."""

    __slots__ = ()


def parse(lines: Iterable[bytes]) -> Iterator[Message]:
    """
    Read server-sent events. A message that was cut off is none.

    Source: WHATWG HTML, server-sent events, 9.2.6.
    """
    event_id: str | None = None
    data: list[str] = []
    for line in lines:
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if not line:
            yield Message(event_id, "\n".join(data) if data else None)
            event_id, data = None, []
        elif name == "id":
            event_id = value
        elif name == "data":
            data.append(value)


def check_form(lines: Lines) -> None:
    """
    Refuse an answer of something that is no server of ours, which never ends.

    Raises:
        Fault: it is not of the form; the connection is closed.
    """
    if lines.content_type.partition(";")[0].strip().lower() != _CONTENT_TYPE:
        lines.close()
        raise Fault(
            "The endpoint answers, but not with live updates. Is it a Millpond server?"
        )


def read(data: str) -> dict[str, Any]:
    """
    Read the data of an event.

    Raises:
        Fault: it is no live update.
    """
    try:
        update = json.loads(data)
    except ValueError:
        update = None
    if not isinstance(update, dict):
        raise Fault("The server sent what is no live update")
    return update
