"""Opaque strings, cut, turned around and taken elsewhere: always a refusal, no 500."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from acceptance.raw_http import Answer, RawClient, Request, Scope
from acceptance.sync_client import create_pool
from acceptance.users import Backend
from millpond.testing.server import RunningServer

SYNC = ("cognito-sync", "AWSCognitoSyncService")
IDENTITY = ("cognito-identity", "AWSCognitoIdentityService")
KINESIS = ("kinesis", "Kinesis_20131202")
MAC_BYTES = 16
AWKWARD = (
    *("", "0", "AA", "A" * 22, "=" * 8, "%00", "\x00", "\ud83d\ude00", "é", "null"),
    *("../..", "a" * 5000, "-1", "1e999", "9" * 40, "arn:aws:kinesis:::", "{}", "[[["),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of which there are tokens of every kind."""
    with RunningServer(tmp_path_factory.mktemp("tokens") / "data") as running:
        yield running


class Stage:
    """Something to page through, and the tokens that came of it."""

    def __init__(self, server: RunningServer) -> None:
        self.raw = RawClient(server)
        self.sync = server.client("cognito-sync")
        self.identities = server.client("cognito-identity")
        self.kinesis = server.client("kinesis")
        backend = Backend(self.identities)
        create_pool(server)
        self.pool = backend.pool
        self.user = backend.sign_in()
        backend.sign_in()
        # As the finding had it: names that read like those of operations.
        self.names = ("ListDatasets", "ListRecords", "prefs")
        for name in self.names:
            self.listed = self._fill(name)
        for name in ("one", "two"):
            self.kinesis.create_stream(StreamName=name, ShardCount=2)
        arn = self.kinesis.describe_stream_summary(StreamName="one")[
            "StreamDescriptionSummary"
        ]["StreamARN"]
        self.arn = arn
        self.consumer = self.kinesis.register_stream_consumer(
            StreamARN=arn, ConsumerName="c"
        )["Consumer"]["ConsumerARN"]
        self.tokens = self._collect()

    def _fill(self, name: str) -> Any:
        names = {
            "IdentityPoolId": self.pool,
            "IdentityId": self.user.identity_id,
            "DatasetName": name,
        }
        token = self.sync.list_records(**names)["SyncSessionToken"]
        patches = [
            {"Op": "replace", "Key": key, "Value": "1", "SyncCount": 0} for key in "abc"
        ]
        self.sync.update_records(**names, SyncSessionToken=token, RecordPatches=patches)
        return self.sync.list_records(**names, MaxResults=1)

    def _collect(self) -> list[str]:
        ids = {"IdentityPoolId": self.pool, "IdentityId": self.user.identity_id}
        shard = self.kinesis.get_shard_iterator(
            StreamName="one", ShardId="shardId-000000000000", ShardIteratorType="LATEST"
        )
        found = [
            self.listed["NextToken"],
            self.listed["SyncSessionToken"],
            self.sync.list_datasets(**ids, MaxResults=1)["NextToken"],
            self.sync.list_identity_pool_usage(MaxResults=1)["NextToken"],
            self.identities.list_identities(IdentityPoolId=self.pool, MaxResults=1)[
                "NextToken"
            ],
            self.identities.list_identity_pools(MaxResults=1)["NextToken"],
            self.kinesis.list_streams(Limit=1)["NextToken"],
            self.kinesis.list_shards(StreamName="one", MaxResults=1)["NextToken"],
            shard["ShardIterator"],
            self.user.token,
            self.consumer,
        ]
        assert all(found)
        return found

    def takers(self, token: str) -> Iterator[tuple[str, Answer]]:
        """Hand a token to everything that takes an opaque string."""
        me = f"/identitypools/{quote(self.pool)}/identities/"
        me += quote(self.user.identity_id)
        text = quote(token.encode("utf-8", "surrogatepass"), safe="")
        for path in (
            "/identitypools?nextToken=",
            f"{me}/datasets?nextToken=",
            f"{me}/datasets/prefs/records?nextToken=",
            f"{me}/datasets/prefs/records?syncSessionToken=",
            f"{me}/datasets/ListDatasets/records?maxResults=1&nextToken=",
            f"{me}/liveUpdates?lastEventId=",
        ):
            if "live" not in path:
                yield path, self.raw.call("GET", path + text)
        patch = {"Op": "replace", "Key": "k", "Value": "v", "SyncCount": 0}
        update = {"SyncSessionToken": token, "RecordPatches": [patch]}
        yield "update", self.raw.call("POST", f"{me}/datasets/prefs", update)
        for api, operation, body in (
            (IDENTITY, "ListIdentityPools", {"MaxResults": 1, "NextToken": token}),
            (
                IDENTITY,
                "ListIdentities",
                {"IdentityPoolId": self.pool, "MaxResults": 1, "NextToken": token},
            ),
            (
                IDENTITY,
                "GetCredentialsForIdentity",
                {
                    "IdentityId": self.user.identity_id,
                    "Logins": {"cognito-identity.amazonaws.com": token},
                },
            ),
            (KINESIS, "ListStreams", {"NextToken": token}),
            (KINESIS, "ListStreams", {"ExclusiveStartStreamName": token}),
            (KINESIS, "ListShards", {"NextToken": token}),
            (
                KINESIS,
                "ListShards",
                {"StreamName": "one", "ExclusiveStartShardId": token},
            ),
            (KINESIS, "GetRecords", {"ShardIterator": token}),
            (KINESIS, "ListStreamConsumers", {"StreamARN": token}),
            (
                KINESIS,
                "ListStreamConsumers",
                {"StreamARN": self.arn, "NextToken": token},
            ),
            (KINESIS, "DescribeStreamConsumer", {"ConsumerARN": token}),
            (KINESIS, "DeregisterStreamConsumer", {"ConsumerARN": token + "x"}),
            (
                KINESIS,
                "GetShardIterator",
                {
                    "StreamName": "one",
                    "ShardId": "shardId-000000000000",
                    "ShardIteratorType": "AT_SEQUENCE_NUMBER",
                    "StartingSequenceNumber": token,
                },
            ),
            (KINESIS, "ListTagsForStream", {"StreamARN": token}),
        ):
            yield operation, self.raw.call_json(api, operation, body)

    def close(self) -> None:
        """Close the clients."""
        for each in (self.sync, self.identities, self.kinesis):
            each.close()


