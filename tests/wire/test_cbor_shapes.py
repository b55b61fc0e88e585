"""Contract objects in CBOR: what another implementation reads in them."""

from __future__ import annotations

from typing import Literal

import cbor2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.contract import kinesis
from millpond.contract.shapes import Double, Shape, Timestamp
from millpond.server.bindings import APIS
from millpond.wire.cbor import Reader
from millpond.wire.cbor_shapes import encode


class Inner(Shape, kw_only=True):
    """What a list holds."""

    name: str
    size: int | None = None
    data: bytes
    when: Timestamp | None = None
    kind: Literal["A", "B"]
    on: bool
    ratio: Double | None = None
    texts: list[str] | None = None
    by_name: dict[str, int] | None = None


class Outer(Shape, kw_only=True):
    """A list, and one of them alone."""

    items: list[Inner]
    one: Inner | None = None
    names: list[Literal["A", "B"]] | None = None
    times: list[Timestamp] | None = None
    inner_by_name: dict[str, Inner] | None = None


class Empty(Shape, kw_only=True):
    """What has nothing to say, unless it is told."""

    name: str | None = None


class Empties(Shape, kw_only=True):
    """A list of them."""

    items: list[Empty]


def time_tag(value, immutable):
    """Keep a tag as it is; the other implementation takes it for seconds."""
    return cbor2.CBORTag(1, value)


def read(encoded: bytes):
    """Read with another implementation."""
    return cbor2.loads(encoded, semantic_decoders={1: time_tag})


def expected(value, is_time=False):
    """Say what a reader should find, by the JSON of the same object."""
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(value)
        given = [(field, getattr(value, field.name)) for field in fields]
        return {
            field.encode_name: expected(each, field.name in ("when", "times"))
            for field, each in given
            if each is not None
        }
    if isinstance(value, list):
        return [expected(each, is_time) for each in value]
    if isinstance(value, dict):
        return {key: expected(each) for key, each in value.items()}
    return cbor2.CBORTag(1, round(value * 1000)) if is_time else value


moments = st.integers(-62_135_596_800_000, 253_402_300_799_000).map(
    lambda ms: ms / 1000
)
inners = st.builds(
    Inner,
    name=st.text(max_size=300),
    size=st.none() | st.integers(-(2**63), 2**63 - 1),
    data=st.binary(max_size=300),
    when=st.none() | moments,
    kind=st.sampled_from(["A", "B"]),
    on=st.booleans(),
    ratio=st.none() | st.floats(allow_nan=False),
    texts=st.none() | st.lists(st.text(), max_size=3),
    by_name=st.none() | st.dictionaries(st.text(), st.integers(0, 9), max_size=3),
)


@given(inners)
def test_a_structure(inner):
    """Bytes are byte strings, times have tag 1 and milliseconds, None is left out."""
    assert read(encode(inner)) == expected(inner)


@given(st.lists(inners, max_size=20), st.none() | inners)
def test_lists_of_structures(items, one):
    """Structures of any number, of which each has members that others have not."""
    outer = Outer(
        items=items,
        one=one,
        names=["A", "B", "A"],
        times=[0.0, -1.5, 0.0],
        inner_by_name={} if one is None else {"ä": one},
    )

    assert read(encode(outer)) == expected(outer)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 1000])
@pytest.mark.parametrize("with_time", [True, False])
def test_records(count, with_time):
    """A page of records, as GetRecords answers it."""
    records = [
        kinesis.Record(
            sequence_number=str(n),
            approximate_arrival_timestamp=1_700_000_000.001 + n if with_time else None,
            data=bytes([n % 256]) * (n % 70),
            partition_key=f"us-east-1:ä{n}",
        )
        for n in range(count)
    ]
    answer = kinesis.GetRecordsResponse(
        records=records, next_shard_iterator="next", millis_behind_latest=0
    )

    found = read(encode(answer))

    time = {"ApproximateArrivalTimestamp"} if with_time else set()
    assert found["NextShardIterator"] == "next"
    assert found["MillisBehindLatest"] == 0
    assert len(found["Records"]) == count
    for n, record in enumerate(found["Records"]):
        assert set(record) == {"SequenceNumber", "Data", "PartitionKey"} | time
        assert record["SequenceNumber"] == str(n)
        assert record["Data"] == bytes([n % 256]) * (n % 70)
        assert record["PartitionKey"] == f"us-east-1:ä{n}"
        if with_time:
            ms = 1_700_000_000_001 + n * 1000
            assert record["ApproximateArrivalTimestamp"] == cbor2.CBORTag(1, ms)


def test_structures_without_members():
    """A list of structures that have nothing to say."""
    assert read(encode(Empties(items=[Empty()] * 9))) == {"Items": [{}] * 9}


def test_what_is_written_is_read_back():
    """The reader of requests reads what is written here."""
    entry = kinesis.PutRecordsRequestEntry(data=b"\0\xff", partition_key="k")
    request = kinesis.PutRecordsRequest(records=[entry] * 20, stream_name="s")

    assert Reader(encode(request)).read() == {
        "Records": [{"Data": b"\0\xff", "PartitionKey": "k"}] * 20,
        "StreamName": "s",
    }


@pytest.mark.parametrize(
    "operation",
    [each for api, _ in APIS if api.cbor for each in api.operations],
    ids=lambda each: each.name,
)
def test_every_shape_can_be_written(operation):
    """There is a writer for all that an API with CBOR may answer."""
    if operation.response is None:
        return
    required = {
        field.name: None
        for field in msgspec.structs.fields(operation.response)
        if field.required
    }

    found = read(encode(operation.response(**required)))

    assert set(found.values()) <= {None}
