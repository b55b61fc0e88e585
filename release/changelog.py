"""
Gather changelog.d into CHANGELOG.md, as the section of the version, and remove it.

    python release/changelog.py           do it; git has both changes staged
    python release/changelog.py --draft   show the section
"""

from __future__ import annotations

import argparse
import datetime
import re
import subprocess
import sys
from pathlib import Path

import versions
from steps import ReleaseError


def waiting(root: Path) -> list[str]:
    """Name the fragments that wait."""
    folder = root / "changelog.d"
    names = [each.name for each in folder.iterdir()] if folder.is_dir() else []
    return sorted(name for name in names if name != "README.md")


def sections(root: Path, version: str) -> int:
    """Count the sections of a version that have their day."""
    path = root / "CHANGELOG.md"
    text = path.read_text("utf-8") if path.is_file() else ""
    heading = rf"(?m)^## {re.escape(version)} - \d{{4}}-\d\d-\d\d$"
    return len(re.findall(heading, text))


def gather(root: Path, version: str, day: str, *, draft: bool) -> None:
    """
    Make the section.

    Raises:
        ReleaseError: it is there already, or would say nothing; nothing was changed.
    """
    if not waiting(root):
        raise ReleaseError("no fragment waits in changelog.d")
    if sections(root, version) and not draft:
        raise ReleaseError(
            f"CHANGELOG.md has a section of {version}: `make version VERSION=...`, or "
            "take back the commit that made it, and make it anew"
        )
    words = ["build", "--yes", "--version", version, "--date", day]
    if draft:
        words.append("--draft")
    made = subprocess.run(
        [sys.executable, "-m", "towncrier", *words], cwd=root, check=False
    )
    if made.returncode:
        raise ReleaseError(f"towncrier ended with {made.returncode}")


def main() -> int:
    """Gather, or show."""
    parser = argparse.ArgumentParser(description="Gather changelog.d.")
    parser.add_argument("--draft", action="store_true", help="show the section only")
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    parser.add_argument("--date", default=today, help="of the release [today, UTC]")
    given = parser.parse_args()
    root = versions.ROOT
    try:
        gather(root, versions.version(root), given.date, draft=given.draft)
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
