"""The pages can be read aloud: no sentence is longer than a breath."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORDS_MAX = 50
# Lists of what differs and what was measured are no prose.
EXCEPT = {"benchmarks.md", "compared.md", "differences.md", "rulings.md"}
PAGES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("docs/howto/*.md")),
]
NO_PROSE = re.compile(r"```.*?```|<!--.*?-->|^ {4,}.*?$", re.DOTALL | re.MULTILINE)
BREAK = re.compile(r"\n\s*\n|\n(?=\s*(?:[*#-] |\d+\. |\|))")
END = re.compile(r"(?<=[.!?:])\s+(?=[A-Z`*\[(])")


def sentences(text: str) -> list[str]:
    """Part a page into sentences; each cell of a table is one, at least."""
    found = []
    for block in BREAK.split(NO_PROSE.sub("", text)):
        plain = " ".join(re.sub(r"\]\([^)]*\)", "]", block).split())
        for piece in plain.split("|") if plain.startswith("|") else [plain]:
            found += END.split(piece)
    return found


@pytest.mark.parametrize(
    "page",
    [each for each in PAGES if each.name not in EXCEPT],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_sentences_are_short(page: Path) -> None:
    """A reader who has lost the beginning of a sentence begins it again."""
    read = sentences(page.read_text("utf-8"))

    assert read
    assert [each for each in read if len(each.split()) > WORDS_MAX] == []
