"""
Our client in a real browser: tabs, a network that goes away, no room, pages that close.

The storage is the browser's IndexedDB, and each switch is one of the browser's own.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Request, Route

from clients.browser import OPTIONS, START_TIMEOUT_S, find_chromium
from clients_js.app import WAIT_S, App, AtServer, behind, keep_writing
from clients_js.runtimes import Files, new_tab
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer, wait_until

QUOTA_BYTES = 400_000


@pytest.fixture
def open_app(
    server: RunningServer, pool: str, files: Files
) -> Callable[[BrowserContext], App]:
    """Open the app in a new tab of a device."""
    return lambda device: App(new_tab(device, files.blank), server, pool)


@pytest.fixture
def app(open_app: Callable[[BrowserContext], App], device: BrowserContext) -> App:
    """The app in a tab."""
    return open_app(device)


@pytest.fixture
def blank(device: BrowserContext, files: Files) -> Page:
    """A tab in which nothing is open."""
    tab: Page = new_tab(device, files.blank)
    return tab


@pytest.fixture
def at_server(developer: Any) -> Callable[[App], AtServer]:
    """Look at the data of an app's user at the server."""
    return lambda app: AtServer(developer, app.pool, app.identity_id)


# --- Storages -----------------------------------------------------------------------


@pytest.mark.parametrize("storage", ["indexedDB", "localStorage"])
def test_a_storage_keeps_the_contract(blank, storage):
    """The browser's own storages do what is asked of every storage."""
    outcomes = blank.evaluate(
        """async (storage) => {
          const found = await import("/clients/js/sync/test/storage-contract.js");
          const outcomes = {};
          for (const [name, fact] of Object.entries(found.contract)) {
            const options = { name, prefix: name }; // one is empty for each
            try {
              await fact(millpond[storage](options));
              outcomes[name] = null;
            } catch (error) {
              outcomes[name] = String(error.stack);
            }
          }
          return outcomes;
        }""",
        storage,
    )
    assert len(outcomes) > 5
    assert {name: why for name, why in outcomes.items() if why} == {}


# --- Tabs ---------------------------------------------------------------------------


def test_both_tabs_see_what_one_writes(app, open_app, device):
    """What one tab writes the other one is told of, without the server."""
    other = open_app(device)
    app.set(colour="teal")
    other.wait_for(colour="teal")
    other.set(colour="plum")
    app.wait_for(colour="plum")

    assert app.items == other.items == {"colour": "plum"}


def test_tabs_are_one_user(app, open_app, device, at_server):
    """Tabs that open together are one guest, and what both wrote is sent."""
    other = open_app(device)
    app.set(mine="1")
    other.set(its="2")
    # What is written goes out by itself, too: which of the two sends it is open.
    app.synchronize()
    other.synchronize()

    assert app.identity_id == other.identity_id
    assert at_server(app).items == {"mine": "1", "its": "2"}


def test_one_tab_leads(app, open_app, device, at_server):
    """One listens for all; when it is closed, another one goes on."""
    app.synchronize()
    other = open_app(device)
    listening: list[Page] = []
    device.on(
        "request",
        lambda asked: listening.extend([asked.frame.page] * ("/live?" in asked.url)),
    )
    for each in (app, other):
        each.runtime.evaluate("() => void prefs.watch()")
    at_server(app).set(first="1")
    app.wait_for(first="1")
    other.wait_for(first="1")
    leader, follower = (app, other) if listening[0] == app.runtime else (other, app)
    assert {*listening} == {leader.runtime}

    leader.runtime.close()
    wait_until(
        lambda: follower.status and follower.runtime in listening, timeout_s=WAIT_S
    )
    at_server(follower).set(second="2")
    follower.wait_for(second="2")


def test_one_tab_sends_for_all(app, open_app, device, at_server):
    """What two tabs could not send goes out once, when the network is back."""
    app.synchronize()
    other = open_app(device)
    updates: list[str] = []
    device.on("request", lambda asked: updates.extend([asked.url] * _is_update(asked)))
    device.set_offline(True)
    app.set(mine="1")
    other.set(its="2")
    assert "failed" in app.synchronize()
    assert "failed" in other.synchronize()
    updates.clear()

    device.set_offline(False)
    at_server(app).wait_for(mine="1", its="2")
    wait_until(lambda: app.status["unsent"] == [], timeout_s=WAIT_S)
    wait_until(lambda: other.status["unsent"] == [], timeout_s=WAIT_S)
    assert len(updates) == 1


