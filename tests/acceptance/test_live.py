"""Live updates: who listens to an identity is told of its changes, and of no others."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from acceptance.kinds import embedded_does
from acceptance.live_reader import (
    LiveReader,
    connect,
    head,
    live_path,
    metric,
    refusal,
)
from acceptance.raw_http import TIMEOUT_S, RawClient, Request, Scope, presigned
from acceptance.sync_client import (
    Dataset,
    create_pool,
    new_identity,
    refused,
    remove,
    replace,
)
from acceptance.users import Backend, UserCredentials, client_of, get_credentials
from millpond.core.session_tokens import SessionTokens, UserSession
from millpond.core.sync import DatasetId
from millpond.server import secret_key
from millpond.server.stores import open_store
from millpond.settings import Settings
from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer, wait_until
from millpond.testing.store_contract.bench import put
from processes import resident_bytes

DRAIN_S = 3600  # whoever waited for it would not stop in time
LISTENER_KIB_MAX = 40  # 2,000 of them, and the server, within 150 MiB
ORIGIN = "https://app.example"


class App:
    """A server, an identity of it, and whoever listens to that."""

    def __init__(self, server: RunningServer, pool: str, identity: str) -> None:
        self.server = server
        self.raw = RawClient(server)
        self.client = server.client("cognito-sync")
        self.pool = pool
        self.identity = identity

    def dataset(self, name: str = "prefs") -> Dataset:
        """Give a dataset of the identity, as a developer writes it."""
        return Dataset(self.client, self.pool, self.identity, name)

    def request(
        self, *headers: tuple[str, str], scope: Scope | None = None, **parameters: str
    ) -> Request:
        """Make a signed request to listen; by default a developer's."""
        target = live_path(self.pool, self.identity, **parameters)
        return self.raw.signed(Request(target=target, headers=headers), scope)

    def listen(self, *headers: tuple[str, str], **parameters: str) -> LiveReader:
        """Listen as a developer."""
        return LiveReader(self.raw, self.request(*headers, scope=None, **parameters))

    def back(self, event_id: str) -> LiveReader:
        """Listen again, as a browser does by itself."""
        return self.listen(("last-event-id", event_id))

    def metric(self, name: str) -> float:
        """Read a metric of the server."""
        with urlopen(f"{self.server.endpoint}/metrics") as response:
            return metric(response.read().decode(), name)


@pytest.fixture
def app(server: RunningServer, pool: str, identity: str) -> Iterator[App]:
    """An identity of the server that the tests share."""
    made = App(server, pool, identity)
    yield made
    made.client.close()


@pytest.fixture
def start_app(start_server: Callable[..., RunningServer]) -> Callable[..., App]:
    """Start a server of one's own, with an identity; settings may be named."""

    def start(**settings: Any) -> App:
        spelled = {name: str(value) for name, value in settings.items()}
        server = start_server(settings=spelled)
        return App(server, create_pool(server), new_identity())

    return start


def signed_by(app: App, user: UserCredentials, **parameters: str) -> Request:
    """Make a request to listen to the app's identity, signed by a user."""
    scope = Scope(access_key_id=user.access_key_id, secret=user.secret_key)
    token = ("x-amz-security-token", user.session_token)
    return app.request(token, scope=scope, **parameters)


