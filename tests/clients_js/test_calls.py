"""The JavaScript client's calls, against a real server that comes, goes and refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from botocore.config import Config

from acceptance.sync_client import Dataset, create_pool
from acceptance.users import PROVIDER, Backend
from client.passing import Once, Proxy, error, lose_answer, page, refuse_all
from clients.example_page import Gate
from clients_js.runtimes import InNode
from millpond.testing.server import RunningServer, wait_until

SCRIPT: Final = Path(__file__).parent / "scripts/calls.js"
MAKE_GUEST: Final = """(options) => {
    globalThis.app = millpond.makeApp({ ...options, credentials: millpond.guest() });
    return app.credentials.identityId();
}"""


class App:
    """An app in Node.js, and the server that it calls."""

    def __init__(self, server: RunningServer, pool: str, endpoint: str = "") -> None:
        self.server = server
        self.pool = pool
        self.options = {"endpoint": endpoint or server.endpoint, "pool": pool}
        self.node = InNode(SCRIPT)

    def run(self, source: str, argument: Any = None) -> Any:
        """Evaluate an expression about `app`, with `it`."""
        return self.node.evaluate(f"async (it) => {source}", argument)

    def be_guest(self) -> str:
        """Become a guest, and give the identity's id."""
        return str(self.node.evaluate(MAKE_GUEST, self.options))

    def told(self) -> list[str]:
        """Give what live updates said."""
        found: list[str] = self.run("app.told")
        return found

    def hears(self, what: str) -> None:
        """Wait until live updates said so."""
        wait_until(lambda: what in self.told())


@pytest.fixture
def new_app(packages: None) -> Iterator[Callable[..., App]]:
    """Start apps."""
    made: list[App] = []

    def start(*arguments: Any, **options: Any) -> App:
        made.append(App(*arguments, **options))
        return made[-1]

    yield start
    for each in made:
        each.node.close()


@pytest.fixture
def app(new_app: Callable[..., App], server: RunningServer, pool: str) -> App:
    """An app and the server that the tests share."""
    return new_app(server, pool)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Callable[..., RunningServer]]:
    """Start a server of one's own."""
    started: list[RunningServer] = []

    def start(**settings: str) -> RunningServer:
        server = RunningServer(tmp_path / "data", settings=settings)
        server.start()
        started.append(server)
        return server

    yield start
    for each in started:
        each.__exit__(None, None, None)


def test_a_guest(app, developer):
    """What a guest pushes a developer sees, and the other way round; odd names too."""
    identity = app.be_guest()
    values = {
        "a": "ä😀\u2028",
        "__proto__": "p",
        " b/../c ": "",
        "\u00e9\u0301": "\\u0000",
    }
    for name in ("prefs", "a:b.c_d-e", "...", f"prefs.{identity}", "x" * 128):
        pushed = app.run("app.push(it[1], it[0])", [name, values])
        assert pushed["is"] == "pushed", pushed

        found = Dataset(developer, app.pool, identity, name).list()
        assert {each["Key"]: each["Value"] for each in found["Records"]} == values
        listed = app.run("app.list(0, it)", name)
        assert {each["key"]: each["value"] for each in listed["records"]} == values
        assert {each["modified_ms"] for each in listed["records"]} == {1700000000123}
        assert (listed["sync_count"], listed["exists"]) == (1, True)

    names = app.run("app.listDatasets(await app.credentials.identityId())")
    assert len(names) == 5
    assert app.run("app.perform({ do: 'delete', dataset_name: '...' })") == {
        "is": "deleted"
    }
    assert app.run("app.list(1, '...')")["deleted"] is True


def test_refusals(app):
    """A refusal is an event with the code of the API."""
    app.be_guest()
    stale = {"op": "replace", "key": "a", "value": "1", "sync_count": 7, "edit": 1}

    def push(token: str, patch: dict[str, Any]) -> dict[str, Any]:
        sent = {"token": token, "patches": [patch]}
        found: dict[str, Any] = app.run("app.perform({ do: 'push', sent: it })", sent)
        return found

    token = app.run("app.list()")["token"]
    assert push(token, stale)["code"] == "ResourceConflictException"
    assert push("stale", {**stale, "sync_count": 0})["code"] == (
        "ResourceConflictException"
    )
    assert push(token, {**stale, "key": "k" * 1025})["code"] == (
        "InvalidParameterException"
    )
    assert app.run("app.list(9)")["is"] == "listed"  # there is no dataset yet
    assert push(token, {**stale, "sync_count": 0})["is"] == "pushed"
    assert app.run("app.list(9)")["code"] == "InvalidParameterException"
    assert app.run("app.list(0, '..')")["code"] == "InvalidParameterException"
    gone = app.run("app.perform({ do: 'delete', dataset_name: 'none' })")
    assert gone["code"] == "ResourceNotFoundException"


