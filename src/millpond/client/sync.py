"""
The two faces of the library: one that is awaited, and one that waits.

    async with open_sync(endpoint, pool, storage=SQLite("app.db"),
                         credentials=guest()) as sync:
        prefs = sync.dataset("prefs")
        prefs["colour"] = "teal"
        report = await prefs.sync()

    with open_sync_blocking(endpoint, pool, credentials=guest()) as sync:
        report = sync.dataset("prefs").sync()
"""

from __future__ import annotations

from millpond.client.dataset import AsyncDataset, Dataset
from millpond.client.engine import Engine
from millpond.client.sqlite_storage import Memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import TracebackType
    from typing import Any, Final

    from millpond.client.merging import AppMerge
    from millpond.client.sqlite_storage import SQLite
    from millpond.client.status import Status
    from millpond.client.watching import AsyncWatch, Watch
    from millpond.core.client_sync.copies import Merge
    from millpond.core.client_sync.quota import Limits

RETRY_S: Final = (1.0, 300.0)


class _Face:
    """What both have."""

    def __init__(self, open_engine: Callable[[], Engine]) -> None:
        self._open_engine = open_engine
        self._opened: Engine | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._opened or 'not open yet'}>"

    @property
    def engine(self) -> Engine:
        """What is behind it, for the rest of the library."""
        if self._opened is None:
            self._opened = self._open_engine()
        return self._opened

    @property
    def identity_id(self) -> str | None:
        """Whose data it is; `None` before the first contact of a new guest."""
        return self.engine.identity_id

    @property
    def status(self) -> Status:
        """How everything stands: all datasets that are here, opened or not."""
        return self.engine.status()

    def datasets(self) -> list[str]:
        """List the datasets that are here, opened or not, by name."""
        return self.engine.names()

    def wake(self) -> None:
        """Let uploads that failed go out now: the network may be back."""
        self.engine.background.wake()


class Sync(_Face):
    """The data of a user, for code that waits. Use it as a context manager."""

    def __enter__(self) -> Sync:
        self.engine  # noqa: B018 -- opens it
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def dataset(
        self,
        name: str,
        *,
        merge: Merge | AppMerge | None = None,
        codec: Any = None,
    ) -> Dataset:
        """
        Open a dataset.

        Args:
            merge: who is right where both sides changed a record: `newest` (where
                nothing is said), `mine`, `theirs`, or a function of the key and three
                values: that of the server last time, this device's, and the server's
                (`merging`).
            codec: makes texts of values, and values of texts; `None`: they are texts.
        Raises:
            ValueError: there can be no dataset of that name, or it is open already with
                another merge or codec.
        """
        dataset: Dataset = self.engine.open(Dataset, name, merge, codec)
        return dataset

    def server_datasets(self) -> list[str]:
        """List the datasets that the server has for the user, by name (CallError)."""
        return self.engine.names_there()

    def watch(self, *, ask_every_s: float = 30.0) -> Watch:
        """
        Stay in step: an iterator that tells what each synchronization did.

        The datasets that the app has opened, or opens meanwhile, are synchronized when
        the server tells of a change, or the app writes. It ends when this is closed,
        or the user signs out.

        Args:
            ask_every_s: where the server has no live updates.
        """
        from millpond.client.watching import Watch

        return Watch(self.engine, ask_every_s=ask_every_s)

    def sign_in(self) -> str:
        """
        Say that somebody has signed in, so that the credentials' function is asked.

        What was written as a guest follows into the account.

        Returns:
            The identity whose data it is now.
        Raises:
            CallError: nobody answers; the next synchronization asks again.
        """
        return self.engine.sign_in()

    def sign_out(self, *, discard: bool = False) -> None:
        """
        Drop what is here of the user, and forget who it was.

        Args:
            discard: also what the server does not have.
        Raises:
            UnsentError: there is such; it says what. Nothing was dropped.
        """
        self.engine.sign_out(discard=discard)

    def close(self) -> None:
        """Close it. What is unsent stays, and goes out another time."""
        if self._opened is not None:
            self._opened.close()


