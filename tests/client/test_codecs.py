"""What codecs make of values and read of texts, as clients of all languages do."""

from __future__ import annotations

import json as standard_json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.client.codecs import (
    CodecError,
    DecryptionError,
    Place,
    json,
    text,
)
from millpond.client.encryption import encrypted

CASES = Path(__file__).parents[1] / "client_cases"
PLACE = Place("eu-west-1:00000000-0000-4000-8000-000000000001", "prefs", "colour")
KEYS = {
    "1": bytes(range(32)),
    "2026": bytes(range(100, 132)),
}


def cases(name: str) -> list[Any]:
    """Read the cases of a file."""
    found = standard_json.loads((CASES / f"{name}.json").read_text("utf-8"))
    return [pytest.param(each, id=each["case"]) for each in found]


def codec_of(told: dict[str, Any]) -> Any:
    """Make the codec of a case; its migration tells what it was given."""
    if told["name"] == "text":
        return text
    migrate = (
        (lambda was, version: {"from": version, "was": was})
        if (told.get("migrate"))
        else None
    )
    return json(told.get("version", 0), migrate)


def error_of(error: CodecError) -> dict[str, Any]:
    """Write an error as the cases have it."""
    names = ("reason", "version", "known", "key_id")
    return {name: getattr(error, name) for name in names if hasattr(error, name)}


@pytest.mark.parametrize("case", cases("codec"))
def test_case(case):
    """A value and its text are the case's, and so is what cannot be."""
    codec = codec_of(case["codec"])
    if "error" in case:
        turn = codec.encode if "write" in case else codec.decode
        with pytest.raises(CodecError) as caught:
            turn(case["write"] if "write" in case else case["read"], PLACE)
        assert error_of(caught.value) == case["error"]
        assert (caught.value.dataset_name, caught.value.key) == ("prefs", "colour")
    elif "read" in case:
        assert codec.decode(case["read"], PLACE) == case["value"]
    else:
        assert codec.encode(case["value"], PLACE) == case["text"]
        assert codec.decode(case["text"], PLACE) == case["value"]


@pytest.mark.parametrize("case", cases("codec_encrypted"))
def test_encrypted(case):
    """The bytes are the case's, and what does not belong there is not decrypted."""
    place = Place(**case["place"])
    codec = encrypted(
        text,
        KEYS,
        current=case.get("current", "1"),
        read_plain=case.get("read_plain", False),
        make_nonce=lambda: bytes.fromhex(case["nonce"]),
    )
    if "error" in case:
        with pytest.raises(CodecError) as caught:
            codec.decode(case["read"], place)
        assert error_of(caught.value) == case["error"]
        assert caught.value.key == place.key
        assert caught.value.__cause__ is None
    elif "read" in case:
        assert codec.decode(case["read"], place) == case["plain"]
    else:
        assert codec.encode(case["plain"], place) == case["text"]
        assert codec.decode(case["text"], place) == case["plain"]


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(value=VALUES, version=st.sampled_from([0, 1, 7]), key=st.text(min_size=1))
def test_back_and_forth(value, version, key):
    """What was written is read as it was, in the clear and encrypted."""
    place = Place(PLACE.pool, "prefs", key)
    codec = encrypted(json(version), KEYS, current="2026")

    written = codec.encode(value, place)

    assert codec.decode(written, place) == value
    plain = json(version).encode(value, place)
    # What the size of a ciphertext is told to be.
    octets = 28 + len(plain.encode())
    assert len(written) == 6 + len("2026") + -(-octets * 4 // 3)
    # The same again is another text.
    assert codec.encode(value, place) != written


@pytest.mark.parametrize(
    "value",
    [
        2**53,
        [-(2**53)],
        float("nan"),
        {"a": [float("inf")]},
        {1: "number"},
        {"set"},
        b"bytes",
        object(),
    ],
)
def test_no_json(value):
    """What JavaScript would read as something else is refused when it is written."""
    with pytest.raises(CodecError) as caught:
        json().encode(value, PLACE)

    assert caught.value.reason == "unencodable"


def test_deep_json():
    """What is nested without an end is refused, both ways."""
    deep: list[Any] = []
    deep.append(deep)
    with pytest.raises(CodecError, match="no JSON"):
        json().encode(deep, PLACE)
    with pytest.raises(CodecError, match="no JSON"):
        json().decode("[" * 200_000, PLACE)


def test_a_migration_fails_as_itself():
    """An error of the app's own migration is the app's."""

    def migrate(value: Any, version: int) -> Any:
        raise KeyError("size")

    with pytest.raises(KeyError):
        json(2, migrate).decode("#v1:{}", PLACE)


def test_keys_change():
    """A new key encrypts, the old one still decrypts; alone, the new one does not."""
    old, new = KEYS["1"], KEYS["2026"]
    first = encrypted(text, old)
    both = encrypted(text, {"1": old, "2026": new}, current="2026")

    written = first.encode("teal", PLACE)

    assert both.decode(written, PLACE) == "teal"
    again = both.encode("teal", PLACE)
    assert again.startswith("mpe1.2026.")
    with pytest.raises(DecryptionError) as caught:
        first.decode(again, PLACE)
    assert (caught.value.reason, caught.value.key_id) == ("unknown_key", "2026")


def test_the_same_again():
    """A text that says the same already stays, unless its key is an old one."""
    old = encrypted(json(), KEYS, current="1")
    new = encrypted(json(), KEYS, current="2026")
    theirs, mine = old.encode([1], PLACE), old.encode([2], PLACE)
    elsewhere = old.encode([1], Place(PLACE.pool, "prefs", "size"))

    assert old.encode_like([1], PLACE, [mine, elsewhere, "", theirs]) == theirs
    assert old.encode_like([3], PLACE, [mine, theirs]) not in (mine, theirs)
    assert new.encode_like([1], PLACE, [theirs]).startswith("mpe1.2026.")


@pytest.mark.parametrize(
    ("key", "current"),
    [
        (b"short", None),
        ({}, None),
        (KEYS, None),
        (KEYS, "2027"),
        ({"a.b": KEYS["1"]}, None),
        ({"": KEYS["1"]}, None),
        ({"k" * 33: KEYS["1"]}, None),
    ],
)
def test_wrong_keys(key, current):
    """Keys of another size, ids of other letters, and a choice that is none."""
    with pytest.raises(ValueError, match=r"key|current"):
        encrypted(text, key, current=current)


def test_nothing_tells_a_value():
    """Neither errors nor what is printed of a codec has a value or a key in it."""
    codec = encrypted(json(), KEYS, current="1")
    with pytest.raises(CodecError) as caught:
        codec.decode("a secret", PLACE)

    assert "secret" not in str(caught.value)
    assert repr(codec) == "encrypted(json(version=0), keys 1, 2026)"


@pytest.mark.parametrize("version", [-1, 10**9])
def test_wrong_version(version):
    """A version that no text could be marked with."""
    with pytest.raises(ValueError, match="version"):
        json(version)
