"""The pictures of the concepts are up to date, tell their story, and can be read."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from clients.browser import driven

DOCS = Path(__file__).parents[2] / "docs"
FILES = sorted((DOCS / "images").glob("*.svg"))
SVG = "{http://www.w3.org/2000/svg}"
BOXES = """() => [...document.querySelectorAll("text")].map((text) => {
  const { x, width } = text.getBBox();
  return [text.textContent, x, x + width, text.ownerSVGElement.viewBox.baseVal.width];
})"""


def load() -> Any:
    """Load the program that draws them."""
    spec = importlib.util.spec_from_file_location("pictures", DOCS / "pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_they_are_up_to_date() -> None:
    """`make docs` would change nothing, and draws all that there are."""
    check = subprocess.run(
        [sys.executable, DOCS / "pictures.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (check.returncode, check.stderr) == (0, "")
    assert {each.stem for each in FILES} == {*load().PICTURES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.stem))
def test_who_does_not_see_it_is_told(file: Path) -> None:
    """It has a title and a description, names no other file, and a page shows it."""
    root = ElementTree.parse(file).getroot()
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert title.text
    assert description is not None
    assert len(description.text or "") > 80
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert "href" not in file.read_text("utf-8")
    shown = re.compile(rf"!\[[^\]]{{20,}}\]\([./]*images/{file.name}\)")
    assert any(shown.search(page.read_text("utf-8")) for page in DOCS.rglob("*.md"))


def test_a_text_that_is_too_long_is_refused() -> None:
    """Whoever draws it is told which text, and how much it needs."""
    picture = load().Picture("A picture", "Of a box.", 100)
    with pytest.raises(ValueError, match=r"'much too long for it' needs \d+ of 28 px"):
        picture.box(10, 10, 40, 40, ["much too long for it"])


def test_in_a_browser_every_text_stays_in_its_room() -> None:
    """By the fonts of this machine; the colours change where people want it dark."""
    pictures = load().PICTURES
    with driven() as browser:
        for scheme in ("light", "dark"):
            page = browser.new_page(color_scheme=scheme)
            grounds = set()
            for file in FILES:
                page.goto(file.as_uri())
                rooms = pictures[file.stem]().texts
                seen = page.evaluate(BOXES)
                assert [each[0] for each in seen] == [each.words for each in rooms]
                for (words, left, right, width), room in zip(seen, rooms, strict=True):
                    assert room.left <= left < right <= room.right, words
                    assert 0 <= left < right <= width, words
                grounds.add(
                    page.evaluate(
                        "() => getComputedStyle(document.querySelector('.ground')).fill"
                    )
                )
            expected = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}
            assert grounds == {expected[scheme]}
