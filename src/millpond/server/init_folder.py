"""
The scripts of `init_folder`: which there are, and whether others could have put them
there.

What runs with the rights of the server must come from who runs it. So folder and
scripts belong to root or to the user of the server, and nobody else may write to them,
nor to a folder above; as ssh wants it of its files. On a file system that is mounted
read-only that is settled by who mounted it: containers get theirs so.
"""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path
from typing import Final, NamedTuple

from millpond.errors import SettingsError

SUFFIXES: Final = (".py", ".sh")
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


class Script(NamedTuple):
    """A script, and its name as people may see it."""

    name: str
    path: Path


class Found(NamedTuple):
    """What a folder holds."""

    scripts: list[Script]  # in the order in which they run
    ignored: list[str]  # names of what is none; hidden files are not looked at


def find_scripts(folder: Path) -> Found:
    """
    Find the scripts of a folder, by the bytes of their names, as `ls` in the locale C.

    Raises:
        SettingsError: the folder or a script cannot be read, or is not safe to run.
    """
    try:
        place = folder.resolve(strict=True)
        if not place.is_dir():
            raise SettingsError(f"'{folder}' is not a folder.")
        # Who may write beside a link may have it lead elsewhere.
        _refuse_unsafe(place, [*_folders(place), *folder.absolute().parents])
        entries = sorted(os.scandir(place), key=lambda each: os.fsencode(each.name))
        found = Found([], [])
        for each in entries:
            if each.name.startswith("."):
                continue
            name = os.fsencode(each.name).decode("utf-8", "backslashreplace")
            if each.name.endswith(SUFFIXES) and not each.is_dir():
                found.scripts.append(Script(name, _check(Path(each.path), place)))
            else:
                found.ignored.append(name)
    except OSError as error:
        what = error.filename or folder
        raise SettingsError(f"'{what}' cannot be used: {error.strerror}.") from error
    return found


def _check(script: Path, folder: Path) -> Path:
    """Refuse a script that cannot be read, or that others may change."""
    file = script.resolve(strict=True)
    if not file.is_file():
        raise SettingsError(f"'{script}' is no file.")
    above = [] if file.parent == folder else _folders(file.parent)
    _refuse_unsafe(file, [file, *above])
    with open(file, "rb"):
        return script


def _folders(place: Path) -> list[Path]:
    return [place, *place.parents]


def _refuse_unsafe(place: Path, paths: list[Path]) -> None:
    """Refuse what somebody else could change, at one of the paths that lead there."""
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        return
    for path in paths:
        status = os.stat(path)
        if status.st_uid not in (0, os.geteuid()):
            raise SettingsError(
                f"'{path}' belongs to another user than root and that of the server, "
                "who could have anything run."
            )
        # In a sticky folder, such as /tmp, nobody moves what others own.
        sticky = path != place and status.st_mode & stat.S_ISVTX
        if status.st_mode & _OTHERS_WRITE and not sticky:
            raise SettingsError(
                f"Others may write to '{path}', and so have anything run: "
                f"chmod go-w {shlex.quote(str(path))}"
            )
