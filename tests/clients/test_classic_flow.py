"""The classic flow: an OpenID token, changed at STS for the credentials of a role."""

from __future__ import annotations

import datetime

import pytest
from botocore import UNSIGNED
from botocore.config import Config

from acceptance.sync_client import Dataset, refused
from acceptance.users import ROLE_ARN, Backend, UserCredentials, client_of


@pytest.fixture(scope="module")
def sts(server):
    """The boto3 client of STS as a device has it: it signs nothing."""
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    client = server.client("sts", config=config)
    yield client
    client.close()


@pytest.fixture
def identity_id(anonymous, pool):
    """A guest's identity."""
    return anonymous.get_id(IdentityPoolId=pool)["IdentityId"]


@pytest.fixture
def token(anonymous, identity_id):
    """The OpenID token of the guest."""
    return anonymous.get_open_id_token(IdentityId=identity_id)["Token"]


def assume(sts, token, **others):
    """Change a token for credentials, the way the Android SDK words it."""
    return sts.assume_role_with_web_identity(
        RoleArn=ROLE_ARN,
        RoleSessionName="ProviderSession",
        WebIdentityToken=token,
        **others,
    )


def credentials_of(answer) -> UserCredentials:
    """Read the credentials in an answer of STS."""
    found = answer["Credentials"]
    return UserCredentials(
        identity_id=answer["SubjectFromWebIdentityToken"],
        access_key_id=found["AccessKeyId"],
        secret_key=found["SecretAccessKey"],
        session_token=found["SessionToken"],
    )


def test_boto3(server, sts, token, pool, identity_id):
    """GetId, GetOpenIdToken, AssumeRoleWithWebIdentity, and the data is there."""
    client = client_of(server, credentials_of(assume(sts, token)))
    dataset = Dataset(client, pool, identity_id)

    dataset.put(a="1")

    assert dataset.values() == {"a": "1"}
    client.close()


def test_answer(sts, token, pool, identity_id):
    """STS says who, for which pool, until when, and in which session of the role."""
    answer = assume(sts, token, DurationSeconds=900)

    left = answer["Credentials"]["Expiration"] - datetime.datetime.now(datetime.UTC)
    assert abs(left.total_seconds() - 900) < 60
    assert answer["Credentials"]["AccessKeyId"].startswith("ASIA")
    assert answer["SubjectFromWebIdentityToken"] == identity_id
    assert answer["Audience"] == pool
    assert answer["AssumedRoleUser"]["Arn"] == (
        "arn:aws:sts::000000000000:assumed-role/user/ProviderSession"
    )


def test_user(server, sts, anonymous, backend):
    """A signed-in user comes by credentials in the same way."""
    user = backend.sign_in()
    answer = anonymous.get_open_id_token(
        IdentityId=user.identity_id, Logins=user.logins
    )

    client = client_of(server, credentials_of(assume(sts, answer["Token"])))

    assert answer["IdentityId"] == user.identity_id
    assert Dataset(client, backend.pool, user.identity_id).values() == {}
    client.close()


def test_token_of_the_backend(server, sts, backend):
    """The token that the developer's backend got is good for STS too."""
    user = backend.sign_in()

    client = client_of(server, credentials_of(assume(sts, user.token)))

    assert Dataset(client, backend.pool, user.identity_id).values() == {}
    client.close()


def test_own_data_alone(server, sts, token, anonymous, pool):
    """Credentials of a role open no other identity than the token's."""
    other = anonymous.get_id(IdentityPoolId=pool)["IdentityId"]
    client = client_of(server, credentials_of(assume(sts, token)))

    with refused(403, "NotAuthorizedException"):
        Dataset(client, pool, other).list()
    client.close()


def test_altered_token(sts, token):
    """A token that was altered is changed for nothing."""
    altered = token[:-8] + token[-8:].swapcase()

    with refused(400, "InvalidIdentityToken"):
        assume(sts, altered)


def test_no_token(sts):
    """Something that is no token is refused in the words of STS."""
    with refused(400, "InvalidIdentityToken") as refusal:
        assume(sts, "not.a.token")

    assert refusal.message.startswith("The ID Token provided is not a valid JWT.")


def test_aws_sdk_2(devices, backend):
    """aws-sdk 2 goes this way by itself when it is given a role."""
    one, other = devices
    user = backend.sign_in()
    for device in devices:
        device.start(backend.pool, user, RoleArn=ROLE_ARN)
    one.put({"a": "1"})
    one.synchronize_well()

    other.synchronize_well()

    assert other.identity_id == user.identity_id
    assert other.values() == {"a": "1"}


def test_pool_without_classic_flow(identities, anonymous):
    """A pool that has the classic flow switched off gives out no tokens."""
    pool = Backend(identities, AllowClassicFlow=False).pool
    identity_id = anonymous.get_id(IdentityPoolId=pool)["IdentityId"]

    with refused(400, "InvalidParameterException") as refusal:
        anonymous.get_open_id_token(IdentityId=identity_id)

    assert refusal.message == (
        "Basic (classic) flow is not enabled, please use enhanced flow."
    )
