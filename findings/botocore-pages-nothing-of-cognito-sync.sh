#!/usr/bin/env bash
# botocore pages through no listing of Cognito Sync, and so neither does the AWS CLI.
#
# Versions   boto3 as pinned below.
# One would guess that what has a NextToken has a paginator: `get_paginator("list_records")`, and an
#            `aws cognito-sync list-records` that shows all there is, as `aws s3api list-objects-v2` does.
# Seen       There is none for any of the three listings; the first page looks like the whole, but for
#            a NextToken at its end. Of Cognito Identity the listing of pools has one, and that of
#            identities has not.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'boto3==1.44.8'
cat >"$folder/try.py" <<'PY'
import boto3

key = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
found = {}
for service in ("cognito-sync", "cognito-identity"):
    client = boto3.client(service, "us-east-1", **key)
    model = client.meta.service_model
    for method, operation in client.meta.method_to_api_mapping.items():
        output = model.operation_model(operation).output_shape
        if output is not None and "NextToken" in output.members:
            found[operation] = client.can_paginate(method)
print(found)
assert found.pop("ListIdentityPools") is True
assert found == {
    "ListDatasets": False,
    "ListIdentityPoolUsage": False,
    "ListRecords": False,
    "ListIdentities": False,
    "LookupDeveloperIdentity": False,
}, found
PY
"$folder/venv/bin/python" "$folder/try.py"
