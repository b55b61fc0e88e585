"""
The devices of a mixed lot: ours in two languages, an archived client, the developer.

All of them speak through a proxy of their own, which loses what a run wants lost. Ours
are processes that can be killed between any two calls, and begin again over what they
have stored; the archived client keeps its records in memory, and so lives on.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, Final

from acceptance.sync_client import Dataset, replace
from acceptance.users import PROVIDER, User
from client.passing import Asked, Forward, Proxy, Reply
from clients.devices import Device as OldClient
from clients.node import NodeProcess
from millpond.client.codecs import Place
from millpond.client.codecs import json as json_codec
from millpond.client.encryption import encrypted
from millpond.testing.deadlines import seconds

SCRIPTS: Final = Path(__file__).parent / "scripts"
ANSWER_TIMEOUT_S: Final = 60.0
CALLS_MAX: Final = 60  # of one synchronization; more is going round
NAME: Final = "prefs"
SECRET: Final = bytes(range(32))  # the devices have it too


class DiedError(Exception):
    """The process was killed before it answered."""


@dataclass
class World:
    """What all devices of a run share."""

    endpoint: str
    region: str
    pool: str
    user: User
    merge: str
    sealed: bool
    folder: Path


class Program:
    """A script that takes a command a line; it can be killed."""

    def __init__(self, words: list[str]) -> None:
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._commands: IO[str] = self._process.stdin
        self._lines: IO[str] = self._process.stdout
        self._ids = itertools.count()
        self._lock = threading.Lock()
        self._waiting: dict[int, queue.SimpleQueue[Any]] = {}
        self._is_over = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def call(self, do: str, **words: Any) -> Any:
        """Give a command and wait for its answer; others may be under way."""
        number = next(self._ids)
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        with self._lock:
            if self._is_over:
                raise DiedError
            self._waiting[number] = answers
            try:
                self._commands.write(
                    json.dumps({"id": number, "do": do, **words}) + "\n"
                )
                self._commands.flush()
            except BrokenPipeError:
                raise DiedError from None
        answer = answers.get(timeout=seconds(ANSWER_TIMEOUT_S))
        if answer is None:
            raise DiedError
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def kill(self) -> None:
        """End it, now."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it, and let go of its pipes."""
        self.kill()
        self._reader.join()
        self._lines.close()
        with contextlib.suppress(BrokenPipeError):
            self._commands.close()

    def _read(self) -> None:
        for line in self._lines:
            with contextlib.suppress(ValueError):  # cut off as it died
                answer = json.loads(line)
                self._waiting.pop(answer["id"]).put(answer)
        with self._lock:
            self._is_over = True
            for each in self._waiting.values():
                each.put(None)


class Wire:
    """
    What is between a device and the server.

    Args:
        fates: of the next calls, the first one first; `meanwhile` runs something else
            while the call is under way, `killed` ends the device.
    """

    def __init__(self, endpoint: str) -> None:
        self.proxy = Proxy(endpoint)
        self.proxy.trick = self._pass
        self.fates: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self.kill: Callable[[], None] = lambda: None
        self.calls = 0

    def _pass(self, asked: Asked, forward: Forward) -> Reply | None:
        self.calls += 1
        fate = self.fates.pop(0) if self.fates else "answered"
        if fate == "meanwhile before":
            self.meanwhile()
        if fate == "killed before":
            self.kill()
        if fate in ("unasked", "killed before"):
            return None
        reply = forward(asked)
        if fate == "meanwhile after":
            self.meanwhile()
        if fate == "killed after":
            self.kill()
        return None if fate in ("unheard", "killed after") else reply


