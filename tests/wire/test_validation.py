"""A refused request says which constraints it breaks, in the words of the service."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from msgspec import inspect as inspection

from millpond.contract.cognito_sync import API
from millpond.contract.shapes import (
    InHeader,
    InPath,
    InQuery,
    Operation,
    members,
    published_pattern,
    strip,
)
from millpond.errors import (
    InvalidParameterException,
    SerializationException,
    ServiceException,
)
from millpond.wire import validation
from millpond.wire.decoding import RequestDecoder

GOOD_TEXTS = {
    "IdentityPoolId": "us-east-1:0a",
    "IdentityId": "us-east-1:0b",
    "RoleArn": "arn:aws:iam::000000000000:role/x",
    "ApplicationArns": "arn:aws:sns:us-east-1:000000000000:app/GCM/x",
}
Path = tuple[str | int, ...]


# --- Requests made from the contract --------------------------------------------------


def good(kind: inspection.Type, name: str) -> Any:
    """Make a value that a type allows, with everything in it that may be."""
    match kind:
        case inspection.StrType():
            return GOOD_TEXTS.get(name, "x")
        case inspection.LiteralType():
            return kind.values[0]
        case inspection.IntType() | inspection.FloatType():
            return 0
        case inspection.ListType():
            return [good(strip(kind.item_type)[0], name)]
        case inspection.DictType():
            return {"SyncTrigger": "x"}
        case inspection.StructType():
            return good_request(kind.cls)
    raise AssertionError(kind)


def good_request(shape: Any) -> dict[str, Any]:
    """Make a request in which every member is given."""
    return {each.name: good(each.type, each.name) for each in members(shape)}


def decode(operation: Operation, given: dict[str, Any]) -> Any:
    """Send members where they travel and decode what arrives."""
    labels, query, headers, body = {}, {}, {}, dict(given)
    for member in members(operation.request):
        if member.name not in given:
            continue
        match member.location:
            case InPath(name):
                labels[name] = body.pop(member.name)
            case InQuery(name):
                query[name] = body.pop(member.name)
            case InHeader(name):
                headers[name.lower().encode()] = str(body.pop(member.name)).encode()
    raw_query = urlencode(query, quote_via=quote).encode()
    return RequestDecoder(API, operation).decode(
        json.dumps(body).encode(), labels, raw_query, headers
    )


def spots(shape: Any, path: Path = ()) -> Iterator[tuple[Path, Any, Any]]:
    """List every member of a shape, at any depth: path, member, type."""
    for member in members(shape):
        at = (*path, member.name)
        yield at, member, member.type
        kind = member.type
        if isinstance(kind, inspection.ListType):
            at, kind = (*at, 0), strip(kind.item_type)[0]
            if not isinstance(kind, inspection.StructType):
                yield at, member, kind
        if isinstance(kind, inspection.StructType):
            yield from spots(kind.cls, at)


def spell(path: Path) -> str:
    """Spell a path as the messages do."""
    parts = [
        f"{part + 1}.member" if isinstance(part, int) else part[:1].lower() + part[1:]
        for part in path
    ]
    return ".".join(parts)


def put_at(request: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    changed: Any = copy.deepcopy(request)
    inside = changed
    for part in path[:-1]:
        inside = inside[part]
    inside[path[-1]] = value
    return changed


def drop_at(request: dict[str, Any], path: Path) -> dict[str, Any]:
    changed = put_at(request, path, None)
    inside: Any = changed
    for part in path[:-1]:
        inside = inside[part]
    del inside[path[-1]]
    return changed


def violations(kind: inspection.Type, fine: Any) -> Iterator[tuple[Any, str]]:
    """Yield values that break one constraint of a type, each with its wording."""
    match kind:
        case inspection.StrType():
            if kind.min_length is not None:
                yield "", f"length greater than or equal to {kind.min_length}"
            if kind.max_length is not None:
                long = fine + fine[-1] * (kind.max_length + 1 - len(fine))
                yield long, f"length less than or equal to {kind.max_length}"
            if kind.pattern is not None:
                pattern = published_pattern(kind.pattern)
                for wrong in (f"\u2603{fine}", f"{fine}\n", f"x y{fine}"):
                    yield wrong, f"satisfy regular expression pattern: {pattern}"
        case inspection.LiteralType():
            listed = ", ".join(str(each) for each in kind.values)
            yield "zap", f"satisfy enum value set: [{listed}]"
            yield str(kind.values[0]).swapcase(), f"satisfy enum value set: [{listed}]"
        case inspection.IntType() | inspection.FloatType():
            if kind.ge is not None:
                yield kind.ge - 1, f"value greater than or equal to {kind.ge}"
            if kind.le is not None:
                yield kind.le + 1, f"value less than or equal to {kind.le}"
        case inspection.DictType():
            if kind.max_length is not None:
                many = {f"E{n}": "x" for n in range(kind.max_length + 1)}
                yield many, f"length less than or equal to {kind.max_length}"


CASES = [
    pytest.param(operation, path, member, kind, id=f"{operation.name}-{spell(path)}")
    for operation in API.operations
    for path, member, kind in spots(operation.request)
]


@pytest.mark.parametrize("operation", API.operations, ids=lambda each: each.name)
def test_a_whole_request_is_taken(operation: Operation) -> None:
    """The request that the other tests spoil is a good one."""
    request = decode(operation, good_request(operation.request))

    assert isinstance(request, operation.request)


@pytest.mark.parametrize(("operation", "path", "member", "kind"), CASES)
def test_each_constraint_is_named(
    operation: Operation, path: Path, member: Any, kind: inspection.Type
) -> None:
    """Breaking one constraint is the API's own exception, with member and wording."""
    request = good_request(operation.request)
    fine = good(kind, member.name)
    for wrong, wording in violations(kind, fine):
        with pytest.raises(InvalidParameterException) as caught:
            decode(operation, put_at(request, path, wrong))
        text = caught.value.message
        shown = wrong if isinstance(wrong, str) else str(wrong)
        if len(shown) > 128:
            shown = f"{shown[:128]}..."
        hidden = member.sensitive or isinstance(wrong, dict)
        what = "Value" if hidden else f"Value '{shown}'"

        at = spell(path)
        assert f"{what} at '{at}' failed to satisfy constraint: Member must" in text
        assert text.endswith(wording) or f"{wording}; " in text
        assert text.split(" ", 1)[0] == str(text.count("failed to satisfy"))
        assert len(text) < 1000


