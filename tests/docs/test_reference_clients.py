"""The reference of the clients has all that apps can import, and says what it is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from millpond import client
from millpond.cli.commands import COMMANDS
from millpond.testing import pytest_plugin

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = ROOT / "docs" / "reference"
MADE: Final = ("cli", "python-client", "python-testing", "javascript")


def headings(page: str) -> set[str]:
    text = (PAGES / f"{page}.md").read_text("utf-8")
    return set(re.findall(r"(?m)^### `(.+)`$", text))


def test_every_command_of_ours_is_there() -> None:
    """And those below it: `key create` as well as `key`."""
    found = headings("cli")

    assert {f"millpond {name}" for name in COMMANDS} <= found
    assert {"millpond key create", "millpond import copy", "millpond serve"} <= found


def test_every_public_name_of_the_python_client_is_there() -> None:
    """What `millpond.client` gives has a heading."""
    assert set(client.__all__) <= headings("python-client")


def test_every_fixture_is_there() -> None:
    """What pytest has where Millpond is installed has a row."""
    text = (PAGES / "python-testing.md").read_text("utf-8")
    fixtures = {name for name in vars(pytest_plugin) if name.startswith("millpond")}

    assert fixtures
    assert all(f"| `{name}` | `" in text for name in fixtures)


def test_every_export_of_the_javascript_packages_is_there() -> None:
    """What Node.js finds in a package has a heading."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not on the path")
    modules = ("sync/src/index.js", "sync/src/encryption.js", "testing/src/index.js")
    script = (
        "import(process.argv[1]).then(m => console.log(JSON.stringify(Object.keys(m))))"
    )
    exported: set[str] = set()
    for module in modules:
        path = ROOT / "clients" / "js" / module
        done = subprocess.run(
            [node, "-e", script, path.as_uri()],
            capture_output=True,
            text=True,
            check=True,
        )
        exported |= {*json.loads(done.stdout)}

    assert len(exported) > 20
    assert exported <= headings("javascript")


@pytest.mark.parametrize("page", MADE)
def test_everything_there_says_what_it_is(page: str) -> None:
    """No name without words, no argument without them, and nothing of one machine."""
    text = (PAGES / f"{page}.md").read_text("utf-8")

    assert not re.findall(r"(?m)^###? `.*\n+(?: {4}.*\n+)*(?=#|\Z)", text)
    assert not re.findall(r"(?m)^ *\* .*: *$", text)
    assert not re.search(r"0x[0-9a-f]{6}|/home/|/tmp/|/work/", text)
