"""The SDKs for Android, iOS and .NET keep devices in step: their steps, replayed."""

from __future__ import annotations

import pytest

from acceptance.raw_http import RawClient
from acceptance.sync_client import Dataset, remove
from acceptance.users import get_credentials
from clients.request_forms import ANDROID, DOT_NET, IOS, UNITY, Patch, SyncApi
from clients.synchronizing import (
    DELETED,
    AndroidDataset,
    DotNetDataset,
    IosDataset,
    SyncFailure,
)

SDKS = {
    "Android": (ANDROID, AndroidDataset),
    ".NET": (DOT_NET, DotNetDataset),
    "Unity": (UNITY, DotNetDataset),
    "iOS": (IOS, IosDataset),
}


@pytest.fixture
def account(backend):
    """A user whom the developer's backend has signed in."""
    return backend.sign_in()


@pytest.fixture
def user(anonymous, pool, account):
    """The user's credentials."""
    return get_credentials(anonymous, pool, account)


@pytest.fixture
def device(server, pool, user):
    """Make a device of the user with one of the SDKs."""

    def make(name):
        form, kind = SDKS[name]
        return kind(SyncApi(form, RawClient(server), pool, user))

    return make


@pytest.fixture(params=SDKS)
def pair(request, device):
    """Two devices with the same SDK."""
    return device(request.param), device(request.param)


@pytest.fixture
def stored(sync, pool, user):
    """The dataset as the developer sees it."""
    return Dataset(sync, pool, user.identity_id)


