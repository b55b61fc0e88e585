"""A hash under a key is HMAC-SHA-256, whatever the key and the message."""

from __future__ import annotations

import hmac

from hypothesis import example, given
from hypothesis import strategies as st

from millpond.keyed_hash import KeyedHash, keyed_hash


@given(st.binary(max_size=200), st.lists(st.binary(max_size=300), min_size=2))
@example(b"k" * 64, [b"", b"m"])
@example(b"k" * 65, [b"", b"m"])
def test_it_is_hmac(key: bytes, messages: list[bytes]) -> None:
    """One key serves many messages, and none of them leaves anything behind."""
    keyed = KeyedHash(key)

    for message in messages:
        expected = hmac.digest(key, message, "sha256")
        assert keyed.digest(message) == expected
        assert keyed_hash(key, message) == expected
    assert repr(keyed) == "<KeyedHash>"  # the key is in no log
