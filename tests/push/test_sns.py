"""Push through SNS: endpoints, messages, and what its refusals mean."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from flask import request
from moto.sns.models import SNSBackend

from millpond.errors import EndpointGoneError, PushError
from millpond.push import sns as sns_module
from millpond.push.sns import SnsPush
from millpond.settings import Settings
from push.sns import Sns, new_token
from sinks.moto_server import REGION

MESSAGE = json.dumps(
    {"default": "d", "GCM": '{"data":{"syncCount":"7"}}', "APNS": '{"aps":{}}'}
)
ROLE_ARN = "arn:aws:iam::123456789012:role/push"


def run(
    sns: Sns, scene: Callable[[SnsPush], Coroutine[Any, Any, None]], **settings: Any
):
    """Run a scene with the push service of some settings."""

    @contextlib.asynccontextmanager
    async def service() -> AsyncIterator[SnsPush]:
        made = SnsPush(Settings(**{"sns_endpoint": sns.url, **settings}))
        try:
            yield made
        finally:
            await made.aclose()
            await made.aclose()

    async def main() -> None:
        async with service() as push:
            await scene(push)

    asyncio.run(main())


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What SNS is asked to publish, and by whom."""
    seen: list[dict[str, Any]] = []
    publish = SNSBackend.publish

    def spy(backend: SNSBackend, *positional: Any, **named: Any) -> str:
        signed_by = request.headers["Authorization"].split("Credential=")[1]
        seen.append({**named, "access_key_id": signed_by.split("/")[0]})
        return publish(backend, *positional, **named)

    monkeypatch.setattr(SNSBackend, "publish", spy)
    return seen


def test_a_message_reaches_the_device(sns):
    """A device is made known by its token; then messages reach it as they are."""
    application, token = sns.create_application(), new_token()

    async def scene(push):
        endpoint = await push.create_endpoint(application, token, role_arn=None)
        await push.publish(endpoint, MESSAGE, role_arn=None)

        assert endpoint.startswith(application.replace(":app/", ":endpoint/"))
        (found,) = sns.endpoints(token)
        assert (found.arn, found.enabled) == (endpoint, True)
        assert list(found.messages.values()) == [MESSAGE]

    run(sns, scene)


def test_a_message_is_published_by_platform(sns, published):
    """SNS picks the text of the platform; Apple is told that nothing is shown."""
    gcm, apns = sns.create_application("GCM"), sns.create_application("APNS")

    async def scene(push):
        for application in (gcm, apns):
            endpoint = await push.create_endpoint(
                application, new_token(), role_arn=None
            )
            await push.publish(endpoint, MESSAGE, role_arn=None)

        assert [each["message_structure"] for each in published] == ["json", "json"]
        to_gcm, to_apns = (each["message_attributes"] for each in published)
        assert not to_gcm
        assert {name: each["Value"] for name, each in to_apns.items()} == {
            "AWS.SNS.MOBILE.APNS.PUSH_TYPE": "background",
            "AWS.SNS.MOBILE.APNS.PRIORITY": "5",
        }

    run(sns, scene)


def test_an_endpoint_is_made_once(sns):
    """The same token again: the same endpoint, enabled if it was disabled."""
    application, token = sns.create_application(), new_token()

    async def scene(push):
        first = await push.create_endpoint(application, token, role_arn=None)
        assert await push.create_endpoint(application, token, role_arn=None) == first
        sns.disable(first)
        assert await push.create_endpoint(application, token, role_arn=None) == first

        (found,) = sns.endpoints(token)
        assert found.enabled

    run(sns, scene)


def test_an_endpoint_of_somebody_else_is_taken_over(sns):
    """One that was made with user data of its own is found all the same."""
    application, token = sns.create_application(), new_token()
    theirs = sns.create_endpoint(application, token, CustomUserData="theirs")

    async def scene(push):
        assert await push.create_endpoint(application, token, role_arn=None) == theirs

    run(sns, scene)


def test_a_disabled_endpoint_is_gone(sns):
    """SNS has given the device up; trying again is of no use."""
    application = sns.create_application()

    async def scene(push):
        endpoint = await push.create_endpoint(application, new_token(), role_arn=None)
        sns.disable(endpoint)

        with pytest.raises(EndpointGoneError, match="EndpointDisabled"):
            await push.publish(endpoint, MESSAGE, role_arn=None)

    run(sns, scene)


