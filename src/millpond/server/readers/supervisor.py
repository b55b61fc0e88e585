"""
The process that was started: it starts the writer and the readers, again and again.

It has no thread, no store and no event loop, so it can be forked at any time, and there
is little in it that could fail. A process that ends while nobody has asked for it is
started again, at once, and later and later when it ends soon after.

Nobody outlives it. Each of the others ends at once when it is gone: on Linux the kernel
sees to that, elsewhere each watches a pipe whose other end only the supervisor holds.

To stop, it passes the signal on. The readers stop to listen and finish what they have
under way; the writer ends streams, waits until the readers have left, and is the last.
Who presses Ctrl-C, and systemd, signal all of them: it comes to the same.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import selectors
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import structlog

from millpond import __version__
from millpond.errors import MillpondError, SettingsError
from millpond.server import app
from millpond.server.app import Started
from millpond.server.listening import endpoint_of, hold_port, with_address
from millpond.server.rates import LIMITS
from millpond.server.readers import reader
from millpond.server.readers.intake import Intake
from millpond.server.readers.shared import make_cells
from millpond.server.service_manager import MANAGER
from millpond.service.developer_keys import NewKey
from millpond.settings import Settings

if TYPE_CHECKING:
    from millpond.tracing.sdk import Tracing

Run = Callable[[Coroutine[Any, Any, None], str], None]

WRITER: Final = "writer"
SOCKET_NAME: Final = "writer.sock"
_SOON_S: Final = 10.0  # who ends so soon after the start waits before the next ...
_PAUSE_S: Final = (0.1, 5.0)  # ... for the first time, and at most
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_PR_SET_PDEATHSIG: Final = 1  # Linux: <linux/prctl.h>

_log = structlog.get_logger()


def supervise(
    settings: Settings,
    readers: int,
    started: Callable[[Started], None],
    run: Run,
    *,
    origins: Mapping[str, str],
    may_reload: bool = False,
    tracing: Tracing | None = None,
) -> None:
    """
    Run a server of several processes until SIGTERM or SIGINT.

    Args:
        readers: how many, 1 or more.
        started: called once, when requests are answered.
        run: runs the work of a process, of a name, on an event loop.
        origins: where each setting that is not at its default comes from.
        may_reload: at SIGHUP; else that ends it.
        tracing: makes spans of what is done; None: nobody asks for traces.
    Raises:
        MillpondError: it cannot be started; as `app.serve`.
    """
    with (
        hold_port(settings) as port,
        tempfile.TemporaryDirectory(prefix="millpond-") as folder,  # mode 0700
    ):
        settings = with_address(settings, port)
        path = Path(folder) / SOCKET_NAME
        _try_to_listen(path)
        supervisor = _Supervisor(
            settings,
            origins,
            readers,
            path,
            run,
            may_reload=may_reload,
            tracing=tracing,
        )
        supervisor.start(started)
        supervisor.watch()
    _log.info("server.stopped")


def _try_to_listen(path: Path) -> None:
    """
    Make a socket of files where the writer will, and take it away.

    Raises:
        SettingsError: there can be none, as where the path is longer than the 100 and
            some bytes that systems allow.
    """
    try:
        with socket.socket(socket.AF_UNIX) as tried:
            tried.bind(os.fspath(path))
    except OSError as error:
        raise SettingsError(
            f"The processes of a server with readers talk over a socket in the folder "
            f"for temporary files, and '{path}' cannot be one: {error}. Set the "
            f"variable TMPDIR to a folder with a short path, such as /tmp."
        ) from error
    path.unlink()


class _Process:
    """One of the processes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pid = 0  # 0: it does not run
        self.started_s = 0.0
        self.pause_s = 0.0
        self.next_s = 0.0  # when to start it again