def test_a_repeated_update(app):
    """An update that is sent again as it was gives the answer that it gave."""
    app.be_guest()
    once, again = app.run(
        """{
            const { token } = await app.list();
            const patches = [{ op: "replace", key: "a", value: "1", sync_count: 0 }];
            const effect = { do: "push", sent: { token, patches } };
            return [await app.perform(effect), await app.perform(effect)];
        }"""
    )

    assert once["records"] == again["records"]
    assert app.run("app.list()")["sync_count"] == 1


def test_a_guest_signs_in(app, backend: Backend):
    """The guest's identity becomes part of the account's, and the app is told."""
    account = backend.sign_in()
    guest = app.be_guest()
    assert app.run("app.push({ a: '1' })")["is"] == "pushed"
    texts = app.run("app.texts")
    found = app.node.evaluate(
        """async ({ options, texts, token, identityId }) => {
            const credentials = millpond.developerToken(() => ({ token, identityId }));
            globalThis.app = millpond.makeApp({ ...options, texts, credentials });
            const before = await credentials.identityId();
            const first = await app.list();
            const after = await credentials.identityId();
            return { before, first, after, followed: app.followed };
        }""",
        {
            "options": app.options,
            "texts": texts,
            "token": account.token,
            "identityId": account.identity_id,
        },
    )

    assert found == {
        "before": guest,
        "first": {"is": "refused", "code": "IdentityChanged"},
        "after": account.identity_id,
        "followed": [[guest, account.identity_id]],
    }
    assert app.run("app.list()")["is"] == "listed"


def test_linked_by_the_backend(app, identities):
    """A backend that names the guest links the user to it: the identity stays."""
    guest = app.be_guest()
    token = identities.get_open_id_token_for_developer_identity(
        IdentityPoolId=app.pool, IdentityId=guest, Logins={PROVIDER: "anna"}
    )["Token"]

    found = app.node.evaluate(
        """async ({ options, texts, token }) => {
            const show = (identityId) => ({ token, identityId });
            const credentials = millpond.developerToken(show);
            globalThis.app = millpond.makeApp({ ...options, texts, credentials });
            await credentials.credentials();
            return [await credentials.identityId(), app.followed, texts.identity];
        }""",
        {"options": app.options, "texts": app.run("app.texts"), "token": token},
    )

    assert found[:2] == [guest, []]
    assert '"user"' in found[2]
    assert "anna" not in found[2]


def test_a_guest_that_is_gone(app, identities):
    """A guest whose identity was deleted becomes another one, and its data follows."""
    guest = app.be_guest()
    identities.delete_identities(IdentityIdsToDelete=[guest])
    app.node.evaluate(
        """async ({ options, texts }) => {
            const credentials = millpond.guest();
            globalThis.app = millpond.makeApp({ ...options, texts, credentials });
        }""",
        {"options": app.options, "texts": app.run("app.texts")},
    )

    app.run("app.list()")

    other = app.run("app.credentials.identityId()")
    assert other != guest
    assert app.run("app.followed") == [[guest, other]]
    assert app.run("app.push({ a: '1' })")["is"] == "pushed"


@pytest.mark.parametrize("off_s", [-86_400 * 3, -400, 400, 86_400 * 3])
def test_the_clock_of_a_device(off_s: int, app):
    """A device whose clock is wrong calls as any other."""
    app.run("{ const now = Date.now; Date.now = () => now() + it * 1000; }", off_s)
    app.be_guest()

    assert app.run("app.push({ a: '1' })")["is"] == "pushed"
    app.run("{ const now = Date.now; Date.now = () => now() - it * 1000; }", off_s)
    assert app.run("app.push({ a: '2' })")["is"] == "pushed"  # it was set right


@pytest.fixture
def proxy(server: RunningServer) -> Iterator[Proxy]:
    """What stands between an app and the server that the tests share."""
    proxy = Proxy(server.endpoint)
    yield proxy
    proxy.close()


@pytest.fixture
def behind(
    new_app: Callable[..., App], server: RunningServer, pool: str, proxy: Proxy
) -> App:
    """A guest behind that, who has credentials."""
    app = new_app(server, pool, endpoint=proxy.url)
    app.be_guest()
    app.run("app.list()")
    return app