class TestEverySdk:
    """What holds whichever SDK the devices have."""

    def test_first_push(self, pair, stored):
        """A new dataset is pushed in one pass, and its count is 1."""
        one, _ = pair
        one.put("a", "1")
        one.put("b", "")

        assert one.synchronize() == 1

        assert one.last_sync_count == 1
        assert stored.values() == {"a": "1", "b": ""}

    def test_nothing_comes_back(self, pair):
        """What a device pushed is not listed to it again."""
        one, _ = pair
        one.put("a", "1")
        one.synchronize()
        one.put("a", "2")
        one.put("b", "2")
        one.synchronize()

        assert one.synchronize() == 1

        assert one.pulled == []
        assert one.last_sync_count == 2

    def test_other_device(self, pair):
        """What one device pushed, the other one has, and both may go on."""
        one, other = pair
        one.put("a", "1")
        one.synchronize()

        other.synchronize()
        other.put("a", "2")
        other.synchronize()
        one.synchronize()

        assert one.values() == other.values() == {"a": "2"}
        assert one.conflicts == other.conflicts == []

    def test_empty_value(self, pair):
        """An empty value is a value on the other device."""
        one, other = pair
        one.put("a", "")
        one.synchronize()

        other.synchronize()

        assert other.values() == {"a": ""}

    def test_remove(self, pair):
        """A removed record is gone on the other device."""
        one, other = pair
        one.put("a", "1")
        one.put("b", "1")
        one.synchronize()
        other.synchronize()
        one.put("a", None)
        one.synchronize()

        other.synchronize()

        assert other.values() == {"b": "1"}

    def test_put_again(self, pair):
        """A removed record can be put again, here and where it was seen to go."""
        one, other = pair
        for device, value in ((one, "1"), (one, None), (one, "2"), (other, None)):
            device.synchronize()
            device.put("a", value)
            device.synchronize()
        one.synchronize()
        one.put("a", "3")
        one.synchronize()

        other.synchronize()

        assert other.values() == {"a": "3"}
        assert one.conflicts == other.conflicts == []

    def test_put_again_elsewhere(self, pair):
        """A device that never saw a removed record can put it, and gets in no loop."""
        one, other = pair
        other.resolve_with_local = True
        one.put("a", "1")
        one.synchronize()
        one.put("a", None)
        one.synchronize()
        other.put("a", "2")

        other.synchronize()
        one.synchronize()

        assert one.values() == other.values() == {"a": "2"}

    def test_somebody_is_quicker_elsewhere(self, pair, stored):
        """A push that crossed another one does not hide the other one's record."""
        one, _ = pair
        one.put("a", "1")
        one.before_push = lambda: stored.put(b="2")
        one.synchronize()
        one.before_push = lambda: None

        one.synchronize()

        assert one.values() == {"a": "1", "b": "2"}

    def test_somebody_is_quicker(self, pair, stored):
        """A push that crossed another one of the same record begins anew, and ends."""
        one, _ = pair
        one.resolve_with_local = True
        one.put("a", "1")
        one.synchronize()
        one.put("a", "mine")

        def quicker():
            one.before_push = lambda: None
            stored.put(a="theirs", b="theirs")

        one.before_push = quicker

        assert one.synchronize() == 2
        assert one.conflicts == ["a"]
        assert stored.values() == one.values() == {"a": "mine", "b": "theirs"}

    def test_same_value(self, pair, stored):
        """Two devices that put the same value are not in conflict."""
        one, other = pair
        one.put("a", "1")
        other.put("a", "1")
        one.synchronize()

        other.synchronize()

        assert other.conflicts == []
        assert stored.values() == {"a": "1"}

    def test_somebody_creates_the_same(self, pair, stored):
        """A new record that somebody else creates too makes the client list from 0."""
        one, _ = pair
        one.resolve_with_local = True
        for value in ("1", "2", "3"):
            one.put("old", value)
            one.synchronize()
        stored.put(removed="x")
        stored.update(remove("removed", 4))
        one.synchronize()
        one.put("new", "mine")

        def quicker():
            one.before_push = lambda: None
            stored.put(new="theirs")

        one.before_push = quicker

        assert one.synchronize() == 2
        # The count fell to that of the patch: all that is newer has to be listed again.
        assert sorted(one.pulled) == ["new", "old", "removed"]
        assert stored.values() == {"old": "3", "new": "mine", "removed": None}

    def test_somebody_removes_the_same(self, pair, stored):
        """A new record that somebody puts and removes meanwhile can be pushed."""
        one, _ = pair
        one.put("a", "mine")

        def quicker():
            stored.put(a="theirs")
            stored.update(remove("a", 1))

        one.before_push = quicker

        assert one.synchronize() == 1
        assert stored.values() == {"a": "mine"}

    def test_full_dataset(self, pair, stored):
        """A full dataset with as many removed records arrives whole."""
        one, _ = pair
        old = [f"old-{number}" for number in range(1000)]
        new = {f"new-{number}": str(number) for number in range(1000)}
        stored.put(**dict.fromkeys(old, "1"))
        stored.update(*(remove(key, 1) for key in old))
        stored.put(**new)

        one.synchronize()

        assert one.values() == new
        assert sorted(one.pulled) == sorted([*old, *new])


def expire(stored, *in_step):
    """Let all tombstones of now expire, while these devices keep in step."""
    for _ in range(2):
        stored.churn(600)  # of which the server keeps 1,050
        for each in in_step:
            each.synchronize()


