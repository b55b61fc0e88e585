"""What the documents show in JavaScript works as it stands, in a page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clients_js.runtimes import ROOT, new_tab

PAGES = ("docs/howto/client-javascript.md", "clients/js/sync/README.md")
BLOCK = re.compile(r"^```js\n(.*?)^```", re.MULTILINE | re.DOTALL)
WHOLE = [
    pytest.param(found[1], id=f"{Path(page).stem}-{number}")
    for page in PAGES
    for number, found in enumerate(BLOCK.finditer((ROOT / page).read_text("utf-8")))
    if found[1].startswith("import ")
]


def test_there_is_something_to_show():
    """Each of the pages shows at least one whole program."""
    assert len(WHOLE) >= len(PAGES)


@pytest.mark.parametrize("source", WHOLE)
def test_a_document(source, server, pool, device, files):
    """A whole program runs to its end, given a server and a pool."""
    tab = new_tab(device, files.blank)
    faults: list[str] = []
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.evaluate(
        "(known) => Object.assign(globalThis, { render() {} }, known)",
        {"endpoint": server.endpoint, "pool": pool},
    )
    source = re.sub(
        r"""["']@millpond/sync["']""", '"/clients/js/sync/src/index.js"', source
    )
    tab.add_script_tag(content=f"{source}\nglobalThis.ended = true;", type="module")
    tab.wait_for_function("globalThis.ended")
    assert faults == []
