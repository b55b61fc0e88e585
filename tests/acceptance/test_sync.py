"""Sync counts, records and datasets: what a device gets for what it sends."""

from __future__ import annotations

import json
import math
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from acceptance.raw_http import RawClient
from acceptance.sync_client import (
    Dataset,
    create_pool,
    new_identity,
    refused,
    remove,
    replace,
)

ACCOUNT = "000000000000"
LISTED_ALWAYS = {
    "Records",
    "Count",
    "DatasetSyncCount",
    "DatasetExists",
    "DatasetDeletedAfterRequestedSyncCount",
    "SyncSessionToken",
}


def update_raw(raw: RawClient, dataset: Dataset, patches: object, **members: object):
    """Update records with a body that boto3 would not write."""
    body = {
        "SyncSessionToken": dataset.token(),
        "RecordPatches": patches,
        **members,
    }
    return raw.call("POST", dataset.path, body)


class TestSyncCounts:
    """One counter per dataset, one step per update."""

    def test_first_update_is_number_one(self, dataset):
        """The first update makes the dataset and stamps all its records with 1."""
        answer = dataset.update(replace("a", "1"), replace("b", "2"))

        assert [r["SyncCount"] for r in answer["Records"]] == [1, 1]
        assert dataset.list()["DatasetSyncCount"] == 1

    def test_update_raises_the_count_by_exactly_one(self, dataset):
        """An update of several records raises the count by 1, not by their number."""
        dataset.update(replace("a", "1"), replace("b", "1"), replace("c", "1"))

        dataset.update(replace("a", "2", 1), replace("b", "2", 1), replace("d", "2"))

        assert dataset.list()["DatasetSyncCount"] == 2
        assert dataset.counts() == {"a": 2, "b": 2, "c": 1, "d": 2}

    def test_update_with_the_same_value_counts(self, dataset):
        """Writing the value that is there already raises the count all the same."""
        dataset.update(replace("a", "1"))

        answer = dataset.update(replace("a", "1", 1))

        assert answer["Records"][0]["SyncCount"] == 2

    @pytest.mark.parametrize("body", [{"RecordPatches": []}, {}])
    def test_no_patches_change_nothing(self, raw, dataset, body):
        """Without patches the answer is empty, and the count stays."""
        dataset.update(replace("a", "1"))

        answer = raw.call(
            "POST", dataset.path, {"SyncSessionToken": dataset.token(), **body}
        )

        assert (answer.status, answer.json) == (200, {"Records": []})
        assert dataset.list()["DatasetSyncCount"] == 1

    def test_no_patches_do_not_create_a_dataset(self, dataset):
        """An update without patches does not bring a dataset into being."""
        dataset.update()

        assert not dataset.list()["DatasetExists"]

    def test_listing_does_not_create_a_dataset(self, dataset):
        """Only an update creates a dataset."""
        dataset.list()

        with refused(404, "ResourceNotFoundException"):
            dataset.describe()

    def test_datasets_count_apart(self, sync, dataset):
        """Datasets of one identity, identities and pools have counters of their own."""
        other_name = Dataset(sync, dataset.pool, dataset.identity, "other")
        other_identity = Dataset(sync, dataset.pool, new_identity())
        dataset.put(a="1")
        dataset.put(a="2")

        other_name.put(a="x")
        other_identity.put(a="y")

        assert dataset.counts() == {"a": 2}
        assert other_name.values() == {"a": "x"}
        assert other_identity.values() == {"a": "y"}
        assert other_name.list()["DatasetSyncCount"] == 1

    def test_concurrent_updates_get_successive_counts(self, dataset):
        """Updates of different records at the same time all pass, one count each."""
        tokens = [dataset.token() for _ in range(24)]

        def update(number: int) -> int:
            answer = dataset.update(replace(f"k{number}", "v"), token=tokens[number])
            count: int = answer["Records"][0]["SyncCount"]
            return count

        with ThreadPoolExecutor(8) as threads:
            counts = list(threads.map(update, range(24)))

        assert list(range(1, 25)) == sorted(counts)
        assert {f"k{n}": counts[n] for n in range(24)} == dataset.counts()

    def test_one_of_racing_updates_wins(self, dataset):
        """Of updates of one record from the same count exactly one passes."""
        dataset.put(a="0")
        tokens = [dataset.token() for _ in range(12)]

        def update(number: int) -> bool:
            try:
                dataset.update(replace("a", str(number), 1), token=tokens[number])
            except dataset.client.exceptions.ResourceConflictException:
                return False
            return True

        with ThreadPoolExecutor(6) as threads:
            won = [
                n for n, passed in enumerate(threads.map(update, range(12))) if passed
            ]

        assert len(won) == 1
        assert {"a": str(won[0])} == dataset.values()
        assert dataset.counts() == {"a": 2}


