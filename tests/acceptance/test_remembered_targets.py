"""What a server remembers of a target it remembers of the target, not of who asked."""

from __future__ import annotations

from acceptance.kinds import embedded_does
from acceptance.sync_client import new_identity, refused, replace
from acceptance.users import client_of, get_credentials

pytestmark = embedded_does("targets are remembered before a store is asked")


def list_records(client, pool, identity_id, **others):
    return client.list_records(
        IdentityPoolId=pool, IdentityId=identity_id, DatasetName="d", **others
    )


def test_it_opens_to_nobody_else(server, device, pool):
    """A target that one identity has called twice is refused to another."""
    owner, stranger = (get_credentials(device, pool) for _ in range(2))
    for _ in range(2):
        list_records(client_of(server, owner), pool, owner.identity_id)

    with refused(403, "NotAuthorizedException"):
        list_records(client_of(server, stranger), pool, owner.identity_id)


def test_it_says_what_is_there_now(sync, identity_pools, pool):
    """The same target shows what was written since, and that the pool is gone."""
    identity_id = new_identity()
    before = [list_records(sync, pool, identity_id) for _ in range(3)]
    sync.update_records(
        IdentityPoolId=pool,
        IdentityId=identity_id,
        DatasetName="d",
        SyncSessionToken=before[-1]["SyncSessionToken"],
        RecordPatches=[replace("k", "v")],
    )
    after = list_records(sync, pool, identity_id)
    identity_pools.delete_identity_pool(IdentityPoolId=pool)

    tokens = [each["SyncSessionToken"] for each in (*before, after)]
    assert len(set(tokens)) == len(tokens)
    assert [each["Value"] for each in after["Records"]] == ["v"]
    with refused(404, "ResourceNotFoundException"):
        list_records(sync, pool, identity_id)


def test_what_is_wrong_stays_wrong(sync, pool):
    """A value out of range is refused each time, and a right one answered."""
    identity_id = new_identity()
    for _ in range(3):
        with refused(400, "InvalidParameterException"):
            list_records(sync, pool, identity_id, LastSyncCount=-1)
        assert list_records(sync, pool, identity_id, LastSyncCount=0)["Records"] == []


def test_the_same_path_for_reading_and_writing(sync, pool):
    """One path leads elsewhere with another method."""
    identity_id = new_identity()
    names = {"IdentityPoolId": pool, "IdentityId": identity_id, "DatasetName": "d"}
    for count in range(2):
        token = list_records(sync, pool, identity_id)["SyncSessionToken"]
        patch = replace("k", str(count), count)
        updated = sync.update_records(
            **names, SyncSessionToken=token, RecordPatches=[patch]
        )
        described = sync.describe_dataset(**names)["Dataset"]

        assert updated["Records"][0]["SyncCount"] == count + 1
        assert described["NumRecords"] == 1
    sync.delete_dataset(**names)
    with refused(404, "ResourceNotFoundException"):
        sync.describe_dataset(**names)
