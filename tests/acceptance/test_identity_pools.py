"""Identity pools: create, describe, list, update and delete them."""

from __future__ import annotations

import re
import uuid

import pytest

from acceptance.sync_client import Dataset, refused, replace

DESCRIPTION = {
    "IdentityPoolName": "A pool_1 + more",
    "AllowUnauthenticatedIdentities": False,
    "AllowClassicFlow": True,
    "SupportedLoginProviders": {"accounts.google.com": "client-id.x"},
    "DeveloperProviderName": "login.example",
    "OpenIdConnectProviderARNs": ["arn:aws:iam::123456789012:oidc-provider/x"],
    "SamlProviderARNs": ["arn:aws:iam::123456789012:saml-provider/x"],
    "CognitoIdentityProviders": [
        {
            "ProviderName": "cognito-idp.us-east-1.amazonaws.com/us-east-1_x",
            "ClientId": "abc123",
            "ServerSideTokenCheck": True,
        }
    ],
    "IdentityPoolTags": {"stage": "test"},
}


def without_metadata(answer):
    """Take away what boto3 adds."""
    return {k: v for k, v in answer.items() if k != "ResponseMetadata"}


def test_created_pool_is_described(identity_pools):
    """A pool keeps all of its description."""
    created = without_metadata(identity_pools.create_identity_pool(**DESCRIPTION))

    described = identity_pools.describe_identity_pool(
        IdentityPoolId=created["IdentityPoolId"]
    )

    assert without_metadata(described) == created
    assert {k: created[k] for k in DESCRIPTION} == DESCRIPTION


def test_id_is_a_region_and_a_guid(pool):
    """Ids have the form that clients and the API's own checks expect."""
    assert re.fullmatch(r"us-east-1:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", pool)


def test_pools_may_share_a_name(identity_pools):
    """Names are for people: two pools of one name are two pools."""
    one, other = (
        identity_pools.create_identity_pool(
            IdentityPoolName="same", AllowUnauthenticatedIdentities=True
        )
        for _ in range(2)
    )

    assert one["IdentityPoolId"] != other["IdentityPoolId"]


def test_list_pages_hold_every_pool_once(identity_pools):
    """Going through all pages shows each pool once, with its name."""
    name = f"listed {uuid.uuid4()}"
    made = {
        identity_pools.create_identity_pool(
            IdentityPoolName=name, AllowUnauthenticatedIdentities=True
        )["IdentityPoolId"]
        for _ in range(5)
    }
    page = identity_pools.list_identity_pools(MaxResults=2)
    found = page["IdentityPools"]
    while "NextToken" in page:
        page = identity_pools.list_identity_pools(
            MaxResults=2, NextToken=page["NextToken"]
        )
        assert len(page["IdentityPools"]) <= 2
        found += page["IdentityPools"]

    ids = [each["IdentityPoolId"] for each in found]
    named = {
        each["IdentityPoolId"] for each in found if each["IdentityPoolName"] == name
    }
    assert len(ids) == len(set(ids))
    assert named == made


def test_update_replaces_the_description(identity_pools):
    """An update replaces everything that it may replace."""
    pool = identity_pools.create_identity_pool(**DESCRIPTION)["IdentityPoolId"]
    changed = {
        "IdentityPoolName": "renamed",
        "AllowUnauthenticatedIdentities": True,
        "DeveloperProviderName": "login.example",
    }

    identity_pools.update_identity_pool(IdentityPoolId=pool, **changed)

    found = without_metadata(identity_pools.describe_identity_pool(IdentityPoolId=pool))
    assert found == {"IdentityPoolId": pool, **changed}