class TestConflicts:
    """A patch must name the count that its record is at."""

    def test_conflict_names_the_record_and_both_counts(self, dataset):
        """A stale patch is refused in the words that the clients look for."""
        dataset.put(a="1")
        dataset.put(a="2")

        with refused(409, "ResourceConflictException") as refusal:
            dataset.update(replace("a", "mine", 1))

        assert refusal.message == "Current SyncCount for: a is: 2 not: 1"

    @pytest.mark.parametrize("count", [1, 7, -1, 2**63 - 1])
    def test_new_record_must_come_with_zero(self, dataset, count):
        """A record that does not exist is at 0."""
        with refused(409, "ResourceConflictException") as refusal:
            dataset.update(replace("new", "v", count))

        assert f"Current SyncCount for: new is: 0 not: {count}" == refusal.message
        assert not dataset.list()["DatasetExists"]

    def test_existing_record_refuses_zero(self, dataset):
        """A device that does not know the record does not overwrite it."""
        dataset.put(a="1")

        with refused(409, "ResourceConflictException"):
            dataset.update(replace("a", "mine", 0))

        assert dataset.values() == {"a": "1"}

    def test_count_ahead_of_the_record_is_refused(self, dataset):
        """A count that the record has not reached yet is as wrong as an old one."""
        dataset.put(a="1")

        with refused(409, "ResourceConflictException"):
            dataset.update(replace("a", "2", 2))

    def test_remove_is_checked_as_well(self, dataset):
        """Removing a record needs its current count too."""
        dataset.put(a="1")
        dataset.put(a="2")

        with refused(409, "ResourceConflictException") as refusal:
            dataset.update(remove("a", 1))

        assert refusal.message == "Current SyncCount for: a is: 2 not: 1"
        assert dataset.values() == {"a": "2"}

    @pytest.mark.parametrize("stale", [0, 1, 2])
    def test_conflict_refuses_the_whole_update(self, dataset, stale):
        """One stale patch, wherever it stands, keeps all of them from being written."""
        dataset.put(a="1", b="1", c="1")
        dataset.put(b="2")
        patches = [replace("a", "x", 1), remove("c", 1)]
        patches.insert(stale, replace("b", "x", 1))
        before = dataset.list()

        with refused(409, "ResourceConflictException"):
            dataset.update(*patches)

        after = dataset.list()
        assert before["Records"] == after["Records"]
        assert after["DatasetSyncCount"] == 2

    def test_other_records_may_have_moved_on(self, dataset):
        """Only the records that are patched are compared."""
        dataset.put(a="1", b="1")
        token = dataset.token()
        dataset.put(b="2")

        answer = dataset.update(replace("a", "mine", 1), token=token)

        assert answer["Records"][0]["SyncCount"] == 3

    @pytest.mark.parametrize("second", [remove("twice"), replace("twice", "2")])
    def test_key_twice_is_refused(self, dataset, second):
        """A key that stands twice in one update makes it invalid."""
        with refused(400, "InvalidParameterException") as refusal:
            dataset.update(replace("twice", "1"), replace("b", "1"), second)

        assert "twice" in refusal.message
        assert not dataset.list()["DatasetExists"]

    def test_keys_differ_by_case(self, dataset):
        """Keys are compared character by character."""
        dataset.update(replace("Key", "1"), replace("key", "2"))

        assert dataset.values() == {"Key": "1", "key": "2"}


class TestTombstones:
    """A removed record goes on telling that it was removed."""

    def test_removed_record_is_listed_without_value(self, dataset):
        """Other devices learn of a removal from a record that has no value."""
        dataset.put(a="1", b="1")

        dataset.update(remove("a", 1))

        (record,) = dataset.list(1)["Records"]
        assert (record["Key"], record["SyncCount"]) == ("a", 2)
        assert "Value" not in record

    @pytest.mark.parametrize("last_sync_count", [None, 0])
    def test_tombstones_are_listed_from_the_beginning(self, dataset, last_sync_count):
        """A device that starts from nothing sees removed records as well."""
        dataset.put(a="1", b="1")
        dataset.update(remove("a", 1))

        records = dataset.list(last_sync_count)["Records"]

        assert {"a", "b"} == {r["Key"] for r in records}

    @pytest.mark.parametrize("count", [2, 0])
    def test_removed_key_can_be_set_again(self, dataset, count):
        """Both the tombstone's count and 0 bring a removed key back."""
        dataset.put(a="1")
        dataset.update(remove("a", 1))

        answer = dataset.update(replace("a", "again", count))

        assert answer["Records"][0]["SyncCount"] == 3
        assert dataset.values() == {"a": "again"}

    @pytest.mark.parametrize("count", [1, 3])
    def test_removed_key_refuses_other_counts(self, dataset, count):
        """A count from before the removal conflicts with the tombstone."""
        dataset.put(a="1")
        dataset.update(remove("a", 1))

        with refused(409, "ResourceConflictException") as refusal:
            dataset.update(replace("a", "again", count))

        assert f"Current SyncCount for: a is: 2 not: {count}" == refusal.message

    def test_remove_of_an_unknown_key_is_echoed(self, dataset):
        """Removing what was never there is answered like any other removal."""
        (record,) = dataset.update(remove("ghost"))["Records"]

        assert (record["Key"], record["SyncCount"]) == ("ghost", 1)
        assert "Value" not in record

    @pytest.mark.parametrize("value", ["", "left over"])
    def test_remove_ignores_its_value(self, dataset, value):
        """The JavaScript client sends a value with a removal; it does not count."""
        dataset.put(a="1")

        (record,) = dataset.update({**remove("a", 1), "Value": value})["Records"]

        assert "Value" not in record
        assert dataset.values() == {"a": None}


