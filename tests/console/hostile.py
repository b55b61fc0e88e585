"""A store in which every text that strangers may choose is an attempt at something."""

from __future__ import annotations

import json
from typing import Any, Final

from millpond.testing.server import RunningServer

EVIL: Final = (
    "<script>window.ran=1;alert(1)</script>",
    '"><img src=http://evil.example/x onerror="window.ran=1">',
    "'><svg/onload=window.ran=1>",
    "javascript:window.ran=1",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe <b>\N{ARABIC LETTER ALEF}",
    "</textarea></title></style><iframe src=//evil.example>",
    "https://evil.example/" + "w" * 200,
)
LONG: Final = "<b>" * 100_000
STREAM: Final = "changes"


def fill(server: RunningServer) -> dict[str, str]:
    """Fill a server; give the ids."""
    identities = server.client("cognito-identity")
    sync, kinesis = server.client("cognito-sync"), server.client("kinesis")
    kinesis.create_stream(StreamName=STREAM, ShardCount=1)
    pool = identities.create_identity_pool(
        IdentityPoolName="name of a pool " + "w" * 100,
        AllowUnauthenticatedIdentities=True,
        DeveloperProviderName="backend",
        SupportedLoginProviders={"www.example.com": "javascript"},
        IdentityPoolTags={"tag": "x" * 200},
    )["IdentityPoolId"]
    ids = {"pool": pool}
    for number, text in enumerate(EVIL):
        token = identities.get_open_id_token_for_developer_identity(
            IdentityPoolId=pool, Logins={"backend": text}
        )
        ids[f"identity{number}"] = ids["identity"] = token["IdentityId"]
    sync.set_identity_pool_configuration(
        IdentityPoolId=pool,
        CognitoStreams={"StreamName": STREAM, "StreamingStatus": "ENABLED"},
    )
    _write(sync, pool, ids["identity"], "a.json", {each: each for each in EVIL})
    _write(sync, pool, ids["identity"], "long", {"long": LONG})
    _write(sync, pool, ids["identity"], "..", {"up": json.dumps({"a": EVIL[0]})})
    return ids


def _write(
    sync: Any, pool: str, identity: str, dataset: str, values: dict[str, str]
) -> None:
    named = {"IdentityPoolId": pool, "IdentityId": identity, "DatasetName": dataset}
    token = sync.list_records(**named)["SyncSessionToken"]
    sync.update_records(
        **named,
        SyncSessionToken=token,
        RecordPatches=[
            {"Op": "replace", "Key": key, "Value": value, "SyncCount": 0}
            for key, value in values.items()
        ],
    )
