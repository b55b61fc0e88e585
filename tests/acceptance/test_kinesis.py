"""Embedded streams, read and written as with Kinesis."""

from __future__ import annotations

import base64
import itertools
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from acceptance.streams import read_shard
from acceptance.sync_client import refused

SHARD = "shardId-000000000000"


def iterator(kinesis, stream, kind, shard=SHARD, **position):
    """Get a shard iterator."""
    answer = kinesis.get_shard_iterator(
        StreamName=stream, ShardId=shard, ShardIteratorType=kind, **position
    )
    return answer["ShardIterator"]


def read(kinesis, stream, kind, **position):
    """Read the data of the only shard from a position to its end."""
    records = read_shard(kinesis, iterator(kinesis, stream, kind, **position))
    return [record["Data"] for record in records]


@pytest.fixture
def one_shard(kinesis):
    """A fresh stream with one shard."""
    name = f"one-{uuid.uuid4()}"
    kinesis.create_stream(StreamName=name, ShardCount=1)
    return name


@pytest.fixture
def numbers(kinesis, one_shard):
    """The sequence numbers of five records, the data of each being its place."""
    return [
        kinesis.put_record(
            StreamName=one_shard, Data=str(n).encode(), PartitionKey=f"k{n}"
        )["SequenceNumber"]
        for n in range(5)
    ]


class TestStreams:
    """Create, list, describe and delete streams."""

    def test_described_as_created(self, kinesis, stream):
        """A new stream is active at once, with the shards it was created with."""
        found = kinesis.describe_stream(StreamName=stream)["StreamDescription"]
        summary = kinesis.describe_stream_summary(StreamName=stream)[
            "StreamDescriptionSummary"
        ]

        arn = f"arn:aws:kinesis:us-east-1:000000000000:stream/{stream}"
        for each in (found, summary):
            assert (each["StreamName"], each["StreamARN"]) == (stream, arn)
            assert each["StreamStatus"] == "ACTIVE"
            assert each["RetentionPeriodHours"] == 24
            age = datetime.now(UTC) - each["StreamCreationTimestamp"]
            assert abs(age) < timedelta(minutes=1)
        assert summary["OpenShardCount"] == len(found["Shards"]) == 2
        assert found["HasMoreShards"] is False
        assert found["Shards"] == kinesis.list_shards(StreamName=stream)["Shards"]

    def test_streams_can_be_named_by_arn(self, kinesis, one_shard):
        """An ARN does where a name does."""
        arn = f"arn:aws:kinesis:us-east-1:000000000000:stream/{one_shard}"
        kinesis.put_record(StreamARN=arn, Data=b"x", PartitionKey="k")

        found = kinesis.describe_stream(StreamARN=arn)["StreamDescription"]

        assert found["StreamName"] == one_shard
        assert read(kinesis, one_shard, "TRIM_HORIZON") == [b"x"]

    @pytest.mark.parametrize("count", [1, 3, 8])
    def test_shards_part_the_hash_space(self, kinesis, count):
        """The ranges of the shards cover all hash keys, without gap or overlap."""
        name = f"parted-{uuid.uuid4()}"
        kinesis.create_stream(StreamName=name, ShardCount=count)

        shards = kinesis.list_shards(StreamName=name)["Shards"]

        ranges = [
            (
                int(shard["HashKeyRange"]["StartingHashKey"]),
                int(shard["HashKeyRange"]["EndingHashKey"]),
            )
            for shard in shards
        ]
        assert [shard["ShardId"] for shard in shards] == [
            f"shardId-{n:012}" for n in range(count)
        ]
        assert ranges[0][0] == 0
        assert ranges[-1][1] == 2**128 - 1
        assert all(
            end + 1 == start for (_, end), (start, _) in itertools.pairwise(ranges)
        )

    def test_shards_in_pages(self, kinesis):
        """Shards are listed page by page."""
        name = f"pages-{uuid.uuid4()}"
        kinesis.create_stream(StreamName=name, ShardCount=5)
        page = kinesis.list_shards(StreamName=name, MaxResults=2)
        found = page["Shards"]
        while "NextToken" in page:
            page = kinesis.list_shards(NextToken=page["NextToken"], MaxResults=2)
            assert len(page["Shards"]) <= 2
            found += page["Shards"]

        assert found == kinesis.list_shards(StreamName=name)["Shards"]

    def test_list_streams(self, kinesis, stream, one_shard):
        """All streams are listed, page by page, in the order of their names."""
        names = []
        page = kinesis.list_streams(Limit=2)
        names += page["StreamNames"]
        while page["HasMoreStreams"]:
            page = kinesis.list_streams(Limit=2, ExclusiveStartStreamName=names[-1])
            names += page["StreamNames"]

        assert {stream, one_shard} <= set(names)
        assert names == sorted(set(names))

    def test_waiters(self, kinesis, one_shard):
        """The SDK's waiters find a stream, and find that it is gone."""
        kinesis.get_waiter("stream_exists").wait(StreamName=one_shard)
        kinesis.delete_stream(StreamName=one_shard)
        kinesis.get_waiter("stream_not_exists").wait(StreamName=one_shard)

    def test_name_is_taken(self, kinesis, stream):
        """Two streams cannot have one name."""
        with refused(400, "ResourceInUseException") as refusal:
            kinesis.create_stream(StreamName=stream, ShardCount=1)

        assert stream in refusal.message

    @pytest.mark.parametrize(
        "call",
        [
            lambda kinesis: kinesis.describe_stream(StreamName="none"),
            lambda kinesis: kinesis.describe_stream_summary(StreamName="none"),
            lambda kinesis: kinesis.list_shards(StreamName="none"),
            lambda kinesis: kinesis.delete_stream(StreamName="none"),
            lambda kinesis: iterator(kinesis, "none", "LATEST"),
            lambda kinesis: kinesis.put_record(
                StreamName="none", Data=b"", PartitionKey="k"
            ),
            lambda kinesis: kinesis.put_records(
                StreamName="none", Records=[{"Data": b"", "PartitionKey": "k"}]
            ),
        ],
    )
    def test_unknown_stream(self, kinesis, call):
        """A stream that does not exist is refused by name."""
        with refused(400, "ResourceNotFoundException") as refusal:
            call(kinesis)

        assert refusal.message == "Stream none under account 000000000000 not found."

    def test_new_stream_of_an_old_name_is_empty(self, kinesis, one_shard, numbers):
        """Nothing of a deleted stream is in the one that takes its name."""
        old = iterator(kinesis, one_shard, "TRIM_HORIZON")
        kinesis.delete_stream(StreamName=one_shard)
        kinesis.create_stream(StreamName=one_shard, ShardCount=1)

        assert read(kinesis, one_shard, "TRIM_HORIZON") == []
        with refused(400, "ResourceNotFoundException"):
            kinesis.get_records(ShardIterator=old)
        with refused(400, "InvalidArgumentException"):
            read(
                kinesis,
                one_shard,
                "AT_SEQUENCE_NUMBER",
                StartingSequenceNumber=numbers[0],
            )


