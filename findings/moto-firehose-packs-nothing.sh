#!/usr/bin/env bash
# moto's Firehose puts objects into S3 that are not packed, whatever CompressionFormat says.
#
# Versions   moto, boto3 and botocore as pinned below, Python 3.
# One would guess that a delivery stream with CompressionFormat GZIP puts objects that are
#            packed and whose names end in .gz, as the service does by default.
# Seen       The object holds the records as they are, one behind the other without a line
#            break, under a name without an ending. Who reads deliveries by the configuration
#            of their stream cannot read these; who looks at the first bytes can read both.
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

keys = {
    "region_name": "us-east-1",
    "aws_access_key_id": "AKIDEXAMPLE",
    "aws_secret_access_key": "secret",
}
with mock_aws():
    s3 = boto3.client("s3", **keys)
    s3.create_bucket(Bucket="deliveries")
    firehose = boto3.client("firehose", **keys)
    firehose.create_delivery_stream(
        DeliveryStreamName="changes",
        ExtendedS3DestinationConfiguration={
            "RoleARN": "arn:aws:iam::123456789012:role/firehose",
            "BucketARN": "arn:aws:s3:::deliveries",
            "CompressionFormat": "GZIP",
        },
    )
    records = [{"Data": b'{"n":1}'}, {"Data": b'{"n":2}'}]
    firehose.put_record_batch(DeliveryStreamName="changes", Records=records)
    (found,) = s3.list_objects_v2(Bucket="deliveries")["Contents"]
    body = s3.get_object(Bucket="deliveries", Key=found["Key"])["Body"].read()
print(found["Key"], body)
sys.exit(body != b'{"n":1}{"n":2}' or found["Key"].endswith(".gz"))
PYTHON
"$folder/venv/bin/python" "$folder/try.py"