class TestEvents:
    """What is told."""

    def test_an_update(self, app):
        """An event has the members of a push notification."""
        with app.listen() as reader:
            app.dataset().put(a="1")

            assert reader.event().data == {
                "source": "cognito-sync",
                "identityPoolId": app.pool,
                "identityId": app.identity,
                "datasetName": "prefs",
                "syncCount": 1,
            }

    def test_a_stream(self, app):
        """The answer is a stream of events that nobody keeps or holds back."""
        with app.listen() as reader:
            assert reader.headers["content-type"] == "text/event-stream"
            assert reader.headers["cache-control"] == "no-store"
            assert reader.headers["x-amzn-requestid"]

    def test_in_order(self, app):
        """Changes are told in the order in which they were made."""
        made = []
        with app.listen() as reader:
            for number in range(10):
                for name in ("one", "other"):
                    app.dataset(name).put(a=str(number))
                    made.append((name, number + 1))
                    assert reader.event().change == made[-1]

    def test_a_deletion(self, app):
        """The deletion of a dataset is a change, and takes a count."""
        app.dataset().put(a="1")
        with app.listen() as reader:
            app.dataset().delete()
            app.dataset().put(a="1")

            assert reader.changes(2) == [("prefs", 2), ("prefs", 3)]

    def test_a_removed_record(self, app):
        """A removed record is a change."""
        app.dataset().put(a="1")
        with app.listen() as reader:
            app.dataset().update(remove("a", 1))

            assert reader.event().change == ("prefs", 2)

    def test_no_change(self, app):
        """An update that is refused, or empty, or repeated, tells nobody anything."""
        dataset = app.dataset()
        with app.listen() as reader:
            with refused(409, "ResourceConflictException"):
                dataset.update(replace("a", "1", 7))
            dataset.update()
            token = dataset.token()
            dataset.update(replace("a", "1"), token=token)
            dataset.update(replace("a", "1"), token=token)
            dataset.update(replace("b", "1"))

            assert reader.changes(2) == [("prefs", 1), ("prefs", 2)]

    def test_everybody(self, app):
        """Every listener of the identity is told."""
        with app.listen() as one, app.listen() as other:
            app.dataset().put(a="1")

            assert one.event() == other.event()

    def test_other_identities(self, app):
        """The changes of other identities, and of other pools, are not told."""
        other_pool = create_pool(app.server)
        with app.listen() as reader:
            Dataset(app.client, app.pool, new_identity(), "other").put(a="1")
            Dataset(app.client, other_pool, app.identity, "other").put(a="1")
            app.dataset().put(a="1")

            assert reader.event().change == ("prefs", 1)

    def test_a_user(self, app, device):
        """A user listens to the own identity, and hears what another device writes."""
        user = get_credentials(device, app.pool)
        app.identity = user.identity_id
        with LiveReader(app.raw, signed_by(app, user)) as reader:
            app.dataset().put(a="1")

            assert reader.event().data["identityId"] == user.identity_id

    def test_merged_users(self, server, identity_pools):
        """A merge tells either identity what became of its datasets."""
        backend = Backend(identity_pools)
        one, other = backend.sign_in(), backend.sign_in()
        loser = App(server, backend.pool, one.identity_id)
        survivor = App(server, backend.pool, other.identity_id)
        loser.dataset("saves").put(a="1")
        names = [
            identity_pools.lookup_developer_identity(
                IdentityPoolId=backend.pool, IdentityId=each.identity_id
            )["DeveloperUserIdentifierList"][0]
            for each in (one, other)
        ]
        with loser.listen() as left, survivor.listen() as moved:
            identity_pools.merge_developer_identities(
                SourceUserIdentifier=names[0],
                DestinationUserIdentifier=names[1],
                DeveloperProviderName="login.example",
                IdentityPoolId=backend.pool,
            )

            assert left.event().change == ("saves", 2)
            assert moved.event().change == ("saves", 1)

    def test_a_guest_who_signs_in(self, server, identity_pools, device):
        """What a guest brings to an account is told there."""
        backend = Backend(identity_pools)
        user, guest = backend.sign_in(), get_credentials(device, backend.pool)
        with contextlib.closing(client_of(server, guest)) as client:
            Dataset(client, backend.pool, guest.identity_id, "saves").put(a="1")
        account = App(server, backend.pool, user.identity_id)
        with account.listen() as reader:
            device.get_credentials_for_identity(
                IdentityId=guest.identity_id, Logins=user.logins
            )

            assert reader.event().change == ("saves", 1)

    def test_a_comment(self, start_app):
        """A listener who is told nothing sees a comment now and then."""
        app = start_app(live_comment_s=1)
        with app.listen() as reader:
            assert reader.read().comment
            assert reader.read().comment

    def test_counted(self, start_app):
        """A listener counts as a request at once, and as one while it listens."""
        app = start_app()
        with app.listen():
            assert app.metric("millpond_live_listeners") == 1
            answered = (
                r'millpond_requests_total{operation="GetLiveUpdates",status="200"}'
            )
            assert app.metric(answered) == 1
        wait_until(lambda: app.metric("millpond_live_listeners") == 0)


