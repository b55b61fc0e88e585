"""The PostgreSQL store works behind a real PgBouncer, or says what it needs."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from millpond.errors import StoreError, StoreUnavailableError
from millpond.stores.postgres import PostgresStore
from millpond.stores.postgres.faults import translate_start
from millpond.testing.postgres import TestPostgres
from millpond.testing.store_contract import StoreContract
from stores.pgbouncer import MISSING, find_program, run_pgbouncer

NEEDS_PGBOUNCER = pytest.mark.skipif(find_program() is None, reason=MISSING)
POOL_SIZE = 4  # fewer than a store has connections, so that they are handed on


@pytest.fixture(scope="module")
def poolers(postgres: TestPostgres) -> Iterator[dict[str, str]]:
    """A PgBouncer of each mode: where it is."""
    with (
        run_pgbouncer(postgres.url, pool_mode="session") as session,
        run_pgbouncer(
            postgres.url, pool_mode="transaction", pool_size=POOL_SIZE
        ) as transaction,
    ):
        yield {"session": session, "transaction": transaction}


@pytest.fixture
def url(new_database: Callable[[], str]) -> str:
    """A database of the test's own."""
    return new_database()


def through(pooler: str, direct: str) -> str:
    """Give the URL of a database through a pooler."""
    return f"{pooler.rpartition('/')[0]}/{direct.rpartition('/')[2]}"


@NEEDS_PGBOUNCER
@pytest.mark.shown_elsewhere(
    "the statements are those of test_postgres.py; what handing connections on may "
    "break, acceptance/test_pgbouncer.py shows with whole servers"
)
class TestTransactionMode(StoreContract):
    """The store keeps its contract where every transaction has another connection."""

    @pytest.fixture(autouse=True)
    def _databases(
        self, new_database: Callable[[], str], poolers: dict[str, str]
    ) -> None:
        self._new_database = new_database
        self._pooler = poolers["transaction"]
        self._urls: dict[Path, str] = {}

    def new_store(self, place: Path) -> PostgresStore:
        if place not in self._urls:
            self._urls[place] = self._new_database()
        direct = self._urls[place]
        return PostgresStore(through(self._pooler, direct), listen_url=direct)


# --- What is refused ------------------------------------------------------------------


def joining(url: str, listen_url: str = "") -> str:
    """Join the other servers of a database; say what was refused, if it was."""

    async def run() -> str:
        store = PostgresStore(url, listen_url=listen_url)
        try:
            await store.open()
            await store.join(lambda _: None, lambda: None)
        except StoreError as error:
            return str(error)
        finally:
            await store.aclose()
        return ""

    return asyncio.run(run())


@NEEDS_PGBOUNCER
def test_a_pooler_in_transaction_mode_is_recognised(
    poolers: dict[str, str], url: str, postgres: TestPostgres
) -> None:
    """By either URL a server refuses it at the start, and says what to set."""
    pooled = {mode: through(pooler, url) for mode, pooler in poolers.items()}
    bad = pooled["transaction"]
    advice = (
        " leads to a pooler in transaction mode. Set 'listen_store' to a URL that "
        "leads to the database itself, or to a pool in session mode."
    )

    assert joining(bad) == f"open: The URL in 'store'{advice}"
    assert joining(bad, bad) == f"open: The URL in 'listen_store'{advice}"
    assert joining(url, bad) == f"open: The URL in 'listen_store'{advice}"
    for store, listen in (
        (pooled["session"], ""),
        (bad, url),
        (bad, pooled["session"]),
        (url, ""),
    ):
        assert joining(store, listen) == ""


@NEEDS_PGBOUNCER
def test_both_urls_are_of_one_database(
    poolers: dict[str, str], new_database: Callable[[], str]
) -> None:
    """A server that would listen in another database hears of nothing, for ever."""
    one, other = new_database(), new_database()

    said = joining(through(poolers["transaction"], one), other)

    assert (
        said == "listen: The URLs in 'store' and 'listen_store' lead to two databases."
    )


# --- What a refused start is called ---------------------------------------------------


def starting(url: str) -> StoreError:
    """Give what opening a store raises."""
    with pytest.raises(StoreError) as caught:
        asyncio.run(PostgresStore(url).open())
    assert "lost" not in str(caught.value)
    return caught.value


@NEEDS_PGBOUNCER
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((r"/[^/]*$", "/nowhere"), 'database "nowhere" does not exist'),
        (("//[^@]*@", "//stranger@"), "authentication failed"),
    ],
    ids=["database", "user"],
)
def test_what_a_pooler_refuses_is_told(
    poolers: dict[str, str], change: tuple[str, str], said: str
) -> None:
    """PgBouncer calls everything a violation of the protocol; its words tell which."""
    error = starting(re.sub(*change, poolers["session"]))

    assert isinstance(error, StoreUnavailableError)
    assert "The server, or a proxy before it, does not take the connection. (" in str(
        error
    )
    assert said in str(error)


def test_a_server_without_tls_is_told(url: str) -> None:
    """Who asks for TLS and is refused has not lost anything."""
    error = starting(f"{url}?sslmode=require")

    assert "does not go on with the connection: " in str(error)
    assert "sslmode" in str(error)


def test_what_is_no_database_is_told() -> None:
    """A server of something else hangs up, or answers in its own tongue."""

    def hang_up(listener: socket.socket) -> None:
        for _ in range(2):  # the driver tries without TLS, too
            peer, _ = listener.accept()
            peer.recv(1)
            peer.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=hang_up, args=(listener,), daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        error = starting(f"postgresql://u@127.0.0.1:{port}/d?sslmode=disable")

    assert isinstance(error, StoreUnavailableError)
    assert "does not go on with the connection" in str(error)
    assert "whether PostgreSQL is there" in str(error)


def test_a_certificate_that_is_not_trusted_is_told() -> None:
    """It is no matter of the network."""
    reason = "certificate verify failed: self-signed certificate"
    error = translate_start(ssl.SSLCertVerificationError(1, reason), "open")

    assert not error.retryable
    assert reason in str(error)
    assert "sslrootcert" in str(error)
