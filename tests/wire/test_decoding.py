"""Bytes become requests, or a clear refusal; never anything else."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millpond import limits
from millpond.contract import kinesis
from millpond.contract.cognito_sync import (
    API,
    ListRecordsRequest,
    RecordPatch,
    UpdateRecordsRequest,
)
from millpond.errors import (
    InvalidParameterException,
    SerializationException,
    ServiceException,
)
from millpond.wire.decoding import RequestDecoder, percent_decode

LABELS = {
    "IdentityPoolId": "us-east-1:0a",
    "IdentityId": "us-east-1:0b",
    "DatasetName": "prefs",
}
UPDATE = RequestDecoder(API, API.by_name["UpdateRecords"])
LIST = RequestDecoder(API, API.by_name["ListRecords"])
EVENTS = RequestDecoder(API, API.by_name["SetCognitoEvents"])


def update(body: Any, **options: Any) -> UpdateRecordsRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = UPDATE.decode(raw, LABELS, **options)
    assert isinstance(request, UpdateRecordsRequest)
    return request


def listing(query: bytes) -> ListRecordsRequest:
    request = LIST.decode(b"", LABELS, query)
    assert isinstance(request, ListRecordsRequest)
    return request


def patch_of(**members: Any) -> RecordPatch:
    patch = {"Op": "replace", "Key": "k", "SyncCount": 0, "Value": "v"} | members
    request = update({"SyncSessionToken": "t", "RecordPatches": [patch]})
    assert request.record_patches is not None
    return request.record_patches[0]


# --- Where members travel -------------------------------------------------------------


def test_members_come_from_path_header_and_body() -> None:
    """Each member is read where the contract puts it."""
    request = update(
        {"SyncSessionToken": "t", "DeviceId": "d", "RecordPatches": []},
        headers={b"x-amz-client-context": b"opaque"},
    )

    assert request == UpdateRecordsRequest(
        identity_pool_id="us-east-1:0a",
        identity_id="us-east-1:0b",
        dataset_name="prefs",
        device_id="d",
        record_patches=[],
        sync_session_token="t",
        client_context="opaque",
    )


def test_the_body_cannot_name_what_travels_elsewhere() -> None:
    """A pool, a name or a header in the body does not count."""
    request = update(
        {
            "SyncSessionToken": "t",
            "IdentityPoolId": "us-east-1:99",
            "IdentityId": 5,
            "DatasetName": None,
            "ClientContext": "body",
        }
    )

    assert (request.identity_pool_id, request.identity_id) == (
        "us-east-1:0a",
        "us-east-1:0b",
    )
    assert request.client_context is None


def test_parameters_are_read_from_the_query() -> None:
    """Numbers and texts, percent-decoded; a plus is a plus."""
    request = listing(
        b"lastSyncCount=7&maxResults=1024&nextToken=a%2Fb%2Bc%3D+&syncSessionToken=t"
    )

    assert (request.last_sync_count, request.max_results) == (7, 1024)
    assert (request.next_token, request.sync_session_token) == ("a/b+c=+", "t")
    assert listing(b"").last_sync_count is None


def test_a_parameter_given_twice_is_refused() -> None:
    """Which of the two was meant cannot be known, so it is told by name."""
    with pytest.raises(SerializationException, match="'lastSyncCount'"):
        listing(b"lastSyncCount=1&lastSyncCount=2")


def test_unknown_members_and_parameters_are_passed_over() -> None:
    """What newer or odd clients send besides is no fault."""
    body = {"SyncSessionToken": "t", "New": {"a": [1]}, "syncSessionToken": 5}

    assert update(body).sync_session_token == "t"
    assert listing(b"new=1&&=&lastSyncCount=3&x").last_sync_count == 3
    assert listing(b"LastSyncCount=5").last_sync_count is None


def test_null_is_absent() -> None:
    """A null member is as good as none."""
    request = update({"SyncSessionToken": "t", "DeviceId": None, "RecordPatches": None})

    assert (request.device_id, request.record_patches) == (None, None)
    assert patch_of(Value=None).value is None


def test_a_bodyless_request_needs_none() -> None:
    """A GET ignores whatever body it has; an absent body is an empty object."""
    for body in (b"", b"{}", b"nonsense"):
        assert LIST.decode(body, LABELS)
    with pytest.raises(InvalidParameterException, match="syncSessionToken"):
        update(b"")


@pytest.mark.parametrize("text", ["-1", "+1", "0", str(2**63 - 1), str(-(2**63))])
def test_integers_in_the_query(text: str) -> None:
    """Signed decimal numbers of 64 bits are read."""
    query = f"lastSyncCount={text.replace('+', '%2B')}".encode()

    assert listing(query).last_sync_count == int(text)


@pytest.mark.parametrize(
    "text", ["", "x", "1.0", "1e3", "1_0", "%201", "0x10", "%D9%A1", "--1", "1" * 21]
)
def test_no_integers_in_the_query(text: str) -> None:
    """Anything else is a SerializationException that names the parameter."""
    with pytest.raises(SerializationException, match="'lastSyncCount'"):
        listing(f"lastSyncCount={text}".encode())


def test_an_integer_beyond_64_bits_breaks_a_constraint() -> None:
    """It is read and then refused as what it is: too large."""
    with pytest.raises(InvalidParameterException, match="less than or equal to"):
        listing(b"lastSyncCount=%d" % 2**63)


# --- Times ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "seconds"),
    [
        (1412974057.151, 1412974057.151),
        (0, 0),
        (-1, -1),
        ("1412974057.151", 1412974057.151),
        ("1412974057", 1412974057),
        ("2014-10-10T20:47:37.151Z", 1412974057.151),
        ("2014-10-10T22:47:37.151+02:00", 1412974057.151),
        ("2014-10-10T20:47:37", 1412974057),
        ("2014-10-10", 1412899200),
        (None, None),
    ],
)
def test_times(given_: Any, seconds: float | None) -> None:
    """A time is a number; a string with a number or a date is taken as well."""
    found = patch_of(DeviceLastModifiedDate=given_).device_last_modified_date

    assert found == (None if seconds is None else pytest.approx(seconds, abs=1e-6))


@pytest.mark.parametrize(
    "text", ["", "yesterday", "nan", "inf", "-Infinity", "1e999", "2014-13-01", "0x1"]
)
def test_no_times(text: str) -> None:
    """Other strings are refused with the text that the service has for it."""
    with pytest.raises(SerializationException) as caught:
        patch_of(DeviceLastModifiedDate=text)

    assert caught.value.message == (
        "class java.lang.String can not be converted to milliseconds since epoch"
    )


@pytest.mark.parametrize("time", [1e300, -1e300, "1e18", "99999999999999"])
def test_times_without_meaning(time: Any) -> None:
    """A time that no calendar has is a broken constraint."""
    with pytest.raises(InvalidParameterException, match="deviceLastModifiedDate"):
        patch_of(DeviceLastModifiedDate=time)


# --- What is no text ------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"SyncSessionToken": "a\0"},
        {"SyncSessionToken": "t", "DeviceId": "\0"},
        {
            "SyncSessionToken": "t",
            "RecordPatches": [
                {"Op": "replace", "Key": "k\0", "SyncCount": 0, "Value": "v"}
            ],
        },
        {
            "SyncSessionToken": "t",
            "RecordPatches": [
                {"Op": "replace", "Key": "k", "SyncCount": 0, "Value": "v\0w"}
            ],
        },
    ],
)
def test_nul_is_refused_in_a_body(body: Any) -> None:
    """No store could be trusted to keep it, so the wire says no."""
    with pytest.raises(InvalidParameterException, match="NUL"):
        update(body)


def test_nul_is_refused_everywhere_else() -> None:
    """In labels, parameters and the keys of maps as well."""
    with pytest.raises(InvalidParameterException, match="NUL"):
        UPDATE.decode(b'{"SyncSessionToken":"t"}', LABELS | {"DatasetName": "a\0"})
    with pytest.raises(InvalidParameterException, match="NUL"):
        listing(b"nextToken=a%00")
    with pytest.raises(InvalidParameterException, match="NUL"):
        EVENTS.decode(b'{"Events":{"a\\u0000":"x"}}', LABELS)


def test_nul_in_what_is_passed_over_is_passed_over() -> None:
    """An unknown member is kept nowhere, so nothing of it is held against a request."""
    patch = {"Op": "remove", "Key": "k", "SyncCount": 0}
    body = {
        "SyncSessionToken": "t",
        "Unknown": "\0",
        "\0": {"a": ["\0"]},
        "RecordPatches": [{**patch, "Mine": "\0"}],
    }

    patches = update(body).record_patches
    assert patches is not None
    assert [each.key for each in patches] == ["k"]


def test_a_backslash_before_u0000_is_no_nul() -> None:
    """The text \\u0000, escaped, is six harmless characters."""
    assert patch_of(Value="\\u0000").value == "\\u0000"


@pytest.mark.parametrize(
    "body",
    [
        b"nonsense",
        b"{",
        b'{"a":1',
        b"{}{}",
        b" ",
        b'{"SyncSessionToken":"\xff"}',
        b'{"SyncSessionToken":"\xed\xa0\x80"}',
        b'{"SyncSessionToken":"\\ud800"}',
        b'{"SyncSessionToken":"\\udc00x"}',
        b'{"SyncSessionToken":"a\x00b"}',
        b'{"SyncSessionToken":"a\nb"}',
        b'{"SyncSessionToken":NaN}',
        b'{"SyncSessionToken":"t","a":1e999}',
        b'{"SyncSessionToken":"t","a":' + b"9" * 5000 + b"}",
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
    ],
)
def test_what_is_no_json_is_told(body: bytes) -> None:
    """Broken JSON, broken UTF-8 and broken numbers are a SerializationException."""
    with pytest.raises(SerializationException, match="not valid JSON"):
        update(body)


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"5", b"true"])
def test_what_is_no_object_is_told(body: bytes) -> None:
    """A body must be an object."""
    with pytest.raises(SerializationException, match="must be a JSON object"):
        update(body)


@pytest.mark.parametrize("shape", ["unknown", "nul", "patches", "value"])
@pytest.mark.parametrize("depth", [10, 500, 900, 2000, 200_000])
def test_deep_nesting_is_harmless(shape: str, depth: int) -> None:
    """However deep a body is, it is taken or refused and nothing breaks."""
    deep = b"[" * depth + b"]" * depth
    body = {
        "unknown": b'{"SyncSessionToken":"t","x":%s}',
        "nul": b'{"SyncSessionToken":"\\u0000","x":%s}',
        "patches": b'{"SyncSessionToken":5,"RecordPatches":%s}',
        "value": b'{"RecordPatches":[{"Key":"k","Value":%s}]}',
    }[shape] % deep
    if shape == "unknown":
        with contextlib.suppress(SerializationException):  # how deep is too deep?
            assert update(body)
        assert depth > 500 or update(body)
        return
    with pytest.raises(ServiceException):
        update(body)


def test_no_depth_is_too_much_for_the_refusal() -> None:
    """Where the JSON can just be read, looking into it must not break either."""
    deep = {n: b"[" * n + b"]" * n for n in [*range(850, 1050), 3000, 9000]}
    for each in deep.values():
        for decoder, body in (
            (EVENTS, b'{"Events":{"a":"b","c":%s}}' % each),
            (UPDATE, b'{"x":%s,"SyncSessionToken":"\\u0000"}' % each),
        ):
            with pytest.raises(ServiceException):
                decoder.decode(body, LABELS)


# --- Whatever is sent -----------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Op", "Key", "SyncCount", "Value", "DeviceLastModifiedDate"]
            )
            | st.text(max_size=3),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
QUICK = settings(
    max_examples=150,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def attempt(decoder: RequestDecoder, body: bytes, query: bytes) -> Any:
    """Decode, and give back the request or the refusal."""
    try:
        return decoder.decode(body, LABELS, query)
    except ServiceException as error:
        return error


@QUICK
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "SyncSessionToken": json_values | st.just("t"),
            "RecordPatches": st.lists(json_values, max_size=2) | json_values,
            "DeviceId": json_values,
        },
    )
)
def test_any_json_is_decoded_or_refused(body: Any) -> None:
    """A body of any JSON is a request or an exception of the API."""
    outcome = attempt(UPDATE, json.dumps(body).encode(), b"")
    if isinstance(outcome, ServiceException):
        assert outcome.http_status == 400
    else:
        assert isinstance(outcome, UpdateRecordsRequest)
        assert isinstance(outcome.sync_session_token, str)


@QUICK
@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_bytes_are_decoded_or_refused(body: bytes, query: bytes) -> None:
    """A body and a query of any bytes are a request or an exception of the API."""
    for decoder in (UPDATE, LIST):
        outcome = attempt(decoder, body, query.replace(b"\0", b""))
        assert not isinstance(outcome, ServiceException) or outcome.http_status == 400


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"us-east-1%3A0a", "us-east-1:0a"),
        (b"us-east-1%3a0a", "us-east-1:0a"),
        (b"us-east-1:0a", "us-east-1:0a"),
        (b"a+b", "a+b"),
        (b"%E2%98%83", "\u2603"),
        (b"%2525", "%25"),
        (b"%FF", "\ufffd"),
        (b"\xff", "\ufffd"),
        (b"%", "%"),
        (b"%zz", "%zz"),
    ],
)
def test_percent_decoding(raw: bytes, text: str) -> None:
    """Decoded once, with what is not UTF-8 replaced."""
    assert percent_decode(raw) == text


# --- CBOR -----------------------------------------------------------------------------


def decode_cbor(operation: str, body: Any) -> Any:
    """Decode a request of Kinesis as one of the SDKs for Java sends it."""
    raw = body if isinstance(body, bytes) else cbor2.dumps(body)
    decoder = RequestDecoder(kinesis.API, kinesis.API.by_name[operation])
    return decoder.decode(raw, binary=True)


SHARD = {"StreamName": "s", "ShardId": "0", "ShardIteratorType": "AT_TIMESTAMP"}


@pytest.mark.parametrize("body", [b"", b"\xa0", b"\xbf\xff"])
def test_nothing_in_cbor(body: bytes) -> None:
    """A request without members is an empty map of either kind, or no body."""
    assert decode_cbor("ListStreams", body) == kinesis.ListStreamsRequest()


def test_bytes_in_cbor() -> None:
    """Data is a byte string, and is taken as it is."""
    entry = {"Data": b"\0\xff", "PartitionKey": "k", "ExplicitHashKey": None}

    request = decode_cbor("PutRecords", {"Records": [entry], "StreamName": "s"})

    assert request.records[0].data == b"\0\xff"
    assert request.records[0].explicit_hash_key is None


@pytest.mark.parametrize("ms", [0, 1_700_000_000_123, -1])
def test_times_in_cbor(ms: int) -> None:
    """A time has tag 1 and is in milliseconds, wherever it stands."""
    tagged = cbor2.CBORTag(1, ms)

    iterator = decode_cbor("GetShardIterator", {**SHARD, "Timestamp": tagged})
    shard_filter = {"Type": "AT_TIMESTAMP", "Timestamp": tagged}
    shards = decode_cbor("ListShards", {"ShardFilter": shard_filter})

    assert iterator.timestamp == ms / 1000
    assert shards.shard_filter.timestamp == ms / 1000


@pytest.mark.parametrize(
    ("operation", "body", "complaint"),
    [
        ("ListStreams", [], "The body must be a CBOR map."),
        ("ListStreams", {"Limit": "1"}, "STRING_VALUE can not be converted"),
        ("ListStreams", {"Limit": 1.0}, "NUMBER_VALUE can not be converted"),
        ("ListStreams", {"Limit": True}, "TRUE_VALUE can not be converted"),
        ("ListStreams", {"Limit": cbor2.CBORTag(1, 1)}, "TIMESTAMP_VALUE can not"),
        ("ListStreams", {"NextToken": b"x"}, "BINARY_VALUE can not be converted"),
        ("ListStreams", {"NextToken": {}}, "START_OBJECT can not be converted"),
        ("GetShardIterator", {**SHARD, "Timestamp": 1_700_000_000}, "has tag 1"),
        ("GetShardIterator", {**SHARD, "Timestamp": 1.7e9}, "has tag 1"),
        ("GetShardIterator", {**SHARD, "Timestamp": "2024-01-01"}, "milliseconds"),
        ("PutRecord", {"Data": "eA==", "PartitionKey": "k"}, "a ByteBuffer at 'data'"),
        ("PutRecord", {"Data": [1], "PartitionKey": "k"}, "a ByteBuffer at 'data'"),
        ("PutRecords", {"Records": {}}, "START_OBJECT can not be converted"),
        ("PutRecords", {"Records": [None]}, "A list holds null at 'records.1'"),
        ("PutRecords", {"Records": [b"x"]}, "BINARY_VALUE can not be converted"),
    ],
)
def test_wrong_types_in_cbor(operation: str, body: Any, complaint: str) -> None:
    """A member of another type is refused, and named."""
    with pytest.raises(SerializationException) as refusal:
        decode_cbor(operation, body)

    assert complaint in refusal.value.message


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("PutRecord", {"Data": "eA=="}),
        ("PutRecord", {"Data": "eA==", "PartitionKey": "k" * 257, "StreamName": "a b"}),
        ("PutRecords", {"Records": []}),
        ("PutRecords", {"Records": [{"Data": "", "PartitionKey": ""}] * 3}),
        ("ListStreams", {"Limit": 0}),
        ("ListStreams", {"ExclusiveStartStreamName": "a\0"}),
        ("CreateStream", {"StreamName": "s", "Tags": {"": "v", "k" * 129: "v"}}),
        ("GetShardIterator", {"ShardIteratorType": "NEW"}),
    ],
)
def test_constraints_have_the_same_words(operation: str, body: Any) -> None:
    """What is wrong is said as it is said in JSON."""
    decoder = RequestDecoder(kinesis.API, kinesis.API.by_name[operation])
    with pytest.raises(ServiceException) as in_json:
        decoder.decode(json.dumps(body).encode())
    in_binary = json.loads(
        json.dumps(body),
        object_hook=lambda each: {
            k: base64.b64decode(v) if k == "Data" else v for k, v in each.items()
        },
    )

    with pytest.raises(ServiceException) as in_cbor:
        decode_cbor(operation, in_binary)

    assert type(in_cbor.value) is type(in_json.value)
    assert in_cbor.value.message == in_json.value.message


def test_data_is_measured_in_cbor() -> None:
    """The limit of a record is of its bytes."""
    entry = {"Data": b"x" * (limits.STREAM_RECORD_BYTES_MAX + 1), "PartitionKey": "k"}

    with pytest.raises(ServiceException) as refusal:
        decode_cbor("PutRecord", {**entry, "StreamName": "s"})

    assert "at 'data' failed" in refusal.value.message
    assert "less than or equal to 1048576" in refusal.value.message


@given(
    st.sampled_from(kinesis.API.operations),
    st.dictionaries(
        st.sampled_from(
            [
                "Data",
                "Limit",
                "PartitionKey",
                "Records",
                "ShardFilter",
                "StreamName",
                "ShardId",
                "ShardIteratorType",
                "Timestamp",
                "Tags",
                "Other",
            ]
        ),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers(-(2**64), 2**64 - 1)
            | st.floats()
            | st.text()
            | st.binary()
            | st.integers(0, 2**64 - 1).map(lambda ms: cbor2.CBORTag(1, ms)),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["Data", "PartitionKey", "Timestamp", "Type"]),
                    inner,
                )
            ),
            max_leaves=6,
        ),
    ),
)
def test_any_cbor_is_decoded_or_refused(operation: Any, body: Any) -> None:
    """Whatever the members hold, the outcome is a request or a refusal."""
    with contextlib.suppress(ServiceException):
        decode_cbor(operation.name, body)


# --- The quick way and the exact way --------------------------------------------------

_ODD: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2**70),
    st.floats(allow_nan=False),
    st.text(max_size=3),
    st.just("2024-01-01T00:00:00Z"),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["Key", "Op"]), st.none(), max_size=1),
)
_PATCH = st.fixed_dictionaries(
    {
        "Op": st.sampled_from(["replace", "remove"]) | _ODD,
        "Key": st.text(min_size=1, max_size=3) | _ODD,
        "SyncCount": st.integers(0, 9) | _ODD,
    },
    optional={
        "Value": st.text(max_size=3) | _ODD,
        "DeviceLastModifiedDate": st.floats(0, 2e9) | _ODD,
        "Unknown": _ODD,
    },
)
_BODY = st.fixed_dictionaries(
    {"SyncSessionToken": st.just("token") | _ODD},
    optional={
        "RecordPatches": st.lists(_PATCH, max_size=3) | _ODD,
        "DeviceId": st.just("phone") | _ODD,
        "IdentityId": _ODD,
        "ClientContext": _ODD,
        "Unknown": _ODD,
    },
)


@given(_BODY, st.booleans(), st.binary(max_size=2))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_the_quick_way_says_what_the_exact_way_says(
    body: dict[str, Any], plain: bool, behind: bytes
) -> None:
    """Whatever a body is, both ways come to the same request, or the same refusal."""
    exact = RequestDecoder(API, API.by_name["UpdateRecords"])
    exact._is_nested = False
    raw = json.dumps(body, ensure_ascii=plain).encode("utf-8", "surrogatepass")

    def outcome(decoder: RequestDecoder) -> Any:
        try:
            return decoder.decode(raw + behind, LABELS, b"", {})
        except ServiceException as error:
            return type(error), error.message

    assert outcome(UPDATE) == outcome(exact)


def test_what_is_right_goes_the_quick_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """An update that is right is not read into dicts first."""
    monkeypatch.setattr(UPDATE, "_read_body", None)
    assert patch_of(Value="\u00e9", DeviceLastModifiedDate=1.5).value == "\u00e9"
