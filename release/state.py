"""Is the commit one that may be released?"""

from __future__ import annotations

import filecmp
import shutil
import sys

import changelog as changelogs
import versions
from steps import Release, ReleaseError, make, run


def tree(release: Release) -> None:
    """All is committed: what is released is what the commit has."""
    changed = run("git", "status", "--porcelain", cwd=release.root).strip()
    if changed:
        raise ReleaseError(f"commit or stash first:\n{changed}")


def tag(release: Release) -> None:
    """The version was not released before."""
    name = f"v{release.version}"
    if run("git", "tag", "--list", name, cwd=release.root).strip():
        raise ReleaseError(f"{name} is tagged already: `make version VERSION=...`")


def agree(release: Release) -> None:
    """Packages, image, chart and pages have the version of the source."""
    if wrong := versions.differing(release.root):
        raise ReleaseError("\n".join([*wrong, "run `make version VERSION=...`"]))


def changelog(release: Release) -> None:
    """The changelog has a section of the version, with a day, and nothing waits."""
    if left := changelogs.waiting(release.root):
        some = ", ".join(left[:3])
        raise ReleaseError(f"{len(left)} fragments wait ({some}): `make changelog`")
    count = changelogs.sections(release.root, release.version)
    if count != 1:
        raise ReleaseError(
            f"CHANGELOG.md has {count} sections '## {release.version} - DATE'"
        )


def docs(release: Release) -> None:
    """The generated pages are those of this code."""
    run(sys.executable, "docs/generate.py", "--check", cwd=release.root)


def locks(release: Release) -> None:
    """`make lock` would change nothing."""
    folder = release.scratch / "locks"
    shutil.copytree(release.export, folder)
    make(release, "lock", cwd=folder)
    names = [each.name for each in (release.export / "requirements").iterdir()]
    _, stale, missing = filecmp.cmpfiles(
        release.export / "requirements", folder / "requirements", names, shallow=False
    )
    if stale or missing:
        listed = ", ".join(sorted([*stale, *missing]))
        raise ReleaseError(f"requirements/ is behind ({listed}): `make lock`")


def lint(release: Release) -> None:
    """Style."""
    make(release, "lint")


def types(release: Release) -> None:
    """Types."""
    make(release, "types")


def tests(release: Release) -> None:
    """The tests; .ci/run runs them on every store."""
    make(release, "test")
