"""Developer keys that are bound to what they are for, and who changed what."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from millpond.testing.server import RunningServer, wait_until

Words = Callable[..., dict[str, Any]]


@pytest.fixture
def millpond(server: RunningServer) -> Words:
    """Run a command beside the server, and give what it prints as JSON."""

    def run(*words: str, status: int = 0) -> dict[str, Any]:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "millpond", *words),
                *(*server.store_words, "--output", "json"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stderr
        return {"error": done.stderr} if status else json.loads(done.stdout)

    return run


def clients(server: RunningServer, key: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Make clients of Cognito Sync, Cognito Identity and Kinesis."""
    made = [
        server.client(
            service,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )
        for service in ("cognito-sync", "cognito-identity", "kinesis")
    ]
    return made[0], made[1], made[2]


def code_of(call: Callable[..., Any], **request: Any) -> str:
    """Give the code of the error with which a call is refused; empty: it is not."""
    try:
        call(**request)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


REFUSED = "NotAuthorizedException"


def pools(identity_pools: Any) -> tuple[str, str]:
    """Make two pools whose developers sign users in."""
    own, other = (
        identity_pools.create_identity_pool(
            IdentityPoolName=name,
            AllowUnauthenticatedIdentities=True,
            DeveloperProviderName="login.example",
        )["IdentityPoolId"]
        for name in ("own", "other")
    )
    return own, other


def sign_in(identity_pools: Any, pool: str, user: str = "alice") -> str:
    """Make an identity."""
    answer = identity_pools.get_open_id_token_for_developer_identity(
        IdentityPoolId=pool, Logins={"login.example": user}
    )
    return str(answer["IdentityId"])


def test_a_read_only_key_reads_and_changes_nothing(server, millpond, identity_pools):
    """It works from the moment it is made, and hands out no tokens either."""
    pool, _ = pools(identity_pools)
    identity = sign_in(identity_pools, pool)
    key = millpond("key", "create", "--name", "reader", "--scope", "read-only")
    sync, identities, kinesis = clients(server, key)
    names = {"IdentityPoolId": pool, "IdentityId": identity}

    assert sync.list_datasets(**names)["Count"] == 0
    read = sync.list_records(**names, DatasetName="prefs")
    assert identities.describe_identity(IdentityId=identity)["IdentityId"] == identity
    patch = {"Op": "replace", "Key": "k", "Value": "v", "SyncCount": 0}
    assert (
        code_of(
            sync.update_records,
            **names,
            DatasetName="prefs",
            SyncSessionToken=read["SyncSessionToken"],
            RecordPatches=[patch],
        )
        == REFUSED
    )
    assert (
        code_of(
            identities.get_open_id_token_for_developer_identity,
            IdentityPoolId=pool,
            Logins={"login.example": "bob"},
        )
        == REFUSED
    )
    assert code_of(identities.delete_identity_pool, IdentityPoolId=pool) == REFUSED
    assert code_of(kinesis.create_stream, StreamName="s", ShardCount=1) == REFUSED
    assert sync.list_datasets(**names)["Count"] == 0
    assert (
        len(identities.list_identities(IdentityPoolId=pool, MaxResults=9)["Identities"])
        == 1
    )


def test_a_key_of_one_pool_has_its_pool_alone(server, millpond, identity_pools):
    """By id, by identity, by ARN, in lists, by stream; and its own it has whole."""
    own, other = pools(identity_pools)
    foreign = sign_in(identity_pools, other)
    key = millpond("key", "create", "--pool", own)
    sync, identities, kinesis = clients(server, key)
    mine = sign_in(identities, own)
    arn = f"arn:aws:cognito-identity:us-east-1:000000000000:identitypool/{other}"

    listed = identities.list_identity_pools(MaxResults=60)["IdentityPools"]
    assert [each["IdentityPoolId"] for each in listed] == [own]
    usages = sync.list_identity_pool_usage()["IdentityPoolUsages"]
    assert [each["IdentityPoolId"] for each in usages] == [own]
    for call, request in (
        (identities.describe_identity_pool, {"IdentityPoolId": other}),
        (identities.describe_identity, {"IdentityId": foreign}),
        (identities.delete_identities, {"IdentityIdsToDelete": [mine, foreign]}),
        (identities.tag_resource, {"ResourceArn": arn, "Tags": {"a": "b"}}),
        (identities.list_tags_for_resource, {"ResourceArn": arn}),
        (sync.list_datasets, {"IdentityPoolId": other, "IdentityId": foreign}),
        (kinesis.list_streams, {}),
        (
            identities.create_identity_pool,
            {"IdentityPoolName": "n", "AllowUnauthenticatedIdentities": True},
        ),
    ):
        assert code_of(call, **request) == REFUSED, call
    # Of the own pool, a foreign identity is not there.
    names = {"IdentityPoolId": own, "IdentityId": foreign}
    assert code_of(sync.describe_identity_usage, **names) != ""
    assert code_of(identities.lookup_developer_identity, **names) != ""
    # Nothing of what was refused was done, not in part either.
    assert identities.describe_identity(IdentityId=mine)["IdentityId"] == mine
    identities.delete_identities(IdentityIdsToDelete=[mine])
    assert code_of(identities.describe_identity, IdentityId=mine) == (
        "ResourceNotFoundException"
    )