class TestReconnecting:
    """Whoever was away misses nothing."""

    def test_nothing_of_the_past(self, app):
        """Without an event id, a listener is told of what happens from then on."""
        app.dataset("old").put(a="1")
        with app.listen() as reader:
            app.dataset("new").put(a="1")

            assert reader.event().change == ("new", 1)

    def test_what_was_missed(self, app):
        """With an event id, what happened since is told, and each dataset once."""
        app.dataset("same").put(a="1")
        app.dataset("more").put(a="1")
        with app.listen() as reader:
            app.dataset("seen").put(a="1")
            reader.event()
        for _ in range(3):
            app.dataset("more").put(a="1")
        app.dataset("new").put(a="1")

        with app.back(reader.event_id) as reader:
            assert set(reader.changes(2)) == {("more", 4), ("new", 1)}
            app.dataset("last").put(a="1")
            assert reader.event().change == ("last", 1)

    def test_from_the_greeting_on(self, app):
        """A listener who has got no event yet can come back as well."""
        with app.listen() as reader:
            pass
        app.dataset().put(a="1")

        with app.back(reader.event_id) as reader:
            assert reader.event().change == ("prefs", 1)

    def test_nothing_missed(self, app):
        """Whoever comes back in time is told of nothing twice."""
        app.dataset().put(a="1")
        with app.listen() as reader:
            app.dataset().put(a="2")
            reader.event()

        with app.back(reader.event_id) as reader:
            app.dataset("next").put(a="1")
            assert reader.event().change == ("next", 1)

    def test_a_missed_deletion(self, app):
        """A dataset that was deleted meanwhile is told of."""
        app.dataset().put(a="1")
        with app.listen() as reader:
            pass
        app.dataset().delete()

        with app.back(reader.event_id) as reader:
            assert reader.event().change == ("prefs", 2)

    def test_in_the_query(self, app):
        """The id may come in the query, where a page cannot set headers."""
        with app.listen() as reader:
            pass
        app.dataset().put(a="1")

        with app.listen(lastEventId=reader.event_id) as reader:
            assert reader.event().change == ("prefs", 1)

    def test_the_header_is_newer(self, app):
        """A browser repeats the URL, old id and all; its header wins."""
        with app.listen() as first:
            app.dataset("one").put(a="1")
            first.event()
        app.dataset("two").put(a="1")
        with app.listen() as last:
            newer = ("last-event-id", first.event_id)
            with app.listen(newer, lastEventId=last.event_id) as reader:
                assert reader.event().change == ("two", 1)

    @pytest.mark.parametrize("event_id", ["42", "1-zz.1", "%00", "1-a7.1%0a"])
    def test_a_strange_id(self, app, event_id):
        """An id that no event had stands for somebody who knows nothing."""
        app.dataset().put(a="1")
        if event_id == "%00":
            answer = refusal(app.raw, app.request(lastEventId=event_id))
            assert answer.status == 400
            return

        with app.listen(lastEventId=event_id) as reader:
            assert reader.event().change == ("prefs", 1)

    def test_a_reader_that_keeps_no_id_of_the_greeting(self, app):
        """With `none` in its URL it misses nothing, a deletion neither."""
        with app.listen(lastEventId="none"):
            pass
        app.dataset().put(a="1")
        app.dataset("gone").put(a="1")
        app.dataset("gone").delete()

        with app.listen(lastEventId="none") as reader:
            changes = {reader.event().change[0], reader.event().change[0]}

        assert changes == {"prefs", "gone"}

    def test_a_long_id(self, app):
        """An id that is too long to be one is refused."""
        answer = refusal(app.raw, app.request(lastEventId="1" * 9000))

        assert answer.status == 400
        assert "LastEventId" in answer.message or "lastEventId" in answer.message

    @pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
    def test_another_server(self, start_app, how):
        """An event id outlives the server, however that ended."""
        app = start_app()
        app.dataset("same").put(a="1")
        with app.listen() as reader:
            app.dataset("seen").put(a="1")
            reader.event()
            app.dataset("unseen").put(a="1")
            app.server.stop(how)
        app.server.start()
        app = App(app.server, app.pool, app.identity)
        app.dataset("later").put(a="1")

        with app.back(reader.event_id) as reader:
            assert set(reader.changes(2)) == {("unseen", 1), ("later", 1)}

    def test_while_much_is_written(self, app):
        """Whoever comes and goes while many write is told the last of everything."""
        names = [f"dataset-{number}" for number in range(4)]
        latest: dict[str, int] = {}

        def write(name: str) -> None:
            for number in range(40):
                app.dataset(name).put(a=str(number))

        with app.listen() as reader:
            pass
        with ThreadPoolExecutor() as pool:
            writing = [pool.submit(write, name) for name in names]
            while set(latest.values()) != {40} or len(latest) < len(names):
                with app.back(reader.event_id) as reader:
                    # The id stays behind until all that was missed has been read.
                    for _ in names:
                        if set(latest.values()) == {40} and len(latest) == len(names):
                            break
                        name, count = reader.event().change
                        latest[name] = max(count, latest.get(name, 0))
            for each in writing:
                each.result()

        assert latest == dict.fromkeys(names, 40)