class TestListing:
    """What a listing shows, and the members it always has."""

    def test_listing_is_exclusive(self, dataset):
        """A listing shows what is above the count that the device knows."""
        for number in range(1, 5):
            dataset.put(**{f"k{number}": "v"})

        shown = {n: {r["Key"] for r in dataset.list(n)["Records"]} for n in range(5)}

        assert {n: {f"k{i}" for i in range(n + 1, 5)} for n in range(5)} == shown

    def test_record_has_all_its_members(self, dataset):
        """A listed record tells its key, value, count, dates and who changed it."""
        dataset.update(replace("a", "1", DeviceLastModifiedDate=1_577_934_245))

        (record,) = dataset.list()["Records"]

        assert (record["Key"], record["Value"], record["SyncCount"]) == ("a", "1", 1)
        assert abs(record["LastModifiedDate"].timestamp() - time.time()) < 60
        assert record["LastModifiedBy"]
        assert record["DeviceLastModifiedDate"].timestamp() == 1_577_934_245

    @pytest.mark.parametrize("state", ["never", "live", "deleted", "empty"])
    def test_listing_always_has_the_members_that_clients_unbox(
        self, raw, dataset, state
    ):
        """Android reads these members without asking whether they are there."""
        if state != "never":
            dataset.put(a="1")
        if state == "deleted":
            dataset.delete()
        if state == "empty":
            dataset.update(remove("a", 1))

        answer = raw.call("GET", f"{dataset.path}/records").json

        assert answer.keys() >= LISTED_ALWAYS
        assert isinstance(answer["Records"], list)
        assert isinstance(answer["DatasetExists"], bool)
        assert isinstance(answer["DatasetDeletedAfterRequestedSyncCount"], bool)
        assert type(answer["DatasetSyncCount"]) is int
        assert answer["SyncSessionToken"]
        assert answer.get("NextToken") is None  # an empty one makes clients loop

    def test_dates_are_numbers_of_seconds(self, raw, dataset):
        """Dates on the wire are epoch seconds, and counts whole numbers."""
        dataset.put(a="1")

        (record,) = raw.call("GET", f"{dataset.path}/records").json["Records"]

        assert isinstance(record["LastModifiedDate"], int | float)
        assert abs(record["LastModifiedDate"] - time.time()) < 60
        assert type(record["SyncCount"]) is int

    @pytest.mark.parametrize("count", [-1, -37, -(2**63)])
    def test_negative_count_is_refused(self, dataset, count):
        """A negative lastSyncCount is invalid, whether the dataset exists or not."""
        for _ in range(2):
            with refused(400, "InvalidParameterException"):
                dataset.list(count)
            dataset.put(a="1")

    def test_count_above_the_dataset_is_refused(self, dataset):
        """A count that the dataset has not reached is refused in AWS's words."""
        dataset.put(a="1")

        with refused(400, "InvalidParameterException") as refusal:
            dataset.list(37)

        assert refusal.message == "No such SyncCount: 37 exists for this Dataset"

    def test_the_datasets_own_count_is_accepted(self, dataset):
        """A device that is up to date gets an empty listing."""
        dataset.put(a="1")

        answer = dataset.list(1)

        assert answer["Records"] == []
        assert answer["DatasetSyncCount"] == 1

    def test_everything_comes_in_one_answer_without_max_results(self, dataset):
        """The iOS client cannot page, so all 1,024 records come at once."""
        dataset.update(*(replace(f"k{n}", "v") for n in range(1024)))

        answer = dataset.list()

        assert {f"k{n}" for n in range(1024)} == {r["Key"] for r in answer["Records"]}
        assert "NextToken" not in answer

    def test_last_modified_by_of_the_listing(self, dataset):
        """The listing names who changed the dataset last."""
        dataset.update(replace("a", "1"), DeviceId="device-1")

        assert dataset.list()["LastModifiedBy"] == "device-1"


