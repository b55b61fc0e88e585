"""
Make the pictures of the documentation: pages of the console with the demo's data.

`make screenshots` runs it. It needs Chromium; MILLPOND_TEST_CHROMIUM names another one.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import sync_playwright
from rich.console import Console

from millpond.cli import demo
from millpond.testing.server import RunningServer

IMAGES: Final = Path(__file__).parent / "images"
NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
SIZE: Final = {"width": 1200, "height": 700}  # CSS pixels


def main() -> int:
    """Make them all."""
    chosen = os.environ.get("MILLPOND_TEST_CHROMIUM")
    found = [shutil.which(each) for each in ([chosen] if chosen else NAMES)]
    browser_path = next(filter(None, found), None)
    if browser_path is None:
        print("screenshots: there is no Chromium.", file=sys.stderr)
        return 1
    IMAGES.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="millpond-screenshots-") as folder,
        RunningServer(Path(folder), settings=demo.SETTINGS) as server,
        sync_playwright() as playwright,
    ):
        demo.run(Console(quiet=True), server)
        browser = playwright.chromium.launch(
            executable_path=browser_path, args=["--no-sandbox"]
        )
        page = browser.new_page(viewport=SIZE)
        page.goto(f"{server.endpoint}/console/login")
        page.fill("[name=access_key_id]", server.access_key_id)
        page.fill("[name=secret_access_key]", server.secret_access_key)
        page.click("main button")
        for name, path in _paths(server).items():
            _take(page, f"{server.endpoint}{path}", name)
        browser.close()
    return 0


def _paths(server: RunningServer) -> dict[str, str]:
    """Say which page each picture shows."""
    identities = server.client("cognito-identity")
    (pool,) = identities.list_identity_pools(MaxResults=1)["IdentityPools"]
    pool_id = pool["IdentityPoolId"]

    user = identities.lookup_developer_identity(
        IdentityPoolId=pool_id, DeveloperUserIdentifier="user-000"
    )
    identity_id = user["IdentityId"]
    return {
        "overview": "/console",
        "identities": f"/console/identities?pool={pool_id}",
        "dataset": f"/console/identities/{identity_id}/datasets/progress",
        "bulk-publish": f"/console/pools/{pool_id}/publish",
    }


def _take(page: Any, url: str, name: str) -> None:
    answer = page.goto(url)
    if answer.status != 200:
        raise RuntimeError(f"{url}: {answer.status}")
    page.screenshot(path=IMAGES / f"{name}.png")
    print(f"docs/images/{name}.png: {page.title()}")


if __name__ == "__main__":
    sys.exit(main())
