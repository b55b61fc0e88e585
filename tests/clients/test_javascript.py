"""
amazon-cognito-js 1.1.0 on aws-sdk 2 keeps devices in step, in Node.js and in Chromium.

Neither is ours, and neither was changed. Faults of the client's own are worked around
as apps have to, and named where they are. One of them concerns every test here: it
reads a removed record as an empty string, and sends an empty string as a removal.
"""

from __future__ import annotations

import pytest

from acceptance.sync_client import Dataset
from acceptance.users import Backend, User
from clients.devices import Conflict, Device

LIST, UPDATE, DELETE = "listRecords", "updateRecords", "deleteDataset"

# In a browser the client writes the whole dataset anew for each of its records.
IN_NODE = pytest.mark.parametrize("devices", ["node"], indirect=True)


@pytest.fixture
def stored(sync):
    """What the server has of a dataset, by key: value and sync count."""

    def read(pool, device, dataset="prefs"):
        listed = sync.list_records(
            IdentityPoolId=pool, IdentityId=device.identity_id, DatasetName=dataset
        )
        return {
            each["Key"]: (each.get("Value"), each["SyncCount"])
            for each in listed["Records"]
        }

    return read


class TestSynchronizing:
    """Records go from one device to the other."""

    def test_first_push(self, pair, stored, pool):
        """The first synchronization of a new dataset is one listing and one update."""
        one, _ = pair
        one.put({"colour": "blue", "size": "7"})

        done = one.synchronize_well()

        assert done.sent == [LIST, UPDATE]
        assert stored(pool, one) == {"colour": ("blue", 1), "size": ("7", 1)}

    def test_other_device(self, pair):
        """What one device put, the other one has after it synchronized."""
        one, other = pair
        one.put({"colour": "blue", "size": "7"})
        one.synchronize_well()

        done = other.synchronize_well()

        # The client lists again after it stored something: if anything were listed
        # twice, it would go on until its retries are used up.
        assert done.sent == [LIST, LIST]
        assert other.values() == {"colour": "blue", "size": "7"}

    def test_back_and_forth(self, pair, stored, pool):
        """A record that the devices change in turn is never in conflict."""
        one, other = pair
        one.put({"turn": "0"})
        one.synchronize_well()

        for turn, device in enumerate([other, one, other, one], start=1):
            device.synchronize_well()
            device.put({"turn": str(turn)})
            assert device.synchronize_well().conflicts == []

        assert stored(pool, one) == {"turn": ("4", 5)}

    def test_different_keys(self, pair):
        """Changes to different records come together without a conflict."""
        one, other = pair
        one.put({"a": "1", "b": "1"})
        one.synchronize_well()
        other.synchronize_well()
        one.put({"a": "2"})
        other.put({"b": "2"})
        one.synchronize_well()

        done = other.synchronize_well()
        one.synchronize_well()

        assert done.conflicts == []
        assert done.sent == [LIST, LIST, UPDATE]
        assert one.values() == other.values() == {"a": "2", "b": "2"}

    def test_nothing_to_do(self, pair):
        """A synchronization without changes is one listing."""
        one, _ = pair
        one.put({"a": "1"})
        one.synchronize_well()

        assert one.synchronize_well().sent == [LIST]

    def test_dataset_that_nobody_has(self, pair):
        """A dataset that nobody ever wrote to is synchronized, and is empty."""
        one, _ = pair

        assert one.synchronize_well("nothing").sent == [LIST]
        assert one.values("nothing") == {}

    def test_guests_apart(self, devices, pool):
        """Two guests have two identities, and neither sees what the other one has."""
        one, other = devices
        one.start(pool)
        other.start(pool)
        one.put({"secret": "1"})
        one.synchronize_well()

        other.synchronize_well()

        assert one.identity_id != other.identity_id
        assert other.values() == {}


