"""
The store that the settings name: embedded in the data folder, or a PostgreSQL database.

The embedded store has one server at a time, which holds the lock of the folder. Any
number of nodes share a database. They need the same master secret: from the setting
`secret_key`, or from the file in the data folder when they share that.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from millpond.errors import (
    NoStoreError,
    SettingsError,
    StoreError,
    StoreUnavailableError,
)
from millpond.server import lock, secret_key
from millpond.settings import Settings
from millpond.stores.base import Store
from millpond.stores.copying import CopyStore
from millpond.stores.sqlite import FILE_NAME, STREAMS_FILE_NAME, SqliteStore
from millpond.stores.urls import redacted

if TYPE_CHECKING:
    from millpond.tracing.sdk import Tracing

INCOMPLETE_FILE_NAME: Final = "backup.incomplete"  # while a backup is being written
# In the data folder of a server whose store is a database: where that is.
DATABASE_NOTE_NAME: Final = "store.url"


def prepare_data_folder(settings: Settings) -> None:
    """
    Make the data folder, for its owner alone, when something is to be kept there.

    Raises:
        StoreUnavailableError: it cannot be made.
    """
    if settings.store and settings.secret_key:
        return
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailableError(
            f"Cannot make the data folder '{settings.data}': {error.strerror}."
        ) from error


@contextlib.contextmanager
def hold_store(settings: Settings) -> Iterator[Callable[[str], None]]:
    """
    Hold what only one server may use: the folder of the embedded store.

    What is yielded tells commands on this machine where the server answers.

    Raises:
        StoreInUseError: another server holds it.
    """
    prepare_data_folder(settings)
    if settings.store:
        yield lambda endpoint: None
        return
    with lock.hold(settings.data) as tell:
        (settings.data / DATABASE_NOTE_NAME).unlink(missing_ok=True)
        yield tell


def _note_database(settings: Settings) -> None:
    """Leave word in the data folder that the data is elsewhere."""
    with contextlib.suppress(OSError):  # there is no folder, or it is read-only
        note = settings.data / DATABASE_NOTE_NAME
        note.write_text(f"{redacted(settings.store)}\n", "utf-8")


@contextlib.asynccontextmanager
async def open_store(
    settings: Settings, tracing: Tracing | None = None
) -> AsyncIterator[Store]:
    """
    Open the store that the settings name, and close it in the end; make it when there
    is none, as a server does.

    Args:
        tracing: makes spans of what it is asked; None: nobody asks for traces.
    Raises:
        StoreError: it cannot be opened, or only a part of it is there.
        SettingsError: it has sealed secrets, and the key to them is not there.
    """
    prepare_data_folder(settings)
    async with _open(settings, tracing) as store:
        if secret_key.is_lost(settings.data, settings.secret_key) and (
            await store.list_developer_keys()
        ):
            raise _secret_is_lost(settings)
        if settings.store:
            _note_database(settings)  # now that it has answered
        yield store


@contextlib.asynccontextmanager
async def open_existing(
    settings: Settings, *, seals: bool = False
) -> AsyncIterator[Store]:
    """
    Open a store that is there, to look at it or to administer it; never make one.

    Args:
        seals: secrets are going to be sealed, so that the servers of the store can open
            them.
    Raises:
        NoStoreError: there is none.
        StoreError: it cannot be opened, only a part of it is there, or the servers of
            its folder use another one.
        SettingsError: its secret is not there, or is that of another store.
    """
    if not await is_there(settings):
        raise no_store(settings)
    _check_servers_use_it(settings)
    async with _open(settings, must_exist=True) as store:
        if seals:
            await _check_secret_fits(settings, store)
        yield store


@contextlib.asynccontextmanager
async def _open(
    settings: Settings, tracing: Tracing | None = None, *, must_exist: bool = False
) -> AsyncIterator[Store]:
    if not settings.store:
        check_backup_is_whole(settings.data)
        check_is_not_emptied(settings.data)
    store = make_store(settings, tracing=tracing, must_exist=must_exist)
    await store.open()
    try:
        await _check_copy_is_complete(store)
        yield store
    finally:
        await store.aclose()


async def is_there(settings: Settings) -> bool:
    """
    Say whether there is a store where the settings say.

    Raises:
        StoreError: a database does not answer.
    """
    if not settings.store:
        try:
            return holds_something(settings.data)
        except OSError as error:
            raise StoreUnavailableError(
                f"Cannot look into '{settings.data.absolute()}': {error.strerror}."
            ) from error
    load_postgres()
    from millpond.stores.postgres.database import Database
    from millpond.stores.postgres.distribution import refuse_worker
    from millpond.stores.postgres.faults import map_driver_errors

    connection = await Database(settings.store).connect("open")
    try:
        await refuse_worker(connection)
        with map_driver_errors("open"):
            found = await connection.fetchval(
                "SELECT to_regclass('millpond_schema') IS NOT NULL"
            )
    finally:
        await connection.close()
    return bool(found)


def no_store(settings: Settings) -> NoStoreError:
    """Say that there is no store, and where it was looked for."""
    if settings.store:
        place = place_of(settings).removeprefix("data in ")
        return NoStoreError(f"There is no store in '{place}': the database is empty.")
    folder = settings.data.absolute()
    if folder.is_dir():
        empty = (folder / FILE_NAME).exists()
        what = f"its {FILE_NAME} is empty" if empty else f"it has no {FILE_NAME}"
    else:
        what = "it is no folder" if folder.exists() else "there is no such folder"
    return NoStoreError(f"There is no store in '{folder}': {what}.")


def _check_servers_use_it(settings: Settings) -> None:
    """
    Refuse an embedded store that the servers of its folder do not use.

    They may have moved to a database since; and where a folder is shared by machines
    whose locks do not reach each other, two that write to it would spoil it.
    """
    if settings.store:
        return
    folder = settings.data.absolute()
    holder = lock.find_holder(folder)
    if holder is not None and holder.is_here and holder.is_held:
        return  # a server runs on it
    database = _noted_database(folder)
    if database:
        raise StoreError(
            f"The servers with the folder '{folder}' have their store in '{database}', "
            "and would not see what is done here.",
            hint="Name that with --store, or with the settings of the servers.",
        )
    if holder is not None and not holder.is_here and not holder.is_held:
        raise StoreError(
            f"A server on the machine '{holder.machine}' uses '{folder}' (process "
            f"{holder.process}).",
            hint="Run this there. If that server is gone, start one here, or remove "
            f"'{folder / lock.FILE_NAME}'.",
        )


def _noted_database(folder: Path) -> str:
    try:
        text = (folder / DATABASE_NOTE_NAME).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return text if text.isprintable() else ""


async def _check_secret_fits(settings: Settings, store: Store) -> None:
    """Refuse to seal with a secret that does not open what is sealed there."""
    # Imported late: who looks seals nothing, and need not wait for a cipher.
    from millpond.server.sealers import make_sealer
    from millpond.service.developer_keys import KeyRing

    secret_key.load(settings.data, settings.secret_key, make=False)
    keys = KeyRing(store, make_sealer(settings))
    await keys.refresh()
    keys.check()


def check_backup_is_whole(folder: Path) -> None:
    """
    Refuse a data folder that is a backup which was cut off.

    Raises:
        StoreError: it is one.
    """
    if (folder / INCOMPLETE_FILE_NAME).exists():
        raise StoreError(
            f"'{folder}' is a backup that was not finished.",
            hint="Use another one; of this one a part is missing.",
        )


def check_is_not_emptied(folder: Path) -> None:
    """
    Refuse a file of 0 bytes where there was a store: SQLite takes it for a new one.

    A first start that was killed leaves such files, too, but nothing beside them that
    is made later.

    Raises:
        StoreError: there is one, or the main file is gone from beside the other one.
    """
    made_later = {
        FILE_NAME: (STREAMS_FILE_NAME, secret_key.FILE_NAME),
        STREAMS_FILE_NAME: (secret_key.FILE_NAME,),
    }
    for name, others in made_later.items():
        if holds_something(folder, name):
            continue
        left = [each for each in others if holds_something(folder, each)]
        if left and (folder / name).exists():
            raise StoreError(
                f"'{folder / name}' has 0 bytes, and there was a store in it: "
                f"{left[0]} is beside it.",
                hint="Put a backup in its place; to begin anew, take it away.",
            )
        if STREAMS_FILE_NAME in left:
            raise StoreError(
                f"'{folder / name}' is not there, and there was a store in it: "
                f"{STREAMS_FILE_NAME} is beside it.",
                hint="Put a backup in its place; to begin anew, take away both.",
            )


def holds_something(folder: Path, name: str = FILE_NAME) -> bool:
    """Say whether there is a file that is not empty; what is in its log counts."""
    files = (folder / name, folder / f"{name}-wal")
    return any(each.exists() and each.stat().st_size for each in files)


async def _check_copy_is_complete(store: CopyStore) -> None:
    mark = await store.find_copy_mark()
    if mark is not None:
        raise StoreError(
            f"This store is the target of a copy of '{mark.source}' that is not "
            "complete.",
            hint="Run the same 'millpond store copy' again to complete it.",
        )


@contextlib.asynccontextmanager
async def open_to_read(
    settings: Settings, tracing: Tracing | None = None
) -> AsyncIterator[Store]:
    """
    Open a store that the writer of this server has opened before, to read from it.

    Raises:
        StoreError: it cannot be opened.
    """
    store = make_store(settings, read_only=True, tracing=tracing)
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()


def make_store(
    settings: Settings,
    *,
    read_only: bool = False,
    must_exist: bool = False,
    tracing: Tracing | None = None,
) -> CopyStore:
    """
    Make the store that the settings name; it is not open yet.

    Args:
        read_only: another process of this server writes.
        must_exist: an embedded one is not begun where there is none.
        tracing: as of `open_store`.
    Raises:
        SettingsError: what it needs is not installed.
    """
    if not settings.store:
        embedded: CopyStore = _trace(SqliteStore, tracing)(
            settings.data,
            read_only=read_only,
            must_exist=must_exist,
            durable=not settings.ephemeral,
        )
        return embedded
    kind = _trace(load_postgres().PostgresStore, tracing, settings.store)
    store: CopyStore = kind(
        settings.store, listen_url=settings.listen_store, read_only=read_only
    )
    return store


def _trace(kind: Any, tracing: Tracing | None, url: str = "") -> Any:
    if tracing is None:
        return kind
    from millpond.tracing import ports

    return ports.store_kind(tracing, kind, url)


def load_postgres() -> ModuleType:
    """
    Load the store in PostgreSQL; its driver is an extra.

    Raises:
        SettingsError: the extra is not installed.
    """
    try:
        from millpond.stores import postgres
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"A store in PostgreSQL needs the package {error.name}. Install it with: "
            "pip install 'millpond[postgres]'"
        ) from error
    return postgres


def name_node(store: Store) -> str:
    """Name this server among those of its store; the same after a restart if alone."""
    return getattr(store, "node", "local")


def kind_of(settings: Settings) -> str:
    """Name the kind of store, as metrics and logs do."""
    return "postgres" if settings.store else "sqlite"


def place_of(settings: Settings) -> str:
    """Say where the data is, for people: without a password."""
    if not settings.store:
        return f"data in {settings.data}"
    return f"data in {redacted(settings.store)}"


def _secret_is_lost(settings: Settings) -> SettingsError:
    file: Path = settings.data / secret_key.FILE_NAME
    if settings.store:
        return SettingsError(
            f"'{file}' is missing; the developer keys of this database are sealed with "
            "the secret of another node. Give every node the same secret_key, or that "
            "node's file."
        )
    return SettingsError(
        f"'{file}' is missing; the developer keys of this store are sealed with it. "
        "Put it back, or set secret_key."
    )
