"""
OpenAPI 3.1 documents of everything that the server speaks, derived from the contract.

One for each API of AWS, with what is ours among its paths, and one for the plain pages.
They are told apart because names are those of the APIs: two of these have a `Record`,
and two an operation `TagResource` (docs/decisions).

`schemas` has the structures, `operations` what is called and refused, `query` the one
API that answers XML, `server_pages` what is written by hand. `_site/openapi_pages.py`
shows them in the site.
"""

from __future__ import annotations

import json
from typing import Any

from _openapi import operations, query, server_pages
from millpond.contract.shapes import Api
from millpond.server.bindings import APIS

JsonObject = dict[str, Any]


def made() -> dict[str, str]:
    """Write every document, by the name of its file."""
    return {
        f"openapi/{name}.json": f"{json.dumps(document, indent=1)}\n"
        for name, document in documents().items()
    }


def documents() -> dict[str, JsonObject]:
    """Make every document, by the name of its API."""
    by_name: dict[str, list[Api]] = {}
    for api, _ in APIS:
        by_name.setdefault(api.name, []).append(api)
    made = {
        name: query.document(apis[0])
        if apis[0].protocol == "query"
        else operations.document(apis)
        for name, apis in by_name.items()
    }
    return {**made, "server": server_pages.document()}
