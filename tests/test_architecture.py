"""
The packages know each other in one direction.

    errors, limits, metrics  <-  settings, aws
    errors, limits           <-  core, contract  <-  wire  <-  client  <-  cli
                                 core            <-  stores, sinks, hooks, push,
                                                     login_providers, sources
                                 core + ports    <-  service  <-  workers, console
                                 core + ports    <-  tracing
    everything               <-  server, testing, and the administration commands

The table below is that picture. When it must change, so does the design, with a
decision record.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pytest

import millpond

SOURCE = Path(millpond.__file__).parent
GROUND = {"millpond", "errors", "limits"}
PORTS = {
    "stores.base",
    "sinks.base",
    "hooks.base",
    "push.base",
    "login_providers.base",
    "sources.base",
    "stores.importing",
}
MAY_KNOW: dict[str, set[str]] = {
    "millpond": set(),
    "errors": set(),
    "limits": set(),
    "metrics": set(),
    "nearness": set(),
    "settings": GROUND | {"nearness"},
    "aws": GROUND,
    "keyed_hash": set(),
    "core": GROUND | {"keyed_hash"},
    "contract": GROUND,
    "wire": GROUND | {"contract", "keyed_hash"},
    # It wraps the ports, and does not know who is behind them.
    "tracing": GROUND | {"core"} | PORTS,
    "stores.base": GROUND | {"core"},
    "stores.copying": GROUND | {"core", "stores.base"},
    # What comes in from elsewhere, in the rows of a copy.
    "stores.importing": GROUND | {"core", "stores.copying"},
    "stores.verification": GROUND | {"stores.base", "stores.copying"},
    "stores": GROUND
    | {"core", "stores.base", "stores.copying", "stores.importing"}
    | {"stores.verification"},
    "sources.base": GROUND | {"core", "stores.importing"},
    "sources": GROUND
    | {"aws", "client", "contract", "core", "settings", "wire"}
    | {"sources.base", "stores.copying", "stores.importing"},
    "sinks.base": GROUND | {"core"},
    # The embedded sink puts into the store, whichever that is.
    "sinks": GROUND | {"aws", "core", "sinks.base", "stores.base"},
    "hooks.base": GROUND | {"core"},
    "hooks": GROUND | {"core", "hooks.base", "settings"},
    "push.base": GROUND | {"core"},
    "push": GROUND | {"aws", "core", "push.base", "settings"},
    "login_providers.base": GROUND | {"core"},
    "login_providers": GROUND | {"core", "login_providers.base", "settings"},
    # Pages read and change through the service; what they know of the server is a port.
    "console": GROUND | {"core", "contract", "service", "settings"} | PORTS,
    "service": GROUND | {"core", "contract", "settings", "metrics"} | PORTS,
    # Workers open sinks, by the registry.
    "workers": GROUND | {"core", "service", "settings", "metrics", "sinks"} | PORTS,
    # It calls servers, and knows nothing of ours.
    "client": GROUND | {"contract", "core", "wire"},
    # The commands of the API know what is published and nothing of the server.
    "cli": GROUND | {"client", "contract", "nearness", "wire"},
    "__main__": {"cli"},
}
"""What each part of the package may import, besides itself."""
MAY_KNOW_EVERYTHING = {
    *("server", "testing"),
    *("cli.administration", "cli.dataset", "cli.dataset_history"),
    "cli.dataset_tables",
    *("cli.console", "cli.demo", "cli.hook_secret", "cli.identity"),
    *("cli.audit", "cli.identity_choice", "cli.identity_erasure", "cli.key"),
    *("cli.import_follow", "cli.import_progress", "cli.importing"),
    *("cli.migrate", "cli.outbox", "cli.pool", "cli.serve", "cli.store"),
    "cli.settings",
    *("cli.store_progress", "cli.store_verify", "cli.stream", "cli.stream_reader"),
    *("cli.stream_verify", "cli.token_key"),
}
# Modules that the commands of the API load only with an administration command.
ADMINISTRATION = {each for each in MAY_KNOW_EVERYTHING if each.startswith("cli.")} - {
    "cli.administration"
}
PURE = {"core", "contract", "wire", "errors", "keyed_hash", "limits", "nearness"}
"""Parts without I/O, threads or a clock."""
IMPURE = {
    "asyncio",
    "http",
    "io",
    "multiprocessing",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "urllib.request",
}


CLOCKS = {
    "time.time",
    "time.time_ns",
    "time.monotonic",
    "time.sleep",
    "datetime.now",
    "datetime.utcnow",
    "datetime.datetime.now",
    "date.today",
}


def modules() -> Iterator[tuple[str, Path]]:
    """List the modules by their dotted names, without `millpond.`."""
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        yield name or "millpond", path


# What stands beside the package, and is imported by names of its own.
REPOSITORY = Path(__file__).parents[1]
BESIDE = [REPOSITORY / each for each in ("tests", "bench", "docs", "examples")]
MADE = {"node_modules", "results"}  # folders in them that git passes over


def part_of(module: str) -> str:
    """Say which row of the table a module belongs to."""
    pieces = module.split(".")
    for length in range(len(pieces), 0, -1):
        row = ".".join(pieces[:length])
        if row in MAY_KNOW or row in MAY_KNOW_EVERYTHING:
            return row
    raise AssertionError(f"{module} is in no row of the table")


def imports(path: Path, package: str | None = None) -> Iterator[str]:
    """
    List what a module imports, wherever in it, as dotted names.

    Args:
        package: that a relative import begins at; `None` where there may be none.
    """
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            found = [each for each in (node.module,) if each]
            if node.level:
                assert package is not None, f"{path.name} has a relative import"
                assert node.level == 1, f"{path.name} imports from above its package"
                found.insert(0, package)
            for each in node.names:
                yield ".".join([*found, each.name])


NAMES = {name for name, _ in modules()}


def ours(imported: str) -> str | None:
    """Say which module of ours an import means; None for those of others."""
    if imported.split(".")[0] != "millpond":
        return None
    inside = imported.removeprefix("millpond").lstrip(".")
    while inside and inside not in NAMES:
        inside = inside.rpartition(".")[0]  # a class or a constant in a module
    return inside or "millpond"


@pytest.mark.parametrize(("module", "path"), [*modules()], ids=lambda each: str(each))
def test_imports_go_one_way(module: str, path: Path) -> None:
    """A module imports its own part and what the table allows."""
    part = part_of(module)
    if part in MAY_KNOW_EVERYTHING:
        return
    for imported in imports(path):
        known = ours(imported)
        if known is None:
            continue
        other = part_of(known)
        if part == "cli" and known in ADMINISTRATION:
            continue  # by name, when the command is called
        assert other == part or other in MAY_KNOW[part], (
            f"{module} imports {known}: {part} may not know {other}"
        )


def test_the_table_names_what_there_is() -> None:
    """Every row is a part of the package, and there is no part without a row."""
    present = {part_of(name) for name in NAMES}
    named = set(MAY_KNOW) | MAY_KNOW_EVERYTHING

    assert present <= named
    missing = named - present - {"cli.demo"}
    assert not missing


def find_circle(known_by: Mapping[str, Collection[str]]) -> list[str] | None:
    """
    Find modules that lead back to themselves.

    Args:
        known_by: what each module imports.
    Returns:
        The way round, beginning and ending with one module.
    """
    done: set[str] = set()
    for start in known_by:
        way: list[str] = []
        # Each step is followed by a `None`, which ends it.
        todo: list[str | None] = [start]
        while todo:
            module = todo.pop()
            if module is None:
                done.add(way.pop())
            elif module in way:
                return [*way[way.index(module) :], module]
            elif module not in done:
                way.append(module)
                todo.append(None)
                todo += sorted(known_by.get(module, ()))
    return None


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Going from a module to those it imports, wherever in it, never leads back."""
    known = {
        module: {each for each in map(ours, imports(path)) if each} - {module}
        for module, path in modules()
    }

    assert find_circle(known) is None


