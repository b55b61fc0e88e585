"""
`millpond install-model`: make the AWS CLI and boto3 know the API without AWS.

botocore, on which both stand, looks for models in the folders of AWS_DATA_PATH, then in
~/.aws/models, then among its own. A model of ours in one of the first two keeps
`aws cognito-sync` and `boto3.client("cognito-sync")` working on the day their next
release drops the service. Two files make an API known there:

    <folder>/<api>/<version>/service-2.json      operations and shapes, of our contract
    <folder>/<api>/<version>/paginators-1.json   operations whose pages are put together

No rules for endpoints are written. Without them botocore takes the URL it is given, or
makes the one of AWS by its oldest rule (botocore/client.py, `create_client`); it still
uses those it may have.

What is ours is known by a mark inside each file: who wrote it, and a digest of the
rest. A file without the mark is somebody else's; one whose digest no longer fits has
been changed since. Neither is overwritten or removed unless that is asked for.
"""

from __future__ import annotations

import argparse
import enum
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from millpond import __version__
from millpond.cli.api import paging
from millpond.cli.paths import some_path
from millpond.client.api import models
from millpond.errors import MillpondError

APIS: Final = ("cognito-sync", "cognito-identity")
_CUSTOMER_FOLDER: Final = "~/.aws/models"
_DATA_PATH_VARIABLE: Final = "AWS_DATA_PATH"
_MARK: Final = "x-written-by"
_PROGRAM: Final = "millpond install-model"


class ModelFileError(MillpondError):
    """A file stands in the way, or cannot be written."""


def main(argv: list[str]) -> int:
    """Run `millpond install-model`."""
    options = make_parser().parse_args(argv)
    folder = options.folder or Path(_CUSTOMER_FOLDER).expanduser()
    try:
        if options.undo:
            _undo(folder, options.api, force=options.force)
        else:
            _install(folder, options.api, force=options.force)
    except ModelFileError as error:
        print(f"{_PROGRAM}: {error}", file=sys.stderr)
        return 1
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Write models of the API where the AWS CLI and boto3 look for "
        "them, so that both know it even in a release that has dropped it.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--api",
        action="append",
        choices=APIS,
        help="write the model of this API alone; may be repeated",
    )
    parser.add_argument(
        "--folder",
        type=some_path,
        metavar="DIR",
        help=f"write below this folder (default {_CUSTOMER_FOLDER})",
    )
    parser.add_argument(
        "--undo", action="store_true", help="remove what this command has written"
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="overwrite the file of somebody else; with --undo, remove a file of ours "
        "that was changed since",
    )
    return parser


def _install(folder: Path, apis: list[str] | None, *, force: bool) -> None:
    files = dict(_files(folder, apis))
    if not force:
        for path in files:
            _check_is_free(path)
    for path, document in files.items():
        text = _marked(document)
        if _read(path) == text:
            print(f"{path} is up to date.")
            continue
        _write(path, text)
        print(f"Wrote {path}")
    print(_next_steps(folder, apis or APIS))


def _undo(folder: Path, apis: list[str] | None, *, force: bool) -> None:
    changed = []
    for path, _ in _files(folder, apis):
        state = _state_of(path)
        if state is _State.OURS or (state is _State.CHANGED and force):
            path.unlink()
            print(f"Removed {path}")
            _remove_empty(path.parent, folder)
        elif state is _State.CHANGED:
            changed.append(str(path))
        elif state is _State.FOREIGN:
            print(f"{path} was not written by Millpond; it stays.")
    if changed:
        raise ModelFileError(
            f"{', '.join(changed)} has been changed since it was written. --force "
            "removes it all the same."
        )


def _files(folder: Path, apis: list[str] | None) -> Iterator[tuple[Path, Any]]:
    """List the files to write, with what goes into them."""
    for api in apis or APIS:
        model = models.read(api)
        home = folder / api / model["metadata"]["apiVersion"]
        yield home / "service-2.json", model
        pages = paging.paginators(api)
        if pages["pagination"]:
            yield home / "paginators-1.json", pages


def _check_is_free(path: Path) -> None:
    """
    Refuse to write over what is not ours.

    Raises:
        ModelFileError: there is such a file, or a compressed one that ours would hide.
    """
    compressed = path.with_name(f"{path.name}.gz")
    state = _state_of(path)
    if state is _State.CHANGED:
        fault = f"{path} has been changed since it was written."
    elif state is _State.FOREIGN or compressed.exists():
        where = compressed if compressed.exists() else path
        fault = f"{where} was not written by Millpond."
    else:
        return
    raise ModelFileError(
        f"{fault} Move it away, or use --force. Nothing has been written."
    )


class _State(enum.Enum):
    """What stands where a file of ours belongs."""

    ABSENT = "nothing"
    OURS = "what we wrote"
    CHANGED = "what we wrote, and somebody changed"
    FOREIGN = "what somebody else put there"


def _state_of(path: Path) -> _State:
    text = _read(path)
    if text is None and not path.is_symlink():
        return _State.ABSENT
    try:
        document = json.loads(text or "")
    except ValueError:
        return _State.FOREIGN
    mark = document.pop(_MARK, None) if isinstance(document, dict) else None
    if path.is_symlink() or not isinstance(mark, dict):
        return _State.FOREIGN
    untouched = mark.get("sha256") == _digest(document)
    return _State.OURS if untouched else _State.CHANGED


def _marked(document: Mapping[str, Any]) -> str:
    """Write a document as text, with our mark at its end."""
    mark = {
        "program": _PROGRAM,
        "version": __version__,
        "sha256": _digest(document),
    }
    return json.dumps({**document, _MARK: mark}, indent=1, ensure_ascii=False) + "\n"


def _digest(document: Mapping[str, Any]) -> str:
    canonical = json.dumps(document, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _read(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        return ""  # not ours, whatever it is


def _write(path: Path, text: str) -> None:
    """Put a file in place at once, so that nobody reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(text, "utf-8", newline="\n")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _remove_empty(directory: Path, top: Path) -> None:
    """Remove the folders of a removed file, as far as nothing is left in them."""
    while directory != top and not any(directory.iterdir()):
        directory.rmdir()
        directory = directory.parent


def _next_steps(folder: Path, apis: tuple[str, ...] | list[str]) -> str:
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "http://127.0.0.1:8014")
    default = Path(_CUSTOMER_FOLDER).expanduser()
    place = "" if folder == default else f" --folder {folder}"
    exports = [
        f"  export AWS_ENDPOINT_URL_{api.upper().replace('-', '_')}={endpoint}\n"
        for api in apis
    ]
    if not _is_searched(folder):
        exports.insert(0, f"  export {_DATA_PATH_VARIABLE}={folder.absolute()}\n")
    return (
        f"\nThe AWS CLI and boto3 now know {' and '.join(apis)} from there. Tell them "
        "where your\nserver is, or they go on calling AWS:\n\n"
        f"{''.join(exports)}\n"
        "(or `endpoint_url` in the services section of a profile). To take the files "
        f"away\nagain: {_PROGRAM} --undo{place}"
    )


def _is_searched(folder: Path) -> bool:
    """Tell whether botocore looks into a folder by itself."""
    named = os.environ.get(_DATA_PATH_VARIABLE, "").split(os.pathsep)
    searched = [_CUSTOMER_FOLDER, *filter(None, named)]
    return any(
        folder.absolute() == Path(os.path.expandvars(each)).expanduser().absolute()
        for each in searched
    )
