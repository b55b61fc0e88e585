"""STS: the classic flow, and the question who is calling."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import boto3
import jwt
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from acceptance.kinds import embedded_does
from acceptance.raw_http import Request, presigned
from acceptance.sync_client import Dataset, refused
from acceptance.users import Backend, get_credentials
from millpond.server import app, stores
from millpond.settings import Settings
from millpond.testing.server import RunningServer

pytestmark = embedded_does("keys and sessions are made without a store")

ROLE = "arn:aws:iam::000000000000:role/path/of/AppUsers"
UNSIGNED_CONFIG = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})


@pytest.fixture(scope="module")
def sts(server: RunningServer) -> Iterator[Any]:
    """STS as an app on a device calls it: unsigned."""
    client = server.client("sts", config=UNSIGNED_CONFIG)
    yield client
    client.close()


@pytest.fixture
def backend(identity_pools: Any) -> Backend:
    return Backend(identity_pools)


def signed_by(server: RunningServer, claims: dict[str, Any]) -> str:
    """Sign claims with the key of a server, as it would itself."""

    async def sign() -> str:
        settings = Settings(data=server.data, store=server.store_url)
        async with stores.open_store(settings) as store:
            ring = app.make_context(settings, store).token_keys
            await ring.refresh()
            return ring.sign(claims)

    return asyncio.run(sign())


def assume(sts: Any, token: str, **options: Any) -> Any:
    call = {"RoleArn": ROLE, "RoleSessionName": "ProviderSession"} | options
    return sts.assume_role_with_web_identity(WebIdentityToken=token, **call)


class TestClassicFlow:
    """GetId, GetOpenIdToken, AssumeRoleWithWebIdentity, and then the data."""

    def test_a_guest_gets_to_its_data(self, server, sts, device, backend):
        """The credentials of the classic flow are as good as those of the enhanced."""
        guest = device.get_id(IdentityPoolId=backend.pool)["IdentityId"]
        token = device.get_open_id_token(IdentityId=guest)["Token"]

        given = assume(sts, token, DurationSeconds=3600)

        assert given["SubjectFromWebIdentityToken"] == guest
        assert given["Audience"] == backend.pool
        assert given["Provider"] == "https://cognito-identity.amazonaws.com"
        arn = "arn:aws:sts::000000000000:assumed-role/AppUsers/ProviderSession"
        assert given["AssumedRoleUser"]["Arn"] == arn
        role_id = given["AssumedRoleUser"]["AssumedRoleId"]
        assert role_id.startswith("AROA")
        assert role_id.endswith(":ProviderSession")
        credentials = given["Credentials"]
        left_s = credentials["Expiration"].timestamp() - time.time()
        assert 3590 <= left_s <= 3601
        client = server.client(
            "cognito-sync",
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )
        with contextlib.closing(client):
            dataset = Dataset(client, backend.pool, guest)
            dataset.put(a="1")
            assert dataset.values() == {"a": "1"}

    def test_a_developers_user(self, sts, backend):
        """A token that the developer's backend asked for is as good."""
        user = backend.sign_in()

        given = assume(sts, user.token)

        assert given["SubjectFromWebIdentityToken"] == user.identity_id

    def test_by_get(self, raw, backend):
        """The form may stand in the query string."""
        form = urlencode(
            {
                "Action": "AssumeRoleWithWebIdentity",
                "Version": "2011-06-15",
                "RoleArn": ROLE,
                "RoleSessionName": "iOS-Provider",
                "WebIdentityToken": backend.sign_in().token,
            }
        )

        answer = raw.send(Request(target=f"/?{form}".encode()))

        assert answer.status == 200
        assert answer.headers["content-type"] == "text/xml"
        assert b"<AssumeRoleWithWebIdentityResponse xmlns=" in answer.body

    def test_a_token_file_ends_in_a_line_break(
        self, server, backend, tmp_path, monkeypatch
    ):
        """boto3 sends the token of a file as it stands there, with its last byte."""
        user = backend.sign_in()
        token = tmp_path / "token"
        token.write_text(f"{user.token}\n")
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))

        with contextlib.closing(boto3.Session().client("sts")) as client:
            caller = client.get_caller_identity()

        assert "assumed-role/AppUsers" in caller["Arn"]

    @pytest.mark.parametrize(
        ("role", "arn"),
        [
            (
                "arn:aws-cn:iam::123456789012:role/Users",
                "arn:aws-cn:sts::123456789012:assumed-role/Users/ProviderSession",
            ),
            (
                f"arn:aws:iam::123456789012:role/{'p' * 1900}/{'n' * 64}",
                f"arn:aws:sts::123456789012:assumed-role/{'n' * 64}/ProviderSession",
            ),
        ],
        ids=["another partition", "the longest"],
    )
    def test_credentials_of_any_role_are_good(self, server, sts, backend, role, arn):
        """Whatever a role's ARN is, the credentials that name it work."""
        credentials = assume(sts, backend.sign_in().token, RoleArn=role)["Credentials"]
        client = server.client(
            "sts",
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )
        with contextlib.closing(client):
            assert client.get_caller_identity()["Arn"] == arn

    def test_roles_of_the_pool(self, sts, identity_pools, backend):
        """A pool with roles gives those, each to its own kind of identity."""
        guest_role = "arn:aws:iam::000000000000:role/Guests"
        identity_pools.set_identity_pool_roles(
            IdentityPoolId=backend.pool,
            Roles={"authenticated": ROLE, "unauthenticated": guest_role},
        )
        token = backend.sign_in().token

        assert assume(sts, token, RoleArn=ROLE)
        with refused(403, "AccessDenied") as refusal:
            assume(sts, token, RoleArn=guest_role)

        assert refusal.message == (
            "Not authorized to perform sts:AssumeRoleWithWebIdentity"
        )


