"""Guests who sign in, sign out and are deleted: their data, on a device of theirs."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from client.passing import Asked, Forward, Reply, refuse_all
from millpond.client import (
    Memory,
    SQLite,
    Sync,
    Unanswered,
    guest,
    open_sync_blocking,
    openid,
)

User = Callable[..., Sync]


class App:
    """An app of a user, who has signed in or has not."""

    def __init__(self, provider: Any, user: str) -> None:
        self.signed_in = False
        self._provider = provider
        self._user = user

    def credentials(self) -> Any:
        def token() -> str | None:
            return self._provider.token(self._user) if self.signed_in else None

        return openid(self._provider.name, token)


@pytest.fixture
def app(provider) -> App:
    """An app of a new user."""
    return App(provider, f"user-{uuid.uuid4()}")


@pytest.fixture
def device(proxy, pool, app) -> Iterator[User]:
    """Open the app on a device."""
    opened: list[Sync] = []

    def open_device(storage: Any = None) -> Sync:
        opened.append(
            open_sync_blocking(
                proxy.url,
                pool,
                storage=storage or Memory(),
                credentials=app.credentials(),
                retry_s=(60, 60),
            )
        )
        return opened[-1]

    yield open_device
    for each in opened:
        each.close()


def account(device: User, app: App, **values: str) -> Sync:
    """Sign the user in on another device, with data of the account."""
    app.signed_in = True
    there = device()
    there.dataset("prefs").update(values)
    there.dataset("prefs").sync()
    app.signed_in = False
    return there


def server_names(sync: Sync) -> list[str]:
    """List the datasets at the server."""
    return [each.name for each in sync.engine.settle().list_datasets()]


@pytest.mark.parametrize("values", [{}, {"size": "9", "both": "theirs"}])
def test_what_a_guest_wrote_follows_into_the_account(device, app, tmp_path, values):
    """Pushed, unsent and removed records, of datasets that are open and others."""
    there = account(device, app, **values)
    storage = SQLite(tmp_path / "app.db")
    here = device(storage)
    prefs, notes = here.dataset("prefs"), here.dataset("notes")
    prefs.update(colour="teal", gone="1", both="mine")
    notes["n"] = "1"
    prefs.sync()
    prefs["later"] = "unsent"
    del prefs["gone"]
    was = here.identity_id
    here.close()

    app.signed_in = True
    here = device(storage)
    prefs = here.dataset("prefs")
    heard: list[dict[str, Any]] = []
    prefs.subscribe(None, heard.append)
    now = here.sign_in()
    assert now == here.identity_id == there.identity_id != was
    expected = {**values, "colour": "teal", "later": "unsent", "both": "mine"}
    assert {"colour": "teal", "later": "unsent", "both": "mine"}.items() <= {
        *prefs.items()
    }
    assert here.status.datasets["notes"].unsent == ("n",)
    prefs.sync()
    here.dataset("notes").sync()

    assert dict(prefs) == expected
    assert "colour" not in {key for each in heard for key in each}  # it was never away
    assert here.status.unsent == 0
    there.dataset("prefs").sync()
    there.dataset("notes").sync()
    assert dict(there.dataset("prefs")) == expected
    assert dict(there.dataset("notes")) == {"n": "1"}
    assert server_names(here) == ["notes", "prefs"]


def test_a_guest_who_signs_in_offline_follows_when_the_network_is_back(
    device, app, proxy, tmp_path
):
    """The sign-in is told that nobody answers; a synchronization finds out later."""
    there = account(device, app, size="9")
    here = device(SQLite(tmp_path / "app.db"))
    prefs = here.dataset("prefs")
    prefs["colour"] = "teal"
    prefs.sync()
    app.signed_in = True
    proxy.trick = refuse_all
    with pytest.raises(Unanswered):
        here.sign_in()
    prefs["later"] = "1"
    proxy.trick = None
    prefs.sync()

    assert here.identity_id == there.identity_id
    assert dict(prefs) == {"colour": "teal", "later": "1", "size": "9"}


def test_a_sign_in_in_the_middle_of_a_synchronization_begins_it_anew(
    device, app, proxy
):
    """On another thread, between a listing and its answer: as the account."""
    account(device, app, size="9")
    here = device()
    prefs = here.dataset("prefs")
    prefs["colour"] = "teal"
    prefs.sync()
    prefs["later"] = "1"

    def sign_in(asked: Asked, forward: Forward) -> Reply | None:
        proxy.trick = None
        reply = forward(asked)
        app.signed_in = True
        here.sign_in()
        return reply

    proxy.trick = sign_in
    prefs.sync()

    assert dict(prefs) == {"colour": "teal", "later": "1", "size": "9"}
    assert prefs.status.unsent == ()


def test_a_write_while_a_new_guest_gets_an_identity_is_not_left_behind(
    device, monkeypatch
):
    """It comes before, and follows, or after, and is the guest's: never in between."""
    here = device()
    prefs = here.dataset("prefs")
    look = here.engine._has_data_of_nobody
    writer = threading.Thread(target=lambda: prefs.update(colour="teal"))

    def look_and_let_write() -> bool:
        found = look()
        writer.start()
        writer.join(0.1)
        return found

    monkeypatch.setattr(here.engine, "_has_data_of_nobody", look_and_let_write)
    prefs.sync()
    writer.join()

    assert dict(prefs.items()) == {"colour": "teal"}


