"""
The keys of login providers: found, kept, and asked for again.

Theory of operation
-------------------
Where the keys of a provider are is configured, or found by OpenID Connect discovery at
its name. Callers ask only for providers that a developer has named, so no stranger
chooses a host that this server talks to. But a stranger chooses the key id in a token,
and every unknown one could be that of a new key. So the keys are fetched again

* after an hour,
* for an unknown key id,
* when none of those kept verifies a token: providers put a new key in the place of one,
  under the same id or none, and the one that was withdrawn must not be believed for
  longer than it takes to notice,

but at most once in half a minute for each provider, and by one fetch at a time, which
all who need its outcome wait for. When it fails, the keys of the last time are used: a
provider that is down must not lock out users whose tokens are good. Without any keys,
the provider is asked again after a few seconds, and until then the failure is repeated.

A file is looked at each time, and read when it has changed.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from millpond.errors import LoginProviderError
from millpond.login_providers.documents import read_configuration, read_key_set
from millpond.login_providers.fetching import DOCUMENT_BYTES_MAX, fetch
from millpond.settings import LoginProvider

if TYPE_CHECKING:
    from jwt import PyJWK

    Keys = tuple[PyJWK, ...]

_log = structlog.get_logger()

PROVIDERS_MAX: Final = 1000  # kept at a time; each has some KiB of keys
FETCH_S_MAX: Final = 5.0  # discovery and keys together
LIFETIME_MS: Final = 3_600_000
REFRESH_PAUSE_MS: Final = 30_000  # between two fetches, with keys in hand
FAILURE_PAUSE_MS: Final = 5_000  # without
_DISCOVERY_PATH: Final = "/.well-known/openid-configuration"
_HOST_AND_PATH: Final = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?(/[\w.~/-]*)?", re.ASCII)


class _KeySource(Protocol):
    """Where the keys of one provider come from."""

    loaded_ms: int | None  # when they were last read

    async def find(self, key_id: str | None, *, doubted: bool) -> Keys:
        """Find its keys of an id; as `LoginProviderKeys.find_keys`."""
        ...


def monotonic_ms() -> int:
    """Read a clock that is never set back."""
    return time.monotonic_ns() // 1_000_000


class ProviderKeys:
    """The keys of all login providers; it is a `LoginProviderKeys`."""

    def __init__(
        self,
        providers: Mapping[str, LoginProvider],
        *,
        now_ms: Callable[[], int] = monotonic_ms,
        fetch_s_max: float = FETCH_S_MAX,
        providers_max: int = PROVIDERS_MAX,
    ) -> None:
        """
        Args:
            providers: what is configured, by provider name; others are discovered.
            now_ms: measures how old keys are; any clock that goes on will do.
        """
        self._providers = providers
        self._now_ms = now_ms
        self._fetch_s_max = fetch_s_max
        self._providers_max = providers_max
        self._sources: OrderedDict[str, _KeySource] = OrderedDict()

    async def find_keys(
        self, provider_name: str, key_id: str | None, *, doubted: bool = False
    ) -> Sequence[PyJWK]:
        """Find the keys that may have signed a token; see `LoginProviderKeys`."""
        return await self._source(provider_name).find(key_id, doubted=doubted)

    def age_ms(self, provider_name: str) -> int | None:
        """Say how long ago its keys were read; see `LoginProviderKeys`."""
        source = self._sources.get(provider_name)
        if source is None or source.loaded_ms is None:
            return None
        return self._now_ms() - source.loaded_ms

    def _source(self, provider_name: str) -> _KeySource:
        """Find the source of a provider; the one unused for longest makes room."""
        source = self._sources.get(provider_name)
        if source is None:
            source = self._sources[provider_name] = self._make_source(provider_name)
            if len(self._sources) > self._providers_max:
                self._sources.popitem(last=False)
        self._sources.move_to_end(provider_name)
        return source

    def _make_source(self, provider_name: str) -> _KeySource:
        provider = self._providers.get(provider_name, LoginProvider())
        keys, discovery_url = provider.keys, provider.discovery_url
        if keys and not keys.startswith(("http://", "https://")):
            return _KeyFile(provider_name, Path(keys), now_ms=self._now_ms)

        def load() -> Keys:
            deadline_s = time.monotonic() + self._fetch_s_max
            if keys:
                return read_key_set(fetch(keys, deadline_s=deadline_s))
            return _discover(provider_name, discovery_url, deadline_s=deadline_s)

        return _FetchedKeys(
            provider_name, load, now_ms=self._now_ms, wait_s_max=self._fetch_s_max
        )


class _KeyFile:
    """Keys in a file of the operator's."""

    def __init__(
        self, provider_name: str, path: Path, *, now_ms: Callable[[], int]
    ) -> None:
        self.loaded_ms: int | None = None
        self._now_ms = now_ms
        self._provider_name = provider_name
        self._path = path
        self._version: tuple[int, ...] = ()
        self._keys: Keys = ()
        self._failure = ""

    async def find(self, key_id: str | None, *, doubted: bool) -> Keys:
        failure = await asyncio.to_thread(self._read_when_changed)
        if failure and failure != self._failure:
            _note(self._provider_name, failure)
        self._failure = failure
        if failure and (doubted or not self._keys):
            raise _unreadable(self._provider_name, failure)
        return _candidates(self._keys, key_id)

    def _read_when_changed(self) -> str:
        """Read the file when it is another one than before; say what went wrong."""
        try:
            status = self._path.stat()
            version = (status.st_mtime_ns, status.st_size, status.st_ino)
            if version != self._version:
                self._keys = read_key_set(self._read())
                self._version = version
                self.loaded_ms = self._now_ms()
        except OSError as error:
            return f"'{self._path}': {error.strerror}."
        except LoginProviderError as error:
            return str(error)
        return ""

    def _read(self) -> bytes:
        with self._path.open("rb") as file:
            document = file.read(DOCUMENT_BYTES_MAX + 1)
        if len(document) > DOCUMENT_BYTES_MAX:
            raise LoginProviderError(
                f"'{self._path}' is over {DOCUMENT_BYTES_MAX} bytes."
            )
        return document


