"""What the tests of the command line share: a clean environment and a stub server."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from millpond.cli.main import main

POOL = "us-east-1:7c4f5e0a-2f0b-4b9e-9d8c-0a1b2c3d4e5f"


@dataclass
class Received:
    """One request as the stub saw it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """What the stub answers."""

    body: Any = field(default_factory=dict)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False  # close the connection instead


class Stub:
    """A server on the loopback that answers from a list and keeps what it got."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: list[Answer] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def will_answer(self, body: Any = None, status: int = 200, **options: Any) -> None:
        """Queue an answer; the last one queued is given from then on."""
        self.answers.append(Answer({} if body is None else body, status, **options))

    def next_answer(self) -> Answer:
        """The answer whose turn it is."""
        if len(self.answers) > 1:
            return self.answers.pop(0)
        return self.answers[0] if self.answers else Answer()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(stub: Stub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            names = {name.lower(): value for name, value in self.headers.items()}
            stub.received.append(
                Received(self.command, self.path, names, self.rfile.read(length))
            )
            answer = stub.next_answer()
            self.close_connection = True
            if answer.drop:
                return
            body = answer.body
            if not isinstance(body, (bytes, str)):
                body = json.dumps(body)
            if isinstance(body, str):
                body = body.encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = do_CONNECT = _answer  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A stub server."""
    server = Stub()
    yield server
    server.close()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A clean environment with dummy keys; gives back the empty home directory."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDTEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".aws").mkdir()
    return tmp_path


@dataclass
class Result:
    """What one command line did."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(home, capsys) -> Callable[..., Result]:
    """Run a command line inside this process."""

    def run_words(*words: str) -> Result:
        capsys.readouterr()
        code = main(list(words))
        printed = capsys.readouterr()
        return Result(code, printed.out, printed.err)

    return run_words


@pytest.fixture
def sync(run, stub) -> Callable[..., Result]:
    """Run an operation of cognito-sync against the stub."""

    def run_operation(operation: str, *words: str) -> Result:
        result: Result = run(
            "cognito-sync", operation, *words, "--endpoint-url", stub.url
        )
        return result

    return run_operation


@pytest.fixture
def details(sync) -> Callable[..., Result]:
    """Run get-bulk-publish-details for a pool against the stub."""

    def run_details(*words: str) -> Result:
        option = ("--identity-pool-id", POOL)
        result: Result = sync("get-bulk-publish-details", *option, *words)
        return result

    return run_details


@pytest.fixture
def pool() -> str:
    """The id of an identity pool."""
    return POOL