def test_developer_provider_name_stays(identity_pools):
    """Once set, the name of the developer provider cannot be changed."""
    pool = identity_pools.create_identity_pool(**DESCRIPTION)["IdentityPoolId"]

    with refused(400, "InvalidParameterException"):
        identity_pools.update_identity_pool(
            IdentityPoolId=pool,
            **{**DESCRIPTION, "DeveloperProviderName": "another.example"},
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"IdentityPoolName": "no/slash"},
        {"IdentityPoolName": "x" * 129},
        {"DeveloperProviderName": "no spaces"},
        {"SupportedLoginProviders": {f"p{n}": "x" for n in range(11)}},
        {"IdentityPoolTags": {f"t{n}": "x" for n in range(51)}},
    ],
)
def test_wrong_description_is_refused(identity_pools, wrong):
    """Names and lists have the limits of the API."""
    call = {"IdentityPoolName": "x", "AllowUnauthenticatedIdentities": True, **wrong}

    with pytest.raises(identity_pools.exceptions.ClientError) as caught:
        identity_pools.create_identity_pool(**call)

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_too_many_pools(start_server):
    """The number of pools has a limit, and the refusal names it."""
    server = start_server(settings={"identity_pools_max": "2"})
    client = server.client("cognito-identity")
    call = {"IdentityPoolName": "x", "AllowUnauthenticatedIdentities": True}
    first, _ = (client.create_identity_pool(**call) for _ in range(2))

    with refused(400, "LimitExceededException") as refusal:
        client.create_identity_pool(**call)

    assert "3" in refusal.message
    assert "2" in refusal.message
    client.delete_identity_pool(IdentityPoolId=first["IdentityPoolId"])
    client.create_identity_pool(**call)
    client.close()


class TestDelete:
    """A deleted pool is gone, with everything in it."""

    def test_every_operation_refuses_it(self, identity_pools, sync, pool, dataset):
        """Nothing of a deleted pool can be read, written or published."""
        token = dataset.token()
        dataset.put(a="1")

        identity_pools.delete_identity_pool(IdentityPoolId=pool)

        one = {"IdentityPoolId": pool}
        of_identity = {**one, "IdentityId": dataset.identity}
        calls = [
            lambda: identity_pools.describe_identity_pool(**one),
            lambda: identity_pools.delete_identity_pool(**one),
            lambda: identity_pools.update_identity_pool(
                **one, IdentityPoolName="x", AllowUnauthenticatedIdentities=True
            ),
            lambda: dataset.list(),
            lambda: dataset.describe(),
            lambda: dataset.delete(),
            lambda: dataset.update(replace("a", "2", 1), token=token),
            lambda: sync.list_datasets(**of_identity),
            lambda: sync.describe_identity_usage(**of_identity),
            lambda: sync.describe_identity_pool_usage(**one),
            lambda: sync.get_identity_pool_configuration(**one),
            lambda: sync.set_identity_pool_configuration(**one),
            lambda: sync.bulk_publish(**one),
            lambda: sync.get_bulk_publish_details(**one),
        ]
        for number, call in enumerate(calls):
            # Cognito Identity is an AWS JSON API: its refusals all have status 400.
            status = 400 if number < 3 else 404
            with refused(status, "ResourceNotFoundException") as refusal:
                call()
            assert f"IdentityPool '{pool}' not found" in refusal.message

    def test_it_is_not_listed(self, identity_pools, sync, pool):
        """A deleted pool is in no list."""
        identity_pools.delete_identity_pool(IdentityPoolId=pool)

        for operation, member in (
            (identity_pools.list_identity_pools, "IdentityPools"),
            (sync.list_identity_pool_usage, "IdentityPoolUsages"),
        ):
            page = operation(MaxResults=60)
            found = [each["IdentityPoolId"] for each in page[member]]
            while "NextToken" in page:
                page = operation(MaxResults=60, NextToken=page["NextToken"])
                found += [each["IdentityPoolId"] for each in page[member]]
            assert pool not in found

    def test_other_pools_stay(self, identity_pools, sync, pool, dataset):
        """Deleting a pool leaves the data of others alone."""
        other = identity_pools.create_identity_pool(
            IdentityPoolName="other", AllowUnauthenticatedIdentities=True
        )["IdentityPoolId"]
        same = Dataset(sync, other, dataset.identity)
        for each in (dataset, same):
            each.put(a="1")

        identity_pools.delete_identity_pool(IdentityPoolId=pool)

        assert same.values() == {"a": "1"}

    def test_run_of_a_deleted_pool_ends(
        self, identity_pools, sync, kinesis, streaming_pool, identity, server
    ):
        """Deleting a pool while it is published does no harm to the server."""
        for number in range(5):
            Dataset(sync, streaming_pool, identity, f"d{number}").put(a="1")
        sync.bulk_publish(IdentityPoolId=streaming_pool)

        identity_pools.delete_identity_pool(IdentityPoolId=streaming_pool)

        with refused(404, "ResourceNotFoundException"):
            sync.get_bulk_publish_details(IdentityPoolId=streaming_pool)
        assert not [line for line in server.log if '"worker.failed"' in line]