class TestExpiry:
    """Tombstones expire on the server, and no device keeps what others removed."""

    def test_away_for_too_long(self, pair, stored):
        """A device that has missed a removal is told to start over, once."""
        one, other = pair
        one.put("a", "1")
        one.put("b", "1")
        one.synchronize()
        other.synchronize()
        told = other.told_deleted
        one.put("a", None)
        one.synchronize()
        expire(stored, one)
        other.wipes_deleted = True  # what an app decides on iOS

        other.synchronize()
        other.synchronize()

        assert other.told_deleted == told + 1
        assert other.values() == one.values() == {"b": "1"}
        assert stored.list(other.last_sync_count)["Records"] == []

    def test_in_step(self, pair, stored):
        """A device that has heard of all removals notices nothing of their expiry."""
        one, other = pair
        one.put("a", "1")
        one.put("b", "1")
        one.synchronize()
        other.synchronize()
        one.put("a", None)
        one.synchronize()
        told = other.told_deleted

        expire(stored, other)
        other.put("b", "2")
        other.synchronize()

        assert other.told_deleted == told
        assert (other.values(), stored.values()["b"]) == ({"b": "2"}, "2")

    def test_somebody_is_quicker(self, pair, stored):
        """A conflict, upon which it lists from an old count, costs it nothing."""
        one, _ = pair
        stored.put(a="1", b="1", c="1")
        one.synchronize()
        expire(stored, one)
        one.put("a", "mine")
        one.put("c", "mine")
        one.resolve_with_local = True

        def quicker():
            one.before_push = lambda: None
            stored.put(a="2")

        one.before_push = quicker
        one.synchronize()

        assert one.told_deleted == 0
        assert one.values() == {"a": "mine", "b": "1", "c": "mine"}
        assert {k: stored.values()[k] for k in "abc"} == one.values()

    def test_put_again(self, pair, stored):
        """A key is added again by the count of its removal, which has expired."""
        one, _ = pair
        stored.put(a="1", b="1")
        one.synchronize()
        one.put("a", None)
        one.synchronize()
        expire(stored, one)
        one.put("a", "again")

        passes = one.synchronize()

        assert (passes, one.told_deleted) == (1, 0)
        assert stored.values()["a"] == "again"

    def test_remove_what_never_was(self, pair, stored):
        """It leaves nothing on the server; the key is added by the count it told."""
        one, other = pair
        stored.put(b="1")
        one.synchronize()
        one.put("a", None)
        one.put("c", None)

        one.synchronize()
        left = stored.counts()
        one.put("a", "1")
        passes = one.synchronize()
        one.put("c", None)
        one.synchronize()
        other.synchronize()

        assert (left, passes) == ({"b": 1}, 1)
        assert one.values() == other.values() == {"a": "1", "b": "1"}

    def test_create_after_a_deletion(self, pair, stored):
        """It goes on from the count of its first push, so it hears of the next one."""
        one, _ = pair
        one.put("a", "1")
        one.synchronize()
        stored.delete()
        one.wipes_deleted = True
        one.synchronize()
        one.wipes_deleted = False  # iOS takes a new dataset for a deleted one
        one.put("b", "2")
        one.synchronize()

        assert one.last_sync_count == stored.list()["DatasetSyncCount"] == 3
        one.wipes_deleted = True
        stored.delete()
        one.synchronize()
        assert one.values() == {}


