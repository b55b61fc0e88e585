"""
What the pages take for given that a test pastes from, and what pastes them.

A page that is named here is pasted whole: all its blocks of a shell into one shell, all
its blocks of Python into one program, but for those that say why not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True)
class Given:
    """
    What stands before a page, and what is written instead of its examples.

    Each has a server with its key in the environment, and `$pool`, `$identity` (which
    has a dataset `prefs`) and, in a shell, its store in `millpond-data`.
    """

    before: str = ""
    instead: Mapping[str, str] = field(default_factory=dict)
    ephemeral: bool = False


STREAM: Final = """
millpond kinesis create-stream --stream-name given --shard-count 1
millpond cognito-sync set-identity-pool-configuration --identity-pool-id "$pool" \
    --cognito-streams StreamName=given,StreamingStatus=ENABLED > given.txt
"""
CONSUMER: Final = "printf '#!/bin/sh\\n' > consume.sh; chmod +x consume.sh\n"
WHOLE_ID: Final = "us-east-1:a0c1d2e3-0000-4000-8000-00000000000a"
IDENTITIES: Final = {
    WHOLE_ID: "$identity",
    "us-east-1:7c4f5e0a-2f0b-4b9e-9d8c-0a1b2c3d4e5f": "$pool",
    "us-east-1:a0c1d2e3": "$identity",
    "us-east-1:7c4f5e0a": "$pool",
    "a0c1d2e3": "$identity",
}
HERE: Final = {"127.0.0.1:8014": "${AWS_ENDPOINT_URL#http://}"}
FREE_PORT: Final = {" 8080": " 0", "examples/live": "$repository/examples/live"}

PASTED: Final[Mapping[str, Mapping[str, Given]]] = {
    "sh": {
        "docs/backup.md": Given(
            "mkdir backups; cp millpond-data/secret.key .\n", {"/backups/": "backups/"}
        ),
        "docs/bulk-publish.md": Given(STREAM + CONSUMER),
        "docs/command-line.md": Given(
            STREAM
            + CONSUMER
            + """
printf 'port = 8015\\nregion = "us-east-1"\\n' > millpond.toml
mkdir -p ~/.aws; printf '[profile dev]\\nregion = eu-west-1\\n' > ~/.aws/config
""",
            {**IDENTITIES, **HERE},
        ),
        "docs/console.md": Given("printf 'data = \"millpond-data\"\\n' > fleet.toml\n"),
        "docs/embedded-streams.md": Given(instead=HERE),
        "docs/howto/client-javascript.md": Given(instead=FREE_PORT, ephemeral=True),
        "docs/howto/from-laptop-to-fleet.md": Given(
            "mkdir -p etc\n", {"/etc/millpond/": "etc/"}
        ),
        "docs/howto/test-your-app.md": Given(ephemeral=True),
        "docs/identities.md": Given(
            instead={
                **IDENTITIES,
                "KEY_ID": "us-east-1-1",
            }
        ),
        "docs/live.md": Given(instead=FREE_PORT, ephemeral=True),
        # A person is asked before somebody is deleted; here is none.
        "docs/personal-data.md": Given(
            instead={**IDENTITIES, WHOLE_ID: f"{IDENTITIES[WHOLE_ID]} --yes"}
        ),
        "docs/push.md": Given(instead={"us-east-1:...": '"$pool"'}),
        "docs/start.md": Given(),
        "docs/streams.md": Given(
            STREAM + 'millpond bulk-publish --identity-pool-id "$pool" --wait\n', HERE
        ),
        "docs/sync-trigger.md": Given(),
        "docs/trouble.md": Given(),
    },
    "python": {
        "docs/identities.md": Given(),
        "docs/start.md": Given(),
        "docs/values.md": Given(
            "from millpond.client import guest, open_sync_blocking\n"
            "opening = open_sync_blocking(endpoint, pool, credentials=guest())\n"
            "sync = opening.__enter__()\n"
            "key = bytes(32)\n"
        ),
    },
}

RUN_ELSEWHERE: Final[Mapping[tuple[str, str], str]] = {
    ("docs/bulk-publish.md", "python"): "tests/docs/test_bulk_publish_page.py",
    ("docs/howto/client-python.md", "python"): "tests/docs/test_client_page.py",
    ("docs/howto/client-javascript.md", "js"): "tests/clients_js/test_documents.py",
    ("clients/js/sync/README.md", "js"): "tests/clients_js/test_documents.py",
}
