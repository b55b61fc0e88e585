"""Usage: how much identities and pools hold."""

from __future__ import annotations

import time

import pytest

from acceptance.sync_client import Dataset, new_identity, refused, remove, replace

UNKNOWN_POOL = "us-east-1:00000000-0000-0000-0000-000000000000"


@pytest.fixture
def identity_usage(sync, pool, identity):
    """Ask for the usage of the identity."""

    def ask():
        return sync.describe_identity_usage(IdentityPoolId=pool, IdentityId=identity)[
            "IdentityUsage"
        ]

    return ask


@pytest.fixture
def pool_usage(sync, pool):
    """Ask for the usage of the pool."""

    def ask():
        return sync.describe_identity_pool_usage(IdentityPoolId=pool)[
            "IdentityPoolUsage"
        ]

    return ask


class TestIdentityUsage:
    """DescribeIdentityUsage."""

    def test_usage_adds_up_the_datasets(self, sync, pool, identity, identity_usage):
        """An identity holds the UTF-8 bytes of the keys and values of its datasets."""
        Dataset(sync, pool, identity, "one").update(replace("ké", "värde"))
        Dataset(sync, pool, identity, "two").update(
            replace("a", "😀"), replace("b", "")
        )
        Dataset(sync, pool, new_identity(), "one").update(replace("other", "one"))

        usage = identity_usage()

        assert (identity, pool) == (usage["IdentityId"], usage["IdentityPoolId"])
        assert (usage["DatasetCount"], usage["DataStorage"]) == (2, 3 + 6 + 1 + 4 + 1)
        assert abs(usage["LastModifiedDate"].timestamp() - time.time()) < 60

    def test_usage_follows_changes(self, dataset, identity_usage):
        """Replaced, removed and deleted data no longer counts."""
        dataset.update(replace("a", "12345"), replace("b", "12345"))
        before = identity_usage()
        dataset.update(replace("a", "1", 1))
        dataset.update(remove("b", 1))
        shrunk = identity_usage()
        dataset.delete()

        assert (before["DatasetCount"], before["DataStorage"]) == (1, 12)
        assert (shrunk["DatasetCount"], shrunk["DataStorage"]) == (1, 2)
        after = identity_usage()
        assert (after["DatasetCount"], after["DataStorage"]) == (0, 0)

    def test_identity_without_data_is_not_found(self, identity_usage, identity):
        """An identity that never had data is unknown."""
        with refused(404, "ResourceNotFoundException") as refusal:
            identity_usage()

        assert identity in refusal.message

    def test_unknown_pool(self, sync, identity):
        """The refusal of an unknown pool has the words that SDKs' tests look for."""
        with refused(404, "ResourceNotFoundException") as refusal:
            sync.describe_identity_usage(
                IdentityPoolId=UNKNOWN_POOL, IdentityId=identity
            )

        assert f"IdentityPool '{UNKNOWN_POOL}' not found" == refusal.message


class TestIdentityPoolUsage:
    """DescribeIdentityPoolUsage."""

    def test_usage_adds_up_the_identities(self, sync, pool, pool_usage):
        """A pool holds what its identities hold."""
        for _ in range(3):
            Dataset(sync, pool, new_identity()).update(replace("key", "value"))

        usage = pool_usage()

        assert (pool, 24) == (usage["IdentityPoolId"], usage["DataStorage"])
        assert abs(usage["LastModifiedDate"].timestamp() - time.time()) < 60

    def test_usage_follows_deletion(self, dataset, pool_usage):
        """Deleting a dataset gives its bytes back."""
        dataset.put(a="1234")
        before = pool_usage()["DataStorage"]
        dataset.delete()

        assert (before, pool_usage()["DataStorage"]) == (5, 0)

    def test_fresh_pool_holds_nothing(self, pool_usage):
        """A pool without data says so."""
        usage = pool_usage()

        assert (usage["DataStorage"], usage["SyncSessionsCount"]) == (0, 0)

    def test_sync_sessions_are_counted(self, dataset, pool_usage):
        """A listing begins a session; going on with its token does not."""
        token = dataset.token()
        dataset.token()
        dataset.list(SyncSessionToken=token)
        dataset.update(replace("a", "1"), token=token)

        assert pool_usage()["SyncSessionsCount"] == 2

    def test_unknown_pool(self, sync):
        """An unknown pool is not found."""
        with refused(404, "ResourceNotFoundException") as refusal:
            sync.describe_identity_pool_usage(IdentityPoolId=UNKNOWN_POOL)

        assert f"IdentityPool '{UNKNOWN_POOL}' not found" == refusal.message


class TestListIdentityPoolUsage:
    """ListIdentityPoolUsage."""

    def pages(self, sync, size):
        """List page by page."""
        page = sync.list_identity_pool_usage(MaxResults=size)
        yield page
        while "NextToken" in page:
            page = sync.list_identity_pool_usage(
                MaxResults=size, NextToken=page["NextToken"]
            )
            yield page

    def test_pages_hold_every_pool_once(self, sync, identity_pools):
        """Going through all pages shows each pool once, with its own usage."""
        made = []
        for number in range(5):
            made.append(
                identity_pools.create_identity_pool(
                    IdentityPoolName="listed", AllowUnauthenticatedIdentities=True
                )["IdentityPoolId"]
            )
            Dataset(sync, made[-1], new_identity()).update(replace("k", "v" * number))

        pages = list(self.pages(sync, 3))

        usages = [u for page in pages for u in page["IdentityPoolUsages"]]
        found = {u["IdentityPoolId"]: u["DataStorage"] for u in usages}
        assert len(found) == len(usages)
        assert {p: n + 1 for n, p in enumerate(made)} == {p: found[p] for p in made}
        assert all(page["MaxResults"] == 3 for page in pages)
        assert all(page["Count"] == len(page["IdentityPoolUsages"]) for page in pages)
        assert all(page["Count"] == 3 for page in pages[:-1])

    @pytest.mark.parametrize("size", [-1, 0, 64, 100_000])
    def test_odd_page_sizes_are_taken(self, sync, pool, size):
        """A page size out of range is mended, not refused."""
        page = sync.list_identity_pool_usage(MaxResults=size)

        assert page["IdentityPoolUsages"]

    @pytest.mark.parametrize("token", ["x", "", "AAAAAAAAAAAAAAAAAAAAAAAA"])
    def test_made_up_token_is_refused(self, sync, token):
        """A NextToken that no answer gave is invalid."""
        with refused(400, "InvalidParameterException"):
            sync.list_identity_pool_usage(NextToken=token)
