"""
An index of wheels on this machine: ours, and what it runs on as it is installed here.

What is installed for development is packed into wheels again, so that the locked
releases are there without a network.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from surroundings import with_packages

ROOT: Final = Path(__file__).parents[2]
EXTRAS: Final = ("postgres", "nats", "kafka", "otel")


def build(folder: Path) -> Path:
    """Build our wheel, as a release is built."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("millpond-*.whl")
    return wheel


def requirements(wheel: Path) -> list[Requirement]:
    """Read what our wheel says that it needs."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (e for e in archive.namelist() if e.endswith(".dist-info/METADATA"))
        text = archive.read(name).decode()
    head = text.partition("\n\n")[0].splitlines()
    return [
        Requirement(line.removeprefix("Requires-Dist: "))
        for line in head
        if line.startswith("Requires-Dist: ")
    ]


def fill_index(folder: Path, wanted: list[Requirement]) -> None:
    """Pack what a wheel needs, with its extras, and what that needs in its turn."""
    done: set[str] = set()
    for extra in ("", *EXTRAS, "testing"):
        _pack_all(folder, wanted, extra, done)


def download(folder: Path, wheel: Path, python: str) -> str:
    """Get what a wheel needs under another Python; say why it cannot be had."""
    words = ["--only-binary", ":all:", "-d", str(folder), f"{wheel}[all]"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "download", "-q", *words],
        env=with_packages(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr.strip().rpartition("\n")[2] if done.returncode else ""


def _pack_all(
    folder: Path, wanted: list[Requirement], extra: str, done: set[str]
) -> None:
    for each in wanted:
        if each.marker is not None and not each.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(each.name)
        if name in done or name == "millpond":
            continue
        done.add(name)
        found = metadata.distribution(name)
        _pack(folder, found)
        further = [Requirement(line) for line in found.requires or ()]
        for one in ("", *each.extras):
            _pack_all(folder, further, one, done)


def _pack(folder: Path, found: metadata.Distribution) -> None:
    name = found.metadata["Name"].replace("-", "_").replace(".", "_")
    tags = [
        line.partition(": ")[2].split("-")
        for line in (found.read_text("WHEEL") or "").splitlines()
        if line.startswith("Tag: ")
    ]
    tag = "-".join(".".join(dict.fromkeys(part)) for part in zip(*tags, strict=True))
    target = folder / f"{name}-{found.version}-{tag}.whl"
    with zipfile.ZipFile(target, "w") as archive:
        for path, inside in _files(found):
            archive.write(path, inside)


def _files(found: metadata.Distribution) -> Iterator[tuple[Path, str]]:
    for each in found.files or ():
        path, inside = Path(str(each.locate())), each.as_posix()
        compiled_here = inside.endswith(".pyc") or inside.startswith("..")
        written_here = path.name in ("INSTALLER", "REQUESTED", "direct_url.json")
        if not compiled_here and not written_here and path.exists():
            yield path, inside
