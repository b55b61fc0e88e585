"""The packages: their own tests, their types, their size, and what is published."""

from __future__ import annotations

import fcntl
import gzip
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any, Final

import pytest

import millpond
from clients_js.runtimes import CLIENTS, InNode, new_tab
from millpond.testing.deadlines import seconds

PACKAGES: Final = ("sync", "cognito-js-compat", "testing")
# Minified and gzipped. 12,000 is wanted: see docs/benchmarks.md.
SYNC_BYTES_MAX: Final = 17_500
TIMEOUT_S: Final = 90.0


def run(*words: str | Path, cwd: Path = CLIENTS) -> str:
    """Run a program to its good end, and give what it printed."""
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        timeout=seconds(TIMEOUT_S),
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def described(package: str) -> dict[str, Any]:
    """Read the package.json of a package."""
    found: dict[str, Any] = json.loads((CLIENTS / package / "package.json").read_text())
    return found


@pytest.mark.parametrize(
    "package",
    [each for each in PACKAGES if list(CLIENTS.glob(f"{each}/test/*.test.js"))],
)
def test_the_tests_of_a_package(package: str, packages: None) -> None:
    """What a package can show without a server, it shows."""
    files = sorted((CLIENTS / package).glob("test/*.test.js"))
    printed = run("node", "--test", "--test-reporter=tap", *files)
    assert "\n# fail 0\n" in printed


def test_the_types(packages: None) -> None:
    """The compiler has nothing to say about the types that the comments give."""
    run("npm", "run", "types")


def test_the_size(packages: None, tmp_path: Path) -> None:
    """All of the client stays small, and needs nothing that a browser does not have."""
    bundle = tmp_path / "sync.js"
    run(
        "node_modules/.bin/esbuild",
        *("sync/src/index.js", "--bundle", "--minify", "--format=esm"),
        *("--platform=browser", "--target=es2022", f"--outfile={bundle}"),
    )
    size = len(gzip.compress(bundle.read_bytes(), 9))
    assert size < SYNC_BYTES_MAX


@pytest.fixture(scope="module")
def packed(packages: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The packages as they are published, by name of their folder."""
    target = tmp_path_factory.mktemp("packed")
    # Packing writes the declarations beside the sources: one at a time.
    with (CLIENTS / "package.json").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for package in PACKAGES:
            run("npm", "pack", f"--pack-destination={target}", cwd=CLIENTS / package)
    version = described("sync")["version"]
    return {each: target / f"millpond-{each}-{version}.tgz" for each in PACKAGES}


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_published(package: str, packed: dict[str, Path]) -> None:
    """A package has each source with its declarations, a readme, and nothing else."""
    with tarfile.open(packed[package]) as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}
    folder = CLIENTS / package
    sources = {str(each.relative_to(folder)) for each in folder.glob("src/**/*.js")}
    declared = {
        f"types{each.removeprefix('src').removesuffix('.js')}.d.ts" for each in sources
    }
    assert names == {"package.json", "README.md", "LICENSE", *sources, *declared}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_version_is_that_of_the_server(package: str) -> None:
    """A client is released with the server that it was tested with."""
    assert described(package)["version"] == millpond.__version__
    assert described(package).get("dependencies", {}) == (
        {"@millpond/sync": millpond.__version__}
        if package == "cognito-js-compat"
        else {}
    )


def test_an_app_installs_them(packed: dict[str, Path], tmp_path: Path) -> None:
    """From the archives alone: they are imported by name, and their types are found."""
    (tmp_path / "package.json").write_text('{"private": true, "type": "module"}')
    options = ["--strict", "--noEmit", "--module", "nodenext", "--target", "es2022"]
    (tmp_path / "app.mts").write_text(
        'import * as sync from "@millpond/sync";\n'
        'import * as compat from "@millpond/cognito-js-compat";\n'
        'import * as testing from "@millpond/testing";\n'
        "export const names: object[] = [sync, compat, testing];\n"
    )
    words = ("npm", "install", "--offline", "--no-audit", "--no-fund")
    run(*words, *packed.values(), cwd=tmp_path)
    run(CLIENTS / "node_modules/.bin/tsc", *options, "app.mts", cwd=tmp_path)
    (tmp_path / "app.mjs").write_text(
        'await import("@millpond/sync"); await import("@millpond/cognito-js-compat");'
    )
    run("node", "app.mjs", cwd=tmp_path)


def test_the_lock_names_no_host() -> None:
    """What is locked comes from whatever registry npm is set up for."""
    lock = json.loads((CLIENTS / "package-lock.json").read_text())
    elsewhere = [
        each["resolved"]
        for each in lock["packages"].values()
        if not each.get("link") and "resolved" in each
    ]
    assert elsewhere == []


def test_node_and_a_page_load_the_same(node: InNode, device: Any, files: Any) -> None:
    """The sources run as they are, in Node.js and in a browser."""
    names = "() => Object.keys(millpond).sort()"
    assert node.evaluate(names) == new_tab(device, files.blank).evaluate(names)
