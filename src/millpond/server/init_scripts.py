"""
What an operator has run once the server answers: `init_folder`, `*.sh` and `*.py`.

One after the other, by name, at every start of a server; the first that fails is the
last that runs, because those behind it may build on it. The server goes on in any case.

A script finds the server in its environment: the AWS CLI, SDKs and our own commands
need nothing else. The developer key there is of this run alone. It is deleted when the
scripts are through; what a killed server leaves behind has expired by the time that a
script could take, and goes at the next start.

What a script starts ends with it. When the server stops, the script is asked to end
(SIGTERM, to all of its process group) while requests under way finish, and killed soon
after. What it prints goes to the log, line by line.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import ssl
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import structlog

from millpond.errors import MillpondError, SettingsError
from millpond.server.init_folder import Script, find_scripts
from millpond.server.listening import endpoint_of, reachable
from millpond.service.context import Context
from millpond.service.developer_keys import KeyRing, NewKey, create_developer_key
from millpond.service.init_progress import FAILED, RUNNING, SUCCEEDED
from millpond.settings import PREFIX, Settings

_log = structlog.get_logger()

KEY_NAME: Final = "init.d"
GRACE_S: Final = 5.0  # from SIGTERM to SIGKILL
_KEY_SPARE_S: Final = 60
_LAST_WORDS_S: Final = 2.0  # for the output of who closed nothing
_LINE_BYTES_MAX: Final = 8192  # of the log; longer ones are cut
LINES_MAX: Final = 5000  # of one script; what it says beyond is dropped
_PAUSE_S: Final = 0.05
_ANSWER_S_MAX: Final = 10.0
_KEPT_OF_AWS: Final = ("AWS_CA_BUNDLE",)
_OF_STORE: Final = ("store", "listen_store", "secret_key")
_SECRETS: Final = [f"{PREFIX}{name.upper()}" for name in (*_OF_STORE, "hook_secret")]
_HERE: Final = "127.0.0.1,::1,localhost"


class InitScripts:
    """Runs the scripts of a server, once."""

    def __init__(
        self, context: Context, keys: KeyRing, stopping: asyncio.Event
    ) -> None:
        self._context = context
        self._settings = context.settings
        self._progress = context.init_progress
        self._keys = keys
        self._stopping = stopping

    async def run(self) -> None:
        """Wait until the server is ready, and run them; until cancelled, and a bit."""
        work = asyncio.create_task(self._run_found())
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            # A script that was asked to end has some time for it.
            self._stopping.set()
            await work
            raise

    async def _run_found(self) -> None:
        folder = Path(self._settings.init_folder)
        try:
            found = find_scripts(folder)
            self._progress.begin(each.name for each in found.scripts)
            for name in found.ignored:
                _log.info("init.ignored", file=name, reason="neither *.sh nor *.py")
            if found.scripts and await self._wait_until_ready():
                await self._run_all(found.scripts)
        except MillpondError as error:
            self._fail(str(error))

    async def _run_all(self, scripts: list[Script]) -> None:
        key = await self._make_key(len(scripts))
        try:
            for each in scripts:
                self._progress.note(each.name, RUNNING)
                reason = await self._run(each, key)
                if reason:
                    self._progress.note(each.name, FAILED)
                    if not self._stopping.is_set():
                        self._fail(f"'{each.name}' {reason}.", each.name)
                    return
                self._progress.note(each.name, SUCCEEDED)
        finally:
            await self._delete_key(key)
        _log.info("init.done", scripts=len(scripts))

    def _fail(self, reason: str, script: str = "") -> None:
        self._progress.failure = reason
        _log.error("init.failed", script=script, error=reason)

    async def _run(self, script: Script, key: NewKey) -> str:
        """Run one to its end; say why it failed, empty when it did not."""
        environment = environment_of(self._settings, key, os.environ)
        started_s = time.monotonic()
        try:
            process = await asyncio.create_subprocess_exec(
                *_command(script.path, environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                cwd=script.path.parent,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            return f"cannot be started: {error.strerror}"
        _log.info("init.started", script=script.name, pid=process.pid)
        assert process.stdout is not None
        hidden = [key.secret_access_key, *map(environment.get, _SECRETS)]
        said = asyncio.create_task(
            _log_output(process.stdout, script.name, [each for each in hidden if each])
        )
        try:
            reason = await self._wait_for(process)
        finally:
            _signal(process, signal.SIGKILL)  # and whatever it has started
            _, silent = await asyncio.wait({said}, timeout=_LAST_WORDS_S)
            for each in silent:
                each.cancel()
        _log.info(
            "init.ended",
            script=script.name,
            status=process.returncode,
            duration_ms=round((time.monotonic() - started_s) * 1000),
        )
        return reason

    async def _wait_for(self, process: asyncio.subprocess.Process) -> str:
        """Wait until it ends, its time is over, or we are to stop."""
        limit_s = self._settings.init_timeout_s
        ended = asyncio.create_task(process.wait())
        stops = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait(
                {ended, stops}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not ended.done():
                _signal(process, signal.SIGTERM)
                await asyncio.wait({ended}, timeout=GRACE_S)
                if stops.done():
                    return "was ended, because the server stops"
                return f"took longer than init_timeout_s, {limit_s} s"
        finally:
            for each in (ended, stops):
                each.cancel()
        status = ended.result()
        if status < 0:
            return f"was ended by signal {-status}"
        return f"ended with status {status}" if status else ""

    async def _make_key(self, scripts: int) -> NewKey:
        """Make the key of this run; those of runs that nobody ended go."""
        store, now_ms = self._context.store, self._context.now_ms()
        for each in await store.list_developer_keys():
            if each.name == KEY_NAME and (each.expires_ms or now_ms) < now_ms:
                await store.delete_developer_key(each.access_key_id)
        limit_s = scripts * (self._settings.init_timeout_s + GRACE_S) + _KEY_SPARE_S
        return await create_developer_key(
            store,
            self._keys.sealer,
            name=KEY_NAME,
            now_ms=now_ms,
            random_bytes=secrets.token_bytes,
            expires_ms=now_ms + round(limit_s * 1000),
        )

    async def _delete_key(self, key: NewKey) -> None:
        try:
            await self._context.store.delete_developer_key(key.access_key_id)
            await self._keys.refresh()
        except MillpondError as error:
            _log.warning("init.key_left", key=key.access_key_id, error=str(error))

    async def _wait_until_ready(self) -> bool:
        """Wait for `/readyz` where clients come in; False: we are to stop."""
        while not self._stopping.is_set():
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_ANSWER_S_MAX):
                    if await _is_ready(self._settings):
                        return True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _PAUSE_S)
        return False


async def _is_ready(settings: Settings) -> bool:
    context = None
    if settings.tls_certificate:
        context = ssl.create_default_context()
        context.check_hostname = False  # we ask ourselves, by address
        context.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(
        reachable(settings.host), settings.port, ssl=context
    )
    try:
        writer.write(
            b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        )
        return b" 200 " in await reader.readline()
    finally:
        writer.close()


def environment_of(
    settings: Settings, key: NewKey, own: Mapping[str, str]
) -> dict[str, str]:
    """
    Make the variables of a script: ours, but for what would lead it elsewhere.

    Args:
        own: the variables of this process.
    """
    left_out = ("NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
    kept = {
        name: value
        for name, value in own.items()
        if name not in left_out
        and name != f"{PREFIX}INIT_FOLDER"  # a server that it starts has its own
        and (not name.startswith("AWS_") or name in _KEPT_OF_AWS)
    }
    beside_python = str(Path(sys.executable).parent)
    made = {
        "PATH": os.pathsep.join(filter(None, [beside_python, kept.get("PATH")])),
        "PYTHONUNBUFFERED": "1",
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
        "AWS_REGION": settings.region,
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_ENDPOINT_URL": endpoint_of(settings),
        "AWS_EC2_METADATA_DISABLED": "true",
        # Of the commands that work on the store.
        f"{PREFIX}DATA": str(settings.data.absolute()),
    }
    for name in _OF_STORE:
        if getattr(settings, name):
            made[f"{PREFIX}{name.upper()}"] = getattr(settings, name)
    for name in ("no_proxy", "NO_PROXY"):
        made[name] = ",".join(filter(None, [kept.get(name), _HERE]))
    return kept | made


def _command(script: Path, environment: Mapping[str, str]) -> list[str]:
    """
    Give the words that run a script, which need not be executable.

    Raises:
        SettingsError: there is no shell.
    """
    if script.suffix == ".py":
        return [sys.executable, str(script)]
    path = environment["PATH"]
    shell = shutil.which("bash", path=path) or shutil.which("sh", path=path)
    if shell is None:
        raise SettingsError(f"There is no shell to run '{script}' with.")
    return [shell, str(script)]


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal to a script and all that it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


async def _log_output(
    output: asyncio.StreamReader, script: str, hidden: Sequence[str]
) -> None:
    """
    Log what a script prints, a line at a time.

    Args:
        hidden: what stands in no line.
    """
    rest, left = b"", LINES_MAX
    while chunk := await output.read(_LINE_BYTES_MAX):
        await asyncio.sleep(0)  # who says a lot does not keep requests waiting
        if left <= 0:
            continue
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) >= _LINE_BYTES_MAX:
            lines.append(rest)
            rest = b""
        for line in lines[:left]:
            _log_line(line, script, hidden)
        left -= len(lines)
        if left <= 0:
            rest = b""
            _log.warning("init.output_cut", script=script, lines_max=LINES_MAX)
    if rest:
        _log_line(rest, script, hidden)


def _log_line(line: bytes, script: str, hidden: Sequence[str]) -> None:
    text = line.decode("utf-8", "backslashreplace").rstrip("\r")
    for each in hidden:
        text = text.replace(each, "***")
    _log.info("init.output", script=script, line=text)