class OurDevice:
    """A device on one of our libraries."""

    kills = True

    def __init__(self, language: str, programs: Programs) -> None:
        self.language = language
        self._programs = programs
        self._program: Program | None = None

    def __repr__(self) -> str:
        return f"{self.language} {self.name}"

    def begin(self, world: World, name: str, *, guest: bool = False) -> None:
        """Be a new device of a world, of a guest for the time being or of the user."""
        self.name = name
        self.world = world
        self.user: User | None = None if guest else world.user
        self.wire = Wire(world.endpoint)
        self.wire.kill = self.kill
        self.offset_ms = 0
        self._file = world.folder / f"{name}.data"

    def do(self, command: str, **words: Any) -> Any:
        """Perform a command; a device that is dead is started again."""
        if self._program is None:
            self._program = self._programs.take(self.language)
            self._program.call("clock", offset_ms=self.offset_ms)
            self._program.call(
                "open",
                endpoint=self.wire.proxy.url,
                pool=self.world.pool,
                region=self.world.region,
                identity_id=self.user.identity_id if self.user else None,
                token=self.user.token if self.user else None,
                file=str(self._file),
                merge=self.world.merge,
                sealed=self.world.sealed,
            )
        try:
            return self._program.call(command, **words)
        except DiedError:
            self.kill()
            raise

    def kill(self) -> None:
        """End the process, as a crash does."""
        program, self._program = self._program, None
        if program is not None:
            program.kill()
            self._programs.bury(program)

    def end(self) -> None:
        """Leave the world."""
        if self._program is not None:
            self._programs.give(self.language, self._program)
            self._program = None
        self.wire.proxy.close()

    def add(self, key: str, word: str) -> None:
        """Add a word to a value."""
        self.do("add", key=key, word=word)

    def set(self, key: str, value: str) -> None:
        """Set a value."""
        self.do("set", key=key, value=value)

    def remove(self, key: str) -> None:
        """Remove a record."""
        self.do("remove", key=key)

    def values(self) -> dict[str, str]:
        """What the app sees."""
        found: dict[str, str] = self.do("values")
        return found

    def sync(self) -> dict[str, Any]:
        """Synchronize, in not too many calls."""
        self.wire.calls = 0
        report: dict[str, Any] = self.do("sync")
        assert self.wire.calls <= CALLS_MAX, f"{self} goes round"
        return report

    def sign_in(self, developer: Developer) -> None:
        """Let the guest become the user."""
        guest_id = self.do("identity")
        self.user = developer.sign_in(guest_id)
        self.do("sign_in", identity_id=self.user.identity_id, token=self.user.token)

    def jump(self, offset_ms: int) -> None:
        """Let the clock jump."""
        self.offset_ms = offset_ms
        self.do("clock", offset_ms=offset_ms)