def _is_update(asked: Request) -> bool:
    return asked.method == "POST" and "/datasets/" in asked.url


@pytest.mark.parametrize("closed", [0, 1])
def test_a_tab_that_is_closed_before_it_sends(closed, app, open_app, device, at_server):
    """What it should have sent for both the other one sends."""
    app.synchronize()
    tabs = [app, open_app(device)]
    device.set_offline(True)
    for each in tabs:
        each.set(last="unsent")
        assert "failed" in each.synchronize()
    tabs.pop(closed).runtime.close()

    device.set_offline(False)
    at_server(tabs[0]).wait_for(last="unsent")


def test_a_tab_that_is_frozen_and_leads(app, blank, at_server):
    """A tab that somebody looks at does not wait for one in the background."""
    app.synchronize()
    name = app.runtime.evaluate(
        """async () => {
            const held = await navigator.locks.query();
            const { name } = held.held.find(({ name }) => name.endsWith(" leads"));
            await sync.close();
            return name;
        }"""
    )
    blank.evaluate(
        """async (name) => {
            await new Promise((lead) => {
                navigator.locks.request(name, () => new Promise(lead));
            });
            globalThis.channel = new BroadcastChannel(name.replace(/ leads$/, ""));
            channel.onmessage = ({ data }) => {
                if (data.who) channel.postMessage({ leads: ["prefs"] });
            };
        }""",
        name,
    )
    app.reopen()
    app.runtime.evaluate("() => void prefs.watch()")
    at_server(app).set(theirs="1")
    app.set(mine="2")
    assert "theirs" not in app.items

    app.runtime.evaluate(
        "() => void document.dispatchEvent(new Event('visibilitychange'))"
    )
    at_server(app).wait_for(mine="2")
    app.wait_for(theirs="1")


def test_signing_out_is_for_all_tabs(app, open_app, device):
    """Another tab shows nothing of whoever signed out, and is the next guest too."""
    app.set(colour="teal")
    app.synchronize()
    before = app.identity_id
    other = open_app(device)
    wait_until(lambda: other.items == {"colour": "teal"}, timeout_s=WAIT_S)

    app.runtime.evaluate("() => sync.signOut()")
    wait_until(lambda: other.items == {}, timeout_s=WAIT_S)
    other.set(colour="plum")
    other.synchronize()
    app.wait_for(colour="plum")

    assert app.identity_id == other.identity_id != before


# --- The network --------------------------------------------------------------------


def test_without_a_network(app, device, at_server):
    """What is written offline goes out by itself when the browser is online again."""
    app.synchronize()
    device.set_offline(True)
    app.set(colour="teal")
    failed = app.synchronize()["failed"]
    assert failed["name"] == "UnansweredError"
    assert failed["dataset"] == "prefs"
    assert app.status["unsent"] == ["colour"]

    device.set_offline(False)
    at_server(app).wait_for(colour="teal")
    wait_until(lambda: app.status["unsent"] == [], timeout_s=WAIT_S)


def test_it_begins_without_a_network(device, open_app, at_server):
    """An app that has never reached the server is of use; a guest comes later."""
    app = None
    device.route("**/*", lambda route: _only_files(route))
    app = open_app(device)
    app.set(colour="teal")
    assert app.items == {"colour": "teal"}
    assert app.synchronize()["failed"]["name"] == "UnansweredError"

    device.unroute("**/*")
    app.synchronize()
    assert at_server(app).items == {"colour": "teal"}
    assert app.items == {"colour": "teal"}


def _only_files(route: Route) -> None:
    if route.request.method == "GET" and "/identitypools/" not in route.request.url:
        route.continue_()
    else:
        route.abort("internetdisconnected")


def test_what_others_did_meanwhile(app, device, at_server):
    """Changes of both sides meet when the network is back; of one key the newer."""
    app.set(shared="old", kept="here")
    app.synchronize()
    device.set_offline(True)
    at_server(app).set(shared="theirs", new="there")
    app.set(shared="mine", local="here")
    device.set_offline(False)
    app.synchronize()

    expected = {"shared": "mine", "kept": "here", "new": "there", "local": "here"}
    assert app.items == expected
    assert at_server(app).items == expected


# --- No room ------------------------------------------------------------------------


