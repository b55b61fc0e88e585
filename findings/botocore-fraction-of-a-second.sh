#!/usr/bin/env bash
# botocore 1.43.93 began to send fractions of a second in the bodies of rest-json and JSON calls.
#
# Versions   botocore 1.43.92, 1.43.93 and 1.44.8 of PyPI, Python 3.
# One would guess that a time is sent as exactly as the datetime that was given, or at least
#            that releases which differ in the third number alone send the same bytes.
# Seen       Up to 1.43.92 the fraction is dropped: two updates of a record in one second carry
#            the same DeviceLastModifiedDate, and AT_TIMESTAMP of Kinesis begins up to a second
#            too early. From 1.43.93 on it is sent, as a JSON number with a point; a time
#            without a fraction stays an integer. A date that is read from Cognito Sync (which
#            answers with milliseconds) and written back is another one to the old releases, and
#            a store that takes whole numbers alone fails at the new ones, now and then.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cat >"$folder/try.py" <<'PYTHON'
import json
import sys
from datetime import datetime, timedelta, timezone

import botocore
import botocore.session
from botocore.awsrequest import AWSResponse

ID = "us-east-1:7c4f5e0a-2f0b-4b9e-9d8c-0a1b2c3d4e5f"
WHOLE = datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone.utc)
session = botocore.session.get_session()


class Nothing:
    def stream(self):
        yield b"{}"


def sent(service, call, **arguments):
    bodies = []
    client = session.create_client(
        service,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )

    def answer(request, **_):
        bodies.append(json.loads(request.body))
        return AWSResponse(request.url, 200, {}, Nothing())

    client.meta.events.register("before-send", answer)
    getattr(client, call)(**arguments)
    return bodies[0]


def times(date):
    patch = {"Op": "replace", "Key": "a", "Value": "1", "SyncCount": 0}
    update = sent(
        "cognito-sync",
        "update_records",
        IdentityPoolId=ID,
        IdentityId=ID,
        DatasetName="d",
        SyncSessionToken="t",
        RecordPatches=[{**patch, "DeviceLastModifiedDate": date}],
    )
    iterator = sent(
        "kinesis",
        "get_shard_iterator",
        StreamName="s",
        ShardId="shardId-000000000000",
        ShardIteratorType="AT_TIMESTAMP",
        Timestamp=date,
    )
    return [update["RecordPatches"][0]["DeviceLastModifiedDate"], iterator["Timestamp"]]


seen = [repr(each) for each in times(WHOLE + timedelta(milliseconds=999)) + times(WHOLE)]
print(f"botocore {botocore.__version__} sent {', '.join(seen)}")
late = "1700000000.999" if sys.argv[1] == "fraction" else "1700000000"
sys.exit(seen != [late, late, "1700000000", "1700000000"])
PYTHON
for each in 1.43.92:none 1.43.93:fraction 1.44.8:fraction; do
  "$folder/venv/bin/pip" --quiet --disable-pip-version-check install "botocore==${each%:*}"
  "$folder/venv/bin/python" "$folder/try.py" "${each#*:}"
done