class Programs:
    """Processes that wait for their next device; starting one takes a while."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Program]] = {"python": [], "javascript": []}
        self._buried: list[Program] = []

    def take(self, language: str) -> Program:
        """Give a process, an old one or a new one."""
        if self._waiting[language]:
            return self._waiting[language].pop()
        if language == "python":
            return Program([sys.executable, str(SCRIPTS / "device.py")])
        return Program(["node", str(SCRIPTS / "device.js")])

    def give(self, language: str, program: Program) -> None:
        """Give a process back."""
        self._waiting[language].append(program)

    def bury(self, program: Program) -> None:
        """Let go of a process that is dead, once nobody reads from it."""
        self._buried.append(program)

    def close(self) -> None:
        """End all of them."""
        for each in [*self._buried, *itertools.chain(*self._waiting.values())]:
            each.close()


class OldDevice:
    """
    A device on amazon-cognito-js, with an app that works around it.

    It is never killed: its records are in memory, so nothing would be left.
    """

    kills = False
    language = "amazon-cognito-js"

    def __init__(self, runtime: NodeProcess) -> None:
        self._runtime = runtime

    def __repr__(self) -> str:
        return f"{self.language} {self.name}"

    def begin(self, world: World, name: str) -> None:
        """Be a new device of a world."""
        self.name = name
        self.world = world
        self.wire = Wire(world.endpoint)
        server: Any = SimpleNamespace(endpoint=self.wire.proxy.url, region=world.region)
        self.client = OldClient(self._runtime, server)
        self.client.start(world.pool, world.user)
        self.purged: set[str] = set()

    def end(self) -> None:
        """Leave the world."""
        self.wire.proxy.close()

    def add(self, key: str, word: str) -> None:
        """Add a word to a value."""
        found = self.values().get(key, "").split()
        self.client.put({key: " ".join(sorted({*found, word}))})

    def set(self, key: str, value: str) -> None:
        """Set a value."""
        self.client.put({key: value})

    def remove(self, key: str) -> None:
        """Remove a record."""
        self.client.remove(key)

    def values(self) -> dict[str, str]:
        """What the app sees; a removed record is an empty text to this client."""
        return {key: text for key, text in self.client.values().items() if text}

    def sync(self) -> dict[str, Any]:
        """
        Synchronize as an app has to that knows this client.

        It gives up what it had when the dataset was deleted, merges by words or takes
        what the server has, and leaves merged datasets to devices that can take them.
        """
        self.wire.calls = 0
        failed = "never"
        for _ in range(6):
            done = self.client.synchronize()
            if done.deleted:
                self.purged |= {w for v in self.values().values() for w in v.split()}
                self.client.purge()
                continue
            if done.merged:
                return {"failed": "merged"}
            if done.conflicts:
                done = self._resolve(
                    {c.key: (c.local, c.remote) for c in done.conflicts}
                )
            failed = done.message
            if done.outcome == "success":
                # Where it pushed it forgets what others did meanwhile; this lists anew.
                self.client.refresh()
                again = self.client.synchronize()
                if again.outcome == "success":
                    failed = ""
                    break
        assert self.wire.calls <= 6 * CALLS_MAX, f"{self} goes round"
        return {"failed": failed or None}

    def _resolve(self, found: dict[str, tuple[str, str]]) -> Any:
        self.wire.fates.clear()  # nothing else shall come in between
        if self.world.merge != "union":
            return self.client.synchronize(resolve="resolveWithRemoteRecord")
        values = {
            key: " ".join(sorted({*mine.split(), *theirs.split()}))
            for key, (mine, theirs) in found.items()
        }
        return self.client.synchronize(resolve="resolveWithValue", values=values)


class Developer:
    """The backend of the app, on boto3: reads, then writes what it has read."""

    def __init__(self, sync: Any, identities: Any, world: World) -> None:
        self._identities = identities
        self._sync = sync
        self.world = world
        self.dataset = Dataset(sync, world.pool, world.user.identity_id)

    def values(self) -> dict[str, str]:
        """The live records at the server, as whoever has the key reads them."""
        found = self.dataset.values().items()
        live = {key: text for key, text in found if text is not None}
        if not self.world.sealed:
            return live
        codec = encrypted(json_codec(version=1), SECRET)
        place = (self.world.pool, NAME)
        return {
            key: " ".join(codec.decode(text, Place(*place, key)))
            for key, text in live.items()
        }

    def names(self) -> list[str]:
        """The datasets at the server."""
        found = self._sync.list_datasets(
            IdentityPoolId=self.world.pool, IdentityId=self.world.user.identity_id
        )
        return [each["DatasetName"] for each in found["Datasets"]]

    def set(self, key: str, value: str) -> str | None:
        """Set a value; what it was before."""
        listed = self.dataset.list()
        old = {each["Key"]: each for each in listed["Records"]}.get(key, {})
        self.dataset.update(
            replace(key, value, old.get("SyncCount", 0)),
            token=listed["SyncSessionToken"],
        )
        before: str | None = old.get("Value")
        return before

    def add(self, key: str, word: str) -> None:
        """Add a word to a value."""
        found = self.values().get(key, "").split()
        self.set(key, " ".join(sorted({*found, word})))

    def expire(self, number: int) -> None:
        """Let all tombstones go, by as many new ones as the server keeps."""
        self.dataset.churn(number + 1)

    def sign_in(self, guest_id: str | None) -> User:
        """Vouch for the user on a device; what the guest there has becomes theirs."""
        if guest_id is not None:
            self._merge(f"guest-{guest_id}", IdentityId=guest_id)
        made = self._token(self._user_name(), TokenDuration=3600)
        return User(made["IdentityId"], made["Token"])

    def _token(self, user_name: str, **options: Any) -> Any:
        return self._identities.get_open_id_token_for_developer_identity(
            IdentityPoolId=self.world.pool, Logins={PROVIDER: user_name}, **options
        )

    def _user_name(self) -> str:
        found: str = self._identities.lookup_developer_identity(
            IdentityPoolId=self.world.pool, IdentityId=self.world.user.identity_id
        )["DeveloperUserIdentifierList"][0]
        return found

    def merge(self, key: str, value: str) -> None:
        """Let an identity that has data become part of the user's."""
        other = f"other-{self.world.user.identity_id}-{key}-{value}"
        made = self._token(other)
        theirs = Dataset(self._sync, self.world.pool, made["IdentityId"])
        theirs.update(replace(key, value))
        self._merge(other)

    def _merge(self, user_name: str, **options: Any) -> None:
        if options:
            self._token(user_name, **options)
        self._identities.merge_developer_identities(
            SourceUserIdentifier=user_name,
            DestinationUserIdentifier=self._user_name(),
            DeveloperProviderName=PROVIDER,
            IdentityPoolId=self.world.pool,
        )
