"""What a server loads to start: what it works with from the first request on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from millpond.testing.deadlines import seconds

# Runs a server in this process until it has started, and then says what is loaded.
SCRIPT = """
import os, signal, sys
from millpond.cli import serve
def tell(settings, started):
    print(*sorted(sys.modules), file=sys.stdout, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
serve._tell = tell
sys.exit(serve.main(["--data", sys.argv[1], "--port", "0"]))
"""
USED_LATER = {
    # Drivers, and what calls others.
    *("aiohttp", "asyncpg", "botocore", "confluent_kafka", "nats", "yarl"),
    # What makes traces, for whoever asks for them.
    *("opentelemetry", "millpond.tracing.sdk"),
    # What reads keys and signs tokens.
    *("jwt", "cryptography.x509"),
    # What makes pages, and what colours what people read.
    *("jinja2", "markupsafe", "starlette", "rich", "pygments"),
    *("millpond.console.app", "millpond.server.readers.supervisor"),
    "millpond.sources.opening",
}


def test_a_start_loads_what_it_uses(tmp_path: Path) -> None:
    """A server that nobody has called yet has loaded no driver, no pages, no rich."""
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "data")],
        capture_output=True,
        text=True,
        timeout=seconds(60),
        env={},
        check=True,
    )
    loaded = set(ended.stdout.split())

    assert "granian" in loaded
    assert loaded & USED_LATER == set()
    assert "server.stopped" in ended.stderr
