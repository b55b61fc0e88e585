"""
A line of bash as far as the cursor, taken apart.

bash cuts words at the characters of COMP_WORDBREAKS, ':' and '=' among them, and wants
what replaces the last piece. We cut at blanks alone, remember where its last piece
begins, and give back from there on.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_BLANKS: Final = " \t\n"
_QUOTES: Final = "'\""
_SPECIAL: Final = frozenset(" \t\n\\'\"`$&|;<>()*?[]#!{}")


class Line:
    """
    The words of a line, without their quotes.

    Args:
        before: the words before the cursor, without the name of the program.
        current: the word at whose end the cursor stands.
        known: how many characters of it bash has in earlier pieces.
        quoted: whether a quotation mark is still open.
    """

    def __init__(
        self, before: list[str], current: str, *, known: int, quoted: bool
    ) -> None:
        self.before = before
        self.current = current
        self._known = known
        self._quoted = quoted

    def spell(self, word: str) -> str:
        """Write a word that begins with the current one as bash wants it back."""
        piece = word[self._known :]
        if self._quoted:
            return piece
        return "".join(f"\\{each}" if each in _SPECIAL else each for each in piece)


def split(line: str, *, breaks: str) -> Line:
    """
    Take a line apart; a quotation mark that is still open does no harm.

    Args:
        breaks: COMP_WORDBREAKS.
    """
    words: list[str] = []
    word, quote, known, begun = "", "", 0, False
    letters = iter(line)
    for letter in letters:
        if letter == quote:
            quote = ""
        elif quote:
            word += letter
        elif letter in _BLANKS:
            if begun:
                words.append(word)
            word, known, begun = "", 0, False
            continue
        elif letter in _QUOTES:
            quote = letter
            known = len(word)
        else:
            word += next(letters, "") if letter == "\\" else letter
            if letter in breaks:
                known = len(word)
        begun = True
    return Line(words[1:], word, known=known, quoted=bool(quote))
