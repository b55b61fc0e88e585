"""A login provider of our own: a real HTTP server with a key, which signs tokens."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    generate_private_key,
)
from jwt.algorithms import RSAAlgorithm

CLIENT_ID: Final = "the-app"


class OidcProvider:
    """An OpenID Connect provider on a free port of this machine."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.name = f"127.0.0.1:{self._server.server_port}"
        self.issuer = f"https://{self.name}"
        self._url = f"http://{self.name}"
        self.key = RsaKey("first")
        self.requests: list[str] = []

    def __enter__(self) -> OidcProvider:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def arn(self) -> str:
        """How an identity pool names the provider."""
        return f"arn:aws:iam::000000000000:oidc-provider/{self.name}"

    @property
    def setting(self) -> dict[str, Any]:
        """What the setting `login_providers` says of the provider."""
        url = f"{self._url}/.well-known/openid-configuration"
        return {"client_ids": [CLIENT_ID], "discovery_url": url}

    def rotate(self) -> None:
        """Sign with another key from now on, and publish that one alone."""
        self.key = RsaKey(str(uuid.uuid4()))

    def token(self, subject: str | None = None, **claims: Any) -> str:
        """Sign a token; a claim that is None is left out."""
        return self.key.sign(self.claims(subject, **claims))

    def claims(self, subject: str | None = None, **claims: Any) -> dict[str, Any]:
        """Give the claims of a token that is good."""
        now_s = int(time.time())
        good = {
            "iss": self.issuer,
            "sub": subject or str(uuid.uuid4()),
            "aud": CLIENT_ID,
            "iat": now_s,
            "exp": now_s + 600,
        }
        return {k: v for k, v in (good | claims).items() if v is not None}

    def logins(self, subject: str | None = None, **claims: Any) -> dict[str, str]:
        """Sign a token and present it as `Logins` do."""
        return {self.name: self.token(subject, **claims)}

    def _handler(self) -> Callable[..., BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.requests.append(self.path)
                if self.path == "/.well-known/openid-configuration":
                    keys_url = f"{provider._url}/keys"
                    document = {"issuer": provider.issuer, "jwks_uri": keys_url}
                else:
                    document = {"keys": [provider.key.jwk]}
                body = json.dumps(document).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


class RsaKey:
    """A key pair with an id."""

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id
        self.private: RSAPrivateKey = generate_private_key(65537, 2048)

    @property
    def jwk(self) -> dict[str, Any]:
        """The public half, as a key set publishes it."""
        public = RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {**public, "kid": self.key_id, "use": "sig", "alg": "RS256"}

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        """Sign claims; the header may say something else."""
        header = {"kid": self.key_id, **header}
        return jwt.encode(claims, self.private, algorithm="RS256", headers=header)