@embedded_does("who may listen is decided before a store is asked")
class TestWhoMay:
    """Listening is reading: who may list an identity's records may listen to it."""

    def test_another_identity(self, app, device):
        """A user may not listen to anybody else."""
        user = get_credentials(device, app.pool)

        answer = refusal(app.raw, signed_by(app, user))

        assert (answer.status, answer.error) == (403, "NotAuthorizedException")

    def test_another_pool(self, app, device):
        """A user may not listen in another pool."""
        user = get_credentials(device, app.pool)
        app.pool, app.identity = create_pool(app.server), user.identity_id

        answer = refusal(app.raw, signed_by(app, user))

        assert (answer.status, answer.error) == (403, "NotAuthorizedException")

    def test_unsigned(self, app):
        """Nobody listens without credentials."""
        request = Request(
            target=live_path(app.pool, app.identity), headers=(("host", app.raw.host),)
        )

        answer = refusal(app.raw, request)

        assert answer.status == 403
        assert answer.error == "MissingAuthenticationTokenException"

    def test_another_signature(self, app):
        """A signature for another identity does not fit."""
        request = app.request().but(target=live_path(app.pool, new_identity()))

        answer = refusal(app.raw, request)

        assert (answer.status, answer.error) == (403, "InvalidSignatureException")

    def test_expired(self, app):
        """Credentials that have expired open nothing."""
        user = issue(app, -1)

        assert refusal(app.raw, signed_by(app, user)).error == "ExpiredTokenException"

    def test_expiring(self, app):
        """The stream ends when the credentials do."""
        user = issue(app, math.ceil(seconds(2)))
        began = time.monotonic()

        with LiveReader(app.raw, signed_by(app, user)) as reader:
            reader.read_to_the_end()

        assert time.monotonic() - began < seconds(10)

    def test_an_unknown_pool(self, app):
        """There is nothing to listen to in a pool that is not there."""
        app.pool = f"us-east-1:{uuid.uuid4()}"

        answer = refusal(app.raw, app.request())

        assert (answer.status, answer.error) == (404, "ResourceNotFoundException")


