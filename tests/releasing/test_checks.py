"""
The checks of `make release` that ask other programs.

What they ask is played by a Makefile and by scripts: how they go about it is known, and
the real ones take minutes and a network.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

import millpond
from releasing.checkout import Checkout

VERSION = millpond.__version__
SDIST = f"millpond-{VERSION}.tar.gz"
WHEEL = f"millpond-{VERSION}-py3-none-any.whl"
LOCKED = "requirements/runtime.txt"
MAKE = """\
lock:
\t{lock}
lint types test:
\t@echo $@ >> made.txt
"""


@pytest.fixture
def made(checkout: Checkout) -> Callable[[], list[str]]:
    """Give the checkout targets that write down their names; list these."""
    checkout.write(LOCKED, "a==1\n")
    checkout.write("Makefile", MAKE.format(lock="true"))
    checkout.write(".gitignore", "__pycache__\ndist\nmade.txt\n")
    checkout.commit()

    def names() -> list[str]:
        file = checkout.folder / "made.txt"
        return file.read_text().split() if file.exists() else []

    return names


class TestTargets:
    """The checks that are targets of the Makefile."""

    def test_all_are_made(self, checkout: Checkout, made: Callable[[], list[str]]):
        """Style, types and tests, in this order; and the locks stay as they are."""
        done = checkout.release("tests", "types", "lint", "locks")

        assert done.returncode == 0, done.stdout
        assert made() == ["lint", "types", "test"]
        assert checkout.read(LOCKED) == "a==1\n"

    def test_what_fails_is_the_last(
        self, checkout: Checkout, made: Callable[[], list[str]]
    ):
        """With the end of what it printed; half an hour of tests is not begun."""
        makefile = MAKE.format(lock="true").replace("lint types", "types")
        wrong = "lint:\n\t@seq 40; echo 'a.py:3 is too long'; exit 3\n"
        checkout.write("Makefile", makefile + wrong)
        checkout.commit()

        done = checkout.release("lint", "types", "tests")

        assert done.returncode == 1
        assert "a.py:3 is too long" in done.stdout
        assert "\n  1\n" not in done.stdout  # the beginning is left out
        assert done.stderr.endswith("Not ready: lint.\n")
        assert made() == []

    @pytest.mark.parametrize(
        ("lock", "named"),
        [
            (f"echo b==2 >> {LOCKED}", "runtime.txt"),
            (f"rm {LOCKED}", "runtime.txt"),
        ],
    )
    def test_locks_that_are_behind(
        self,
        checkout: Checkout,
        made: Callable[[], list[str]],
        lock: str,
        named: str,
    ):
        """They are named; those of the checkout stay as they are."""
        checkout.write("Makefile", MAKE.format(lock=lock))
        checkout.commit()

        done = checkout.release("locks")

        assert done.returncode == 1
        assert f"requirements/ is behind ({named}): `make lock`" in done.stdout
        assert checkout.read(LOCKED) == "a==1\n"

    def test_pages_that_are_behind(self, checkout: Checkout):
        """What the generator says of them is told, before anything is built."""
        program = "import sys\nsys.exit(f'cli.md is behind: {sys.argv[1:]}')\n"
        checkout.write("docs/generate.py", program)
        checkout.commit()

        done = checkout.release("docs", "build")

        assert done.returncode == 1
        assert "cli.md is behind: ['--check']" in done.stdout
        assert not (checkout.folder / "dist").exists()


class TestUv:
    """The checks that ask `uv`."""

    @pytest.fixture
    def built(self, checkout: Checkout) -> Checkout:
        """A checkout with what is published."""
        for name in (SDIST, WHEEL, f"millpond-sync-{VERSION}.tgz"):
            checkout.write(f"dist/{name}", name)
        return checkout

    def uv(self, checkout: Checkout, script: str) -> Path:
        """Write a program that stands for it; it has its words in `words.txt`."""
        program = checkout.folder.parent / "uv"
        note = f'echo "$@" >> {checkout.folder.parent}/words.txt'
        program.write_text(f"#!/bin/sh\n{note}\n{script}\n")
        program.chmod(0o755)
        return program

    def test_pypi_is_shown_what_it_gets(self, built: Checkout):
        """Sdist and wheel, not what goes to npm; a warning would count."""
        assert built.release("twine", uv=self.uv(built, "true")).returncode == 0

        words = (built.folder.parent / "words.txt").read_text().split()
        files = {Path(each).name for each in words if "dist/" in each}
        assert files == {SDIST, WHEEL}
        assert "--strict" in words
        assert any(each.startswith("twine==") for each in words)

    def test_what_pypi_would_refuse(self, built: Checkout):
        """The reason is told."""
        script = "echo 'long_description has syntax errors'; exit 1"

        done = built.release("twine", "install", uv=self.uv(built, script))

        assert done.returncode == 1
        assert "long_description has syntax errors" in done.stdout
        assert "Not ready: twine." in done.stderr

    def test_without_uv(self, built: Checkout):
        """That it is not installed is told."""
        done = built.release("twine", uv=Path("/no/such/uv"))

        assert done.returncode == 1
        assert "/no/such/uv is not installed" in done.stdout

    @pytest.mark.parametrize(
        ("says", "demo", "told"),
        [
            (f"millpond/{VERSION} Python/3", "exit 0", ""),
            ("millpond/0.0.1 Python/3", "exit 0", "says millpond/0.0.1"),
            (f"millpond/{VERSION}.1 Python/3", "exit 0", f"says millpond/{VERSION}.1"),
            (f"millpond/{VERSION} Python/3", "echo no disk; exit 1", "no disk"),
        ],
    )
    def test_the_wheel_is_tried(self, built: Checkout, says: str, demo: str, told: str):
        """By its version, and by a demo, in an environment of its own."""
        script = f"""
        [ "$1" = venv ] || exit 0
        for folder; do :; done
        mkdir -p "$folder/bin"
        printf '#!/bin/sh\\n[ "$1" = demo ] && {{ {demo}; }}\\necho {says}\\n' \\
            > "$folder/bin/millpond"
        chmod +x "$folder/bin/millpond"
        """

        done = built.release("install", uv=self.uv(built, script))

        assert (done.returncode == 0) is (told == ""), done.stdout
        assert told in done.stdout
        words = (built.folder.parent / "words.txt").read_text().splitlines()
        assert words[1].endswith(f"dist/{WHEEL}")
        assert all("--no-config" in each for each in words)


class TestPackagesForNpm:
    """What is looked for in a package that was packed."""

    FILES = ("README.md", "LICENSE", "src/index.js", "types/index.d.ts")

    def look(self, checkout: Checkout, files: tuple[str, ...], **about: object) -> str:
        """Look into a package of these files; give the complaint, empty if none."""
        checkout.write("package/src/index.js", "")
        given = {"version": "1.0.0", **about}
        packed = checkout.folder / "packed.tgz"
        with tarfile.open(packed, "w:gz") as archive:
            for name in ("package.json", *files):
                data = json.dumps(given).encode()
                entry = tarfile.TarInfo(f"package/{name}")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        done = checkout.run(
            "-c",
            "import sys; from pathlib import Path; sys.path.insert(0, 'release')\n"
            "import artifacts, steps\n"
            "try: artifacts._look_into_package("
            "Path('packed.tgz'), Path('package'), '1.0.0')\n"
            "except steps.ReleaseError as error: print(error)",
        )
        assert done.stderr == ""
        return done.stdout

    def test_one_that_is_whole(self, checkout: Checkout):
        """Sources with their types, and ours that it needs, of one version."""
        needs = {"@millpond/sync": "1.0.0", "other": "^2.0.0"}
        assert self.look(checkout, self.FILES, dependencies=needs) == ""

    def test_one_that_is_not(self, checkout: Checkout):
        """A source without types, a test that came along, another version."""
        assert "lacks ['types/index.d.ts']" in self.look(checkout, self.FILES[:-1])
        more = (*self.FILES, "test/index.test.js")
        assert "has ['test/index.test.js']" in self.look(checkout, more)
        assert "is of 1.0.1" in self.look(checkout, self.FILES, version="1.0.1")
        needs = {"@millpond/sync": "0.9.0"}
        assert "0.9.0" in self.look(checkout, self.FILES, dependencies=needs)