def test_another_process_that_still_writes_as_the_guest_loses_nothing(
    device, app, tmp_path
):
    """What it wrote after the merge follows, too, whoever looks first."""
    storage = SQLite(tmp_path / "app.db")
    account(device, app)
    here, beside = device(storage), device(storage)
    prefs, still = here.dataset("prefs"), beside.dataset("prefs")
    prefs["a"] = "1"
    prefs.sync()
    still.sync()
    app.signed_in = True
    here.sign_in()
    still["b"] = "2"

    prefs.sync()
    assert dict(prefs) == {"a": "1", "b": "2"}
    still["c"] = "3"
    still.sync()
    assert dict(prefs) == dict(still) == {"a": "1", "b": "2", "c": "3"}


def test_a_merge_that_a_crash_interrupted_is_carried_on(device, app, pool, tmp_path):
    """The credentials know it already, and the storage does not: nothing is lost."""
    storage = SQLite(tmp_path / "app.db")
    account(device, app, size="9")
    here = device(storage)
    here.dataset("prefs")["colour"] = "teal"
    here.dataset("prefs").sync()
    app.signed_in = True
    here.engine._caller.renew()
    here.engine._caller.credentials()  # and here it crashed
    here.close()

    again = device(storage)
    assert dict(again.dataset("prefs")) == {"colour": "teal"}
    again.dataset("prefs").sync()
    assert dict(again.dataset("prefs")) == {"colour": "teal", "size": "9"}


def test_a_user_who_signs_out_leaves_nothing_to_the_next_one(
    device, app, provider, pool, proxy, tmp_path
):
    """Storage is per identity: another user sees their own data, and only that."""
    path = tmp_path / "app.db"
    app.signed_in = True
    first = device(SQLite(path))
    first.dataset("prefs")["colour"] = "teal-of-the-first"
    first.dataset("prefs").sync()
    first.sign_out()
    first.close()

    other = App(provider, f"user-{uuid.uuid4()}")
    other.signed_in = True
    with open_sync_blocking(
        proxy.url, pool, storage=SQLite(path), credentials=other.credentials()
    ) as second:
        prefs = second.dataset("prefs")
        prefs.sync()
        assert dict(prefs) == {}
        assert second.status.datasets.keys() == {"prefs"}


def test_users_that_change_without_signing_out_keep_what_is_theirs(
    device, app, provider, pool, proxy, tmp_path
):
    """Nothing follows from one to the other, and the first finds theirs again."""
    path = tmp_path / "app.db"
    app.signed_in = True
    first = device(SQLite(path))
    first.dataset("prefs")["colour"] = "teal"
    first.dataset("prefs").sync()
    first.dataset("prefs")["unsent"] = "1"
    first.close()

    other = App(provider, f"user-{uuid.uuid4()}")
    other.signed_in = True
    with open_sync_blocking(
        proxy.url, pool, storage=SQLite(path), credentials=other.credentials()
    ) as second:
        second.sign_in()
        assert dict(second.dataset("prefs")) == {}
        second.dataset("prefs")["size"] = "9"
        second.dataset("prefs").sync()
        assert dict(second.dataset("prefs")) == {"size": "9"}
    again = device(SQLite(path))
    again.sign_in()
    again.dataset("prefs").sync()
    assert dict(again.dataset("prefs")) == {"colour": "teal", "unsent": "1"}


def test_a_guest_whom_the_server_lost_goes_on_as_another_one(
    device, proxy, pool, identities, tmp_path
):
    """What is here goes up again, for the new identity."""
    with open_sync_blocking(
        proxy.url, pool, storage=SQLite(tmp_path / "app.db"), credentials=guest()
    ) as sync:
        prefs = sync.dataset("prefs")
        prefs["colour"] = "teal"
        prefs.sync()
        was = sync.identity_id
        identities.delete_identities(IdentityIdsToDelete=[was])
        sync.sign_in()
        report = prefs.sync()

        assert sync.identity_id != was
        assert report.pushed == ("colour",)
        assert dict(prefs) == {"colour": "teal"}


def test_no_secret_and_no_token_is_in_the_file(device, app, tmp_path):
    """A device keeps whose it is, and nothing that opens anything."""
    app.signed_in = True
    here = device(SQLite(tmp_path / "app.db"))
    here.dataset("prefs")["colour"] = "teal"
    here.dataset("prefs").sync()
    given = here.engine._caller.credentials()
    token = app.credentials()._show(None).logins
    here.close()

    stored = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert b"teal" in stored
    for secret in (given.secret_key, given.token, *token.values()):
        assert secret.encode() not in stored
        assert json.dumps(secret).encode() not in stored
