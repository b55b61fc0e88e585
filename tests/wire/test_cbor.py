"""CBOR is read in every spelling it has, or refused; with bounded work."""

from __future__ import annotations

import math
import tracemalloc

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.errors import SerializationException
from millpond.limits import CBOR_DEPTH_MAX, CBOR_ITEMS_MAX
from millpond.wire import cbor
from millpond.wire.cbor import Reader, Time


def read(data: bytes | str):
    """Read bytes, or their hex digits."""
    return Reader(bytes.fromhex(data) if isinstance(data, str) else data).read()


# Examples of RFC 8949, appendix A, of what requests may hold.
VECTORS = [
    ("00", 0),
    ("0a", 10),
    ("17", 23),
    ("1818", 24),
    ("1903e8", 1000),
    ("1a000f4240", 1_000_000),
    ("1b000000e8d4a51000", 1_000_000_000_000),
    ("1bffffffffffffffff", 18_446_744_073_709_551_615),
    ("3bffffffffffffffff", -18_446_744_073_709_551_616),
    ("20", -1),
    ("3863", -100),
    ("3903e7", -1000),
    ("f93e00", 1.5),
    ("f97bff", 65504.0),
    ("fa47c35000", 100_000.0),
    ("fa7f7fffff", 3.4028234663852886e38),
    ("fb3ff199999999999a", 1.1),
    ("f90001", 5.960464477539063e-8),
    ("f97c00", math.inf),
    ("f4", False),
    ("f5", True),
    ("f6", None),
    ("f7", None),
    ("40", b""),
    ("4401020304", b"\1\2\3\4"),
    ("60", ""),
    ("6449455446", "IETF"),
    ("62c3bc", "\u00fc"),
    ("63e6b0b4", "\u6c34"),
    ("64f0908591", "\U00010151"),
    ("80", []),
    ("8301820203820405", [1, [2, 3], [4, 5]]),
    ("a0", {}),
    ("a26161016162820203", {"a": 1, "b": [2, 3]}),
    ("826161a161626163", ["a", {"b": "c"}]),
    ("5f42010243030405ff", b"\1\2\3\4\5"),
    ("7f657374726561646d696e67ff", "streaming"),
    ("9fff", []),
    ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
    ("83018202039f0405ff", [1, [2, 3], [4, 5]]),
    ("83019f0203ff820405", [1, [2, 3], [4, 5]]),
    ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
    ("826161bf61626163ff", ["a", {"b": "c"}]),
    ("bf6346756ef563416d7421ff", {"Fun": True, "Amt": -2}),
    # Longer than need be, which is well-formed all the same.
    ("1b0000000000000001", 1),
    ("5900024142", b"AB"),
    ("b9000178016101", {"a": 1}),
    ("5fff", b""),
    ("7f60ff", ""),
    # Times, in milliseconds.
    ("c11b0000018bcfe56801", Time(1_700_000_000_001)),
    ("c13903e7", Time(-1000)),
    ("d80100", Time(0)),
]


@pytest.mark.parametrize(
    ("data", "expected"), VECTORS, ids=[each for each, _ in VECTORS]
)
def test_vectors(data, expected):
    """What is well-formed is read, whichever spelling was chosen."""
    found = read(data)

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("data", [each for each, _ in VECTORS])
def test_cut_off(data):
    """No beginning of an item is taken for the whole of it."""
    whole = bytes.fromhex(data)
    for size in range(len(whole)):
        with pytest.raises(SerializationException, match="not valid CBOR"):
            read(whole[:size])


@pytest.mark.parametrize("data", [each for each, _ in VECTORS])
def test_trailing_bytes(data):
    """Something behind the item is refused, whatever it is."""
    for behind in ("00", "ff", "a0"):
        with pytest.raises(SerializationException, match="follows its end"):
            read(data + behind)