class TestIterators:
    """The five positions that reading can begin at."""

    @pytest.mark.usefixtures("numbers")
    def test_trim_horizon(self, kinesis, one_shard):
        """TRIM_HORIZON reads from the oldest record."""
        assert read(kinesis, one_shard, "TRIM_HORIZON") == [
            b"0",
            b"1",
            b"2",
            b"3",
            b"4",
        ]

    @pytest.mark.usefixtures("numbers")
    def test_latest(self, kinesis, one_shard):
        """LATEST reads what is put after the iterator was taken."""
        latest = iterator(kinesis, one_shard, "LATEST")
        kinesis.put_record(StreamName=one_shard, Data=b"new", PartitionKey="k")

        assert [r["Data"] for r in read_shard(kinesis, latest)] == [b"new"]

    def test_at_sequence_number(self, kinesis, one_shard, numbers):
        """AT_SEQUENCE_NUMBER begins with the record of that number."""
        found = read(
            kinesis,
            one_shard,
            "AT_SEQUENCE_NUMBER",
            StartingSequenceNumber=numbers[2],
        )

        assert found == [b"2", b"3", b"4"]

    def test_after_sequence_number(self, kinesis, one_shard, numbers):
        """AFTER_SEQUENCE_NUMBER begins behind the record of that number."""
        for number, expected in ((2, [b"3", b"4"]), (4, [])):
            found = read(
                kinesis,
                one_shard,
                "AFTER_SEQUENCE_NUMBER",
                StartingSequenceNumber=numbers[number],
            )
            assert found == expected

    @pytest.mark.usefixtures("numbers")
    def test_at_timestamp(self, kinesis, one_shard):
        """AT_TIMESTAMP begins with the first record of that time or later."""
        records = read_shard(kinesis, iterator(kinesis, one_shard, "TRIM_HORIZON"))
        arrival = {r["Data"]: r["ApproximateArrivalTimestamp"] for r in records}
        # boto3 sends whole seconds.
        middle = arrival[b"3"].replace(microsecond=0)
        hour = timedelta(hours=1)

        for time, expected in (
            (middle - hour, list(arrival)),
            (middle, [data for data, at in arrival.items() if at >= middle]),
        ):
            assert read(kinesis, one_shard, "AT_TIMESTAMP", Timestamp=time) == expected

    @pytest.mark.parametrize(
        ("kind", "position"),
        [
            ("AT_SEQUENCE_NUMBER", {}),
            ("AFTER_SEQUENCE_NUMBER", {}),
            ("AT_TIMESTAMP", {}),
            ("LATEST", {"StartingSequenceNumber": "1"}),
            ("AT_SEQUENCE_NUMBER", {"StartingSequenceNumber": "1"}),
            ("AT_TIMESTAMP", {"Timestamp": datetime(2999, 1, 1, tzinfo=UTC)}),
        ],
    )
    def test_wrong_positions(self, kinesis, one_shard, kind, position):
        """A position that is missing, superfluous or impossible is refused."""
        with refused(400, "InvalidArgumentException"):
            iterator(kinesis, one_shard, kind, **position)

    @pytest.mark.parametrize("shard", ["shardId-000000000001", "shardId-x", "1"])
    def test_unknown_shard(self, kinesis, one_shard, shard):
        """A shard that the stream does not have is not found."""
        with refused(400, "ResourceNotFoundException"):
            iterator(kinesis, one_shard, "LATEST", shard)

    def test_made_up_iterator(self, kinesis, one_shard):
        """An iterator that no answer gave, or that was altered, is refused."""
        real = iterator(kinesis, one_shard, "LATEST")
        for text in ("x", real[:-1], real.swapcase(), real + "A"):
            with refused(400, "InvalidArgumentException"):
                kinesis.get_records(ShardIterator=text)