def test_a_deleted_endpoint_is_gone(sns):
    """So is one that SNS does not know any more."""
    application = sns.create_application()

    async def scene(push):
        endpoint = await push.create_endpoint(application, new_token(), role_arn=None)
        sns.delete_endpoint(endpoint)

        with pytest.raises(EndpointGoneError, match="NotFound"):
            await push.publish(endpoint, MESSAGE, role_arn=None)

    run(sns, scene)


def test_a_token_that_is_refused_is_gone(sns, monkeypatch):
    """SNS checks the form of tokens; one that it refuses is no good."""
    application = sns.create_application()

    def refuse(*_: Any, **__: Any) -> None:
        from moto.sns.exceptions import SNSInvalidParameter

        raise SNSInvalidParameter(
            "Invalid parameter: Token Reason: must be hexadecimal"
        )

    monkeypatch.setattr(SNSBackend, "create_platform_endpoint", refuse)

    async def scene(push):
        with pytest.raises(EndpointGoneError, match="hexadecimal"):
            await push.create_endpoint(application, new_token(), role_arn=None)

    run(sns, scene)


def test_a_missing_application_is_not_the_devices_fault(sns):
    """Somebody may create it yet, and the device would not come back then."""
    application = f"arn:aws:sns:{REGION}:123456789012:app/GCM/missing"

    async def scene(push):
        with pytest.raises(PushError, match="NotFound") as caught:
            await push.create_endpoint(application, new_token(), role_arn=None)

        assert not isinstance(caught.value, EndpointGoneError)

    run(sns, scene)


def test_an_sns_that_is_down_may_come_back(sns):
    """What cannot be asked is an error for now; afterwards it works."""
    application = sns.create_application()

    async def scene(push):
        endpoint = await push.create_endpoint(application, new_token(), role_arn=None)
        sns.go_down()
        try:
            with pytest.raises(PushError, match="cannot be asked") as caught:
                await push.publish(endpoint, MESSAGE, role_arn=None)
        finally:
            sns.come_back()

        assert not isinstance(caught.value, EndpointGoneError)
        await push.publish(endpoint, MESSAGE, role_arn=None)

    run(sns, scene)


def test_without_credentials_nothing_is_sent(sns, monkeypatch, tmp_path):
    """A server that nobody gave credentials says so."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))

    async def scene(push):
        application = f"arn:aws:sns:{REGION}:123456789012:app/GCM/a"
        with pytest.raises(PushError, match="redentials"):
            await push.create_endpoint(application, new_token(), role_arn=None)

    run(sns, scene)


def test_a_role_is_assumed_only_when_settings_say_so(sns, published):
    """By default the server's own credentials sign; else those of the pool's role."""
    application = sns.create_application()

    async def scene(push):
        endpoint = await push.create_endpoint(application, new_token(), role_arn=None)
        await push.publish(endpoint, MESSAGE, role_arn=ROLE_ARN)
        await push.publish(endpoint, MESSAGE, role_arn=None)
        await push.publish(endpoint, MESSAGE, role_arn=ROLE_ARN)

    run(sns, scene)
    run(sns, scene, push_assume_roles=True)
    own, assumed = (
        [each["access_key_id"] for each in calls]
        for calls in (published[:3], published[3:])
    )
    assert own == ["AKIASNS"] * 3
    assert assumed[1] == "AKIASNS"
    assert assumed[0].startswith("ASIA")
    assert assumed[0] == assumed[2]  # as long as the credentials last


def test_the_credentials_of_a_role_are_renewed(sns, published, monkeypatch):
    """Before they expire others are fetched."""
    monkeypatch.setattr(sns_module, "ROLE_REFRESH_S", 1e6)
    application = sns.create_application()

    async def scene(push):
        endpoint = await push.create_endpoint(application, new_token(), role_arn=None)
        for _ in range(2):
            await push.publish(endpoint, MESSAGE, role_arn=ROLE_ARN)

    run(sns, scene, push_assume_roles=True)
    first, second = (each["access_key_id"] for each in published)
    assert first != second


def test_a_role_that_is_refused_is_an_error_for_now(sns, monkeypatch):
    """Whatever SNS or STS has against the role, it is not the device's fault."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"{sns.url}/nothing-here")

    async def scene(push):
        endpoint = f"arn:aws:sns:{REGION}:123456789012:endpoint/GCM/a/1"
        with pytest.raises(PushError, match="cannot be asked") as caught:
            await push.publish(endpoint, MESSAGE, role_arn="not an ARN")

        assert not isinstance(caught.value, EndpointGoneError)

    run(sns, scene, push_assume_roles=True)
