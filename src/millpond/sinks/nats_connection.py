"""
Connections to a NATS cluster, and what they tell about a JetStream stream.

    nats://[user:password@]host[:port][,host2[:port2]...]/STREAM[?subject=...&tls=true]

A connection here ends when it is lost. The driver could mend it by itself, but then it
would send in its own time what had been given up; so whoever uses a connection asks for
a new one instead, and decides what to send again. Every wait is bounded, and letting go
of a connection never hangs, also when the server on the other side has stopped reading.

That a stream does not exist is believed only when the cluster says so, twice. No answer
proves nothing: a cluster without a leader gives none either.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec
import nats.errors
import structlog
from nats.aio.client import Client

from millpond.errors import SettingsError, SinkError, SinkUnavailableError
from millpond.sinks.nats_stream import (
    STREAM_NOT_FOUND,
    Consumer,
    Info,
    StreamInfo,
    decode_consumers,
    decode_info,
    describe,
    is_plain,
    needs_readers,
    not_found,
    refused,
)
from millpond.sinks.urls import NOT_A_HOST, VOLATILE, is_true, read_url

CONNECT_S: Final = 2.0
"""How long one server may take to answer."""
CLOSE_S: Final = 1.0
TRIES: Final = 3
"""A server that refuses us hangs up, and its reason may get lost by that."""
LOOKUP_S: Final = 2.0
FLUSH_S: Final = 5.0
"""How long the socket may refuse bytes; then the connection counts as lost."""
ASK_AGAIN_S: Final = 0.3
CONSUMERS_MAX: Final = 10_000

_CUT_OFF: Final = (nats.errors.UnexpectedEOF, ConnectionResetError, BrokenPipeError)

T = TypeVar("T")

_log = structlog.get_logger()
# What the driver logs reaches us as an error or a lost connection. Without a handler
# of its own Python would print it to stderr.
logging.getLogger("nats").addHandler(logging.NullHandler())


@dataclass(frozen=True, kw_only=True)
class NatsAddress:
    """What the URL of a stream says."""

    hosts: tuple[str, ...]
    stream_name: str
    subject: str  # empty: the stream's own
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    ca_file: str = ""  # empty: the certificates that the system trusts
    volatile: bool = False  # whether the stream may keep its messages in memory

    def __str__(self) -> str:
        return f"nats://{','.join(self.hosts)}/{self.stream_name}"


def read_address(url: str) -> NatsAddress:
    """
    Read the URL of a stream.

    Raises:
        SettingsError: it says too little or too much.
    """
    found = read_url(url, options=("subject", "tls", "ca", VOLATILE))
    if not found.hosts:
        raise SettingsError(
            "The URL of a NATS stream names a host: nats://HOST/STREAM."
        )
    for host in found.hosts:
        try:
            valid = urlsplit(f"//{host}").hostname and urlsplit(f"//{host}").port != 0
        except ValueError:
            valid = False
        if not valid:
            raise SettingsError(NOT_A_HOST)
    if not re.fullmatch(r"[^\s.*>/\\]+", found.name):
        raise SettingsError(
            "The URL of a NATS stream ends in its name: nats://HOST/STREAM; "
            "a name has no spaces, slashes and none of . * >"
        )
    subject = found.options.get("subject", "")
    if "subject" in found.options and not is_plain(subject):
        raise SettingsError("The option 'subject' is a subject without wildcards.")
    tls = is_true(found.options, "tls")
    ca_file = found.options.get("ca", "")
    if ca_file and not tls:
        raise SettingsError("The option 'ca' is for connections with tls=true.")
    return NatsAddress(
        hosts=found.hosts,
        stream_name=found.name,
        subject=subject,
        user=found.user,
        password=found.password,
        tls=tls,
        ca_file=ca_file,
        volatile=is_true(found.options, VOLATILE),
    )


class NatsConnection:
    """A connection to one server; `usable` until it is lost."""

    def __init__(self, address: NatsAddress, on_trouble: Callable[[], None]) -> None:
        self._address = address
        self._on_trouble = on_trouble
        self._trouble: Exception | None = None
        self._given_up = False
        self.cut_off = False  # it ended while we introduced ourselves
        self.refusal = ""  # what the server does not allow, in its words
        self.client = _TlsClient() if address.tls else Client()

    @property
    def usable(self) -> bool:
        return self.client.is_connected and not self._given_up

    @property
    def servers(self) -> tuple[str, ...]:
        """The servers of the cluster that this one knows, as hosts with ports."""
        return tuple(each.netloc for each in self.client.discovered_servers)

    def give_up(self) -> None:
        """Say that the server does not answer any more."""
        self._given_up = True
        self._on_trouble()

    async def open(self, host: str) -> None:
        """
        Connect to a server.

        Raises:
            SinkError: it refuses us.
            SinkUnavailableError: it cannot be reached.
        """
        address = self._address
        options: dict[str, Any] = {}
        if address.tls:
            options["tls"] = _tls_context(address.ca_file)
        if address.password:
            options |= {"user": address.user, "password": address.password}
        elif address.user:
            options["token"] = address.user
        try:
            async with asyncio.timeout(3 * CONNECT_S):
                await self.client.connect(
                    [f"nats://{host}"],
                    name="millpond",
                    error_cb=self._note,
                    closed_cb=self._closed,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    connect_timeout=CONNECT_S,  # type: ignore[arg-type]
                    flush_timeout=FLUSH_S,
                    **options,
                )
            if not self.client.is_connected:
                raise nats.errors.UnexpectedEOF
        except (nats.errors.Error, OSError, TimeoutError, ValueError) as error:
            self.cut_off = isinstance(error, _CUT_OFF)
            refused = self._refused(host, error)  # closing may bring other errors
            await self.aclose()
            raise refused from error
        except BaseException:
            await self.aclose()
            raise

    async def find_stream(self) -> StreamInfo:
        """
        Ask the cluster for the stream.

        Raises:
            StreamGoneError: it does not exist, or takes no messages for good.
            SinkUnavailableError: the cluster does not answer for now.
        """
        name = self._address.stream_name
        info = await self._stream_info()
        if info is None:
            await asyncio.sleep(ASK_AGAIN_S)
            info = await self._stream_info()
        if info is None:
            raise not_found(name)
        consumers = await self._consumers() if needs_readers(info) else []
        return describe(
            info,
            name,
            subject=self._address.subject,
            payload_bytes_max=self.client.max_payload,
            consumers=consumers,
            volatile=self._address.volatile,
        )

    async def aclose(self) -> None:
        """Let go of the connection. Idempotent; raises nothing, never hangs."""
        self._given_up = True
        closing = asyncio.create_task(self.client.close())
        done, _ = await asyncio.wait({closing}, timeout=CLOSE_S)
        # The driver leaves the socket open after a failed connect, and waits for a
        # server that reads no more; it has no public way to drop it.
        writer = getattr(self.client._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()
            await asyncio.sleep(0)  # in which it lets go of the socket
        if not done:
            await asyncio.wait({closing}, timeout=CLOSE_S)
            closing.cancel()
        with contextlib.suppress(Exception, asyncio.CancelledError):
            if closing.done():
                closing.result()

    async def _stream_info(self) -> Info | None:
        """Look the stream up; None when the cluster says that it does not exist."""
        name = self._address.stream_name
        info = await self._ask(f"STREAM.INFO.{name}", decode_info)
        if info.error is None:
            return info
        if info.error.err_code == STREAM_NOT_FOUND:
            return None
        raise refused(name, info.error)

    async def _consumers(self) -> list[Consumer]:
        """List the consumers of the stream, as many as it takes to find one for us."""
        name = self._address.stream_name
        found: list[Consumer] = []
        while len(found) < CONSUMERS_MAX:
            question = msgspec.json.encode({"offset": len(found)})
            page = await self._ask(f"CONSUMER.LIST.{name}", decode_consumers, question)
            if page.error is not None:
                raise refused(name, page.error)
            found += page.consumers
            if not page.consumers or len(found) >= page.total:
                break
        return found

    async def _ask(
        self, subject: str, decode: Callable[[bytes], T], question: bytes = b""
    ) -> T:
        """
        Ask the JetStream API.

        Raises:
            SinkError: we may not.
            SinkUnavailableError: no answer, or one that is none.
        """
        name = self._address.stream_name
        try:
            answer = await self.client.request(
                f"$JS.API.{subject}", question, timeout=LOOKUP_S
            )
            return decode(answer.data)
        except (nats.errors.Error, OSError, msgspec.MsgspecError) as error:
            if self.refusal:
                raise SinkError(f"NATS stream '{name}': {self.refusal}") from error
            raise SinkUnavailableError(
                f"NATS stream '{name}' cannot be looked up: {reason_of(error)}.",
                hint="Is JetStream enabled, and does the cluster have a leader?",
            ) from error

    def _refused(self, host: str, error: Exception) -> SinkError:
        cause = self._trouble or error
        reason = reason_of(cause)
        if "authorization" in reason.lower() or "authentication" in reason.lower():
            return SinkError(
                f"The NATS server at {host} refuses us: {reason}.",
                hint="Look at user and password in the URL of the stream.",
            )
        if isinstance(cause, ssl.SSLCertVerificationError | _NoTlsError):
            return SinkError(f"The NATS server at {host} is not trusted: {reason}.")
        return SinkUnavailableError(
            f"The NATS server at {host} cannot be reached: {reason}."
        )

    async def _note(self, error: Exception) -> None:
        """Take an error that the driver reports on the side."""
        self._trouble = error
        if "permissions violation" in str(error).lower():
            self.refusal = f"{reason_of(error)}."
        if isinstance(error, nats.errors.FlushTimeoutError):
            self._given_up = True
        _log.debug("nats.trouble", stream=str(self._address), error=reason_of(error))
        self._on_trouble()

    async def _closed(self) -> None:
        self._on_trouble()


async def connect(
    address: NatsAddress, hosts: tuple[str, ...], on_trouble: Callable[[], None]
) -> NatsConnection:
    """
    Connect to the first of the servers that answers.

    Raises:
        SinkError: one of them refuses us.
        SinkUnavailableError: none of them can be reached.
    """
    failure: SinkUnavailableError | None = None
    for host in hosts:
        for _ in range(TRIES):
            connection = NatsConnection(address, on_trouble)
            try:
                await connection.open(host)
            except SinkUnavailableError as error:
                failure = error
            else:
                return connection
            if not connection.cut_off:
                break
    assert failure is not None, "an address has at least one host"
    raise failure


def reason_of(error: BaseException) -> str:
    """Say in a few words what is wrong, without a full stop."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = str(getattr(error, "description", None) or error).strip(" .'")
    return text.removeprefix("nats: ").strip(" .'") or type(error).__name__


def _tls_context(ca_file: str) -> ssl.SSLContext:
    if ca_file and not Path(ca_file).is_file():
        raise SinkError(f"There is no file '{ca_file}' with certificates to trust.")
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ValueError) as error:
        raise SinkError(f"File '{ca_file}' holds no certificates.") from error


class _NoTlsError(nats.errors.Error):
    """The server does not speak TLS."""

    def __str__(self) -> str:
        return "it offers no TLS, and the URL of the stream asks for it"


class _TlsClient(Client):
    """A client that says nothing, above all no password, without encryption."""

    def _connect_command(self) -> bytes:
        # The driver encrypts when the server asks for it, whatever we asked for.
        if not self._server_info.get("tls_required"):
            raise _NoTlsError
        return super()._connect_command()