class TestRecords:
    """Put records and read them back."""

    @pytest.mark.parametrize("data", [b"", b"\0\xff binary", b"x" * 1_000_000])
    def test_data_comes_back(self, kinesis, one_shard, data):
        """Data is bytes, any bytes, and comes back as it was."""
        put = kinesis.put_record(StreamName=one_shard, Data=data, PartitionKey="é 😀")

        (found,) = read_shard(kinesis, iterator(kinesis, one_shard, "TRIM_HORIZON"))

        assert (found["Data"], found["PartitionKey"]) == (data, "é 😀")
        assert found["SequenceNumber"] == put["SequenceNumber"]
        assert put["ShardId"] == SHARD

    def test_batch(self, kinesis, one_shard):
        """Records of one batch are stored in its order, with rising numbers."""
        answer = kinesis.put_records(
            StreamName=one_shard,
            Records=[
                {"Data": str(n).encode(), "PartitionKey": "k"} for n in range(500)
            ],
        )

        assert answer["FailedRecordCount"] == 0
        numbers = [int(each["SequenceNumber"]) for each in answer["Records"]]
        assert numbers == sorted(set(numbers))
        assert read(kinesis, one_shard, "TRIM_HORIZON") == [
            str(n).encode() for n in range(500)
        ]

    def test_keys_choose_shards(self, kinesis, stream):
        """Records of one key are in one shard, and a hash key overrides it."""
        answer = kinesis.put_records(
            StreamName=stream,
            Records=[{"Data": b"x", "PartitionKey": f"k{n % 20}"} for n in range(60)],
        )
        shards = [each["ShardId"] for each in answer["Records"]]
        explicit = [
            kinesis.put_record(
                StreamName=stream, Data=b"", PartitionKey="k", ExplicitHashKey=key
            )["ShardId"]
            for key in ("0", str(2**128 - 1))
        ]

        assert shards[:20] == shards[20:40] == shards[40:]
        assert len(set(shards)) == 2
        assert explicit == ["shardId-000000000000", "shardId-000000000001"]

    def test_answers_are_bounded(self, kinesis, one_shard):
        """An answer has at most 10 MiB, and reading goes on to the end."""
        for _ in range(4):
            kinesis.put_records(
                StreamName=one_shard,
                Records=[{"Data": b"x" * 1_000_000, "PartitionKey": "k"}] * 4,
            )
        position = iterator(kinesis, one_shard, "TRIM_HORIZON")

        first = kinesis.get_records(ShardIterator=position)

        assert sum(len(r["Data"]) for r in first["Records"]) <= 10 * 1_048_576
        assert first["MillisBehindLatest"] > 0
        assert len(read_shard(kinesis, position)) == 16

    def test_largest_batch(self, kinesis, one_shard):
        """A batch may hold 5 MiB, keys included."""
        largest = {"Data": b"x" * 1_048_575, "PartitionKey": "k"}

        kinesis.put_records(StreamName=one_shard, Records=[largest] * 5)

        assert len(read(kinesis, one_shard, "TRIM_HORIZON")) == 5

    @pytest.mark.usefixtures("numbers")
    def test_reading_in_steps(self, kinesis, one_shard):
        """With a limit, reading goes on with the next iterator to the end."""
        found = []
        position = iterator(kinesis, one_shard, "TRIM_HORIZON")
        behind = None
        while behind != 0:
            page = kinesis.get_records(ShardIterator=position, Limit=2)
            assert len(page["Records"]) <= 2
            found += [record["Data"] for record in page["Records"]]
            position, behind = page["NextShardIterator"], page["MillisBehindLatest"]

        assert found == [b"0", b"1", b"2", b"3", b"4"]
        assert kinesis.get_records(ShardIterator=position)["Records"] == []

    def test_limits(self, kinesis, one_shard):
        """A record has at most 1 MiB, a batch at most 500 records and 5 MiB."""
        batches = [
            [{"Data": b"x", "PartitionKey": "k"}] * 501,
            [{"Data": b"x" * 1_048_577, "PartitionKey": "k"}],
            [{"Data": b"x" * 1_000_000, "PartitionKey": "k"}] * 6,
            [{"Data": b"x", "PartitionKey": "k" * 257}],
        ]
        for records in batches:
            with pytest.raises(kinesis.exceptions.ClientError) as caught:
                kinesis.put_records(StreamName=one_shard, Records=records)
            status = caught.value.response["ResponseMetadata"]["HTTPStatusCode"]
            assert status in (400, 413)

        assert read(kinesis, one_shard, "TRIM_HORIZON") == []


