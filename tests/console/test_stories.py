"""
What people do in the console, in a real browser: with script and without.

The pages ask nothing of elsewhere and run no script but the console's own; each story
fails when a page did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import botocore.exceptions
import pytest
from playwright import sync_api

from console.mill import Mill, an_event
from millpond.testing.deadlines import seconds
from millpond.testing.server import wait_until

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture(scope="module")
def mill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mill]:
    """A server whose streams fare well and badly."""
    with Mill(tmp_path_factory.mktemp("stories") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def seats(mill: Mill, browser: sync_api.Browser) -> Iterator[Callable]:
    """Make pages of somebody who has logged in, once for each kind of browser."""
    contexts: list[sync_api.BrowserContext] = []
    logged_in: dict[bool, sync_api.BrowserContext] = {}

    def open_browser(*, script: bool) -> sync_api.BrowserContext:
        context = browser.new_context(
            base_url=mill.server.endpoint, java_script_enabled=script
        )
        context.set_default_timeout(1000 * seconds(15))
        contexts.append(context)
        return context

    def sit_down(*, script: bool = True, stranger: bool = False) -> sync_api.Page:
        if stranger:
            return open_browser(script=script).new_page()
        if script not in logged_in:
            logged_in[script] = open_browser(script=script)
            log_in(logged_in[script].new_page(), mill)
        return logged_in[script].new_page()

    yield sit_down
    for each in contexts:
        each.close()


@pytest.fixture
def sit_down(mill: Mill, seats: Callable) -> Iterator[Callable]:
    """The same; in the end nothing may have gone wrong in any of the pages."""
    wrong: list[str] = []
    pages: list[sync_api.Page] = []
    own = urlsplit(mill.server.endpoint).netloc

    def refuse(dialog: sync_api.Dialog) -> None:
        wrong.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def note_request(request: sync_api.Request) -> None:
        if urlsplit(request.url).netloc != own:
            wrong.append(request.url)

    def note_console(message: sync_api.ConsoleMessage) -> None:
        if "Content Security" in message.text:
            wrong.append(message.text)

    def watched(**options: bool) -> sync_api.Page:
        page = seats(**options)
        pages.append(page)
        page.on("dialog", refuse)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", note_request)
        page.on("console", note_console)
        return page

    yield watched
    for page in pages:
        page.close()
    assert wrong == []


def log_in(page: sync_api.Page, mill: Mill, key: tuple[str, str] | None = None) -> None:
    """Log in by the form."""
    server = mill.server
    access_key_id, secret = key or (server.access_key_id, server.secret_access_key)
    page.goto("/console/login")
    page.get_by_label("Access key id").fill(access_key_id)
    page.get_by_label("Secret access key").fill(secret)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/console")


def expect(page: sync_api.Page, text: str) -> None:
    """Wait until a page shows a text."""
    page.get_by_text(text, exact=False).first.wait_for()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_bulk_publish_is_started_and_followed_to_its_end(mill, sit_down, script):
    """One succeeds and one fails; the page changes by itself, or asks again."""
    for stream, end in (("followed", "SUCCEEDED"), ("away", "FAILED")):
        pool = mill.pool(f"Story {stream} {script}", stream)
        mill.put(pool, "prefs", {"k": HOSTILE})
        page = sit_down(script=script)
        page.goto(f"/console/pools/{pool}/publish")
        expect(page, "NOT_STARTED")
        page.get_by_role("button", name="Start a bulk publish").click()
        expect(page, "The bulk publish has started.")
        if script:
            loads: list[str] = []
            page.on(
                "framenavigated", lambda frame, loads=loads: loads.append(frame.url)
            )
        page.locator(".badge", has_text=end).first.wait_for()
        if script:
            assert loads == []
        expect(page, "Datasets delivered")
        if end == "FAILED":
            expect(page, "Stream 'away', slice")


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_parked_changes_are_tried_again_and_given_up(mill, sit_down, script):
    """By their boxes; giving up takes the name of the pool; strangers' text is text."""
    stream = f"parked-{script}"
    pool = mill.pool(f"Parked {script}", stream)
    first, second, _ = mill.park(
        pool, f"Too large {HOSTILE}", *(an_event(pool, "d", HOSTILE, HOSTILE),) * 3
    )
    page = sit_down(script=script)
    page.goto("/console/outbox")
    page.get_by_role("link", name=f"Parked {script}").click()
    expect(page, f"Too large {HOSTILE}")
    page.get_by_label(f"Choose change {first}").check()
    page.get_by_role("button", name="Try the chosen again").click()
    expect(page, "1 change waits again for the stream.")
    mill.wait_for_stream(stream, 1)

    page.get_by_role("link", name=str(second)).click()
    expect(page, HOSTILE)
    page.get_by_role("button", name="Discard…").click()
    page.get_by_label("Type the name of the pool").fill("another")
    page.get_by_role("button", name="Discard", exact=True).click()
    expect(page, "That is not the name of the pool.")
    page.get_by_label("Type the name of the pool").fill(f"Parked {script}")
    page.get_by_role("button", name="Discard", exact=True).click()
    expect(page, "1 change was given up.")
    page.get_by_role("button", name="Try all again").click()
    expect(page, "Nothing is parked.")


