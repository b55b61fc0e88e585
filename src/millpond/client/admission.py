"""
What is looked at before a write is queued: whether it is seen what it replaces, and
whether the server could take it.

Rule: what this app cannot read it does not write over, as with the wrong key, or after
a newer app was there. The app may say `overwrite`, and lose it knowingly.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from millpond.client.codecs import CodecError
from millpond.client.errors import QuotaError
from millpond.core.client_sync import quota
from millpond.core.client_sync.copies import Copy
from millpond.core.client_sync.quota import Limits as Limits


def check_seen(
    copy: Copy, keys: Collection[str], decode: Callable[[str, str], Any]
) -> None:
    """
    See whether the values that are there now can be read.

    Raises:
        CodecError: one cannot.
    """
    for key in keys:
        record = copy.records.get(key)
        if record is not None and record.value is not None:
            try:
                decode(key, record.value)
            except CodecError:
                raise
            except Exception:
                continue  # of the app's own codec or migration, which has seen it


def check_quota(
    copy: Copy,
    name: str,
    texts: Mapping[str, str],
    others: Collection[str] | None,
    limits: quota.Limits | None,
) -> None:
    """
    See whether the server could take what shall be written.

    Args:
        others: the datasets that have something in them; `None`: they do not matter.
    Raises:
        QuotaError: it could not.
    """
    most = limits or quota.DEFAULT
    values = copy.values
    if others is not None and not values and texts:
        excess = quota.dataset_excess(name, others, most)
        if excess is not None:
            raise QuotaError(name, None, excess)
    held = quota.usage(values.items())
    for key, text in texts.items():
        before = values.get(key)
        excess = quota.excess(held, key, before, text, most)
        if excess is not None:
            raise QuotaError(name, key, excess)
        held = quota.written(held, key, before, text)
