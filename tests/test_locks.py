"""What `make` installs is locked, wherever and whenever it is run."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import published

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PROJECT["dependency-groups"]
RUNTIME = [*PROJECT["project"]["dependencies"], *GROUPS["build"]]
EXTRAS = PROJECT["project"]["optional-dependencies"]
WANTED = {
    "pip": ["pip"],  # it installs the others
    "runtime": RUNTIME,
    "site": GROUPS["site"],
    "dev": [
        *RUNTIME,
        *GROUPS["dev"],
        *(each for name, extra in EXTRAS.items() if name != "all" for each in extra),
    ],
}
PYTHONS = [
    found[1]
    for each in PROJECT["project"]["classifiers"]
    if (found := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", each))
]
SYSTEMS = {
    "linux": {"sys_platform": "linux", "platform_system": "Linux"},
    "macos": {"sys_platform": "darwin", "platform_system": "Darwin"},
}


def text_of(lock: str) -> str:
    return (ROOT / "requirements" / f"{lock}.txt").read_text()


def pins(lock: str, python: str, system: str) -> dict[str, str]:
    """Read what a lock installs there: one release for each package."""
    environment = {
        **{name: str(value) for name, value in default_environment().items()},
        **SYSTEMS[system],
        "python_version": python,
        "python_full_version": f"{python}.0",
    }
    found: dict[str, str] = {}
    for entry in re.sub(r"\\\n *", "", text_of(lock)).splitlines():
        if entry.startswith("#"):
            continue
        written, *hashes = entry.split("--hash=")
        requirement = Requirement(written)
        assert hashes, f"{requirement.name} has no hash"
        if requirement.marker and not requirement.marker.evaluate(environment):
            continue
        (pin,) = requirement.specifier
        name = canonicalize_name(requirement.name)
        assert pin.operator == "==", requirement
        assert name not in found, f"{name} is there twice"
        found[name] = pin.version
    return found


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", WANTED)
def test_all_that_is_asked_for_is_locked(lock, python, system):
    """Each requirement has a release within its range; `make lock` writes it."""
    found = pins(lock, python, system)
    for each in map(Requirement, WANTED[lock]):
        pin = found.get(canonicalize_name(each.name))

        assert pin is not None, f"{each.name} is not locked: run `make lock`"
        assert each.specifier.contains(pin), f"{each} is locked at {pin}"


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_development_only_adds(python, system):
    """What a demonstration installed stays as it is when development comes to it."""
    runtime, dev = (pins(lock, python, system) for lock in ("runtime", "dev"))

    assert runtime.items() <= dev.items()


@pytest.mark.parametrize("lock", WANTED)
def test_a_lock_names_no_host_and_no_folder(lock):
    """It comes from no machine's configuration, and ties nobody to a registry."""
    assert not re.findall(r"(?m)^-.*|\w+://\S*|@ .*", text_of(lock))


def test_the_published_models_are_those_of_the_locked_release():
    """Whoever locks a newer botocore looks at what its models say (`published`)."""
    assert pins("dev", PYTHONS[0], "linux")["botocore"] == published.MADE_FROM
