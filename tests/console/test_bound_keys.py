"""Keys that may only read, or are for one pool: in the console, and for deletions."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cli import world
from cli.world import ANN, EMPTY_POOL, GUEST, NOBODY, POOL
from console.visitor import Visitor
from console.worlds import serving
from millpond.console.base import link
from millpond.core.sync import DatasetId
from millpond.stores.base import Store
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer
from millpond.testing.store_contract.bench import put
from millpond.testing.store_contract.identities import an_identity, keep

THERE = "us-east-1:f1000000-0000-4000-8000-000000000001"
BOTH = "us-east-1:f2000000-0000-4000-8000-000000000002"
"""Has no identity, and data in both pools."""
PAGES_OF_OTHERS = (
    link("/pools/{pool}", pool=POOL),
    link("/pools/{pool}/examination", pool=POOL),
    link("/pools/{pool}/change/{part}", pool=POOL, part="tags"),
    link("/pools/{pool}/delete", pool=POOL),
    link("/identities", {"pool": POOL}),
    *(
        link("/identities/{identity}" + rest, identity=each)
        for each in (ANN, NOBODY)
        for rest in ("", "/export", "/delete")
    ),
    link("/identities/delete", {"identity": [THERE, ANN]}),
    link("/identities/delete", {"identity": BOTH}),
    link("/identities/{identity}/delete", identity=BOTH),
)


async def fill(store: Store) -> None:
    """The small world, and in its other pool one identity and a stray dataset."""
    await world.fill(store)
    await keep(store, an_identity(THERE, pool=EMPTY_POOL, guest=True))
    for pool in (POOL, EMPTY_POOL):
        await put(store, DatasetId(pool, BOTH, "prefs"), {"k": "v"})


@pytest.fixture(scope="module")
def bound_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with these people."""
    with serving(tmp_path_factory.mktemp("bound"), fill=fill) as running:
        yield running


def make_key(server: RunningServer, *words: str) -> Any:
    """Make a key as an administrator does."""
    command = [sys.executable, "-m", "millpond", "key", "create", *words]
    made = subprocess.run(
        [*command, *server.store_words, "--output", "json"],
        capture_output=True,
        check=True,
        timeout=seconds(60),
    )
    found = json.loads(made.stdout)
    return SimpleNamespace(
        access_key_id=found["AccessKeyId"], secret_access_key=found["SecretAccessKey"]
    )


def somebody(server: RunningServer, key: Any) -> Visitor:
    """Log in with a key."""
    visitor = Visitor(server.endpoint)
    visitor.log_in(key)
    return visitor


@pytest.fixture(scope="module")
def pool_key(bound_server: RunningServer) -> Any:
    return make_key(bound_server, "--identity-pool-id", EMPTY_POOL)


@pytest.fixture(scope="module")
def of_one_pool(bound_server: RunningServer, pool_key: Any) -> Visitor:
    return somebody(bound_server, pool_key)


@pytest.fixture(scope="module")
def reader(bound_server: RunningServer) -> Visitor:
    return somebody(bound_server, make_key(bound_server, "--scope", "read-only"))


def test_a_key_of_one_pool_sees_no_other(of_one_pool: Visitor) -> None:
    """Its own in every list, without being asked for; others are not there."""
    pools = of_one_pool.json("/console/pools")["pools"]
    identities = of_one_pool.json("/console/identities")

    assert [each["identity_pool_id"] for each in pools] == [EMPTY_POOL]
    assert [each["identity_id"] for each in identities["identities"]] == [THERE]
    assert [each["identity_pool_id"] for each in identities["pools"]] == [EMPTY_POOL]
    for query in ({"q": ANN}, {"by": "login", "q": world.SUBJECT}, {"q": NOBODY}):
        url = link("/identities", {**query, "format": "json"})
        found = of_one_pool.get(url).data
        assert (found["identities"], found["data_alone"]) == ([], [])


@pytest.mark.parametrize("path", PAGES_OF_OTHERS)
def test_what_is_of_another_pool_is_not_there(of_one_pool: Visitor, path: str) -> None:
    """404, as if it were not, for pages and their data."""
    answer = of_one_pool.get(path)

    assert answer.status == 404
    assert world.SUBJECT not in answer.text


