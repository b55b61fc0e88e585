"""
The nearest relatives, under the same load: Kinto and pouchdb-server.

Both keep everything in memory, run as one process on the core of the server and are set
up to be fast: Kinto with basic authentication, warnings alone in its log and none of
the plugins of its sample configuration; pouchdb-server without any authentication. The
read is a delta of one record out of twenty, the write is one record.
"""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, Final

import load
import machine
import seed
from load import LoadError, Target
from machine import Cores
from millpond.testing.ports import free_port
from results import Throughput
from scenarios import READ_CONNECTIONS, Reads, Writes
from signed import encode

READ_BUDGETS: Final = {"Kinto": 20.0, "pouchdb-server": 10.0}
WRITE_BUDGETS: Final = {"Kinto": 8.0}

KINTO_PACKAGES: Final = ("kinto==26.5.0", "setuptools<81")  # Pyramid's pkg_resources
POUCHDB_PACKAGE: Final = "pouchdb-server@4.2.0"
NPM_HINT: Final = "it comes with Node.js (apt-get install npm)"
SETS: Final = 100  # collections or databases of 20 records each
START_S_MAX: Final = 60.0
KINTO_SETTINGS: Final = Template(
    """\
[server:main]
use = egg:waitress#main
host = 127.0.0.1
port = $port

[app:main]
use = egg:kinto
kinto.storage_backend = kinto.core.storage.memory
kinto.cache_backend = kinto.core.cache.memory
kinto.permission_backend = kinto.core.permission.memory
kinto.userid_hmac_secret = bench
kinto.bucket_create_principals = system.Authenticated
multiauth.policies = basicauth
multiauth.policy.basicauth.use = \
kinto.core.authentication.BasicAuthAuthenticationPolicy

[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = WARNING
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain
[formatter_plain]
"""
)


@dataclass(frozen=True)
class Peer:
    """A running relative, and what to ask of it."""

    read: Reads
    write: Writes


def start(stack: ExitStack, programs: Path, folder: Path, cores: Cores) -> list[Peer]:
    """
    Install (once), start and seed both.

    Args:
        programs: where they are installed; kept for the next run.
        folder: where they may leave files; dropped after the run.
    """
    machine.need("npm", NPM_HINT)
    return [
        _kinto(stack, _install_kinto(programs / "kinto"), folder, cores),
        _pouchdb(stack, _install_pouchdb(programs / "pouchdb"), folder, cores),
    ]


