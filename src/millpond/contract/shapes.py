"""
What a published API is made of: shapes, members, operations.

A shape is a typed struct, written once. Everything that must know the API reads it from
here: routes, decoding, validation, error lists, CLI commands and their help, skeletons,
reference pages, and the model that botocore loads.

Rules of this package:

1. Names, limits and patterns are the API's. Texts are our own.
2. A member's type says what it may hold (`msgspec.Meta`: lengths, ranges, pattern), its
   title is the name of the shape in the API's model, its description is its help text.
3. A member without a location travels in the body. `InPath`, `InQuery` and `InHeader`
   say otherwise, with the name used on the wire.
4. Times are numbers of epoch seconds here, because that is what the wire carries.
"""

from __future__ import annotations

import enum
import functools
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from msgspec import inspect as inspection

from millpond import limits
from millpond.errors import ServiceException, ValidationException

_PATTERN_OPEN: Final = r"(?a)\A(?:"
_PATTERN_CLOSE: Final = r")\Z"
# Python's re has no classes by Unicode category. This one is letters, marks, symbols,
# numbers and punctuation, written as what is none of them: spaces and controls.
_VISIBLE_PUBLISHED: Final = r"[\p{L}\p{M}\p{S}\p{N}\p{P}]"
_VISIBLE: Final = (
    r"[^\x00-\x20\x7f-\xa0\xad\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000"
    r"\ud800-\uf8ff\ufeff\ufff9-\ufffb\ufffe\uffff]"
)


class Shape(msgspec.Struct, rename="pascal", omit_defaults=True, gc=False):
    """The base of every structure that the API sends or takes."""


class EventStream(Shape):
    """The base of what travels as events: each member is a kind of event."""


@dataclass(frozen=True, slots=True)
class InPath:
    """The member is a label of the URI template; `name` is the label."""

    name: str


@dataclass(frozen=True, slots=True)
class InQuery:
    """The member is a parameter of the query string."""

    name: str


@dataclass(frozen=True, slots=True)
class InHeader:
    """The member is a request header."""

    name: str


Location = InPath | InQuery | InHeader


class Sensitive:
    """A marker: values of this member are never repeated in an error or a log."""


def text(
    title: str,
    description: str,
    *,
    length: tuple[int | None, int | None] = (None, None),
    pattern: str | None = None,
    example: str | None = None,
) -> Meta:
    """
    Describe a string shape.

    Args:
        length: least and greatest number of characters.
        pattern: the API's pattern; it must match the whole value, and its classes mean
            ASCII, as they do on the service.
        example: a value, for documents.
    """
    anchored = None
    if pattern is not None:
        pattern = pattern.replace(_VISIBLE_PUBLISHED, _VISIBLE)
        anchored = f"{_PATTERN_OPEN}{pattern}{_PATTERN_CLOSE}"
    return Meta(
        title=title,
        description=description,
        min_length=length[0],
        max_length=length[1],
        pattern=anchored,
        examples=None if example is None else [example],
    )


def bare_pattern(anchored: str) -> str:
    """Give back a pattern that `text` anchored, in a spelling that Python reads."""
    return anchored.removeprefix(_PATTERN_OPEN).removesuffix(_PATTERN_CLOSE)


def published_pattern(anchored: str) -> str:
    """Give back the API's own spelling of a pattern that `text` anchored."""
    return bare_pattern(anchored).replace(_VISIBLE, _VISIBLE_PUBLISHED)


def about(description: str) -> Meta:
    """Describe one member, in place of what its shape says in general."""
    return Meta(description=description)


