"""What PostgreSQL and its driver say, in words that tell what to do."""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import asyncpg

from millpond.errors import StoreError, StoreUnavailableError

# Without what the driver says: it repeats parts of the URL, and of the password.
WRONG_URL: Final = (
    "The URL in 'store' is wrong. It is postgresql://USER:PASSWORD@HOST:PORT/DATABASE; "
    "in a password write / as %2F, # as %23, ? as %3F and @ as %40. Files that it "
    "names (sslrootcert and the like) must be there."
)
POOLED: Final = (
    "Set 'listen_store' to a URL that leads to the database itself, or to a pool in "
    "session mode."
)
DRIVER_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,  # TimeoutError is one, too
)


class _Words(NamedTuple):
    message: str
    hint: str = ""
    retryable: bool = False


# By SQLSTATE, the whole of it before its class (the first two characters).
_WORDS: Final[dict[str, _Words]] = {
    "08": _Words("The connection to the database was lost.", "", True),
    "25P03": _Words("A transaction stood still for too long.", "", True),
    "25006": _Words(
        "The database takes no writes: it is a replica, or set read-only.",
        "Point 'store' at the primary server; if it is that, see why it was set "
        "read-only, such as for a full disk.",
        True,
    ),
    "26000": _Words("A pooler hands connections on within requests.", POOLED, True),
    "28": _Words(
        "The database refuses the user or the password.",
        "Check the URL in 'store', and pg_hba.conf of the server.",
    ),
    "3D000": _Words(
        "The server has no such database.",
        "Create it: CREATE DATABASE ... ENCODING 'UTF8'.",
    ),
    "40": _Words("Too many at once write to the same thing.", "", True),
    "42P01": _Words(
        "A table is missing in the database.",
        "Run 'millpond migrate'; was the schema changed, or the user's search_path?",
    ),
    "42P05": _Words("A pooler hands connections on within requests.", POOLED, True),
    "42501": _Words(
        "The database user lacks rights.",
        "Let it own the database, or grant it the tables and CREATE on the schema.",
    ),
    "53100": _Words(
        "The disk of the database is full.",
        "Free some space; nothing was written.",
        True,
    ),
    "53300": _Words(
        "The database has no connection left.",
        "Raise its max_connections, or run fewer nodes.",
        True,
    ),
    "53": _Words("The database lacks memory or other resources.", "", True),
    "55": _Words("The database is busy with the same thing.", "", True),
    "57": _Words("The database is shutting down or starting up.", "", True),
    "57014": _Words(
        "The database gave up on a statement.",
        "It was cancelled, or took longer than the server's statement_timeout allows.",
        True,
    ),
    "57P04": _Words("The database was dropped."),
    "57P05": _Words("The database ended a connection that was idle.", "", True),
    "58": _Words("The database cannot read or write its files.", "", True),
}

# What Citus says of its own connections to the workers, with no SQLSTATE but that of
# any fault inside; and what libpq says there of one that broke.
# Source: ereport() without errcode() in src/backend/distributed of Citus 13.2.
_OF_WORKERS: Final = re.compile(
    "failure on connection marked as essential"
    "|postmaster was shut down"
    "|failed to prepare transaction"
    "|cannot recover from multiple connection failures"
    "|unable to recover from inconsistent state"
    "|cannot connect to .* to fetch intermediate results"
    "|failed to read result .* from node"
    "|(server closed|lost synchronization|no connection to|could not receive data"
    "|could not send data|connection not open|connection has been closed)"
)
_WORKER_LOST: Final = _Words(
    "A worker of the cluster cannot be reached.",
    "Check that it runs. What is on the other workers goes on.",
    True,
)
# A statement that was on its way to a part of a table while it was moved.
_SHARD: Final = re.compile(r'relation "[^"]*_\d+" does not exist')
_SHARD_UNKNOWN: Final = re.compile(
    "could not find valid entry for shard|could not open relation with OID"
)
_SHARD_MOVED: Final = _Words("A part of a table is on another worker now.", "", True)


# By SQLSTATE, of a connection that does not come about: there is none to be lost.
_START_WORDS: Final[dict[str, _Words]] = {
    **_WORDS,
    "08": _Words(
        "The server, or a proxy before it, does not take the connection.", "", True
    ),
}