class TestConflicts:
    """Both devices change one record."""

    @pytest.fixture
    def at_odds(self, pair: tuple[Device, Device]) -> tuple[Device, Device]:
        """Two devices with different values of a key; the first one has pushed its."""
        one, other = pair
        one.put({"colour": "red", "size": "7"})
        one.synchronize_well()
        other.synchronize_well()
        one.put({"colour": "green"})
        other.put({"colour": "blue"})
        one.synchronize_well()
        return one, other

    def test_app_is_told(self, at_odds):
        """The app is told of both values, and may leave it at that."""
        _, other = at_odds

        done = other.synchronize()

        assert done.outcome == "failure"
        assert done.conflicts == [Conflict("colour", local="blue", remote="green")]
        assert done.sent == [LIST]
        assert other.values()["colour"] == "blue"

    def test_resolve_with_remote_record(self, at_odds, stored, pool):
        """The server's value replaces the one of the device."""
        one, other = at_odds

        other.synchronize_well(resolve="resolveWithRemoteRecord")

        assert other.values() == {"colour": "green", "size": "7"}
        assert stored(pool, one)["colour"] == ("green", 2)

    @pytest.mark.parametrize(
        ("resolution", "winner"),
        [
            ({"resolve": "resolveWithLocalRecord"}, "blue"),
            ({"resolve": "resolveWithValue", "value": "white"}, "white"),
        ],
    )
    def test_resolve_with_another_value(
        self, at_odds, stored, pool, resolution, winner
    ):
        """The device's value, or a new one, is pushed over the server's."""
        one, other = at_odds

        done = other.synchronize_well(**resolution)
        one.synchronize_well()

        assert done.sent == [LIST, UPDATE, LIST]
        assert one.values() == other.values() == {"colour": winner, "size": "7"}
        assert stored(pool, one)["colour"] == (winner, 3)

    def test_many_at_once(self, pair):
        """Fifty records in conflict are resolved in one synchronization."""
        one, other = pair
        keys = [f"key-{number}" for number in range(50)]
        one.put(dict.fromkeys(keys, "one"))
        other.put(dict.fromkeys(keys, "other"))
        one.synchronize_well()

        done = other.synchronize_well(resolve="resolveWithLocalRecord")
        one.synchronize_well()

        assert sorted(each.key for each in done.conflicts) == sorted(keys)
        assert one.values() == other.values() == dict.fromkeys(keys, "other")


class TestRemoving:
    """Records that go."""

    def test_remove(self, pair, stored, pool):
        """A removed record is gone for the other device too."""
        one, other = pair
        one.put({"a": "1", "b": "2"})
        one.synchronize_well()
        other.synchronize_well()
        one.remove("a")

        assert one.synchronize_well().sent == [LIST, UPDATE]
        other.synchronize_well()

        assert stored(pool, one) == {"a": (None, 2), "b": ("2", 1)}
        assert other.values() == {"a": "", "b": "2"}

    def test_put_again(self, pair, stored, pool):
        """A removed record can be put again by the device that removed it."""
        one, other = pair
        one.put({"a": "1"})
        one.synchronize_well()
        one.remove("a")
        one.synchronize_well()
        one.put({"a": "2"})

        assert one.synchronize_well().conflicts == []
        other.synchronize_well()

        assert stored(pool, one) == {"a": ("2", 3)}
        assert other.values() == {"a": "2"}

    def test_put_again_elsewhere(self, pair, stored, pool):
        """A device that never saw a removed record learns of it, and may put it."""
        one, other = pair
        one.put({"a": "1"})
        one.synchronize_well()
        one.remove("a")
        one.synchronize_well()
        other.put({"a": "2"})

        done = other.synchronize_well(resolve="resolveWithLocalRecord")

        assert done.conflicts == [Conflict("a", local="2", remote="")]
        assert stored(pool, one) == {"a": ("2", 3)}

    def test_everything(self, pair):
        """A dataset all of whose records were removed is still synchronized."""
        one, other = pair
        one.put({"a": "1", "b": "2"})
        one.synchronize_well()
        one.remove("a")
        one.remove("b")

        one.synchronize_well()
        other.synchronize_well()

        assert other.values() == {"a": "", "b": ""}

    def test_empty_string(self, pair, stored, pool):
        """An empty string, which the client sends as a removal, is one."""
        one, other = pair
        one.put({"new": "", "old": "1"})
        one.synchronize_well()
        one.put({"old": ""})

        done = one.synchronize_well()
        other.synchronize_well()

        assert done.sent == [LIST, UPDATE]
        # What never was cannot be removed, and nobody is told of it (ruling 24).
        assert one.values() == {"new": "", "old": ""}
        assert other.values() == {"old": ""}
        assert stored(pool, one) == {"old": (None, 2)}


