"""
Login tokens: what a login provider says about a user, and whether to believe it.

A login token is an OpenID Connect identity token, a JSON Web Token that its issuer has
signed. `read_token` takes it apart and believes nothing; the caller learns from it
which key to look for. `check_token` refuses what no key could make good, so that nobody
is asked for keys in vain. `verify_token` believes, or says why not.

The checks, in this order; the first that fails is the one that is told:

1. the algorithm is one of `ALGORITHMS`: with a secret in the place of a key pair, who
   can verify can also sign
2. the issuer is the provider in whose name the token was presented
3. the claims `iss`, `sub`, `aud` and `exp` are there, and make sense
4. one of the provider's keys signed it
5. it has not expired, and its time has come, with five minutes of grace
6. it was made for one of the applications that the identity pool trusts

Source: the developer guide, open-id.md; RFC 7515, 7519 and 8725; texts as clients have
reported them.
"""

from __future__ import annotations

import binascii
import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from millpond import limits
from millpond.errors import NotAuthorizedException, ServiceException

if TYPE_CHECKING:
    import jwt

ALGORITHMS: Final = frozenset(
    {
        *("RS256", "RS384", "RS512"),
        *("PS256", "PS384", "PS512"),
        *("ES256", "ES384", "ES512"),
        "EdDSA",
    }
)
RSA_BITS_MIN: Final = 2048  # RFC 7518, section 3.3
SUBJECT_CHARS_MAX: Final = limits.DEVELOPER_USER_CHARS_MAX  # both name a user
USER_POOL_PREFIX: Final = "cognito-idp."

_INVALID: Final = "Invalid login token. "
# AWS: this text (amazon-cognito-identity-js#91).
_NOT_VERIFIED: Final = "Couldn't verify signed token."
_EXPIRED: Final = "Token expired: "
_WHITE_SPACE: Final = " \t\r\n"
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_decode_object: Final = msgspec.json.Decoder(dict[str, Any]).decode


class LoginToken(msgspec.Struct, frozen=True, gc=False):
    """
    A token taken apart. Nothing in it is verified.

    Args:
        text: the token as it was sent.
        key_id: of the key that signed it, if it says so.
    """

    text: str
    algorithm: str
    key_id: str | None
    claims: dict[str, Any]
    signature: bytes

    def __repr__(self) -> str:
        return f"<LoginToken {self.algorithm}, key {self.key_id!r}>"  # no secret


def read_token(text: str) -> LoginToken:
    """
    Take a token apart, without verifying it.

    Raises:
        NotAuthorizedException: it is not a JSON Web Token.
    """
    try:
        return _read(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        # AWS: this text, for whatever is no token of the kind.
        raise _invalid("Not a valid OpenId Connect identity token.") from None


def check_token(token: LoginToken, *, provider_name: str) -> None:
    """
    Refuse a token that no key could make good: checks 1 to 3.

    Raises:
        NotAuthorizedException: it fails one of them.
    """
    if token.algorithm not in ALGORITHMS:
        raise _not_verified()
    _require(token.claims, "iss")
    if not is_issuer(token.claims["iss"], provider_name):
        # AWS: this text (amazon-cognito-identity-js#68).
        raise _invalid("Issuer doesn't match providerName")
    # AWS: a user pool's access token has no audience and ends here
    # (amazon-cognito-identity-js#7).
    _require(token.claims, "sub", "aud", "exp")
    for name, is_valid in _CLAIMS.items():
        value = token.claims.get(name)
        if value is not None and not is_valid(value):
            raise _invalid(f"The claim {name} is not valid.")


def verify_token(
    token: LoginToken,
    keys: Sequence[jwt.PyJWK],
    *,
    provider_name: str,
    audiences: Collection[str],
    now_s: int,
) -> Mapping[str, Any]:
    """
    Verify a token, with all the checks of this module.

    Args:
        keys: those that may have signed it; each verifies its own algorithm alone.
        provider_name: as in `Logins`: the issuer, without the scheme.
        audiences: the client ids of the applications that may present it.
    Returns:
        Its claims.
    Raises:
        NotAuthorizedException: it fails a check; the message says which.
    """
    check_token(token, provider_name=provider_name)
    if not any(_is_signed_with(token, key) for key in keys):
        raise _not_verified()
    _check_times(token.claims, now_s)
    _check_audience(token.claims, provider_name, audiences)
    return token.claims


def is_issuer(issuer: object, provider_name: str) -> bool:
    """
    Say whether an issuer is the provider of that name.

    AWS: with or without the scheme, as Google's was either. A slash at the end does not
    count: Auth0 signs with one, and is registered without.
    """
    if not isinstance(issuer, str):
        return False
    name = provider_name.removesuffix("/")
    return issuer.removesuffix("/") in (name, f"https://{name}")


def audience(claims: Mapping[str, Any]) -> list[str]:
    """List the applications that checked claims are for."""
    # AWS: the party that the token was issued to counts, where it is named.
    named = claims.get("azp") or claims.get("aud") or []
    return [named] if isinstance(named, str) else named


def is_expired(claims: Mapping[str, Any], *, now_s: int) -> bool:
    """Say whether checked claims have expired, past all grace."""
    return bool(now_s - limits.LOGIN_CLOCK_SKEW_S >= claims["exp"])


def _read(text: str) -> LoginToken:
    if len(text) > limits.LOGIN_TOKEN_CHARS_MAX or not text.isascii():
        raise ValueError("not a token")
    # Tokens come from files, where a line break ends them; no SDK takes it off.
    text = text.strip(_WHITE_SPACE)
    # Not the library's parser: it looks at every character by itself, which takes
    # longer than the signature, and lets NaN and halves of characters pass.
    encoded_header, encoded_claims, encoded_signature = text.split(".")
    header = _decode_object(_decode_segment(encoded_header))
    if "crit" in header:  # extensions that must be understood; we know none
        raise ValueError("extensions")
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str):
        raise ValueError("no algorithm")
    if key_id is not None and not (isinstance(key_id, str) and key_id.isprintable()):
        raise ValueError("no key id")
    return LoginToken(
        text,
        algorithm,
        key_id,
        _decode_object(_decode_segment(encoded_claims)),
        _decode_segment(encoded_signature) if encoded_signature else b"",
    )