@pytest.mark.parametrize(
    "data",
    [
        *("1c", "1d", "1e", "3c", "5c", "7d", "9e", "bc", "dc", "fc", "fd", "fe"),
        *("1f", "3f", "df"),  # no length, where there must be one
        "ff",  # a break that ends nothing
        "81ff",
        "8200ff",
        "a1ff",
        "a16161ff",
        "bf6161ff",  # a key without a value
        "5f00ff",  # parts of the wrong kind
        "5f6161ff",
        "7f4161ff",
        "5f5f4100ffff",  # parts without a length
        "7f7f6161ffff",
        "c1ff",
    ],
)
def test_not_well_formed(data):
    """What is no CBOR is refused (RFC 8949, appendix F)."""
    with pytest.raises(SerializationException):
        read(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("a10102", "key .* not text"),
        ("a1410102", "key .* not text"),
        ("a1a001", "key .* not text"),
        ("a1f601", "key .* not text"),
        ("bf0102ff", "key .* not text"),
        ("a2616101616102", "twice"),
        ("bf616101616102ff", "twice"),
        ("c074323031332d30332d32315432303a30343a30305a", "tag"),  # a date as text
        ("c249010000000000000000", "tag"),  # a number of any size
        ("c48221196ab3", "tag"),  # a decimal fraction
        ("d81c81d81d00", "tag"),  # a list that holds itself
        ("d90100a0", "tag"),
        ("d9d9f7a0", "tag"),
        ("dbffffffffffffffff00", "tag"),
        ("c1fb41d452d9eb200000", "no integer"),
        ("c1f6", "no integer"),
        ("c16130", "no integer"),
        ("c1c100", "no integer"),
        ("e0", "not known"),
        ("f0", "not known"),
        ("f818", "not known"),
        ("f8ff", "not known"),
        ("61ff", "UTF-8"),
        ("63eda080", "UTF-8"),  # half of a surrogate pair
        ("62c080", "UTF-8"),  # a NUL, spelled too long
        ("7f61c361bcff", "UTF-8"),  # a character in two parts
    ],
)
def test_well_formed_but_refused(data, reason):
    """What is well-formed and means nothing here is refused, and the reason told."""
    with pytest.raises(SerializationException, match=reason):
        read(data)


@pytest.mark.parametrize("major", ["5", "7", "9", "b"])
@pytest.mark.parametrize("size", ["ffffffff", "ffffffffffffffff", "7fffffffffffffff"])
def test_declared_lengths(major, size):
    """Nothing is made of a length before it is known to be there."""
    head = major + ("a" if len(size) == 8 else "b") + size

    tracemalloc.start()
    try:
        with pytest.raises(SerializationException, match="cut off"):
            read(head + "00" * 100)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak_bytes < 100_000


@pytest.mark.parametrize("first", ["81", "9f", "a16161", "bf6161"])
def test_depth(first):
    """It is read to a certain depth, and no deeper, whatever there is."""
    opened = bytes.fromhex(first)
    closed = b"\xff" if first in ("9f", "bf6161") else b""

    read(opened * CBOR_DEPTH_MAX + b"\0" + closed * CBOR_DEPTH_MAX)
    for depth in (CBOR_DEPTH_MAX + 1, 200_000):
        with pytest.raises(SerializationException, match="too deeply"):
            read(opened * depth + b"\0" + closed * depth)


@pytest.mark.parametrize("item", ["00", "40", "60", "80", "a0", "f6", "9fff"])
def test_items(item):
    """A body of a great many small items is given up, and not read to its end."""
    items = bytes.fromhex(item)

    read(b"\x9f" + items * (CBOR_ITEMS_MAX - 1) + b"\xff")
    with pytest.raises(SerializationException, match="more than 65536 items"):
        read(b"\x9f" + items * CBOR_ITEMS_MAX + b"\xff")


@pytest.mark.parametrize(("string", "part"), [("5f", "40"), ("7f", "60")])
def test_parts_are_items(string, part):
    """A string of a great many empty parts is given up as well."""
    with pytest.raises(SerializationException, match="more than 65536 items"):
        read(bytes.fromhex(string) + bytes.fromhex(part) * CBOR_ITEMS_MAX + b"\xff")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("a1616100", False),
        ("a161614100", False),
        ("a161616100", True),
        ("a1610000", True),
    ],
)
def test_nul(data, expected):
    """The reader knows of NUL characters in texts; bytes may be zero."""
    reader = Reader(bytes.fromhex(data))
    reader.read()

    assert reader.has_nul is expected


@pytest.mark.parametrize(
    ("number", "spelled"),
    [
        (0, "00"),
        (23, "17"),
        (24, "1818"),
        (255, "18ff"),
        (256, "190100"),
        (65_535, "19ffff"),
        (65_536, "1a00010000"),
        (2**32 - 1, "1affffffff"),
        (2**32, "1b0000000100000000"),
        (2**64 - 1, "1bffffffffffffffff"),
        (-1, "20"),
        (-256, "38ff"),
        (-257, "390100"),
        (-(2**64), "3bffffffffffffffff"),
    ],
)
def test_integers_are_short(number, spelled):
    """A number is spelled in as few bytes as it can be."""
    assert cbor.integer(number).hex() == spelled


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(values, st.booleans())
def test_reads_what_another_writes(value, indefinite):
    """What another implementation writes is read as it was meant, in both its ways."""
    written = cbor2.dumps(value, indefinite_containers=indefinite)

    assert read(written) == value


@given(st.binary(max_size=64))
def test_any_bytes(data):
    """Any bytes are read or refused; what is read, another implementation reads too."""
    try:
        found = read(data)
    except SerializationException:
        return
    if b"\xc1" not in data and b"\xd8\x01" not in data and b"\x01" not in data:
        other = cbor2.loads(data)
        assert repr(found) == repr(other).replace("undefined", "None")
