"""
A server for the tests of an app: in memory, with a clock that tests move.

    with EphemeralServer() as server:
        pool = server.create_pool()
        alice = pool.user("alice")
        alice.client("cognito-sync").list_datasets(
            IdentityPoolId=pool.id, IdentityId=alice.identity_id
        )
        server.clock.advance(hours=2)   # her credentials have expired
        server.calls.names()            # what was called
        server.reset()                  # as new

Under pytest the fixtures of `millpond.testing.pytest_plugin` do the rest. Nothing but
what Millpond runs on is needed; where boto3 is installed, clients are those of boto3.
"""

from __future__ import annotations

import base64
import datetime
import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Self
from urllib.parse import urlsplit

from millpond.testing.server import RunningServer

DEVELOPER_PROVIDER: Final = "login.test"
"""The name of the developer provider of pools that are made here."""
_OWN_AGENT: Final = "millpond-testing"  # of calls that are not the app's
_TIMEOUT_S: Final = 60.0


class EphemeralServer(RunningServer):
    """
    A `millpond serve --ephemeral` on a free port; a context manager.

    Args:
        settings: of the server, by name, as texts.
    Attributes:
        endpoint: its URL.
        clock: its clock, to be moved (`Clock`).
        calls: the calls that apps made (`Calls`).
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        """
        Args:
            settings: by name, as text, as in environment variables.
        """
        super().__init__(None, settings=settings)
        self.clock: Final = Clock(self)
        self.calls: Final = Calls(self)
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def stop(self, *arguments: Any) -> int:
        """Stop it; everything is gone."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        return super().stop(*arguments)

    def reset(self) -> None:
        """Drop all pools, data, streams and calls, and set the clock right."""
        self.ask("POST", "reset")
        self.calls.begin()

    def create_pool(self, name: str = "test", **options: Any) -> Pool:
        """
        Create an identity pool that lets guests in, and users of the developer's.

        Args:
            options: of `CreateIdentityPool`, in the names of the API; they win.
        """
        given = {
            "IdentityPoolName": name,
            "AllowUnauthenticatedIdentities": True,
            "DeveloperProviderName": DEVELOPER_PROVIDER,
            **options,
        }
        made = self.identity_client.create_identity_pool(**given)
        return Pool(self, made["IdentityPoolId"], made.get("DeveloperProviderName", ""))

    def client(self, service: str, **options: Any) -> Any:
        """
        Make a client of this server that signs with its developer key, of boto3 or,
        where that is not installed, of botocore, which are used alike.

        Args:
            options: of the client; they win over what points it at this server.
        """
        given = {
            "endpoint_url": self.endpoint,
            "region_name": self.region,
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": self.secret_access_key,
            **options,
        }
        try:
            import boto3
        except ModuleNotFoundError:
            from botocore.session import Session

            return Session().create_client(service, **given)
        return boto3.session.Session().client(service, **given)

    @cached_property
    def identity_client(self) -> Any:
        """A client of Cognito Identity whose calls do not count as those of an app."""
        from botocore.config import Config

        return self.client(
            "cognito-identity", config=Config(user_agent_extra=_OWN_AGENT)
        )

    def ask(self, method: str, path: str) -> Any:
        """
        Ask for what a server for tests does besides the APIs.

        Raises:
            RuntimeError: it refuses.
        """
        key = f"{self.access_key_id}:{self.secret_access_key}".encode()
        headers = {"Authorization": f"Basic {base64.b64encode(key).decode()}"}
        for is_last in (False, True):
            if self._connection is None:
                self._connection = http.client.HTTPConnection(
                    urlsplit(self.endpoint).netloc, timeout=_TIMEOUT_S
                )
            try:
                self._connection.request(method, f"/testing/{path}", headers=headers)
                answer = self._connection.getresponse()
                body = answer.read()
                break
            except (OSError, http.client.HTTPException):
                self._connection.close()  # it was closed for being idle
                self._connection = None
                if is_last:
                    raise
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {body.decode()}")
        return json.loads(body)