class AsyncSync(_Face):
    """The data of a user, for code that awaits: `async with`, or `await`."""

    async def __aenter__(self) -> AsyncSync:
        import asyncio

        await asyncio.to_thread(lambda: self.engine)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __await__(self) -> Generator[Any, None, AsyncSync]:
        return self.__aenter__().__await__()

    def dataset(
        self,
        name: str,
        *,
        merge: Merge | AppMerge | None = None,
        codec: Any = None,
    ) -> AsyncDataset:
        """Open a dataset, as `Sync.dataset` does."""
        dataset: AsyncDataset = self.engine.open(AsyncDataset, name, merge, codec)
        return dataset

    async def server_datasets(self) -> list[str]:
        """List the datasets that the server has for the user (CallError)."""
        import asyncio

        return await asyncio.to_thread(self.engine.names_there)

    def watch(self, *, ask_every_s: float = 30.0) -> AsyncWatch:
        """Stay in step, as `Sync.watch` does; for `async for`."""
        from millpond.client.watching import AsyncWatch, Watch

        return AsyncWatch(lambda: Watch(self.engine, ask_every_s=ask_every_s))

    async def sign_in(self) -> str:
        """Say that somebody has signed in, as `Sync.sign_in` does."""
        import asyncio

        return await asyncio.to_thread(self.engine.sign_in)

    async def sign_out(self, *, discard: bool = False) -> None:
        """Drop what is here of the user, as `Sync.sign_out` does."""
        import asyncio

        await asyncio.to_thread(self.engine.sign_out, discard=discard)

    async def close(self) -> None:
        """Close it, as `Sync.close` does."""
        import asyncio

        if self._opened is not None:
            await asyncio.to_thread(self._opened.close)


def open_sync(
    endpoint: str | None,
    pool: str,
    *,
    storage: SQLite | Memory | None = None,
    credentials: Any,
    region: str | None = None,
    retry_s: tuple[float, float] = RETRY_S,
    limits: Limits | None = None,
) -> AsyncSync:
    """
    Open the data of a user, for `async with`; the server is not asked for it.

    Args:
        endpoint: the server's URL; `None`: AWS.
        pool: the id of the identity pool.
        storage: where it is kept on this device; `None`: in memory.
        credentials: who it is: `guest()`, `openid(...)`, `developer_token(...)`,
            `botocore_session(...)`, `fixed(...)`.
        region: for signatures; `None`: the one that the pool's id begins with.
        retry_s: the pause before a failed upload goes out again by itself: after the
            first failure, and the longest that it becomes.
        limits: those of the server, where its settings are not the usual ones. What it
            could not take is refused as it is written.
    """
    return AsyncSync(
        _opener(endpoint, pool, storage, credentials, region, retry_s, limits)
    )


def open_sync_blocking(
    endpoint: str | None,
    pool: str,
    *,
    storage: SQLite | Memory | None = None,
    credentials: Any,
    region: str | None = None,
    retry_s: tuple[float, float] = RETRY_S,
    limits: Limits | None = None,
) -> Sync:
    """Open the data of a user, as `open_sync` does, for code that waits."""
    sync = Sync(_opener(endpoint, pool, storage, credentials, region, retry_s, limits))
    return sync.__enter__()


def _opener(
    endpoint: str | None,
    pool: str,
    storage: SQLite | Memory | None,
    credentials: Any,
    region: str | None,
    retry_s: tuple[float, float],
    limits: Limits | None,
) -> Callable[[], Engine]:
    def open_engine() -> Engine:
        return Engine(
            endpoint,
            pool,
            storage=Memory() if storage is None else storage,
            credentials=credentials,
            region=region,
            retry_s=retry_s,
            limits=limits,
        )

    return open_engine