class TestBadInput:
    """What is no token of ours gives no credentials."""

    def test_no_token(self, sts):
        """What is no JSON Web Token is told apart: apps send access tokens."""
        with refused(400, "InvalidIdentityToken") as refusal:
            assume(sts, "access-token")

        assert refusal.message == (
            "The ID Token provided is not a valid JWT. (You may see this error if you "
            "sent an Access Token)"
        )

    def test_a_token_of_somebody_else(self, sts, backend):
        """A token that was not signed here is refused."""
        claims = jwt.decode(
            backend.sign_in().token, options={"verify_signature": False}
        )
        forged = jwt.encode(claims, "a secret of thirty-two characters", "HS256")

        with refused(400, "InvalidIdentityToken"):
            assume(sts, forged)

    def test_an_expired_token(self, server, sts, backend):
        """A token that has expired is told apart, so that apps ask for a new one."""
        user = backend.sign_in()
        claims = jwt.decode(user.token, options={"verify_signature": False})
        claims |= {"exp": int(time.time()) - 400}
        expired = signed_by(server, claims)
        forged = jwt.encode(claims, "a secret of thirty-two characters", "HS256")

        with refused(400, "ExpiredTokenException"):
            assume(sts, expired)
        with refused(400, "InvalidIdentityToken"):
            assume(sts, forged)

    def test_a_deleted_identity(self, sts, identity_pools, backend):
        """The token of an identity that was deleted meanwhile gives nothing."""
        user = backend.sign_in()
        identity_pools.delete_identities(IdentityIdsToDelete=[user.identity_id])

        with refused(400, "InvalidIdentityToken"):
            assume(sts, user.token)

    def test_a_policy_is_not_passed_over(self, sts, backend):
        """A session policy would narrow the credentials; it is refused, not ignored."""
        with refused(400, "MalformedPolicyDocument"):
            assume(sts, backend.sign_in().token, Policy="{}")

    @pytest.mark.parametrize("seconds", [899, 43_201])
    def test_durations_of_the_api(self, raw, backend, seconds):
        """DurationSeconds is from 15 minutes to 12 hours."""
        answer = _form(
            raw,
            Action="AssumeRoleWithWebIdentity",
            RoleArn=ROLE,
            RoleSessionName="name",
            WebIdentityToken=backend.sign_in().token,
            DurationSeconds=str(seconds),
        )

        assert answer.status == 400
        assert b"<Code>ValidationError</Code>" in answer.body

    def test_a_longer_session_than_the_operator_gives(self, sts, backend):
        """Credentials last no longer than the setting says."""
        with refused(400, "ValidationError"):
            assume(sts, backend.sign_in().token, DurationSeconds=7200)

    def test_an_unknown_action(self, raw):
        """An action that is not there is named, in the XML of the query protocol."""
        answer = _form(raw, Action="GetSessionToken")

        assert answer.status == 400
        assert b"<Type>Sender</Type><Code>InvalidAction</Code>" in answer.body
        assert answer.headers["x-amzn-requestid"].encode() in answer.body

    @pytest.mark.parametrize("role", ["x" * 20, "arn:aws:s3:::a-bucket-of-mine"])
    def test_what_is_no_role(self, sts, backend, role):
        """A role is named by the ARN of a role."""
        with refused(400, "ValidationError"):
            assume(sts, backend.sign_in().token, RoleArn=role)

    def test_a_form_without_end(self, raw):
        """A form that is too large is refused before it is read."""
        answer = _form(raw, Action="A" * 200_000)

        assert answer.status == 413

    def test_garbage(self, raw):
        """A form that makes no sense is refused in the form of the protocol."""
        for body in (b"", b"&&==", b"\xff\xfe", b"Action=%00", b"Action=A&Action=B"):
            request = Request(
                method="POST",
                headers=(("content-type", "application/x-www-form-urlencoded"),),
                body=body,
            )
            answer = raw.send(request)
            assert answer.status == 400
            assert answer.body.startswith(b"<ErrorResponse")


