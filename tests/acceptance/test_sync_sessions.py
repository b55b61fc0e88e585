"""Sync sessions: what a SyncSessionToken is good for, and when it is used up."""

from __future__ import annotations

import base64
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from acceptance.sync_client import (
    Dataset,
    create_pool,
    new_identity,
    refused,
    remove,
    replace,
)
from millpond.core.sync import DatasetId
from millpond.core.tokens import SyncSessions
from millpond.server import secret_key

NOT_VALID = "SyncSessionToken not valid for these inputs"
BASE64_URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def assert_not_valid(dataset: Dataset, token: str) -> None:
    """Check that a token opens neither a listing nor an update of a dataset."""
    before = dataset.values()
    with refused(400, "InvalidParameterException") as refusal:
        dataset.list(SyncSessionToken=token)
    assert refusal.message == NOT_VALID
    with refused(400, "InvalidParameterException") as refusal:
        dataset.update(replace("intruder", "v"), token=token)
    assert refusal.message == NOT_VALID
    assert before == dataset.values()


class TestToken:
    """Form and binding of a token."""

    def test_token_is_short_and_safe_in_a_url(self, dataset):
        """Tokens travel in query strings."""
        token = dataset.token()

        assert re.fullmatch(r"[A-Za-z0-9._~-]{1,511}", token)

    def test_each_session_has_its_own_token(self, dataset):
        """Two listings begin two sessions."""
        assert dataset.token() != dataset.token()

    @pytest.mark.parametrize("which", ["dataset", "identity", "pool"])
    def test_token_is_bound(self, sync, identity_pools, pool, identity, dataset, which):
        """A token is good for the dataset, identity and pool it was made for."""
        other_pool = identity_pools.create_identity_pool(
            IdentityPoolName="other", AllowUnauthenticatedIdentities=True
        )["IdentityPoolId"]
        others = {
            "dataset": Dataset(sync, pool, identity, "other"),
            "identity": Dataset(sync, pool, new_identity()),
            "pool": Dataset(sync, other_pool, identity),
        }

        assert_not_valid(others[which], dataset.token())

    def test_name_that_only_looks_alike_is_another(self, sync, pool, identity):
        """Names are not confused where one ends with the beginning of another."""
        one = Dataset(sync, pool, identity, "ab")
        other = Dataset(sync, pool, identity, "a")

        assert_not_valid(other, one.token())

    def test_token_cannot_be_altered(self, dataset):
        """Changing any one character makes a token invalid."""
        token = dataset.token()

        for place, character in enumerate(token):
            # Far away in the alphabet, so that no bit is left out.
            number = BASE64_URL.index(character)
            changed = BASE64_URL[(number + 33) % 64]
            with refused(400, "InvalidParameterException"):
                dataset.list(
                    SyncSessionToken=token[:place] + changed + token[place + 1 :]
                )

    @pytest.mark.parametrize(
        "change",
        [
            lambda token: token + "=",
            lambda token: token + "A",
            lambda token: token[:-1],
            lambda token: token.swapcase(),
            lambda token: f" {token}",
            lambda token: token + token,
            lambda token: "",
            lambda token: "é" + token[1:],
            lambda token: "x" * 600,
        ],
    )
    def test_other_spellings_are_refused(self, dataset, change):
        """There is one spelling of a token."""
        assert_not_valid(dataset, change(dataset.token()))

    def test_life_cannot_be_lengthened(self, dataset):
        """Nobody can write a later end into a token: it is authenticated."""
        token = dataset.token()
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        later = bytes([*raw[:2], raw[2] ^ 1, *raw[3:]])

        assert_not_valid(dataset, base64.urlsafe_b64encode(later).decode().rstrip("="))

    def test_expired_token_is_told_apart(self, server, dataset):
        """A token that is too old is refused, and the refusal says why."""
        # Waiting takes a minute at least, so an old one is made with the server's key.
        key = secret_key.load(server.data, "")
        issuer = SyncSessions(
            secret_key.derive(key, "sync sessions"),
            lifetime_ms=3_600_000,
            random_bytes=lambda count: bytes(count),
        )
        names = DatasetId(dataset.pool, dataset.identity, dataset.name)
        an_hour_ago_ms = round(time.time() * 1000) - 3_600_000
        old = issuer.issue(names, now_ms=an_hour_ago_ms - 1000)
        fresh = issuer.issue(names, now_ms=an_hour_ago_ms + 60_000)

        for call in (
            lambda: dataset.update(replace("a", "v"), token=old.token),
            lambda: dataset.list(SyncSessionToken=old.token),
        ):
            with refused(400, "InvalidParameterException") as refusal:
                call()
            assert "expired" in refusal.message
        dataset.list(SyncSessionToken=fresh.token)  # the old one was old, not forged

    def test_token_is_needed(self, raw, dataset):
        """An update without a token is invalid."""
        answer = raw.call("POST", dataset.path, {"RecordPatches": []})

        assert (answer.status, answer.error) == (400, "InvalidParameterException")


