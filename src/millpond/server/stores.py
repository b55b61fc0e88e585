"""
The store that the settings name: embedded in the data folder, or a PostgreSQL database.

The embedded store has one server at a time, which holds the lock of the folder. Any
number of nodes share a database. They need the same master secret: from the setting
`secret_key`, or from the file in the data folder when they share that.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

from millpond.errors import SettingsError, StoreError, StoreUnavailableError
from millpond.server import lock, secret_key
from millpond.settings import Settings
from millpond.stores.base import Store
from millpond.stores.copying import CopyStore
from millpond.stores.sqlite import SqliteStore

INCOMPLETE_FILE_NAME: Final = "backup.incomplete"  # while a backup is being written


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
def hold_store(settings: Settings) -> Iterator[None]:
    """
    Hold what only one server may use: the folder of the embedded store.

    Raises:
        StoreInUseError: another server holds it.
    """
    prepare_data_folder(settings)
    if settings.store:
        yield
        return
    with lock.hold(settings.data):
        yield


@contextlib.asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """
    Open the store that the settings name, and close it in the end.

    Raises:
        StoreError: it cannot be opened, or only a part of it is there.
        SettingsError: it has sealed secrets, and the key to them is not there.
    """
    prepare_data_folder(settings)
    if not settings.store:
        check_backup_is_whole(settings.data)
    store = make_store(settings)
    await store.open()
    try:
        await _check_copy_is_complete(store)
        if secret_key.is_lost(settings.data, settings.secret_key) and (
            await store.list_developer_keys()
        ):
            raise _secret_is_lost(settings)
        yield store
    finally:
        await store.aclose()


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


async def _check_copy_is_complete(store: CopyStore) -> None:
    mark = await store.find_copy_mark()
    if mark is not None:
        raise StoreError(
            f"This store is the target of a copy of '{mark.source}' that is not "
            "complete.",
            hint="Run the same 'millpond store copy' again to complete it.",
        )


def make_store(settings: Settings) -> CopyStore:
    """
    Make the store that the settings name; it is not open yet.

    Raises:
        SettingsError: what it needs is not installed.
    """
    if not settings.store:
        return SqliteStore(settings.data)
    store: CopyStore = load_postgres().PostgresStore(
        settings.store, listen_url=settings.listen_store
    )
    return store


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
    from millpond.stores.postgres.database import redacted

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
