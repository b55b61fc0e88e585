"""A small copy of the project, to release."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
COPIED: Final = (
    *("pyproject.toml", "LICENSE", "README.md", "release", "deploy/Dockerfile"),
    *("src/millpond/__init__.py", "src/millpond/py.typed", "changelog.d/README.md"),
    *("clients/js/package-lock.json", "clients/js/sync/package.json"),
    *("clients/js/cognito-js-compat/package.json", "examples/testing-js/package.json"),
)


class Checkout:
    """A git repository with some of the project's files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in COPIED:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, target)
        shutil.rmtree(folder / "release/__pycache__", ignore_errors=True)
        (folder / ".gitignore").write_text("__pycache__\ndist\n")
        self.git("init", "-q")
        self.commit()

    def git(self, *words: str) -> None:
        """Call git, as nobody in particular."""
        who = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
        # Whoever runs the tests may sign what they commit, or run hooks.
        nobody = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(
            ["git", *who, *words],
            cwd=self.folder,
            env={**os.environ, **nobody},
            check=True,
        )

    def commit(self) -> None:
        """Commit all that there is."""
        self.git("add", "--all")
        self.git("commit", "-q", "-m", "All", "--allow-empty")

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text, "utf-8")

    def read(self, name: str) -> str:
        """Read a file."""
        return (self.folder / name).read_text("utf-8")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run Python there."""
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )

    def changelog(self, version: str, day: str) -> subprocess.CompletedProcess[str]:
        """Gather the fragments, as the section of a version."""
        self.run("release/versions.py", "--set", version)
        return self.run("release/changelog.py", "--date", day)

    def release(
        self, *checks: str, uv: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run some checks; all of them, if none is named."""
        words = ["release/release.py", "--checks", ",".join(checks)]
        return self.run(*words, *([] if uv is None else ["--uv", str(uv)]))

    def fragments(self, **texts: str) -> None:
        """Write fragments, by topic and kind: `cli_x__added`."""
        for name, text in texts.items():
            topic, kind = name.replace("_", "-").split("--")
            self.write(f"changelog.d/{topic}.{kind}.md", text)