class TestUse:
    """How often a token can be used."""

    def test_token_of_a_missing_dataset_creates_it(self, dataset):
        """The sequence that AWS's own test of its service goes through."""
        token = dataset.list(0)["SyncSessionToken"]
        dataset.list(0, SyncSessionToken=token)
        dataset.update(replace("a", "v"), token=token)

        with refused(400, "InvalidParameterException") as refusal:
            dataset.list(0, SyncSessionToken=token)

        assert refusal.message == NOT_VALID

    def test_token_lists_any_number_of_times(self, dataset):
        """Listing does not use a session up, and goes on with the same token."""
        token = dataset.token()

        found = {dataset.list(SyncSessionToken=token)["SyncSessionToken"]} | {
            dataset.list(0, SyncSessionToken=token)["SyncSessionToken"]
            for _ in range(3)
        }

        assert {token} == found

    @pytest.mark.parametrize(
        ("patches", "code"),
        [
            ([replace("a", "x", 7)], "ResourceConflictException"),
            ([replace("b", "x" * 1_048_576)], "InvalidParameterException"),
            ([replace("b", "x" * 1_048_574)], "LimitExceededException"),
            ([replace("b", "x"), remove("b")], "InvalidParameterException"),
        ],
    )
    def test_failed_update_does_not_use_the_token(self, dataset, patches, code):
        """After a refusal the device lists and pushes again with the same token."""
        dataset.put(a="12")
        token = dataset.token()

        with refused(409 if code == "ResourceConflictException" else 400, code):
            dataset.update(*patches, token=token)

        dataset.list(SyncSessionToken=token)
        dataset.update(replace("a", "2", 1), token=token)
        assert dataset.values() == {"a": "2"}

    def test_used_token_does_not_push_again(self, dataset):
        """A second update, with another body, needs a new session."""
        token = dataset.token()
        dataset.update(replace("a", "1"), token=token)

        for other in (replace("a", "2", 1), replace("b", "1"), replace("a", "1", 1)):
            with refused(400, "InvalidParameterException") as refusal:
                dataset.update(other, token=token)
            assert refusal.message == NOT_VALID

        assert dataset.values() == {"a": "1"}
        assert dataset.list()["DatasetSyncCount"] == 1

    def test_sessions_do_not_disturb_each_other(self, dataset):
        """Several devices hold sessions of one dataset at the same time."""
        first, second = dataset.token(), dataset.token()

        dataset.update(replace("a", "1"), token=first)

        dataset.list(SyncSessionToken=second)
        dataset.update(replace("b", "1"), token=second)
        assert dataset.counts() == {"a": 1, "b": 2}


