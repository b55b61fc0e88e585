"""
The shorthand syntax: `Op=replace,Key=a,Value=b,SyncCount=0`.

Theory of operation: a recursive descent parser that looks one character ahead and
knows nothing of the model; `fit` then bends what it found towards the model, which
turns words into numbers and single values into lists. The grammar:

    pairs     = pair *("," pair)
    pair      = key ["@"] "=" [value]            "@": the value names a file
    value     = list / map / words
    words     = word *("," word)                 two or more make a list
    list      = "[" [item *("," item)] "]"
    map       = "{" [key ["@"] "=" item *("," ...)] "}"
    item      = list / map / word
    word      = 'quoted' / "quoted" / bare       a bare word may contain \\,

`a=b,c=d` has two pairs and `a=b,c` one, so a word that turns out to be a key is given
back, together with the comma in front of it.

AWS: awscli/shorthand.py; the texts of the errors are its texts.
"""

from __future__ import annotations

import re
import string

from millpond.cli.api import paramfile
from millpond.client.api.faults import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from millpond.client.api.model import Shape

_BLANKS: Final = string.whitespace
_KEY_CHARACTERS: Final = frozenset(string.ascii_letters + string.digits + "-_.#/:")

# AWS: characters beyond the Basic Multilingual Plane are in none of these sets.
_START: Final = r"!#-&(-+\--<>-Z\\-z|-\uffff"
_FIRST_REST: Final = r"\s!#-&(-+\--\\^-|~-\uffff"
_LATER_REST: Final = r"\s!#-&(-+\--<>-\uffff"
_FIRST: Final = re.compile(rf"(?:\\,|[{_START}])(?:\\,|[{_FIRST_REST}])*")
_LATER: Final = re.compile(rf"(?:\\,|[{_START}])(?:\\,|[{_LATER_REST}])*")
_SINGLE: Final = re.compile(r"'(?:\\'|[^'])*'")
_DOUBLE: Final = re.compile(r'"(?:\\"|[^"])*"')


class ShorthandFault(Fault):
    """The text is not shorthand."""


def parse(text: str) -> dict[str, Any]:
    """
    Read one shorthand expression.

    Raises:
        ShorthandFault: where and why it cannot be read.
    """
    return _Reader(text).pairs()


def fit(value: Any, shape: Shape) -> Any:
    """Bend what was parsed towards a shape, without checking it."""
    if shape.type == "structure" and isinstance(value, dict):
        return {
            name: fit(each, shape.members[name]) if name in shape.members else each
            for name, each in value.items()
        }
    if shape.type == "map" and isinstance(value, dict):
        return {name: fit(each, shape.value) for name, each in value.items()}
    if shape.type == "list":
        # AWS: a single value in the place of a list is wrapped as it is.
        if not isinstance(value, list):
            return [value]
        return [fit(each, shape.member) for each in value]
    return _fit_scalar(value, shape)


def _fit_scalar(value: Any, shape: Shape) -> Any:
    try:
        if shape.is_integer:
            return int(value)
        if shape.type in ("float", "double"):
            return float(value)
    except (TypeError, ValueError) as error:
        raise Fault(str(error)) from None
    if shape.type == "boolean" and isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower(), value)
    return value


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._from_file = False

    def pairs(self) -> dict[str, Any]:
        pairs: dict[str, Any] = {}
        start = 0
        while True:
            key = self._key()
            value = self._value()
            if key in pairs:
                raise self._duplicate(key, start)
            pairs[key] = value
            start = self._at + 1
            if self._ended:
                return pairs
            self._expect(",")

    @property
    def _ended(self) -> bool:
        return self._at >= len(self._text)

    @property
    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _key(self) -> str:
        """Read a key up to and with its '='."""
        start = self._at
        while self._next and self._next in _KEY_CHARACTERS:
            self._at += 1
        key = self._text[start : self._at]
        self._skip_blanks()
        self._from_file = self._next == "@"
        if self._from_file:
            self._expect("@")
        self._expect("=")
        return key

    def _value(self) -> Any:
        if self._ended:
            return ""
        if self._next in "[{":
            return self._item()
        return self._words()

    def _words(self) -> str | list[str]:
        words = [self._word(_FIRST, required=False)]
        self._skip_blanks()
        if self._ended or self._next != ",":
            return words[0]
        self._expect(",")
        while True:
            try:
                word = self._word(_LATER, required=True)
                self._skip_blanks()
                if self._ended:
                    words.append(word)
                    break
                self._expect(",")
                words.append(word)
            except ShorthandFault:
                if self._ended:
                    raise
                self._at = self._text.rindex(",", 0, self._at + 1)
                break
        return words if len(words) > 1 else words[0]

    def _item(self) -> Any:
        if self._next == "[":
            return self._list()
        if self._next == "{":
            return self._map()
        return self._word(_FIRST, required=False)

    def _list(self) -> list[Any]:
        self._expect("[")
        items: list[Any] = []
        while self._next != "]":
            items.append(self._item())
            self._separate("]")
        self._at += 1
        return items

    def _map(self) -> dict[str, Any]:
        self._expect("{")
        pairs: dict[str, Any] = {}
        while self._next != "}":
            key = self._key()
            pairs[key] = self._item()
            self._separate("}")
        self._at += 1
        return pairs

    def _separate(self, end: str) -> None:
        self._skip_blanks()
        if self._next != end:
            self._expect(",")

    def _word(self, bare: re.Pattern[str], *, required: bool) -> str | Any:
        if self._next == "'":
            word = self._quoted(_SINGLE, "singled quoted")
        elif self._next == '"':
            word = self._quoted(_DOUBLE, "double quoted")
        else:
            found = bare.match(self._text, self._at)
            if found is None:
                if required:
                    raise self._unexpected("<second>", "<none>")
                return ""
            self._at = found.end()
            word = found.group().replace("\\,", ",").rstrip()
        if self._from_file and (content := paramfile.load(word)) is not None:
            return content
        return word

    def _quoted(self, pattern: re.Pattern[str], name: str) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise self._unexpected(f"<{name}>", "<none>")
        self._at = found.end()
        quote = found.group()[0]
        return found.group()[1:-1].replace(f"\\{quote}", quote).replace("\\\\", "\\")

    def _expect(self, character: str) -> None:
        self._skip_blanks()
        if self._next != character:
            raise self._unexpected(character, self._next or "EOF")
        self._at += 1
        self._skip_blanks()

    def _skip_blanks(self) -> None:
        while self._next and self._next in _BLANKS:
            self._at += 1

    def _unexpected(self, expected: str, actual: str) -> ShorthandFault:
        return ShorthandFault(
            f"Expected: '{expected}', received: '{actual}' for input:\n"
            f"{self._pointing_at(self._at)}"
        )

    def _duplicate(self, key: str, start: int) -> ShorthandFault:
        return ShorthandFault(
            f'Second instance of key "{key}" encountered for input:\n'
            f"{self._pointing_at(start)}\n"
            'This is often because there is a preceding "," instead of a space.'
        )

    def _pointing_at(self, position: int) -> str:
        """Repeat the text with a caret under one character, in whichever line."""
        line_start = self._text.rfind("\n", 0, position) + 1
        line_end = self._text.find("\n", position)
        if line_end < 0:
            line_end = len(self._text)
        caret = " " * (position - line_start) + "^"
        return f"{self._text[:line_end]}\n{caret}{self._text[line_end:]}"
