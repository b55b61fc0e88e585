"""
The table of the settings: the fields of `Settings`, with default, help and bounds.

`millpond serve --help` and the reference page are printed from it. Lengths of time end
in `_s`, sizes in `_bytes` or `_chars`; numbers that bound something end in `_max`.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from millpond import limits

PREFIX: Final = "MILLPOND_"


class LoginProvider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    What is known here of a login provider, beside what the identity pool says.

    Args:
        client_ids: the audiences that its tokens may name. Providers that a pool lists
            with an id of their own need none.
        keys: its JSON Web Key Set: the path of a file, or a URL. Empty: found by
            OpenID Connect discovery.
        discovery_url: of its OpenID configuration; empty: made from its name.
    """

    client_ids: list[str] = []
    keys: str = ""
    discovery_url: str = ""


class ImportSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    Where an identity pool moves in from, for the server and `millpond import follow`.

    Args:
        read_through: fetch an identity from there when somebody calls for one that is
            not here yet.
        timeout_s: how long a caller waits for that; then it is told to try again.
        endpoint_url: of its APIs; empty: as the AWS CLI finds them.
        profile: of the AWS CLI, with the credentials; empty: as it finds them.
        stream: URL of the pool's stream, kinesis://NAME?region=...
        files: a folder, or s3://BUCKET/prefix, with what Firehose put there.
        claims_until: to the end of that day (UTC), identities that came without the
            names of their users open to the first who shows their id and a token of
            one of their login providers (`core.claims`); None: they do not, and
            neither where the source can be asked (`read_through`).
    """

    read_through: bool = False
    timeout_s: int = 10
    endpoint_url: str = ""
    profile: str = ""
    stream: str = ""
    files: str = ""
    claims_until: datetime.date | None = None

    def are_claims_open(self, now_ms: int) -> bool:
        """Say whether identities may be claimed now."""
        if self.read_through or self.claims_until is None:
            return False  # a source that can be asked knows better
        end = datetime.datetime.combine(
            self.claims_until, datetime.time.max, datetime.UTC
        )
        return now_ms <= end.timestamp() * 1000


def setting(
    default: Any,
    help: str,
    *,
    least: int | None = None,
    most: int | None = None,
    is_path: bool = False,
) -> Any:
    """
    Describe a setting: its default, its help text and its bounds, inclusive.

    Args:
        is_path: it is text that names a file or a folder, or is empty.
    """
    metadata = {"help": help, "least": least, "most": most, "is_path": is_path}
    if isinstance(default, dict | list):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything an operator may choose."""

    data: Path = setting(
        Path("millpond-data"), "Folder of the embedded store, and of secret.key."
    )
    store: str = setting(
        "",
        "URL of a PostgreSQL database, postgresql://user:password@host/name. Empty: "
        "the embedded store, in the data folder.",
    )
    ephemeral: bool = setting(
        False,
        "Keep everything in memory, and nothing when the server ends: for tests of "
        "apps, which may then move its clock, drop its data and see its calls.",
    )
    listen_store: str = setting(
        "",
        "URL of the same database, past a pooler in transaction mode that store leads "
        "to; for a server's one or two connections that listen and hold locks.",
    )
    host: str = setting("127.0.0.1", "Address to listen on.")
    port: int = setting(
        8014, "Port to listen on; 0 takes a free one.", least=0, most=65535
    )
    readers: str | int = setting(
        "0",
        "Processes that answer what only reads, before the one that writes, so that "
        "all cores are used; auto: one less than there are cores. 0: one process does "
        "all.",
    )
    public_url: str = setting(
        "",
        "URL at which consumers reach this server, for links in stream records. "
        "Empty: made from host and port.",
    )
    trusted_proxies: list[str] = setting(
        [],
        "Addresses or networks (CIDR) of proxies that are believed where a request "
        "comes from; limits per peer then count its real sender.",
    )
    trusted_proxies_header: str = setting(
        "x-forwarded-for",
        "Header in which they write it, x-forwarded-for or forwarded. They must add to "
        "it whatever a client sends.",
    )
    tls_certificate: str = setting(
        "", "File with the TLS certificate chain (PEM).", is_path=True
    )
    tls_key: str = setting("", "File with the TLS private key (PEM).", is_path=True)
    console: str = setting(
        "auto",
        "Whether /console is served: on, off, or auto, where only over loopback or TLS "
        "(the server's own, or that of a trusted proxy).",
    )
    region: str = setting(
        "us-east-1", "Region that new ids and ARNs name and that signatures are for."
    )
    accepted_regions: list[str] = setting(
        [],
        "Further regions that a signature may be scoped to; '*' accepts any.",
    )
    account_id: str = setting(
        "000000000000",
        "The 12 digits that ARNs name, and LastModifiedBy for developer credentials.",
    )
    secret_key: str = setting(
        "",
        "32 bytes in hex that seal secrets at rest and sign tokens; all nodes of one "
        "database need the same. Empty: the file secret.key in the data folder, made "
        "at the first start.",
    )
    request_body_bytes_max: int = setting(
        limits.REQUEST_BODY_BYTES_MAX,
        "Largest request body; those of Kinesis may have 8 MiB in any case.",
        least=1024,
        most=256 * 1024 * 1024,
    )
    request_bodies_bytes_max: int = setting(
        256 * 1_048_576,
        "Bytes of all request bodies together that come in several pieces, from the "
        "first piece to the answer; further ones wait, and are then refused.",
        least=1_048_576,
    )
    request_bodies_bytes_per_peer_max: int = setting(
        128 * 1_048_576,
        "Bytes of those that come from one address.",
        least=1_048_576,
    )
    answers_bytes_max: int = setting(
        256 * 1_048_576,
        "Bytes of all answers together that wait for their readers; those who do not "
        "read give way.",
        least=1_048_576,
    )
    answers_bytes_per_peer_max: int = setting(
        128 * 1_048_576,
        "Bytes of those that go to one address.",
        least=1_048_576,
    )
    answer_send_timeout_s: int = setting(
        30,
        "How long a client may take nothing of an answer before it is cut off; live "
        "updates have live_send_timeout_s.",
        least=1,
        most=3600,
    )
    connections_max: int = setting(
        0,
        "Connections at a time; when it gets full, those that carry nothing give way. "
        "0: 4096 and as many as there may be listeners and subscriptions. Never more "
        "than the system allows open files.",
        least=0,
        most=1_000_000,
    )
    connections_per_peer_max: int = setting(
        1024,
        "Connections of one address on which nothing was signed rightly yet; the "
        "oldest that carry nothing are ended. Trusted proxies are not counted.",
        least=1,
        most=1_000_000,
    )
    multiplexed_requests_max: int = setting(
        8192,
        "Requests under way over HTTP/2, of all connections together; one address may "
        "have half of them, unless it is a trusted proxy.",
        least=2,
        most=1_000_000,
    )
    signature_window_s: int = setting(
        limits.SIGNATURE_WINDOW_S,
        "How far a request's date may be from the server's clock.",
        least=1,
        most=86_400,
    )
    explain_signatures: bool = setting(
        False,
        "Put the canonical request into signature errors. For debugging only.",
    )
    self_heal_sync_counts: bool = setting(
        False,
        "Answer a lastSyncCount above the dataset's as if it were 0, instead of "
        "refusing it.",
    )
    sync_session_lifetime_s: int = setting(
        limits.SYNC_SESSION_LIFETIME_S,
        "How long a SyncSessionToken is good for.",
        least=60,
        most=7 * 86_400,
    )
    user_credentials_lifetime_s: int = setting(
        limits.USER_CREDENTIALS_LIFETIME_S,
        "How long the temporary credentials of an identity are good for. Amplify keeps "
        "those of guests for 50 minutes, also when that is longer.",
        least=limits.USER_CREDENTIALS_LIFETIME_S_MIN,
        most=limits.USER_CREDENTIALS_LIFETIME_S_MAX,
    )
    token_issuer: str = setting(
        "https://cognito-identity.amazonaws.com",
        "The issuer that OpenID tokens of this server name.",
    )
    login_providers: dict[str, LoginProvider] = setting(
        {},
        "What is known of login providers, by provider name: client_ids, keys (a file "
        "or a URL), discovery_url.",
    )
    imports: dict[str, ImportSource] = setting(
        {},
        "Where pools move in from, by pool id: read_through, timeout_s, endpoint_url, "
        "profile, stream, files, claims_until.",
    )
    cors_origins: list[str] = setting(
        [],
        "Origins whose pages may call this server from a browser. A port may be '*'; "
        "'*' alone is any origin.",
    )
    datasets_per_identity_max: int = setting(
        limits.DATASETS_PER_IDENTITY_MAX, "Live datasets of one identity.", least=1
    )
    records_per_dataset_max: int = setting(
        limits.RECORDS_PER_DATASET_MAX, "Live records of one dataset.", least=1
    )
    dataset_bytes_max: int = setting(
        limits.DATASET_BYTES_MAX,
        "Size of one dataset: UTF-8 lengths of live keys and values.",
        least=1,
    )
    record_key_chars_max: int = setting(
        limits.RECORD_KEY_CHARS_MAX,
        "Characters of a record key.",
        least=1,
        most=limits.RECORD_KEY_CHARS_MAX,
    )
    record_value_chars_max: int = setting(
        limits.RECORD_VALUE_CHARS_MAX,
        "Characters of a record value.",
        least=1,
        most=limits.RECORD_VALUE_CHARS_MAX,
    )
    record_patches_max: int = setting(
        limits.RECORD_PATCHES_MAX,
        "Patches of one UpdateRecords: clients send all they have in one, removed "
        "records too. Never less than twice records_per_dataset_max.",
        least=1,
    )
    tombstones_per_dataset_max: int = setting(
        limits.TOMBSTONES_PER_DATASET_MAX,
        "Removed records of one dataset that are kept so that devices learn of it; "
        "beyond that the oldest expire at once. See tombstone_lifetime_s.",
        least=1,
    )
    tombstone_lifetime_s: int = setting(
        limits.TOMBSTONE_LIFETIME_S,
        "How long a removed record is kept so that devices learn of it. A device that "
        "was away for longer is told that the dataset was deleted, and gets all of it.",
        least=1,
        most=100 * 365 * 86_400,
    )
    audit_entries_max: int = setting(
        100_000,
        "Entries of the audit that are kept; the oldest go. What is changed for each "
        "user or record, and what is refused, has audit_frequent_entries_max.",
        least=1000,
        most=10_000_000,
    )
    audit_frequent_entries_max: int = setting(
        100_000,
        "Entries of the audit that are kept of record writes, sign-ins by developer "
        "keys, and of what was refused or failed.",
        least=1000,
        most=10_000_000,
    )
    identity_pools_max: int = setting(limits.POOLS_MAX, "Identity pools.", least=1)
    streams: dict[str, str] = setting(
        {},
        "Stream names and the URL of the sink behind each. A name that is not in the "
        "table is an embedded stream.",
    )
    stream_assume_roles: bool = setting(
        False,
        "Assume the RoleArn of a pool's CognitoStreams to write a Kinesis stream; "
        "otherwise it is written with the server's own AWS credentials.",
    )
    hook_secret: str = setting(
        "",
        "Signs what is sent to sync triggers behind a URL. Empty: made from the master "
        "secret; `millpond hook-secret` prints it.",
    )
    hook_private_networks: bool = setting(
        False,
        "Let sync triggers be at private, loopback and link-local addresses.",
    )
    lambda_endpoint: str = setting(
        "",
        "URL of the Lambda API for sync triggers, or of one function's invocations. "
        "Empty: that of AWS in the region of the function.",
    )
    stream_retention_s: int = setting(
        limits.STREAM_RETENTION_S,
        "How long an embedded stream keeps its records, unless the Kinesis API has "
        "given it a retention of its own.",
        least=60,
        most=365 * 86_400,
    )
    stream_payload_lifetime_s: int = setting(
        limits.STREAM_PAYLOAD_LIFETIME_S,
        "How long the link of a large stream record works; never less than "
        "stream_retention_s.",
        least=60,
        most=365 * 86_400,
    )
    stream_payload_store: str = setting(
        "",
        "Where the records of large stream records are kept: "
        "s3://BUCKET/prefix?region=&endpoint=&role_arn=. Empty: in the embedded store, "
        "served at public_url.",
    )
    bulk_publish_pause_s: int = setting(
        limits.BULK_PUBLISH_INTERVAL_S,
        "How long after a bulk publish of a pool has succeeded the next one may start; "
        "0: at once.",
        least=0,
        most=365 * 86_400,
    )
    bulk_publish_slices: int = setting(
        16, "Slices that a bulk publish is cut into.", least=1, most=256
    )
    bulk_publish_workers: int = setting(
        2, "Slices that this server publishes at the same time.", least=1, most=64
    )
    bulk_publish_retries_max: int = setting(
        6,
        "How often in a row a batch is tried again before the run fails.",
        least=0,
        most=100,
    )
    sns_endpoint: str = setting(
        "", "URL of the SNS API that pushes go to. Empty: that of AWS in each region."
    )
    push_assume_roles: bool = setting(
        False,
        "Assume the RoleArn of a pool's PushSync for its pushes; otherwise they go out "
        "with the server's own AWS credentials.",
    )
    live_listeners_max: int = setting(
        2500,
        "Listeners to live updates at a time; 0 switches them off.",
        least=0,
        most=100_000,
    )
    live_listeners_per_identity_max: int = setting(
        32, "Listeners of one identity among them.", least=1, most=10_000
    )
    live_comment_s: int = setting(
        15,
        "After how long without an event a listener is sent a comment, so that its "
        "connection is not taken for dead.",
        least=1,
        most=3600,
    )
    live_send_timeout_s: int = setting(
        30,
        "How long the connection of a listener may take no bytes before it is cut off.",
        least=1,
        most=3600,
    )
    connection_idle_s: int = setting(
        120,
        "How long a connection may carry nothing in either direction before it is "
        "ended. Twice live_comment_s when that is longer.",
        least=1,
        most=86_400,
    )
    unused_guest_lifetime_s: int = setting(
        0,
        "After how long without new credentials a guest is deleted who never had a "
        "dataset, a device or a login; 0: never. Not less than "
        f"{limits.UNUSED_GUEST_LIFETIME_S_MIN}.",
        least=0,
        most=10 * 365 * 86_400,
    )
    rate_new_identities_max: int = setting(
        10,
        "Calls of GetId a second from one peer, on average over a minute; 0: any. Each "
        "may make an identity. All limits of rates are shared between the servers of a "
        f"database, but none gets less than {limits.NEW_IDENTITIES_RATE_MIN}.",
        least=0,
        most=1_000_000,
    )
    rate_credentials_max: int = setting(
        50,
        "Other unsigned calls, which give out credentials and tokens, a second from "
        f"one peer; 0: any. Not less than {limits.CREDENTIALS_RATE_MIN}.",
        least=0,
        most=1_000_000,
    )
    rate_reads_max: int = setting(
        100,
        "Calls with the credentials of one identity that read (GET), a second; 0: any. "
        f"Not less than {limits.READS_RATE_MIN}.",
        least=0,
        most=1_000_000,
    )
    rate_writes_max: int = setting(
        100,
        "The same, of those that write; 0: any. "
        f"Not less than {limits.WRITES_RATE_MIN}.",
        least=0,
        most=1_000_000,
    )
    rate_developer_max: int = setting(
        0,
        "Calls with one developer key, a second; 0: any. Imports and bulk tools make "
        "many.",
        least=0,
        most=1_000_000,
    )
    connection_head_s: int = setting(
        30,
        "How long a new connection may take to bring its first request, with TLS and "
        "whatever else comes before, before it is ended.",
        least=1,
        most=3600,
    )
    init_folder: str = setting(
        "",
        "Folder of scripts, *.sh and *.py, that run one after another, by name, once "
        "the server answers; at every start. Empty: none.",
        is_path=True,
    )
    init_timeout_s: int = setting(
        600, "How long one of these scripts may take.", least=1, most=86_400
    )
    drain_s: int = setting(
        20, "How long requests under way may take at shutdown.", least=0, most=3600
    )
    log_level: str = setting("info", "Least level that is logged.")
    log_format: str = setting("auto", "json, console, or auto: by the terminal.")
    log_requests: bool = setting(
        False, "Log requests, not only those that fail here; see log_requests_every."
    )
    log_requests_every: int = setting(
        1,
        "With log_requests, log one request in so many, chosen by chance.",
        least=1,
        most=1_000_000,
    )

    @property
    def regions(self) -> frozenset[str] | None:
        """The regions a signature may be scoped to; None for any."""
        if "*" in self.accepted_regions:
            return None
        return frozenset({self.region, *self.accepted_regions})


class Row(NamedTuple):
    """One row of the table, for people."""

    name: str
    default: str
    help: str
    environment: str


def table() -> Iterator[Row]:
    """List the settings in order, for help pages and documents."""
    defaults = Settings()
    for each in dataclasses.fields(Settings):
        value = getattr(defaults, each.name)
        yield Row(
            each.name,
            "" if value in ("", [], {}) else _spell(value),
            each.metadata["help"],
            PREFIX + each.name.upper(),
        )


def _spell(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
