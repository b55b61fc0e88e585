"""What the client for JavaScript does by itself, against a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from acceptance.sync_client import Dataset
from acceptance.users import Backend
from client.passing import Proxy, page, refuse_all
from clients_js.runtimes import InNode
from millpond.testing.server import RunningServer, wait_until

OPEN: Final = """async ({ endpoint, pool, user }) => {
  globalThis.storage ??= millpond.memory();
  globalThis.token = user;
  const credentials = millpond.developerToken(() => globalThis.token);
  globalThis.sync = await millpond.openSync({ endpoint, pool, storage, credentials });
  globalThis.prefs = sync.dataset("prefs");
}"""
UNSENT: Final = "() => prefs.status().then(({ unsent }) => unsent)"
OFFLINE: Final = "() => prefs.sync().then(() => null, ({ code }) => code)"


class App:
    """An app in Node.js behind a proxy."""

    def __init__(self, node: InNode, proxy: Proxy, pool: str, user: Any = None) -> None:
        self.run = node.evaluate
        self.options = {"endpoint": proxy.url, "pool": pool, "user": user}
        self.open()

    def open(self) -> None:
        """Open it over the same storage, as after a start of the program."""
        self.run(OPEN, self.options)

    def identity(self) -> str:
        """Whose the data is, once the server has told."""
        return str(wait_until(lambda: self.run("() => sync.identityId")))


@pytest.fixture
def proxy(server: RunningServer) -> Iterator[Proxy]:
    """What stands between the app and the server."""
    proxy = Proxy(server.endpoint)
    yield proxy
    proxy.close()


@pytest.fixture
def app(node: InNode, proxy: Proxy, pool: str) -> App:
    """A guest."""
    return App(node, proxy, pool)


@pytest.fixture
def at_server(developer: Any, pool: str) -> Callable[[App], Dataset]:
    """The dataset as a developer has it."""
    return lambda app: Dataset(developer, pool, app.identity(), "prefs")


def values(dataset: Dataset) -> dict[str, str]:
    """What the server has."""
    records = dataset.list()["Records"]
    return {each["Key"]: each["Value"] for each in records if "Value" in each}


def test_a_failed_upload_goes_out_by_itself(app, proxy, at_server):
    """Nobody asks again, and it is there once the server is."""
    for trick in (refuse_all, page(200), page(503)):
        proxy.trick = trick
        app.run("() => prefs.set('a', String(Math.random()))")
        assert app.run(OFFLINE) == "Unanswered"
        assert app.run(UNSENT) == ["a"]
        proxy.trick = None
        wait_until(lambda: app.run(UNSENT) == [])

    assert values(at_server(app)) == {"a": app.run("() => prefs.get('a')")}
    assert app.run("() => sync.status()")["tab"] == "alone"  # with nobody to agree with
    # Nothing is unsent once the server has answered; the status follows its answer.
    wait_until(
        lambda: app.run("() => sync.status()")["datasets"]["prefs"]["lastError"] is None
    )


def test_what_an_earlier_run_did_not_send(app, proxy, at_server):
    """Once its dataset is opened, and nobody has to ask."""
    app.run("() => prefs.set('a', '1')")
    app.run("() => sync.close()")
    before = len(proxy.asked)
    app.open()
    wait_until(lambda: app.run(UNSENT) == [])

    assert values(at_server(app)) == {"a": "1"}
    methods = [each.method for each in proxy.asked[before:]]
    assert methods.count("GET") == 1


def test_a_watched_dataset(node, server, pool, at_server):
    """What is written here goes out, what others write comes in, until it ends."""
    direct = Proxy(server.endpoint)  # passes no streams on
    direct.url = server.endpoint
    app = App(node, direct, pool)
    app.run("() => { globalThis.end = prefs.watch(); }")
    app.run("() => prefs.set('mine', '1')")
    wait_until(lambda: app.run(UNSENT) == [])
    wait_until(lambda: app.run("async () => (await sync.status()).live") == "live")
    dataset = at_server(app)
    dataset.put(theirs="2")
    wait_until(lambda: app.run("() => prefs.get('theirs')") == "2")
    dataset.delete()
    wait_until(lambda: app.run("() => prefs.items().then(({ size }) => size)") == 0)

    app.run("() => { end(); end(); }")
    assert app.run("async () => (await sync.status()).live") == "off"
    app.run("() => prefs.set('later', '1')")
    assert app.run(UNSENT) == ["later"]
    direct.close()


def test_a_proxy_that_holds_streams_back(app, proxy, at_server):
    """Whoever watches asks from time to time instead."""
    proxy.trick = lambda asked, forward: (
        page(502)(asked, forward) if "/live?" in asked.path else forward(asked)
    )
    app.run("() => void prefs.watch()")
    app.run("() => prefs.set('mine', '1')")
    wait_until(lambda: app.run(UNSENT) == [])
    at_server(app).put(theirs="2")
    wait_until(lambda: app.run("() => prefs.get('theirs')") == "2")

    assert app.run("async () => (await sync.status()).live") == "asking"


def test_a_guest_who_watches_signs_in(node, server, pool, backend: Backend, developer):
    """What is watched goes on as the account's, with what the guest wrote."""
    direct = Proxy(server.endpoint)
    direct.url = server.endpoint
    app = App(node, direct, pool)
    user = backend.sign_in()
    account = Dataset(developer, pool, user.identity_id, "prefs")
    account.put(old="1")
    app.run("() => void prefs.watch()")
    app.run("() => prefs.set('mine', '1')")
    wait_until(lambda: app.run(UNSENT) == [])
    guest = app.identity()

    now = app.run(
        "(user) => { globalThis.token = user; return sync.signIn(); }",
        {"identityId": user.identity_id, "token": user.token},
    )
    assert now == app.identity() == user.identity_id != guest
    app.run("() => prefs.set('more', '2')")
    wait_until(lambda: values(account) == {"old": "1", "mine": "1", "more": "2"})
    account.put(new="3")
    wait_until(lambda: app.run("() => prefs.get('new')") == "3")
    direct.close()


def test_a_user_whose_sign_in_is_over(node, proxy, pool, backend: Backend, developer):
    """What waits for a sign-in goes out with it, and not minutes later."""
    found = backend.sign_in()
    user = {"identityId": found.identity_id, "token": found.token}
    app = App(node, proxy, pool, user)
    app.run("() => prefs.sync()")
    app.run("() => { globalThis.token = null; return sync.close(); }")
    app.options = {**app.options, "user": None}
    app.open()
    app.run("() => prefs.set('a', '1')")
    assert app.run(OFFLINE) == "SignInNeeded"

    app.run("(user) => { globalThis.token = user; return sync.signIn(); }", user)
    wait_until(lambda: app.run(UNSENT) == [])
    assert values(Dataset(developer, pool, found.identity_id, "prefs")) == {"a": "1"}


def test_nothing_is_logged(app, proxy):
    """No value and no secret is in what an error says, or in what is printed."""
    app.run(
        """() => {
            globalThis.printed = [];
            for (const name of ['log', 'info', 'warn', 'error', 'debug']) {
                console[name] = (...all) => printed.push(all);
            }
        }"""
    )
    proxy.trick = page(502)
    app.run("() => prefs.set('a', 'my-secret-value')")
    said = app.run(
        """() => prefs.sync().catch((error) => {
            const all = [];
            for (let each = error; each; each = each.cause) {
                all.push(String(each), JSON.stringify(each), each.stack);
            }
            return all;
        })"""
    )

    assert said
    assert "my-secret-value" not in "\n".join(said)
    assert app.run("() => printed") == []
