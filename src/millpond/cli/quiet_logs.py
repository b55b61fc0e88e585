"""
What commands log: warnings, on standard error.

structlog prints everything on standard output until it is told otherwise, where it
would come between the lines of a result. Most commands log nothing and do not load it;
so it is told when something loads it. `serve` tells it again.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any, Final

_LIBRARY: Final = "structlog"


def install() -> None:
    """Have the library of logs told when it is loaded; at most once in a process."""
    if _LIBRARY not in sys.modules:
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds the library as ever, and has it told once it is there."""

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        if name != _LIBRARY:
            return None
        import importlib.util

        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_tell(module: ModuleType) -> None:
                execute(module)
                _tell(module)

            spec.loader.exec_module = execute_and_tell  # type: ignore[method-assign]
        return spec


def _tell(structlog: Any) -> None:
    import logging

    from millpond.cli.page import may_style

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=may_style(sys.stderr)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
    )
