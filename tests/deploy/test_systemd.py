"""The units for systemd, and what a server and a service manager say to each other."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from acceptance.live_reader import metric
from certificates import make_certificate
from millpond.testing.deadlines import seconds
from millpond.testing.server import wait_until

UNITS: Final = Path(__file__).parents[2] / "deploy" / "systemd"
EXPOSURE_MAX: Final = "20"  # of 100; systemd calls up to 20 safe
PR_SET_NO_NEW_PRIVS: Final = 38
PR_SET_MDWE: Final = 65


class Served:
    """A server, and what it tells its manager."""

    def __init__(self, folder: Path, *words: str, **variables: str) -> None:
        self.log = folder / "log"
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._own = tempfile.TemporaryDirectory(dir="/tmp")  # their paths are short
        notify = str(Path(self._own.name) / "notify")
        self._manager.bind(notify)
        self._manager.settimeout(seconds(30))
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "millpond", "serve", "--port", "0"),
                    *("--data", str(folder / "data"), *words),
                ],
                env={
                    "PATH": os.environ["PATH"],
                    "NOTIFY_SOCKET": notify,
                    "MILLPOND_LOG_FORMAT": "json",
                    **variables,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_restrict,
            )

    def hear(self) -> dict[str, str]:
        """Wait for what it tells next."""
        told = self._manager.recv(4096).decode()
        return dict(line.split("=", 1) for line in told.splitlines())

    def reload(self) -> None:
        """Have it read again what may change, as `systemctl reload` does."""
        self.process.send_signal(signal.SIGHUP)
        reloading, ready = self.hear(), self.hear()
        assert (reloading["RELOADING"], ready["READY"]) == ("1", "1")
        assert int(reloading["MONOTONIC_USEC"]) > 0

    def wait_for(self, event: str, count: int = 1) -> None:
        """Wait until the log has an event so many times."""
        wait_until(lambda: self.log.read_text().count(f'"{event}"') >= count)

    def close(self) -> None:
        """Stop it."""
        self.process.terminate()
        try:
            self.process.wait(seconds(30))
        finally:
            self.process.kill()
            self._manager.close()
            self._own.cleanup()


def _restrict() -> None:
    """Take from the process what the unit takes, as far as the kernel does it here."""
    os.umask(0o077)
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        library.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        library.prctl(PR_SET_MDWE, 1, 0, 0, 0)  # since Linux 6.3


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a server; it is stopped with the test."""
    started: list[Served] = []

    def start(*words: str, **variables: str) -> Served:
        started.append(Served(tmp_path, *words, **variables))
        return started[-1]

    yield start
    for each in started:
        each.close()


def certificate_of(endpoint: str) -> bytes:
    """Give the certificate that a new connection is shown."""
    parts = urlsplit(endpoint)
    assert parts.hostname is not None
    assert parts.port is not None
    context = trusting()
    with (
        socket.create_connection((parts.hostname, parts.port), seconds(10)) as plain,
        context.wrap_socket(plain) as secure,
    ):
        found = secure.getpeercert(binary_form=True)
    assert found
    return found


def trusting() -> ssl.SSLContext:
    """Make what takes whatever certificate it is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def der(chain: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(chain.read_text())


@pytest.mark.parametrize("readers", ["0", "2"])
def test_it_says_how_it_goes(serve: Serve, readers: str) -> None:
    """Ready with its address once it answers, and that it stops; each of it once."""
    served = serve("--readers", readers)
    ready = served.hear()
    host, _, port = ready["STATUS"].rpartition("//")[2].partition(":")

    assert ready["READY"] == "1"
    socket.create_connection((host, int(port)), seconds(10)).close()
    served.process.terminate()
    assert served.hear()["STOPPING"] == "1"
    assert served.process.wait(seconds(30)) == 0


# What a manager does between the fork and the program, whose LISTEN_PID is.
HAND_OVER: Final = """
import os, sys
descriptor = int(sys.argv[1])
if descriptor == 3:
    os.set_inheritable(3, True)
