"""
Values that stand somewhere else: `file://`, `fileb://`, `http://`, `https://`.

AWS: awscli/paramfile.py. A path is relative to the working directory; `~` and `$VAR` in
it are filled in. What a URL answers is taken as it is.
"""

from __future__ import annotations

import os

from millpond.client.api.faults import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_FETCH_TIMEOUT_S: Final = 60


class ParamFileFault(Fault):
    """The place that a value names cannot be read."""


def load(value: object, *, follow_urls: bool = False) -> str | bytes | None:
    """
    Read what a value refers to; `None` when it is a value itself.

    Raises:
        ParamFileFault: it refers to something that cannot be read.
    """
    if not isinstance(value, str):
        return None
    if value.startswith("file://"):
        return _read_text(value)
    if value.startswith("fileb://"):
        return _read_bytes(value)
    if follow_urls and value.startswith(("http://", "https://")):
        return _fetch(value)
    return None


def _read_text(value: str) -> str:
    path = _expand(value.removeprefix("file://"))
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except UnicodeDecodeError:
        raise ParamFileFault(
            f"Unable to load paramfile ({path}), text contents could not be decoded.  "
            "If this is a binary file, please use the fileb:// prefix instead of the "
            "file:// prefix."
        ) from None
    except OSError as error:
        raise ParamFileFault(f"Unable to load paramfile {value}: {error}") from None


def _read_bytes(value: str) -> bytes:
    try:
        with open(_expand(value.removeprefix("fileb://")), "rb") as file:
            return file.read()
    except OSError as error:
        raise ParamFileFault(f"Unable to load paramfile {value}: {error}") from None


def _expand(path: str) -> str:
    return os.path.expandvars(os.path.expanduser(path))


def _fetch(url: str) -> str:
    from millpond.client.api import transport

    try:
        response = transport.send(
            transport.Request("GET", url, {}),
            transport.Settings(
                connect_timeout_s=_FETCH_TIMEOUT_S, read_timeout_s=_FETCH_TIMEOUT_S
            ),
        )
        if response.status != 200:
            raise Fault(f"received non 200 status code of {response.status}")
        return response.body.decode("utf-8")
    except (Fault, ValueError) as error:
        raise ParamFileFault(f"Unable to retrieve {url}: {error}") from None
