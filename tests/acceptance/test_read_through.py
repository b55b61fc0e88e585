"""Apps call here on day one: who is not here yet is fetched from where the pool was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from acceptance.moving import Move, at, shown
from acceptance.sync_client import Dataset, replace
from acceptance.users import PROVIDER
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer, wait_until

pytestmark = pytest.mark.timeout(seconds(120.0))  # these start three processes each
NOT_FOUND: Final = "ResourceNotFoundException"


@pytest.fixture
def move(start_server: Callable[..., RunningServer]) -> Iterator[Move]:
    source = start_server("source")
    moving = Move(start_server, source)
    yield moving
    moving.let_source_go()


def device_of(server: RunningServer) -> Any:
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    return server.client("cognito-identity", config=config)


def refusal(call: Callable[..., Any], **arguments: Any) -> tuple[int, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def test_who_is_not_here_is_fetched_once(move: Move) -> None:
    """
    However many call for a guest at a time, the source is asked once; the guest has
    its counts, and writes above them as if nothing had happened.
    """
    target = move.start_target()
    there = move.guest()
    here = at(target, there)
    before = move.calls_there("DescribeIdentity")

    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda _: shown(here), range(16)))

    assert all(each == shown(there) for each in found)
    assert found[0]["DatasetSyncCount"] == 3
    assert move.calls_there("DescribeIdentity") == before + 1
    keys = device_of(target).get_credentials_for_identity(IdentityId=here.identity)
    assert keys["IdentityId"] == here.identity
    updated = here.update(replace("k0", "later", 1))
    assert [each["SyncCount"] for each in updated["Records"]] == [4]
    # From now on it is ours.
    there.put(k1="too late")
    assert move.run(target, "copy", move.pool).returncode == 0
    assert shown(here)["DatasetSyncCount"] == 4
    assert move.calls_there("DescribeIdentity") == before + 1


def test_a_first_write_follows_what_is_there(move: Move) -> None:
    """An update for who is not here yet is decided on what the source has."""
    target = move.start_target()
    here = at(target, move.guest())

    updated = here.client.update_records(
        **here.ids,
        SyncSessionToken=here.token(),
        RecordPatches=[replace("k2", "mine", 3)],
    )

    assert [each["SyncCount"] for each in updated["Records"]] == [4]


def test_the_developers_users(move: Move) -> None:
    """They keep their identities, whichever side their backend asks."""
    target = move.start_target()
    logins = {PROVIDER: "user-1"}
    ask = "get_open_id_token_for_developer_identity"
    there = getattr(move.there, ask)(IdentityPoolId=move.pool, Logins=logins)
    Dataset(move.sync_there, move.pool, there["IdentityId"]).put(k="v")
    backend = target.client("cognito-identity")

    here = getattr(backend, ask)(IdentityPoolId=move.pool, Logins=logins)
    assert here["IdentityId"] == there["IdentityId"]
    found = backend.lookup_developer_identity(
        IdentityPoolId=move.pool, DeveloperUserIdentifier="user-1"
    )
    assert found["IdentityId"] == there["IdentityId"]
    new = getattr(backend, ask)(IdentityPoolId=move.pool, Logins={PROVIDER: "new"})
    assert new["IdentityId"] != there["IdentityId"]


def test_who_is_unknown_there_too(move: Move) -> None:
    """The answer is as ever, and the source is not asked again for a while."""
    target = move.start_target()
    nobody = f"us-east-1:{'0' * 8}-0000-4000-8000-{'0' * 12}"
    foreign = nobody.replace("us-east-1", "eu-west-1")
    device = device_of(target)
    before = move.calls_there("DescribeIdentity")

    for identity in (nobody, nobody, foreign, nobody):
        for ask in (device.get_credentials_for_identity, device.get_open_id_token):
            assert refusal(ask, IdentityId=identity)[1] == NOT_FOUND
    listed = at(target, Dataset(None, move.pool, nobody)).list()
    assert not listed["DatasetExists"]

    assert move.calls_there("DescribeIdentity") == before + 1


def test_a_stranger_cannot_make_us_ask_without_end(move: Move) -> None:
    """After so many ids in vain the source is left alone; others are served."""
    target = move.start_target()
    known = at(target, move.guest())
    known.list()
    device = device_of(target)
    before = move.calls_there("DescribeIdentity")

    def ask(number: int) -> str:
        identity = f"us-east-1:00000000-0000-4000-8000-{number:012x}"
        return refusal(device.get_credentials_for_identity, IdentityId=identity)[1]

    codes: list[str] = []

    def left_alone() -> bool:
        first = len(codes)
        codes.extend(threads.map(ask, range(first, first + 65)))
        return "ServiceUnavailableException" in codes

    # A slow store gives the budget time to grow.
    with ThreadPoolExecutor(8) as threads:
        wait_until(left_alone)

    assert set(codes) == {NOT_FOUND, "ServiceUnavailableException"}
    asked = move.calls_there("DescribeIdentity") - before
    assert asked < len(codes)
    assert known.list()["DatasetSyncCount"] == 3


def test_a_source_that_does_not_answer(move: Move) -> None:
    """The caller is told to try again, nothing is stored; then it comes."""
    target = move.start_target(timeout_s=1)
    there = move.guest()
    here = at(target, there)
    move.hold_source()
    keys = device_of(target).get_credentials_for_identity

    assert refusal(keys, IdentityId=here.identity)[0] == 503
    assert refusal(here.client.list_records, **here.ids)[0] == 503
    update = {
        "SyncSessionToken": "none",
        "RecordPatches": [replace("k", "v")],
    }
    assert refusal(here.client.update_records, **here.ids, **update)[0] == 503
    # New ones are at home here, whatever the source does.
    guest = device_of(target).get_id(IdentityPoolId=move.pool)["IdentityId"]
    assert keys(IdentityId=guest)["IdentityId"] == guest

    move.let_source_go()
    deadline = 60
    while True:
        try:
            found = shown(here)
            break
        except ClientError as error:
            deadline -= 1
            if not deadline:
                raise AssertionError("it never came") from error
    assert found == shown(there)


def test_who_is_deleted_here_before_he_came(move: Move) -> None:
    """Neither a call nor a copy brings him back."""
    target = move.start_target()
    here = at(target, move.guest())
    identities = target.client("cognito-identity")

    identities.delete_identities(IdentityIdsToDelete=[here.identity])

    ask = device_of(target).get_credentials_for_identity
    assert refusal(ask, IdentityId=here.identity)[1] == NOT_FOUND
    assert not here.list()["DatasetExists"]
    assert move.run(target, "copy", move.pool).returncode == 0
    assert refusal(ask, IdentityId=here.identity)[1] == NOT_FOUND


def test_several_pools(move: Move) -> None:
    """An identity comes into the pool that it is in, whichever is asked first."""
    pools = sorted([move.pool, Move(move.start_server, move.source).pool])
    target = move.start_target(pools=pools)
    for pool in pools:
        move.pool = pool
        there = move.guest()
        device_of(target).get_credentials_for_identity(IdentityId=there.identity)
        assert shown(at(target, there)) == shown(there)
        listed = target.client("cognito-identity").list_identities(
            IdentityPoolId=pool, MaxResults=60
        )
        assert [e["IdentityId"] for e in listed["Identities"]] == [there.identity]
