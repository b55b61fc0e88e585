"""Requests, signed by a developer or by users, as the bytes that go over the wire."""

from __future__ import annotations

import json
import time
from typing import Final
from urllib.parse import quote

from load import Target
from millpond.core.session_tokens import SessionTokens, UserCredentials, UserSession
from millpond.server import secret_key
from millpond.testing.server import RunningServer
from millpond.wire.sigv4.signer import Outgoing, sign
from seed import POOL, random_bytes

ROLE: Final = "arn:aws:iam::000000000000:role/authenticated"

# What an SDK sends besides and does not sign.
_UNSIGNED: Final = (
    (b"user-agent", b"millpond-bench/1"),
    (b"accept-encoding", b"identity"),
)


class Users:
    """
    The temporary credentials of users, by identity.

    They are issued here, with the server's key, as its GetCredentialsForIdentity would:
    credentials leave no trace in the server.
    """

    def __init__(self, server: RunningServer) -> None:
        master = secret_key.load(server.data, server.secret_key)
        self._tokens = SessionTokens(
            secret_key.derive(master, "session tokens"), random_bytes=random_bytes
        )
        self._expires_ms = (int(time.time()) + 3600) * 1000
        self._issued: dict[str, UserCredentials] = {}

    def credentials(self, identity_id: str) -> UserCredentials:
        """Give the credentials of an identity."""
        if identity_id not in self._issued:
            session = UserSession(
                POOL, identity_id, self._expires_ms, ROLE, "CognitoIdentityCredentials"
            )
            self._issued[identity_id] = self._tokens.issue(session)
        return self._issued[identity_id]


class Signer:
    """Makes requests of Cognito Sync for one server. They are good for five minutes."""

    def __init__(
        self, server: RunningServer, target: Target, users: Users | None = None
    ) -> None:
        """
        Args:
            users: who signs; a developer by default.
        """
        self._host = target.netloc.encode()
        self._region = server.region
        self._users = users
        self._developer = UserCredentials(
            server.access_key_id, server.secret_access_key, ""
        )

    def list_records(self, identity_id: str, dataset: str, sync_count: int) -> bytes:
        """List what changed in a dataset after a sync count."""
        path = _dataset_path(identity_id, dataset) + "/records"
        who = self._who(identity_id)
        return self._request(who, "GET", path, f"lastSyncCount={sync_count}")

    def update_records(self, identity_id: str, dataset: str, body: bytes) -> bytes:
        """Change records of a dataset."""
        path = _dataset_path(identity_id, dataset)
        return self._request(self._who(identity_id), "POST", path, body=body)

    def get_live_updates(self, identity_id: str) -> bytes:
        """Listen to an identity."""
        path = f"{_identity_path(identity_id)}/live"
        return self._request(self._who(identity_id), "GET", path)

    def list_identity_pool_usage(self) -> bytes:
        """Ask for the pools, of which there may be none."""
        return self._request(self._developer, "GET", "/identitypools")

    def get_bulk_publish_details(self) -> bytes:
        """Ask how the last bulk publish went."""
        path = f"/identitypools/{quote(POOL, safe='')}/getBulkPublishDetails"
        return self._request(self._developer, "POST", path)

    def _who(self, identity_id: str) -> UserCredentials:
        if self._users is None:
            return self._developer
        return self._users.credentials(identity_id)

    def _request(
        self,
        who: UserCredentials,
        method: str,
        path: str,
        query: str = "",
        body: bytes = b"",
    ) -> bytes:
        headers = [(b"host", self._host)]
        if method == "POST":
            headers.append((b"content-type", b"application/json"))
        request = Outgoing(method, path.encode(), query.encode(), headers, body)
        headers += sign(
            request,
            access_key_id=who.access_key_id,
            secret=who.secret_access_key,
            region=self._region,
            service="cognito-sync",
            now_s=time.time(),
            session_token=who.session_token or None,
        )
        headers += _UNSIGNED
        return encode(method, f"{path}?{query}" if query else path, headers, body)


def get_credentials_for_identity(
    target: Target, identity_id: str, token: str | None = None
) -> bytes:
    """Ask for the credentials of an identity, unsigned: a guest's, or a user's."""
    asked: dict[str, object] = {"IdentityId": identity_id}
    if token is not None:
        asked["Logins"] = {"cognito-identity.amazonaws.com": token}
    headers = [
        (b"host", target.netloc.encode()),
        (b"content-type", b"application/x-amz-json-1.1"),
        (b"x-amz-target", b"AWSCognitoIdentityService.GetCredentialsForIdentity"),
        *_UNSIGNED,
    ]
    return encode("POST", "/", headers, json.dumps(asked).encode())


def encode(
    method: str, target: str, headers: list[tuple[bytes, bytes]], body: bytes = b""
) -> bytes:
    """Put a request together."""
    lines = [f"{method} {target} HTTP/1.1".encode()]
    lines += [name + b": " + value for name, value in headers]
    if method != "GET":
        lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join([*lines, b"", body])


def _dataset_path(identity_id: str, dataset: str) -> str:
    return f"{_identity_path(identity_id)}/datasets/{dataset}"


def _identity_path(identity_id: str) -> str:
    pool, identity = quote(POOL, safe=""), quote(identity_id, safe="")
    return f"/identitypools/{pool}/identities/{identity}"