class _Supervisor:
    def __init__(
        self,
        settings: Settings,
        origins: Mapping[str, str],
        readers: int,
        socket: Path,
        run: Run,
        *,
        may_reload: bool,
        tracing: Tracing | None,
    ) -> None:
        self._may_reload = may_reload
        self._tracing = tracing
        self._settings = settings
        self._origins = origins
        self._socket = socket
        self._run = run
        self._cells = make_cells([*LIMITS])
        self._processes = [_Process(WRITER)]
        self._processes += [_Process(f"reader-{n + 1}") for n in range(readers)]
        self._is_stopping = False
        # Nobody writes: it ends when we do.
        self._life, self._our_life = os.pipe()
        self._wakes, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._wakes, False)

    def start(self, started: Callable[[Started], None]) -> None:
        """
        Start all of them, and wait until they answer.

        Raises:
            MillpondError: one does not; the others were stopped.
        """
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, self._stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        if self._may_reload:
            signal.signal(signal.SIGHUP, self._reload)
        gc.collect()
        gc.freeze()  # what is there is left alone, so that its pages stay shared
        told: dict[str, Any] = {}
        try:
            for each in self._processes:
                told |= self._start(each, waits=True)
                if self._is_stopping:
                    return
        except MillpondError:
            self._stop()
            self._end_all()
            raise
        endpoint = endpoint_of(self._settings)
        key = told["first_key"]
        started(
            Started(endpoint, key and NewKey(*key), console_link=told["console_link"])
        )
        _log.info(
            "server.started",
            endpoint=endpoint,
            version=__version__,
            readers=len(self._processes) - 1,
        )

    def watch(self) -> None:
        """Start again who ends, until we are to stop; then wait for all."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._wakes, selectors.EVENT_READ)
            while not self._is_stopping:
                self._reap()
                now_s = time.monotonic()
                for each in self._processes:
                    if not each.pid and each.next_s <= now_s:
                        self._start(each)
                pauses = [e.next_s - now_s for e in self._processes if not e.pid]
                selector.select(max(0.0, min(pauses)) if pauses else None)
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wakes, 4096)
        MANAGER.stopping()
        _log.info("server.stopping", drain_s=self._settings.drain_s)
        self._end_all()

    def _stop(self, *_: object) -> None:
        self._is_stopping = True

    def _reload(self, *_: object) -> None:
        """Read again what may change, here and in all others."""
        MANAGER.reload()
        for each in self._processes:
            if each.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGHUP)

    def _end_all(self) -> None:
        """Tell all of them to stop, and wait until they have."""
        for each in self._processes:
            if each.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGTERM)
        for each in self._processes:
            if each.pid:
                os.waitpid(each.pid, 0)
                each.pid = 0

    def _reap(self) -> None:
        for each in self._processes:
            if not each.pid:
                continue
            pid, status = os.waitpid(each.pid, os.WNOHANG)
            if not pid:
                continue
            lived_s = time.monotonic() - each.started_s
            if lived_s > _SOON_S:
                each.pause_s = 0.0
            else:
                each.pause_s = min(max(_PAUSE_S[0], 2 * each.pause_s), _PAUSE_S[1])
            each.pid = 0
            each.next_s = time.monotonic() + each.pause_s
            code = os.waitstatus_to_exitcode(status)
            _log.warning("process.ended", ended=each.name, pid=pid, status=code)

    def _start(self, process: _Process, *, waits: bool = False) -> dict[str, Any]:
        """
        Start a process.

        Args:
            waits: until it answers.
        Returns:
            What it tells then.
        Raises:
            MillpondError: it could not be started, if somebody waits for it.
        """
        heard, told = os.pipe()
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if not pid:
            os.close(heard)
            self._be(process, told, parent)
        os.close(told)
        process.pid, process.started_s = pid, time.monotonic()
        _log.info("process.started", started=process.name, pid=pid)
        with open(heard, "rb") as pipe:
            text = pipe.read() if waits else b""
        if not waits:
            return {}
        answer: dict[str, Any] = json.loads(text) if text else {}
        if "started" not in answer and not self._is_stopping:
            raise SettingsError(
                answer.get("error") or f"The process '{process.name}' did not start."
            )
        return answer

    def _be(self, process: _Process, told: int, parent: int) -> NoReturn:
        """Be that process, from the fork to its end."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (*_SIGNALS, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            if self._may_reload:
                signal.signal(signal.SIGHUP, signal.SIG_DFL)
            for descriptor in (self._our_life, self._wake, self._wakes):
                os.close(descriptor)
            _end_with(parent, self._life)
            with open(told, "w") as pipe:
                self._work(process, _Teller(pipe))
            status = 0
        except BaseException as error:
            _log.error("process.failed", error=str(error), exc_info=error)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _work(self, process: _Process, tell: _Teller) -> None:
        name = process.name

        def started(what: Started | None = None) -> None:
            answer: dict[str, Any] = {"started": True}
            if what is not None:
                answer["first_key"] = what.first_key
                answer["console_link"] = what.console_link
            tell(answer)

        if name == WRITER:
            intake = Intake(self._socket, self._cells)
            work = app.serve(
                self._settings,
                started,
                origins=self._origins,
                intake=intake,
                tracing=self._tracing,
                is_first=not process.started_s,
            )
        else:
            work = reader.read(
                self._settings,
                name,
                readers=len(self._processes) - 1,
                socket=self._socket,
                cells=self._cells,
                started=started,
                tracing=self._tracing,
            )
        try:
            self._run(work, name)
        except MillpondError as error:
            if not tell({"error": str(error)}):
                raise


class _Teller:
    """Tells the supervisor something, once."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe

    def __call__(self, what: dict[str, Any]) -> bool:
        """Tell it; False: something was told before."""
        if self._pipe.closed:
            return False
        with contextlib.suppress(OSError):  # nobody waits for it
            json.dump(what, self._pipe)
            self._pipe.close()
        return True


def _end_with(parent: int, life: int) -> None:
    """Have the process end at once when its supervisor is gone, however that went."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was faster
            os.kill(os.getpid(), signal.SIGKILL)
        return

    def wait() -> None:
        os.read(life, 1)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, name="millpond-life", daemon=True).start()
