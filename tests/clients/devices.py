"""
Devices that run amazon-cognito-js, in Node.js or in a browser.

`Device` says in Python what `scripts/device.js` does: the two are one thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from acceptance.users import User
from millpond.testing.server import RunningServer


class Runtime(Protocol):
    """Where a device runs."""

    def call(self, command: dict[str, Any]) -> Any:
        """Give a command and wait for its answer."""


class DeviceError(Exception):
    """What the client told its app went wrong."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Conflict:
    """A record that both sides changed."""

    key: str
    local: str
    remote: str


@dataclass(frozen=True)
class Synchronized:
    """
    How a synchronization went.

    Args:
        outcome: success, failure, or hang when the client never called back.
        sent: the operations called, in order.
        merged, deleted: names of datasets that the app was told of.
    """

    outcome: str
    message: str
    sent: list[str]
    conflicts: list[Conflict]
    merged: list[str]
    deleted: list[str]


class Device:
    """One device of one user, with a sync manager and its local records."""

    def __init__(self, runtime: Runtime, server: RunningServer) -> None:
        self._runtime = runtime
        self._server = server
        self.identity_id = ""

    def start(self, pool: str, user: User | None = None, **params: str) -> None:
        """
        Start the app, and get an identity and its credentials.

        Args:
            user: who is signed in; nobody by default.
            params: further ones of `AWS.CognitoIdentityCredentials`.
        """
        self._identify(
            "start",
            endpoint=self._server.endpoint,
            region=self._server.region,
            IdentityPoolId=pool,
            **({"IdentityId": user.identity_id, "Logins": user.logins} if user else {}),
            **params,
        )

    def move(self, server: RunningServer) -> None:
        """Be pointed at another server, as a new version of the app is; keep data."""
        self._server = server
        self._identify("move", endpoint=server.endpoint, region=server.region)

    def login(self, user: User) -> None:
        """Sign in, as whoever the device was until now."""
        self._identify("login", logins=user.logins)

    def put(self, values: dict[str, str], dataset: str = "prefs") -> None:
        """Put records into the local dataset."""
        self.do("put", dataset=dataset, values=values)

    def remove(self, key: str, dataset: str = "prefs") -> None:
        """Remove a record from the local dataset."""
        self.do("remove", dataset=dataset, key=key)

    def values(self, dataset: str = "prefs") -> dict[str, str]:
        """Read the local dataset; a removed record reads as an empty string."""
        found: dict[str, str] = self.do("values", dataset=dataset)
        return found

    def forget(self, dataset: str = "prefs") -> None:
        """Delete a dataset; the server learns of it at the next synchronization."""
        self.do("forget", dataset=dataset)

    def purge(self, dataset: str = "prefs") -> None:
        """Remove a dataset from the device alone."""
        self.do("purge", dataset=dataset)

    def refresh(self) -> list[dict[str, Any]]:
        """Read what datasets the server has."""
        found: list[dict[str, Any]] = self.do("refresh")
        return found

    def synchronize(
        self,
        dataset: str = "prefs",
        *,
        resolve: str = "",
        value: str | None = None,
        values: Mapping[str, str] | None = None,
    ) -> Synchronized:
        """
        Synchronize a dataset.

        Args:
            resolve: how to resolve conflicts, a method of the client's `Conflict`;
                without one the app cancels the synchronization.
            value, values: what `resolveWithValue` is given, for all or by key.
        """
        given = {"value": value, "values": values}
        resolution = {"method": resolve} | {
            name: each for name, each in given.items() if each is not None
        }
        options = {"resolution": resolution} if resolve else {}
        found = self.do("synchronize", dataset=dataset, **options)
        conflicts = [Conflict(**each) for each in found.pop("conflicts")]
        return Synchronized(conflicts=conflicts, **found)

    def synchronize_well(self, dataset: str = "prefs", **options: Any) -> Synchronized:
        """Synchronize a dataset, with success."""
        done = self.synchronize(dataset, **options)
        assert (done.outcome, done.message) == ("success", "")
        return done

    def do(self, name: str, **words: Any) -> Any:
        """
        Perform a command of the script.

        Raises:
            DeviceError: the client gave its app an error.
        """
        answer = self._runtime.call({"do": name, **words})
        if "error" in answer:
            raise DeviceError(**answer["error"])
        return answer["result"]

    def _identify(self, name: str, **words: Any) -> None:
        self.identity_id = self.do(name, **words)["identityId"]
