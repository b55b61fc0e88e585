"""Pools that move in: their page tells how far they are, and who may claim what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cli import world
from cli.world import EMPTY_POOL, POOL
from console.visitor import Visitor
from console.worlds import serving
from millpond.stores.importing import ImportState

MOVING = "us-east-1:00000000-0000-4000-8000-0000000000aa"
SOURCE = "<b>AWS</b> & co"


async def fill(store: Any) -> None:
    """The small world, and a pool of which a part has come."""
    await world.fill(store)
    state = ImportState(
        identity_pool_id=MOVING,
        source=SOURCE,
        pass_number=2,
        step="identities",
        listed=1234,
        expected=5000,
        unclaimed=7,
        updated_ms=1_750_000_000_000,
        follower={"lag_s": 1.5},
    )
    assert await store.begin_import(world.a_pool(MOVING, "Moving"), state, pools_max=9)


def test_a_pool_that_moves_in_tells_how_far_it_is(tmp_path: Path) -> None:
    """Of its import what is noted; of its settings whether claims are open."""
    imports = {MOVING: {"claims_until": "2999-12-31"}, EMPTY_POOL: {"files": "/x"}}
    settings = {"imports": json.dumps(imports)}
    with serving(tmp_path, fill=fill, settings=settings) as running:
        looker = Visitor(running.endpoint)
        looker.log_in(running)
        moving = looker.json(f"/console/pools/{MOVING}")["import"]
        page = looker.get(f"/console/pools/{MOVING}").text
        begun = looker.json(f"/console/pools/{EMPTY_POOL}")["import"]
        begun_page = looker.get(f"/console/pools/{EMPTY_POOL}")
        other = looker.json(f"/console/pools/{POOL}")["import"]

    assert (moving["are_claims_open"], moving["claims_until"]) == (True, "2999-12-31")
    assert moving["state"]["listed"] == 1234
    for text in ("1,234 of about 5,000", "&lt;b&gt;AWS&lt;/b&gt;", "2999-12-31"):
        assert text in page
    assert begun["state"] is None
    assert begun["are_claims_open"] is False
    assert begun_page.status == 200
    assert other is None
