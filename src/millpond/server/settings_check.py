"""
What settings need from outside: files, folders, drivers.

Looked at before anything starts, without reaching anybody: whether a stream or a
database answers is found out later, and may change.
"""

from __future__ import annotations

import os
import shlex
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from millpond import limits
from millpond.errors import LoginProviderError, SettingsError
from millpond.login_providers.documents import read_key_set
from millpond.server.init_folder import find_scripts
from millpond.server.stores import load_postgres
from millpond.settings import Problem, Reading, Settings
from millpond.settings.values import describe
from millpond.sinks import ENGINES, load_engine, make_sink, sink_factories
from millpond.sinks.base import embedded_name
from millpond.sinks.kinesis_api import read_address
from millpond.sinks.s3_payloads import S3Payloads, read_bucket_url
from millpond.stores.base import StreamStore

# PostgreSQL: names in the query of a URL whose values are files (libpq).
_POSTGRES_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")
_STREAM_NAME: Final = (
    f"1 to {limits.STREAM_NAME_CHARS_MAX} letters, digits, '_', '-' and '.'"
)
_POSTGRES_NO_FILE: Final = "system"  # sslrootcert=system: those of the machine


def find_problems(reading: Reading, *, to_start: bool = False) -> list[Problem]:
    """
    Find everything that is wrong with the values themselves, and the files, folders and
    drivers that they name and that cannot be used.

    Args:
        to_start: leave out for what a server starts all the same, and others must not
            be kept out because of it. The keys of a login provider are looked for at
            each sign-in; a pool that moves in may be the only one that does.
    """
    wrong = {each.setting for each in reading.problems}
    found = [*_of_ephemeral(reading), *_find_missing(reading.settings)]
    if not to_start:
        found += _of_providers(reading.settings)
        found += _of_imports(reading.settings)
        found += _of_stream_names(reading.settings)
    missing = [
        Problem(name, text, reading.origins.get(name, ""))
        for name, text in found
        if name not in wrong
    ]
    return [*reading.problems, *missing]


def _find_missing(settings: Settings) -> Iterator[tuple[str, str]]:
    yield from (
        *_of_data(settings),
        *_of_tls(settings),
        *_of_streams(settings),
        *_of_payloads(settings),
        *_of_database(settings),
        *_of_init(settings),
    )


_Missing = Iterator[tuple[str, str]]


def _of_ephemeral(reading: Reading) -> _Missing:
    if reading.settings.ephemeral and "data" in reading.origins:
        yield (
            "ephemeral",
            f"An ephemeral server keeps nothing, and {reading.origins['data']} names a "
            "folder to keep it in. Leave out one of them.",
        )


def _of_data(settings: Settings) -> _Missing:
    if settings.ephemeral or (settings.store and settings.secret_key):
        return  # nothing is kept there, and none is made
    reason = _why_no_data(settings.data, writes=not settings.store)
    if reason:
        yield "data", f"Setting 'data': {reason}"


def _why_no_data(folder: Path, *, writes: bool) -> str:
    """
    Say why a data folder cannot be used, or cannot be made; empty when it can.

    Args:
        writes: whether a server does so there; secret.key alone may be read-only.
    """
    place = folder.absolute()
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    if place == folder.absolute():
        if not os.path.isdir(place):
            return f"'{folder}' is not a folder."
        return _why_no_folder(str(folder)) if writes else ""
    if not os.path.isdir(place):
        return f"'{folder}' cannot be made: '{place}' is not a folder."
    if not os.access(place, os.W_OK | os.X_OK):
        return f"'{folder}' cannot be made: this user cannot write into '{place}'."
    return ""


def _of_init(settings: Settings) -> _Missing:
    if settings.init_folder:
        try:
            find_scripts(Path(settings.init_folder))
        except SettingsError as error:
            yield "init_folder", f"Setting 'init_folder': {error}"


def _of_tls(settings: Settings) -> _Missing:
    paths = {
        name: path
        for name in ("tls_certificate", "tls_key")
        if (path := getattr(settings, name))
    }
    reasons = {path: _unreadable(path) for path in paths.values()}
    missing = [name for name, path in paths.items() if reasons[path]]
    if missing:  # both may be one file
        why = " ".join(filter(None, reasons.values()))
        yield missing[0], f"Setting '{missing[0]}': {why}"
    if missing or len(paths) < 2:
        return
    reason = _why_no_pair(settings.tls_certificate, settings.tls_key)
    if reason:
        yield (
            "tls_certificate",
            f"The TLS files '{settings.tls_certificate}' and '{settings.tls_key}' "
            f"cannot be used: {reason}.",
        )


class _PassphraseError(Exception):
    """A key is sealed with one."""


def _ask_nobody() -> str:
    raise _PassphraseError


def _why_no_pair(certificate: str, key: str) -> str:
    """Say why a certificate and its key cannot be served; empty when they can."""
    for path, mark, what in (
        (certificate, b"CERTIFICATE-----", "certificate"),
        (key, b"PRIVATE KEY-----", "private key"),
    ):
        if mark not in Path(path).read_bytes():
            return f"'{path}' has no {what} in PEM"
    try:
        # Without a password, OpenSSL would ask for it on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            certificate, key, password=_ask_nobody
        )
    except _PassphraseError:
        return (
            f"'{key}' has a passphrase, for which a server can ask nobody; "
            "'openssl pkey' writes the key without it"
        )
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"the key in '{key}' is not that of the certificate"
        said = f" ({error.reason})" if error.reason else ""
        return f"they are damaged, or of an unknown kind{said}"
    except OSError as error:
        return str(error.strerror)
    return ""


