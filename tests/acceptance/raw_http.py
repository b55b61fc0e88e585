"""
Requests as bytes: signed here, sent here, with nothing in between that corrects them.

The signer follows "Create a signed AWS API request" (IAM user guide) and shares no code
with the server, so a mistake on one side cannot hide behind the same one on the other.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import hmac
import http.client
import json
import socket
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote_from_bytes, urlsplit

from millpond.testing.deadlines import seconds
from millpond.testing.server import RunningServer

TIMEOUT_S: Final = 20.0


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Who signs, and what for."""

    access_key_id: str
    secret: str
    region: str = "us-east-1"
    service: str = "cognito-sync"


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request: the target is exactly what stands in the request line."""

    method: str = "GET"
    target: bytes = b"/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def but(self, **changes: Any) -> Request:
        """Give the same request with some parts changed."""
        return replace(self, **changes)


@dataclass
class Answer:
    """One response."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The type of an error, as its header has it."""
        return self.headers["x-amzn-errortype"]

    @property
    def message(self) -> str:
        """The message of an error, as its body has it."""
        text: str = self.json["message"]
        return text


class RawClient:
    """Sends requests to one server, each on a connection of its own."""

    def __init__(self, server: RunningServer) -> None:
        parts = urlsplit(server.endpoint)
        assert parts.hostname is not None
        assert parts.port is not None
        self.address = (parts.hostname, parts.port)
        self.host = f"{parts.hostname}:{parts.port}"
        self.scope = Scope(
            access_key_id=server.access_key_id,
            secret=server.secret_access_key,
            region=server.region,
        )

    def call(
        self,
        method: str,
        target: str | bytes,
        body: Any = b"",
        headers: tuple[tuple[str, str], ...] = (),
        service: str = "cognito-sync",
    ) -> Answer:
        """Sign a request and send it; a body that is not bytes is sent as JSON."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if isinstance(target, str):
            target = target.encode()
        request = Request(method=method, target=target, headers=headers, body=body)
        return self.send(self.signed(request, replace(self.scope, service=service)))

    def call_json(self, api: tuple[str, str], operation: str, body: Any) -> Answer:
        """Call an operation of an AWS JSON 1.1 API: (signing name, target prefix)."""
        service, prefix = api
        target = (("x-amz-target", f"{prefix}.{operation}"),)
        return self.call("POST", b"/", body, target, service)

    def signed(self, request: Request, scope: Scope | None = None) -> Request:
        """Sign a request for now."""
        return sign(
            request.but(headers=(("host", self.host), *request.headers)),
            scope or self.scope,
        )

    def send(self, request: Request) -> Answer:
        """Send a request just as it is, and read the answer."""
        headers = request.headers
        names = {name.lower() for name, _ in headers}
        if "host" not in names:
            headers = (("host", self.host), *headers)
        if "content-length" not in names and (request.body or request.method != "GET"):
            headers = (*headers, ("content-length", str(len(request.body))))
        lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.target)]
        lines += [f"{name}: {value}".encode() for name, value in headers]
        return self.send_bytes(b"\r\n".join([*lines, b"", request.body]))

    def send_bytes(self, data: bytes) -> Answer:
        """Send bytes, whatever they are, and read the answer."""
        with self.connect() as connection:
            # It may be refused before all of it was sent; then the answer is there.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(data)
            return read_answer(connection)

    def connect(self) -> socket.socket:
        """Open a connection."""
        connection = socket.create_connection(self.address, seconds(TIMEOUT_S))
        connection.settimeout(seconds(TIMEOUT_S))
        return connection


def read_answer(connection: socket.socket) -> Answer:
    """Read one response."""
    response = http.client.HTTPResponse(connection)
    try:
        response.begin()
        body = response.read()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, response.reason, headers, body)
    finally:
        response.close()


def sign(
    request: Request,
    scope: Scope,
    *,
    at: datetime.datetime | None = None,
    payload_hash: str | None = None,
) -> Request:
    """
    Add a signature that covers every header the request has.

    Args:
        at: the time to claim; now by default.
        payload_hash: what to sign for the body; its real hash by default.
    """
    moment = at or datetime.datetime.now(datetime.UTC)
    stamp = moment.strftime("%Y%m%dT%H%M%SZ")
    headers = (*request.headers, ("x-amz-date", stamp))
    signed_headers = ";".join(sorted({name.lower() for name, _ in headers}))
    credential = f"{stamp[:8]}/{scope.region}/{scope.service}/aws4_request"
    canonical = canonical_request(request.but(headers=headers), payload_hash)
    signature = _signature(scope.secret, credential, stamp, canonical)
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={scope.access_key_id}/{credential}, "
        f"SignedHeaders={signed_headers}, Signature={signature}"
    )
    return request.but(headers=(*headers, ("Authorization", authorization)))


def presigned(request: Request, scope: Scope, *, expires_s: int = 300) -> Request:
    """Put a signature of the host header into the query, as presigned links have it."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    credential = f"{stamp[:8]}/{scope.region}/{scope.service}/aws4_request"
    named = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{scope.access_key_id}/{credential}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(expires_s),
        "X-Amz-SignedHeaders": "host",
    }
    pairs = [f"{name}={_encode(value.encode())}" for name, value in named.items()]
    path, _, query = request.target.partition(b"?")
    whole = b"&".join([*([query] if query else []), "&".join(pairs).encode()])
    request = request.but(target=path + b"?" + whole)
    signature = _signature(
        scope.secret, credential, stamp, canonical_request(request, None)
    )
    return request.but(target=request.target + f"&X-Amz-Signature={signature}".encode())


def canonical_request(request: Request, payload_hash: str | None) -> str:
    """Spell a request as its signature covers it."""
    path, _, query = request.target.partition(b"?")
    pairs = [pair.partition(b"=") for pair in query.split(b"&")] if query else []
    values: dict[str, list[str]] = {}
    for name, value in request.headers:
        values.setdefault(name.lower(), []).append(" ".join(value.split()))
    lines = [
        request.method,
        quote_from_bytes(path, safe="/-_.~"),
        "&".join(f"{n.decode()}={v.decode()}" for n, _, v in sorted(pairs)),
        *(f"{name}:{','.join(values[name])}" for name in sorted(values)),
        "",
        ";".join(sorted(values)),
        payload_hash or hashlib.sha256(request.body).hexdigest(),
    ]
    return "\n".join(lines)


def _signature(secret: str, credential: str, stamp: str, canonical: str) -> str:
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{credential}\n{digest}"
    key = f"AWS4{secret}".encode()
    for element in (*credential.split("/"), to_sign):
        key = hmac.digest(key, element.encode(), "sha256")
    return key.hex()


def _encode(component: bytes) -> str:
    return quote_from_bytes(component, safe="-_.~")