class TestRepeat:
    """An update that is sent again, because its answer was lost, happens once."""

    def test_repeat_gets_the_same_answer(self, dataset):
        """The same body with the same token is answered as it was the first time."""
        dataset.put(b="1")
        token = dataset.token()
        patches = [
            replace("a", "1", DeviceLastModifiedDate=1_577_934_245),
            remove("b", 1),
        ]
        first = dataset.update(*patches, token=token, DeviceId="phone")
        again = dataset.update(*patches, token=token, DeviceId="phone")

        assert first["Records"] == again["Records"]
        assert dataset.list()["DatasetSyncCount"] == 2

    def test_repeat_after_other_updates_changes_nothing(self, dataset):
        """Whatever came between, a repeat tells the old outcome and writes nothing."""
        token = dataset.token()
        first = dataset.update(replace("a", "1"), token=token)
        dataset.update(replace("a", "2", 1), replace("b", "2"))
        dataset.update(remove("a", 2))
        before = dataset.list()

        again = dataset.update(replace("a", "1"), token=token)

        after = dataset.list()
        assert first["Records"] == again["Records"]
        assert before["Records"] == after["Records"]
        assert after["DatasetSyncCount"] == 3

    def test_repeat_after_deletion_creates_nothing(self, dataset):
        """A repeat does not bring back a dataset that was deleted in between."""
        token = dataset.token()
        first = dataset.update(replace("a", "1"), token=token)
        dataset.delete()

        again = dataset.update(replace("a", "1"), token=token)

        assert first["Records"] == again["Records"]
        assert not dataset.list()["DatasetExists"]

    @pytest.mark.parametrize(
        "other",
        [
            {"patches": [replace("a", "1 ")]},
            {"patches": [replace("a", "1", DeviceLastModifiedDate=1)]},
            {"patches": [replace("a", "1"), replace("b", "1")]},
            {"patches": []},
            {"patches": [replace("a", "1")], "DeviceId": "other"},
        ],
    )
    def test_other_body_is_no_repeat(self, dataset, other):
        """Any difference in what is asked makes it another update."""
        token = dataset.token()
        dataset.update(replace("a", "1"), token=token)
        others = {name: value for name, value in other.items() if name != "patches"}

        with refused(400, "InvalidParameterException") as refusal:
            dataset.update(*other["patches"], token=token, **others)

        assert refusal.message == NOT_VALID

    def test_repeats_at_the_same_time_happen_once(self, dataset):
        """Of the same request sent eight times at once, one is done, all answered."""
        token = dataset.token()

        def update(_: int):
            return dataset.update(replace("a", "1"), replace("b", "2"), token=token)

        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(update, range(8)))

        assert all(each["Records"] == answers[0]["Records"] for each in answers)
        assert dataset.list()["DatasetSyncCount"] == 1

    def test_one_of_several_updates_gets_the_session(self, dataset):
        """Of different requests with one token at once, exactly one passes."""
        token = dataset.token()

        def update(number: int) -> bool:
            try:
                dataset.update(replace(f"k{number}", "v"), token=token)
            except dataset.client.exceptions.InvalidParameterException:
                return False
            return True

        with ThreadPoolExecutor(8) as threads:
            passed = list(threads.map(update, range(8)))

        assert sum(passed) == 1
        assert {f"k{passed.index(True)}": "v"} == dataset.values()

    @pytest.mark.parametrize("crash", [False, True])
    def test_sessions_outlive_the_server(self, start_server, crash):
        """After a restart old tokens hold, and so does what they were used for."""
        server = start_server()
        client = server.client("cognito-sync")
        dataset = Dataset(client, create_pool(server), new_identity())
        used, unused = dataset.token(), dataset.token()
        first = dataset.update(replace("a", "1"), token=used)
        client.close()
        if crash:
            server.kill()
        else:
            server.stop()
        server.start()
        dataset.client = client = server.client("cognito-sync")

        again = dataset.update(replace("a", "1"), token=used)
        with refused(400, "InvalidParameterException"):
            dataset.update(replace("a", "2", 1), token=used)
        dataset.update(replace("b", "1"), token=unused)

        assert first["Records"] == again["Records"]
        assert dataset.counts() == {"a": 1, "b": 2}
        client.close()


class TestNextSession:
    """What the answer to an update has for who asks (decision 49)."""

    @staticmethod
    def next_token(dataset: Dataset, *patches: Any, **options: Any) -> str | None:
        """Update, and read from the answer what no published model has."""
        bodies: list[bytes] = []
        event = "after-call.cognito-sync.UpdateRecords"

        def keep(http_response: Any, **_: Any) -> None:
            bodies.append(http_response.content)

        events = dataset.client.meta.events
        events.register(event, keep)
        try:
            dataset.update(*patches, **options)
        finally:
            events.unregister(event, keep)
        return json.loads(bodies[0]).get("SyncSessionToken")

    def test_it_is_good_for_one_update(self, dataset):
        """It is a session as any: for the next update, and none after that."""
        asked = {"ClientContext": "millpond-next-session"}
        first = self.next_token(dataset, replace("a", "1", 0), **asked)
        assert first is not None
        second = self.next_token(dataset, replace("a", "2", 1), token=first, **asked)
        assert second is not None

        assert_not_valid(dataset, first)
        dataset.update(replace("b", "1", 0), token=second)
        assert dataset.values() == {"a": "2", "b": "1"}

    def test_nobody_else_is_told(self, dataset):
        """Who does not ask gets the published members alone."""
        for options in ({}, {"ClientContext": "{}"}):
            dataset.put(a="1")
            counts = dataset.counts()
            found = self.next_token(dataset, replace("a", "2", counts["a"]), **options)
            assert found is None

    def test_who_missed_something_gets_none(self, dataset):
        """After another's update only a listing tells what there is."""
        token = dataset.token()
        dataset.put(other="1")

        found = self.next_token(
            dataset,
            replace("a", "1", 0),
            token=token,
            ClientContext="millpond-next-session",
        )

        assert found is None
