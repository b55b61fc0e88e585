"""Configuration of pools: push and streams."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from acceptance.sync_client import refused

ROLE = "arn:aws:iam::123456789012:role/cognito-stream"
PUSH = {
    "ApplicationArns": ["arn:aws:sns:us-east-1:123456789012:app/GCM/some-app_1.0"],
    "RoleArn": ROLE,
}
STREAMS = {"StreamName": "changes", "RoleArn": ROLE, "StreamingStatus": "ENABLED"}
UNKNOWN_POOL = "us-east-1:00000000-0000-0000-0000-000000000000"


@pytest.fixture
def configure(sync, pool):
    """Set parts of the pool's configuration."""

    def configure(**parts):
        answer = sync.set_identity_pool_configuration(IdentityPoolId=pool, **parts)
        return parts_of(answer, pool)

    return configure


@pytest.fixture
def configuration(sync, pool):
    """Get the pool's configuration."""

    def get():
        answer = sync.get_identity_pool_configuration(IdentityPoolId=pool)
        return parts_of(answer, pool)

    return get


def parts_of(answer, pool):
    """Take the configured parts out of an answer."""
    assert pool == answer.pop("IdentityPoolId")
    del answer["ResponseMetadata"]
    return answer


def test_fresh_pool_has_none(configuration):
    """Only what was set is in the answer."""
    assert configuration() == {}


@pytest.mark.parametrize(
    "parts",
    [
        {"PushSync": PUSH},
        {"CognitoStreams": STREAMS},
        {"PushSync": PUSH, "CognitoStreams": STREAMS},
        {"CognitoStreams": {**STREAMS, "StreamingStatus": "DISABLED"}},
        {"CognitoStreams": {"StreamName": "s", "StreamingStatus": "ENABLED"}},
    ],
)
def test_setting_answers_what_is_set(configure, configuration, parts):
    """Setting a configuration answers it, and it can be read back."""
    assert parts == configure(**parts)
    assert parts == configuration()


def test_omitted_block_stays(configure, configuration):
    """A block that the request leaves out stays as it is."""
    configure(PushSync=PUSH)

    assert configure(CognitoStreams=STREAMS) == {
        "PushSync": PUSH,
        "CognitoStreams": STREAMS,
    }
    other = {**PUSH, "ApplicationArns": []}
    assert {"PushSync": other, "CognitoStreams": STREAMS} == configure(PushSync=other)
    assert {"PushSync": other, "CognitoStreams": STREAMS} == configure()


def test_stream_can_be_switched(configure, configuration):
    """DISABLED keeps the rest of the stream's configuration."""
    configure(CognitoStreams=STREAMS)

    configure(CognitoStreams={**STREAMS, "StreamingStatus": "DISABLED"})

    found = configuration()["CognitoStreams"]
    assert found == {**STREAMS, "StreamingStatus": "DISABLED"}


def test_pools_are_configured_apart(configure, sync, identity_pools):
    """The configuration of one pool is not another's."""
    configure(CognitoStreams=STREAMS)
    other = identity_pools.create_identity_pool(
        IdentityPoolName="other", AllowUnauthenticatedIdentities=True
    )["IdentityPoolId"]

    found = sync.get_identity_pool_configuration(IdentityPoolId=other)

    assert "CognitoStreams" not in found


def test_updating_the_pool_keeps_its_configuration(
    configure, configuration, identity_pools, pool
):
    """Describing a pool anew does not touch its streams."""
    configure(CognitoStreams=STREAMS)

    identity_pools.update_identity_pool(
        IdentityPoolId=pool,
        IdentityPoolName="renamed",
        AllowUnauthenticatedIdentities=False,
    )

    assert configuration() == {"CognitoStreams": STREAMS}


def test_blocks_set_at_the_same_time(sync, identity_pools):
    """Setting one block never undoes another one that is set meanwhile."""
    for _ in range(10):
        pool = identity_pools.create_identity_pool(
            IdentityPoolName="both", AllowUnauthenticatedIdentities=True
        )["IdentityPoolId"]

        def configure(part, pool=pool):
            sync.set_identity_pool_configuration(IdentityPoolId=pool, **part)

        with ThreadPoolExecutor(2) as threads:
            blocks = [{"PushSync": PUSH}, {"CognitoStreams": STREAMS}]
            list(threads.map(configure, blocks))
        found = sync.get_identity_pool_configuration(IdentityPoolId=pool)
        assert parts_of(found, pool) == {"PushSync": PUSH, "CognitoStreams": STREAMS}


@pytest.mark.parametrize(
    "parts",
    [
        {"PushSync": {"RoleArn": "arn:aws:iam::abc:role/x-x-x-x-x"}},
        {"PushSync": {"RoleArn": f"arn:aws:iam::123456789012:role/{'r' * 2048}"}},
        {"PushSync": {"ApplicationArns": ["arn:aws:sns:us-east-1:1:topic"]}},
        {"PushSync": {"ApplicationArns": [PUSH["ApplicationArns"][0], "x"]}},
        {"CognitoStreams": {**STREAMS, "RoleArn": "arn:aws:iam::1:user/xxxxxxxx"}},
        {"CognitoStreams": {**STREAMS, "StreamName": "s" * 129}},
        {"CognitoStreams": {**STREAMS, "StreamingStatus": "enabled"}},
        {"CognitoStreams": {"StreamingStatus": "ENABLED"}},
    ],
)
def test_wrong_configuration_is_refused_whole(configure, configuration, parts):
    """A wrong value anywhere keeps everything as it was."""
    configure(PushSync=PUSH)

    with refused(400, "InvalidParameterException"):
        configure(**{"PushSync": {"ApplicationArns": []}, **parts})

    assert configuration() == {"PushSync": PUSH}


def test_unknown_pool(sync):
    """A pool that does not exist cannot be configured."""
    for call in (
        lambda: sync.get_identity_pool_configuration(IdentityPoolId=UNKNOWN_POOL),
        lambda: sync.set_identity_pool_configuration(
            IdentityPoolId=UNKNOWN_POOL, CognitoStreams=STREAMS
        ),
    ):
        with refused(404, "ResourceNotFoundException") as refusal:
            call()
        assert f"IdentityPool '{UNKNOWN_POOL}' not found" == refusal.message
