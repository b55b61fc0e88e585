"""A store in which every text that strangers may choose is an attempt at something."""

from __future__ import annotations

import json
from typing import Final

from console.mill import Mill, an_event
from millpond.core.push import LastPush
from millpond.stores.base import Store
from millpond.testing.store_contract.devices import a_device, register

EVIL: Final = (
    "<script>window.ran=1;alert(1)</script>",
    '"><img src=http://evil.example/x onerror="window.ran=1">',
    "'><svg/onload=window.ran=1>",
    "javascript:window.ran=1",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe <b>\N{ARABIC LETTER ALEF}",
    "</textarea></title></style><iframe src=//evil.example>",
    "https://evil.example/" + "w" * 200,
)
LONG: Final = "<b>" * 100_000
STREAM: Final = "changes"


def fill(mill: Mill) -> None:
    """Fill a server: a pool, its identities, data, devices, and changes that parked."""
    identities = mill.server.client("cognito-identity")
    mill.create_stream(STREAM)
    pool = identities.create_identity_pool(
        IdentityPoolName="name of a pool " + "w" * 100,
        AllowUnauthenticatedIdentities=True,
        DeveloperProviderName="backend",
        SupportedLoginProviders={"www.example.com": "javascript"},
        IdentityPoolTags={"tag": "x" * 200},
    )["IdentityPoolId"]
    for text in EVIL:
        identity: str = identities.get_open_id_token_for_developer_identity(
            IdentityPoolId=pool, Logins={"backend": text}
        )["IdentityId"]
    mill.sync.set_identity_pool_configuration(
        IdentityPoolId=pool,
        CognitoStreams={"StreamName": STREAM, "StreamingStatus": "ENABLED"},
    )
    datasets = {
        "a.json": {each: each for each in EVIL},
        "long": {"long": LONG},
        "..": {"up": json.dumps({"a": EVIL[0]})},
    }
    for dataset, values in datasets.items():
        mill.put(pool, dataset, values, identity_id=identity)
    mill.in_store(lambda store: _register(store, pool, identity))
    for text in EVIL:
        event = an_event(pool, "a.json", text, text, identity_id=identity)
        mill.park(pool, text, event, identity_id=identity)
    mill.wait_for_stream(STREAM, len(datasets))  # so that the pages are at rest


async def _register(store: Store, pool: str, identity: str) -> None:
    of = {"identity_pool_id": pool, "identity_id": identity}
    devices = [a_device(each, token=f"{each}{each}", **of) for each in EVIL]
    await register(store, *devices)
    for each in devices:
        await store.put_last_push(each, LastPush(1_700_000_000_000, each.device_id))
