"""
The documents that a login provider publishes: its configuration and its keys.

Both come from outside. A set of keys may hold some that are not for us, of other kinds
or uses, today or next year; they are passed over. Only what makes the document useless
as a whole is an error.

Source: OpenID Connect Discovery 1.0; RFC 7517 and 7518.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from millpond.core.login_tokens import is_issuer
from millpond.errors import LoginProviderError

if TYPE_CHECKING:
    import jwt

KEYS_MAX: Final = 100  # a token without a key id is tried with all of them
# Where a key does not say for which algorithm it is, it is for each of these.
_ALGORITHMS: Final = {
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
# What is taken over; a private part, published by mistake, is not.
_MEMBERS: Final = ("kty", "kid", "crv", "n", "e", "x", "y")
_CHARS_MAX: Final = 2800  # an RSA modulus of 16,384 bits; OpenSSL takes no larger one


class _Configuration(msgspec.Struct):
    issuer: str
    jwks_uri: str


class _KeySet(msgspec.Struct):
    keys: list[Any]


def read_configuration(
    document: bytes, *, provider_name: str, may_be_http: bool
) -> str:
    """
    Find out where a provider has its keys.

    Args:
        may_be_http: whether they may come without TLS.
    Returns:
        The URL of its key set.
    Raises:
        LoginProviderError: the document is not that provider's OpenID configuration.
    """
    try:
        found = msgspec.json.decode(document, type=_Configuration)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        form = "an object with 'issuer' and 'jwks_uri'"
        raise LoginProviderError(
            f"its OpenID configuration cannot be read: {_what_it_is(error, form)}."
        ) from error
    if not is_issuer(found.issuer, provider_name):
        raise LoginProviderError(
            f"its OpenID configuration is that of '{found.issuer}'."
        )
    schemes = ("https://", "http://") if may_be_http else ("https://",)
    if not found.jwks_uri.startswith(schemes):
        raise LoginProviderError(
            f"its OpenID configuration names keys at '{found.jwks_uri}', which is not "
            "https."
        )
    return found.jwks_uri


def _what_it_is(error: Exception, form: str) -> str:
    """Say in our words what a decoder found fault with."""
    if isinstance(error, msgspec.ValidationError):
        return f"it is not {form}"
    return "it is no JSON"


def read_key_set(document: bytes) -> tuple[jwt.PyJWK, ...]:
    """
    Read the keys with which a provider signs: one for each algorithm of each.

    Raises:
        LoginProviderError: the document is no JSON Web Key Set, or has no such key.
    """
    try:
        entries = msgspec.json.decode(document, type=_KeySet).keys
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        form = 'an object with a list of objects as "keys"'
        raise LoginProviderError(
            f"its key set cannot be read: {_what_it_is(error, form)}."
        ) from error
    keys = tuple(key for entry in entries[:KEYS_MAX] for key in _read_keys(entry))
    if not keys:
        raise LoginProviderError("its key set has no key that signs tokens.")
    return keys


def _read_keys(entry: object) -> Iterator[jwt.PyJWK]:
    # Imported late: it takes a tenth of a start, and many servers read no keys.
    from cryptography.exceptions import UnsupportedAlgorithm
    from jwt import PyJWK, PyJWTError

    if not isinstance(entry, dict) or not _is_for_verifying(entry):
        return
    jwk = {name: entry[name] for name in _MEMBERS if entry.get(name) is not None}
    if not all(isinstance(e, str) and len(e) <= _CHARS_MAX for e in jwk.values()):
        return
    possible = _ALGORITHMS.get((jwk.get("kty", ""), jwk.get("crv")), ())
    named = entry.get("alg")
    for algorithm in possible:
        if named in (None, algorithm):
            try:
                yield PyJWK(jwk, algorithm)
            except (PyJWTError, UnsupportedAlgorithm, ValueError):
                return


def _is_for_verifying(entry: dict[Any, Any]) -> bool:
    operations = entry.get("key_ops")
    if isinstance(operations, list) and "verify" not in operations:
        return False
    return entry.get("use") in (None, "sig")