Long = Annotated[int, Meta(title="Long", ge=limits.LONG_MIN, le=limits.LONG_MAX)]
Integer = Annotated[int, Meta(title="Integer", ge=-(2**31), le=2**31 - 1)]
Boolean = Annotated[bool, Meta(title="Boolean")]
String = Annotated[str, Meta(title="String")]
Double = Annotated[float, Meta(title="Double")]  # other floats are times, see is_time
Timestamp = Annotated[
    float,
    Meta(
        title="Date",
        description="Epoch seconds, with milliseconds as the fraction.",
        ge=limits.EPOCH_S_MIN,
        le=limits.EPOCH_S_MAX,
    ),
]


class Callers(enum.Enum):
    """Who may call an operation."""

    DEVELOPER = "developer credentials"
    USER = "the temporary credentials of an identity"
    EITHER = "developer credentials, or the temporary credentials of an identity"
    ANYONE = "anyone, unsigned"


class OnePool(enum.Enum):
    """What an operation is to a developer key of one identity pool."""

    NAMED = "the request names the key's pool"
    BY_IDENTITY = "the identities that the request names are of the key's pool"
    BY_ARN = "the request names the key's pool by its ARN"
    OWN = "yes; the answer has the key's pool alone"
    ANY = "yes; it is about no pool"
    REFUSED = "no"


class RateClass(enum.Enum):
    """Operations whose calls are counted together, for limits of rates."""

    NEW_IDENTITIES = "new identities"  # each call may make a row that stays
    CREDENTIALS = "credentials"
    READS = "reads"
    WRITES = "writes"


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of an API: how it is called, what it takes, answers and may refuse."""

    name: str
    request: type[Shape]
    response: type[Shape] | None
    errors: tuple[type[ServiceException], ...]
    callers: Callers = Callers.DEVELOPER
    method: str = "POST"
    uri: str = "/"
    event_stream: bool = False  # answers events; the response says what is in each
    makes_identities: bool = False
    changes: bool = field(kw_only=True)
    """Whether it changes anything, or hands out what changes can be made with."""
    frequent: bool = field(default=False, kw_only=True)
    """Whether it is called for each user or record, so that its changes are merged
    in the audit."""
    also_answers: tuple[type[ServiceException], ...] = field(default=(), kw_only=True)
    """Errors that it answers here, though the model of its API does not list them."""
    one_pool: OnePool = field(default=OnePool.REFUSED, kw_only=True)
    """What it is to a key of one pool; where the request names a pool, by that."""

    def __post_init__(self) -> None:
        if "identity_pool_id" in self.request.__struct_fields__:
            assert self.one_pool is OnePool.REFUSED, "the name of the pool counts"
            object.__setattr__(self, "one_pool", OnePool.NAMED)

    @property
    def rate_class(self) -> RateClass:
        """With which others it is counted, when a stranger or an identity calls it."""
        if self.makes_identities:
            return RateClass.NEW_IDENTITIES
        if self.callers is Callers.ANYONE:
            return RateClass.CREDENTIALS
        return RateClass.READS if self.method == "GET" else RateClass.WRITES

    @property
    def summary(self) -> str:
        """One sentence: the first line of the request's docstring."""
        return self.description.split("\n\n", 1)[0].replace("\n", " ")

    @property
    def description(self) -> str:
        """The request's docstring, without its indentation."""
        return _clean_doc(self.request)