class _FetchedKeys:
    """Keys that are fetched, as of the last time that this went well."""

    def __init__(
        self,
        provider_name: str,
        load: Callable[[], Keys],
        *,
        now_ms: Callable[[], int],
        wait_s_max: float,
    ) -> None:
        """
        Args:
            load: fetches the keys; it blocks, and raises a `LoginProviderError`.
            wait_s_max: how long a caller waits for a fetch, whoever began it.
        """
        self._provider_name = provider_name
        self._load = load
        self._now_ms = now_ms
        self._wait_s_max = wait_s_max
        self._keys: Keys = ()
        self.loaded_ms: int | None = None
        self._asked_ms: int | None = None
        self._failure = ""
        self._asking: asyncio.Task[None] | None = None

    async def find(self, key_id: str | None, *, doubted: bool) -> Keys:
        if doubted or not (self._is_fresh() and self._has(key_id)):
            if self._asking is None and self._may_ask():
                self._asked_ms = self._now_ms()
                self._asking = asyncio.create_task(self._ask())
            if self._asking is not None:
                await self._wait(self._asking)
        found = _candidates(self._keys, key_id)
        if self._failure and (doubted or not found):
            raise _unreadable(self._provider_name, self._failure)
        return found

    def _is_fresh(self) -> bool:
        return self.loaded_ms is not None and (
            self._now_ms() - self.loaded_ms < LIFETIME_MS
        )

    def _has(self, key_id: str | None) -> bool:
        return key_id is None or any(each.key_id == key_id for each in self._keys)

    def _may_ask(self) -> bool:
        pause_ms = REFRESH_PAUSE_MS if self._keys else FAILURE_PAUSE_MS
        return self._asked_ms is None or self._now_ms() - self._asked_ms >= pause_ms

    async def _wait(self, asking: asyncio.Task[None]) -> None:
        """Wait for a fetch; it goes on when this caller is cancelled or gives up."""
        assert self._asked_ms is not None
        waited_s = (self._now_ms() - self._asked_ms) / 1000
        done, _ = await asyncio.wait(
            {asking}, timeout=max(0, self._wait_s_max - waited_s)
        )
        if not done:
            self._failure = "it does not answer in time."
        for each in done:
            each.result()  # raises what is a fault of ours

    async def _ask(self) -> None:
        try:
            self._keys = await asyncio.to_thread(self._load)
            self.loaded_ms = self._now_ms()
            self._failure = ""
        except LoginProviderError as error:
            self._failure = str(error)
            _note(self._provider_name, self._failure)
        finally:
            self._asking = None


def _candidates(keys: Keys, key_id: str | None) -> Keys:
    """Choose the keys of an id; one that has no id may have signed any token."""
    return tuple(e for e in keys if key_id is None or e.key_id in (None, key_id))


def _discover(provider_name: str, discovery_url: str, *, deadline_s: float) -> Keys:
    """Find out where a provider has its keys, and fetch them."""
    if not discovery_url:
        if not _HOST_AND_PATH.fullmatch(provider_name):
            raise LoginProviderError("its name is not that of a host.")
        discovery_url = f"https://{provider_name.rstrip('/')}{_DISCOVERY_PATH}"
    jwks_uri = read_configuration(
        fetch(discovery_url, deadline_s=deadline_s),
        provider_name=provider_name,
        # Whoever configured the one without TLS wants the other so, too.
        may_be_http=discovery_url.startswith("http://"),
    )
    return read_key_set(fetch(jwks_uri, deadline_s=deadline_s))


def _unreadable(provider_name: str, failure: str) -> LoginProviderError:
    return LoginProviderError(
        f"The keys of login provider '{provider_name}' cannot be read: {failure}"
    )


def _note(provider_name: str, failure: str) -> None:
    _log.warning(
        "login_provider.unreadable", provider_name=provider_name, error=failure
    )
