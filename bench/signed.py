"""Signed requests, as the bytes that go over the wire."""

from __future__ import annotations

import time
from typing import Final
from urllib.parse import quote

from load import Target
from millpond.testing.server import RunningServer
from millpond.wire.sigv4 import SignedRequest, sign
from seed import POOL

# What an SDK sends besides and does not sign.
_UNSIGNED: Final = (
    (b"user-agent", b"millpond-bench/1"),
    (b"accept-encoding", b"identity"),
)


class Signer:
    """Makes requests of Cognito Sync for one server. They are good for five minutes."""

    def __init__(self, server: RunningServer, target: Target) -> None:
        self._server = server
        self._host = target.netloc.encode()

    def list_records(self, identity_id: str, dataset: str, sync_count: int) -> bytes:
        """List what changed in a dataset after a sync count."""
        path = _dataset_path(identity_id, dataset) + "/records"
        return self._request("GET", path, f"lastSyncCount={sync_count}")

    def update_records(self, identity_id: str, dataset: str, body: bytes) -> bytes:
        """Change records of a dataset."""
        return self._request("POST", _dataset_path(identity_id, dataset), body=body)

    def get_bulk_publish_details(self) -> bytes:
        """Ask how the last bulk publish went."""
        return self._request(
            "POST", f"/identitypools/{quote(POOL, safe='')}/getBulkPublishDetails"
        )

    def _request(
        self, method: str, path: str, query: str = "", body: bytes = b""
    ) -> bytes:
        headers = [(b"host", self._host)]
        if method == "POST":
            headers.append((b"content-type", b"application/json"))
        request = SignedRequest(method, path.encode(), query.encode(), headers, body)
        headers += sign(
            request,
            access_key_id=self._server.access_key_id,
            secret=self._server.secret_access_key,
            region=self._server.region,
            service="cognito-sync",
            now_s=time.time(),
        )
        headers += _UNSIGNED
        return encode(method, f"{path}?{query}" if query else path, headers, body)


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
    pool, identity = quote(POOL, safe=""), quote(identity_id, safe="")
    return f"/identitypools/{pool}/identities/{identity}/datasets/{dataset}"