def _of_providers(settings: Settings) -> _Missing:
    for name, provider in settings.login_providers.items():
        if not provider.keys or "://" in provider.keys:
            continue
        reason = _unreadable(provider.keys)
        if not reason:
            try:
                read_key_set(Path(provider.keys).read_bytes())
            except LoginProviderError as error:
                reason = f"'{provider.keys}': {error}"
            except OSError as error:
                reason = f"'{provider.keys}': {error.strerror}."
        if reason:
            yield "login_providers", f"Setting 'login_providers', '{name}': {reason}"


def _of_imports(settings: Settings) -> _Missing:
    for pool_id, source in settings.imports.items():
        entry = f"Setting 'imports', entry '{pool_id}'"
        for key, reason in (
            ("stream", _why_no_feed(source.stream)),
            ("files", _why_no_files(source.files)),
        ):
            if reason:
                yield "imports", f"{entry}, '{key}': {reason}"
        if source.profile and source.profile not in _profiles():
            yield (
                "imports",
                f"{entry}: There is no profile '{source.profile}' in the files of the "
                "AWS CLI.",
            )


def _why_no_feed(url: str) -> str:
    if not url.lower().startswith("kinesis://"):
        return ""  # none, or what is told of it where values are looked at
    try:
        read_address(url)
    except SettingsError as error:
        return str(error)
    return ""


def _why_no_files(place: str) -> str:
    if not place:
        return ""
    if place.lower().startswith("s3://"):
        try:
            read_bucket_url(place)
        except SettingsError as error:
            return str(error)
        return ""
    folder = place.removeprefix("file://")
    return "" if os.path.isdir(folder) else f"There is no folder '{folder}'."


def _profiles() -> list[str]:
    import botocore.session  # late: few move in, and it takes a while

    found: list[str] = botocore.session.Session().available_profiles
    return found


def _of_stream_names(settings: Settings) -> _Missing:
    for name in settings.streams:
        if not _is_stream_name(name):
            yield (
                "streams",
                f"Setting 'streams' has {describe(name)}; the name of a stream is "
                f"{_STREAM_NAME}, and no pool can have this one.",
            )


def _is_stream_name(text: str) -> bool:
    from millpond.contract.kinesis.values import StreamName  # late: few name streams

    try:
        msgspec.convert(text, StreamName)
    except msgspec.ValidationError:
        return False
    return True


def _of_streams(settings: Settings) -> _Missing:
    for name, url in settings.streams.items():
        reason = _why_no_stream(url)
        if reason:
            yield "streams", f"Setting 'streams', entry '{name}': {reason}"


def _why_no_stream(url: str) -> str:
    # The store is only kept by what is made; nothing is opened.
    factories = sink_factories(store=_NO_STORE, now_ms=int)
    try:
        make_sink(url, factories)
    except SettingsError as error:
        return str(error)
    scheme = url.partition(":")[0].lower()
    if (embedded := embedded_name(url)) is not None:
        return _why_no_name(embedded)
    if scheme not in ENGINES:
        return ""
    if scheme == "file":
        return _why_no_folder(load_engine(scheme).parse_url(url).folder)
    given = dict(parse_qsl(urlsplit(url).query))
    return _unreadable(given["ca"]) if given.get("ca") else ""


class _NoStore:
    """Stands for a store where none is used."""


_NO_STORE: StreamStore = _NoStore()  # type: ignore[assignment]


def _why_no_name(stream_name: str) -> str:
    if _is_stream_name(stream_name):
        return ""
    return (
        "The URL of an embedded stream is embedded:NAME, where NAME has "
        f"{_STREAM_NAME}."
    )


def _why_no_folder(folder: str) -> str:
    if not os.path.exists(folder):
        make = f"mkdir -p {shlex.quote(folder)}"
        return f"There is no folder '{folder}'. Make it: {make}"
    if not os.path.isdir(folder):
        return f"'{folder}' is not a folder."
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return f"The folder '{folder}' cannot be written by this user."
    return ""


def _of_payloads(settings: Settings) -> _Missing:
    if settings.stream_payload_store:
        try:
            S3Payloads(settings.stream_payload_store)
        except SettingsError as error:
            yield "stream_payload_store", f"Setting 'stream_payload_store': {error}"


def _of_database(settings: Settings) -> _Missing:
    if not settings.store:
        return
    try:
        load_postgres()
    except SettingsError as error:
        yield "store", f"Setting 'store': {error}"
    for setting in ("store", "listen_store"):
        for name, reason in _unreadable_files(getattr(settings, setting)):
            yield setting, f"Setting '{setting}', option '{name}': {reason}"


def _unreadable_files(url: str) -> Iterator[tuple[str, str]]:
    """Find the files that the URL of a database names and that cannot be read."""
    try:
        given = parse_qsl(urlsplit(url).query)
    except ValueError:
        return  # a password with characters that stand for themselves; it is told later
    for name, path in given:
        if name in _POSTGRES_FILES and path != _POSTGRES_NO_FILE:
            reason = _unreadable(unquote(path))
            if reason:
                yield name, reason


def _unreadable(path: str) -> str:
    """Say why a file cannot be read; empty when it can."""
    try:
        with open(path, "rb") as file:
            file.read(1)
    except FileNotFoundError:
        return f"There is no file '{path}'."
    except IsADirectoryError:
        return f"'{path}' is a folder, not a file."
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no path"
        return f"'{path}' cannot be read: {reason}."
    return ""