else:
    os.dup2(descriptor, 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.executable, [sys.executable, "-m", "millpond", "serve", *sys.argv[2:]])
"""


def serve_on(
    listener: socket.socket, *words: str, **variables: str
) -> subprocess.Popen[str]:
    """Start a server that is handed a socket, as systemd does."""
    descriptor = str(listener.fileno())
    return subprocess.Popen(
        [sys.executable, "-c", HAND_OVER, descriptor, *words],
        env={
            "PATH": os.environ["PATH"],
            "MILLPOND_LOG_FORMAT": "json",
            **variables,
        },
        pass_fds=[listener.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def status_at(address: tuple[str, int]) -> int:
    """Ask for the health of who answers there; whoever comes early waits."""
    connection = http.client.HTTPConnection(*address, timeout=seconds(60))
    with contextlib.closing(connection):
        connection.request("GET", "/healthz")
        return connection.getresponse().status


def test_a_socket_of_the_manager_is_listened_on(tmp_path: Path) -> None:
    """Connections wait for the start, and through a restart, and none is refused."""
    data = ("--data", str(tmp_path / "data"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        for _ in range(2):
            with ThreadPoolExecutor(1) as pool:
                early = pool.submit(status_at, address)
                process = serve_on(listener, *data)
                try:
                    assert early.result() == 200
                    assert status_at(address) == 200
                    process.terminate()
                    told, _ = process.communicate(timeout=seconds(30))
                finally:
                    process.kill()
            assert process.returncode == 0, told
            assert f"http://127.0.0.1:{address[1]}" in told


def test_a_renewed_certificate_goes_with_the_managers_socket(tmp_path: Path) -> None:
    """After several reloads the newest certificate is shown, and nobody is refused."""
    chain, key = make_certificate(tmp_path)
    tls = {"MILLPOND_TLS_CERTIFICATE": str(chain), "MILLPOND_TLS_KEY": str(key)}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = f"https://127.0.0.1:{listener.getsockname()[1]}"
        process = serve_on(listener, "--data", str(tmp_path / "data"), **tls)
        try:
            for _ in range(3):
                assert wait_until(lambda: certificate_of(endpoint)) == der(chain)
                make_certificate(tmp_path)
                process.send_signal(signal.SIGHUP)
                wait_until(
                    lambda: {certificate_of(endpoint) for _ in range(8)} == {der(chain)}
                )
            process.terminate()
            told, _ = process.communicate(timeout=seconds(40))
        finally:
            process.kill()
    assert process.returncode == 0, told


def test_a_socket_that_cannot_be_served_is_refused(tmp_path: Path) -> None:
    """Not with readers, and not one of another kind: it says so, and ends."""
    data = ("--data", str(tmp_path / "data"))
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as short,
        socket.create_server(("127.0.0.1", 0)) as good,
        socket.socket(socket.AF_UNIX) as local,
        socket.socket() as deaf,
    ):
        local.bind(str(Path(short) / "local"))
        local.listen()
        for listener, words, reason in (
            (good, ("--readers", "1"), "leave out the socket"),
            (local, (), "none of TCP"),
            (deaf, (), "does not listen"),
        ):
            process = serve_on(listener, *data, *words)
            told, _ = process.communicate(timeout=seconds(30))
            assert process.returncode == 1, told
            assert reason in told


@pytest.mark.parametrize("readers", ["0", "1"])
def test_a_renewed_certificate_is_taken_at_a_reload(
    serve: Serve, tmp_path: Path, readers: str
) -> None:
    """New connections are shown it; files that are no good change nothing."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    chain, key = make_certificate(tmp_path / "old")
    new_chain, new_key = make_certificate(tmp_path / "new", hours=5)
    first = der(chain)
    served = serve(
        *("--readers", readers),
        MILLPOND_TLS_CERTIFICATE=str(chain),
        MILLPOND_TLS_KEY=str(key),
    )
    endpoint = served.hear()["STATUS"].rpartition(" ")[2]
    assert certificate_of(endpoint) == first
    shutil.copy(new_chain, chain)  # the key is still the old one's
    served.reload()
    served.wait_for("server.reload_failed")
    assert certificate_of(endpoint) == first
    assert hours_left(endpoint) == 1
    shutil.copy(new_key, key)
    served.reload()

    # For a moment both listen, so that nobody is refused; then the new one alone.
    wait_until(lambda: {certificate_of(endpoint) for _ in range(8)} == {der(new_chain)})
    wait_until(lambda: hours_left(endpoint) == 5)


