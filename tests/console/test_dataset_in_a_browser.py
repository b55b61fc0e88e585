"""A person at a browser edits records while a device does, with and without script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from cli import world
from cli.world import ANN, POOL
from console.browsing import sitting_down
from console.worlds import serving
from millpond.console.base import link
from millpond.core.sync import DatasetId
from millpond.stores.base import Store
from millpond.testing.server import RunningServer
from millpond.testing.store_contract.bench import put

EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>\u202e javascript:alert(3)"
PATH = "/identities/{identity}/datasets/{dataset}"
FITS = "document.body.scrollWidth <= document.documentElement.clientWidth"
LONG = "<b>" + "y" * 1_000_000


async def fill(store: Store) -> None:
    """The small world, and two datasets of each kind: one for each way to look."""
    await world.fill(store)
    for way in ("script", "no-script"):
        fought = DatasetId(POOL, ANN, f"fought-{way}")
        await put(store, fought, {"a": "base a", "b": "base b", EVIL: EVIL})
        plain = DatasetId(POOL, ANN, f"plain-{way}")
        await put(store, plain, {"a": '{"n":1}', "b": "2", "c": "3\r\n4"})
    await put(store, DatasetId(POOL, ANN, "long"), {"long": LONG, EVIL * 9: EVIL})


@pytest.fixture(scope="module")
def dataset_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with these datasets."""
    with serving(tmp_path_factory.mktemp("datasets"), fill=fill) as running:
        yield running


@pytest.fixture(scope="module")
def sit_down(
    dataset_server: RunningServer, browser: Browser
) -> Iterator[Callable[..., Any]]:
    """A browser, and whoever sits down at it logs in."""
    with sitting_down(browser, dataset_server) as open_page:
        yield open_page


@pytest.fixture(params=["script", "no-script"])
def way(request: pytest.FixtureRequest) -> str:
    """With script or without."""
    return str(request.param)


@pytest.fixture
def page(way: str, sit_down: Callable[..., Any]) -> Iterator[Any]:
    """A page of somebody who is logged in."""
    opened = sit_down(script=way == "script")
    yield opened
    opened.context.close()


def go(page: Any, dataset: str, end: str = "") -> None:
    """Open a page of a dataset."""
    path = link(PATH + end, identity=ANN, dataset=dataset)
    page.goto("/".join(page.url.split("/")[:3]) + path)


def write(server: RunningServer, dataset: str, **values: str) -> None:
    """Write as a device does."""
    client = server.client("cognito-sync")
    names = {"IdentityPoolId": POOL, "IdentityId": ANN, "DatasetName": dataset}
    listed = client.list_records(**names)
    known = {each["Key"]: each["SyncCount"] for each in listed["Records"]}
    client.update_records(
        **names,
        SyncSessionToken=listed["SyncSessionToken"],
        DeviceId="the phone",
        RecordPatches=[
            {"Op": "replace", "Key": k, "Value": v, "SyncCount": known.get(k, 0)}
            for k, v in values.items()
        ],
    )


def records_of(server: RunningServer, dataset: str) -> dict[str, tuple[Any, int]]:
    """What a device gets: value and sync count by key."""
    listed = server.client("cognito-sync").list_records(
        IdentityPoolId=POOL, IdentityId=ANN, DatasetName=dataset
    )
    return {e["Key"]: (e.get("Value"), e["SyncCount"]) for e in listed["Records"]}


def edit(page: Any, key: str) -> Any:
    """Find the part of the form that edits a record."""
    return page.locator(
        "fieldset.edit", has=page.locator(f"legend code >> text='{key}'")
    )


