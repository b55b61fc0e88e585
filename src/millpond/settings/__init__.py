"""
Settings: one table, read from a TOML file, the environment and the command line.

    fields.py    the table
    files.py     a file of settings, and what is meant where it is no TOML
    values.py    a value as it is written -> the type of its field, or what is wrong
    checks.py    what the values must be, each by itself and together
    reading.py   the sources; everything that is wrong is found, and told at once

Each setting is also an environment variable, `MILLPOND_` and the name in capitals. The
command line wins over the environment, the environment over the file, the file over the
default.
"""

from __future__ import annotations

from millpond.settings.fields import (
    PREFIX,
    ImportSource,
    LoginProvider,
    Row,
    Settings,
    table,
)
from millpond.settings.reading import (
    SECRETS,
    Problem,
    Reading,
    load,
    propose_setting,
    read,
    refuse,
)

__all__ = [
    "PREFIX",
    "SECRETS",
    "ImportSource",
    "LoginProvider",
    "Problem",
    "Reading",
    "Row",
    "Settings",
    "load",
    "propose_setting",
    "read",
    "refuse",
    "table",
]
