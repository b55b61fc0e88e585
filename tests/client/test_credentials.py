"""Who calls: guests who come back, users who sign in later, and whose data follows."""

from __future__ import annotations

import json
import threading
import time
import uuid

import boto3
import pytest

from acceptance.users import PROVIDER, Backend
from client.conftest import Notes
from client.passing import Asked, Once, error, page
from millpond.client.callers import Caller
from millpond.client.calls import Calls
from millpond.client.credentials import (
    botocore_session,
    developer_token,
    fixed,
    guest,
    openid,
)
from millpond.client.failures import NotAllowed, Unanswered
from millpond.client.remote import RefusedBecause, Remote
from millpond.core.client_sync.session import Listed


def lists(caller: Caller, calls: Calls, pool: str) -> bool:
    """Whether the credentials are good for the data of the identity."""
    remote = Remote(calls, pool, caller, caller.identity_id())
    return isinstance(remote.list_records("prefs", 0), Listed)


def operations(proxy) -> list[str]:
    """The calls of Cognito Identity that were made."""
    return [each.target for each in proxy.asked if each.target]


def test_the_same_guest_comes_back(calls, proxy, pool, kept):
    """One GetId in its life; its credentials are good, and are not kept."""
    first = guest().open(calls, pool, kept)
    assert first.known() is None
    assert proxy.asked == []
    assert lists(first, calls, pool)
    again = guest().open(calls, pool, kept)

    assert again.known() == first.identity()
    assert (again.identity().kind, again.identity().why) == ("guest", "new")
    assert lists(again, calls, pool)
    assert operations(proxy).count("GetId") == 1
    secret = first.credentials().secret_key
    assert secret not in json.dumps(kept)


def test_a_pool_that_moves_keeps_its_guests(calls, server, pool, kept):
    """Another address is no other pool; another pool has another guest."""
    here = guest().open(calls, pool, kept).identity_id()
    there = guest().open(Calls(server.endpoint, "us-east-1"), pool, kept)
    other = Backend(server.client("cognito-identity")).pool

    assert there.identity_id() == here
    assert guest().open(calls, other, kept).identity_id() != here


def test_what_goes_wrong_in_the_app_is_told_as_such(calls, pool, kept, provider):
    """A token that cannot be had ends no watch; the cause is there."""

    def fail() -> str:
        raise OSError("no such keychain")

    caller = openid(provider.name, fail).open(calls, pool, kept)

    with pytest.raises(NotAllowed) as raised:
        caller.credentials()
    assert raised.value.code == "NoCredentials"
    assert isinstance(raised.value.__cause__, OSError)


def test_a_failure_in_the_middle_makes_no_second_guest(calls, proxy, pool, kept):
    """The id is kept before it is used."""
    caller = guest().open(calls, pool, kept)
    proxy.trick = Once(page(502), lambda asked: asked.target != "GetId", times=3)
    with pytest.raises(Unanswered):
        caller.credentials()
    known = caller.known()

    assert known is not None
    assert caller.identity() == known
    assert lists(caller, calls, pool)
    assert operations(proxy).count("GetId") == 1


def test_threads_get_one_guest(calls, proxy, pool, kept):
    """Whoever asks first; the others wait for it."""
    caller = guest().open(calls, pool, kept)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(caller.identity_id()))
        for _ in range(8)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert len(found) == 8
    assert len(set(found)) == 1
    assert operations(proxy).count("GetId") == 1


def test_two_processes_agree_on_one_guest(calls, proxy, pool, kept):
    """The one that came second takes the first one's id."""
    first, second = (guest().open(calls, pool, kept) for _ in range(2))

    def overtake(asked: Asked, forward):
        reply = forward(asked)  # the second has an id by now
        first.identity()
        return reply

    proxy.trick = Once(overtake, lambda asked: asked.target == "GetId")

    assert second.identity() == first.identity()
    assert second.credentials().access_key != ""
    assert operations(proxy).count("GetId") == 2