def test_a_key_of_one_pool_writes_into_no_stream_of_another(
    server, millpond, identity_pools
):
    """Its own stream it may choose, unless another pool has that one."""
    own, other = pools(identity_pools)
    role = "arn:aws:iam::000000000000:role/r"
    streams = {"RoleArn": role, "StreamName": "theirs", "StreamingStatus": "ENABLED"}
    server.client("cognito-sync").set_identity_pool_configuration(
        IdentityPoolId=other, CognitoStreams=streams
    )
    sync, _, _ = clients(server, millpond("key", "create", "--pool", own))
    choose = sync.set_identity_pool_configuration

    request = {"IdentityPoolId": own, "CognitoStreams": streams}
    assert code_of(choose, **request) == REFUSED
    request["CognitoStreams"] = {**streams, "StreamName": "ours"}
    assert code_of(choose, **request) == ""


def test_a_key_ends_when_it_expires_is_narrowed_or_deleted(
    server, millpond, identity_pools
):
    """A narrowed or deleted key within a second; one that expires at its time."""
    key = millpond("key", "create", "--expires", "2s")
    _, identities, _ = clients(server, key)
    assert code_of(identities.list_identity_pools, MaxResults=1) == ""
    wait_until(
        lambda: (
            code_of(identities.list_identity_pools, MaxResults=1)
            == "UnrecognizedClientException"
        )
    )
    millpond("key", "change", key["AccessKeyId"], "--expires", "never")
    assert code_of(identities.list_identity_pools, MaxResults=1) == ""

    millpond("key", "change", key["AccessKeyId"], "--scope", "read-only")
    request = {"IdentityPoolName": "n", "AllowUnauthenticatedIdentities": True}
    wait_until(lambda: code_of(identities.create_identity_pool, **request) == REFUSED)
    millpond("key", "delete", key["AccessKeyId"])
    wait_until(
        lambda: (
            code_of(identities.list_identity_pools, MaxResults=1)
            == "UnrecognizedClientException"
        )
    )


def test_bad_bounds_of_a_key_are_refused(server, millpond):
    """And nothing is made."""

    def ids() -> list[str]:
        return [each["AccessKeyId"] for each in millpond("key", "list")["Keys"]]

    before = ids()

    for words in (
        ("--expires", "soon"),
        ("--expires", "2001-01-01"),
        ("--expires", "-1d"),
        ("--pool", "us-east-1:00000000-0000-4000-8000-000000000000"),
    ):
        millpond("key", "create", "=".join(words), status=1)
    millpond("key", "change", "AKIANOBODY", "--name", "x", status=1)
    assert ids() == before


def test_when_a_key_was_used_is_shown(server, millpond):
    """Soon after it was; before that, never."""
    key = millpond("key", "create", "--name", "used", "--expires", "1d")
    (_, identities, _), name = clients(server, key), key["AccessKeyId"]

    def shown() -> dict[str, Any]:
        return next(
            each
            for each in millpond("key", "list")["Keys"]
            if each["AccessKeyId"] == name
        )

    assert shown()["LastUsedDate"] is None
    assert shown()["ExpirationDate"] is not None
    identities.list_identity_pools(MaxResults=1)
    wait_until(lambda: shown()["LastUsedDate"], timeout_s=40)


