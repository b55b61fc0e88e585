"""Devices in the console: told of what, how the last push went, and one to try them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cli import world
from cli.world import ABE, ANN, EMPTY_POOL, POOL
from console.visitor import Visitor
from millpond.console.base import link
from millpond.core.push import LastPush
from millpond.stores.base import Store
from millpond.testing.server import RunningServer
from millpond.testing.store_contract.devices import a_device, register
from push.sns import CREDENTIALS, Sns

EVIL = "<script>alert(1)</script> \u202e"
TOKEN = "t" * 40 + "ending"
CROWD = [f"crowd-{n:03}" for n in range(70)]


async def fill(store: Store) -> None:
    """The small world, and many devices of somebody else's, an awkward one first."""
    await world.fill(store)
    crowd = [
        a_device(each, identity_pool_id=POOL, identity_id=ABE, token=f"{each} {EVIL}")
        for each in CROWD
    ]
    await register(store, *crowd)
    await store.put_last_push(crowd[0], LastPush(1_700_000_000_000, EVIL))


@pytest.fixture(scope="module")
def world_server(
    sns: Sns, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """A server that sends pushes."""
    data = tmp_path_factory.mktemp("devices") / "data"
    world.Place("--data", str(data)).run(fill)
    variables = [f"{name}={value}" for name, value in CREDENTIALS.items()]
    running = RunningServer(
        data,
        settings={"sns_endpoint": sns.url},
        command_prefix=["env", *variables],
    )
    with running:
        yield running


def listed(looker: Visitor, identity: str = ANN) -> list[dict[str, Any]]:
    url = link("/identities/{identity}/devices", {"format": "json"}, identity=identity)
    devices: list[dict[str, Any]] = looker.get(url).data["devices"]
    return devices


def url_of(end: str, device: str = "phone-1", identity: str = ANN) -> str:
    path = "/identities/{identity}/devices/{device}" + end
    return link(path, identity=identity, device=device)


def test_a_device_is_shown_without_its_token(looker: Visitor) -> None:
    """Platform, the end of the token, subscriptions, the last push; text is text."""
    (phone,) = listed(looker)
    assert phone["token_end"] == TOKEN[-8:]
    assert phone["dataset_names"] == ["prefs"]
    page = looker.get(link("/identities/{identity}/devices", identity=ANN)).text
    assert TOKEN not in page
    assert 'href="/console/identities/' + ANN + '/datasets/prefs"' in page

    crowd = listed(looker, ABE)
    assert crowd[0]["last_push"] == {"date_ms": 1_700_000_000_000, "error": EVIL}
    assert crowd[1]["last_push"] is None
    page = looker.get(link("/identities/{identity}/devices", identity=ABE)).text
    assert "<script>alert" not in page
    assert "2023-11-14" in page


def test_the_devices_of_a_pool_are_paged(looker: Visitor) -> None:
    """Whosever they are, each once; the pool and the identity lead to them."""
    names: list[str] = []
    url = link("/pools/{pool}/devices", pool=POOL)
    query: dict[str, str] = {}
    while True:
        data = looker.get(
            link("/pools/{pool}/devices", {**query, "format": "json"}, pool=POOL)
        ).data
        assert len(data["devices"]) <= 50
        names += [each["device_id"] for each in data["devices"]]
        if data["next"] is None:
            break
        query = {"after": data["next"]}

    assert sorted(names) == [*CROWD, "phone-1"]
    assert f'href="{url}"' in looker.get(link("/pools/{pool}", pool=POOL)).text
    assert looker.get(link("/pools/{pool}/devices", pool=EMPTY_POOL)).status == 200
    assert looker.get(link("/pools/{pool}/devices", pool="none")).status == 404
    assert looker.get(link("/pools/{pool}/devices?after=x", pool=POOL)).status == 400


def test_a_test_push_is_a_real_one(
    looker: Visitor, world_server: RunningServer, sns: Sns
) -> None:
    """Through the pool's application; what came of it is explained and kept."""

    def send(dataset: str) -> str:
        answer = looker.post(url_of("/push"), {"dataset_name": dataset})
        assert answer.status == 303, answer.text
        return looker.get(answer.location).text

    assert "no push application for GCM" in send("prefs")
    (phone,) = listed(looker)
    assert "no push application" in phone["last_push"]["error"]

    application = sns.create_application("GCM")
    world_server.client("cognito-sync").set_identity_pool_configuration(
        IdentityPoolId=POOL, PushSync={"ApplicationArns": [application]}
    )
    said = send("prefs")
    assert "The push service has taken it" in said
    assert sns.sync_counts(TOKEN) == [2]
    (phone,) = listed(looker)
    assert phone["last_push"]["error"] is None

    (endpoint,) = sns.endpoints(TOKEN)
    sns.disable(endpoint.arn)
    said = send("")
    assert "given this device up" in said
    (phone,) = listed(looker)
    assert phone["disabled"]


@pytest.mark.parametrize(
    ("url", "form"),
    [
        (url_of("/push", "nobody"), {}),
        (url_of("/push", "phone-1", ABE), {}),
        (url_of("/push"), {"dataset_name": "never"}),
        (url_of("/remove", "nobody"), {"device_id": "nobody"}),
        (url_of("/remove", "phone-1", ABE), {"device_id": "phone-1"}),
    ],
)
def test_what_is_not_there_is_said(
    looker: Visitor, url: str, form: dict[str, str]
) -> None:
    """A device, whose it is, a dataset."""
    assert looker.post(url, form).status == 404


def test_a_device_is_removed_by_its_id(looker: Visitor) -> None:
    """Typed; anything else removes nothing."""
    url = url_of("/remove", CROWD[-1], ABE)
    assert looker.get(url).status == 200
    answer = looker.post(url, {"device_id": "crowd"})
    assert answer.status == 400
    assert "That is not its id" in answer.text
    answer = looker.post(url, {"device_id": CROWD[-1]})

    assert answer.status == 303
    assert looker.get(url).status == 404
