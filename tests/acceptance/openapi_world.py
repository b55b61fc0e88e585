"""
A server for the OpenAPI documents to be tried on, and the documents cut for that.

A document names no pool that there is, and what is made up finds nothing: so the ids of
what was prepared are put among the values that a schema lets through already. That
changes which requests are likely, and none that is valid.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from millpond.testing.ephemeral import EphemeralServer, Pool, User

JsonObject = dict[str, Any]

FOLDER: Final = Path(__file__).parents[2] / "docs" / "reference" / "openapi"
DOCUMENTS: Final[dict[str, JsonObject]] = {
    each.stem: json.loads(each.read_text("utf-8"))
    for each in sorted(FOLDER.glob("*.json"))
}
METHODS: Final = ("get", "post", "delete")
_SCHEMAS: Final = "#/components/schemas/"
_ASKED: Final = "Asked"
_USER: Final = "Who may call: the temporary credentials of an identity."
_PROVIDER: Final = "login.example"
_STREAM: Final = "known"


def path_items(document: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """List where each operation is described by itself: its path, its path item."""
    alone = document["components"].get("pathItems")
    yield from (
        document["paths"].items()
        if alone is None
        else (("/", item) for item in alone.values())
    )


def operations(document: JsonObject) -> dict[str, tuple[str, str]]:
    """List the operations of a document by id, each with its path and its method."""
    return {
        item[method]["operationId"]: (path, method)
        for path, item in path_items(document)
        for method in METHODS
        if method in item
    }


def alone(name: str, operation_id: str, known: Mapping[str, Any]) -> JsonObject:
    """
    Cut a document down to one operation.

    Args:
        known: values by the name of a schema that are more likely than others.
    """
    document = DOCUMENTS[name]
    path, item, method = next(
        (path, item, method)
        for path, item in path_items(document)
        for method in METHODS
        if item.get(method, {}).get("operationId") == operation_id
    )
    components = dict(document["components"])
    components.pop("pathItems", None)
    operation = copy.deepcopy(item[method])
    schemas = _reached(operation, components)
    for part in ("parameters", "requestBody"):
        if known and part in operation:
            operation[part] = _asked(operation[part])
    if known:
        schemas |= {
            f"{_ASKED}{title}": {"enum": known[title]}
            if title in known
            else _asked(each)
            for title, each in schemas.items()
        }
    return {
        **document,
        "paths": {path: {method: operation}},
        "components": {**components, "schemas": schemas},
    }


def _asked(value: Any) -> Any:
    """Let what is asked refer to schemas of its own; those of answers stay."""
    text = json.dumps(value).replace(f'"{_SCHEMAS}', f'"{_SCHEMAS}{_ASKED}')
    return json.loads(text)


def _reached(operation: JsonObject, components: JsonObject) -> JsonObject:
    """Find the schemas that an operation refers to."""
    reached: JsonObject = {}
    todo = [operation]
    while todo:
        for name in re.findall(f'"{_SCHEMAS}(\\w+)"', json.dumps(todo.pop())):
            if name not in reached:
                reached[name] = components["schemas"][name]
                todo.append(reached[name])
    return reached


class World:
    """A server, and what is known to it."""

    def __init__(self, server: EphemeralServer) -> None:
        self.server = server
        self.count = 0
        self.pool: Pool
        self.user: User
        self._sync = server.client("cognito-sync")
        self._kinesis = server.client("kinesis")
        self.known: dict[str, list[Any]] = {}

    def renew(self) -> None:
        """Prepare a pool with a user who has data, and a stream with records."""
        self.count += 1
        self.server.reset()
        self.pool = self.server.create_pool(DeveloperProviderName=_PROVIDER)
        self.user = self.pool.guest()
        sync = self._sync
        names = {"IdentityPoolId": self.pool.id, "IdentityId": self.user.identity_id}
        dataset = {**names, "DatasetName": "prefs"}
        token = sync.list_records(**dataset)["SyncSessionToken"]
        patch = {"Op": "replace", "Key": "k", "Value": "v", "SyncCount": 0}
        sync.update_records(**dataset, SyncSessionToken=token, RecordPatches=[patch])
        self._dataset = dataset
        self.known = {
            "IdentityPoolId": [self.pool.id],
            "IdentityId": [self.user.identity_id],
            "DatasetName": ["prefs"],
            "DeveloperProviderName": [_PROVIDER],
            "IdentityProviderName": [_PROVIDER],
            "ARNString": [
                "arn:aws:cognito-identity:us-east-1:000000000000:identitypool/"
                f"{self.pool.id}"
            ],
            **self._stream(),
        }

    def _stream(self) -> dict[str, list[Any]]:
        kinesis = self._kinesis
        kinesis.create_stream(StreamName=_STREAM, ShardCount=1)
        put = {"StreamName": _STREAM, "Data": b"data", "PartitionKey": "p"}
        record = kinesis.put_record(**put)
        arn = kinesis.describe_stream_summary(StreamName=_STREAM)[
            "StreamDescriptionSummary"
        ]["StreamARN"]
        consumer = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="c")
        iterator = kinesis.get_shard_iterator(
            StreamName=_STREAM,
            ShardId=record["ShardId"],
            ShardIteratorType="TRIM_HORIZON",
        )
        return {
            "StreamName": [_STREAM],
            "StreamARN": [arn],
            "ResourceARN": [arn, consumer["Consumer"]["ConsumerARN"]],
            "ConsumerARN": [consumer["Consumer"]["ConsumerARN"]],
            "ConsumerName": ["c"],
            "ShardId": [record["ShardId"]],
            "SequenceNumber": [record["SequenceNumber"]],
            "ShardIterator": [iterator["ShardIterator"]],
        }

    def fresh_token(self) -> str:
        """Get a token that the next update may use."""
        token: str = self._sync.list_records(**self._dataset)["SyncSessionToken"]
        return token

    def auth(self, name: str, operation: JsonObject) -> Any:
        """Sign as whoever may call an operation."""
        schemes = {each for option in operation["security"] for each in option}
        if "developer_key" in schemes:
            return self.server.access_key_id, self.server.secret_access_key
        if not schemes:
            return unsigned
        keys = Credentials(self.server.access_key_id, self.server.secret_access_key)
        if operation["description"].endswith(_USER):
            user = self.user
            keys = Credentials(
                user.access_key_id, user.secret_access_key, user.session_token
            )
        return SigV4(keys, name)


def unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Sign nothing."""
    return request


class SigV4(requests.auth.AuthBase):
    """Signs a request as it will be sent, with botocore."""

    def __init__(self, keys: Credentials, service: str) -> None:
        self._signer = SigV4Auth(keys, service, "us-east-1")

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        given = {
            name: value
            for name, value in request.headers.items()
            if name.lower().startswith(("x-amz-", "content-type"))
        }
        signed = AWSRequest(
            method=request.method,
            url=request.url,
            headers=given,
            data=request.body or b"",
        )
        self._signer.add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
        return request