@pytest.mark.parametrize(("operation", "path", "member", "kind"), CASES)
def test_each_missing_member_is_named(
    operation: Operation, path: Path, member: Any, kind: inspection.Type
) -> None:
    """A required member that is absent or null is told; another one is not missed."""
    if isinstance(path[-1], int):
        return
    request = good_request(operation.request)
    absent = drop_at(request, path)
    null = put_at(request, path, None) if member.location is None else absent
    for spoiled in (absent, null):
        if not member.required:
            decode(operation, spoiled)
            continue
        with pytest.raises(InvalidParameterException) as caught:
            decode(operation, spoiled)
        assert caught.value.message == (
            f"1 validation error detected: Value null at '{spell(path)}' failed to "
            "satisfy constraint: Member must not be null"
        )


@pytest.mark.parametrize(("operation", "path", "member", "kind"), CASES)
def test_each_wrong_type_is_named(
    operation: Operation, path: Path, member: Any, kind: inspection.Type
) -> None:
    """JSON of another type is a SerializationException that names the place."""
    if member.location is not None:
        return  # everything is text there
    request = good_request(operation.request)
    fine = good(kind, member.name)
    for wrong in ("text", 1, 1.5, True, ["x"], {"x": "x"}):
        number = (int, float) if isinstance(kind, inspection.FloatType) else type(fine)
        if isinstance(wrong, number) and not isinstance(wrong, bool):
            continue
        with pytest.raises(SerializationException) as caught:
            decode(operation, put_at(request, path, wrong))
        text = caught.value.message

        if isinstance(kind, inspection.FloatType) and wrong == "text":
            assert text == (
                "class java.lang.String can not be converted to milliseconds since "
                "epoch"
            )
        else:
            assert "can not be converted to" in text
            assert f"'{spell(path)}" in text


# --- Golden texts ---------------------------------------------------------------------


def decode_body(operation: str, body: Any) -> Any:
    """Decode a body of an operation on a dataset."""
    labels = {
        "IdentityPoolId": "us-east-1:0a",
        "IdentityId": "us-east-1:0b",
        "DatasetName": "prefs",
    }
    decoder = RequestDecoder(API, API.by_name[operation])
    return decoder.decode(json.dumps(body).encode(), labels)


def refused(operation: str, body: Any) -> ServiceException:
    """Decode a body of an operation, which must be refused."""
    with pytest.raises(ServiceException) as caught:
        decode_body(operation, body)
    return caught.value


def patched(**members: Any) -> dict[str, Any]:
    patch = {"Op": "replace", "Key": "user", "SyncCount": 0, "Value": "v"} | members
    return {"SyncSessionToken": "token", "RecordPatches": [patch]}


