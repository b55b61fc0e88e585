"""Tokens that clients carry for us: bound, authenticated, URL-safe, short."""

from __future__ import annotations

import base64
import re
import secrets

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond import limits
from millpond.core.sync import DatasetId
from millpond.core.tokens import PageTokens, SyncSessions, sessions_expired_by
from millpond.errors import InvalidParameterException

KEY = b"k" * 32
STEADY = settings(derandomize=True, database=None, deadline=None)
NOW_MS = 1_750_000_000_000
HOUR_MS = 3_600_000
PREFS = DatasetId("us-east-1:aa", "us-east-1:bb", "prefs")
NOT_VALID = "SyncSessionToken not valid for these inputs"


def sessions(key: bytes = KEY, *, lifetime_ms: int = HOUR_MS) -> SyncSessions:
    return SyncSessions(key, lifetime_ms=lifetime_ms, random_bytes=secrets.token_bytes)


def refused(token: str, dataset_id: DatasetId = PREFS, *, now_ms: int = NOW_MS) -> str:
    with pytest.raises(InvalidParameterException) as caught:
        sessions().read(token, dataset_id, now_ms=now_ms)
    return caught.value.message


# --- Sync sessions --------------------------------------------------------------------


def test_a_session_is_read_back() -> None:
    """What was issued for a dataset is read back for it, as often as asked."""
    issued = sessions().issue(PREFS, now_ms=NOW_MS)

    for _ in range(2):
        assert sessions().read(issued.token, PREFS, now_ms=NOW_MS) == issued
    assert issued.expires_ms == NOW_MS + HOUR_MS


@pytest.mark.parametrize(
    "other",
    [
        DatasetId("us-east-1:ab", "us-east-1:bb", "prefs"),
        DatasetId("us-east-1:aa", "us-east-1:ba", "prefs"),
        DatasetId("us-east-1:aa", "us-east-1:bb", "prefs2"),
        DatasetId("us-east-1:a", "aus-east-1:bb", "prefs"),
        DatasetId("us-east-1:aa", "us-east-1:b", "bprefs"),
    ],
)
def test_a_session_of_other_inputs_is_refused(other: DatasetId) -> None:
    """A token is good for its own pool, identity and dataset."""
    token = sessions().issue(PREFS, now_ms=NOW_MS).token

    assert refused(token, other) == NOT_VALID


def test_a_session_of_another_key_is_refused() -> None:
    """A token that another server made does not verify."""
    token = sessions(b"x" * 32).issue(PREFS, now_ms=NOW_MS).token

    assert refused(token) == NOT_VALID


def test_an_expired_session_says_so() -> None:
    """It is good until its time and expired at it."""
    token = sessions().issue(PREFS, now_ms=NOW_MS).token
    sessions().read(token, PREFS, now_ms=NOW_MS + HOUR_MS - 1)

    expired = refused(token, now_ms=NOW_MS + HOUR_MS)
    assert expired == "SyncSessionToken has expired"
    # Of other inputs, nothing is told about its age.
    other = DatasetId("us-east-1:aa", "us-east-1:bb", "other")
    assert refused(token, other, now_ms=NOW_MS + HOUR_MS) == NOT_VALID


def test_every_changed_character_is_noticed() -> None:
    """No character of a token can be changed, left out or added."""
    token = sessions().issue(PREFS, now_ms=NOW_MS).token
    for at, old in enumerate(token):
        for new in {"A", "B", "-", "_", "w", "4"} - {old}:
            assert refused(token[:at] + new + token[at + 1 :]) == NOT_VALID
        assert refused(token[:at] + token[at + 1 :]) == NOT_VALID
    for added in ("=", "A", "AAAA", " ", "\n", "%3D"):
        assert refused(token + added) == NOT_VALID


@STEADY
@given(st.text())
def test_nonsense_is_refused(token: str) -> None:
    """Whatever is sent as a token gets the API's refusal."""
    assert refused(token) == NOT_VALID


@pytest.mark.parametrize("token", ["", "=", "A" * 600, "A" * 10**6, "\ud800", "\u00e9"])
def test_strange_tokens_are_refused(token: str) -> None:
    """Empty, endless and undecodable tokens are refused like any other."""
    assert refused(token) == NOT_VALID


def test_a_session_token_fits_a_query_string() -> None:
    """It is URL-safe, well under 512 characters, and differs each time."""
    tokens = {sessions().issue(PREFS, now_ms=NOW_MS).token for _ in range(50)}

    assert len(tokens) == 50
    for each in tokens:
        assert re.fullmatch(r"[A-Za-z0-9_-]+", each)
        assert len(each) < limits.SYNC_SESSION_TOKEN_CHARS_MAX


