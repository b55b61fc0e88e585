"""Identities in the console: found, looked at, handed out, erased; on both stores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cli import world
from cli.world import ABE, ANN, EMPTY_POOL, GUEST, LOSER, NOBODY, POOL
from console.visitor import Visitor
from console.worlds import serving_on
from millpond.console.base import link
from millpond.core.identities import Login
from millpond.core.sync import DatasetId
from millpond.stores.base import Store
from millpond.testing.server import RunningServer
from millpond.testing.store_contract.bench import put
from millpond.testing.store_contract.identities import an_identity, keep

EVIL = "<script>alert(1)</script> \u202e \"'&=;{} " + "x" * 1900
CROWD = [f"us-east-1:f0000000-0000-4000-8000-{n:012x}" for n in range(110)]
"""Guests in the other pool."""


async def fill(store: Store) -> None:
    """The small world, a crowd, and somebody with awkward logins and a lot of data."""
    await world.fill(store)
    crowd = [an_identity(each, pool=EMPTY_POOL, guest=True) for each in CROWD]
    await keep(store, *crowd)
    evil = an_identity(f"{CROWD[0][:-1]}f0", Login(world.DEVELOPER, EVIL), pool=POOL)
    await keep(store, evil)
    big = DatasetId(POOL, ABE, "big")
    for number in range(4):
        await put(store, big, {f"k{number}-{n}": "v" * 8000 for n in range(100)})


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def world_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """A server on a store of either kind."""
    with serving_on(request, tmp_path_factory.mktemp("identities"), fill) as running:
        yield running


def found(looker: Visitor, **query: str) -> list[str]:
    """Search; the ids of those on the page, which links to each of them."""
    url = link("/identities", query)
    page = looker.get(url)
    assert page.status == 200
    data = looker.get(link("/identities", {**query, "format": "json"})).data
    ids = [each["identity_id"] for each in data["identities"]]
    for each in ids:
        assert f'href="/console/identities/{each}"' in page.text
    assert "<script>alert" not in page.text
    return ids


# --- Finding --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"q": ANN}, [ANN]),
        ({"q": f"  {ANN.upper()} "}, [ANN]),
        ({"q": "A0000000"}, [ANN, ABE]),
        ({"q": "us-east-1:a", "pool": POOL}, [ANN, ABE]),
        ({"q": "a0000000", "pool": EMPTY_POOL}, []),
        ({"q": "%"}, []),
        ({"by": "login", "q": world.SUBJECT}, [ANN]),
        ({"by": "login", "q": "ann@game"}, [ANN]),
        (
            {"by": "login", "q": world.SUBJECT, "provider": "accounts.google.com"},
            [ANN],
        ),
        ({"by": "login", "q": world.SUBJECT, "provider": "other"}, []),
        ({"by": "login", "q": world.SUBJECT, "pool": EMPTY_POOL}, []),
        ({"by": "login", "q": f"{world.SUBJECT} "}, []),
        ({"by": "login", "q": EVIL, "pool": POOL}, [f"{CROWD[0][:-1]}f0"]),
        ({"by": "developer-user", "q": "ann@game"}, [ANN]),
        ({"by": "developer-user", "q": world.SUBJECT}, []),
        ({"by": "login"}, []),
        ({"kind": "merged", "pool": POOL}, [LOSER]),
        ({"kind": "guests", "pool": POOL}, [GUEST]),
        ({"kind": "users", "pool": POOL, "q": "a"}, [ANN, ABE]),
        ({"kind": "users", "pool": EMPTY_POOL}, []),
    ],
)
def test_identities_are_found(
    looker: Visitor, query: dict[str, str], ids: list[str]
) -> None:
    """By id or its beginning, by login, by developer user id, and by kind."""
    assert found(looker, **query) == ids


def test_what_an_identity_is_is_shown(looker: Visitor) -> None:
    """Kind and logins; a merged one, which is disabled, with whom it went into."""
    data = looker.get(f"/console/identities?pool={POOL}&format=json").data
    kinds = {each["identity_id"]: each["kind"] for each in data["identities"]}
    page = looker.get(f"/console/identities?pool={POOL}").text

    assert kinds[ANN] == "user"
    assert kinds[GUEST] == "guest"
    assert kinds[LOSER] == "merged"
    assert "merged, disabled" in page
    assert "accounts.google.com" in page


def test_many_are_paged_by_cursor(looker: Visitor) -> None:
    """Each once, in order, whatever the page; the links lead through all of them."""
    url, seen = f"/console/identities?pool={EMPTY_POOL}", []
    while url:
        data = looker.get(f"{url}&format=json").data
        page = looker.get(url)
        seen += [each["identity_id"] for each in data["identities"]]
        assert len(data["identities"]) <= 50
        after = data["next"]
        url = link("/identities", {"pool": EMPTY_POOL, "after": after}) if after else ""
        assert (url.replace("&", "&amp;") in page.text) or not url
        assert ('rel="next"' in page.text) == bool(url)
    assert seen == CROWD


def test_data_without_an_identity_is_found_by_its_whole_id(looker: Visitor) -> None:
    """And says so; the beginning of its id is not enough."""
    whole = looker.get(f"/console/identities?q={NOBODY}&format=json").data
    part = looker.get(f"/console/identities?q={NOBODY[:20]}&format=json").data

    assert whole["data_alone"] == [{"identity_pool_id": POOL, "identity_id": NOBODY}]
    assert part["data_alone"] == []
    assert looker.json(f"/console/identities/{NOBODY}")["kind"] == "data alone"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("kind=other", 400),
        ("by=other", 400),
        ("pool=us-east-1:0", 404),
        ("pool=%00", 400),
        ("q=" + "x" * 3000, 400),
        ("q=%ff", 400),
        ("after=%F0%9F%A7%80", 400),
        ("after=bnVsbA", 400),
        ("pool=%3Cscript%3Ealert(1)%3C/script%3E", 404),
    ],
)
def test_a_search_that_makes_no_sense(looker: Visitor, query: str, status: int) -> None:
    """A page that says so, never a failure."""
    answer = looker.get(f"/console/identities?{query}")

    assert answer.status == status
    assert "<script>alert" not in answer.text


def test_a_kind_is_looked_for_in_one_pool(looker: Visitor) -> None:
    """Of several, one has to be chosen."""
    answer = looker.get("/console/identities?kind=guests")

    assert answer.status == 200
    assert "choose it" in answer.text


# --- One ------------------------------------------------------------------------------


def test_an_identity_is_shown_with_all_that_is_its(looker: Visitor) -> None:
    """Logins, datasets against their limits, deleted ones too, devices, last change."""
    data = looker.json(f"/console/identities/{ANN}")
    page = looker.get(f"/console/identities/{ANN}").text

    assert data["kind"] == "user"
    assert data["logins"] == [
        {"provider_name": "accounts.google.com", "subject": world.SUBJECT},
        {"provider_name": world.DEVELOPER, "subject": "ann@game"},
    ]
    assert (data["dataset_count"], data["datasets_per_identity_max"]) == (1, 20)
    assert data["last_change"]["last_modified_by"] in ("device", "tablet")
    names = {each["dataset_name"]: each["deleted"] for each in data["datasets"]}
    assert names == {"gone": True, "prefs": False}
    assert data["datasets"][1]["data_storage"] == 8
    assert data["dataset_bytes_max"] == 1_048_576
    assert [each["token_end"] for each in data["devices"]] == ["ttending"]
    assert "t" * 20 not in page
    assert [each["identity_id"] for each in data["merged"]] == [LOSER]
    assert f'href="/console/identities/{ANN}/datasets/prefs"' in page
    assert f'href="/console/identities/{LOSER}"' in page


def test_the_beginning_of_an_id_will_do(looker: Visitor) -> None:
    """Where it leads to one; else they are named, or there is none."""
    assert looker.json("/console/identities/B0000000")["identity_id"] == GUEST
    ambiguous = looker.get("/console/identities/a0000000")
    assert ambiguous.status == 409
    assert ANN in ambiguous.text
    assert looker.get("/console/identities/us-east-1:99").status == 404
    other_pool = looker.get(f"/console/identities/{ANN}?pool={EMPTY_POOL}")
    assert other_pool.status == 404


@pytest.mark.parametrize("path", ["", "/export", "/delete"])
@pytest.mark.parametrize("name", ["%00", "r:%00", "%ff", "~", "..", "x" * 5000, "%2F"])
def test_what_is_no_id_is_not_there(looker: Visitor, path: str, name: str) -> None:
    """404, on either store; never a failure."""
    for what in ("identities", "pools"):
        if what == "identities" or not path.startswith("/export"):
            assert looker.get(f"/console/{what}/{name}{path}").status == 404


def test_an_export_is_a_download_of_everything(looker: Visitor) -> None:
    """JSON, with every record; of 3 MiB it comes in parts."""
    answer = looker.get(f"/console/identities/{ABE}/export")
    document = json.loads(answer.body)

    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["transfer-encoding"] == "chunked"
    assert document["IdentityId"] == ABE
    (dataset,) = document["Datasets"]
    assert len(dataset["Records"]) == 400
    assert looker.get("/console/identities/us-east-1:99/export").status == 404


# --- Erasing --------------------------------------------------------------------------


def make(server: RunningServer, *names: str) -> list[str]:
    """Make users with a dataset each."""
    identity, sync = server.client("cognito-identity"), server.client("cognito-sync")
    made = []
    for name in names:
        user = identity.get_open_id_token_for_developer_identity(
            IdentityPoolId=POOL, Logins={world.DEVELOPER: name}
        )
        made.append(user["IdentityId"])
        sync.update_records(
            IdentityPoolId=POOL,
            IdentityId=user["IdentityId"],
            DatasetName="prefs",
            SyncSessionToken=sync.list_records(
                IdentityPoolId=POOL,
                IdentityId=user["IdentityId"],
                DatasetName="prefs",
            )["SyncSessionToken"],
            RecordPatches=[{"Op": "replace", "Key": "k", "Value": "v", "SyncCount": 0}],
        )
    return made


def test_an_identity_is_erased_by_typing_its_id(
    looker: Visitor, world_server: RunningServer
) -> None:
    """With all that is its; a wrong id changes nothing; a second time it is gone."""
    (user,) = make(world_server, "erin")
    path = f"/console/identities/{user}/delete"

    assert looker.json(path)["parts"][0]["dataset_count"] == 1
    for wrong in ("", user[:-1], ANN, EVIL):
        refused = looker.post(path, {"identity_id": wrong})
        assert (refused.status, "Nothing was deleted" in refused.text) == (400, True)
    assert looker.get(f"/console/identities/{user}").status == 200
    done = looker.post(path, {"identity_id": f" {user.upper()}"})
    assert done.location == link("/identities", {"pool": POOL})
    assert f"Deleted {user}." in looker.get(done.location).text
    assert looker.get(f"/console/identities/{user}").status == 404
    assert looker.post(path, {"identity_id": user}).status == 404
    assert found(looker, q=user) == []


def test_many_are_deleted_once_their_number_is_typed(
    looker: Visitor, world_server: RunningServer
) -> None:
    """Those that were ticked and are there; the page before says what goes."""
    ids = make(world_server, "fay", "gus", "hal")
    ticked: list[tuple[str, str]] = [("identity", each) for each in [*ids, "r:0"]]
    plan = looker.get(
        link("/identities/delete", {"identity": [*ids, "r:0"], "format": "json"})
    ).data

    assert [each["identity_id"] for each in plan["identities"]] == ids
    assert plan["gone"] == ["r:0"]
    assert {each["dataset_count"] for each in plan["identities"]} == {1}
    for wrong in ("", "2", "4", "all"):
        refused = looker.post("/console/identities/delete", [*ticked, ("count", wrong)])
        assert (refused.status, "Nothing was deleted" in refused.text) == (400, True)
    done = looker.post(
        "/console/identities/delete", [*ticked, ("count", "3"), ("pool", POOL)]
    )
    assert done.location == link("/identities", {"pool": POOL})
    assert "Deleted 3 of 3 identities." in looker.get(done.location).text
    for each in ids:
        assert looker.get(f"/console/identities/{each}").status == 404


@pytest.mark.parametrize(
    "ids", [[], [""], ["x" * 56], [f"r:{n}" for n in range(61)], ["us-east-1:9"]]
)
def test_what_cannot_be_deleted_is_said(looker: Visitor, ids: list[str]) -> None:
    """Nothing ticked, no id, too many, or nobody who is there."""
    form: Any = [*(("identity", each) for each in ids), ("count", str(len(ids)))]

    assert looker.post("/console/identities/delete", form).status == 400