class TestDatasets:
    """Datasets that go, and what is known of those that are there."""

    @pytest.fixture
    def deleted(self, pair: tuple[Device, Device]) -> tuple[Device, Device]:
        """Two devices that had a dataset until the first one deleted it."""
        one, other = pair
        one.put({"a": "1", "b": "1"})
        one.synchronize_well()
        other.synchronize_well()
        one.forget()
        assert one.synchronize_well().sent == [DELETE]
        return one, other

    def test_delete(self, deleted, stored, pool):
        """The other device is told that the dataset was deleted, and starts anew."""
        one, other = deleted

        done = other.synchronize()
        other.purge()
        again = other.synchronize_well()

        assert done.deleted == ["prefs"]
        assert done.sent == [LIST]
        assert again.deleted == []
        assert other.values() == {}
        assert stored(pool, one) == {}

    def test_create_again(self, deleted):
        """It is told so even when the dataset was created again, and gets that one."""
        one, other = deleted
        one.put({"c": "3"})
        one.synchronize_well()

        done = other.synchronize()
        other.purge()
        other.synchronize_well()

        assert done.deleted == ["prefs"]
        assert other.values() == {"c": "3"}

    def test_delete_what_is_not_there(self, pair):
        """A dataset that the server does not have cannot be deleted, and it says so."""
        one, _ = pair
        one.put({"a": "1"})
        one.forget()

        done = one.synchronize()

        # Other clients pass over this error; this one does not.
        assert (done.outcome, done.sent) == ("failure", [DELETE])

    def test_list(self, pair):
        """The app is told the names, sizes and numbers of records of its datasets."""
        one, other = pair
        one.put({"key": "value"}, "a.b:c-d")
        one.put({"a": "ä", "b": "1"}, "saves_1")
        one.synchronize_well("a.b:c-d")
        one.synchronize_well("saves_1")

        assert sorted(other.refresh(), key=lambda each: each["name"]) == [
            {"name": "a.b:c-d", "storage": 8, "records": 1},
            {"name": "saves_1", "storage": 5, "records": 2},
        ]


@IN_NODE
class TestExpiry:
    """Tombstones expire on the server."""

    @pytest.fixture
    def expire(self, sync, pool):
        """Let all tombstones of now expire, while these devices keep in step."""

        def run(*in_step: Device, identity_id: str) -> None:
            for _ in range(2):
                Dataset(sync, pool, identity_id).churn(600)  # it keeps 1,050
                for each in in_step:
                    assert each.synchronize_well().deleted == []

        return run

    def test_away_for_too_long(self, pair, expire):
        """A device that has missed a removal is told of it, and starts over."""
        one, other = pair
        one.put({"a": "1", "b": "1"})
        one.synchronize_well()
        other.synchronize_well()
        one.remove("a")
        one.synchronize_well()
        expire(one, identity_id=one.identity_id)

        done = other.synchronize()
        other.purge()
        again = other.synchronize_well()
        other.put({"b": "2"})
        other.synchronize_well()
        one.synchronize_well()

        assert (done.deleted, set(done.sent), again.deleted) == (["prefs"], {LIST}, [])
        live = [{k: v for k, v in each.values().items() if v} for each in pair]
        assert live == [{"b": "2"}, {"b": "2"}]

    def test_put_again(self, pair, expire, stored, pool):
        """A key is added again by the count of its removal, which has expired."""
        one, _ = pair
        one.put({"a": "1"})
        one.synchronize_well()
        one.remove("a")
        one.remove("never")
        one.synchronize_well()
        expire(one, identity_id=one.identity_id)
        one.put({"a": "again", "never": "now"})

        assert one.synchronize_well().sent == [LIST, UPDATE]
        found = stored(pool, one)
        assert (found["a"][0], found["never"][0]) == ("again", "now")