@dataclass(frozen=True, slots=True)
class Api:
    """One published API: its names, its protocol and its table of operations."""

    name: str  # signing name, CLI command
    title: str
    version: str
    protocol: str  # "rest-json", "json" (AWS JSON 1.1) or "query" (AWS Query)
    cbor: bool = field(default=False, kw_only=True)  # "json" only: and CBOR as well
    service_id: str = field(default="", kw_only=True)  # where it is not of the title
    operations: tuple[Operation, ...]
    target_prefix: str = ""  # of X-Amz-Target, protocol "json" only
    xml_namespace: str = ""  # of answers and errors, protocol "query" only
    request_bytes_max: int = 0  # a body that must be taken, whatever the setting says
    constraint_error: type[ServiceException] = ValidationException
    by_name: Mapping[str, Operation] = field(init=False)

    def __post_init__(self) -> None:
        names = {operation.name: operation for operation in self.operations}
        assert len(names) == len(self.operations), "an operation is listed twice"
        object.__setattr__(self, "by_name", names)


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a shape, as the wire and the documents see it."""

    name: str  # on the wire, in a body: "IdentityPoolId"
    attribute: str  # in Python: "identity_pool_id"
    type: inspection.Type  # without the optional None
    required: bool
    title: str
    description: str
    location: Location | None
    sensitive: bool

    @property
    def wire_name(self) -> str:
        """The name under which the member travels, wherever that is."""
        return self.location.name if self.location else self.name


@functools.cache
def members(shape: type[msgspec.Struct]) -> tuple[Member, ...]:
    """List the members of a shape, in the order of the API's model."""
    info = inspection.type_info(shape)
    assert isinstance(info, inspection.StructType)
    hints = typing.get_type_hints(shape, include_extras=True)
    return tuple(_member(each, hints[each.name]) for each in info.fields)


def is_time(kind: inspection.Type, title: str) -> bool:
    """Say whether a type of a title is a time: every float is one, but `Double`."""
    return isinstance(kind, inspection.FloatType) and title != "Double"


def strip(kind: inspection.Type) -> tuple[inspection.Type, dict[str, Any]]:
    """Part a type from its title and description, and from an optional None."""
    notes: dict[str, Any] = {}
    while True:
        if isinstance(kind, inspection.Metadata):
            notes = {**(kind.extra_json_schema or {}), **notes}
            kind = kind.type
        elif isinstance(kind, inspection.UnionType):
            (kind,) = [t for t in kind.types if not isinstance(t, inspection.NoneType)]
        else:
            return kind, notes


def summary_of(documented: type) -> str:
    """Give the first paragraph of a docstring, in one line."""
    return " ".join((documented.__doc__ or "").strip().split("\n\n", 1)[0].split())


def unwrap(hint: Any) -> tuple[Any, list[Any]]:
    """Part a type from what `Annotated` carries, inside and outside an optional."""
    notes: list[Any] = []
    while True:
        origin = typing.get_origin(hint)
        if origin is typing.Annotated:
            notes = [*hint.__metadata__, *notes]
            hint = typing.get_args(hint)[0]
        elif origin in (typing.Union, types.UnionType):
            (hint,) = [a for a in typing.get_args(hint) if a is not type(None)]
        else:
            return hint, notes


def _member(each: inspection.Field, hint: Any) -> Member:
    kind, notes = strip(each.type)
    if isinstance(kind, inspection.LiteralType):
        kind = inspection.LiteralType(_literal_values(hint))  # in the order written
    marks = list(_marks(hint))
    location = next((m for m in marks if isinstance(m, Location)), None)
    fallback = kind.cls.__name__ if isinstance(kind, inspection.StructType) else ""
    return Member(
        name=each.encode_name,
        attribute=each.name,
        type=kind,
        required=each.required,
        title=notes.get("title", fallback),
        description=notes.get("description", ""),
        location=location,
        sensitive=any(m is Sensitive for m in marks),
    )


def _marks(hint: Any) -> Iterator[Any]:
    """Yield what `Annotated` carries, also inside an optional."""
    yield from getattr(hint, "__metadata__", ())
    origin = typing.get_origin(hint)
    if origin is Annotated:
        yield from _marks(typing.get_args(hint)[0])
    elif type(None) in typing.get_args(hint):
        for each in typing.get_args(hint):
            yield from _marks(each)


def _literal_values(hint: Any) -> tuple[str, ...]:
    """Find the values of the `Literal` inside an annotated, optional type."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return arguments
    return next((found for each in arguments if (found := _literal_values(each))), ())


def _clean_doc(shape: type[Shape]) -> str:
    import inspect  # only documents need it

    return inspect.cleandoc(shape.__doc__ or "")