def test_each_change_leaves_an_entry_that_is_there_at_once(
    server, millpond, identity_pools
):
    """Who, what, when, from where and how it went; values and tokens never."""
    since_s = int(time.time()) - 1
    key = millpond("key", "create", "--name", "backend")
    sync, identities, _ = clients(server, key)
    pool = identities.create_identity_pool(
        IdentityPoolName="pool", AllowUnauthenticatedIdentities=True
    )["IdentityPoolId"]
    identity = identities.get_id(IdentityPoolId=pool)["IdentityId"]
    names = {"IdentityPoolId": pool, "IdentityId": identity, "DatasetName": "prefs"}
    token = sync.list_records(**names)["SyncSessionToken"]
    patch = {"Op": "replace", "Key": "k", "Value": "secret value", "SyncCount": 0}
    answer = sync.update_records(**names, SyncSessionToken=token, RecordPatches=[patch])
    nowhere = "us-east-1:00000000-0000-4000-8000-000000000000"
    failed = code_of(identities.delete_identity_pool, IdentityPoolId=nowhere)
    assert failed == "ResourceNotFoundException"
    identities.delete_identity_pool(IdentityPoolId=pool)

    entries = millpond("audit", "list", "--key", key["AccessKeyId"])["Entries"]

    operations = [each["Operation"] for each in entries]
    assert operations[-2:] == ["UpdateRecords", "CreateIdentityPool"]
    assert operations[:2] == ["DeleteIdentityPool"] * 2
    assert [each["Result"] for each in entries[:2]] == ["OK", failed]
    write = entries[-2]
    assert (write["IdentityPoolId"], write["IdentityId"]) == (pool, identity)
    assert (write["DatasetName"], write["Result"]) == ("prefs", "OK")
    assert (write["Origin"], write["CallerName"]) == ("API", "backend")
    assert (write["Address"], write["ChangeCount"]) == ("127.0.0.1", 1)
    assert write["RequestId"] == answer["ResponseMetadata"]["RequestId"]
    assert "Boto3" in write["UserAgent"]
    assert entries[-1]["IdentityPoolId"] == pool
    everything = json.dumps(millpond("audit", "list", "--max-items", "1000"))
    assert "secret value" not in everything
    assert token not in everything
    assert key["SecretAccessKey"] not in everything
    # The filters; the pool is gone, its entries stay.
    of_pool = millpond("audit", "list", "--pool", pool)["Entries"]
    assert [each["Operation"] for each in of_pool] == [
        "DeleteIdentityPool",
        "UpdateRecords",
        "CreateIdentityPool",
    ]
    recent = millpond("audit", "list", "--since", str(since_s), status=1)
    assert "--since" in recent["error"]
    made = millpond("audit", "list", "--operation", "CreateDeveloperKey")["Entries"]
    assert made[0]["Target"] == key["AccessKeyId"]
    assert made[0]["Origin"] == "command line"
    assert made[0]["CallerName"]
    page = millpond("audit", "list", "--max-items", "1")
    behind = millpond("audit", "list", "--starting-token", page["NextToken"])
    assert page["Entries"][0]["EntryId"] not in [
        each["EntryId"] for each in behind["Entries"]
    ]


def test_an_entry_names_what_it_is_about(server, millpond):
    """Each of several identities, the pool of an ARN, the stream of a record."""
    key = millpond("key", "create")
    _, identities, kinesis = clients(server, key)
    pool = identities.create_identity_pool(
        IdentityPoolName="pool", AllowUnauthenticatedIdentities=True
    )
    pool_id = pool["IdentityPoolId"]
    ids = [identities.get_id(IdentityPoolId=pool_id)["IdentityId"] for _ in range(3)]
    arn = f"arn:aws:cognito-identity:us-east-1:000000000000:identitypool/{pool_id}"
    identities.tag_resource(ResourceArn=arn, Tags={"stage": "secret tag"})
    kinesis.create_stream(StreamName="named", ShardCount=1)
    kinesis.put_record(StreamName="named", Data=b"x", PartitionKey="p")
    identities.delete_identities(IdentityIdsToDelete=[*ids, ids[0]])

    for each in ids:
        (entry,) = millpond("audit", "list", "--identity-id", each)["Entries"]
        assert (entry["Operation"], entry["Result"]) == ("DeleteIdentities", "OK")
        assert entry["AccessKeyId"] == key["AccessKeyId"]
    of_pool = millpond("audit", "list", "--pool", pool_id)["Entries"]
    assert of_pool[0]["Operation"] == "TagResource"
    of_key = millpond("audit", "list", "--key", key["AccessKeyId"])["Entries"]
    targets = {each["Operation"]: each["Target"] for each in of_key}
    assert targets["PutRecord"] == "named"
    assert "secret tag" not in json.dumps(of_key)
