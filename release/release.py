"""
Check and build a release. Nothing is uploaded, tagged or committed.

    python release/release.py                       everything
    python release/release.py --checks build,npm    some of it, in the order of --list
    python release/release.py --list                what there is

What is built lands in dist/. At the end it prints what a person runs to publish it.
"""

from __future__ import annotations

import argparse
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import artifacts
import state
import versions
from steps import Release, ReleaseError, run

Check = Callable[[Release], None]

# What takes seconds; all that is wrong is told at once.
STATE: Final[Mapping[str, Check]] = {
    "tree": state.tree,
    "tag": state.tag,
    "versions": state.agree,
    "changelog": state.changelog,
    "docs": state.docs,
}
# What takes minutes, and ends with the first that fails.
WORK: Final[Mapping[str, Check]] = {
    "locks": state.locks,
    "lint": state.lint,
    "types": state.types,
    "build": artifacts.build,
    "twine": artifacts.twine,
    "install": artifacts.install,
    "npm": artifacts.npm,
    "sums": artifacts.sums,
    "tests": state.tests,  # at the end: half an hour
}
CHECKS: Final[Mapping[str, Check]] = {**STATE, **WORK}

PUBLISH: Final = """\
Nothing was uploaded. Once `.ci/run`, `make test-oldest` and `make test-newest` have
passed, too, publish it like this:

    git tag -s v{version} -m 'Millpond {version}' && git push origin v{version}
    (cd dist && sha256sum --check SHA256SUMS)
    uvx {twine} upload dist/*.tar.gz dist/*.whl
{npm}
    docker build -f deploy/Dockerfile -t millpond:{version} .  # and push it
    helm package deploy/helm/millpond  # and push it
"""


def perform(names: list[str], release: Release) -> list[str]:
    """Run checks by name, saying how each went; give the names of those that failed."""
    failed: list[str] = []
    for name in names:
        if failed and name in WORK:
            break
        print(f"{name:10}", end="", flush=True)
        began = time.monotonic()
        try:
            CHECKS[name](release)
        except ReleaseError as error:
            failed.append(name)
            print("FAILED\n  " + str(error).replace("\n", "\n  "), flush=True)
        else:
            print(f"ok  {time.monotonic() - began:6.1f} s", flush=True)
    return failed


def commands(version: str) -> str:
    """Say what a person runs to publish what was built."""
    npm = "\n".join(
        f"    npm publish --access public dist/millpond-{each}-{version}.tgz"
        for each in artifacts.NPM_PACKAGES
    )
    return PUBLISH.format(version=version, twine=artifacts.TWINE, npm=npm)


def export(root: Path, folder: Path) -> Path:
    """Put the files of the commit into a folder."""
    packed = folder / "export.tar"
    run("git", "archive", "--output", packed, "HEAD", cwd=root)
    with tarfile.open(packed) as archive:
        archive.extractall(folder / "export", filter="data")
    return folder / "export"


def main() -> int:
    """Run what is asked for; all of it, if nothing is."""
    parser = argparse.ArgumentParser(description="Check and build a release.")
    parser.add_argument("--checks", default="", help="names, apart by commas")
    parser.add_argument("--list", action="store_true", help="name the checks")
    parser.add_argument("--uv", type=Path, default=Path("uv"), help="the program uv")
    given = parser.parse_args()
    if given.list:
        for name, check in CHECKS.items():
            print(f"{name:10} {(check.__doc__ or '').strip()}")
        return 0
    wanted = given.checks.replace(",", " ").split()
    if unknown := [each for each in wanted if each not in CHECKS]:
        parser.error(f"no check is called {unknown[0]!r}: {', '.join(CHECKS)}")
    names = [each for each in CHECKS if each in wanted or not wanted]
    root = versions.ROOT
    with tempfile.TemporaryDirectory(prefix="millpond-release-") as scratch:
        version = versions.version(root)
        made = export(root, Path(scratch))
        uv = given.uv.absolute() if given.uv.exists() else given.uv
        release = Release(root, version, root / "dist", made, Path(scratch), uv)
        print(f"Millpond {version}, from {root}")
        failed = perform(names, release)
    if failed:
        print(f"\nNot ready: {', '.join(failed)}.", file=sys.stderr)
        return 1
    if left := [each for each in CHECKS if each not in names]:
        print(f"\nGood as far as it went. Not looked at: {', '.join(left)}.")
        return 0
    print(f"\n{commands(version)}", end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