GOLDEN = [
    (
        patched(Key=""),
        "InvalidParameterException",
        "1 validation error detected: Value '' at 'recordPatches.1.member.key' failed "
        "to satisfy constraint: Member must have length greater than or equal to 1",
    ),
    (
        patched(Op="zap"),
        "InvalidParameterException",
        "1 validation error detected: Value 'zap' at 'recordPatches.1.member.op' "
        "failed to satisfy constraint: Member must satisfy enum value set: [replace, "
        "remove]",
    ),
    (
        {"RecordPatches": [{"Key": "k"}]},
        "InvalidParameterException",
        "3 validation errors detected: Value null at 'recordPatches.1.member.op' "
        "failed to satisfy constraint: Member must not be null; Value null at "
        "'recordPatches.1.member.syncCount' failed to satisfy constraint: Member must "
        "not be null; Value null at 'syncSessionToken' failed to satisfy constraint: "
        "Member must not be null",
    ),
    (
        patched(Value="secret" * 200_000),
        "InvalidParameterException",
        "1 validation error detected: Value at 'recordPatches.1.member.value' failed "
        "to satisfy constraint: Member must have length less than or equal to 1048575",
    ),
    (
        patched(DeviceLastModifiedDate="yesterday"),
        "SerializationException",
        "class java.lang.String can not be converted to milliseconds since epoch",
    ),
    (
        patched(Value=5),
        "SerializationException",
        "NUMBER_VALUE can not be converted to a String at "
        "'recordPatches.1.member.value (Key: user)'",
    ),
    (
        patched(Value=False),
        "SerializationException",
        "FALSE_VALUE can not be converted to a String at "
        "'recordPatches.1.member.value (Key: user)'",
    ),
    (
        {"SyncSessionToken": "t", "RecordPatches": "text"},
        "SerializationException",
        "STRING_VALUE can not be converted to an ArrayList at 'recordPatches'",
    ),
    (
        {"SyncSessionToken": "t", "RecordPatches": [None]},
        "SerializationException",
        "A list holds null at 'recordPatches.1'",
    ),
]


@pytest.mark.parametrize(("body", "code", "text"), GOLDEN)
def test_texts_are_those_of_the_service(body: Any, code: str, text: str) -> None:
    """Class and message, word for word."""
    error = refused("UpdateRecords", body)

    assert (error.code, error.message) == (code, text)
    assert error.http_status == 400


def test_a_type_fault_is_told_before_a_constraint() -> None:
    """JSON that cannot be read is not measured."""
    error = refused("UpdateRecords", patched(Value=5, Op="zap", Key=""))

    assert error.code == "SerializationException"


def test_a_message_names_a_bounded_number_of_faults() -> None:
    """Whoever sends thousands of faults is told of fifty, and nobody waits for more."""
    body = {"SyncSessionToken": "t", "RecordPatches": [{}] * 1000}
    text = refused("UpdateRecords", body).message

    assert text.startswith("50 validation errors detected: Value null at ")
    assert text.count("failed to satisfy") == 50


def long_list(*, length: int, at: int, **changes: Any) -> Any:
    """Make an update of good patches, of which one is changed."""
    good = {"Op": "replace", "Key": "k", "Value": "v", "SyncCount": 0}
    patches = [good] * length
    patches[at] = {**good, **changes}
    return {"SyncSessionToken": "t", "RecordPatches": patches}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"Key": ""}, "'recordPatches.90001.member.key' failed to satisfy"),
        ({"SyncCount": "x"}, "'recordPatches.90001.member.syncCount (Key: k)'"),
        ({"Op": None}, "'recordPatches.90001.member.op' failed to satisfy"),
    ],
)
def test_one_bad_record_among_very_many_is_named(
    monkeypatch: pytest.MonkeyPatch, changes: Any, text: str
) -> None:
    """The good ones are not walked through again: a stranger can send any number."""
    looks = 0
    look = validation._Walk.value

    def counting(*args: Any, **options: Any) -> None:
        nonlocal looks
        looks += 1
        look(*args, **options)

    monkeypatch.setattr(validation._Walk, "value", counting)
    body = long_list(length=100_000, at=90_000, **changes)

    assert text in refused("UpdateRecords", body).message
    assert looks < 10 * validation.ITEMS_MAX


def test_a_fault_beside_a_long_list_is_named() -> None:
    """However long the list is, the other members are looked at."""
    body = long_list(length=100_000, at=0, Key="first")
    body["SyncSessionToken"] = 5

    text = refused("UpdateRecords", body).message

    assert text == "NUMBER_VALUE can not be converted to a String at 'syncSessionToken'"


@pytest.mark.parametrize("count", [1, 1024])
def test_times_that_are_text_are_read_in_long_lists(count: int) -> None:
    """As many as a dataset has records by default, wherever they stand."""
    body = long_list(length=5000, at=0, Key="first")
    for number in range(3000, 3000 + count):
        body["RecordPatches"][number] = {
            **body["RecordPatches"][0],
            "DeviceLastModifiedDate": "2026-01-01T00:00:00Z",
        }

    decoded = decode_body("UpdateRecords", body)

    found = [each.device_last_modified_date for each in decoded.record_patches]
    assert found.count(1_767_225_600.0) == count


def test_very_many_times_that_are_text_are_refused() -> None:
    """To read them all would take everybody's time."""
    body = long_list(length=5000, at=0, DeviceLastModifiedDate="2026-01-01T00:00:00Z")
    body["RecordPatches"] = body["RecordPatches"][:1] * 5000

    error = refused("UpdateRecords", body)

    assert error.code == "SerializationException"
    assert "milliseconds since epoch" in error.message


def test_a_later_record_is_named_by_its_place_and_key() -> None:
    """In a long list the record at fault can be found."""
    body = patched()
    body["RecordPatches"] += [{"Op": "remove", "Key": "b", "SyncCount": "x"}]
    text = refused("UpdateRecords", body).message

    assert text == (
        "STRING_VALUE can not be converted to an Integer at "
        "'recordPatches.2.member.syncCount (Key: b)'"
    )
