"""Who may call what: every operation, by everybody."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config

import published
from acceptance.kinds import embedded_does
from acceptance.raw_http import Answer, RawClient, Request, Scope
from acceptance.sync_client import Dataset, new_identity, refused
from acceptance.users import Backend, UserCredentials, client_of, get_credentials
from acceptance.violations import right_call
from millpond.contract import (
    cognito_identity,
    cognito_sync,
    examination,
    streaming,
)
from millpond.core.session_tokens import SessionTokens, UserSession
from millpond.server import secret_key
from millpond.testing.server import RunningServer

pytestmark = embedded_does("who may call is decided before a store is asked")

DEVELOPER, USER, EITHER, ANYONE = "developer", "user", "either", "anyone"
SIGNATURE_ERRORS = (
    "MissingAuthenticationTokenException",
    "InvalidSignatureException",
    "UnrecognizedClientException",
    "ExpiredTokenException",
)
REFUSAL = "These credentials are not valid for accessing this resource"
COGNITO_SYNC = {
    "BulkPublish": DEVELOPER,
    "DeleteDataset": EITHER,
    "DescribeDataset": EITHER,
    "DescribeIdentityPoolUsage": DEVELOPER,
    "DescribeIdentityUsage": EITHER,
    "GetBulkPublishDetails": DEVELOPER,
    "GetCognitoEvents": DEVELOPER,
    "GetIdentityPoolConfiguration": DEVELOPER,
    "ListDatasets": EITHER,
    "ListIdentityPoolUsage": DEVELOPER,
    "ListRecords": EITHER,
    "RegisterDevice": USER,
    "SetCognitoEvents": DEVELOPER,
    "SetIdentityPoolConfiguration": DEVELOPER,
    "SubscribeToDataset": USER,
    "UnsubscribeFromDataset": USER,
    "UpdateRecords": EITHER,
}
"""Ruling 13."""
COGNITO_IDENTITY = {
    "CreateIdentityPool": DEVELOPER,
    "DeleteIdentities": DEVELOPER,
    "DeleteIdentityPool": DEVELOPER,
    "DescribeIdentity": DEVELOPER,
    "DescribeIdentityPool": DEVELOPER,
    "GetCredentialsForIdentity": ANYONE,
    "GetId": ANYONE,
    "GetIdentityPoolRoles": DEVELOPER,
    "GetOpenIdToken": ANYONE,
    "GetOpenIdTokenForDeveloperIdentity": DEVELOPER,
    "GetPrincipalTagAttributeMap": DEVELOPER,
    "ListIdentities": DEVELOPER,
    "ListIdentityPools": DEVELOPER,
    "ListTagsForResource": DEVELOPER,
    "LookupDeveloperIdentity": DEVELOPER,
    "MergeDeveloperIdentities": DEVELOPER,
    "SetIdentityPoolRoles": DEVELOPER,
    "SetPrincipalTagAttributeMap": DEVELOPER,
    "TagResource": DEVELOPER,
    "UnlinkDeveloperIdentity": DEVELOPER,
    "UnlinkIdentity": ANYONE,
    "UntagResource": DEVELOPER,
    "UpdateIdentityPool": DEVELOPER,
}
OWN = {**streaming.API.by_name, **examination.API.by_name}
STREAMING = {"GetBulkPublishProgress": DEVELOPER, "GetStreamDetails": DEVELOPER}
EXAMINATION = dict.fromkeys(
    ("ExamineIdentityPool", "ExamineServer", "GetIdentityPoolDetails"), DEVELOPER
)
"""Operations of our own: what a developer may ask of streams, and of what is wrong."""
BODIES: dict[str, Any] = {
    "RegisterDevice": {"Platform": "GCM", "Token": "t"},
    "SetCognitoEvents": {"Events": {}},
    "UpdateRecords": {"SyncSessionToken": "t"},
}


@dataclass(frozen=True)
class Caller:
    """Somebody who sends requests."""

    scope: Scope | None  # None: signs nothing
    token: str | None = None


@dataclass(frozen=True)
class Callers:
    """Everybody, and the identity that they all ask for."""

    pool: str
    identity: str
    by_name: dict[str, Caller]


def scope_of(user: UserCredentials) -> Caller:
    scope = Scope(access_key_id=user.access_key_id, secret=user.secret_key)
    return Caller(scope, user.session_token)


def expired(server: RunningServer, pool: str, identity: str) -> Caller:
    """Make credentials as the server does, that were good until a second ago."""
    key = secret_key.derive(secret_key.load(server.data, ""), "session tokens")
    session = UserSession(pool, identity, int(time.time() - 1) * 1000, "role", "name")
    made = SessionTokens(key, random_bytes=lambda n: uuid.uuid4().bytes[:n]).issue(
        session
    )
    scope = Scope(access_key_id=made.access_key_id, secret=made.secret_access_key)
    return Caller(scope, made.session_token)


@pytest.fixture(scope="module")
def callers(server: RunningServer, identity_pools: Any) -> Iterator[Callers]:
    anonymous = server.client(
        "cognito-identity", config=Config(signature_version=UNSIGNED)
    )
    backend, elsewhere = Backend(identity_pools), Backend(identity_pools)
    user = backend.sign_in()
    own = get_credentials(anonymous, backend.pool, user)
    other = get_credentials(anonymous, backend.pool, backend.sign_in())
    foreign = get_credentials(anonymous, elsewhere.pool, elsewhere.sign_in())
    guest = get_credentials(anonymous, backend.pool)
    developer = Scope(
        access_key_id=server.access_key_id, secret=server.secret_access_key
    )
    yield Callers(
        backend.pool,
        own.identity_id,
        {
            "nobody": Caller(None),
            "forger": Caller(replace(developer, secret="x" * 40)),
            "developer": Caller(developer),
            "own": scope_of(own),
            "forger of own": Caller(
                replace(scope_of(own).scope, secret="x"),  # type: ignore[type-var]
                own.session_token,
            ),
            "other identity": scope_of(other),
            "other pool": scope_of(foreign),
            "guest": scope_of(guest),
            "expired": expired(server, backend.pool, own.identity_id),
        },
    )
    anonymous.close()


def send(raw: RawClient, caller: Caller, request: Request, service: str) -> Answer:
    headers = request.headers
    if caller.token is not None:
        headers = (*headers, ("x-amz-security-token", caller.token))
    request = request.but(headers=headers)
    if caller.scope is None:
        return raw.send(request)
    return raw.send(raw.signed(request, replace(caller.scope, service=service)))


def sync_request(operation: str, callers: Callers) -> Request:
    """Make a request of an operation from the AWS SDKs' own model of the API."""
    model = published.load("cognito-sync")
    http = model["operations"][operation]["http"]
    target = (
        http["requestUri"]
        .replace("{IdentityPoolId}", callers.pool)
        .replace("{IdentityId}", callers.identity)
        .replace("{DatasetName}", "prefs")
        .replace("{DeviceId}", "device")
    )
    body = b"" if operation not in BODIES else _json(BODIES[operation])
    return Request(method=http["method"], target=target.encode(), body=body)


