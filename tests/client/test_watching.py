"""Staying in step: changes here and at the server, failures, other processes, ends."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from acceptance.sync_client import Dataset, create_pool, new_identity, replace
from acceptance.users import PROVIDER
from cli.relay import Relay
from client.passing import Once, error, page
from millpond.client import (
    SQLite,
    StorageError,
    Sync,
    Unanswered,
    developer_token,
    fixed,
    guest,
    open_sync,
    open_sync_blocking,
)
from millpond.client.watching import Seen, Watch
from millpond.testing.deadlines import Deadline, seconds
from millpond.testing.server import RunningServer, wait_until


@pytest.fixture
def there(server, pool) -> Dataset:
    """The dataset `prefs` of a new identity, as another device (boto3) has it."""
    return Dataset(server.client("cognito-sync"), pool, new_identity())


@pytest.fixture
def here(server, there, tmp_path) -> Iterator[Callable[..., Sync]]:
    """The same identity with our client, from a file."""
    opened: list[Sync] = []
    key = (server.access_key_id, server.secret_access_key)

    def start(url: str = server.endpoint, **options: Any) -> Sync:
        opened.append(
            open_sync_blocking(
                url,
                there.pool,
                storage=SQLite(tmp_path / "app.db"),
                credentials=fixed(there.identity, *key),
                **options,
            )
        )
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def pulled(seen: Seen) -> tuple[str, ...]:
    assert seen.report is not None, seen
    return seen.report.pulled


def pushed(seen: Seen) -> tuple[str, ...]:
    assert seen.report is not None, seen
    return seen.report.pushed


class Watcher:
    """A watch that is followed on a thread of its own."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.seen: list[Seen] = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for each in self.watch:
            with self._changed:
                self.seen.append(each)
                self._changed.notify_all()

    def wait(self, condition: Callable[[Seen], bool]) -> Seen:
        """Wait until something of a kind was told, and forget all up to it."""
        deadline = Deadline(20)
        with self._changed:
            while True:
                for number, each in enumerate(self.seen):
                    if condition(each):
                        del self.seen[: number + 1]
                        return each
                assert not deadline.passed(), self.seen
                self._changed.wait(deadline.left_s())

    def ended(self) -> bool:
        """Whether the loop ends."""
        self._thread.join(seconds(10))
        return not self._thread.is_alive()


def test_what_the_server_tells_is_here_at_once(here, there):
    """The first word says that it is in step; then each change of another device."""
    there.update(replace("colour", "teal"))
    sync = here()
    prefs = sync.dataset("prefs")
    watcher = Watcher(prefs.watch())
    first = watcher.wait(lambda seen: True)
    there.update(replace("colour", "red", 1))
    second = watcher.wait(lambda seen: True)

    assert pulled(first) == ("colour",)
    assert (second.dataset_name, pulled(second)) == ("prefs", ("colour",))
    assert prefs["colour"] == "red"
    assert watcher.watch.live is True


def test_what_the_app_writes_goes_out_at_once(here, there):
    """Nobody has to say `sync`."""
    sync = here()
    prefs = sync.dataset("prefs")
    watcher = Watcher(sync.watch())
    watcher.wait(lambda seen: seen.dataset_name == "prefs")
    prefs["colour"] = "teal"
    seen = watcher.wait(lambda seen: True)

    assert pushed(seen) == ("colour",)
    assert there.list()["Records"][0]["Value"] == "teal"


def test_what_another_process_writes_goes_out_too(here, there, tmp_path):
    """Over the same file, without a word between the two."""
    sync = here()
    sync.dataset("prefs")
    watcher = Watcher(sync.watch())
    watcher.wait(lambda seen: True)
    code = (
        "import sys; from millpond.client import *\n"
        "with open_sync_blocking(None, sys.argv[1], storage=SQLite(sys.argv[2]),"
        " credentials=fixed(sys.argv[3], 'x', 'x')) as sync:\n"
        "    sync.dataset('prefs')['colour'] = 'teal'"
    )
    subprocess.run(
        [sys.executable, "-c", code, there.pool, tmp_path / "app.db", there.identity],
        check=True,
    )

    assert pushed(watcher.wait(lambda seen: True)) == ("colour",)
    assert there.list()["Records"][0]["Value"] == "teal"


