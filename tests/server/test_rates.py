"""Limits of rates: who is held to which, and how servers share them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from millpond import limits
from millpond.contract import cognito_identity, cognito_sync, sts
from millpond.contract.shapes import Operation, RateClass
from millpond.core.rates import BURST_S
from millpond.core.session_tokens import UserSession
from millpond.errors import SettingsError, TooManyRequestsException
from millpond.metrics import Metrics
from millpond.server.bindings import APIS
from millpond.server.rates import LOOK_S, RateLimits
from millpond.service.context import Caller
from millpond.settings import Settings, load

GET_ID = cognito_identity.API.by_name["GetId"]
LIST = cognito_sync.API.by_name["ListRecords"]
UPDATE = cognito_sync.API.by_name["UpdateRecords"]
DEVELOPER = Caller("AKIA1", "000000000000")
# A device that has fallen behind: 20 datasets, 5 passes (iOS), a listing and an update.
WORST_SYNC = 20 * 5


def user(identity_id: str) -> Caller:
    """Make somebody with the credentials of an identity."""
    session = UserSession("us-east-1:pool", identity_id, 1, "", "")
    return Caller("ASIA1", "000000000000", session)


def through(call: Callable[[], None], times: int) -> int:
    """Call so often; count what was let through."""
    count = 0
    for _ in range(times):
        try:
            call()
        except TooManyRequestsException:
            continue
        count += 1
    return count


def make(servers: list[int] | None = None, **settings: Any) -> RateLimits:
    """Make the limits of a server, of which there are `servers[0]`."""
    found = servers or [1]
    named = dataclasses.replace(Settings(), **settings)
    return RateLimits(named, Metrics(), count_servers=lambda: found[0])


@pytest.mark.parametrize(
    "setting",
    [
        "rate_new_identities_max",
        "rate_credentials_max",
        "rate_reads_max",
        "rate_writes_max",
    ],
)
def test_least(setting: str) -> None:
    """No limit can be set below 20 times what a device sends; 0 is none."""
    assert getattr(load(overrides={setting: 0}), setting) == 0
    with pytest.raises(SettingsError, match="20 times what a device sends"):
        load(overrides={setting: 1})


@pytest.mark.parametrize("operation", [LIST, UPDATE], ids=lambda each: each.name)
def test_twenty_devices_at_their_worst(operation: Operation) -> None:
    """Even at the least, twenty devices of one identity may begin all over at once."""
    limit = make(
        [100],
        rate_reads_max=limits.READS_RATE_MIN,
        rate_writes_max=limits.WRITES_RATE_MIN,
    )

    calls = 20 * WORST_SYNC
    ann = user("ann")
    assert through(lambda: limit.check_caller(operation, ann, 0.0), calls) == calls


def test_classes_and_identities_are_apart() -> None:
    """Who reads too much may write, and others are not held back."""
    limit = make(rate_reads_max=40)
    most = round(40 * BURST_S)
    ann, ben = user("ann"), user("ben")

    assert through(lambda: limit.check_caller(LIST, ann, 0.0), 3000) == most
    limit.check_caller(UPDATE, ann, 0.0)
    limit.check_caller(LIST, ben, 0.0)
    with pytest.raises(TooManyRequestsException) as refused:
        limit.check_caller(LIST, ann, 0.0)
    assert refused.value.retry_after_s == 1


def test_developers_have_no_limit_unless_set() -> None:
    """An import is not held back; with a limit, each key has its own."""
    free = make()
    assert through(lambda: free.check_caller(UPDATE, DEVELOPER, 0.0), 20_000) == 20_000
    held = make(rate_developer_max=5)
    assert through(lambda: held.check_caller(UPDATE, DEVELOPER, 0.0), 1000) == 300


def test_servers_share() -> None:
    """Each has its part, by how many live, but never less than devices need."""
    servers = [4]
    limit = make(servers, rate_new_identities_max=20)
    assert through(lambda: limit.check_peer(GET_ID, "a", 0.0), 9000) == 5 * BURST_S

    servers[0] = 1000
    later = LOOK_S + 1
    assert through(lambda: limit.check_peer(GET_ID, "b", later), 9000) == round(
        limits.NEW_IDENTITIES_RATE_MIN * BURST_S
    )


def test_what_anybody_may_call_is_counted_by_peer() -> None:
    """Every operation has a class by itself; those that make identities their own."""
    for api, _ in APIS:
        for operation in api.operations:
            assert operation.rate_class in RateClass
    assert GET_ID.rate_class is RateClass.NEW_IDENTITIES
    unsigned = sts.API.by_name["AssumeRoleWithWebIdentity"]
    assert unsigned.rate_class is RateClass.CREDENTIALS
    assert (LIST.rate_class, UPDATE.rate_class) == (RateClass.READS, RateClass.WRITES)