def issue(app: App, lifetime_s: float) -> UserCredentials:
    """Issue credentials of the app's identity, as the server would, for a while."""
    key = secret_key.derive(secret_key.load(app.server.data, ""), "session tokens")
    expires_ms = int((time.time() + lifetime_s) * 1000)
    session = UserSession(app.pool, app.identity, expires_ms, "", "")
    made = SessionTokens(key, random_bytes=lambda n: uuid.uuid4().bytes[:n]).issue(
        session
    )
    return UserCredentials(
        app.identity, made.access_key_id, made.secret_access_key, made.session_token
    )


@embedded_does("what EventSource sends, which no store sees")
class TestBrowsers:
    """What EventSource needs; it sends a URL and nothing else."""

    def presign(self, app: App, user: UserCredentials, **others: str) -> Request:
        scope = Scope(access_key_id=user.access_key_id, secret=user.secret_key)
        token = {"X-Amz-Security-Token": quote(user.session_token, safe="")}
        target = live_path(app.pool, app.identity, **others, **token)
        request = Request(target=target, headers=(("host", app.raw.host),))
        return presigned(request, scope)

    def test_a_presigned_url(self, app):
        """A URL with the signature and the session token in it will do."""
        with LiveReader(app.raw, self.presign(app, issue(app, 60))) as reader:
            app.dataset().put(a="1")

            assert reader.event().change == ("prefs", 1)

    def test_coming_back(self, app):
        """The browser repeats the URL and adds a header that is not signed."""
        request = self.presign(app, issue(app, 60))
        with LiveReader(app.raw, request) as reader:
            pass
        app.dataset().put(a="1")

        header = ("last-event-id", reader.event_id)
        with LiveReader(
            app.raw, request.but(headers=(*request.headers, header))
        ) as back:
            assert back.event().change == ("prefs", 1)

    def test_a_new_url(self, app):
        """A page that signs a new URL puts the last event id into it."""
        with LiveReader(app.raw, self.presign(app, issue(app, 60))) as reader:
            pass
        app.dataset().put(a="1")

        request = self.presign(app, issue(app, 60), lastEventId=reader.event_id)
        with LiveReader(app.raw, request) as back:
            assert back.event().change == ("prefs", 1)

    def test_another_origin(self, start_app):
        """A page of an allowed origin may read the stream."""
        app = start_app(cors_origins=json.dumps([ORIGIN]))
        with app.listen(("origin", ORIGIN)) as reader:
            assert reader.headers["access-control-allow-origin"] == ORIGIN
        with app.listen(("origin", "https://evil.example")) as reader:
            assert "access-control-allow-origin" not in reader.headers

    def test_a_page_that_reads_the_stream_itself(self, start_app):
        """One that uses `fetch` may ask to send the header that EventSource sends."""
        app = start_app(cors_origins=json.dumps([ORIGIN]))
        asked = (
            ("origin", ORIGIN),
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", "last-event-id"),
        )
        target = live_path(app.pool, app.identity)

        answer = app.raw.send(Request(method="OPTIONS", target=target, headers=asked))

        assert "last-event-id" in answer.headers["access-control-allow-headers"]