def identity_request(operation: str, callers: Callers, who: str) -> Request:
    """
    Make a request that is right in itself, for the identity that all ask for.

    The developer's is for another one, which does not exist: it would be deleted.
    """
    api = cognito_identity.API
    body = right_call(api, api.by_name[operation]).body
    own = {"IdentityPoolId": callers.pool, "IdentityId": callers.identity}
    if who != "developer":
        body |= {name: value for name, value in own.items() if name in body}
    target = (("x-amz-target", f"AWSCognitoIdentityService.{operation}"),)
    return Request(method="POST", headers=target, body=_json(body))


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def expected_error(who: str, may_call: str) -> tuple[int, str] | None:
    """What the facts say: the refusal, or None where the request gets through."""
    if may_call == ANYONE:
        return None
    match who:
        case "nobody":
            return 403, "MissingAuthenticationTokenException"
        case "forger" | "forger of own":
            return 403, "InvalidSignatureException"
        case "expired":
            return 403, "ExpiredTokenException"
        case "developer":
            allowed = may_call in (DEVELOPER, EITHER)
        case "own":
            allowed = may_call in (USER, EITHER)
        case _:
            allowed = False
    return None if allowed else (403, "NotAuthorizedException")


WHO = [
    "nobody",
    "forger",
    "developer",
    "own",
    "forger of own",
    "other identity",
    "other pool",
    "guest",
    "expired",
]


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize(("operation", "may_call"), COGNITO_SYNC.items())
def test_cognito_sync(raw, callers, operation, may_call, who):
    """An operation opens to whom ruling 13 says, and to no one else."""
    request = sync_request(operation, callers)

    answer = send(raw, callers.by_name[who], request, "cognito-sync")

    expected = expected_error(who, may_call)
    if expected is None:
        # Other things may be wrong with the request, but not who sends it.
        assert answer.status not in (401, 403)
        return
    assert (answer.status, answer.error) == expected
    if answer.error == "NotAuthorizedException":
        assert answer.message == REFUSAL


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize(
    ("operation", "may_call"), [*STREAMING.items(), *EXAMINATION.items()]
)
def test_streaming(raw, callers, operation, may_call, who):
    """What goes out of a pool is the developer's business, as BulkPublish is."""
    row = OWN[operation]
    target = row.uri.replace("{IdentityPoolId}", callers.pool).encode()
    request = Request(method=row.method, target=target)

    answer = send(raw, callers.by_name[who], request, "cognito-sync")

    expected = expected_error(who, may_call)
    if expected is None:
        assert answer.status == 200
        return
    assert (answer.status, answer.error) == expected
    if answer.error == "NotAuthorizedException":
        assert answer.message == REFUSAL


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize(("operation", "may_call"), COGNITO_IDENTITY.items())
def test_cognito_identity(raw, callers, operation, may_call, who):
    """Pools and identities are the developer's; signing in is everybody's."""
    answer = send(
        raw,
        callers.by_name[who],
        identity_request(operation, callers, who),
        "cognito-identity",
    )

    expected = expected_error(who, may_call)
    if expected is None:
        # Other things may be wrong with the request, but not who sends it.
        assert answer.headers.get("x-amzn-errormessage") != REFUSAL
        assert answer.headers.get("x-amzn-errortype") not in SIGNATURE_ERRORS
        return
    # An AWS JSON API has one status for all errors of its callers.
    assert (answer.status, answer.error) == (400, expected[1])
    if answer.error == "NotAuthorizedException":
        assert answer.message == REFUSAL