def test_the_storage_is_full(device, server, pool, files, at_server, open_app):
    """A write that has no room fails, typed; what was stored stays, and is sent."""
    tab = new_tab(device, files.blank)
    devtools = device.new_cdp_session(tab)
    # Before anything is written: the browser asks how much room there is seldom.
    quota = {"origin": files.origin, "quotaSize": QUOTA_BYTES}
    devtools.send("Storage.overrideQuotaForOrigin", quota)
    app = App(tab, server, pool)
    app.set(before="stored")
    failed = tab.evaluate(_FILL)
    assert failed is not None
    assert (failed["name"], failed["dataset"]) == ("StorageFullError", "prefs")
    assert failed["key"] == f"key-{failed['number']}"
    assert len(failed["message"]) < 200  # it does not hold the value
    stored = {"before", *(f"key-{number}" for number in range(failed["number"]))}
    assert app.items.keys() == stored

    devtools.send("Storage.overrideQuotaForOrigin", {"origin": files.origin})
    app.set(after="stored")
    again = open_app(device)
    assert again.items.keys() == {*stored, "after"}
    again.synchronize()
    assert at_server(again).items.keys() == {*stored, "after"}


# Random, for the browser compresses what it stores.
_FILL = """async () => {
  const random = () => String.fromCharCode(0x4e00 + Math.random() * 0x5000);
  for (let number = 0; number < 100; number++) {
    try {
      await prefs.set(`key-${number}`, Array.from({ length: 20_000 }, random).join(""));
    } catch ({ name, dataset, key, message }) {
      return { name, dataset, key, message, number };
    }
  }
}"""


# --- Pages that close ---------------------------------------------------------------


def test_the_page_is_closed_in_the_middle_of_writes(device, open_app, at_server):
    """What the app was told to be stored is there when it is opened again."""
    app = open_app(device)
    sure = keep_writing(app)
    app.runtime.close()
    again = open_app(device)
    found = again.items
    assert behind(found, sure) == {}
    again.synchronize()
    assert at_server(again).items == found


def test_the_browser_is_killed(browser, server, pool, files, at_server, tmp_path):
    """Nor does the end of the whole browser take anything away."""

    def start() -> BrowserContext:
        device: BrowserContext = browser.browser_type.launch_persistent_context(
            tmp_path / "profile",
            executable_path=find_chromium(),
            args=[*OPTIONS[1:]],
            timeout=seconds(START_TIMEOUT_S) * 1000,
        )
        return device

    device = start()
    sure = keep_writing(App(new_tab(device, files.blank), server, pool))
    with device.expect_event("close", timeout=seconds(START_TIMEOUT_S) * 1000):
        # Chromium writes into the lock of a profile whose it is: HOST-PID.
        lock = os.readlink(tmp_path / "profile" / "SingletonLock")
        os.kill(int(lock.rpartition("-")[2]), signal.SIGKILL)
    device = start()
    again = App(new_tab(device, files.blank), server, pool)
    found = again.items
    assert behind(found, sure) == {}
    again.synchronize()
    assert at_server(again).items == found
    device.close()


@pytest.mark.parametrize("arrives", [True, False], ids=["answer lost", "never sent"])
@pytest.mark.parametrize("operation", ["ListRecords", "UpdateRecords"])
def test_the_page_is_closed_in_the_middle_of_a_sync(
    app, device, open_app, at_server, operation, arrives
):
    """Whatever the server did of it, the next one ends as if nothing had happened."""
    app.set(kept="1")
    app.synchronize()
    at_server(app).set(other="3")  # else there would be nothing to list
    cut: list[str] = []

    def cut_off(route: Route) -> None:
        if not _is(route, operation) or cut:
            route.continue_()
            return
        if arrives:
            route.fetch()
        cut.append(operation)

    app.runtime.route("**/*", cut_off)
    app.set(kept="2", new="2")
    app.runtime.evaluate("() => void prefs.sync()")

    def is_cut() -> bool:
        app.runtime.evaluate("0")  # lets the route be called
        return bool(cut)

    wait_until(is_cut, timeout_s=WAIT_S)
    app.runtime.close()

    again = open_app(device)
    assert again.items.items() >= {"kept": "2", "new": "2"}.items()
    done = again.synchronize()["report"]
    assert done["merged"] == []
    assert again.status == {"unsent": [], "setAside": {}}
    expected = {"kept": "2", "new": "2", "other": "3"}
    assert again.items == at_server(again).items == expected


def _is(route: Route, operation: str) -> bool:
    method = {"ListRecords": "GET", "UpdateRecords": "POST"}[operation]
    return route.request.method == method and "/datasets/" in route.request.url