class TestPaging:
    """Pages of one listing show the dataset as of the first of them."""

    @pytest.fixture
    def filled(self, dataset):
        """A dataset with records at different counts."""
        dataset.put(f="1", b="1", d="1")
        dataset.put(c="2", a="2")
        dataset.put(e="3")
        return dataset

    @pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 7, 1024])
    def test_pages_add_up_in_order(self, filled, size):
        """Whatever their size, the pages hold each record once, by count and key."""
        pages = list(filled.pages(size))

        found = [(r["SyncCount"], r["Key"]) for p in pages for r in p["Records"]]
        assert found == [(1, "b"), (1, "d"), (1, "f"), (2, "a"), (2, "c"), (3, "e")]
        assert all(len(page["Records"]) <= size for page in pages)
        assert all(len(p["Records"]) == p["Count"] for p in pages)

    @pytest.mark.parametrize("size", [0, -5])
    def test_page_size_below_one_means_one(self, filled, size):
        """A page size that makes no sense is mended, not refused."""
        assert len(filled.list(MaxResults=size)["Records"]) == 1

    def test_huge_page_size_is_cut(self, filled):
        """A page size above the greatest is taken for the greatest."""
        answer = filled.list(MaxResults=2**31 - 1)

        assert len(answer["Records"]) == 6
        assert "NextToken" not in answer

    def test_pages_share_count_and_token(self, filled):
        """Every page repeats the count and the session token of the first."""
        pages = list(filled.pages(2))

        assert {3} == {page["DatasetSyncCount"] for page in pages}
        assert len({page["SyncSessionToken"] for page in pages}) == 1
        assert {True} == {page["DatasetExists"] for page in pages}

    def test_last_sync_count_holds_for_all_pages(self, filled):
        """The pages of a listing from a count show nothing at or below it."""
        pages = list(filled.pages(1, LastSyncCount=1))

        assert [r["Key"] for p in pages for r in p["Records"]] == ["a", "c", "e"]

    @pytest.mark.parametrize("size", [1, 2, 3])
    def test_writes_between_pages_are_neither_shown_nor_lost(self, filled, size):
        """Pages stay at the first one's snapshot; a listing from there has the rest."""
        pages = filled.pages(size)
        found = [next(pages)]
        filled.put(f="new", e="new", z="new")  # seen or unseen so far, and a new one
        filled.update(remove("c", 2))
        found += pages

        first, rest = found[0], filled.list(3)["Records"]
        shown = [r for page in found for r in page["Records"]]
        assert {3} == {page["DatasetSyncCount"] for page in found}
        assert {first["SyncSessionToken"]} == {p["SyncSessionToken"] for p in found}
        assert all(r["SyncCount"] <= 3 for r in shown)
        assert len(shown) == len({r["Key"] for r in shown})
        assert {"f", "e", "z", "c"} == {r["Key"] for r in rest}
        merged = {r["Key"]: r.get("Value") for r in (*shown, *rest)}
        assert filled.values() == merged

    def test_rest_can_be_had_in_one_answer(self, filled):
        """A next token without a page size gives all that is left."""
        first = filled.list(MaxResults=2)

        rest = filled.list(NextToken=first["NextToken"])

        assert [r["Key"] for r in rest["Records"]] == ["f", "a", "c", "e"]
        assert "NextToken" not in rest

    def test_pages_go_on_in_a_session(self, filled):
        """A session that is named with the first page is that of all pages."""
        token = filled.token()

        pages = list(filled.pages(2, SyncSessionToken=token))

        assert {token} == {page["SyncSessionToken"] for page in pages}
        assert sum(len(page["Records"]) for page in pages) == 6

    def test_token_of_the_pages_is_good_for_an_update(self, filled):
        """After the last page the device pushes with the token it was given."""
        *_, last = filled.pages(2)

        filled.update(replace("new", "v"), token=last["SyncSessionToken"])

        assert filled.values()["new"] == "v"

    def test_new_incarnation_does_not_slip_into_old_pages(self, filled):
        """When the dataset is deleted and made anew, old pages show none of it."""
        pages = filled.pages(2)
        found = [next(pages)]
        filled.delete()
        filled.put(b="other", new="other")
        found += pages

        assert all(
            r.get("Value") != "other" and r["SyncCount"] <= 3
            for page in found
            for r in page["Records"]
        )
        after = filled.list(found[0]["DatasetSyncCount"])
        assert after["DatasetDeletedAfterRequestedSyncCount"]
        assert {"b", "new"} == {r["Key"] for r in after["Records"]}

    def test_page_token_is_good_for_its_dataset_alone(self, sync, filled):
        """A NextToken of one dataset does not open another."""
        token = filled.list(MaxResults=1)["NextToken"]
        others = [
            Dataset(sync, filled.pool, filled.identity, "other"),
            Dataset(sync, filled.pool, new_identity()),
        ]

        for other in others:
            other.put(a="1", b="1")
            with refused(400, "InvalidParameterException"):
                other.list(MaxResults=1, NextToken=token)

    @pytest.mark.parametrize("token", ["x", "AAAA", "%00", "é", "a" * 2000])
    def test_made_up_page_token_is_refused(self, filled, token):
        """A NextToken that no answer gave is invalid."""
        with refused(400, "InvalidParameterException"):
            filled.list(MaxResults=1, NextToken=token)


