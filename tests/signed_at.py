"""The clock that botocore signs by, stopped."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Self
from unittest import mock

import botocore.auth


@contextlib.contextmanager
def botocore_signs_at(epoch_s: float) -> Iterator[None]:
    """
    Let botocore believe that it is that time; in epoch seconds.

    Newer releases ask a function of their own, older ones (1.36) their `datetime`.
    """
    moment = datetime.datetime.fromtimestamp(epoch_s, datetime.UTC).replace(tzinfo=None)
    if hasattr(botocore.auth, "get_current_datetime"):
        with mock.patch("botocore.auth.get_current_datetime", return_value=moment):
            yield
        return

    class Stopped(datetime.datetime):
        @classmethod
        def utcnow(cls) -> Self:
            return cls.fromtimestamp(epoch_s, datetime.UTC).replace(tzinfo=None)

    with mock.patch("botocore.auth.datetime", SimpleNamespace(datetime=Stopped)):
        yield