def test_datasets_that_are_not_open_are_named_and_left_alone(here, there):
    """An app finds out what there is, and opens it as it likes."""
    notes = Dataset(there.client, there.pool, there.identity, "notes")
    notes.put(title="milk")
    sync = here()
    sync.dataset("prefs")
    watcher = Watcher(sync.watch())
    told = watcher.wait(lambda seen: seen.dataset_name == "notes")
    assert told == Seen("notes")
    sync.dataset("notes")
    notes.put(title="bread")

    watcher.wait(lambda seen: seen.report is not None and bool(seen.report.pulled))
    assert sync.dataset("notes")["title"] == "bread"


def test_a_failure_is_told_once_and_ends_nothing(here, there, proxy):
    """The report after it says that it is over."""
    sync = here(proxy.url)
    prefs = sync.dataset("prefs")
    proxy.trick = page(502)
    watcher = Watcher(prefs.watch(ask_every_s=0.1))
    prefs["colour"] = "teal"
    failed = watcher.wait(lambda seen: seen.error is not None)
    proxy.trick = None
    healed = watcher.wait(lambda seen: seen.error is None)

    assert isinstance(failed.error, Unanswered)
    assert watcher.seen == []
    assert prefs.status.unsent == () or pushed(healed) == ("colour",)


def test_where_nothing_is_told_it_asks(here, there, proxy):
    """As at AWS: every so often."""
    proxy.trick = Once(
        error(404, "UnknownOperationException"),
        lambda asked: asked.path.partition("?")[0].endswith("/live"),
        times=1_000_000,
    )
    sync = here(proxy.url)
    sync.dataset("prefs")
    watcher = Watcher(sync.watch(ask_every_s=0.1))
    watcher.wait(lambda seen: True)
    Dataset(there.client, there.pool, there.identity, "notes").put(title="milk")
    assert watcher.wait(lambda seen: True) == Seen("notes")
    there.update(replace("colour", "teal"))

    assert pulled(watcher.wait(lambda seen: True)) == ("colour",)
    assert watcher.watch.live is False


def test_a_server_that_is_killed_ends_nothing(tmp_path):
    """In the middle of a watch and of a push: afterwards everything is there, once."""
    with RunningServer(tmp_path / "data") as server, Relay(server.endpoint) as line:
        key = (server.access_key_id, server.secret_access_key)
        pool, identity = create_pool(server), new_identity()
        with open_sync_blocking(
            line.url,
            pool,
            storage=SQLite(tmp_path / "app.db"),
            credentials=fixed(identity, *key),
            retry_s=(0.1, 1.0),
        ) as sync:
            prefs = sync.dataset("prefs")
            watcher = Watcher(sync.watch())
            watcher.wait(lambda seen: True)
            for number in range(20):
                prefs[f"k{number}"] = "v"
                if number == 10:
                    line.cut(frozen=False)
                    server.kill()
            watcher.wait(lambda seen: seen.error is not None)
            server.start()
            line.lead_to(server.endpoint)
            line.mend()
            watcher.wait(lambda seen: seen.error is None)
            wait_until(lambda: not prefs.status.unsent)
            there = Dataset(server.client("cognito-sync"), pool, identity)

            assert {each["Key"] for each in there.list()["Records"]} == {
                f"k{n}" for n in range(20)
            }
        assert watcher.ended()


def test_closing_and_signing_out_end_it(here):
    """Whoever follows it goes on; nobody becomes a guest again for its sake."""
    sync = here()
    sync.dataset("prefs")
    watchers = [Watcher(sync.watch()), Watcher(sync.dataset("prefs").watch())]
    for each in watchers:
        each.wait(lambda seen: True)
    watchers[0].watch.close()
    assert watchers[0].ended()
    sync.sign_out()
    assert watchers[1].ended()


def test_a_watch_that_is_dropped_lets_go_of_its_connection(here):
    """A loop that was left with `break` needs no more."""
    before = {*threading.enumerate()}
    sync = here()
    sync.dataset("prefs")
    for _ in sync.watch():
        break
    gc.collect()

    wait_until(
        lambda: (
            "millpond-live"
            not in [each.name for each in {*threading.enumerate()} - before]
        )
    )


def test_a_guest_who_signs_out_stays_signed_out(server, pool, tmp_path):
    """The listener asks for no new guest."""
    with open_sync_blocking(
        server.endpoint, pool, storage=SQLite(tmp_path / "a.db"), credentials=guest()
    ) as sync:
        sync.dataset("prefs")
        watcher = Watcher(sync.watch())
        watcher.wait(lambda seen: True)
        sync.sign_out()

        assert watcher.ended()
        assert sync.identity_id is None