class TestDeletedDatasets:
    """A device must learn that its dataset was deleted, even when it exists again."""

    def test_never_created(self, dataset):
        """A dataset that never was is answered, not refused, at any count."""
        for count in (None, 0, 12):
            answer = dataset.list(count)

            assert not answer["DatasetExists"]
            assert not answer["DatasetDeletedAfterRequestedSyncCount"]
            assert answer["DatasetSyncCount"] == 0
            assert answer["Records"] == []

    def test_deleted_and_gone(self, dataset):
        """While it is gone, devices that knew it are told, and new ones are not."""
        dataset.put(a="1")
        dataset.delete()

        for count, deleted in ((None, False), (0, False), (1, True), (99, True)):
            answer = dataset.list(count)

            assert not answer["DatasetExists"]
            assert deleted is answer["DatasetDeletedAfterRequestedSyncCount"]
            assert answer["DatasetSyncCount"] == 2  # its own count, and the deletion's
            assert answer["Records"] == []

    def test_count_goes_on_after_re_creation(self, dataset):
        """The counter does not start over, or old devices would be out of range."""
        for number in range(3):
            dataset.put(a=str(number))
        dataset.delete()

        answer = dataset.update(replace("b", "new"))

        assert answer["Records"][0]["SyncCount"] > 3
        assert dataset.list()["DatasetSyncCount"] > 3

    def test_deletion_is_told_with_the_new_records(self, dataset):
        """The answer that tells of the deletion carries the whole new incarnation."""
        dataset.put(a="old")
        dataset.put(b="old")
        dataset.delete()
        dataset.put(a="new")
        dataset.put(c="new")

        for count in (1, 2):
            answer = dataset.list(count)

            assert answer["DatasetExists"]
            assert answer["DatasetDeletedAfterRequestedSyncCount"]
            assert {r["Key"]: r["Value"] for r in answer["Records"]} == {
                "a": "new",
                "c": "new",
            }

    def test_new_device_is_not_told_of_an_old_deletion(self, dataset):
        """From 0, the new incarnation looks like any dataset."""
        dataset.put(a="old")
        dataset.delete()
        dataset.put(b="new")

        answer = dataset.list(0)

        assert not answer["DatasetDeletedAfterRequestedSyncCount"]
        assert [r["Key"] for r in answer["Records"]] == ["b"]

    def test_device_of_the_new_incarnation_is_not_told(self, dataset):
        """A device that has seen the new incarnation goes on with it."""
        dataset.put(a="old")
        dataset.delete()
        dataset.put(b="new")
        count = dataset.list()["DatasetSyncCount"]

        answer = dataset.list(count)

        assert not answer["DatasetDeletedAfterRequestedSyncCount"]
        assert answer["Records"] == []

    def test_old_records_do_not_come_back(self, dataset):
        """Records and tombstones of the old incarnation are gone: a key is at 0."""
        dataset.put(a="old", b="old")
        dataset.update(remove("b", 1))
        dataset.delete()

        dataset.update(replace("a", "new"), replace("b", "new"))

        assert dataset.values() == {"a": "new", "b": "new"}

    def test_stale_device_cannot_write_over_the_new_incarnation(self, dataset):
        """A patch with a count of the old incarnation conflicts."""
        dataset.put(a="old")
        dataset.put(a="old")
        dataset.delete()
        dataset.put(b="new")

        with refused(409, "ResourceConflictException") as refusal:
            dataset.update(replace("a", "stale", 2))

        assert refusal.message == "Current SyncCount for: a is: 0 not: 2"

    def test_deleting_again_and_again(self, dataset):
        """Each deletion is told to the devices of every incarnation before it."""
        seen = []
        for number in range(3):
            dataset.put(a=str(number))
            seen.append(dataset.list()["DatasetSyncCount"])
            dataset.delete()
        dataset.put(a="last")

        assert sorted(set(seen)) == seen
        assert all(
            dataset.list(n)["DatasetDeletedAfterRequestedSyncCount"] for n in seen
        )


