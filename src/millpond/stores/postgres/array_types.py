"""
The array types that our statements use, told to the driver.

asyncpg knows the types that PostgreSQL comes with, but not most arrays of them: it
looks each up in the catalogue, once for each connection. On a Citus cluster, which
rewrites what is asked of the catalogue, that takes a second and more. The numbers of
these types are fixed for all versions of PostgreSQL: there is nothing to look up.
"""

from __future__ import annotations

from typing import Any, Final

# name: of the array, and of its elements
# Source: src/include/catalog/pg_type.dat of PostgreSQL (array_type_oid).
_NUMBERS: Final = {
    "bool": (1000, 16),
    "bytea": (1001, 17),
    "int4": (1007, 23),
    "int8": (1016, 20),
    "text": (1009, 25),
}
_ROWS: Final = [
    # As the driver reads them from pg_type.
    {
        "oid": array,
        "ns": "pg_catalog",
        "name": f"_{name}",
        "kind": b"b",
        "basetype": None,
        "elemtype": element,
        "elemtype_name": name,
        "elemdelim": ",",
        "range_subtype": None,
        "attrtypoids": None,
        "attrnames": None,
    }
    for name, (array, element) in _NUMBERS.items()
]


def tell(connection: Any) -> None:
    """Tell a connection of asyncpg of these types; it asks the server nothing."""
    connection.get_settings().register_data_types(_ROWS)