def _decode_segment(segment: str) -> bytes:
    """Decode base64url without padding, as RFC 7515 has it, and nothing else."""
    if not segment or "+" in segment or "/" in segment or "=" in segment:
        raise ValueError("not base64url")
    standard = segment.encode().translate(_STANDARD) + b"=" * (-len(segment) % 4)
    # Strictly: by itself it passes over what is in no alphabet.
    return binascii.a2b_base64(standard, strict_mode=True)


def _require(claims: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if claims.get(name) is None:
            # AWS: this text (amazon-cognito-identity-js#7).
            raise _invalid(f"Missing a required claim: {name}")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != "" and "\0" not in value


def _is_subject(value: object) -> bool:
    return _is_text(value) and len(str(value)) <= SUBJECT_CHARS_MAX


def _is_audience(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and all(map(_is_text, value))
    return _is_text(value)


def _is_time(value: object) -> bool:
    """Say whether a value is a NumericDate; it may have a fraction."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= limits.EPOCH_S_MAX


_CLAIMS: Final[Mapping[str, Callable[[object], bool]]] = {
    "iss": _is_text,
    "sub": _is_subject,
    "aud": _is_audience,
    "azp": _is_text,
    "exp": _is_time,
    "nbf": _is_time,
    "iat": _is_time,
}
"""What the claims that are looked at must be, where they are present."""


def _is_signed_with(token: LoginToken, key: jwt.PyJWK) -> bool:
    """Say whether a key made the signature: one that fits, and is not weak."""
    if key.algorithm_name != token.algorithm:
        return False
    if None not in (token.key_id, key.key_id) and token.key_id != key.key_id:
        return False
    if _is_weak(key):
        return False
    signed, _, _ = token.text.rpartition(".")
    try:
        return bool(key.Algorithm.verify(signed.encode(), key.key, token.signature))
    except (ValueError, _library_error()):  # which is loaded when something is wrong
        return False


@functools.lru_cache(256)
def _is_weak(key: jwt.PyJWK) -> bool:
    # Imported late: it is there when there is a key, and a start need not wait for it.
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    return isinstance(key.key, RSAPublicKey) and key.key.key_size < RSA_BITS_MIN


def _library_error() -> type[Exception]:
    from jwt import PyJWTError  # loaded late, as above

    return PyJWTError


def _check_times(claims: Mapping[str, Any], now_s: int) -> None:
    if is_expired(claims, now_s=now_s):
        raise token_expired(now_s, claims["exp"])
    for name in ("nbf", "iat"):
        begins = claims.get(name, 0)
        if begins is not None and begins > now_s + limits.LOGIN_CLOCK_SKEW_S:
            raise _invalid(f"Token not valid yet: {now_s} < {int(begins)}")


def _check_audience(
    claims: Mapping[str, Any], provider_name: str, audiences: Collection[str]
) -> None:
    if any(each in audiences for each in audience(claims)):
        return
    if provider_name.startswith(USER_POOL_PREFIX):
        # AWS: this text (amazon-cognito-identity-js#153).
        raise NotAuthorizedException(
            "Token is not from a supported provider of this identity pool."
        )
    raise _invalid("Incorrect token audience.")


def token_expired(now_s: int, expires_s: float) -> NotAuthorizedException:
    """Word the refusal of a good token that has expired."""
    # AWS: this text (aws-sdk-ios#2570).
    return _invalid(f"{_EXPIRED}{now_s} >= {int(expires_s)}")


def says_expired(refusal: ServiceException) -> bool:
    """Say whether a refusal is that of a good token that has expired."""
    return refusal.message.startswith(f"{_INVALID}{_EXPIRED}")


def says_not_verified(refusal: ServiceException) -> bool:
    """Say whether a refusal is that of a token that no key verifies."""
    return refusal.message == f"{_INVALID}{_NOT_VERIFIED}"


def _not_verified() -> NotAuthorizedException:
    return _invalid(_NOT_VERIFIED)


def _invalid(reason: str) -> NotAuthorizedException:
    return NotAuthorizedException(f"{_INVALID}{reason}")