def test_an_operators_issuer_and_lifetime(start_server, tmp_path):
    """
    Tokens name the operator's issuer, and credentials last as long as the setting says.

    The server would take tokens of Amazon's too, but has lost the file with their keys;
    its own depend on nobody else.
    """
    lost = {"cognito-identity.amazonaws.com": {"keys": str(tmp_path / "lost.json")}}
    server = start_server(
        settings={
            "token_issuer": "https://tokens.example",
            "user_credentials_lifetime_s": "900",
            "login_providers": json.dumps(lost),
        }
    )
    device = server.client("cognito-identity", config=UNSIGNED_CONFIG)
    sts = server.client("sts", config=UNSIGNED_CONFIG)
    backend = Backend(server.client("cognito-identity"))
    user = backend.sign_in()

    assert get_credentials(device, backend.pool, user)
    given = assume(sts, user.token, DurationSeconds=3600)

    assert given["Provider"] == "https://tokens.example"
    left_s = given["Credentials"]["Expiration"].timestamp() - time.time()
    assert 890 <= left_s <= 901


class TestCallerIdentity:
    """Tools begin with this question."""

    def test_a_developer(self, server):
        """A developer's key stands for the account."""
        with contextlib.closing(server.client("sts")) as client:
            who = client.get_caller_identity()

        assert who["Account"] == "000000000000"
        assert who["Arn"] == "arn:aws:iam::000000000000:root"

    def test_a_user(self, server, device, backend):
        """The credentials of an identity stand for a session of its role."""
        user = get_credentials(device, backend.pool, backend.sign_in())
        with contextlib.closing(server.client("sts", **user.options())) as client:
            who = client.get_caller_identity()

        assert who["Arn"] == (
            "arn:aws:sts::000000000000:assumed-role/authenticated/"
            "CognitoIdentityCredentials"
        )

    def test_presigned(self, raw):
        """A presigned link proves who made it, as identity brokers use it."""
        request = Request(
            target=b"/?Action=GetCallerIdentity&Version=2011-06-15",
            headers=(("host", raw.host),),
        )
        scope = raw.scope.__class__(
            access_key_id=raw.scope.access_key_id,
            secret=raw.scope.secret,
            service="sts",
        )

        answer = raw.send(presigned(request, scope))

        assert answer.status == 200
        assert b"<Account>000000000000</Account>" in answer.body

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"aws_secret_access_key": "x"}, "SignatureDoesNotMatch"),
            ({"aws_access_key_id": "AKIANOBODY"}, "InvalidClientTokenId"),
        ],
    )
    def test_bad_signatures(self, server, changes, code):
        """Errors have the names that the query services have for them."""
        client = server.client("sts", **changes)
        with contextlib.closing(client), refused(403, code):
            client.get_caller_identity()

    def test_unsigned(self, sts):
        """Who has not signed is nobody."""
        with refused(403, "MissingAuthenticationToken"):
            sts.get_caller_identity()


def _form(raw: Any, **form: str) -> Any:
    body = urlencode({"Version": "2011-06-15", **form}).encode()
    headers = (("content-type", "application/x-www-form-urlencoded; charset=utf-8"),)
    return raw.send(Request(method="POST", headers=headers, body=body))