def _install_kinto(folder: Path) -> Path:
    def install() -> None:
        _must([sys.executable, "-m", "venv", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        _must([*pip, "--disable-pip-version-check", *KINTO_PACKAGES])

    _once(folder, install)
    return folder / "bin" / "kinto"


def _install_pouchdb(folder: Path) -> Path:
    def install() -> None:
        folder.mkdir(parents=True)
        npm = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"]
        _must([*npm, "--prefix", str(folder), POUCHDB_PACKAGE])

    _once(folder, install)
    return folder / "node_modules" / ".bin" / "pouchdb-server"


def _once(folder: Path, install: Callable[[], None]) -> None:
    """Install, unless that was done to its end before."""
    ready = folder / "ready"
    if ready.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    print(f"bench: installing {folder.name} ...", file=sys.stderr, flush=True)
    install()
    ready.touch()


def _must(command: Sequence[str]) -> None:
    ended = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if ended.returncode != 0:
        raise LoadError(f"{' '.join(command)} failed:\n{ended.stdout}")


# --- Kinto --------------------------------------------------------------------------


def _kinto(stack: ExitStack, program: Path, folder: Path, cores: Cores) -> Peer:
    port = free_port()
    settings = folder / "kinto.ini"
    settings.write_text(KINTO_SETTINGS.substitute(port=port), encoding="utf-8")
    command = [str(program), "start", "--ini", str(settings)]
    target = stack.enter_context(_running(command, port, folder / "kinto", cores))
    token = base64.b64encode(b"bench:bench")
    client = _Client(target, [(b"authorization", b"Basic " + token)])
    client.send("PUT", "/v1/buckets/b", {})
    reads = [_seed_collection(client, f"c{number}") for number in range(SETS)]
    body = json.loads(load.probe(target, reads[0]))
    _expect_one(body["data"])

    def write(number: int) -> bytes:
        collection, record = f"c{number % SETS}", seed.record_key(0)
        path = f"/v1/buckets/b/collections/{collection}/records/{record}"
        return client.encode("PUT", path, {"data": _value(number)})

    return _peer("Kinto", target, folder, cores, reads, write)


def _seed_collection(client: _Client, name: str) -> bytes:
    """Make a collection of 20 records; return the request for the last one."""
    collection = f"/buckets/b/collections/{name}"
    client.send("PUT", "/v1" + collection)
    records = f"{collection}/records"
    answer = client.send(
        "POST",
        "/v1/batch",
        {
            "requests": [
                {
                    "method": "PUT",
                    "path": f"{records}/{seed.record_key(number)}",
                    "body": {"data": _value(number)},
                }
                for number in range(seed.RECORDS_PER_DATASET)
            ]
        },
    )
    *_, known, _last = [
        each["body"]["data"]["last_modified"] for each in answer["responses"]
    ]
    return client.encode("GET", f"/v1{records}?_since={known}")


# --- pouchdb-server -----------------------------------------------------------------


def _pouchdb(stack: ExitStack, program: Path, folder: Path, cores: Cores) -> Peer:
    port = free_port()
    command = [str(program), "--in-memory", "--no-stdout-logs", "--port", str(port)]
    target = stack.enter_context(_running(command, port, folder / "pouchdb", cores))
    client = _Client(target, [])
    reads = [_seed_database(client, f"d{number}") for number in range(SETS)]
    _expect_one(json.loads(load.probe(target, reads[0]))["results"])

    def write(number: int) -> bytes:
        # A new document, because a change would have to name the revision before it.
        return client.encode("PUT", f"/d{number % SETS}/new-{number}", _value(number))

    return _peer("pouchdb-server", target, folder, cores, reads, write)


def _seed_database(client: _Client, name: str) -> bytes:
    """Make a database of 20 documents; return the request for the last change."""
    client.send("PUT", f"/{name}")
    count = seed.RECORDS_PER_DATASET
    docs = [{"_id": seed.record_key(n), **_value(n)} for n in range(count)]
    client.send("POST", f"/{name}/_bulk_docs", {"docs": docs})
    return client.encode("GET", f"/{name}/_changes?since={count - 1}&include_docs=true")


# --- Both ---------------------------------------------------------------------------


class _Client:
    """Speaks JSON with a peer."""

    def __init__(self, target: Target, headers: list[tuple[bytes, bytes]]) -> None:
        self._target = target
        self._headers = [(b"host", target.netloc.encode()), *headers]

    def encode(self, method: str, path: str, body: Any = None) -> bytes:
        """Put a request together."""
        headers = list(self._headers)
        if body is not None:
            headers.append((b"content-type", b"application/json"))
        content = b"" if body is None else json.dumps(body).encode()
        return encode(method, path, headers, content)

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request that has to succeed."""
        return json.loads(load.probe(self._target, self.encode(method, path, body)))


def _peer(
    name: str,
    target: Target,
    folder: Path,
    cores: Cores,
    reads: list[bytes],
    write: Callable[[int], bytes],
) -> Peer:
    numbers = itertools.count()

    def make(count: int) -> tuple[bytes, list[bytes]]:
        return reads[0], [write(number) for number in itertools.islice(numbers, count)]

    path = load.write_requests(folder / f"{name}-reads", reads[0], reads)
    connections = READ_CONNECTIONS
    return Peer(
        Reads(Throughput(f"{name}, read 1 record", connections), target, path, cores),
        Writes(
            Throughput(f"{name}, write 1 record", connections),
            target,
            folder / f"{name}-writes",
            cores,
            make,
        ),
    )


def _value(number: int) -> dict[str, str]:
    return {"value": seed.record_value(number)}


def _expect_one(found: list[Any]) -> None:
    if len(found) != 1:
        raise LoadError(f"A delta of one record was expected, not {found}.")


@contextmanager
def _running(
    command: Sequence[str], port: int, folder: Path, cores: Cores
) -> Iterator[Target]:
    """Run a server in a folder of its own until it is no longer needed."""
    folder.mkdir()
    log = folder / "bench.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*cores.pin_server(), *command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_listening(process, port, log)
        yield Target("127.0.0.1", port, process.pid)
    finally:
        process.terminate()
        process.wait()


def _wait_until_listening(
    process: subprocess.Popen[bytes], port: int, log: Path
) -> None:
    deadline = time.monotonic() + START_S_MAX
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise LoadError(f"It did not start:\n{log.read_text('utf-8', 'replace')}")
