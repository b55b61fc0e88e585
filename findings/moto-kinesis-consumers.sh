#!/usr/bin/env bash
# moto registers consumers of a Kinesis stream under ARNs that the API does not allow.
#
# Versions   moto, boto3 and botocore as pinned below, Python 3.
# One would guess that a consumer's ARN ends in ":" and the second of its registration, as the
#            pattern of ConsumerARN in the API's own model wants it, so that one registered
#            again has another ARN; and that DeleteStream is refused with
#            ResourceInUseException while consumers are registered, unless
#            EnforceConsumerDeletion is given, as the API's reference says.
# Seen       The ARN ends in the name alone and does not match that pattern, and is the same
#            after registering again. The stream is deleted with its consumers. Code that reads
#            the time from an ARN, or that relies on the refusal, passes its tests with moto
#            and fails elsewhere, or the other way round.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet install boto3==1.44.8 botocore==1.44.8 moto==5.2.5
cat >"$folder/try.py" <<'PYTHON'
import re
import sys

import boto3
from botocore.loaders import Loader
from moto import mock_aws

model = Loader().load_service_model("kinesis", "service-2")
pattern = model["shapes"]["ConsumerARN"]["pattern"]
with mock_aws():
    client = boto3.client(
        "kinesis",
        region_name="us-east-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
    )
    client.create_stream(StreamName="s", ShardCount=1)
    summary = client.describe_stream_summary(StreamName="s")
    stream = summary["StreamDescriptionSummary"]["StreamARN"]
    arns = []
    for _ in range(2):
        found = client.register_stream_consumer(StreamARN=stream, ConsumerName="app")
        arns.append(found["Consumer"]["ConsumerARN"])
        if len(arns) == 1:
            client.deregister_stream_consumer(ConsumerARN=arns[0])
    client.delete_stream(StreamName="s")
    left = client.list_streams()["StreamNames"]
print(arns, re.search(pattern, arns[0]), left)
sys.exit(arns != [f"{stream}/consumer/app"] * 2 or bool(re.search(pattern, arns[0])) or left != [])
PYTHON
"$folder/venv/bin/python" "$folder/try.py"