def test_aws_cli(aws, kinesis):
    """The AWS CLI creates, describes, fills, reads and deletes a stream."""
    name = f"cli-{uuid.uuid4()}"

    def run(operation, *words):
        return aws.json("kinesis", operation, *words)

    of_stream = ("--stream-name", name)
    run("create-stream", *of_stream, "--shard-count", "1")
    assert name in run("list-streams")["StreamNames"]
    described = run("describe-stream", *of_stream)["StreamDescription"]
    summary = run("describe-stream-summary", *of_stream)["StreamDescriptionSummary"]
    assert described["StreamStatus"] == summary["StreamStatus"] == "ACTIVE"
    assert run("list-shards", *of_stream)["Shards"] == described["Shards"]

    put = run("put-record", *of_stream, "--partition-key", "k", "--data", "one")
    batch = run("put-records", *of_stream, "--records", "Data=two,PartitionKey=k")
    assert batch["FailedRecordCount"] == 0
    positions = {
        "TRIM_HORIZON": ((), 2),
        "LATEST": ((), 0),
        "AT_TIMESTAMP": (("--timestamp", "2020-01-01T00:00:00Z"), 2),
    }
    number = ("--starting-sequence-number", put["SequenceNumber"])
    positions["AT_SEQUENCE_NUMBER"] = (number, 2)
    positions["AFTER_SEQUENCE_NUMBER"] = (number, 1)
    for kind, (position, expected) in positions.items():
        taken = run(
            "get-shard-iterator",
            *(*of_stream, "--shard-id", SHARD, "--shard-iterator-type", kind),
            *position,
        )
        found = read_shard(kinesis, taken["ShardIterator"])
        assert len(found) == expected, kind
    page = run("get-records", "--shard-iterator", taken["ShardIterator"])
    found = [base64.b64decode(record["Data"]) for record in page["Records"]]
    assert found == [b"two"]
    run("delete-stream", *of_stream)
    printed = aws.run("kinesis", "describe-stream", *of_stream)
    assert b"(ResourceNotFoundException)" in printed.err
