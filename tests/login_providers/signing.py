"""Signing tokens as login providers do, and as nobody should."""

from __future__ import annotations

import base64
import functools
import json
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

PROVIDER = "login.example.com"
NOW_S = 1_750_000_000
_CURVES = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
}


def private_key(algorithm: str = "RS256", key_id: str = "one", bits: int = 2048) -> Any:
    """Give the key pair of an id; it is the same one each time."""
    return _private_key(algorithm, key_id, bits)


@functools.cache
def _private_key(algorithm: str, key_id: str, bits: int) -> Any:
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm])
    return rsa.generate_private_key(65537, bits)


def public_jwk(
    algorithm: str = "RS256", key_id: str = "one", **members: Any
) -> dict[str, Any]:
    """Describe the public key of an id as a provider publishes it; None leaves out."""
    public = private_key(algorithm, key_id).public_key()
    if algorithm == "EdDSA":
        described = OKPAlgorithm.to_jwk(public, as_dict=True)
    elif algorithm in _CURVES:
        described = ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        described = RSAAlgorithm.to_jwk(public, as_dict=True)
    described.pop("key_ops", None)
    described |= {"kid": key_id, "alg": algorithm, "use": "sig", **members}
    return {name: value for name, value in described.items() if value is not None}


def public_key(algorithm: str = "RS256", key_id: str = "one") -> jwt.PyJWK:
    """Give the public key of an id."""
    return jwt.PyJWK(public_jwk(algorithm, key_id))


def claims(**changes: Any) -> dict[str, Any]:
    """Make claims that are good at `NOW_S`; None leaves one out."""
    good = {
        "iss": f"https://{PROVIDER}",
        "sub": "alice",
        "aud": "app",
        "exp": NOW_S + 3600,
        "iat": NOW_S,
    }
    return {k: v for k, v in {**good, **changes}.items() if v is not None}


def sign(
    payload: dict[str, Any] | None = None,
    *,
    algorithm: str = "RS256",
    key_id: str = "one",
    headers: dict[str, Any] | None = None,
) -> str:
    """Sign a token as a provider does; good claims by default."""
    return jwt.PyJWS().encode(
        json.dumps(claims() if payload is None else payload).encode(),
        private_key(algorithm, key_id),
        algorithm,
        headers={"kid": key_id, **(headers or {})},
    )


def spell(header: Any, payload: Any, signature: bytes = b"") -> str:
    """Put a token together from parts; bytes stay as they are, others become JSON."""
    parts = [
        part if isinstance(part, bytes) else json.dumps(part).encode()
        for part in (header, payload)
    ]
    return ".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=").decode()
        for part in (*parts, signature)
    )
