"""
An app on our client: how a tab or Node.js opens it, and what the tests ask of it.

Wherever it runs, `sync` and `prefs` are global there, and `told` has what a
subscription was told.
"""

from __future__ import annotations

from typing import Any, Final

from millpond.testing.server import RunningServer, wait_until

DATASET: Final = "prefs"
WAIT_S: Final = 30.0
KEYS: Final = 50

_OPEN: Final = """async ({ endpoint, pool, dataset, storage }) => {
  const { guest, newest, openSync } = millpond;
  globalThis.sync = await openSync({
    endpoint, pool, storage: millpond[storage](), credentials: guest(),
  });
  globalThis.prefs = sync.dataset(dataset, { merge: newest });
  globalThis.told = {};
  prefs.subscribe((changes) => {
    for (const [key, value] of Object.entries(changes)) told[key] = value ?? null;
  });
}"""
_SET: Final = """async (values) => {
  const writes = Object.entries(values).map(([key, value]) => prefs.set(key, value));
  await Promise.all(writes);
}"""
_SYNC: Final = """async () => {
  try {
    return { report: await prefs.sync() };
  } catch ({ name, code, dataset }) {
    return { failed: { name, code, dataset } };
  }
}"""


class App:
    """One tab, or one process of Node.js, with the client open."""

    def __init__(
        self,
        runtime: Any,
        server: RunningServer,
        pool: str,
        *,
        dataset: str = DATASET,
        storage: str = "indexedDB",
    ) -> None:
        """
        Open the client.

        Args:
            runtime: what has `evaluate`: a page of Playwright, or an `InNode`.
            storage: the name of the function that makes it.
        """
        self.runtime = runtime
        self.pool = pool
        argument = {
            "endpoint": server.endpoint,
            "pool": pool,
            "dataset": dataset,
            "storage": storage,
        }
        self._argument = argument
        self.reopen()

    def reopen(self) -> None:
        """Open it, again where it was closed."""
        self.runtime.evaluate(_OPEN, self._argument)

    def set(self, **values: str) -> None:
        """Write keys; they are stored when this returns."""
        self.runtime.evaluate(_SET, values)

    def synchronize(self) -> dict[str, Any]:
        """Synchronize, and give the report, or `failed` with what it failed of."""
        done: dict[str, Any] = self.runtime.evaluate(_SYNC)
        return done

    @property
    def items(self) -> dict[str, str]:
        """Every key with its value, as the app sees them."""
        found: dict[str, str] = self.runtime.evaluate(
            "async () => Object.fromEntries(await prefs.items())"
        )
        return found

    @property
    def told(self) -> dict[str, str | None]:
        """What the subscription was told last, by key; None: removed."""
        found: dict[str, str | None] = self.runtime.evaluate("() => told")
        return found

    @property
    def status(self) -> dict[str, Any]:
        """The status of the dataset."""
        found: dict[str, Any] = self.runtime.evaluate(
            "async () => { const { unsent, setAside } = await prefs.status();"
            " return { unsent, setAside }; }"
        )
        return found

    @property
    def identity_id(self) -> str:
        """Whose the data is."""
        found: str = self.runtime.evaluate(
            "async () => (await sync.status()).identityId"
        )
        return found

    def wait_for(self, **values: str) -> None:
        """Wait until the app was told of these values."""
        wait_until(lambda: values.items() <= self.told.items(), timeout_s=WAIT_S)


class AtServer:
    """The same data as a developer sees it, and changes it."""

    def __init__(
        self, developer: Any, pool: str, identity_id: str, dataset: str = DATASET
    ) -> None:
        self._developer = developer
        self._place = {
            "IdentityPoolId": pool,
            "IdentityId": identity_id,
            "DatasetName": dataset,
        }

    @property
    def items(self) -> dict[str, str]:
        """Every key with its value."""
        records = self._developer.list_records(**self._place)["Records"]
        return {each["Key"]: each["Value"] for each in records if "Value" in each}

    def set(self, **values: str) -> None:
        """Write keys, as another device would."""
        answer = self._developer.list_records(**self._place)
        counts = {each["Key"]: each["SyncCount"] for each in answer["Records"]}
        patches = [
            {
                "Op": "replace",
                "Key": key,
                "Value": value,
                "SyncCount": counts.get(key, 0),
            }
            for key, value in values.items()
        ]
        self._developer.update_records(
            **self._place,
            SyncSessionToken=answer["SyncSessionToken"],
            RecordPatches=patches,
        )

    def wait_for(self, **values: str) -> None:
        """Wait until these values are there."""
        wait_until(lambda: values.items() <= self.items.items(), timeout_s=WAIT_S)


def keep_writing(app: App) -> dict[str, str]:
    """
    Have a page write for ever, each key again and again, a higher number each time.

    Returns:
        What the page was told to be stored when each key had been written once.
    """
    acknowledged: dict[str, str] = {}
    app.runtime.expose_binding(
        "acknowledge", lambda _, key, value: acknowledged.update({key: value})
    )
    app.runtime.evaluate(
        """(keys) => void (async () => {
          for (let number = 0; ; number++) {
            const key = `key-${number % keys}`;
            await prefs.set(key, String(number));
            acknowledge(key, String(number));
          }
        })()""",
        KEYS,
    )

    def written() -> bool:
        app.runtime.evaluate("0")  # lets what was told come in
        return len(acknowledged) >= KEYS

    wait_until(written, timeout_s=WAIT_S)
    return dict(acknowledged)


def behind(found: dict[str, str], sure: dict[str, str]) -> dict[str, str]:
    """Give what is sure to have been stored, and is not there or is an older one."""
    return {
        key: value
        for key, value in sure.items()
        if int(found.get(key, -1)) < int(value)
    }
