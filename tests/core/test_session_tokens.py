"""The credentials of identities: bound to their key id, sealed, all different."""

from __future__ import annotations

import base64
import re
import secrets
from typing import cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond import limits
from millpond.core.session_tokens import SessionTokens, UserCredentials, UserSession
from millpond.errors import UnrecognizedClientException

STEADY = settings(derandomize=True, database=None, deadline=None)
KEY = b"k" * 32
SESSION = UserSession(
    identity_pool_id="us-east-1:00000000-0000-4000-8000-000000000001",
    identity_id="us-east-1:a0000000-0000-4000-8000-000000000000",
    expires_ms=1_750_003_600_000,
    role_arn="arn:aws:iam::000000000000:role/Cognito_PlayersAuth_Role",
    role_session_name="CognitoIdentityCredentials",
)
# AWS: the variant for session tokens has no full stop at the end.
NOT_VALID = "The security token included in the request is invalid"


def tokens(key: bytes = KEY) -> SessionTokens:
    return SessionTokens(key, random_bytes=secrets.token_bytes)


def issued() -> UserCredentials:
    return tokens().issue(SESSION)


def refused(access_key_id: str, token: str, *, key: bytes = KEY) -> str:
    """Be refused with the one error that may come, and give its message."""
    with pytest.raises(UnrecognizedClientException) as caught:
        tokens(key).open(access_key_id, token)
    return caught.value.message


# --- What is issued -------------------------------------------------------------------


def test_a_session_is_read_back() -> None:
    """Another server with the same key finds the session and the secret."""
    credentials = issued()

    for _ in range(2):
        opened = tokens().open(credentials.access_key_id, credentials.session_token)
        assert opened == (credentials.secret_access_key, SESSION)


@STEADY
@given(
    st.builds(
        UserSession,
        st.text(max_size=55),
        st.text(max_size=55),
        st.integers(0, 2**62),
        st.text(max_size=64),
        st.text(max_size=64),
    )
)
def test_any_session_is_read_back(session: UserSession) -> None:
    """Whatever its texts are, it comes back as it was."""
    credentials = tokens().issue(session)
    _, opened = tokens().open(credentials.access_key_id, credentials.session_token)

    assert opened == session


def test_an_expired_session_is_read_back() -> None:
    """Whether it has expired is for the caller to see, who has the clock."""
    expired = msgspec.structs.replace(SESSION, expires_ms=0)
    credentials = tokens().issue(expired)
    _, opened = tokens().open(credentials.access_key_id, credentials.session_token)

    assert opened.expires_ms == 0


def test_an_access_key_id_is_that_of_temporary_credentials() -> None:
    """SDKs and people know temporary ones by their beginning: ASIA, then 16 more."""
    assert re.fullmatch(r"ASIA[A-Z2-7]{16}", issued().access_key_id)


def test_a_secret_has_forty_characters() -> None:
    """As AWS's have, of the base64 alphabet."""
    assert re.fullmatch(r"[A-Za-z0-9+/]{40}", issued().secret_access_key)


def test_a_session_token_fits_a_header_and_a_query_string() -> None:
    """It is URL-safe and has less than 600 characters."""
    token = issued().session_token

    assert re.fullmatch(r"[A-Za-z0-9_-]+", token)
    assert len(token) < 600


def test_credentials_of_one_session_differ() -> None:
    """Each time, key id, secret and token are new, and none tells another."""
    many = [issued() for _ in range(50)]

    for column in zip(*many, strict=True):
        assert len(set(column)) == 50


def test_a_token_does_not_show_what_is_in_it() -> None:
    """Who carries it learns neither the identity nor the secret from it."""
    credentials = issued()
    token = credentials.session_token
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))

    assert SESSION.identity_id.encode() not in raw
    assert credentials.secret_access_key not in token
    assert base64.b64decode(credentials.secret_access_key) not in raw


def test_another_key_makes_other_secrets() -> None:
    """Who does not have the key cannot work out the secret of a key id."""

    def secret(key: bytes) -> str:
        fixed = SessionTokens(key, random_bytes=lambda size: b"r" * size)
        return fixed.issue(SESSION).secret_access_key

    assert secret(KEY) == secret(KEY)
    assert secret(KEY) != secret(b"x" * 32)