def test_a_stream_that_was_switched_off_is_enabled_again(mill, sit_down):
    """The page says why; a button mends it, and what waited arrives."""
    pool = mill.pool("Story of a stream", "lost")
    mill.kinesis.delete_stream(StreamName="lost")
    mill.put(pool, "prefs", {"k": HOSTILE})
    page = sit_down()
    page.goto("/console/streams/lost")
    wait_until(
        lambda: page.reload() and page.get_by_text("The server has switched it").count()
    )
    mill.create_stream("lost")
    page.get_by_role("button", name="Enable again").click()
    expect(page, "go to the stream again")
    mill.wait_for_stream("lost", 1)
    page.reload()
    expect(page, HOSTILE)


def test_a_whole_session(mill, sit_down):
    """Find a user, edit beside a device, publish, mend what is stuck, make a key."""
    pool = mill.pool("Whole session", "whole")
    identity_id = mill.sign_up(pool, "ann@example.com")
    mill.put(pool, "prefs", {"color": "red"}, identity_id=identity_id)
    (parked,) = mill.park(pool, "no", an_event(pool, "prefs", "k", "v"))
    page = sit_down(stranger=True)

    log_in(page, mill)
    page.get_by_role("link", name="Identities").click()
    page.get_by_label("Identity pool").select_option(pool)
    page.get_by_label("Find by").select_option("developer-user")
    page.get_by_label("What").fill("ann@example.com")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name=identity_id).click()
    page.get_by_role("link", name="prefs").first.click()
    page.get_by_role("link", name="color").click()
    page.get_by_label("Value", exact=True).fill("blue")
    mill.put(pool, "prefs", {"color": "green"}, identity_id=identity_id, sync_count=1)
    page.get_by_role("button", name="Send as one UpdateRecords").click()
    expect(page, "Theirs")
    expect(page, "green")
    page.get_by_label("Mine takes its place").check()
    page.get_by_role("button", name="Send as one UpdateRecords").click()
    page.wait_for_url("**/datasets/prefs*")
    expect(page, "blue")
    (record,) = mill.sync.list_records(
        IdentityPoolId=pool, IdentityId=identity_id, DatasetName="prefs"
    )["Records"]
    assert (record["Value"], record["SyncCount"]) == ("blue", 3)

    page.goto(f"/console/pools/{pool}/publish")
    page.get_by_role("button", name="Start a bulk publish").click()
    page.locator(".badge", has_text="SUCCEEDED").first.wait_for()
    page.goto(f"/console/pools/{pool}/outbox")
    page.get_by_label(f"Choose change {parked}").check()
    page.get_by_role("button", name="Try the chosen again").click()
    expect(page, "1 change waits again for the stream.")

    page.get_by_role("link", name="Keys").click()
    page.get_by_role("link", name="Create a key").click()
    page.get_by_label("Name").fill(HOSTILE)
    page.get_by_label("Scope").select_option("read-only")
    page.get_by_role("button", name="Create the key").click()
    expect(page, "the only time that the secret is shown")
    key_id, secret = page.locator("dl.facts code").all_inner_texts()[:2]
    page.get_by_role("button", name="Log out").click()
    expect(page, "You are logged out.")
    page.goto(f"/console/pools/{pool}")
    assert "/console/login" in page.url
    log_in(page, mill, (key_id, secret))
    page.goto(f"/console/pools/{pool}/publish")
    expect(page, "SUCCEEDED")
    expect(page, "was published in the last 24 hours")
    page.goto(f"/console/identities/{identity_id}/datasets/prefs")
    expect(page, "blue")
    assert page.get_by_role("checkbox").count() == 0
    with pytest.raises(botocore.exceptions.ClientError, match="key is read-only"):
        mill.server.client(
            "cognito-sync", aws_access_key_id=key_id, aws_secret_access_key=secret
        ).bulk_publish(IdentityPoolId=pool)


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_read_only_key_is_made_used_and_deleted(mill, sit_down, browser, script):
    """Its secret is shown once; with it one looks and finds no forms; then it ends."""
    page = sit_down(script=script)
    page.goto("/console/keys")
    page.get_by_role("link", name="Create a key").click()
    page.get_by_label("Name").fill(HOSTILE)
    page.get_by_label("Scope").select_option("read-only")
    page.get_by_label("Expires").fill("soon")
    page.get_by_role("button", name="Create the key").click()
    expect(page, "Write a time span")
    assert page.get_by_label("Name").input_value() == HOSTILE
    page.get_by_label("Expires").fill("1d")
    page.get_by_role("button", name="Create the key").click()
    expect(page, "the only time that the secret is shown")
    name, secret = page.locator("dl.facts code").all_inner_texts()[:2]

    context = browser.new_context(
        base_url=mill.server.endpoint, java_script_enabled=script
    )
    reader = context.new_page()
    log_in(reader, mill, (name, secret))
    reader.goto("/console/keys")
    expect(reader, name)
    assert reader.get_by_role("link", name="Create a key").count() == 0
    assert secret not in reader.content()

    page.goto(f"/console/keys/{name}")
    page.get_by_label("To delete it, type its id").fill(name)
    page.get_by_role("button", name="Delete the key").click()
    expect(page, f"Deleted the key {name}.")
    reader.goto("/console/keys")
    reader.wait_for_url("**/console/login?**")
    context.close()
    page.goto("/console/audit?operation=DeleteDeveloperKey")
    expect(page, name)
    page.set_viewport_size({"width": 360, "height": 740})
    width = page.locator("html").evaluate("each => each.scrollWidth")
    assert width <= 360
    page.set_viewport_size({"width": 1280, "height": 720})