@pytest.mark.parametrize(
    "code", ["ExpiredTokenException", "UnrecognizedClientException"]
)
def test_credentials_that_are_over(code: str, behind, proxy):
    """Credentials that the server takes no more are renewed, and the call is made."""
    before = len(proxy.asked)
    proxy.trick = Once(error(403, code), lambda asked: asked.method == "GET")

    assert behind.run("app.list()")["is"] == "listed"

    targets = [each.target or each.method for each in proxy.asked[before:]]
    assert targets == ["GET", "GetCredentialsForIdentity", "GET"]


def test_an_answer_that_is_lost(behind, proxy):
    """An update is sent again as it was, a deletion is not; each is made once."""
    proxy.trick = Once(lose_answer, lambda asked: asked.method == "POST")
    assert behind.run("app.push({ a: '1' })")["is"] == "pushed"
    assert behind.run("app.list()")["sync_count"] == 1

    proxy.trick = Once(lose_answer, lambda asked: asked.method == "DELETE")
    deletion = "app.perform({ do: 'delete', dataset_name: 'prefs' })"
    assert behind.run(deletion) == {"is": "lost", "why": "Unanswered"}
    assert behind.run("app.list(1)")["deleted"] is True


@pytest.mark.parametrize("status", [200, 302, 403, 404, 503])
def test_a_portal(status: int, behind, proxy):
    """A page of somebody else is no answer, whatever it says."""
    proxy.trick = page(status, location="https://portal.example/")
    for effect in (
        {"do": "list", "dataset_name": "prefs", "since": 3},
        {"do": "push", "sent": {"token": "t", "patches": []}},
        {"do": "delete", "dataset_name": "prefs"},
    ):
        assert behind.run("app.perform(it)", effect) == {
            "is": "lost",
            "why": "Unanswered",
        }


def test_a_server_that_is_away(behind, proxy):
    """While the server is away calls are lost; then they go on where they were."""
    sent = {
        "token": behind.run("app.list()")["token"],
        "patches": [{"op": "replace", "key": "a", "value": "1", "sync_count": 0}],
    }
    push = {"do": "push", "sent": sent}
    proxy.trick = refuse_all
    assert behind.run("app.perform(it)", push) == {"is": "lost", "why": "Unanswered"}
    proxy.trick = None
    assert behind.run("app.perform(it)", push)["is"] == "pushed"


def test_throttling(behind, proxy):
    """Whoever calls too often waits as long as the server says, and is answered."""
    throttled = error(429, "TooManyRequestsException", retry_after="1")
    proxy.trick = Once(throttled, lambda asked: asked.method == "DELETE")
    assert behind.run("app.push({ a: '1' })")["is"] == "pushed"

    answer, waited_ms = behind.run(
        """{
            const from = performance.now();
            const event = await app.perform({ do: "delete", dataset_name: "prefs" });
            return [event, performance.now() - from];
        }"""
    )

    assert answer == {"is": "deleted"}
    assert waited_ms >= 1000


def test_live_updates(app, developer):
    """Whoever listens is told of what is there, and then of each change."""
    identity = app.be_guest()
    prefs = Dataset(developer, app.pool, identity, "prefs")
    prefs.put(a="1")
    app.run("app.listen()")
    app.hears("prefs 1")
    prefs.put(a="2")
    app.hears("prefs 2")
    Dataset(developer, app.pool, identity, "other").put(a="1")
    app.hears("other 1")

    assert app.told() == ["live", "prefs 1", "prefs 2", "other 1"]


def test_live_updates_after_a_break(own_server, new_app):
    """What changed while the server could not be reached is told after it."""
    server = own_server()
    gate = Gate(server.endpoint)
    app = new_app(server, create_pool(server), endpoint=gate.endpoint)
    identity = app.be_guest()
    client = server.client("cognito-sync", config=Config(retries={"mode": "standard"}))
    Dataset(client, app.pool, identity, "before").put(a="1")
    app.run("app.listen()")
    app.hears("before 1")

    gate.shut()
    app.hears("ask")
    Dataset(client, app.pool, identity, "meanwhile").put(a="1")
    gate.open()
    app.hears("meanwhile 1")
    client.close()
    gate.close()

    assert app.told().count("before 1") == 1


def test_no_live_updates(own_server, new_app):
    """A server that takes no listeners is asked instead."""
    server = own_server(live_listeners_max="0")
    app = new_app(server, create_pool(server))
    app.be_guest()
    app.run("app.listen()")
    app.hears("ask")

    assert "live" not in app.told()
    assert app.run("app.list()")["is"] == "listed"