class TestValues:
    """Values and keys come back as they went in."""

    @pytest.mark.parametrize(
        "text",
        [
            "é ü ß",
            "日本語のテキスト",
            "👩‍👩‍👧‍👦 \U0001f600 \U0010ffff",
            "\u0061\u0301 is not \u00e1",
            "עברית \u202e right to left",
            'tab\tline\nreturn\r quote" back\\slash /',
            "\u0001\u001f\u007f\u0085\u2028\u2029",
            "\ufeff\ufffe\uffff\ufffd",
            " leading and trailing ",
            "null",
            "%00 %3A + &amp; \\u0041",
        ],
    )
    def test_text_is_kept_to_the_character(self, dataset, text):
        """Keys and values may hold any character of Unicode but NUL."""
        dataset.update(replace(text, text))

        assert {text: text} == dataset.values()

    def test_unescaped_utf8_is_the_same_text(self, raw, dataset):
        """The JavaScript client sends raw UTF-8 where boto3 escapes."""
        patch = {"Op": "replace", "Key": "😀", "Value": "naïve 😀", "SyncCount": 0}
        body = {"SyncSessionToken": dataset.token(), "RecordPatches": [patch]}

        answer = raw.call(
            "POST", dataset.path, json.dumps(body, ensure_ascii=False).encode()
        )

        assert answer.status == 200
        assert dataset.values() == {"😀": "naïve 😀"}

    def test_empty_string_is_a_value(self, dataset):
        """An empty value is kept and is no removal."""
        (record,) = dataset.update(replace("a", ""))["Records"]

        assert record["Value"] == ""
        assert dataset.values() == {"a": ""}
        assert dataset.describe()["NumRecords"] == 1

    def test_replace_without_value_is_refused(self, dataset):
        """A replace needs a value; the refusal names the record."""
        with refused(400, "InvalidParameterException") as refusal:
            dataset.update(replace("fine", "v"), replace("lacking", None))

        assert "lacking" in refusal.message
        assert not dataset.list()["DatasetExists"]

    def test_replace_with_null_value_is_refused(self, raw, dataset):
        """A null value is no value."""
        answer = update_raw(
            raw,
            dataset,
            [{"Op": "replace", "Key": "lacking", "Value": None, "SyncCount": 0}],
        )

        assert (answer.status, answer.error) == (400, "InvalidParameterException")
        assert "lacking" in answer.message

    @pytest.mark.parametrize("value", [5, 1.5, True, False, ["x"], {"x": "y"}, []])
    def test_value_that_is_no_string_is_refused(self, raw, dataset, value):
        """Numbers and the like would come back as strings; the record is named."""
        patches = [
            {"Op": "replace", "Key": "fine", "Value": "v", "SyncCount": 0},
            {"Op": "replace", "Key": "wrong-one", "Value": value, "SyncCount": 0},
        ]

        answer = update_raw(raw, dataset, patches)

        assert (answer.status, answer.error) == (400, "SerializationException")
        assert "wrong-one" in answer.message
        assert not dataset.list()["DatasetExists"]

    def test_unknown_operation_is_refused(self, dataset):
        """A patch does one of two things."""
        with refused(400, "InvalidParameterException"):
            dataset.update({"Op": "append", "Key": "a", "Value": "v", "SyncCount": 0})

    @pytest.mark.parametrize("key", [" ", "\t\n", "\u0001", " \u001f "])
    def test_blank_key_is_refused(self, dataset, key):
        """A key that Java's trim() leaves empty would break the Android client."""
        with refused(400, "InvalidParameterException"):
            dataset.update(replace(key, "v"))

    @pytest.mark.parametrize("key", ["\u3000", "\u00a0", " x ", "\u0001x", "\u007f"])
    def test_key_that_is_nearly_blank_is_kept(self, dataset, key):
        """Any other key is kept as it is, with the spaces around it."""
        dataset.update(replace(key, "v"))

        assert {key: "v"} == dataset.values()


class TestDeviceDates:
    """DeviceLastModifiedDate in the forms that clients send."""

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ("1577934245", 1577934245),  # boto3 and .NET
            ("1423875641.895", 1423875641.895),  # Android, JavaScript
            ("1.412974081336E9", 1412974081.336),  # as in AWS's examples
            ("0", 0),
            ("-86400.5", -86400.5),
            ('"1423875641.895"', 1423875641.895),
            ('"2015-02-14T01:00:41.895Z"', 1423875641.895),
        ],
    )
    def test_date_is_kept_to_the_millisecond(self, raw, dataset, given, expected):
        """A date comes back as the same moment, in the listing and in the echo."""
        body = (
            f'{{"SyncSessionToken":"{dataset.token()}","RecordPatches":[{{"Op":"replace"'
            f',"Key":"a","Value":"v","SyncCount":0,"DeviceLastModifiedDate":{given}}}]}}'
        )

        answer = raw.call("POST", dataset.path, body.encode())

        assert answer.status == 200, answer.body
        listed = raw.call("GET", f"{dataset.path}/records")
        for each in (answer, listed):
            found = each.json["Records"][0]["DeviceLastModifiedDate"]
            assert math.isclose(expected, found, abs_tol=0.0005)

    def test_date_through_boto3(self, dataset):
        """A datetime of boto3 arrives as the same moment."""
        moment = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)

        dataset.update(replace("a", "v", DeviceLastModifiedDate=moment))

        assert moment == dataset.list()["Records"][0]["DeviceLastModifiedDate"]

    def test_date_may_be_left_out(self, dataset):
        """The iOS client sends none."""
        dataset.update(replace("a", "v"))

        assert "DeviceLastModifiedDate" not in dataset.list()["Records"][0]

    def test_text_that_is_no_date_is_refused(self, raw, dataset):
        """A string that cannot be read as a date is refused in AWS's words."""
        patch = {**replace("a", "v"), "DeviceLastModifiedDate": "yesterday"}

        answer = update_raw(raw, dataset, [patch])

        assert (answer.status, answer.error) == (400, "SerializationException")
        assert (
            answer.message
            == "class java.lang.String can not be converted to milliseconds since epoch"
        )


