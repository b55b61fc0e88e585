"""The console, put together at the first request for one of its pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from millpond.console import links
from millpond.console.base import DOOR
from millpond.console.history import History
from millpond.contract.shapes import Operation
from millpond.server import secret_key
from millpond.server.beside import is_loopback
from millpond.server.bindings import ServiceFunction, api_of, bind_one
from millpond.service.context import Caller, Context
from millpond.service.developer_keys import KeyRing
from millpond.settings import Settings
from millpond.stores.base import DeveloperKey
from millpond.wire.decoding import RequestDecoder

if TYPE_CHECKING:
    from millpond.console.app import Frame

ON: Final = "on"
OFF: Final = "off"
NOT_HERE: Final = (
    "The console is not served here: this connection is not encrypted, and whoever "
    "listens would see what you see. Use TLS (the settings tls_certificate and "
    "tls_key, or a proxy that is in trusted_proxies and sends X-Forwarded-Proto), or "
    "ask from the machine itself. The setting console = on insists.\n"
)
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]


def make_console(
    context: Context, keys: KeyRing, origins: Mapping[str, str]
) -> LazyConsole | None:
    """
    Make the console that the settings ask for; None: it is off.

    Args:
        origins: where each setting that is not at its default comes from.
    """
    if context.settings.console == OFF:
        return None
    return LazyConsole(context, keys, origins)


def is_over(key: DeveloperKey, now_ms: int) -> bool:
    """Say whether a key has come to its end."""
    return key.expires_ms is not None and key.expires_ms <= now_ms


def choose_key(keys: Sequence[DeveloperKey], *, now_ms: int) -> DeveloperKey | None:
    """Choose the key of a link: of those that may most, the oldest."""
    return min(
        (each for each in keys if not is_over(each, now_ms)),
        key=lambda each: (
            each.identity_pool_id is not None,
            each.read_only,
            each.creation_date_ms,
        ),
        default=None,
    )


def login_link(context: Context, keys: Sequence[DeveloperKey]) -> str:
    """Make a link for whoever started this server, where nobody else can reach it."""
    settings = context.settings
    key = choose_key(keys, now_ms=context.now_ms())
    if settings.console == OFF or key is None or not is_loopback(settings.host):
        return ""
    return links.make(
        console_key(settings),
        access_key_id=key.access_key_id,
        url=settings.public_url,
        now_ms=context.now_ms(),
    )


class LazyConsole:
    """
    An application that becomes the console when somebody looks.

    Its templates, and what renders them, take some 4 MiB and 0.1 s.
    """

    def __init__(
        self, context: Context, keys: KeyRing, origins: Mapping[str, str]
    ) -> None:
        self._context = context
        self._keys = keys
        self._frame: Frame | None = None
        self._origins = origins
        self.history = History(context)

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Answer one request."""
        if not (self._context.settings.console == ON or scope[DOOR].is_private):
            from starlette.responses import PlainTextResponse

            await PlainTextResponse(NOT_HERE, 403)(scope, receive, send)
            return
        if self._frame is None:
            self._frame = self._make()
        await self._frame(scope, receive, send)

    def close(self) -> None:
        """End what goes on for as long as it is let."""
        if self._frame is not None:
            self._frame.close()

    def _make(self) -> Frame:
        from millpond.console.app import make_console
        from millpond.console.base import Console

        return make_console(
            Console(
                context=self._context,
                keys=self._keys,
                call_operation=Operations(),
                seal_key=console_key(self._context.settings),
                origins=self._origins,
                history=self.history,
            )
        )


def console_key(settings: Settings, *, make: bool = True) -> bytes:
    """
    Give the key that seals what the console gives away.

    Args:
        make: as a server does, make the master secret when there is none.
    """
    master = secret_key.load(settings.data, settings.secret_key, make=make)
    return secret_key.derive(master, "console")


class Operations:
    """Does operations as the gateway would, for requests that were made here."""

    def __init__(self) -> None:
        self._bound: dict[int, tuple[RequestDecoder, ServiceFunction]] = {}

    async def __call__(
        self, context: Context, caller: Caller, operation: Operation, request: Any
    ) -> Any:
        """
        Check a request and do it.

        Raises:
            ServiceException: as the API would refuse it.
        """
        bound = self._bound.get(id(operation))
        if bound is None:
            decoder = RequestDecoder(api_of(operation), operation)
            bound = self._bound[id(operation)] = decoder, bind_one(operation)
        decoder, function = bound
        return await function(context, caller, decoder.check(request))