# --- What is refused ------------------------------------------------------------------


def test_a_token_of_another_key_id_is_refused() -> None:
    """Nobody signs with one's own key and another's token, or the other way round."""
    one, two = issued(), issued()

    assert refused(one.access_key_id, two.session_token) == NOT_VALID
    for key_id in ("", "ASIA", one.access_key_id[:-1], one.access_key_id.lower()):
        assert refused(key_id, one.session_token) == NOT_VALID


def test_a_token_of_another_server_is_refused() -> None:
    """A token opens with the key that it was sealed with."""
    credentials = issued()

    text = refused(credentials.access_key_id, credentials.session_token, key=b"x" * 32)
    assert text == NOT_VALID


def test_every_changed_byte_is_noticed() -> None:
    """No bit of what is sealed can be flipped: not of the session, not of the rest."""
    key_id, _, token = issued()
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for at in range(len(raw)):
        for bit in (1, 128):
            changed = raw[:at] + bytes([raw[at] ^ bit]) + raw[at + 1 :]
            spelled = base64.urlsafe_b64encode(changed).rstrip(b"=").decode()
            assert refused(key_id, spelled) == NOT_VALID


def test_every_changed_character_is_noticed() -> None:
    """A token has one spelling: nothing changed, left out, added or padded."""
    key_id, _, token = issued()
    for at, old in enumerate(token):
        for new in {"A", "B", "-", "_", "w", "+", "/"} - {old}:
            assert refused(key_id, token[:at] + new + token[at + 1 :]) == NOT_VALID
        assert refused(key_id, token[:at] + token[at + 1 :]) == NOT_VALID
        assert refused(key_id, token[:at]) == NOT_VALID
    for added in ("=", "==", "A", "AAAA", " ", "\n", "%3D"):
        assert refused(key_id, token + added) == NOT_VALID
        assert refused(key_id, added + token) == NOT_VALID


def test_the_other_alphabet_is_refused() -> None:
    """Standard base64 is not how we spell a token, though the bytes are the same."""
    key_id, _, token = next(
        each for each in iter(issued, None) if set(each.session_token) & set("-_")
    )

    assert refused(key_id, token.replace("-", "+").replace("_", "/")) == NOT_VALID


@STEADY
@given(st.text(), st.text(), st.binary(max_size=200))
def test_nonsense_is_refused(key_id: str, token: str, raw: bytes) -> None:
    """Whatever is sent as a token or as a key id gets the API's refusal."""
    spelled = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    for each in (token, spelled):
        assert refused(key_id, each) == NOT_VALID
        assert refused("ASIAAAAAAAAAAAAAAAAA", each) == NOT_VALID


@pytest.mark.parametrize(
    "text", ["", "=", "A", "A" * 16, "A" * 38, "\ud800", "\u00e9", "\0", "a\n"]
)
def test_strange_texts_are_refused(text: str) -> None:
    """Empty, short and undecodable ones are refused like any other, on either side."""
    key_id, _, token = issued()

    assert refused(key_id, text) == NOT_VALID
    assert refused(text, token) == NOT_VALID


def test_a_token_that_is_too_long_is_refused() -> None:
    """Up to a bound it is looked at; beyond it, not even a good one is."""
    long = msgspec.structs.replace(
        SESSION, role_arn="r" * limits.SESSION_TOKEN_CHARS_MAX
    )
    credentials = tokens().issue(long)

    refusal = refused(credentials.access_key_id, credentials.session_token)
    assert refusal == NOT_VALID
    assert refused(credentials.access_key_id, "A" * 10**6) == NOT_VALID


def test_a_token_of_another_version_is_refused() -> None:
    """What another program has sealed with our key is no session, and no crash."""

    class Older(msgspec.Struct, array_like=True):
        identity_pool_id: str

    credentials = tokens().issue(cast(UserSession, Older("us-east-1:a")))

    refusal = refused(credentials.access_key_id, credentials.session_token)
    assert refusal == NOT_VALID