class TestUpdateAnswer:
    """What UpdateRecords answers."""

    def test_every_patched_key_is_echoed(self, dataset):
        """The answer holds one record for each patch, removals included."""
        dataset.put(a="1", b="1")

        answer = dataset.update(replace("a", "2", 1), remove("b", 1), replace("c", "3"))

        assert sorted(
            (r["Key"], r.get("Value"), r["SyncCount"]) for r in answer["Records"]
        ) == [("a", "2", 2), ("b", None, 2), ("c", "3", 2)]

    def test_echo_is_what_a_listing_shows(self, dataset):
        """The answer tells the same of a record as the next listing."""
        dataset.put(b="1")

        answer = dataset.update(
            replace("a", "2", DeviceLastModifiedDate=1_577_934_245),
            remove("b", 1),
            DeviceId="device-1",
        )

        def by_key(records):
            return sorted(records, key=lambda record: record["Key"])

        assert by_key(dataset.list()["Records"]) == by_key(answer["Records"])


class TestLastModifiedBy:
    """Every record and dataset names who changed it last."""

    def test_account_without_device(self, sync, dataset):
        """With developer credentials and no device it is the account."""
        (echo,) = dataset.update(replace("a", "1"))["Records"]

        (listed,) = sync.list_datasets(
            IdentityPoolId=dataset.pool, IdentityId=dataset.identity
        )["Datasets"]
        answer = dataset.list()
        assert {ACCOUNT} == {
            echo["LastModifiedBy"],
            answer["LastModifiedBy"],
            answer["Records"][0]["LastModifiedBy"],
            dataset.describe()["LastModifiedBy"],
            listed["LastModifiedBy"],
        }

    def test_device(self, dataset):
        """A DeviceId is named, on the records that it changed alone."""
        dataset.update(replace("a", "1"), replace("b", "1"), DeviceId="phone")

        dataset.update(replace("b", "2", 1), DeviceId="tablet 😀")

        named = {r["Key"]: r["LastModifiedBy"] for r in dataset.list()["Records"]}
        assert named == {"a": "phone", "b": "tablet 😀"}
        assert dataset.describe()["LastModifiedBy"] == "tablet 😀"

    def test_client_context_changes_nothing(self, dataset):
        """The client context header is accepted and has no effect."""
        dataset.update(replace("a", "1"), ClientContext='{"device":"x"}')

        assert dataset.list()["Records"][0]["LastModifiedBy"] == ACCOUNT