@embedded_does("connections, which no store sees")
class TestLimits:
    """Listeners are bounded, and none of them harms the others."""

    def test_of_an_identity(self, start_app):
        """One identity has so many listeners; a place is free when one goes."""
        app = start_app(live_listeners_per_identity_max=2)
        with app.listen(), app.listen() as last:
            answer = refusal(app.raw, app.request())
            assert (answer.status, answer.error) == (429, "TooManyRequestsException")
            assert "limit is 2" in answer.message
            last.close()
            wait_until(lambda: answers(app.raw, app.request()))

    def test_of_the_server(self, start_app):
        """The server has so many listeners, whoever they are."""
        app = start_app(live_listeners_max=1)
        other = App(app.server, app.pool, new_identity())
        with app.listen() as reader:
            answer = refusal(app.raw, other.request())
            assert (answer.status, answer.error) == (429, "TooManyRequestsException")
            app.dataset().put(a="1")
            assert reader.event().change == ("prefs", 1)

    def test_switched_off(self, start_app):
        """Without places there are no live updates, and everything else works."""
        app = start_app(live_listeners_max=0)

        assert refusal(app.raw, app.request()).status == 429
        assert app.dataset().put(a="1")["Records"]

    def test_one_who_never_reads(self, start_app):
        """It is cut off; whoever reads is told of everything meanwhile."""
        app = start_app(live_send_timeout_s=1, live_comment_s=1)
        app.server.stop()
        make_datasets(app, 1500)
        app.server.start()
        stuck, other = App(app.server, app.pool, app.identity), new_identity()
        app = App(app.server, app.pool, other)

        with stuck_reader(stuck) as connection, app.listen() as reader:
            cut_offs = "millpond_live_cut_offs_total"
            count = 0
            while app.metric(cut_offs) == 0:
                count += 1
                assert count < 10_000, "it is never cut off"
                app.dataset().put(a=str(count))
                assert reader.event().change == ("prefs", count)
            assert app.metric("millpond_live_listeners") == 1
            with pytest.raises(ConnectionResetError):
                read_all(connection)

    def test_shutdown(self, start_app):
        """A server that stops does not wait for listeners, and ends them in order."""
        app = start_app(drain_s=DRAIN_S)
        with app.listen() as reader:
            assert app.server.stop() == 0
            with pytest.raises(EOFError):
                reader.read()

    def test_shutdown_with_one_who_never_reads(self, start_app):
        """It is not waited for either."""
        app = start_app(drain_s=DRAIN_S, live_send_timeout_s=600)
        app.server.stop()
        make_datasets(app, 1500)
        app.server.start()
        app = App(app.server, app.pool, app.identity)
        with stuck_reader(app):
            assert app.server.stop() == 0

    def test_memory(self, start_app):
        """A listener who is told nothing costs little memory."""
        app = start_app(live_listeners_per_identity_max=1000)
        request = app.request()
        with contextlib.ExitStack() as stack:
            stack.enter_context(LiveReader(app.raw, request))
            before = resident_bytes(app.server.pid)
            for _ in range(300):
                stack.enter_context(LiveReader(app.raw, request))
            each = (resident_bytes(app.server.pid) - before) / 300

        assert each / 1024 < LISTENER_KIB_MAX


def make_datasets(app: App, count: int) -> None:
    """Make many datasets, in the store of a server that is stopped."""

    async def fill() -> None:
        server = app.server
        settings = Settings(data=server.data, store=server.store_url)
        names = [DatasetId(app.pool, app.identity, f"d{n}") for n in range(count)]
        async with open_store(settings) as store:
            # Writers of one identity wait for each other, with a connection each.
            for first in range(0, count, 16):
                some = names[first : first + 16]
                await asyncio.gather(*(put(store, each, {"a": "1"}) for each in some))

    asyncio.run(fill())


@contextlib.contextmanager
def stuck_reader(app: App) -> Iterator[socket.socket]:
    """Ask for more than the buffers on the way take, and read nothing of it."""
    # Each of the events of the past has the id from which they are told: a long one.
    long_id = "1" + "".join(f"-{cell:02x}.{'f' * 24}" for cell in range(256))
    request = app.request(lastEventId=long_id)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(seconds(TIMEOUT_S))
        connection.connect(app.raw.address)
        connection.sendall(head(request))
        wait_until(lambda: app.metric("millpond_live_listeners") == 1)
        yield connection


def read_all(connection: socket.socket) -> None:
    """Read until the other end closes the connection."""
    while connection.recv(1 << 20):
        pass


def answers(raw: RawClient, request: Request) -> bool:
    """Whether a request to listen is answered with a stream."""
    with connect(raw, request) as connection:
        return connection.recv(12) == b"HTTP/1.1 200"
