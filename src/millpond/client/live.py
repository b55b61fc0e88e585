"""
Live updates for a client: what changed at the server, as soon as it did.

A thread listens (GetLiveUpdates) and comes back with the id of the last event, so that
nothing is missed; whoever waits is told the names of datasets. Where there are no live
updates (AWS itself, a server that has them switched off, a proxy that passes none on)
he is told every so often that anything may have changed, and asks.

    listening --- the stream ends, nobody answers ---> coming back, at growing pauses
        ^  `------ no stream there, or refused ------> asking; listening is tried again
        |                                                 |    after a long while
        `-------------------------------------------------'
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from millpond.client.api import events
from millpond.client.api.faults import Fault
from millpond.client.errors import SyncError
from millpond.client.failures import (
    CREDENTIALS_OVER,
    CallError,
    ServerTrouble,
    Throttled,
    Unanswered,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millpond.client.api.transport import Lines
    from millpond.client.callers import Caller
    from millpond.client.calls import Calls

API: Final = "live"
ASK_EVERY_S: Final = 30.0
LISTEN_AGAIN_S: Final = 600.0  # so long it asks before it tries to listen again
_PAUSE_S: Final = (0.2, 30.0)  # before it comes back, at first and at most
_SHORT_S: Final = 5.0  # a stream that ends so soon is no reason to hurry back
_END_S: Final = 1.0  # how long closing waits for the thread


class Told(NamedTuple):
    """
    What may have changed at the server.

    Args:
        names: datasets that did.
        anything: any dataset may have, so all are to be asked for.
    """

    names: frozenset[str] = frozenset()
    anything: bool = False


class Listener:
    """
    Listens to the changes of an identity, whoever that is by now.

    It begins with everything: each dataset that the server has is told of once.

    Args:
        ask_every_s: where there are no live updates.
        listen_again_s: how long it asks before it tries to listen again.
    """

    def __init__(
        self,
        calls: Calls,
        pool: str,
        caller: Caller,
        *,
        ask_every_s: float = ASK_EVERY_S,
        listen_again_s: float = LISTEN_AGAIN_S,
    ) -> None:
        self.live: bool | None = None
        """Whether changes are heard as they are made; `None` while nobody knows."""
        self.trouble: CallError | None = None
        """Why they are not."""
        self._calls = calls
        self._pool = pool
        self._caller = caller
        self._ask_every_s = ask_every_s
        self._listen_again_s = listen_again_s
        self._changed = threading.Condition()
        self._names: set[str] = set()
        self._anything = False
        self._woken = False
        self._closed = False
        self._lines: Lines | None = None
        self._listens_to: str | None = None
        self._last_id = events.EVERYTHING
        self._thread = threading.Thread(
            target=self._run, name="millpond-live", daemon=True
        )
        self._thread.start()

    def __repr__(self) -> str:
        how = {True: "live", False: "asking", None: "connecting"}[self.live]
        return f"<Listener {self._pool}, {'closed' if self._closed else how}>"

    def wait(self, timeout_s: float | None) -> Told | None:
        """
        Wait until something may have changed, at most so long.

        Returns:
            What may have; nothing of it after the time, or when somebody woke it;
            `None` once it is closed.
        """
        with self._changed:
            self._changed.wait_for(self._has_news, timeout_s)
            if self._closed:
                return None
            told = Told(frozenset(self._names), self._anything)
            self._names.clear()
            self._anything = self._woken = False
            return told

    def wake(self) -> None:
        """Have who waits go on."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def again(self) -> None:
        """Come back, as whoever the caller is by now."""
        with self._changed:
            if self._lines is not None:
                self._lines.interrupt()

    def close(self) -> None:
        """End it, at once."""
        with self._changed:
            self._closed = True
            if self._lines is not None:
                self._lines.interrupt()
            self._changed.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join(_END_S)

    def _has_news(self) -> bool:
        return bool(self._names or self._anything or self._woken or self._closed)

    def _run(self) -> None:
        failures = 0
        while not self._closed:
            try:
                lasted_s = self._listen()
            except SyncError as error:
                if not isinstance(error, CallError):
                    break  # the storage is closed, or gone
                self.trouble = error
                if error.code in CREDENTIALS_OVER and not failures:
                    self._caller.renew()
                elif _is_no_stream(error):
                    self._ask()
                    failures = 0
                    continue
                elif isinstance(error, Throttled | ServerTrouble):
                    self._tell_anything()  # other calls may be answered all the same
                failures += 1
            else:
                failures = 0 if lasted_s > _SHORT_S else failures + 1
            self.live = None
            self._pause(failures)

    def _listen(self) -> float:
        """Listen to a stream until it ends; for how long that was."""
        identity_id = self._caller.identity_id()
        if identity_id != self._listens_to:
            self._listens_to, self._last_id = identity_id, events.EVERYTHING
        lines = self._calls.listen(
            API,
            events.OPERATION,
            {
                "IdentityPoolId": self._pool,
                "IdentityId": identity_id,
                "LastEventId": self._last_id,
            },
            self._caller.credentials(),
        )
        began_s = time.monotonic()
        with self._held(lines):
            for message in events.parse(lines):
                if self._closed or self._is_another():
                    break
                self.live, self.trouble = True, None
                if message.data is not None:
                    self._tell(message.data)
                if message.event_id is not None:
                    self._last_id = message.event_id
        return time.monotonic() - began_s

    @contextlib.contextmanager
    def _held(self, lines: Lines) -> Iterator[None]:
        """Check a stream, and let `close` find it meanwhile."""
        try:
            events.check_form(lines)
            with self._changed:
                self._lines = lines
                if self._closed:
                    lines.interrupt()
            yield
        except Fault as fault:
            raise _NoStream(str(fault)) from None
        finally:
            with self._changed:
                self._lines = None
            lines.close()

    def _is_another(self) -> bool:
        known = self._caller.known()
        return known is None or known.id != self._listens_to

    def _tell(self, data: str) -> None:
        name = events.read(data).get("datasetName")
        with self._changed:
            if isinstance(name, str):
                self._names.add(name)
            else:
                self._anything = True
            self._changed.notify_all()

    def _tell_anything(self) -> None:
        with self._changed:
            self._anything = True
            self._changed.notify_all()

    def _ask(self) -> None:
        """Tell every so often that something may have changed, for a long while."""
        self.live = False
        until_s = time.monotonic() + self._listen_again_s
        while not self._closed and time.monotonic() < until_s:
            self._tell_anything()
            self._sleep(self._ask_every_s * random.uniform(0.9, 1.1))

    def _pause(self, failures: int) -> None:
        wanted_s = min(_PAUSE_S[0] * 2 ** min(failures, 10), _PAUSE_S[1])
        if isinstance(self.trouble, Throttled):  # listeners are too many
            wanted_s = self.trouble.retry_after_s or self._ask_every_s
        self._sleep(wanted_s * random.uniform(0.5, 1.0))  # not all at the same moment

    def _sleep(self, pause_s: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed, pause_s)


class _NoStream(Unanswered):
    """Something answered, and it is no stream of live updates."""

    def __init__(self, text: str) -> None:
        super().__init__(text, operation=events.OPERATION, status=200)


def _is_no_stream(error: CallError) -> bool:
    """Tell a place without live updates from one that will have them again."""
    if isinstance(error, Unanswered):
        return 0 < error.status < 500 and error.status != 429
    return not isinstance(error, Throttled | ServerTrouble)