@pytest.mark.parametrize("folder", BESIDE, ids=lambda each: each.name)
def test_nothing_beside_the_package_is_a_circle(folder: Path) -> None:
    """That holds for the tests, the benchmarks and the examples, too."""
    names = {
        ".".join(path.relative_to(folder).with_suffix("").parts): path
        for path in folder.rglob("*.py")
        if MADE.isdisjoint(path.parts)
    }

    def local(imported: str) -> str:
        while imported and imported not in names:
            imported = imported.rpartition(".")[0]
        return imported  # empty: it is not from here

    known = {
        module: {*map(local, imports(path, module.rpartition(".")[0]))} - {"", module}
        for module, path in names.items()
    }

    assert names
    assert find_circle(known) is None


def test_a_circle_is_found() -> None:
    """Short, long, and behind modules that belong to none; two ways are no circle."""
    assert find_circle({"a": {"b"}, "b": {"a"}}) == ["a", "b", "a"]
    assert find_circle({"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": {"b"}}) == [
        *("b", "c", "d", "b")
    ]
    assert find_circle({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": set()}) is None


def test_the_table_has_no_circle() -> None:
    """Going from a part to those it knows never leads back to it."""

    def reach(part: str) -> set[str]:
        found: set[str] = set()
        todo = [part]
        while todo:
            for each in MAY_KNOW[todo.pop()] - found:
                found.add(each)
                todo.append(each)
        return found

    for part in MAY_KNOW:
        assert part not in reach(part)


@pytest.mark.parametrize(("module", "path"), [*modules()], ids=lambda each: str(each))
def test_pure_parts_do_no_io(module: str, path: Path) -> None:
    """The rules and the wire read no file, socket or clock, and start no thread."""
    if part_of(module) not in PURE or module == "contract.botocore_model":
        return
    for imported in imports(path):
        assert not any(
            imported == each or imported.startswith(f"{each}.") for each in IMPURE
        ), f"{module} imports {imported}"
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        assert called not in CLOCKS, f"{module} calls {called}"


def test_the_ports_know_no_driver() -> None:
    """A driver is imported by the one package that is built on it."""
    homes = {
        "apsw": "stores.sqlite",
        "asyncpg": "stores.postgres",
        "confluent_kafka": "sinks",
        "granian": "server",
        "nats": "sinks",
        "jinja2": "console",
        "opentelemetry": "tracing",
    }
    for module, path in modules():
        for imported in imports(path):
            package = imported.split(".")[0]
            home = homes.get(package)
            if home is not None and part_of(module) != "testing":
                assert module == home or module.startswith(f"{home}.")


def test_only_the_standard_library_and_what_is_declared_is_imported() -> None:
    """No module leans on a package that an installation need not have."""
    declared = {
        "aiohttp",
        "apsw",
        "asyncpg",  # of the extra `postgres`
        "botocore",
        "confluent_kafka",  # of the extra kafka
        "cryptography",
        "dateutil",  # of the package python-dateutil
        "granian",
        "jinja2",
        "jmespath",
        "jwt",  # of the package pyjwt
        "markupsafe",
        "msgspec",
        "nats",  # of the extra nats
        "opentelemetry",  # of the extra otel
        "prometheus_client",
        "rich",
        "ruamel",
        "starlette",
        "structlog",
        "uvloop",
        "yarl",
    }
    for module, path in modules():
        allowed = (
            declared | {"pytest", "boto3"} if part_of(module) == "testing" else declared
        )
        for imported in imports(path):
            package = imported.split(".")[0]
            known = package == "millpond" or package in sys.stdlib_module_names
            assert known or package in allowed, f"{module} imports {imported}"