@pytest.mark.parametrize("who", ["own", "guest"])
def test_streams_are_closed_to_users(raw, callers, who):
    """The credentials of an identity read no stream: everybody's data is in there."""
    request = Request(
        method="POST",
        headers=(("x-amz-target", "Kinesis_20131202.ListStreams"),),
        body=b"{}",
    )

    answer = send(raw, callers.by_name[who], request, "kinesis")

    assert (answer.status, answer.error) == (400, "NotAuthorizedException")


def test_the_tables_name_every_operation():
    """No operation that is published escapes the walk."""
    assert set(COGNITO_SYNC) == set(cognito_sync.API.by_name)
    assert set(COGNITO_IDENTITY) == set(cognito_identity.API.by_name)
    assert set(STREAMING) == set(streaming.API.by_name)
    assert set(EXAMINATION) == set(examination.API.by_name)


def test_a_guest_reaches_its_own_data(server, pool, guest):
    """Not having signed in takes nothing away: the data is the guest's."""
    with contextlib.closing(client_of(server, guest)) as client:
        dataset = Dataset(client, pool, guest.identity_id)
        dataset.put(a="1")

        assert dataset.values() == {"a": "1"}
        with refused(403, "NotAuthorizedException"):
            Dataset(client, pool, new_identity()).list()


class TestSessionTokens:
    """A session token opens only what it was made for."""

    def test_without_its_token_a_key_is_unknown(self, raw, callers):
        """Temporary credentials need their session token."""
        own = callers.by_name["own"]
        request = sync_request("ListRecords", callers)

        answer = send(raw, Caller(own.scope), request, "cognito-sync")

        assert (answer.status, answer.error) == (403, "UnrecognizedClientException")

    def test_a_token_of_another_key_is_refused(self, raw, callers):
        """A token cannot be used with another access key id, though both are valid."""
        own, other = callers.by_name["own"], callers.by_name["other identity"]
        request = sync_request("ListRecords", callers)

        answer = send(raw, Caller(other.scope, own.token), request, "cognito-sync")

        assert (answer.status, answer.error) == (403, "UnrecognizedClientException")

    def test_a_token_beside_a_developer_key_is_refused(self, raw, callers):
        """Developer keys have no sessions."""
        developer, own = callers.by_name["developer"], callers.by_name["own"]
        request = sync_request("ListRecords", callers)

        answer = send(raw, Caller(developer.scope, own.token), request, "cognito-sync")

        assert (answer.status, answer.error) == (403, "UnrecognizedClientException")

    @pytest.mark.parametrize("token", ["x", "=", "AAAA" * 100, "Ä", "A" * 3000])
    def test_garbage_is_refused(self, raw, callers, token):
        """Whatever stands in the place of a token, the refusal is a clear one."""
        own = callers.by_name["own"]
        request = sync_request("ListRecords", callers)

        answer = send(raw, Caller(own.scope, token), request, "cognito-sync")

        assert (answer.status, answer.error) == (403, "UnrecognizedClientException")

    def test_a_restart_changes_nothing(self, start_server):
        """Credentials outlive a crash: they are good wherever the secret is."""
        server = start_server()
        anonymous = server.client(
            "cognito-identity", config=Config(signature_version=UNSIGNED)
        )
        backend = Backend(server.client("cognito-identity"))
        guest = get_credentials(anonymous, backend.pool)
        server.kill()
        server.start()

        client = client_of(server, guest)

        assert (
            client.list_datasets(
                IdentityPoolId=backend.pool, IdentityId=guest.identity_id
            )["Datasets"]
            == []
        )
