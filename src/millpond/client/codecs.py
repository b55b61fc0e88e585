"""
How the values of an app become the texts that travel, and back.

A record's value is a text. A codec turns what the app has into one and back, knowing
where it belongs (`Place`). `text` leaves texts as they are; `json()` is for numbers,
lists and objects; `encryption.encrypted()` hides either from the server.

    prefs = sync.dataset("prefs", codec=json(version=2, migrate=migrate))

JSON of a version is marked, `#v2:{"size":7}`. No JSON text begins like that, so what
has no mark was written without a codec, by an old app as a rule, and is of version 0:
JSON where it is, else the text itself. `migrate(value, version)` makes the current form
of whatever is older. What is newer than the app knows cannot be read by it: that is a
`NewerVersionError`, and the value stays as it is (`dataset` refuses to write over it).
Without a version there is no mark, and any client reads the JSON.

Both languages read the same texts, so what one of them would change unnoticed is
refused when it is written: numbers that are not finite, integers beyond 2**53, keys
that are not texts. `tests/client_cases/codec.json` holds both to it.
"""

from __future__ import annotations

import json as standard_json
import re
from collections.abc import Callable
from typing import Any, Final, Literal, Protocol, TypeVar

import msgspec

from millpond.client.errors import SyncError

T = TypeVar("T")
Migrate = Callable[[Any, int], Any]
"""Of a value and the version it was written in: the value as it is now. Pure."""

INTEGER_MAX: Final = 2**53 - 1  # what a number of JavaScript holds exactly
_MARK: Final = re.compile(r"#v([1-9][0-9]{0,8}):")
VERSION_MAX: Final = 999_999_999

Reason = Literal[
    "unencodable",  # the codec has no text for what the app wrote
    "malformed",  # the text is not one of this codec's
    "newer_version",
    "no_migration",  # it is older, and the codec was not told what to do with that
    "not_encrypted",
    "unknown_key",  # it was encrypted with a key that the app has not
    "undecipherable",  # the wrong key, a damaged text, or one from another place
]


class Place(msgspec.Struct, frozen=True):
    """
    Where a value belongs.

    Args:
        pool: the id of the identity pool.
        dataset: its name.
        key: of the record.
    """

    pool: str
    dataset: str
    key: str


class CodecError(SyncError):
    """
    A value cannot be written as a text, or a text not be read.

    The value itself is never in it.

    Attributes:
        reason: "unencodable" (there is no text for it), "malformed" (it is no text of
            this codec), "newer_version", "no_migration" (it is older, and the codec
            was not told what to do with that), "not_encrypted", "unknown_key" or
            "undecipherable".
        key: of the record.
    """

    def __init__(self, reason: Reason, place: Place, why: str) -> None:
        super().__init__(f"Dataset '{place.dataset}', key '{place.key}': {why}")
        self.reason = reason
        self.dataset_name = place.dataset
        self.key = place.key


class VersionError(CodecError):
    """
    A value is of a version that the codec cannot read.

    Attributes:
        version: of the value; 0: it has none.
        known: the one that the codec has.
    """

    def __init__(
        self, reason: Reason, place: Place, version: int, known: int, why: str
    ) -> None:
        super().__init__(
            reason, place, f"the value has version {version}; this app {why}."
        )
        self.version = version
        self.known = known


class NewerVersionError(VersionError):
    """
    A value was written by a newer app.

    Attributes:
        version: of the value.
        known: the highest that the codec reads.
    """

    def __init__(self, place: Place, version: int, known: int) -> None:
        super().__init__("newer_version", place, version, known, f"reads up to {known}")


class DecryptionError(CodecError):
    """
    A value cannot be decrypted: no key for it, the wrong one, or a damaged value.

    Attributes:
        key_id: of the key that it names.
    """

    def __init__(self, reason: Reason, place: Place, key_id: str, why: str) -> None:
        super().__init__(reason, place, why)
        self.key_id = key_id


class Codec(Protocol[T]):
    """Makes texts of values, and values of texts. One's own may have any values."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def version(self) -> int:
        """What is written; 0: no version is."""

    def encode(self, value: T, place: Place) -> str:
        """Make a text, which is what travels (CodecError)."""

    def decode(self, text: str, place: Place) -> T:
        """Make the value of a text, whoever wrote it (CodecError)."""


class Text:
    """Texts as they are."""

    name = "text"
    version = 0

    def encode(self, value: str, place: Place) -> str:
        if not isinstance(value, str):
            raise CodecError(
                "unencodable",
                place,
                f"a {type(value).__name__} is no text; a dataset of other values "
                "takes a codec, such as json().",
            )
        return value

    def decode(self, text: str, place: Place) -> str:
        return text


text: Final = Text()


class json:  # noqa: N801 -- it reads as a function: codec=json(version=2)
    """
    JSON, with a version or without.

    Args:
        version: of the form that values have now, from 1; 0: texts have no mark, as
            clients without a codec write and read them.
        migrate: makes the current form of older values, which it is given with their
            version. Those without a mark are of version 0: JSON where it is, else the
            text.
    Raises:
        ValueError: there can be no such version.
    """

    name = "json"

    def __init__(self, version: int = 0, migrate: Migrate | None = None) -> None:
        if not 0 <= version <= VERSION_MAX:
            raise ValueError(f"version: 0 to {VERSION_MAX}, not {version}")
        self.version = version
        self._migrate = migrate

    def __repr__(self) -> str:
        return f"json(version={self.version})"

    def encode(self, value: Any, place: Place) -> str:
        """Make a text, as `Codec.encode` (CodecError)."""
        try:
            _check(value)
            # Half of a surrogate pair is JSON only in its escaped form.
            written = standard_json.dumps(
                value, ensure_ascii=False, allow_nan=False, separators=(",", ":")
            )
        except (TypeError, ValueError, RecursionError) as exc:
            raise CodecError("unencodable", place, f"no JSON: {exc}") from None
        written = _HALVES.sub(lambda half: f"\\u{ord(half[0]):04x}", written)
        return f"#v{self.version}:{written}" if self.version else written

    def decode(self, text: str, place: Place) -> Any:
        """Make the value of a text, as `Codec.decode` (CodecError)."""
        mark = _MARK.match(text)
        version = int(mark[1]) if mark else 0
        if version > self.version:
            raise NewerVersionError(place, version, self.version)
        try:
            value = _parse(text[mark.end() :] if mark else text)
        except (ValueError, RecursionError):
            if version or not self._migrate:
                raise CodecError("malformed", place, "the value is no JSON.") from None
            value = text
        if version == self.version:
            return value
        if self._migrate is None:
            raise VersionError(
                "no_migration",
                place,
                version,
                self.version,
                f"has {self.version} and no migrate",
            )
        return self._migrate(value, version)


_HALVES: Final = re.compile("[\ud800-\udfff]")


def _check(value: object) -> None:
    """Refuse what another language would read as something else."""
    if isinstance(value, bool | str | float) or value is None:
        return  # floats that are not finite are refused as they are written
    if isinstance(value, int):
        if abs(value) > INTEGER_MAX:
            raise ValueError("an integer beyond 2**53 - 1")
    elif isinstance(value, list | tuple):
        for each in value:
            _check(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if not isinstance(key, str):
                raise TypeError(f"a member named by a {type(key).__name__}")
            _check(each)
    else:
        raise TypeError(f"a {type(value).__name__}")


def _parse(written: str) -> Any:
    def refuse(name: str) -> None:
        raise ValueError(name)

    return standard_json.loads(written, parse_constant=refuse)