def test_credentials_are_renewed_before_they_end(proxy, pool, kept):
    """By the clock of the server, five minutes early; not before that."""
    now = [time.time()]
    calls = Calls(proxy.url, "us-east-1", clock=lambda: now[0])
    caller = guest().open(calls, pool, kept)
    first = caller.credentials()
    now[0] += 3200
    assert caller.credentials() is first
    now[0] += 200
    # To the server it is now: it gives new ones, which end an hour from now.
    assert caller.credentials() is not first
    assert operations(proxy).count("GetId") == 1


def test_credentials_that_end_early_are_renewed_when_refused(calls, proxy, pool, kept):
    """A server whose keys changed, or a clock that jumped: asked once more."""
    caller = guest().open(calls, pool, kept)
    remote = Remote(calls, pool, caller, caller.identity_id())
    before = caller.credentials()
    proxy.trick = Once(
        error(403, "ExpiredTokenException"), lambda asked: asked.method == "GET"
    )

    assert isinstance(remote.list_records("prefs", 0), Listed)
    assert caller.credentials() is not before


def test_a_guest_who_was_deleted_is_another_one_and_is_told(
    calls, pool, kept, identities
):
    """What is on the device goes up again, so it is told whose it was."""
    caller = guest().open(calls, pool, kept)
    before = caller.identity_id()
    caller.credentials()
    identities.delete_identities(IdentityIdsToDelete=[before])
    caller.renew()
    remote = Remote(calls, pool, caller, before)

    event = remote.list_records("prefs", 0)
    found = caller.identity()

    assert isinstance(event, RefusedBecause)
    assert event.code == "IdentityChanged"
    assert found.id != before
    assert (found.kind, found.was, found.why) == ("guest", before, "gone")
    assert lists(caller, calls, pool)


def test_a_guest_signs_in_and_stays_who_it_is(calls, pool, kept, provider):
    """A login that nobody has is linked to the guest's identity."""
    token: list[str] = []
    opener = openid(provider.name, lambda: token[0] if token else None)
    caller = opener.open(calls, pool, kept)
    before = caller.identity()
    assert before.kind == "guest"
    token.append(provider.token(f"ann-{uuid.uuid4()}"))
    caller.renew()
    caller.credentials()

    assert caller.identity() == (before.id, "user", before.id, "signed in")
    assert lists(caller, calls, pool)


def test_a_guest_is_merged_into_the_account(calls, pool, kept, provider):
    """The id that counts is in the answer; whoever has the storage is told."""
    name = f"bob-{uuid.uuid4()}"
    other_device = openid(provider.name, lambda: provider.token(name))
    account = other_device.open(calls, pool, Notes()).identity_id()
    before = guest().open(calls, pool, kept).identity_id()

    caller = openid(provider.name, lambda: provider.token(name)).open(calls, pool, kept)
    caller.renew()
    caller.credentials()

    assert caller.identity() == (account, "user", before, "merged")
    assert guest().open(calls, pool, kept).known() == caller.identity()
    assert lists(caller, calls, pool)


def test_another_user_does_not_take_over_the_account(
    calls, pool, kept, provider, identities
):
    """Shown with the first one's identity, the second login would be linked to it."""
    names = [f"carol-{uuid.uuid4()}", f"dave-{uuid.uuid4()}"]
    first = openid(provider.name, lambda: provider.token(names[0])).open(
        calls, pool, kept
    )
    carol = first.identity_id()
    second = openid(provider.name, lambda: provider.token(names[1])).open(
        calls, pool, kept
    )
    second.credentials()

    dave = second.identity()
    assert dave.id != carol
    assert (dave.was, dave.why) == (carol, "other")
    assert lists(second, calls, pool)


def test_a_user_comes_back_with_another_token(calls, proxy, pool, kept, provider):
    """The same user with a fresh token is no news, and needs no GetId."""
    name = f"erin-{uuid.uuid4()}"
    for _ in range(2):
        caller = openid(
            provider.name, lambda: provider.token(name, jti=f"{uuid.uuid4()}")
        ).open(calls, pool, kept)
        caller.credentials()

    assert caller.identity().why == "new"
    assert operations(proxy).count("GetId") == 1