@pytest.fixture(scope="module")
def stage(server: RunningServer) -> Iterator[Stage]:
    """The tokens, and what takes them."""
    made = Stage(server)
    yield made
    made.close()


def rearranged(token: str, others: list[str]) -> Iterator[str]:
    """Cut a token, turn it around, and put its parts together with those of others."""
    yield token
    for cut in (1, 2, len(token) // 2, len(token) - 1):
        yield token[:cut]
        yield token[cut:]
    yield token[::-1]
    yield token + token
    yield token.swapcase()
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        return
    mac, body = raw[:MAC_BYTES], raw[MAC_BYTES:]
    for changed in (
        mac,
        body,
        body + mac,
        mac + b"ListRecords\0" + body,
        mac + b"\0" + body,
        mac + b"\x00\x00\x00\x01" + body,
        bytes(MAC_BYTES) + body,
        mac + b"\xdd\xff\xff\xff\xff",  # an array of four thousand millions
        mac + b"\x91" * 500,
    ):
        yield base64.urlsafe_b64encode(changed).rstrip(b"=").decode()
    for other in others:
        yield token[:22] + other[22:]


def test_no_token_ends_in_a_500(stage):
    """Wherever a token is taken, and whatever was done to it, it is accepted or 4xx."""
    texts = dict.fromkeys(AWKWARD)
    for number, token in enumerate(stage.tokens):
        texts |= dict.fromkeys(rearranged(token, stage.tokens[:number][:2]))
    wrong = [
        (where, text[:60], answer.status, answer.body[:200])
        for text in texts
        for where, answer in stage.takers(text)
        if answer.status >= 500
    ]

    assert wrong == []


def test_session_tokens_of_credentials(stage):
    """A session token that was cut or turned around opens nothing: 403, no 500."""
    answer = stage.raw.call_json(
        IDENTITY,
        "GetCredentialsForIdentity",
        {"IdentityId": stage.user.identity_id, "Logins": stage.user.logins},
    )
    credentials = answer.json["Credentials"]
    scope = Scope(
        access_key_id=credentials["AccessKeyId"], secret=credentials["SecretKey"]
    )
    path = f"/identitypools/{quote(stage.pool)}/identities/"
    path += quote(stage.user.identity_id) + "/datasets"

    def status(token: str) -> int:
        header = (("x-amz-security-token", token),)
        request = Request(target=path.encode(), headers=header)
        return stage.raw.send(stage.raw.signed(request, scope)).status

    token = credentials["SessionToken"]
    assert status(token) == 200
    for text in rearranged(token, []):
        if text != token:
            assert status(text) == 403, json.dumps(text)
