"""Making what brings identities here while pools move in (`service.read_through`)."""

from __future__ import annotations

from typing import cast

from millpond.errors import SettingsError, SourceError
from millpond.server.importing import limits_of
from millpond.service.context import system_now_ms
from millpond.service.read_through import ImportedPool, ReadThrough
from millpond.settings import Settings
from millpond.stores.base import Store
from millpond.stores.importing import ImportStore


def make_read_through(settings: Settings, store: Store) -> ReadThrough | None:
    """
    Open the sources of the pools that are read through; None: there are none.

    Raises:
        SettingsError: a source cannot be opened.
    """
    if not any(each.read_through for each in settings.imports.values()):
        return None
    # Imported late: few servers need it, and it takes a third of their start.
    from millpond.sources.opening import open_api

    limits = limits_of(settings)
    pools = {}
    for pool_id, source in settings.imports.items():
        if not source.read_through:
            continue
        try:
            api = open_api(
                pool_id,
                limits=limits,
                profile=source.profile or None,
                endpoint_url=source.endpoint_url or None,
                patience_s=float(source.timeout_s),
            )
        except SourceError as error:
            raise SettingsError(
                f"Setting 'imports', entry '{pool_id}': {error}"
            ) from error
        pools[pool_id] = ImportedPool(api, float(source.timeout_s))
    return ReadThrough(
        pools, store, cast("ImportStore", store), limits=limits, now_ms=system_now_ms
    )