@STEADY
@given(st.integers(0, 2**42), st.integers(0, 2**42))
def test_sessions_sort_by_their_expiry(one: int, two: int) -> None:
    """Ids stand in the order of expiry, and the expired ones are a range."""
    issue = sessions(lifetime_ms=0).issue
    first = issue(PREFS, now_ms=one).session_id
    second = issue(PREFS, now_ms=two).session_id

    assert len(first) == 16
    if one != two:
        assert (first < second) == (one < two)
    assert (first < sessions_expired_by(two)) == (one < two)


# --- Page tokens ----------------------------------------------------------------------


class Place(msgspec.Struct, frozen=True, array_like=True):
    """A position like those of the service."""

    count: int
    key: str


@STEADY
@given(st.integers(0, 2**62), st.text(max_size=1024))
def test_a_position_is_read_back(count: int, key: str) -> None:
    """Any position comes back with the context it was sealed in."""
    pages = PageTokens(KEY)
    token = pages.seal(Place(count, key), "pool", "ListRecords")

    assert pages.read(token, Place, "pool", "ListRecords") == Place(count, key)
    assert re.fullmatch(r"[A-Za-z0-9_.][A-Za-z0-9_-]+", token)
    assert len(token) <= limits.NEXT_TOKEN_CHARS_MAX


def test_a_position_is_no_option_of_a_command_line() -> None:
    """None begins with a hyphen; those that older servers began so are good still."""
    pages = PageTokens(KEY)
    tokens = [pages.seal(Place(count, "k"), "pool") for count in range(1024)]
    dotted = [each for each in tokens if each.startswith(".")]

    assert not any(each.startswith("-") for each in tokens)
    assert dotted
    for each in (*dotted, *(f"-{each[1:]}" for each in dotted)):
        assert pages.read(each, Place, "pool").key == "k"


@pytest.mark.parametrize(
    "context",
    [(), ("pool",), ("pool", "ListDatasets"), ("poolL", "istRecords"), ("x", "y", "z")],
)
def test_a_position_of_another_list_is_refused(context: tuple[str, ...]) -> None:
    """A next token is good for the list that it came from."""
    pages = PageTokens(KEY)
    token = pages.seal(Place(1, "k"), "pool", "ListRecords")
    with pytest.raises(InvalidParameterException, match="NextToken"):
        pages.read(token, Place, *context)


def test_a_name_does_not_pass_for_a_part_of_the_body() -> None:
    """What is sealed for a dataset of some name is no position in another listing."""
    pages = PageTokens(KEY)
    token = pages.seal(Place(1, "k"), "pool", "ListDatasets", "ListRecords")
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    moved = raw[:16] + b"ListRecords\0" + raw[16:]
    with pytest.raises(InvalidParameterException, match="NextToken"):
        pages.read(
            base64.urlsafe_b64encode(moved).rstrip(b"=").decode(),
            Place,
            *("pool", "ListDatasets"),
        )


def test_a_position_of_another_version_is_refused() -> None:
    """A token that is good and holds something else is no fault of the server's."""
    pages = PageTokens(KEY)
    with pytest.raises(InvalidParameterException, match="NextToken"):
        pages.read(pages.seal(["more", 1, 2], "pool"), Place, "pool")


@STEADY
@given(st.text())
def test_a_next_token_that_is_none_is_refused(token: str) -> None:
    """Whatever is sent as a next token gets a clean refusal."""
    with pytest.raises(InvalidParameterException):
        PageTokens(KEY).read(token, Place, "pool")


def test_a_changed_next_token_is_refused() -> None:
    """No character of it can be changed, and no other key makes one."""
    pages = PageTokens(KEY)
    token = pages.seal(Place(1, "k"), "pool")
    changed = [
        token[:at] + ("A" if old != "A" else "B") + token[at + 1 :]
        for at, old in enumerate(token)
    ]
    for each in [*changed, token + "=", PageTokens(b"x" * 32).seal(Place(1, "k"))]:
        with pytest.raises(InvalidParameterException):
            pages.read(each, Place, "pool")


def test_the_two_kinds_of_token_are_not_mixed_up() -> None:
    """A session token is no next token and a next token no session token."""
    pages = PageTokens(KEY)
    session = sessions().issue(PREFS, now_ms=NOW_MS)
    with pytest.raises(InvalidParameterException):
        pages.read(session.token, Place)

    assert refused(pages.seal(Place(1, "k"))) == NOT_VALID
