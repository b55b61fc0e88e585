"""Datasets: describe, list and delete them."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from acceptance.sync_client import Dataset, new_identity, refused, remove, replace

UNKNOWN_POOL = "us-east-1:00000000-0000-0000-0000-000000000000"


class TestDescribe:
    """DescribeDataset."""

    def test_description_has_all_members(self, dataset):
        """A description tells names, dates, sizes and who changed it."""
        dataset.update(replace("key", "värde"), replace("b", "2"), DeviceId="phone")

        found = dataset.describe()

        dates = {found.pop("CreationDate"), found.pop("LastModifiedDate")}
        assert {
            "IdentityId": dataset.identity,
            "DatasetName": dataset.name,
            "LastModifiedBy": "phone",
            "DataStorage": 3 + 6 + 1 + 1,
            "NumRecords": 2,
        } == found
        assert all(abs(date.timestamp() - time.time()) < 60 for date in dates)

    def test_removed_records_are_not_counted(self, dataset):
        """Tombstones take neither a number nor bytes."""
        dataset.update(replace("a", "1"), replace("b", "1"))
        dataset.update(remove("a", 1))

        found = dataset.describe()

        assert (found["NumRecords"], found["DataStorage"]) == (1, 2)

    def test_dates_of_creation_and_change(self, dataset):
        """The date of creation stays, the other moves with each update."""
        dataset.put(a="1")
        created = dataset.describe()["CreationDate"]
        while datetime.now(UTC).timestamp() - created.timestamp() < 0.002:
            pass  # dates have milliseconds
        dataset.put(a="2")

        found = dataset.describe()

        assert created == found["CreationDate"] < found["LastModifiedDate"]

    def test_new_incarnation_has_a_new_date(self, dataset):
        """A dataset that was made anew was created at that time."""
        dataset.put(a="1")
        first = dataset.describe()["CreationDate"]
        dataset.delete()
        while datetime.now(UTC).timestamp() - first.timestamp() < 0.002:
            pass
        dataset.put(a="1")

        assert first < dataset.describe()["CreationDate"]

    def test_unknown_dataset(self, dataset):
        """A dataset that never was is not found."""
        with refused(404, "ResourceNotFoundException") as refusal:
            dataset.describe()

        assert dataset.name in refusal.message

    @pytest.mark.parametrize(
        "name",
        [
            "x",
            "n" * 128,
            "with.dots-and_lines:colons",
            "prefs.us-east-1:00000000-0000-0000-0000-000000000001",
            "...",
            ".hidden",
            "-",
            "records",
            "datasets",
            "subscriptions",
        ],
    )
    def test_names(self, sync, pool, identity, name):
        """Every name that the API allows works in every operation."""
        dataset = Dataset(sync, pool, identity, name)
        dataset.update(replace("a", "1"))

        assert name == dataset.describe()["DatasetName"]
        assert dataset.values() == {"a": "1"}
        assert name == dataset.delete()["DatasetName"]

    @pytest.mark.parametrize("name", ["n" * 129, "with space", "sl/ash", "ü", "a%b"])
    def test_names_that_are_not_allowed(self, sync, pool, identity, name):
        """Other names are invalid."""
        with refused(400, "InvalidParameterException"):
            Dataset(sync, pool, identity, name).list()

    def test_names_differ_by_case(self, sync, pool, identity):
        """Names are compared character by character."""
        for name in ("Prefs", "prefs"):
            Dataset(sync, pool, identity, name).update(replace("a", name))

        assert Dataset(sync, pool, identity, "Prefs").values() == {"a": "Prefs"}


class TestDelete:
    """DeleteDataset."""

    def test_answer_is_the_dataset_as_it_was(self, dataset):
        """Deleting answers what was deleted."""
        dataset.put(a="1", b="2")
        before = dataset.describe()

        assert before == dataset.delete()

    def test_deleted_dataset_is_gone(self, sync, dataset):
        """A deleted dataset is not described, listed or deleted again."""
        dataset.put(a="1")
        dataset.delete()

        for call in (dataset.describe, dataset.delete):
            with refused(404, "ResourceNotFoundException"):
                call()
        found = sync.list_datasets(
            IdentityPoolId=dataset.pool, IdentityId=dataset.identity
        )
        assert (found["Datasets"], found["Count"]) == ([], 0)

    def test_others_stay(self, sync, pool, identity, dataset):
        """Deleting one dataset leaves all others alone."""
        others = [
            Dataset(sync, pool, identity, "other"),
            Dataset(sync, pool, new_identity(), dataset.name),
        ]
        for each in (dataset, *others):
            each.put(a="1")

        dataset.delete()

        assert [each.values() for each in others] == [{"a": "1"}] * 2


class TestList:
    """ListDatasets."""

    @pytest.fixture
    def names(self, sync, pool, identity):
        """The names of seven datasets, in order, made in another one."""
        names = ["A", "B.x", "a", "a.b", "a:b", "b", "c"]
        for name in (names[3], *names[:3], *reversed(names[4:])):
            Dataset(sync, pool, identity, name).update(replace("k", name))
        return names

    def pages(self, sync, pool, identity, size):
        """List page by page."""
        ids = {"IdentityPoolId": pool, "IdentityId": identity, "MaxResults": size}
        page = sync.list_datasets(**ids)
        yield page
        while "NextToken" in page:
            page = sync.list_datasets(**ids, NextToken=page["NextToken"])
            yield page

    def test_list_is_complete_and_in_order(self, sync, pool, identity, names):
        """All datasets of the identity are listed by name, each as it is described."""
        Dataset(sync, pool, new_identity(), "not-ours").update(replace("a", "1"))

        answer = sync.list_datasets(IdentityPoolId=pool, IdentityId=identity)

        found = answer["Datasets"]
        assert names == [each["DatasetName"] for each in found]
        assert len(names) == answer["Count"]
        assert "NextToken" not in answer
        assert found == [
            Dataset(sync, pool, identity, name).describe() for name in names
        ]

    @pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 8, 64])
    def test_pages_add_up(self, sync, pool, identity, names, size):
        """Whatever their size, the pages hold each dataset once, in order."""
        pages = list(self.pages(sync, pool, identity, size))

        assert names == [d["DatasetName"] for p in pages for d in p["Datasets"]]
        assert all(page["Count"] == len(page["Datasets"]) <= size for page in pages)

    @pytest.mark.parametrize(("size", "expected"), [(0, 1), (-3, 1), (100_000, 7)])
    def test_odd_page_sizes_are_mended(
        self, sync, pool, identity, names, size, expected
    ):
        """A page size out of range is mended, not refused."""
        answer = next(self.pages(sync, pool, identity, size))

        assert expected == len(answer["Datasets"])

    def test_unknown_identity_has_none(self, sync, pool):
        """An identity that never had data has an empty list."""
        answer = sync.list_datasets(IdentityPoolId=pool, IdentityId=new_identity())

        assert (answer["Datasets"], answer["Count"]) == ([], 0)

    def test_members_that_clients_unbox(self, raw, dataset):
        """Numbers are numbers and LastModifiedBy is text on the wire."""
        dataset.put(a="1")
        path = f"/identitypools/{dataset.pool}/identities/{dataset.identity}/datasets"

        (found,) = raw.call("GET", path).json["Datasets"]

        assert type(found["DataStorage"]) is int
        assert type(found["NumRecords"]) is int
        assert isinstance(found["LastModifiedBy"], str)
        assert isinstance(found["CreationDate"], int | float)

    def test_token_is_good_for_its_identity_alone(
        self, sync, pool, identity, names, dataset
    ):
        """A NextToken of one identity does not open another's list."""
        token = next(self.pages(sync, pool, identity, 1))["NextToken"]

        with refused(400, "InvalidParameterException"):
            sync.list_datasets(
                IdentityPoolId=pool, IdentityId=new_identity(), NextToken=token
            )


class TestUnknownPool:
    """Every operation refuses a pool that does not exist."""

    @pytest.mark.parametrize(
        "call",
        [
            lambda dataset: dataset.describe(),
            lambda dataset: dataset.delete(),
            lambda dataset: dataset.list(),
            lambda dataset: dataset.client.list_datasets(
                IdentityPoolId=dataset.pool, IdentityId=dataset.identity
            ),
        ],
    )
    def test_pool_is_not_found(self, sync, identity, call):
        """The refusal names the pool."""
        with refused(404, "ResourceNotFoundException") as refusal:
            call(Dataset(sync, UNKNOWN_POOL, identity))

        assert f"IdentityPool '{UNKNOWN_POOL}' not found" == refusal.message