class TestAndroidAndDotNet:
    """What is common to Android, .NET and Unity."""

    @pytest.fixture(params=["Android", ".NET", "Unity"])
    def pair(self, request, device):
        """Two devices with the same SDK."""
        return device(request.param), device(request.param)

    def test_deleted(self, pair, stored):
        """A device is told of a deletion once, and then starts anew."""
        one, _ = pair
        one.put("a", "1")
        one.synchronize()
        stored.delete()

        one.synchronize()
        told = one.told_deleted, one.values()
        one.put("b", "2")
        one.synchronize()

        assert told == (1, {})
        assert one.told_deleted == 1
        assert stored.values() == {"b": "2"}

    def test_created_again(self, pair, stored):
        """It is told so even when the dataset was created again, and gets that one."""
        one, _ = pair
        one.put("a", "1")
        one.synchronize()
        stored.delete()
        stored.put(c="3")

        one.synchronize()
        told = one.told_deleted
        one.synchronize()

        assert told == one.told_deleted == 1
        assert one.values() == {"c": "3"}

    def test_never_told(self, pair, stored):
        """A device that never had the dataset is told of no deletion."""
        one, _ = pair
        stored.put(a="1")
        stored.delete()

        one.synchronize()
        stored.put(b="2")
        one.synchronize()

        assert one.told_deleted == 0
        assert one.values() == {"b": "2"}

    def test_somebody_writes_between_two_pages(self, pair, stored):
        """No record is lost when somebody writes while pages are fetched."""
        one, _ = pair
        old = [f"old-{number}" for number in range(1000)]
        stored.put(**dict.fromkeys(old, "1"))
        stored.update(*(remove(key, 1) for key in old))
        stored.put(a="1", b="1", **{f"new-{number}": "1" for number in range(1000)})

        def quicker():
            one.after_page = lambda: None
            stored.put(a="2", late="2")

        one.after_page = quicker
        one.synchronize()
        one.synchronize()

        live = {k: v for k, v in stored.values().items() if v is not None}
        assert one.values() == live

    def test_merged(self, pair, anonymous, server, pool, account, stored):
        """A merge is reported until its copy is deleted, and at once no more."""
        one, _ = pair
        guest = get_credentials(anonymous, pool)
        guests = SyncApi(one.api.form, RawClient(server), pool, guest)
        token = guests.list_records("prefs").json["SyncSessionToken"]
        guests.update_records("prefs", token, [Patch("a", "guest")], now_ms=1)
        stored.put(a="user")

        answer = anonymous.get_credentials_for_identity(
            IdentityId=guest.identity_id, Logins=account.logins
        )
        with pytest.raises(SyncFailure, match=f"merged: prefs.{guest.identity_id}"):
            one.synchronize()
        one.api.delete_dataset(f"prefs.{guest.identity_id}")
        one.synchronize()

        assert answer["IdentityId"] == account.identity_id
        assert one.values() == {"a": "user"}


class TestDeleting:
    """A device deletes a dataset."""

    @pytest.mark.parametrize("sdk", ["Android", "iOS"])
    def test_delete(self, device, stored, sdk):
        """It is gone on the server, and the device may begin anew."""
        one = device(sdk)
        one.put("a", "1")
        one.synchronize()
        one.last_sync_count = DELETED

        one.synchronize()
        gone = stored.list()["DatasetExists"]
        one.put("b", "2")
        one.synchronize()

        assert gone is False
        assert stored.values() == {"b": "2"}

    @pytest.mark.parametrize("sdk", ["Android", "iOS"])
    def test_only_on_the_device(self, device, sdk):
        """That the server never had it does not matter: the error has a name."""
        one = device(sdk)
        one.put("a", "1")
        one.last_sync_count = DELETED

        assert one.synchronize() == 1
        assert one.values() == {}

    @pytest.mark.parametrize("sdk", [".NET", "Unity"])
    def test_dot_net(self, device, stored, sdk):
        """.NET lists from -1 afterwards; that is refused, and does no harm."""
        one = device(sdk)
        one.put("a", "1")
        one.synchronize()
        one.last_sync_count = DELETED

        with pytest.raises(SyncFailure, match="InvalidParameterException"):
            one.synchronize()

        assert stored.list()["DatasetExists"] is False
        assert one.synchronize() == 1


class TestIos:
    """What iOS alone does."""

    @pytest.fixture
    def one(self, device):
        """A device with iOS."""
        return device("iOS")

    def test_created_again(self, one, stored):
        """The answer that tells of a deletion has all of the new dataset in it."""
        one.put("a", "1")
        one.synchronize()
        stored.delete()
        stored.put(c="3", d="4")
        one.wipes_deleted = True

        one.synchronize()

        assert one.values() == {"c": "3", "d": "4"}

    def test_deleted_and_kept(self, one, stored):
        """An app that keeps what was deleted elsewhere pushes it anew."""
        one.put("a", "1")
        one.put("b", "1")
        one.synchronize()
        stored.delete()

        one.synchronize()

        assert stored.values() == {"a": "1", "b": "1"}

    def test_count_too_high(self, one, stored):
        """Upon a count that the dataset has not reached it tries lower ones."""
        stored.put(a="1")
        stored.put(a="2")
        one.last_sync_count = 5

        assert one.synchronize() == 4
        assert one.last_sync_count == 2
