"""A person at a browser: finds a user among many, erases, deletes, makes a pool."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from cli import world
from cli.world import ANN, EMPTY_POOL, POOL
from console.browsing import sitting_down
from console.worlds import serving
from millpond.console.base import link
from millpond.core.identities import Login
from millpond.stores.base import Store
from millpond.testing.server import RunningServer
from millpond.testing.store_contract.identities import an_identity, keep

EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"
MANY = [f"us-east-1:e0000000-0000-4000-8000-{n:012x}" for n in range(70)]


async def fill(store: Store) -> None:
    """The small world, and many users with logins that are markup."""
    await world.fill(store)
    people = [
        an_identity(each, Login(world.DEVELOPER, f"{EVIL}{n}"), pool=EMPTY_POOL)
        for n, each in enumerate(MANY)
    ]
    await keep(store, *people)


@pytest.fixture(scope="module")
def people_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with these people."""
    with serving(tmp_path_factory.mktemp("people"), fill=fill) as running:
        yield running


@pytest.fixture(scope="module")
def sit_down(
    people_server: RunningServer, browser: Browser
) -> Iterator[Callable[..., Any]]:
    """A browser, and whoever sits down at it logs in."""
    with sitting_down(browser, people_server) as open_page:
        yield open_page


@pytest.fixture(params=[True, False], ids=["script", "no-script"])
def page(request: pytest.FixtureRequest, sit_down: Callable[..., Any]) -> Iterator[Any]:
    """A page, with script and without."""
    opened = sit_down(script=request.param)
    yield opened
    opened.context.close()


def go(page: Any, path: str) -> None:
    """Open a page of the console."""
    page.goto("/".join(page.url.split("/")[:3]) + path)


def test_a_user_is_found_by_login_among_many(page: Any) -> None:
    """From the navigation, by forms and links alone; markup is shown as text."""
    page.click("nav >> text=Identities")
    page.select_option("[name=pool]", EMPTY_POOL)
    page.select_option("[name=by]", "login")
    page.fill("[name=q]", f"{EVIL}42")
    page.click("button:has-text('Find')")
    assert page.locator("tbody tr").count() == 1
    assert f"{EVIL}42" in page.inner_text("tbody tr")
    page.click(f"text={MANY[42]}")
    assert page.inner_text("h1") == MANY[42]
    assert page.title().startswith(MANY[42])
    assert f"{EVIL}42" in page.inner_text("main")
    assert page.locator("main img").count() == 0
    page.click("text=Identities >> nth=-1")
    assert page.locator("tbody tr").count() == 50
    page.click("text=Next page")
    assert page.locator("tbody tr").count() <= 20


def test_an_identity_is_exported_and_erased(
    page: Any, people_server: RunningServer
) -> None:
    """A file; then nothing, once the id is typed right."""
    made = people_server.client("cognito-identity").get_id(IdentityPoolId=POOL)
    user = made["IdentityId"]
    go(page, link("/identities/{identity}", identity=user))
    with page.expect_download() as waiting:
        page.click("text=Export as JSON")
    assert waiting.value.suggested_filename.endswith(".json")
    page.click("text=Erase")
    page.fill("[name=identity_id]", ANN)
    page.click("button:has-text('Erase it')")
    assert "Nothing was deleted" in page.inner_text("main")
    assert page.input_value("[name=identity_id]") == ANN
    page.fill("[name=identity_id]", user)
    page.click("button:has-text('Erase it')")
    assert f"Deleted {user}." in page.inner_text("[role=status]")
    go(page, link("/identities/{identity}", identity=user))
    assert page.inner_text("h1") == "Not found"


def test_many_are_deleted_by_ticking_them(
    page: Any, people_server: RunningServer
) -> None:
    """The page between says who they are, and waits for their number."""
    client = people_server.client("cognito-identity")
    ids = [client.get_id(IdentityPoolId=POOL)["IdentityId"] for _ in range(3)]
    go(page, link("/identities", {"pool": POOL, "kind": "guests"}))
    for each in ids:
        page.check(f"[value='{each}']")
    page.click("button:has-text('Delete those that are ticked')")
    assert {*ids} <= {*page.locator("tbody code").all_inner_texts()}
    page.fill("[name=count]", "2")
    page.click("button:has-text('Delete them')")
    assert "Type 3, the number of them" in page.inner_text("main")
    page.fill("[name=count]", "3")
    page.click("button:has-text('Delete them')")
    assert "Deleted 3 of 3 identities." in page.inner_text("[role=status]")
    assert not {*ids} & {*page.locator("tbody code").all_inner_texts()}


def test_a_pool_is_made_changed_and_deleted(page: Any) -> None:
    """With a mistake on the way, beside its field; by the keyboard to the end."""
    page.click("nav >> text=Pools")
    page.click("text=Create a pool")
    page.fill("[name=IdentityPoolName]", EVIL)
    page.fill("[name=SupportedLoginProviders]", "accounts.google.com = app")
    page.click("button:has-text('Create the pool')")
    assert "letters, digits" in page.inner_text("#e-IdentityPoolName")
    assert page.input_value("[name=IdentityPoolName]") == EVIL
    page.fill("[name=IdentityPoolName]", "Made by hand")
    page.click("button:has-text('Create the pool')")
    assert page.inner_text("h1") == "Made by hand"
    page.click("text=Change: tags")
    page.fill("[name=IdentityPoolTags]", f"stage = {EVIL}")
    page.click("button:has-text('Change it')")
    assert EVIL in page.inner_text("main")
    page.click("text=Delete it")
    page.focus("[name=name]")
    page.keyboard.type("Made by hand")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/pools")
    assert "Deleted the pool Made by hand." in page.inner_text("[role=status]")


def test_no_page_is_wider_than_a_phone(sit_down: Callable[..., Any]) -> None:
    """At 360 px nothing has to be scrolled sideways, however long ids are."""
    page = sit_down(script=True, width=360)
    pool = {"pool": EMPTY_POOL}
    for url in (
        link("/pools"),
        link("/pools/new"),
        link("/pools/{pool}", pool=POOL),
        link("/pools/{pool}/delete", pool=POOL),
        link("/pools/{pool}/change/{part}", pool=POOL, part="roles"),
        link("/pools/{pool}/examination", pool=POOL),
        link("/identities", pool),
        link("/identities/{identity}", identity=ANN),
        link("/identities/{identity}/delete", identity=ANN),
        link("/identities/delete", {"identity": [ANN, MANY[0]]}),
    ):
        go(page, url)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, url
    page.context.close()
