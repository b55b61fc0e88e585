"""
Requests that break the contract in one way each, derived from the contract itself.

For every operation there is a request that is right, made of a sample for each shape;
for every constraint of every member there is the same request with one value wrong.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import quote

import msgspec
from msgspec import inspect as inspection

from millpond.contract import (
    cognito_identity,
    cognito_sync,
    examination,
    kinesis,
    streaming,
)
from millpond.contract.shapes import (
    Api,
    InHeader,
    InPath,
    InQuery,
    Member,
    Operation,
    members,
    strip,
)

APIS: Final = (
    cognito_sync.API,
    cognito_identity.API,
    kinesis.API,
    streaming.API,
    examination.API,
)
POOL: Final = "us-east-1:00000000-0000-0000-0000-00000000000a"
IDENTITY: Final = "us-east-1:00000000-0000-0000-0000-00000000000b"
ROLE: Final = "arn:aws:iam::123456789012:role/some-role"

SAMPLES: Final[dict[str, Any]] = {
    "IdentityPoolId": POOL,
    "IdentityId": IDENTITY,
    "DatasetName": "prefs",
    "RecordKey": "key",
    "RecordValue": "value",
    "DeviceId": "device",
    "AssumeRoleArn": ROLE,
    "ApplicationArn": "arn:aws:sns:us-east-1:123456789012:app/GCM/app",
    "ARNString": "arn:aws:iam::123456789012:oidc-provider/x",
    "StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/no-such-stream",
    "StreamName": "no-such-stream",
    "ConsumerARN": "arn:aws:kinesis:us-east-1:000000000000:stream/no-such-stream/"
    "consumer/no-such-consumer:1",
    "ConsumerName": "no-such-consumer",
    "ResourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/no-such-stream",
    "ShardId": "shardId-000000000000",
    "HashKey": "0",
    "SequenceNumber": "0",
    "Data": "AAAA",
    "LambdaFunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:f",
    "CognitoEventType": "SyncTrigger",
    "AccountId": "000000000000",
    "RoleType": "authenticated",
}

Body = dict[str, Any]
WRONG_TYPES: Final[tuple[Any, ...]] = (
    1,
    1.5,
    True,
    "text",
    [],
    ["x"],
    {},
    {"x": 1},
    [[]],
    10**400,
)


@dataclass
class Call:
    """One call of an operation, part by part."""

    api: Api
    operation: Operation
    labels: dict[str, str]
    query: dict[str, str]
    headers: dict[str, str]
    body: Body

    @property
    def target(self) -> str:
        """The request target."""
        path = self.operation.uri
        for name, value in self.labels.items():
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        pairs = [f"{n}={quote(v, safe='')}" for n, v in self.query.items()]
        return f"{path}?{'&'.join(pairs)}" if pairs else path


@dataclass
class Violation:
    """A call that is wrong in one way, and what way that is."""

    name: str
    call: Call


def right_call(api: Api, operation: Operation) -> Call:
    """Make a call that breaks no constraint; every member is there."""
    call = Call(api, operation, {}, {}, {}, {})
    for member in members(operation.request):
        match member.location:
            case InPath(name):
                call.labels[name] = str(sample(member.type, member.title))
            case InQuery(name):
                call.query[name] = str(sample(member.type, member.title))
            case InHeader(name):
                call.headers[name] = str(sample(member.type, member.title))
            case None:
                call.body[member.name] = sample(member.type, member.title)
    return call


def sample(kind: inspection.Type, title: str) -> Any:
    """Make a value that a type allows."""
    if title in SAMPLES:
        return SAMPLES[title]
    match kind:
        case inspection.StructType(cls=cls):
            return {m.name: sample(m.type, m.title) for m in members(cls)}
        case inspection.ListType(item_type=item):
            return [_sample_of(item)]
        case inspection.DictType(key_type=key, value_type=value):
            return {_sample_of(key): _sample_of(value)}
        case inspection.LiteralType(values=values):
            return values[0]
        case inspection.BoolType():
            return False
        case inspection.IntType(ge=least):
            return max(least or 0, 0)
        case inspection.FloatType():
            return 1_577_934_245
    return "x"


def _sample_of(kind: inspection.Type) -> Any:
    core, notes = strip(kind)
    return sample(core, notes.get("title", ""))


def violations(api: Api, operation: Operation) -> Iterator[Violation]:
    """Make every call that breaks one constraint of an operation."""
    for member in members(operation.request):
        match member.location:
            case InPath(name):
                yield from _of_text(api, operation, member, "labels", name)
            case InQuery(name) if isinstance(member.type, inspection.IntType):
                yield from _of_integer(api, operation, name)
            case InQuery(name):
                yield from _of_text(api, operation, member, "query", name)
            case InHeader(name):
                yield from _of_text(api, operation, member, "headers", name)
            case None:
                yield from _of_body(api, operation, member)


def _of_text(
    api: Api, operation: Operation, member: Member, place: str, name: str
) -> Iterator[Violation]:
    for value, why in _wrong_texts(member.type):
        call = right_call(api, operation)
        getattr(call, place)[name] = value
        yield Violation(f"{member.name}: {why}", call)


def _of_integer(api: Api, operation: Operation, name: str) -> Iterator[Violation]:
    for value in ("x", "1.5", "", " 1", "1e3", "0x10", "1_0", "\uff19", "9" * 5000):
        call = right_call(api, operation)
        call.query[name] = value
        yield Violation(f"{name} is {value[:10]!r}", call)
    for number in (2**63, -(2**63) - 1):
        call = right_call(api, operation)
        call.query[name] = str(number)
        yield Violation(f"{name} is {number}", call)


def _of_body(api: Api, operation: Operation, member: Member) -> Iterator[Violation]:
    if member.required:
        for how in ("missing", "null"):
            call = right_call(api, operation)
            if how == "null":
                call.body[member.name] = None
            else:
                del call.body[member.name]
            yield Violation(f"{member.name} is {how}", call)
    for path, value, why in _wrong(member.type, (member.name,)):
        call = right_call(api, operation)
        _put(call.body, path, value)
        yield Violation(f"{'.'.join(map(str, path))}: {why}", call)


Path = tuple[Any, ...]


def _wrong(kind: inspection.Type, path: Path) -> Iterator[tuple[Path, Any, str]]:
    """Find every way in which a value at a path can be wrong."""
    for other in WRONG_TYPES:
        if not _fits(kind, other):
            yield path, other, f"is {str(other)[:12]} ({type(other).__name__})"
    for text, why in _wrong_texts(kind):
        yield path, text, why
    match kind:
        case inspection.IntType(ge=least, le=most):
            yield path, (least or -(2**63)) - 1, "is below the least"
            yield path, (most or 2**63) + 1, "is above the greatest"
        case inspection.StructType(cls=cls):
            for member in members(cls):
                if member.required:
                    yield (*path, member.name), None, "is null"
                yield from _wrong(member.type, (*path, member.name))
        case inspection.ListType(item_type=item, max_length=most):
            yield from _wrong(strip(item)[0], (*path, 0))
            yield (*path, 0), None, "is null"
            if most is not None:
                yield path, [_sample_of(item)] * (most + 1), "has too many"
        case inspection.DictType(value_type=value, max_length=most):
            (key,) = sample(kind, "")
            yield from _wrong(strip(value)[0], (*path, key))
            if most is not None:
                each = _sample_of(value)
                yield path, {f"k{n}": each for n in range(most + 1)}, "has too many"


def _wrong_texts(kind: inspection.Type) -> Iterator[tuple[str, str]]:
    """Find the texts that a string type does not allow."""
    if isinstance(kind, inspection.LiteralType):
        yield "no-such-value", "is not in the enum"
        yield str(kind.values[0]).swapcase(), "has the wrong case"
        yield "", "is empty"
    if isinstance(kind, inspection.BytesType):
        yield "not base64!", "is not base64"
        if kind.max_length is not None:
            yield "A" * (kind.max_length * 4 // 3 + 8), "is too long"
    if not isinstance(kind, inspection.StrType):
        return
    if kind.min_length:
        yield "", "is empty"
        yield "x" * (kind.min_length - 1), "is too short"
    if kind.max_length is not None:
        yield "a" * (kind.max_length + 1), "is too long"
    if kind.pattern is not None:
        for text in ("*", " ", "ü", "\n"):
            if not _matches(kind.pattern, text):
                yield text, f"does not match with {text!r}"
                yield SAMPLES.get("", "x") + text, f"does not match, ending in {text!r}"


def _matches(pattern: str, text: str) -> bool:
    try:
        msgspec.convert(text, type=_with_pattern(pattern))
    except msgspec.ValidationError:
        return False
    return True


def _with_pattern(pattern: str) -> Any:
    return Annotated[str, msgspec.Meta(pattern=pattern)]


_JSON_TYPES: Final[dict[type[inspection.Type], Callable[[Any], bool]]] = {
    inspection.StrType: lambda v: isinstance(v, str),
    inspection.LiteralType: lambda v: isinstance(v, str),
    inspection.BytesType: lambda v: isinstance(v, str),
    inspection.BoolType: lambda v: isinstance(v, bool),
    inspection.IntType: lambda v: type(v) is int and v < 2**31,
    inspection.FloatType: lambda v: type(v) in (int, float) and v < 2**63,
    inspection.ListType: lambda v: v == [],
    inspection.StructType: lambda v: isinstance(v, dict),
    inspection.DictType: lambda v: v == {},
}


def _fits(kind: inspection.Type, value: Any) -> bool:
    """Say whether a value may be right, or wrong for another reason."""
    return _JSON_TYPES[type(kind)](value)


def _put(body: Any, path: Path, value: Any) -> None:
    """Set a value inside a body."""
    *parents, last = path
    for each in parents:
        body = body[each]
    body[last] = copy.deepcopy(value)