def hours_left(endpoint: str) -> int:
    """Read in the metrics how long the certificate is good for, about."""
    with urlopen(f"{endpoint}/metrics", context=trusting()) as answer:
        told = answer.read().decode()
    end_s = metric(told, "millpond_tls_certificate_end_timestamp_seconds")
    return round((end_s - time.time()) / 3600)


def test_the_level_of_the_log_is_read_again(serve: Serve, tmp_path: Path) -> None:
    """What is wrong leaves it as it was."""
    settings = tmp_path / "millpond.toml"
    settings.write_text('log_level = "error"\n')
    served = serve("--settings", str(settings))
    served.hear()
    assert "server.started" not in served.log.read_text()
    settings.write_text('log_level = "none such"\n')
    served.reload()
    served.wait_for("server.reload_failed")
    settings.write_text('log_level = "info"\n')
    served.reload()

    served.wait_for("server.reloaded")


def test_settings_come_as_credentials(serve: Serve, tmp_path: Path) -> None:
    """A file of the manager's, millpond.SETTING, is that setting; others are not."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "millpond.secret_key").write_text("ab" * 32 + "\n")
    (folder / "millpond.region").write_text("eu-west-1")
    (folder / "tls.key").write_text("of somebody else")
    served = serve(CREDENTIALS_DIRECTORY=str(folder))
    served.hear()

    assert "AWS_REGION=eu-west-1" in served.log.read_text()
    assert not (tmp_path / "data" / "secret.key").exists()


def test_a_credential_that_is_no_setting_is_refused(
    serve: Serve, tmp_path: Path
) -> None:
    """It would else be thought to count; its value is not shown."""
    (tmp_path / "millpond.sekret_key").write_text("hush")
    served = serve(CREDENTIALS_DIRECTORY=str(tmp_path))

    assert served.process.wait(seconds(30)) == 1
    assert "MILLPOND_SEKRET_KEY" in served.log.read_text()
    assert "hush" not in served.log.read_text()


@pytest.mark.parametrize("drop_in", ["", "postgresql.conf", "tls.conf"])
def test_the_units_are_right_and_tight(tmp_path: Path, drop_in: str) -> None:
    """systemd's own checks: no word that it does not know, and little exposure."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze")
    unit = tmp_path / "millpond.service"
    text = (UNITS / unit.name).read_text()
    assert "ExecStart=/opt/millpond/bin/millpond serve " in text
    # It looks whether the program is there; here it is elsewhere.
    program = Path(sys.executable).with_name("millpond")
    unit.write_text(
        text.replace("ExecStart=/opt/millpond/bin/millpond", f"ExecStart={program}")
    )
    if drop_in:
        folder = tmp_path / "millpond.service.d"
        folder.mkdir()
        shutil.copy(UNITS / drop_in, folder)
    words = ["security", "--offline=true", f"--threshold={EXPOSURE_MAX}"]
    shutil.copy(UNITS / "millpond.socket", tmp_path)
    for checked in (["verify", str(tmp_path / "millpond.socket")], words):
        done = subprocess.run(
            [analyze, *checked, str(unit)],
            capture_output=True,
            text=True,
            timeout=seconds(60),
            check=False,
        )
        told = done.stdout + done.stderr
        if "Unknown" in done.stderr and "offline" in done.stderr:
            pytest.skip("this systemd-analyze looks at running units alone")

        assert done.returncode == 0, told
        assert "Unknown key" not in told
