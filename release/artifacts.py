"""Build what is published, and look at it as those do who install it."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from steps import Release, ReleaseError, run

# Checks the metadata, and that the readme can be shown. Run by itself, it needs no
# place in the locks.
TWINE: Final = "twine==7.0.0"
NPM_PACKAGES: Final = ("sync", "cognito-js-compat", "testing")


def build(release: Release) -> None:
    """Sdist and wheel; built again, the wheel from the sdist, they are the same."""
    shutil.rmtree(release.dist, ignore_errors=True)
    release.dist.mkdir()
    _hatch(release, release.export, release.dist)
    sdist = release.dist / f"millpond-{release.version}.tar.gz"
    with tarfile.open(sdist) as archive:
        archive.extractall(release.scratch, filter="data")
    again = release.scratch / "again"
    elsewhere = release.scratch / "elsewhere"
    shutil.copytree(release.export, elsewhere, symlinks=True)
    _hatch(release, elsewhere, again, "sdist")
    _hatch(release, release.scratch / f"millpond-{release.version}", again, "wheel")
    for each in (sdist, release.wheel()):
        if each.read_bytes() != (again / each.name).read_bytes():
            raise ReleaseError(f"{each.name} is another one when it is built again")
    _look_into(release.wheel(), release.version)


def _hatch(release: Release, source: Path, target: Path, *kinds: str) -> None:
    hatch = (sys.executable, "-m", "hatchling", "build", "-d", target)
    chosen = [word for kind in kinds for word in ("-t", kind)]
    run(*hatch, *chosen, cwd=source, SOURCE_DATE_EPOCH=release.epoch())


def _look_into(wheel: Path, version: str) -> None:
    """See that a wheel has the package, its types and licence, and nothing else."""
    names = set(zipfile.ZipFile(wheel).namelist())
    about = f"millpond-{version}.dist-info"
    foreign = {each.partition("/")[0] for each in names} - {"millpond", about}
    wanted = {"millpond/py.typed", f"{about}/licenses/LICENSE", f"{about}/METADATA"}
    if foreign or not wanted <= names:
        raise ReleaseError(
            f"{wheel.name} lacks {sorted(wanted - names)} and has {sorted(foreign)}"
        )


def twine(release: Release) -> None:
    """PyPI would take both, and show the readme."""
    for_pypi = [each for each in release.built() if each.suffix != ".tgz"]
    words = ("tool", "run", "--no-config", TWINE, "check", "--strict")
    run(release.uv, *words, *for_pypi, cwd=release.root)


def install(release: Release) -> None:
    """The wheel is installed where nothing else is, and does its main job."""
    folder = release.scratch / "installed"
    run(
        release.uv,
        "venv",
        "--no-config",
        "--python",
        sys.executable,
        folder,
        cwd=folder.parent,
    )
    words = ("pip", "install", "--no-config", "--python", folder / "bin" / "python")
    run(release.uv, *words, release.wheel(), cwd=folder)
    millpond = folder / "bin" / "millpond"
    told = run(millpond, "--version", cwd=folder)
    if not told.startswith(f"millpond/{release.version} "):
        raise ReleaseError(f"`millpond --version` says {told.strip()}")
    run(millpond, "demo", cwd=folder)


def npm(release: Release) -> None:
    """The packages for npm are packed, twice alike, and each has what it should."""
    folder = release.export / "clients" / "js"
    run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=folder)
    again = release.scratch / "npm"
    again.mkdir()
    for package in NPM_PACKAGES:
        name = f"millpond-{package}-{release.version}.tgz"
        for target in (release.dist, again):
            pack = ("npm", "pack", f"--pack-destination={target}")
            run(*pack, cwd=folder / package)
        if not (release.dist / name).is_file():
            raise ReleaseError(f"npm packed no {name}")
        if (release.dist / name).read_bytes() != (again / name).read_bytes():
            raise ReleaseError(f"{name} is another one when it is packed again")
        _look_into_package(release.dist / name, folder / package, release.version)


def _look_into_package(packed: Path, source: Path, version: str) -> None:
    """See that a package has each source with its types, and no test."""
    with tarfile.open(packed) as archive:
        names = {each.removeprefix("package/") for each in archive.getnames()}
        file = archive.extractfile("package/package.json")
        about = json.loads(file.read() if file else "{}")
    sources = {str(each.relative_to(source)) for each in source.glob("src/**/*.js")}
    declared = {f"types{each[3:-3]}.d.ts" for each in sources}
    wanted = {"package.json", "README.md", "LICENSE", *sources, *declared}
    if names != wanted:
        raise ReleaseError(
            f"{packed.name} lacks {sorted(wanted - names)} and has "
            f"{sorted(names - wanted)}"
        )
    ours = {
        name: at
        for name, at in about.get("dependencies", {}).items()
        if name.startswith("@millpond/")
    }
    if {about["version"], *ours.values()} != {version}:
        raise ReleaseError(f"{packed.name} is of {about['version']} and wants {ours}")


def sums(release: Release) -> None:
    """Write SHA256SUMS, which `sha256sum --check` reads."""
    (release.dist / "SHA256SUMS").write_text(checksums(release.built()))


def checksums(files: Iterable[Path]) -> str:
    """Give a line for each file: the hash, two spaces, the name."""
    return "".join(
        f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}\n"
        for each in files
    )
