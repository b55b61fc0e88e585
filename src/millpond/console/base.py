"""
The port of the pages: what a page is given, and what it gives back.

    ROUTES: Final = (
        page("/pools/{pool}", show_pool, "pool.html"),
        action("/pools/{pool}/delete", delete_pool, "pool_delete.html"),
        live("/pools/{pool}/publish/live", watch_publish, "publish_live.html"),
    )

Paths are below `/console`. Of a path, `link` makes a URL and the frame makes it
parameters again, whatever characters they have.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Protocol
from urllib.parse import quote, unquote_to_bytes, urlencode

from millpond.console.history import History
from millpond.contract.shapes import Operation
from millpond.errors import ServiceException
from millpond.service.context import Caller, Context
from millpond.service.developer_keys import KeyRing

ROOT: Final = "/console"
POOL: Final = "pool"  # the parameter by which a key of one pool is held to it
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_PLAIN: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z:@+,=_.-]*")
_ESCAPE: Final = "~"  # a browser takes segments that are dots for folders


class Refused(Exception):
    """A question that has no answer; its sentence is shown to whoever asked."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


class Fields:
    """What came with a question, by name; what is not as it must be is refused."""

    def __init__(self, values: Mapping[str, Sequence[str]]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, default: str = "", *, chars_max: int = 2048) -> str:
        """Give a text; of several, the last one."""
        value = self._values.get(name, (default,))[-1]
        if len(value) > chars_max:
            raise Refused(400, f"'{name}' is longer than {chars_max} characters.")
        return value

    def long_text(self, name: str) -> str:
        """Give a text of whatever length the frame let in; lines end in LF."""
        return self._values.get(name, ("",))[-1].replace("\r\n", "\n")

    def many(self, name: str) -> list[str]:
        """Give all texts of a name, in the order in which they came."""
        return [*self._values.get(name, ())]

    def number(
        self, name: str, default: int | None = None, *, least: int = 0, most: int
    ) -> int:
        """Give a whole number within bounds, inclusive; without default it must be."""
        text = self.text(name).strip()
        if not text and default is not None:
            return default
        if not re.fullmatch(r"-?[0-9]{1,19}", text) or not least <= int(text) <= most:
            raise Refused(
                400, f"'{name}' must be a whole number from {least} to {most}."
            )
        return int(text)

    def choice(self, name: str, choices: Collection[str], default: str) -> str:
        """Give one of some values."""
        value = self.text(name) or default
        if value != default and value not in choices:
            listed = ", ".join(sorted(each for each in choices if each))
            raise Refused(400, f"'{name}' must be one of: {listed}.")
        return value

    def flag(self, name: str) -> bool:
        """Say whether a box is ticked."""
        return self.text(name) not in ("", "0", "false", "off")

    def typed(self) -> dict[str, str]:
        """Give what was typed, for a form that is shown again."""
        return {name: values[-1] for name, values in self._values.items() if values}


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks: a developer key, logged in."""

    caller: Caller
    key_name: str = ""
    may_change: bool = True
    """False for a key that may only read: forms are not shown, actions refused."""
    pool: str | None = None
    """The one identity pool that the key is for; None: all."""
    address: str = ""
    user_agent: str = ""

    @property
    def access_key_id(self) -> str:
        """The id of the key."""
        return self.caller.access_key_id


@dataclass(frozen=True, slots=True)
class Ask:
    """One question: what a page or an action is asked."""

    path: Mapping[str, str]
    query: Fields
    form: Fields = field(default_factory=lambda: Fields({}))
    request_id: str = ""


Crumb = tuple[str, str]  # text and the URL that `link` makes


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A page: all that its template shows, and what is at `.json`."""

    title: str
    data: Mapping[str, Any]
    """Of JSON's types or structs; times are `*_ms`, sizes bytes."""
    crumbs: Sequence[Crumb] = ()
    status: int = 200
    form: Mapping[str, str] = field(default_factory=dict)
    """What was typed, where a form is shown again."""
    errors: Mapping[str, str] = field(default_factory=dict)
    """Sentences, by the field that they stand beside; '' for the form as a whole."""
    refresh_s: int = 0
    """Without script the page asks again after so many seconds; 0: it does not."""


@dataclass(frozen=True, slots=True)
class Done:
    """An action that was done: where to go on, and a sentence to be shown there."""

    location: str
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Download:
    """Something to keep: a file for whoever asks, never shown as a page."""

    name: str
    content: bytes | AsyncIterator[bytes]
    media_type: str = "text/plain; charset=utf-8"


Answer = Shown | Done | Download
Handler = Callable[["Console", Viewer, Ask], Awaitable[Any]]
LiveHandler = Callable[
    ["Console", Viewer, Ask], AsyncIterator[tuple[str, Mapping[str, Any]]]
]


@dataclass(frozen=True, slots=True)
class Page:
    """A row of the table of pages: what answers a path."""

    kind: str  # "page", "action", "live"
    path: str
    function: Any
    template: str = ""
    form_bytes_max: int = 0
    """Of the body of an action; 0: as large as a request of the APIs may be."""

    @property
    def parameters(self) -> list[str]:
        """The names of the parameters in its path."""
        return _PARAMETER.findall(self.path)