def test_a_user_without_a_token_is_asked_to_sign_in(calls, proxy, pool, kept, provider):
    """And is not made a guest, whose data would be another's."""
    name = f"fred-{uuid.uuid4()}"
    caller = openid(provider.name, lambda: provider.token(name)).open(calls, pool, kept)
    account = caller.identity_id()
    proxy.asked.clear()
    later = openid(provider.name, lambda: None).open(calls, pool, kept)

    assert later.identity_id() == account
    with pytest.raises(NotAllowed, match="sign in") as raised:
        later.credentials()
    assert raised.value.code == "SignInNeeded"
    assert proxy.asked == []


def test_a_token_that_is_not_good_is_told(calls, pool, kept, provider):
    """The guest stays a guest."""
    caller = guest().open(calls, pool, kept)
    before = caller.identity()
    expired = openid(
        provider.name, lambda: provider.token("gus", exp=int(time.time()) - 3600)
    ).open(calls, pool, kept)

    with pytest.raises(NotAllowed, match="expired"):
        expired.credentials()
    assert expired.known() == before


def test_signing_out_makes_a_new_guest(calls, pool, kept, provider):
    """Whoever uses the device next is somebody else."""
    caller = guest().open(calls, pool, kept)
    before = caller.identity_id()
    caller.forget()

    assert caller.known() is None
    assert caller.identity().id != before
    assert caller.identity().was is None


def test_users_of_a_backend_and_what_they_had_as_guests(calls, pool, kept, identities):
    """The backend names the guest, and so it is the user's identity from then on."""
    user = f"user-{uuid.uuid4()}"
    before = guest().open(calls, pool, kept).identity_id()
    shown: list[str | None] = []

    def ask_backend(guest_id: str | None) -> tuple[str, str]:
        shown.append(guest_id)
        ids = {"IdentityId": guest_id} if guest_id else {}
        answer = identities.get_open_id_token_for_developer_identity(
            IdentityPoolId=pool, Logins={PROVIDER: user}, **ids
        )
        return answer["IdentityId"], answer["Token"]

    caller = developer_token(ask_backend).open(calls, pool, kept)
    caller.credentials()
    caller.renew()
    caller.credentials()

    assert shown == [before, None]
    assert caller.identity() == (before, "user", before, "signed in")
    assert lists(caller, calls, pool)


@pytest.mark.parametrize(
    "trick", [page(200), page(502), error(500, "InternalErrorException")]
)
def test_garbage_from_a_proxy_makes_nobody(calls, proxy, pool, kept, trick):
    """No identity is made up from a login page, and none is forgotten."""
    proxy.trick = trick
    caller = guest().open(calls, pool, kept)
    with pytest.raises(Exception, match=r"Unanswered|InternalError"):
        caller.credentials()

    assert kept == {}
    proxy.trick = None
    known = caller.identity()
    caller.renew()
    proxy.trick = trick
    with pytest.raises(Exception, match=r"Unanswered|InternalError"):
        caller.credentials()
    assert caller.known() == known


def test_a_note_of_another_release_is_found_out_anew(calls, pool, kept):
    """What cannot be read is no reason to give up."""
    caller = guest().open(calls, pool, kept)
    before = caller.identity_id()
    (name,) = kept
    kept[name] = "{"

    assert caller.known() is None
    assert caller.identity_id() != before


@pytest.mark.parametrize("layer", ["boto3", "botocore"])
def test_a_session_of_botocore_calls_for_an_identity(server, calls, pool, kept, layer):
    """A developer's session, of either library."""
    session = boto3.Session(
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
    )
    identity = f"us-east-1:{uuid.uuid4()}"
    given = session if layer == "boto3" else session._session
    caller = botocore_session(given, identity).open(calls, pool, kept)

    assert caller.identity() == (identity, "developer", None, "new")
    assert lists(caller, calls, pool)
    assert kept == {}


def test_secrets_are_in_no_representation(server, calls, pool, kept):
    """Of callers; a guest's id opens its data, so it is left out too."""
    caller = guest().open(calls, pool, kept)
    secret = caller.credentials().secret_key
    key = fixed("us-east-1:x", "AKID", "the secret")

    shown = repr(caller) + repr(caller.credentials()) + repr(key)
    assert secret not in shown
    assert caller.identity_id() not in shown
    assert "the secret" not in shown
