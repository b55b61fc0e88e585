"""Who may do what with a developer key that is bound to less than everything."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from millpond.contract.shapes import Callers
from millpond.core.identities import Identity
from millpond.errors import NotAuthorizedException
from millpond.server.bindings import APIS, bind
from millpond.service.audit import AuditBook
from millpond.service.callers import Caller, KeyScope
from millpond.stores.audit import taking_along
from millpond.stores.base import AuditEntry

OWN = "us-east-1:aaaaaaaa-0000-4000-8000-000000000000"
OTHER = "us-east-1:bbbbbbbb-0000-4000-8000-000000000000"
FOREIGN_IDENTITY = "us-east-1:cccccccc-0000-4000-8000-000000000000"
ARN = "arn:aws:cognito-identity:us-east-1:000000000000:identitypool/"
READS = {
    "Amazon Cognito Sync": {
        "DescribeDataset",
        "DescribeIdentityPoolUsage",
        "DescribeIdentityUsage",
        "GetBulkPublishDetails",
        "GetCognitoEvents",
        "GetIdentityPoolConfiguration",
        "ListDatasets",
        "ListIdentityPoolUsage",
        "ListRecords",
    },
    "Amazon Cognito Identity": {
        "DescribeIdentity",
        "DescribeIdentityPool",
        "GetIdentityPoolRoles",
        "GetPrincipalTagAttributeMap",
        "ListIdentities",
        "ListIdentityPools",
        "ListTagsForResource",
        "LookupDeveloperIdentity",
    },
    "Amazon Kinesis": {
        "DescribeAccountSettings",
        "DescribeLimits",
        "DescribeStream",
        "DescribeStreamConsumer",
        "DescribeStreamSummary",
        "GetRecords",
        "GetResourcePolicy",
        "GetShardIterator",
        "ListShards",
        "ListStreamConsumers",
        "ListStreams",
        "ListTagsForResource",
        "ListTagsForStream",
        "SubscribeToShard",
    },
    "AWS Security Token Service": {"GetCallerIdentity"},
    "Live updates": {"GetLiveUpdates"},
    "Streaming": {"GetBulkPublishProgress", "GetStreamDetails"},
    "Examination": {
        "ExamineIdentityPool",
        "ExamineServer",
        "GetIdentityPoolDetails",
    },
    "Audit": {"ListAuditEntries"},
}
"""By API, all that changes nothing; whatever else there is changes something."""
WITHOUT_POOL = {"GetCallerIdentity"}
OF_OWN_POOL = {"ListIdentityPools", "ListIdentityPoolUsage", "ListAuditEntries"}
"""Lists, which have the key's pool alone."""
OPERATIONS = [
    pytest.param(api, operation, modules, id=f"{api.title}-{operation.name}")
    for api, modules in APIS
    for operation in api.operations
    if operation.callers is not Callers.ANYONE
]


class TouchedError(Exception):
    """Something was read or written."""


class Untouchable:
    """A store that keeps audit entries, knows one identity, and is not to be asked."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []

    async def put_audit_entries(self, entries: list[AuditEntry]) -> None:
        self.entries += entries

    def taking_along(self, entry: AuditEntry) -> Any:
        return taking_along(entry)

    async def find_identity(self, identity_id: str) -> Identity | None:
        return Identity(
            identity_id=identity_id,
            identity_pool_id=OTHER,
            creation_date_ms=1,
            last_modified_date_ms=1,
            guest=True,
        )

    def __getattr__(self, name: str) -> Any:
        raise TouchedError(name)


class Place:
    """A context of which nothing but the store and the audit is there."""

    def __init__(self) -> None:
        self.store = Untouchable()
        self.audit = AuditBook(
            cast(Any, self.store), now_ms=lambda: 1, random_bytes=bytes
        )
        self.read_through = None

    def __getattr__(self, name: str) -> Any:
        raise TouchedError(name)


def ask(api: Any, operation: Any, modules: Any, caller: Caller, **named: Any) -> Place:
    """Call an operation with a request that has what is named, and nothing else."""
    place = Place()
    call = bind(api, operation, modules)
    request = SimpleNamespace(
        **{name: named.get(name) for name in operation.request.__struct_fields__}
    )
    asyncio.run(cast(Any, call)(place, caller, request))
    return place


@pytest.mark.parametrize(("api", "operation", "modules"), OPERATIONS)
def test_a_read_only_key_is_refused_what_changes_anything(
    api: Any, operation: Any, modules: Any
) -> None:
    """And nothing else; before anything is read or written."""
    caller = Caller("AKIA1", "0", scope=KeyScope(read_only=True))
    changes = operation.name not in READS[api.title]

    assert operation.changes is changes
    if operation.callers is Callers.USER:
        return
    named = {
        "identity_id": FOREIGN_IDENTITY,
        "identity_pool_id": OTHER,
        "dataset_name": "prefs",
    }
    if changes:
        with pytest.raises(NotAuthorizedException, match="read-only"):
            ask(api, operation, modules, caller, **named)
    else:
        try:
            ask(api, operation, modules, caller, **named)
        except NotAuthorizedException:
            pytest.fail("a read-only key may read")
        except Exception:
            pass  # it got through, to a store that is not there


@pytest.mark.parametrize(("api", "operation", "modules"), OPERATIONS)
def test_a_key_of_one_pool_reaches_nothing_of_another(
    api: Any, operation: Any, modules: Any
) -> None:
    """Wherever the other pool, or what is of none, is named."""
    caller = Caller("AKIA1", "0", scope=KeyScope(identity_pool_id=OWN))
    if operation.name in WITHOUT_POOL | OF_OWN_POOL:
        return  # see the tests with a server

    for arn in (ARN + OTHER, "arn:aws:kinesis:us-east-1:000000000000:stream/s"):
        with pytest.raises(NotAuthorizedException):
            ask(
                api,
                operation,
                modules,
                caller,
                identity_pool_id=OTHER,
                identity_id=FOREIGN_IDENTITY,
                dataset_name="prefs",
                identity_ids_to_delete=[FOREIGN_IDENTITY],
                resource_arn=arn,
            )


def test_what_is_refused_leaves_one_entry_that_counts() -> None:
    """Asking again and again takes no room, and pushes out nothing."""
    api, modules = next((a, m) for a, m in APIS if a.title == "Amazon Cognito Sync")
    call = bind(api, api.by_name["UpdateRecords"], modules)
    place = Place()
    caller = Caller("AKIA1", "0", scope=KeyScope("reader", read_only=True))
    request = SimpleNamespace(
        identity_pool_id=OWN, identity_id=FOREIGN_IDENTITY, dataset_name="prefs"
    )

    async def again_and_again() -> None:
        for _ in range(100):
            with pytest.raises(NotAuthorizedException):
                await cast(Any, call)(place, caller, request)
        await place.audit.flush()

    asyncio.run(again_and_again())
    first, last = place.store.entries

    assert first.entry_id == last.entry_id
    assert (last.changes, last.result) == (100, "NotAuthorizedException")
    assert (last.frequent, last.caller_name) == (True, "reader")
    assert (last.identity_pool_id, last.dataset_name) == (OWN, "prefs")
