#!/usr/bin/env bash
# With moto nobody comes back: the same login is another identity each time.
#
# Versions   moto and boto3 as pinned below.
# One would guess that GetId with the same login gives the same identity, as the service does;
#            it is what makes a second device find the data of the first, and what tests of a
#            sign-in are about. So with a user of a developer's backend.
# Seen       Each call makes up a new id, whatever the logins are: two devices of one user never
#            meet, and a guest who signs in is merged into nobody. The token for a developer's user
#            names another identity each time, too, and no call tells whose logins an identity has.
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'moto==5.2.5' 'boto3==1.44.8'
cat >"$folder/try.py" <<'PY'
import boto3
from moto import mock_aws

key = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
with mock_aws():
    client = boto3.client("cognito-identity", "us-east-1", **key)
    pool = client.create_identity_pool(
        IdentityPoolName="pool",
        AllowUnauthenticatedIdentities=True,
        DeveloperProviderName="login.example",
        SupportedLoginProviders={"accounts.google.com": "app"},
    )["IdentityPoolId"]
    of_login = [
        client.get_id(IdentityPoolId=pool, Logins={"accounts.google.com": "token"})
        for _ in range(2)
    ]
    of_backend = [
        client.get_open_id_token_for_developer_identity(
            IdentityPoolId=pool, Logins={"login.example": "user-42"}
        )
        for _ in range(2)
    ]
    for first, second in (of_login, of_backend):
        print(first["IdentityId"], second["IdentityId"])
        assert first["IdentityId"] != second["IdentityId"]
    try:
        client.describe_identity(IdentityId=of_login[0]["IdentityId"])
    except NotImplementedError as error:
        print(error)
    else:
        raise SystemExit("it tells the logins of an identity")
PY
"$folder/venv/bin/python" "$folder/try.py"
