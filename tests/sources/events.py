"""Stream records for tests of sources."""

from __future__ import annotations

import json
from typing import Any, Final

POOL: Final = "us-east-1:00000000-0000-4000-8000-000000000001"
OTHER_POOL: Final = "us-east-1:00000000-0000-4000-8000-000000000002"


def identity(number: int) -> str:
    return f"us-east-1:00000000-0000-4000-8000-{number:012x}"


def event(number: int = 1, count: int = 1, **members: Any) -> dict[str, Any]:
    """Make what an identity's update number `count` puts into the stream."""
    record = {
        "key": f"k{count}",
        "value": f"v{count}",
        "syncCount": count,
        "lastModifiedDate": 1000 + count,
        "deviceLastModifiedDate": 900 + count,
        "op": "replace",
    }
    return {
        "identityPoolId": POOL,
        "identityId": identity(number),
        "dataSetName": "prefs",
        "operation": "replace",
        "kinesisSyncRecords": [record],
        "lastModifiedDate": 1000 + count,
        "kinesisSyncRecordsURL": None,
        "payloadType": "Inline",
        "syncCount": count,
        **members,
    }


def encoded(*events: object) -> bytes:
    return b"".join(json.dumps(each).encode() for each in events)