def test_a_key_of_one_pool_changes_no_other(
    of_one_pool: Visitor, bound_server: RunningServer
) -> None:
    """Neither pools nor identities, whichever form is sent."""
    for path, form in (
        (f"/pools/{POOL}/delete", {"name": "Players"}),
        (f"/pools/{POOL}/change/tags", {"seen": "x", "IdentityPoolTags": "a = b"}),
        (f"/identities/{ANN}/delete", {"identity_id": ANN}),
        (f"/identities/{BOTH}/delete", {"identity_id": BOTH}),
        ("/identities/delete", {"identity": ANN, "count": "1"}),
        ("/pools/new", {"IdentityPoolName": "x"}),
        ("/pools/adopt", {"IdentityPoolId": "us-east-1:1", "IdentityPoolName": "x"}),
    ):
        assert of_one_pool.post(f"/console{path}", form).status in (403, 404), path
    everything = Visitor(bound_server.endpoint)
    everything.log_in(bound_server)
    assert everything.get(f"/console/identities/{ANN}").status == 200
    assert len(everything.json("/console/pools")["pools"]) == 2


@pytest.mark.parametrize("identity", [ANN, NOBODY, BOTH])
def test_no_data_of_another_pool_is_deleted_by_its_id(
    bound_server: RunningServer, pool_key: Any, identity: str
) -> None:
    """Whether there is an identity of that id or data alone: the API refuses it."""
    client = bound_server.client(
        "cognito-identity",
        aws_access_key_id=pool_key.access_key_id,
        aws_secret_access_key=pool_key.secret_access_key,
    )
    with pytest.raises(ClientError) as caught:
        client.delete_identities(IdentityIdsToDelete=[identity])

    assert caught.value.response["Error"]["Code"] == "NotAuthorizedException"
    datasets = bound_server.client("cognito-sync").list_datasets(
        IdentityPoolId=POOL, IdentityId=identity
    )
    assert datasets["Count"] == 1


def test_a_key_that_may_only_read_is_shown_no_forms(reader: Visitor) -> None:
    """But everything else; what is sent all the same is refused and changes nothing."""
    for path in (
        "/pools",
        "/pools/new",
        "/pools/adopt",
        f"/pools/{POOL}",
        f"/pools/{POOL}/examination",
        f"/pools/{POOL}/change/tags",
        f"/pools/{POOL}/delete",
        f"/identities?pool={POOL}",
        f"/identities/{ANN}",
        f"/identities/{ANN}/delete",
        f"/identities/delete?identity={ANN}",
    ):
        page = reader.get(f"/console{path}")
        assert page.status == 200, path
        main = page.text.partition("<main")[2]
        assert 'method="post"' not in main
        assert 'type="checkbox" name="identity"' not in main
    assert reader.get(f"/console/identities/{ANN}/export").status == 200
    for path, form in (
        (f"/pools/{POOL}/delete", {"name": "Players"}),
        (f"/identities/{GUEST}/delete", {"identity_id": GUEST}),
        ("/identities/delete", {"identity": GUEST, "count": "1"}),
        ("/pools/new", {"IdentityPoolName": "x"}),
    ):
        assert reader.post(f"/console{path}", form).status == 403
    assert reader.get(f"/console/identities/{GUEST}").status == 200


def test_changes_leave_their_entry(bound_server: RunningServer) -> None:
    """Of operations, and of what is none: who, what, and that it was in the console."""
    visitor = Visitor(bound_server.endpoint)
    visitor.log_in(bound_server)
    pool = "us-east-1:00000000-0000-4000-8000-00000000ad17"
    adopted = {"IdentityPoolId": pool, "IdentityPoolName": "Adopted"}
    assert visitor.post("/console/pools/adopt", adopted).status == 303
    assert visitor.post(f"/console/pools/{pool}/delete", {"name": pool}).status == 303
    listing = [sys.executable, "-m", "millpond", "audit", "list", "--output", "json"]
    listed = subprocess.run(
        [*listing, *bound_server.store_words],
        capture_output=True,
        check=True,
        timeout=seconds(60),
    )
    entries = json.loads(listed.stdout)["Entries"]
    told = {
        (each["Operation"], each["Origin"])
        for each in entries
        if each["IdentityPoolId"] == pool
    }

    assert told == {("AdoptIdentityPool", "console"), ("DeleteIdentityPool", "console")}