class TestContents:
    """What records may hold."""

    @pytest.mark.parametrize(
        "value",
        [
            "Grüße, 世界",
            "𝄞 👩‍👩‍👧 \U0010ffff",
            "e\u0301 is not \u00e9",
            '"quoted" \\ and </script>',
            "\u2028\u2029\ufeff\t\r\n\x01\x7f",
            " spaces ",
            '{"json": [1, 2.50, null]}',
            "null",
        ],
    )
    def test_text(self, pair, stored, pool, value):
        """Any text arrives as it was, character by character."""
        one, other = pair
        one.put({"text": value})
        one.synchronize_well()

        other.synchronize_well()

        assert other.values() == {"text": value}
        assert stored(pool, one) == {"text": (value, 1)}

    @IN_NODE
    def test_full_dataset(self, pair):
        """A dataset of 1,024 records is pushed in one update and read in one page."""
        one, other = pair
        values = {f"key-{number}": f"value {number}" for number in range(1024)}
        one.put(values)

        pushed = one.synchronize_well()
        pulled = other.synchronize_well()

        assert pushed.sent == [LIST, UPDATE]
        assert pulled.sent == [LIST, LIST]
        assert other.values() == values

    @IN_NODE
    def test_two_pages(self, pair):
        """With removed records there are more than fit a page; the client reads two."""
        one, other = pair
        one.put({f"old-{number}": "1" for number in range(10)})
        one.synchronize_well()
        for number in range(10):
            one.remove(f"old-{number}")
        values = {f"key-{number}": "1" for number in range(1020)}
        one.put(values)
        one.synchronize_well()

        done = other.synchronize_well()

        assert done.sent == [LIST, LIST, LIST]
        assert {k: v for k, v in other.values().items() if v} == values

    @IN_NODE
    def test_one_record_too_many(self, pair, stored, pool):
        """A 1,025th record is refused, and the dataset stays as it was."""
        one, _ = pair
        values = {f"key-{number}": "1" for number in range(1024)}
        one.put(values)
        one.synchronize_well()
        one.put({"one-more": "1"})

        done = one.synchronize()

        # The client tries any refused update again, four times in all.
        assert done.outcome == "failure"
        assert done.sent == [LIST, UPDATE] * 4
        assert len(stored(pool, one)) == 1024


class TestSigningIn:
    """A guest becomes a user."""

    def test_new_user(self, devices, backend):
        """A guest who signs in for the first time keeps identity and data."""
        one, _ = devices
        one.start(backend.pool)
        one.put({"a": "1"})
        one.synchronize_well()
        guest = one.identity_id

        one.login(backend.sign_in(IdentityId=guest))
        one.put({"b": "2"})
        one.synchronize_well()

        assert one.identity_id == guest
        assert one.values() == {"a": "1", "b": "2"}

    def test_datasets_of_a_guest(self, devices, backend):
        """What a guest had comes to the account that the guest signs in to."""
        one, other, user = guest_and_user(devices, backend)
        one.put({"level": "3"}, "saves")
        one.synchronize_well("saves")

        one.login(user)
        one.synchronize_well("saves")

        assert one.identity_id == other.identity_id
        assert one.values("saves") == {"level": "3"}

    def test_merged_datasets(self, devices, backend, stored):
        """A dataset that both had is reported beside, until the app deletes it."""
        one, other, user = guest_and_user(devices, backend)
        guest = one.identity_id
        one.put({"a": "guest", "b": "guest"})
        one.synchronize_well()
        other.put({"a": "user"})
        other.synchronize_well()

        one.login(user)
        done = one.synchronize()

        merged = f"prefs.{guest}"
        assert done.merged == [merged]
        assert stored(backend.pool, other) == {"a": ("user", 1)}
        assert {k: v for k, (v, _) in stored(backend.pool, one, merged).items()} == {
            "a": "guest",
            "b": "guest",
        }

    def test_merged_datasets_dealt_with(self, devices, backend):
        """The app takes over what it wants, deletes the copy, and hears no more."""
        one, other, user = guest_and_user(devices, backend)
        one.put({"a": "guest", "b": "guest"})
        one.synchronize_well()
        other.put({"a": "user"})
        other.synchronize_well()
        one.login(user)
        (merged,) = one.synchronize().merged

        one.synchronize_well(merged)
        taken_over = {"b": one.values(merged)["b"]}
        one.forget(merged)
        assert one.synchronize_well(merged).sent == [DELETE]
        one.put(taken_over)
        after = one.synchronize_well()
        other.synchronize_well()

        assert after.merged == []
        assert one.values() == other.values() == {"a": "user", "b": "guest"}


def guest_and_user(
    devices: tuple[Device, Device], backend: Backend
) -> tuple[Device, Device, User]:
    """Start the first device as a guest, the second one as a user."""
    one, other = devices
    user = backend.sign_in()
    one.start(backend.pool)
    other.start(backend.pool, user)
    return one, other, user
