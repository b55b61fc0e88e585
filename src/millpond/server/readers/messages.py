"""What goes over the socket between a reader and the writer, as MessagePack."""

from __future__ import annotations

from typing import Final

import msgspec

from millpond.server.under_way import Client

Headers = list[tuple[bytes, bytes]]


class _Message(msgspec.Struct, array_like=True, frozen=True, gc=False):
    pass


class Figures(_Message, frozen=True, tag=1):
    """
    What a reader has counted since it last told.

    Args:
        number: of the question that this answers; 0: nobody has asked.
        sessions: sync sessions begun, by pool.
        key_uses: the ids of developer keys that somebody has signed with.
        requests: by operation and status.
        durations: by operation: requests in each bucket, and seconds of all.
        counters: by name and labels.
        gauges: by name; not what has changed, but what is.
    """

    number: int
    sessions: dict[str, int]
    key_uses: list[str]
    requests: list[tuple[str, int, int]]
    durations: list[tuple[str, list[int], float]]
    counters: list[tuple[str, list[str], float]]
    gauges: dict[str, float]


# --- From a reader ------------------------------------------------------------------


class Hello(_Message, frozen=True, tag=2):
    """The first message of a reader."""

    reader: str
    pid: int


class Head(_Message, frozen=True, tag=3):
    """
    A request begins.

    Args:
        id: of the request on this connection.
        body: its beginning, if that has come; None: ask for it.
        more: whether there is more of the body, as far as is known.
        trace: which trace it belongs to, as headers tell; None: nobody asks for one.
    """

    id: int
    method: str
    scheme: str
    http_version: str
    path: str
    raw_path: bytes
    query: bytes
    headers: Headers
    client: Client
    server: Client  # address and port of this end
    body: bytes | None
    more: bool
    trace: dict[str, str] | None = None


class Piece(_Message, frozen=True, tag=4):
    """The next piece of a body."""

    id: int
    body: bytes
    more: bool


class Gone(_Message, frozen=True, tag=5):
    """The client of a request has gone away."""

    id: int


class Taken(_Message, frozen=True, tag=6):
    """A part of an answer that was not the last was taken."""

    id: int


class Save(_Message, frozen=True, tag=7):
    """Have the sessions that any reader has counted saved."""

    number: int


# --- From the writer ----------------------------------------------------------------


class Answer(_Message, frozen=True, tag=10):
    """
    The head of an answer, and the first part of its body.

    Args:
        more: whether parts follow; then this one is to be acknowledged.
        is_over: whether the request is done with this.
        is_known: whether a signature of this client was right.
    """

    id: int
    status: int
    headers: Headers
    body: bytes
    more: bool
    is_over: bool
    is_known: bool


class Part(_Message, frozen=True, tag=11):
    """The next part of an answer; as `Answer`."""

    id: int
    body: bytes
    more: bool
    is_over: bool


class Over(_Message, frozen=True, tag=12):
    """A request is done; broken: without all of its answer."""

    id: int
    is_broken: bool


class Want(_Message, frozen=True, tag=13):
    """The next piece of a body is wanted, or to hear that its client has gone away."""

    id: int


class Cut(_Message, frozen=True, tag=14):
    """Cut off the connections of clients that take nothing."""

    clients: list[Client]


class Ask(_Message, frozen=True, tag=15):
    """Tell what was counted."""

    number: int


class Saved(_Message, frozen=True, tag=16):
    """What `Save` has asked for is done."""

    number: int


class News(_Message, frozen=True, tag=17):
    """There are other developer keys, or another number of servers."""

    servers: int


FromReader = Hello | Head | Piece | Gone | Taken | Save | Figures
FromWriter = Answer | Part | Over | Want | Cut | Ask | Saved | News

encode: Final = msgspec.msgpack.Encoder().encode
decode_of_reader: Final = msgspec.msgpack.Decoder(FromReader).decode
decode_of_writer: Final = msgspec.msgpack.Decoder(FromWriter).decode
