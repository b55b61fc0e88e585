"""
HTTP/2 as frames: one connection, over TCP by prior knowledge or over TLS by ALPN.

It corrects nothing that it is told to send. A request is signed as the AWS SDK for
JavaScript does it over HTTP/2: `:authority` in place of the host.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection

from acceptance.raw_http import TIMEOUT_S, Answer, RawClient, Request, sign
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer

_HEAD_BYTES = 9  # of a frame: length, type, flags, stream
_GOAWAY = 7


class StreamResetError(Exception):
    """The server reset a stream before its answer was whole."""


class Http2Connection:
    """One connection; `with` closes it."""

    def __init__(
        self,
        server: RunningServer,
        *,
        certificate: Path | None = None,
        reads_on: bool = True,
    ) -> None:
        """
        Connect.

        Args:
            certificate: to trust, where the server speaks TLS.
            reads_on: have the server send more than 65,535 bytes of a stream.
        """
        parts = urlsplit(server.endpoint)
        assert parts.hostname is not None
        self.authority = parts.netloc
        self.scheme = parts.scheme
        self.raw = RawClient(server)
        self._reads_on = reads_on
        self._socket = socket.create_connection(
            (parts.hostname, parts.port or 0), seconds(TIMEOUT_S)
        )
        if certificate is not None:
            # The connection belongs to what encrypts it from here on.
            context = ssl.create_default_context(cafile=str(certificate))
            context.set_alpn_protocols(["h2", "http/1.1"])
            secured = context.wrap_socket(self._socket, server_hostname=parts.hostname)
            assert secured.selected_alpn_protocol() == "h2"
            self._socket = secured
        self._h2 = H2Connection(
            H2Configuration(
                header_encoding="utf-8",
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self._events: list[events.Event] = []
        self._received = b""
        self.goes_away = False
        """Whether the server has said that it goes away."""
        self._h2.initiate_connection()
        self.flush()

    def __enter__(self) -> Http2Connection:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def sign(self, request: Request, service: str = "kinesis") -> Request:
        """Sign a request as over HTTP/2, where nothing else was said."""
        names = {name for name, _ in request.headers}
        host = (
            () if names & {"host", ":authority"} else ((":authority", self.authority),)
        )
        scope = replace(self.raw.scope, service=service)
        return sign(request.but(headers=(*host, *request.headers)), scope)

    def begin(self, request: Request, *, whole: bool = True) -> int:
        """Send a request, or its head and what it has of a body; give its stream."""
        stream = self._h2.get_next_available_stream_id()
        given = dict(request.headers)
        pseudo = {
            ":method": request.method,
            ":path": request.target.decode(),
            ":scheme": self.scheme,
            ":authority": given.pop(":authority", self.authority),
        }
        headers = [*pseudo.items(), *((k.lower(), v) for k, v in given.items())]
        ends = whole and not request.body
        self._h2.send_headers(stream, headers, end_stream=ends)
        self.flush()
        if request.body:
            self.send(stream, request.body, whole=whole)
        return stream

    def send(self, stream: int, data: bytes, *, whole: bool = True) -> None:
        """Send a part of a body, as fast as the server takes it."""
        while data:
            size = min(
                self._h2.local_flow_control_window(stream),
                self._h2.max_outbound_frame_size,
            )
            if size == 0:
                if not self._receive() or self._is_over(stream):
                    return
                continue
            part, data = data[:size], data[size:]
            self._h2.send_data(stream, part, end_stream=whole and not data)
            self.flush()

    def reset(self, stream: int) -> None:
        """Give a stream up."""
        self._h2.reset_stream(stream, 8)
        self.flush()

    def call(self, request: Request) -> Answer:
        """Send a request and read its answer."""
        return self.answer(self.begin(request))

    def operation(self, name: str, body: bytes = b"{}", *headers: tuple[str, str]):
        """Call an operation of Kinesis, signed."""
        target = ("x-amz-target", f"Kinesis_20131202.{name}")
        request = Request(method="POST", headers=(target, *headers), body=body)
        return self.call(self.sign(request))

    def answer(self, stream: int) -> Answer:
        """Read the answer of a stream to its end."""
        self.read_until(lambda: self._is_over(stream))
        head = self.head(stream)
        body = b"".join(self.parts(stream))
        if not self._of(stream, events.StreamEnded):
            raise StreamResetError
        return Answer(int(head.pop(":status")), "", head, body)

    def head(self, stream: int) -> dict[str, str]:
        """Give the headers of an answer, once they are there."""
        self.read_until(
            lambda: self._of(stream, events.ResponseReceived) or self._is_over(stream)
        )
        found = self._of(stream, events.ResponseReceived)
        if not found:
            raise StreamResetError
        return dict(found[0].headers)

    def parts(self, stream: int) -> list[bytes]:
        """Give what was read so far of the body of an answer."""
        return [each.data for each in self._of(stream, events.DataReceived)]

    def read_until(self, condition: Callable[[], Any]) -> None:
        """Read until something is true, or the connection ends."""
        while not condition() and self._receive():
            pass

    def is_reset(self, stream: int) -> bool:
        """Whether the server has reset a stream."""
        return bool(self._of(stream, events.StreamReset))

    @property
    def streams_max(self) -> int:
        """How many streams the server allows at a time."""
        self.read_until(
            lambda: any(
                isinstance(e, events.RemoteSettingsChanged) for e in self._events
            )
        )
        return self._h2.remote_settings.max_concurrent_streams

    def flush(self) -> None:
        """Send what waits."""
        self._socket.sendall(self._h2.data_to_send())

    def _is_over(self, stream: int) -> bool:
        return bool(self._of(stream, events.StreamEnded, events.StreamReset))

    def _of(self, stream: int, *kinds: type[events.Event]) -> list[Any]:
        return [
            each
            for each in self._events
            if isinstance(each, kinds) and getattr(each, "stream_id", None) == stream
        ]

    def _receive(self) -> bool:
        """Read what comes next; False at the end of the connection."""
        try:
            data = self._socket.recv(65536)
        except ConnectionResetError:
            return False
        if not data:
            return False
        for each in self._h2.receive_data(self._without_goaway(data)):
            self._events.append(each)
            if not isinstance(each, events.DataReceived):
                continue
            size = each.flow_controlled_length
            if self._reads_on:
                self._h2.acknowledge_received_data(size, each.stream_id)
            elif size:  # for the other streams of the connection
                self._h2.increment_flow_control_window(size)
        self.flush()
        return True

    def _without_goaway(self, data: bytes) -> bytes:
        """Take whole frames out of what was received, but GOAWAY, which is noted."""
        # To the library every GOAWAY is the end, though it lets streams be completed.
        self._received += data
        frames = b""
        while len(self._received) >= _HEAD_BYTES:
            size = _HEAD_BYTES + int.from_bytes(self._received[:3])
            if len(self._received) < size:
                break
            if self._received[3] == _GOAWAY:
                self.goes_away = True
            else:
                frames += self._received[:size]
            self._received = self._received[size:]
        return frames