def test_it_is_awaited(server, there, tmp_path):
    """`async for`; a wait that is cancelled loses nothing, a `break` hangs nothing."""
    key = (server.access_key_id, server.secret_access_key)

    async def follow() -> list[Any]:
        found: list[Any] = []
        async with open_sync(
            server.endpoint,
            there.pool,
            storage=SQLite(tmp_path / "app.db"),
            credentials=fixed(there.identity, *key),
        ) as sync:
            prefs = sync.dataset("prefs")
            watch = prefs.watch()
            async for seen in watch:
                found.append(pulled(seen))
                break
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(watch), 0.05)
            await asyncio.to_thread(there.update, replace("colour", "teal"))
            found.append(pulled(await anext(watch)))
            await watch.aclose()
            with pytest.raises(StopAsyncIteration):
                await anext(watch)
            async for _ in sync.watch():
                break  # and it is closed with everything
        return found

    assert asyncio.run(follow()) == [(), ("colour",)]


def test_a_thousand_changes_are_not_a_thousand_synchronizations(here, there, proxy):
    """What comes while one is under way is one more."""
    sync = here(proxy.url)
    prefs = sync.dataset("prefs")
    watch = prefs.watch()
    next(watch)
    for number in range(300):
        prefs[f"k{number}"] = "v"
    proxy.asked.clear()
    assert len(pushed(next(watch))) == 300

    assert len(proxy.asked) <= 4
    watch.close()
    assert list(watch) == []


def test_a_folder_that_is_full_is_told(here, tmp_path: Path):
    """Of SQLite: nothing that is written is lost, and what is not is an error."""
    sync = here()
    prefs = sync.dataset("prefs")
    prefs["kept"] = "v"
    store = sync.engine.store
    with store._reading() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 1}")

    def fill() -> None:
        for number in range(100):
            prefs[f"k{number}"] = "x" * 4000

    with pytest.raises(StorageError) as raised:
        fill()
    assert raised.value.kind == "full"
    known = dict(prefs)
    watch = prefs.watch()
    seen = next(watch)
    watch.close()

    assert known["kept"] == "v"
    assert dict(prefs) == known
    assert seen.error is None or isinstance(seen.error, StorageError)


def test_what_came_with_a_merged_identity_is_the_same_dataset(here, there):
    """The copies of a merge, numbered ones too, are changes of what they go into."""
    other = new_identity()
    for name in (f"prefs.{other}", f"prefs.{other}.2", f"notes.{other}"):
        Dataset(there.client, there.pool, there.identity, name).put(k="v")
    sync = here()
    prefs = sync.dataset("prefs")
    names = set()
    with sync.watch() as watch:
        while "notes" not in names:
            names.add(next(watch).dataset_name)

    assert names == {"prefs", "notes"}
    assert sync.server_datasets() == ["notes", "prefs"]
    assert sync.datasets() == [prefs.name]


def test_a_watch_goes_over_to_who_signs_in(server, identities, pool, tmp_path):
    """Changes of the account are heard at once; those of the guest are no more."""
    user = f"user-{uuid.uuid4()}"
    given: list[tuple[str, str]] = []
    with open_sync_blocking(
        server.endpoint,
        pool,
        storage=SQLite(tmp_path / "app.db"),
        credentials=developer_token(lambda guest_id: given[-1] if given else None),
    ) as sync:
        sync.dataset("prefs")
        watcher = Watcher(sync.watch())
        watcher.wait(lambda seen: True)
        answer = identities.get_open_id_token_for_developer_identity(
            IdentityPoolId=pool, Logins={PROVIDER: user}
        )
        given.append((answer["IdentityId"], answer["Token"]))
        sync.sign_in()
        account = Dataset(server.client("cognito-sync"), pool, answer["IdentityId"])
        account.put(colour="teal")
        seen = watcher.wait(lambda seen: bool(seen.report and seen.report.pulled))

        assert pulled(seen) == ("colour",)
        assert sync.identity_id == answer["IdentityId"]


def test_a_file_that_cannot_be_read_for_a_while_ends_nothing(here, there):
    """It is told like a server that is away."""
    sync = here()
    prefs = sync.dataset("prefs")
    watcher = Watcher(prefs.watch())
    watcher.wait(lambda seen: True)
    store = sync.engine.store
    with store._reading() as connection:
        connection.execute("ALTER TABLE millpond_record RENAME TO away")
    there.update(replace("colour", "teal"))
    failed = watcher.wait(lambda seen: seen.error is not None)
    with store._reading() as connection:
        connection.execute("ALTER TABLE away RENAME TO millpond_record")
    healed = watcher.wait(lambda seen: seen.error is None)

    assert isinstance(failed.error, StorageError)
    assert healed.report is not None
    assert prefs["colour"] == "teal"