class TestLimits:
    """Limits are refused whole, and the message says what and by how much."""

    def test_datasets_of_an_identity(self, sync, pool, identity):
        """An identity has at most 20 datasets; a deleted one makes room."""
        datasets = [Dataset(sync, pool, identity, f"set-{n}") for n in range(21)]
        for each in datasets[:20]:
            each.update(replace("a", "1"))

        with refused(400, "LimitExceededException") as refusal:
            datasets[20].update(replace("a", "1"))

        assert_names(refusal.message, "set-20", "21", "20")
        assert not datasets[20].list()["DatasetExists"]
        datasets[0].put(a="2")  # those that exist can still be written
        datasets[1].delete()
        datasets[20].update(replace("a", "1"))
        with refused(400, "LimitExceededException"):
            datasets[1].update(replace("a", "1"))  # nor can a deleted one come back

    def test_records_of_a_dataset(self, dataset):
        """A dataset has at most 1,024 live records; a removed one makes room."""
        dataset.update(*(replace(f"k{n}", "v") for n in range(1024)))

        with refused(400, "LimitExceededException") as refusal:
            dataset.update(replace("one-more", "v"), replace("k1", "new", 1))

        assert_names(refusal.message, dataset.name, "1025", "1024")
        assert dataset.counts() == {f"k{n}": 1 for n in range(1024)}
        dataset.update(remove("k0", 1), replace("one-more", "v"))
        assert dataset.describe()["NumRecords"] == 1024

    def test_tombstones_do_not_count(self, dataset):
        """Removed records take no room among the 1,024."""
        dataset.update(*(replace(f"k{n}", "v") for n in range(1000)))
        dataset.update(*(remove(f"k{n}", 1) for n in range(1000)))

        dataset.update(*(replace(f"n{n}", "v") for n in range(1024)))

        assert dataset.describe()["NumRecords"] == 1024

    def test_bytes_of_a_dataset(self, dataset):
        """A dataset holds exactly 1,048,576 bytes of keys and values, and no more."""
        dataset.update(replace("a", "x" * 524_287), replace("b", "x" * 524_287))
        assert dataset.describe()["DataStorage"] == 1_048_576

        with refused(400, "LimitExceededException") as refusal:
            dataset.update(replace("c", ""))

        assert_names(refusal.message, dataset.name, "1048577", "1048576")
        assert dataset.counts() == {"a": 1, "b": 1}
        dataset.update(replace("a", "x" * 524_286, 1), replace("c", ""))

    def test_bytes_are_those_of_utf8(self, dataset):
        """Sizes are lengths in UTF-8, of keys as well as of values."""
        dataset.update(replace("é", "😀" * 10))

        assert dataset.describe()["DataStorage"] == 42
        with refused(400, "LimitExceededException"):
            dataset.update(replace("b", "😀" * 262_144))  # 262,144 characters only

    def test_longest_value(self, dataset):
        """A value may have 1,048,575 characters."""
        dataset.update(replace("k", "x" * 1_048_575))

        assert len(dataset.values()["k"]) == 1_048_575
        with refused(400, "InvalidParameterException"):
            dataset.update(replace("k", "x" * 1_048_576, 1))

    def test_longest_key(self, dataset):
        """A key may have 1,024 characters, whatever their bytes."""
        dataset.update(replace("k" * 1024, "v"), replace("é" * 1024, "v"))

        with refused(400, "InvalidParameterException"):
            dataset.update(replace("k" * 1025, "v"))
        assert dataset.describe()["NumRecords"] == 2

    def test_longest_device_id(self, dataset):
        """A DeviceId may have 256 characters."""
        dataset.update(replace("a", "1"), DeviceId="d" * 256)

        with refused(400, "InvalidParameterException"):
            dataset.update(replace("a", "1", 1), DeviceId="d" * 257)


def assert_names(message: str, *parts: str) -> None:
    """Check that a message holds each of these, however it groups digits."""
    plain = message.replace(",", "")
    assert all(part in plain for part in parts), message


class TestSettings:
    """The rules that an operator may change."""

    @pytest.fixture
    def own_dataset(self, start_server):
        """A dataset on a server with small limits that mends counts by itself."""
        server = start_server(
            settings={
                "self_heal_sync_counts": "true",
                "datasets_per_identity_max": "2",
                "records_per_dataset_max": "3",
                "dataset_bytes_max": "40",
                "record_key_chars_max": "5",
                "record_value_chars_max": "30",
            }
        )
        client = server.client("cognito-sync")
        yield Dataset(client, create_pool(server), new_identity())
        client.close()

    def test_server_with_other_settings(self, own_dataset):
        """Counts out of range are mended, and the limits are the chosen ones."""
        own_dataset.update(replace("a", "1"))
        own_dataset.update(replace("b", "1"))

        healed = own_dataset.list(37)

        assert healed["DatasetSyncCount"] == 2
        assert {"a", "b"} == {r["Key"] for r in healed["Records"]}
        assert not healed["DatasetDeletedAfterRequestedSyncCount"]
        with refused(400, "InvalidParameterException"):
            own_dataset.list(-1)
        with refused(400, "LimitExceededException") as refusal:
            own_dataset.update(replace("c", ""), replace("d", ""))
        assert_names(refusal.message, own_dataset.name, "4", "3")
        with refused(400, "LimitExceededException") as refusal:
            own_dataset.update(replace("c", "x" * 30), replace("b", "x" * 8, 2))
        assert_names(refusal.message, own_dataset.name, "42", "40")
        with refused(400, "InvalidParameterException"):
            own_dataset.update(replace("123456", ""))
        with refused(400, "InvalidParameterException"):
            own_dataset.update(replace("c", "x" * 31))
        for name in ("second", "third"):
            other = Dataset(
                own_dataset.client, own_dataset.pool, own_dataset.identity, name
            )
            if name == "second":
                other.update(replace("a", "1"))
                continue
            with refused(400, "LimitExceededException") as refusal:
                other.update(replace("a", "1"))
            assert_names(refusal.message, "third", "3", "2")