def translate(error: BaseException, op: str) -> StoreError:
    """Say in our words what the driver said in its own."""
    match error:
        case asyncpg.PostgresError():
            return _translate_state(error, op, _WORDS)
        case TimeoutError():
            return StoreUnavailableError(
                "The database does not answer in time.",
                op=op,
                hint="Check its load and the network.",
            )
        case OSError():
            return StoreUnavailableError(
                f"The database cannot be reached: {_reason(error)}.",
                op=op,
                hint="Check that it runs, and the address in 'store'.",
            )
        case asyncpg.ClientConfigurationError():
            return StoreError(WRONG_URL, op=op)
        case asyncpg.DataError() | asyncpg.UnsupportedClientFeatureError():
            return StoreError(f"The database driver failed: {error}", op=op)
        case _:
            # The driver's own: what it says of a connection that is gone.
            return StoreUnavailableError(
                "The connection to the database was lost.", op=op
            )


def translate_start(error: BaseException, op: str) -> StoreError:
    """Say in our words why a connection does not come about."""
    match error:
        case ssl.SSLError():
            return StoreError(
                f"There is no TLS with the database: {_reason(error)}.",
                op=op,
                hint="Check sslmode and sslrootcert in 'store', and the server's "
                "certificate.",
            )
        case asyncpg.ConnectionDoesNotExistError():
            return _hung_up("it closed it", op)
        case ConnectionError() if error.errno is None:
            return _hung_up(str(error), op)  # the driver's words: it has no TLS, say
        case asyncpg.PostgresError():
            return _translate_state(error, op, _START_WORDS)
        case asyncpg.TargetServerAttributeNotMatched():
            return StoreUnavailableError(
                "None of the servers in 'store' is what its target_session_attrs asks "
                "for.",
                op=op,
            )
        case asyncpg.ClientConfigurationError():
            return StoreError(WRONG_URL, op=op)
        case asyncpg.InterfaceError() | asyncpg.InternalClientError():
            return StoreError(
                f"The driver cannot begin a connection as the server wants it: {error}",
                op=op,
            )
        case ValueError() | OverflowError():  # a port that is no number, say
            return StoreError(WRONG_URL, op=op)
        case _:
            return translate(error, op)


def _hung_up(said: str, op: str) -> StoreError:
    return StoreUnavailableError(
        f"The server does not go on with the connection: {said}.",
        op=op,
        hint="Check the address and sslmode in 'store', and whether PostgreSQL is "
        "there.",
    )


def no_writes(op: str) -> StoreError:
    """Word what a write would be told by a database that takes none."""
    words = _WORDS["25006"]
    return StoreUnavailableError(words.message, op=op, hint=words.hint)


def pooled_connections(*, listening: bool) -> StoreError:
    """Word the refusal of a URL under which connections are handed on."""
    name = "listen_store" if listening else "store"
    return StoreError(
        f"The URL in '{name}' leads to a pooler in transaction mode.",
        op="open",
        hint=POOLED,
    )


def _translate_state(
    error: asyncpg.PostgresError, op: str, words_of: Mapping[str, _Words]
) -> StoreError:
    state = error.sqlstate or ""
    # Without the detail, which may hold data.
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    words = (
        _words_of_cluster(state, said) or words_of.get(state) or words_of.get(state[:2])
    )
    if words is None:
        return StoreError(f"The database failed: {said}", op=op)
    kind = StoreUnavailableError if words.retryable else StoreError
    return kind(f"{words.message} ({said})", op=op, hint=words.hint)


def _words_of_cluster(state: str, said: str) -> _Words | None:
    """Tell what Citus means where the SQLSTATE does not tell."""
    if state == "XX000" and _OF_WORKERS.search(said):
        return _WORKER_LOST
    if state.startswith("08") and "to the remote node" in said:
        return _WORKER_LOST
    if state == "42P01" and _SHARD.search(said):
        return _SHARD_MOVED
    if state == "XX000" and _SHARD_UNKNOWN.search(said):
        return _SHARD_MOVED
    return None


def _reason(error: OSError) -> str:
    inner = getattr(error, "exceptions", None)
    if inner:
        return _reason(inner[0])
    return error.strerror or str(error) or type(error).__name__


@contextlib.contextmanager
def map_driver_errors(op: str) -> Iterator[None]:
    """Translate what the driver raises; the contract suite breaks it on purpose."""
    try:
        yield
    except DRIVER_ERRORS as error:
        raise translate(error, op) from error


@contextlib.contextmanager
def map_start_errors(op: str) -> Iterator[None]:
    """Translate what the driver raises while it makes a connection."""
    try:
        yield
    except (*DRIVER_ERRORS, ValueError, OverflowError) as error:
        raise translate_start(error, op) from error