def test_a_record_is_edited_while_a_device_changes_it(
    page: Any, way: str, dataset_server: RunningServer
) -> None:
    """Base, theirs and mine stand side by side; what is chosen for each key is kept."""
    dataset = f"fought-{way}"
    go(page, dataset)
    assert EVIL in page.inner_text("main")
    for box in page.locator("[name=key]").all():
        box.check()
    page.click("button:has-text('Edit the ticked ones')")
    edit(page, "a").locator("textarea").fill("mine a")
    edit(page, "b").locator("textarea").fill("mine b")
    write(dataset_server, dataset, a="theirs a", b="theirs b")
    page.click("button:has-text('Send as one UpdateRecords')")

    assert page.inner_text("h1") == "Changed by somebody else"
    for each in ("base a", "theirs a", "mine a", "the phone"):
        assert each in edit(page, "a").inner_text()
    assert edit(page, EVIL).locator("text=Theirs stays").count() == 0
    edit(page, "a").locator("text=Theirs stays").check()
    edit(page, "b").locator("text=Mine takes its place").check()
    page.click("button:has-text('Send as one UpdateRecords')")

    assert "1 record with one UpdateRecords" in page.inner_text("[role=status]")
    assert records_of(dataset_server, dataset) == {
        "a": ("theirs a", 2),
        "b": ("mine b", 3),
        EVIL: (EVIL, 1),
    }


def test_staged_edits_are_sent_by_keyboard_alone(
    page: Any, way: str, dataset_server: RunningServer
) -> None:
    """JSON set out, a record added, one removed: one UpdateRecords, one sync count."""
    dataset = f"plain-{way}"
    go(page, dataset, "/edit")
    for key in ("a", "b", "c", "new"):
        page.focus("[name=new_key]")
        page.keyboard.type(key)
        page.keyboard.press("Enter")
        edit(page, key).wait_for()
    edit(page, "a").locator("button:has-text('Format')").press("Enter")
    assert page.input_value("[name=value-0]") == '{\n  "n": 1\n}'
    edit(page, "b").locator("[value=replace]").focus()
    page.keyboard.press("ArrowDown")
    page.focus("[name=value-3]")
    page.keyboard.type("<b>new</b>")
    assert records_of(dataset_server, dataset)["a"] == ('{"n":1}', 1)
    page.locator("button:has-text('Send as one')").press("Enter")

    assert "3 records with one UpdateRecords" in page.inner_text("[role=status]")
    assert records_of(dataset_server, dataset) == {
        "a": ('{\n  "n": 1\n}', 2),
        "b": (None, 2),
        "c": ("3\r\n4", 1),
        "new": ("<b>new</b>", 2),
    }


def test_whoever_leaves_unsent_edits_is_asked(sit_down: Callable[..., Any]) -> None:
    """With script: not before something was typed, and not when it is sent."""
    leaving = "!window.dispatchEvent(new Event('beforeunload', {cancelable: true}))"
    page = sit_down(script=True)
    go(page, "plain-script", "/edit")
    assert not page.evaluate(leaving)
    page.fill("[name=new_key]", "another")
    page.keyboard.press("Enter")
    page.fill("[name=value-0]", "v")
    assert page.evaluate(leaving)
    page.click("button:has-text('Format as JSON')")
    page.locator("text=This is not JSON").wait_for()
    assert page.evaluate(leaving)  # what is on the stage is still not sent
    page.context.close()


def test_long_values_are_cut_and_can_be_had_whole(page: Any) -> None:
    """The page has the beginning; the rest is a file."""
    go(page, "long")
    assert len(page.inner_text("main")) < 20_000
    with page.expect_download() as waiting:
        page.click("text=Show all (download)")
    assert Path(waiting.value.path()).read_text() == LONG
    go(page, "long", "/history")
    assert page.inner_text("h1") == "History"


def test_narrow_pages_do_not_overflow(sit_down: Callable[..., Any]) -> None:
    """On a telephone, whatever keys and values are, nothing goes over the edge."""
    page = sit_down(script=True, width=360)
    for dataset, end in (
        ("long", ""),
        ("long", "/edit"),
        ("fought-script", "/history"),
        ("fought-script", "/delete"),
    ):
        go(page, dataset, end)
        assert page.evaluate(FITS), (dataset, end)
    page.context.close()
