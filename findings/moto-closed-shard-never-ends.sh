#!/usr/bin/env bash
# moto's Kinesis never ends a shard that was split, and takes positions that it never gave.
#
# Versions   moto, boto3 and botocore as pinned below, Python 3.
# One would guess that reading a closed shard to its end gives no NextShardIterator, and the
#            ChildShards, as the API's reference says of GetRecords; and that a
#            StartingSequenceNumber that the shard never had is an InvalidArgumentException.
# Seen       The closed shard gives another iterator and no children for ever. A consumer that
#            reads children after their parents, as it must for the order of a key, never
#            comes to them. A position of another stream is taken, and what the shard holds is
#            passed over in silence. Such a consumer has to be tried with another Kinesis.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet install boto3==1.44.8 botocore==1.44.8 moto==5.2.5
cat >"$folder/try.py" <<'PYTHON'
import sys

import boto3
from moto import mock_aws

with mock_aws():
    client = boto3.client(
        "kinesis",
        region_name="us-east-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
    )
    shard = "shardId-000000000000"

    def start(stream, kind, **place):
        found = client.get_shard_iterator(
            StreamName=stream, ShardId=shard, ShardIteratorType=kind, **place
        )
        return found["ShardIterator"]

    for name in ("split", "other"):
        client.create_stream(StreamName=name, ShardCount=1)
        client.put_record(StreamName=name, Data=b"1", PartitionKey="k")
    half = str(2**127)
    client.split_shard(StreamName="split", ShardToSplit=shard, NewStartingHashKey=half)
    listed = client.list_shards(StreamName="split")["Shards"]
    is_closed = "EndingSequenceNumber" in listed[0]["SequenceNumberRange"]
    iterator, ends = start("split", "TRIM_HORIZON"), 0
    for _ in range(5):
        page = client.get_records(ShardIterator=iterator)
        ends += page.get("NextShardIterator") is None or "ChildShards" in page
        iterator = page.get("NextShardIterator") or iterator
    unknown = start("other", "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber="999")
    passed_over = client.get_records(ShardIterator=unknown)["Records"]
print(f"closed: {is_closed}, ends: {ends}, behind an unknown position: {passed_over}")
sys.exit(not is_closed or ends != 0 or passed_over != [])
PYTHON
"$folder/venv/bin/python" "$folder/try.py"
