"""The pages under docs/ keep up with the code."""

import re
import subprocess
import sys
from pathlib import Path

from docs.site import links_of
from millpond import settings
from millpond.cli.commands import COMMANDS

ROOT = Path(__file__).parents[2]
CONTENTS = ("reference/README.md", "decisions/README.md")
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")]
)


def test_the_generated_pages_are_up_to_date() -> None:
    """`make docs` would change nothing."""
    check = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (check.returncode, check.stderr) == (0, "")


def test_pages_that_the_code_names_exist() -> None:
    """Whoever follows a message or a comment finds the page."""
    named = {
        (page, str(file.relative_to(ROOT)))
        for folder in ("src", "deploy", "examples")
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and file.suffix not in (".pyc", ".png")
        if "node_modules" not in file.parts
        for page in re.findall(r"\bdocs/[\w/-]+\.md\b", file.read_text("utf-8"))
    }

    assert named
    assert [each for each in named if not (ROOT / each[0]).exists()] == []


def test_settings_named_in_the_pages_exist() -> None:
    """What a page calls a setting is one."""
    known = {row.name for row in settings.table()}
    named = {
        name
        for page in PAGES
        for name in re.findall(r"settings? `(\w+)`", page.read_text("utf-8"))
    }

    assert named
    assert named <= known


def test_every_command_is_in_the_reference() -> None:
    """A command that nobody can read of is not found by anybody."""
    page = (ROOT / "docs" / "reference" / "cli.md").read_text("utf-8")

    told = re.findall(r"^### `millpond ([a-z-]+)`$", page, re.MULTILINE)

    assert sorted(told) == sorted(COMMANDS)


def test_every_page_is_in_a_list_of_contents() -> None:
    """The navigation of the site is made of these lists, one line for each page."""
    lists = [ROOT / "docs" / each for each in ("index.md", *CONTENTS)]
    listed = {
        (each.parent / link.partition("#")[0]).resolve()
        for each in lists
        for link in links_of(each.read_text("utf-8"))
    }

    missing = set(PAGES) - listed - {lists[0]}

    assert {str(each.relative_to(ROOT)) for each in missing} == set()


def test_decisions_are_numbered_without_gaps() -> None:
    """Decision records are numbered from 1 on and have the parts that one expects."""
    files = sorted((ROOT / "docs" / "decisions").glob("0*.md"))

    assert [int(each.name[:4]) for each in files] == list(range(1, len(files) + 1))
    for each in files:
        text = each.read_text("utf-8")
        assert "**Context.**" in text, each.name
        assert "**Decision.**" in text, each.name
        assert "**Consequences.**" in text, each.name
