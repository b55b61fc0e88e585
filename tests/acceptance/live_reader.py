"""A reader of live updates: one connection, message by message, as they come."""

from __future__ import annotations

import http.client
import json
import re
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from acceptance.raw_http import Answer, RawClient, Request, read_answer


def live_path(pool: str, identity: str, **parameters: str) -> bytes:
    """Give the target of a request for live updates; parameters are put as they are."""
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    path = f"/identitypools/{pool}/identities/{identity}/live"
    return f"{path}?{query}".rstrip("?").encode()


@dataclass(frozen=True)
class Message:
    """One message of the stream: an event when it has data."""

    id: str | None
    data: Any
    comment: bool = False

    @property
    def change(self) -> tuple[str, int]:
        """What an event tells: name and sync count of a dataset."""
        return self.data["datasetName"], self.data["syncCount"]


class LiveReader:
    """Listens until it is closed; `with` closes it."""

    def __init__(self, raw: RawClient, request: Request) -> None:
        """
        Begin to listen, and read up to the first message.

        Args:
            request: signed.
        """
        self.socket = connect(raw, request)
        self._response = http.client.HTTPResponse(self.socket)
        self._response.begin()
        self.status = self._response.status
        self.headers = {k.lower(): v for k, v in self._response.getheaders()}
        assert self.status == 200, self._response.read()
        greeting = self.read()
        assert greeting.comment
        assert greeting.id is not None
        self.event_id = greeting.id
        """The id of the last event, or of the greeting."""

    def __enter__(self) -> LiveReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Go away."""
        self._response.close()
        self.socket.close()

    def read(self) -> Message:
        """Wait for a message; EOFError says that the server has ended the stream."""
        event_id, data, comment = None, None, False
        while line := self._response.readline().decode():
            if line == "\n":
                return Message(event_id, data, comment)
            name, _, value = line.rstrip("\n").partition(":")
            if name == "":
                comment = True
            elif name == "id":
                event_id = value.lstrip()
            elif name == "data":
                data = json.loads(value)
        raise EOFError

    def event(self) -> Message:
        """Wait for an event; comments are passed over."""
        message = self.read()
        while message.data is None:
            message = self.read()
        assert message.id is not None
        self.event_id = message.id
        return message

    def changes(self, count: int) -> list[tuple[str, int]]:
        """Wait for so many events, and give what they tell."""
        return [self.event().change for _ in range(count)]

    def read_to_the_end(self) -> None:
        """Read until the server ends the stream."""
        try:
            while True:
                self.read()
        except EOFError:
            pass


def connect(raw: RawClient, request: Request) -> socket.socket:
    """Send a signed request, and read nothing of the answer yet."""
    connection = raw.connect()
    connection.sendall(head(request))
    return connection


def head(request: Request) -> bytes:
    """Spell a request that has no body."""
    lines = [b"GET %s HTTP/1.1" % request.target]
    lines += [f"{name}: {value}".encode() for name, value in request.headers]
    return b"\r\n".join([*lines, b"", b""])


def refusal(raw: RawClient, request: Request) -> Answer:
    """Send a request that must be refused, and give the answer."""
    with connect(raw, request) as connection:
        answer = read_answer(connection)
    assert answer.status != 200
    return answer


def metric(text: str, name: str) -> float:
    """Read a metric without labels from what the server shows."""
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found is not None
    return float(found.group(1))
