"""The tests of the app, with the fixtures that Millpond brings."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from preferences import Preferences


@pytest.fixture
def preferences(millpond_pool, millpond_user):
    """The preferences of a user, on a device that was just set up."""
    client = millpond_user.client("cognito-sync")
    return Preferences(client, millpond_pool.id, millpond_user.identity_id)


@pytest.fixture
def on_another_device(millpond_pool, millpond_user):
    """The preferences of the same user, elsewhere."""
    client = millpond_user.client("cognito-sync")
    return Preferences(client, millpond_pool.id, millpond_user.identity_id)


def test_a_preference_comes_to_the_other_device(preferences, on_another_device):
    preferences.set("theme", "dark")
    on_another_device.pull()

    assert on_another_device.get("theme") == "dark"


def test_the_last_one_wins(preferences, on_another_device, millpond_calls):
    preferences.set("theme", "dark")
    on_another_device.set("theme", "light")
    preferences.pull()

    assert preferences.get("theme") == "light"
    # Each of the two looked what there was, and then wrote.
    assert millpond_calls.names() == [
        *("ListRecords", "UpdateRecords") * 2,
        "ListRecords",
    ]


def test_who_comes_in_between_is_not_lost(
    preferences, on_another_device, millpond_calls, monkeypatch
):
    pull = preferences.pull

    def pull_and_wait():
        token = pull()
        monkeypatch.undo()
        on_another_device.set("theme", "light")
        return token

    monkeypatch.setattr(preferences, "pull", pull_and_wait)
    preferences.set("theme", "dark")
    on_another_device.pull()

    assert on_another_device.get("theme") == "dark"
    errors = [each.error for each in millpond_calls.all("UpdateRecords")]
    assert errors == ["", "ResourceConflictException", ""]


@pytest.mark.millpond_user("alice")
def test_credentials_end_after_an_hour(
    preferences, millpond_clock, millpond_pool, millpond_user
):
    preferences.set("theme", "dark")
    millpond_clock.advance(hours=1, minutes=1)
    with pytest.raises(ClientError, match="ExpiredToken"):
        preferences.pull()

    again = millpond_pool.user("alice")
    assert again.identity_id == millpond_user.identity_id
    fresh = Preferences(
        again.client("cognito-sync"), millpond_pool.id, again.identity_id
    )
    fresh.pull()
    assert fresh.get("theme") == "dark"


def test_each_test_begins_with_nothing(millpond):
    assert (
        millpond.client("cognito-identity").list_identity_pools(MaxResults=1)[
            "IdentityPools"
        ]
        == []
    ), "what other tests made is gone"


def test_code_that_makes_its_own_client_is_led_here(millpond_env, millpond_pool):
    boto3 = pytest.importorskip("boto3")
    usage = boto3.client("cognito-sync").describe_identity_pool_usage(
        IdentityPoolId=millpond_pool.id
    )

    assert usage["IdentityPoolUsage"]["IdentityPoolId"] == millpond_pool.id