@dataclass(frozen=True)
class Pool:
    """
    An identity pool of a server for tests.

    Args:
        id: its id, such as `us-east-1:` and a GUID.
        developer_provider_name: under which users of the developer's sign in.
    """

    server: EphemeralServer = field(repr=False)
    id: str
    developer_provider_name: str

    def __str__(self) -> str:
        return self.id

    def guest(self) -> User:
        """Make a guest, with an identity of its own."""
        client = self.server.identity_client
        made = client.get_id(IdentityPoolId=self.id)
        return self._sign_in(made["IdentityId"], {})

    def user(self, user_id: str) -> User:
        """Sign in whom the developer knows by this id; the same one each time."""
        client = self.server.identity_client
        made = client.get_open_id_token_for_developer_identity(
            IdentityPoolId=self.id, Logins={self.developer_provider_name: user_id}
        )
        logins = {"cognito-identity.amazonaws.com": made["Token"]}
        return self._sign_in(made["IdentityId"], logins)

    def _sign_in(self, identity_id: str, logins: Mapping[str, str]) -> User:
        given = self.server.identity_client.get_credentials_for_identity(
            IdentityId=identity_id, Logins=logins
        )["Credentials"]
        return User(
            self,
            identity_id,
            given["AccessKeyId"],
            given["SecretKey"],
            given["SessionToken"],
        )


@dataclass(frozen=True)
class User:
    """
    An identity, with the credentials that an app on its device has.

    Args:
        pool: where it is.
        identity_id: its id.
        access_key_id: of its credentials, which end by the clock of the server.
    """

    pool: Pool
    identity_id: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)

    def environment(self) -> dict[str, str]:
        """Give the variables that make SDKs and the AWS CLI call as this user."""
        return {
            **self.pool.server.environment(),
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_SESSION_TOKEN": self.session_token,
        }

    def client(self, service: str, **options: Any) -> Any:
        """Make a client that signs as this user; as `EphemeralServer.client`."""
        given = {
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": self.secret_access_key,
            "aws_session_token": self.session_token,
            **options,
        }
        return self.pool.server.client(service, **given)


class Clock:
    """
    The clock of a server for tests.

    What expires does so by it: credentials, sync sessions, tombstones, stream records,
    guests. Requests are signed by the clock of the system, as ever.
    """

    def __init__(self, server: EphemeralServer) -> None:
        self._server = server

    def now(self) -> datetime.datetime:
        """Read it: an aware time, in UTC."""
        now_ms = self._server.ask("GET", "clock")["now_ms"]
        return datetime.datetime.fromtimestamp(now_ms / 1000, datetime.UTC)

    def advance(self, **lengths: float) -> None:
        """
        Let time pass; it never goes back, but by a reset.

        Args:
            lengths: as of `datetime.timedelta`: days, hours, minutes, seconds.
        """
        ms = round(datetime.timedelta(**lengths).total_seconds() * 1000)
        if ms < 0:
            raise ValueError("Time does not go back.")
        self._server.ask("POST", f"clock?advance_ms={ms}")


@dataclass(frozen=True)
class Call:
    """
    A call that an app made.

    Args:
        operation: its name, for instance `UpdateRecords`.
        error: the code of the error, for instance `ResourceConflictException`; empty:
            it went well.
        identity_id: of the user whose credentials signed it; empty: of nobody.
        parameters: of the request, by their names in the API.
    """

    operation: str
    status: int
    error: str
    identity_id: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


class Calls:
    """The calls that apps made since the last reset; those of fixtures do not count."""

    def __init__(self, server: EphemeralServer) -> None:
        self._server = server
        self._after = 0

    def __iter__(self) -> Iterator[Call]:
        return iter(self.all())

    def __len__(self) -> int:
        return len(self.all())

    def all(self, operation: str | None = None) -> list[Call]:
        """List them in order: all, or those of an operation."""
        found = self._server.ask("GET", f"calls?after={self._after}")["calls"]
        return [
            Call(
                each["Operation"],
                each["Status"],
                each.get("Error", ""),
                each.get("IdentityId", ""),
                each.get("Parameters") or {},
            )
            for each in found
            if operation in (None, each["Operation"])
            and _OWN_AGENT not in each.get("UserAgent", "")
        ]

    def names(self) -> list[str]:
        """List the names of their operations, in order."""
        return [each.operation for each in self]

    def begin(self) -> None:
        """Begin with the first call; the server has forgotten those before."""
        self._after = 0

    def clear(self) -> None:
        """Forget those so far."""
        found = self._server.ask("GET", f"calls?after={self._after}")["calls"]
        self._after = max((each["Number"] for each in found), default=self._after)
