"""The binary event stream of AWS, as botocore reads it."""

from __future__ import annotations

import json

import pytest
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from millpond.contract import kinesis as contract
from millpond.errors import ResourceInUseException
from millpond.wire import event_frames
from millpond.wire.codecs import CBOR, JSON

RECORD = contract.Record(
    sequence_number="17",
    approximate_arrival_timestamp=1_750_000_000.25,
    data=b"\x00\xff",
    partition_key="k",
)
EVENT = contract.SubscribeToShardEvent(
    records=[RECORD], continuation_sequence_number="17", millis_behind_latest=0
)


def read(data):
    """Read frames with the official parser."""
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return list(buffer)


def test_an_event_names_itself_and_its_form():
    """Type, kind and content type are in the headers, the members in the payload."""
    (found,) = read(event_frames.event("SubscribeToShardEvent", EVENT, JSON))

    assert found.headers == {
        ":message-type": "event",
        ":event-type": "SubscribeToShardEvent",
        ":content-type": "application/x-amz-json-1.1",
    }
    assert json.loads(found.payload) == {
        "Records": [
            {
                "SequenceNumber": "17",
                "ApproximateArrivalTimestamp": 1_750_000_000.25,
                "Data": "AP8=",
                "PartitionKey": "k",
            }
        ],
        "ContinuationSequenceNumber": "17",
        "MillisBehindLatest": 0,
    }


@pytest.mark.parametrize(
    ("codec", "form", "empty"),
    [(JSON, "json", b"{}"), (CBOR, "cbor", b"\xa0")],
)
def test_payloads_are_in_the_form_of_the_request(codec, form, empty):
    """The initial response as well, which has no members."""
    frames = read(event_frames.initial_response(codec))

    (first,) = frames
    assert first.headers[":event-type"] == "initial-response"
    assert first.headers[":content-type"] == f"application/x-amz-{form}-1.1"
    assert first.payload == empty
    (found,) = read(event_frames.event("SubscribeToShardEvent", EVENT, codec))
    assert found.payload == codec.encode(EVENT)


def test_an_exception_is_named_by_its_code():
    """It is a message of its own kind, with the text in its payload."""
    error = ResourceInUseException("Somebody else took over.")
    (found,) = read(event_frames.exception(error, JSON))

    assert found.headers == {
        ":message-type": "exception",
        ":exception-type": "ResourceInUseException",
        ":content-type": "application/x-amz-json-1.1",
    }
    assert json.loads(found.payload) == {"message": "Somebody else took over."}


names = st.text(st.characters(codec="ascii"), min_size=1, max_size=100)


@given(
    st.dictionaries(names, st.binary(max_size=500).map(lambda b: b.hex().encode())),
    st.binary(max_size=5000),
)
def test_any_frame_is_read_back(headers, payload):
    """Headers and payload come out as they went in, and frames part by themselves."""
    one = event_frames.frame(headers, payload)
    found = read(one + one)

    assert len(found) == 2
    for each in found:
        assert each.payload == payload
        assert each.headers == {k: v.decode() for k, v in headers.items()}


def test_a_damaged_frame_is_noticed():
    """The last four bytes are a checksum of all that is before them."""
    frame = bytearray(event_frames.frame({":message-type": b"event"}, b"payload"))
    frame[-6] ^= 1

    with pytest.raises(ChecksumMismatch):
        read(bytes(frame))