def page(path: str, function: Handler, template: str) -> Page:
    """A page: answers GET with `Shown` (or a `Download`), and the same as JSON."""
    return Page("page", path, function, template)


def action(
    path: str, function: Handler, template: str = "", *, form_bytes_max: int = 0
) -> Page:
    """An action: answers the POST of a form with `Done` or, in trouble, `Shown`."""
    return Page("action", path, function, template, form_bytes_max)


def live(path: str, function: LiveHandler, template: str) -> Page:
    """
    A part that changes by itself: what the function yields, each time as a fragment.

    The event `end` is the last one. One call of the function serves everybody who
    looks at the same part, for as long as somebody does.
    """
    return Page("live", path, function, template)


def link(path: str, query: Mapping[str, Any] | None = None, **parameters: str) -> str:
    """Make the URL of a path; no parameter can lead out of it."""

    literals, names = _parts(path)
    url = literals[0]
    for name, literal in zip(names, literals[1:], strict=True):
        url += segment(str(parameters[name])) + literal
    url = (ROOT + url).rstrip("/")
    given = {
        name: value for name, value in (query or {}).items() if value not in (None, "")
    }
    return f"{url}?{urlencode(given, doseq=True)}" if given else url


@cache
def _parts(path: str) -> tuple[list[str], list[str]]:
    """Part a path of ours into what stands between its parameters, and their names."""
    parts = _PARAMETER.split(path)
    return parts[::2], parts[1::2]


def segment(value: str) -> str:
    """Spell a value as one segment of a path."""
    if _PLAIN.fullmatch(value):
        return value  # as most ids are
    if not value.strip(".") or value.startswith(_ESCAPE):
        value = _ESCAPE + value
    return quote(value, safe=":@+,=~", errors="replace")


def read_segment(raw: str) -> str:
    """
    Read a segment that `segment` spelt.

    Raises:
        Refused: it is not text.
    """
    try:
        value = unquote_to_bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise Refused(404, "There is no such page.") from error
    if "\0" in value:
        raise Refused(404, "There is no such page.")  # no store would take it
    return value.removeprefix(_ESCAPE)


class OperationCaller(Protocol):
    """Does an operation of the APIs as the gateway would."""

    async def __call__(
        self, context: Context, caller: Caller, operation: Operation, request: Any
    ) -> Any: ...


class Door(Protocol):
    """What the server gives with a request, in the scope as `DOOR`."""

    request_id: str
    peer: str
    """Whom limits count it for."""
    address: str
    """Of whoever sent it, as far as is known."""
    is_secure: bool
    """Whether it came over TLS, to us or to a proxy of ours."""
    hosts: frozenset[str]
    """The names, with ports, under which whoever sent it knows this server."""

    async def read_body(self, bytes_max: int) -> bytes:
        """Read the body; raises ServiceException where it is too large or late."""

    async def stream(
        self,
        parts: AsyncIterator[bytes],
        headers: list[tuple[bytes, bytes]],
        end: Callable[[], None],
    ) -> None:
        """Send parts until there are no more; `end` is called when the reader goes."""


DOOR: Final = "millpond.door"


@dataclass(frozen=True, kw_only=True)
class Console:
    """What pages work with."""

    context: Context
    keys: KeyRing
    call_operation: OperationCaller
    seal_key: bytes
    """32 bytes, for this console alone."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """Where each setting that is not at its default comes from."""
    history: History | None = None

    async def call(self, viewer: Viewer, operation: Operation, request: Any) -> Any:
        """
        Do an operation of the APIs in the name of a viewer.

        Raises:
            ServiceException: as it would be sent; it becomes the page's message.
        """
        return await self.call_operation(
            self.context, viewer.caller, operation, request
        )

    async def note_change(
        self,
        viewer: Viewer,
        *,
        action: str,
        pool: str = "",
        identity: str = "",
        dataset: str = "",
        target: str = "",
    ) -> None:
        """
        Leave an audit entry of a change that is no operation of the APIs.

        Args:
            action: its name, in the form of an operation's: EraseIdentity.
        Raises:
            StoreError: it is not kept.
        """
        await self.context.audit.note(
            viewer.caller,
            operation=action,
            identity_pool_id=pool,
            identity_id=identity,
            dataset_name=dataset,
            target=target,
        )

    def check_pool(self, viewer: Viewer, identity_pool_id: str) -> None:
        """
        Hold a key of one pool to it.

        Raises:
            Refused: the pool is another one; to this viewer, it is not there.
        """
        if viewer.pool is not None and viewer.pool != identity_pool_id:
            raise Refused(404, "There is no such page.")


def as_refused(error: ServiceException) -> Refused:
    """Say to people what an API would say."""
    return Refused(error.http_status, error.message)


def with_form(shown: Shown, form: Fields, errors: Mapping[str, str]) -> Shown:
    """Show a page again, with what was typed and what is wrong with it."""
    return dataclasses.replace(shown, status=400, form=form.typed(), errors=errors)
