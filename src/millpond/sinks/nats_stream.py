"""
What a JetStream stream tells of itself, and what that means for who writes to it.

Its answer to `$JS.API.STREAM.INFO` is read here into a `Target` (`core.targets`): every
setting by which the stream acknowledges what it does not keep.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from millpond.core.targets import Property, Target, Words
from millpond.errors import SinkError, SinkUnavailableError, StreamGoneError

STREAM_NOT_FOUND: Final = 10059  # NATS: error code of the JetStream API

_NS_PER_MS: Final = 1_000_000
_WORK_QUEUE: Final = "workqueue"
_INTEREST: Final = "interest"


class StreamInfo(NamedTuple):
    """What is to be known of a stream before it is written or read."""

    subject: str  # that is published to; empty: it has not just one
    stored_subject: str  # under which messages are kept; empty: not known
    message_bytes_max: int  # headers included; the server's limit counts too
    first_sequence: int
    last_sequence: int  # 0: it is empty
    has_gaps: bool  # messages were removed between others
    retention: str
    target: Target


class ApiError(msgspec.Struct):
    """An error of the JetStream API."""

    code: int = 0  # like that of HTTP
    err_code: int = 0
    description: str = ""


class _Named(msgspec.Struct):
    name: str = ""


class _Transform(msgspec.Struct):
    src: str = ""
    dest: str = ""


class _Config(msgspec.Struct):
    subjects: list[str] = msgspec.field(default_factory=list)
    max_msg_size: int = -1
    sealed: bool = False
    no_ack: bool = False
    retention: str = "limits"
    storage: str = "file"
    persist_mode: str = ""  # NATS 2.12
    discard: str = "old"
    max_age: int = 0  # nanoseconds; 0: without end
    max_msgs: int = -1
    max_bytes: int = -1
    max_msgs_per_subject: int = -1
    mirror: _Named | None = None
    subject_transform: _Transform | None = None
    allow_msg_counter: bool = False  # NATS 2.12


class _State(msgspec.Struct):
    first_seq: int = 0
    last_seq: int = 0
    num_deleted: int = 0


class Info(msgspec.Struct):
    """The answer to the question for a stream."""

    created: str = ""
    config: _Config = msgspec.field(default_factory=_Config)
    state: _State = msgspec.field(default_factory=_State)
    error: ApiError | None = None


class _ConsumerConfig(msgspec.Struct):
    durable_name: str = ""
    filter_subject: str = ""
    filter_subjects: list[str] = msgspec.field(default_factory=list)


class Consumer(msgspec.Struct):
    """A consumer of a stream."""

    created: str = ""
    config: _ConsumerConfig = msgspec.field(default_factory=_ConsumerConfig)


class Consumers(msgspec.Struct):
    """A page of the list of a stream's consumers."""

    total: int = 0
    consumers: list[Consumer] = msgspec.field(default_factory=list)
    error: ApiError | None = None


decode_info = msgspec.json.Decoder(Info).decode
decode_consumers = msgspec.json.Decoder(Consumers).decode


def needs_readers(info: Info) -> bool:
    """Say whether the stream keeps only what its consumers wait for."""
    return info.config.retention == _INTEREST


def describe(
    info: Info,
    name: str,
    *,
    subject: str,
    payload_bytes_max: int,
    consumers: Iterable[Consumer] = (),
    volatile: bool = False,
) -> StreamInfo:
    """
    Read what a stream tells of itself.

    Args:
        subject: that the URL names; empty: the only one that the stream has.
        payload_bytes_max: the limit of the server.
        consumers: those of the stream; asked for when it `needs_readers`.
        volatile: whether it may keep its messages in memory.
    Raises:
        StreamGoneError: it is sealed.
    """
    config, state = info.config, info.state
    if config.sealed:
        raise StreamGoneError(f"NATS stream '{name}' is sealed.")
    if not subject and len(config.subjects) == 1 and is_plain(config.subjects[0]):
        subject = config.subjects[0]
    stored = _stored_subject(config, subject)
    keeps_read = config.retention not in (_WORK_QUEUE, _INTEREST)
    readers = _readers(consumers, stored) if needs_readers(info) else None
    limits = [payload_bytes_max, config.max_msg_size]
    return StreamInfo(
        subject=subject,
        stored_subject=stored,
        message_bytes_max=min(each for each in limits if each > 0),
        first_sequence=state.first_seq,
        last_sequence=state.last_seq,
        has_gaps=state.num_deleted > 0,
        retention=config.retention,
        target=Target(
            name=f"NATS stream '{name}'",
            properties={
                **_who_takes(config, name, subject),
                **_who_drops(config, name, subject, keeps_read=keeps_read),
                **_who_reads(config, name, readers),
                **({} if volatile else _where(config, name)),
            },
            identity=info.created,
            keeps_ms=config.max_age // _NS_PER_MS if config.max_age > 0 else None,
            # What is read goes where only the unread is kept, and is no loss.
            oldest={"": state.first_seq} if keeps_read else {},
            following={"": state.last_seq + 1},
            readers=readers,
        ),
    )


def only_subject(info: StreamInfo, name: str) -> str:
    """
    Give the subject to publish to.

    Raises:
        SinkError: no subject is named, and the stream has not just one.
    """
    if info.subject:
        return info.subject
    raise SinkError(
        f"NATS stream '{name}' has not just one subject without wildcards.",
        hint="Name the one to use in the URL of the stream: ?subject=SUBJECT.",
    )


def refuse_reading_back(info: StreamInfo, name: str) -> None:
    """
    Make sure that a stream can be read by somebody who only looks.

    Raises:
        SinkError: what it holds is for its consumers alone.
    """
    if info.retention == _WORK_QUEUE:
        raise SinkError(
            f"NATS stream '{name}' is a work queue (retention=workqueue): each record "
            "is for one consumer, and goes when that has it. Nobody can read it back.",
            hint="A stream with retention=limits that has it as a source can be read.",
        )


def is_plain(subject: str) -> bool:
    """Say whether this is one subject that can be published to."""
    return re.fullmatch(r"[^\s.*>]+(\.[^\s.*>]+)*", subject) is not None


def matches(pattern: str, subject: str) -> bool:
    """Say whether a subject without wildcards is one of those of a pattern."""
    wanted, given = pattern.split("."), subject.split(".")
    for index, token in enumerate(wanted):
        if token == ">":
            return len(given) > index
        if index >= len(given) or token not in ("*", given[index]):
            return False
    return len(wanted) == len(given)


def not_found(name: str) -> StreamGoneError:
    """Make the error of a stream that does not exist."""
    return StreamGoneError(
        f"NATS has no stream '{name}'.",
        hint=f"Create it with `nats stream add {name}`.",
    )


def refused(name: str, error: ApiError) -> SinkUnavailableError:
    """Make the error of an answer that says something else."""
    return SinkUnavailableError(
        f"NATS stream '{name}' cannot be looked up: {error.description}."
    )


def _who_takes(config: _Config, name: str, subject: str) -> Mapping[Property, Words]:
    """Find what keeps the stream from taking our records at all."""
    if config.mirror is not None:
        origin = config.mirror.name
        return {
            Property.TAKES_NOTHING: Words(
                f"it is a mirror of '{origin}'",
                f"Publish to the stream that it mirrors: nats://HOST/{origin}.",
            )
        }
    if config.allow_msg_counter:
        return {
            Property.TAKES_NOTHING: Words(
                "allow_msg_counter=true: it takes counts alone",
                "Create another stream for the records.",
            )
        }
    if not config.subjects:
        return {
            Property.TAKES_NOTHING: Words(
                "it has no subjects of its own, only sources",
                f"Give it one: `nats stream edit {name} --subjects {name}`.",
            )
        }
    if subject and not any(matches(each, subject) for each in config.subjects):
        return {
            Property.TAKES_NOTHING: Words(
                f"'{subject}' is none of its subjects: {_few(config.subjects)}",
                "Name one of them in the URL of the stream: ?subject=SUBJECT.",
            )
        }
    if config.no_ack:
        return {
            Property.UNACKNOWLEDGED: Words(
                "no_ack=true", f"Let it acknowledge: `nats stream edit {name} --ack`."
            )
        }
    return {}


def _who_drops(
    config: _Config, name: str, subject: str, *, keeps_read: bool
) -> Mapping[Property, Words]:
    """Find what drops records that the stream had acknowledged."""
    found: dict[Property, Words] = {}
    if config.max_age > 0:
        found[Property.ENDS_BY_AGE] = Words(
            f"max_age={config.max_age / 1_000_000_000:g}s",
            f"Let it keep them longer: `nats stream edit {name} --max-age 7d`.",
        )
    if config.discard != "old":
        return found
    wait = f"Let it wait for room instead: `nats stream edit {name} --discard new`."
    per_subject = config.max_msgs_per_subject
    if per_subject == 1:
        found[Property.KEEPS_THE_LAST] = Words(
            f"max_msgs_per_subject=1, and all records have the subject '{subject}'",
            f"Lift the limit: `nats stream edit {name} --max-msgs-per-subject=-1`.",
        )
    elif per_subject > 1 and (not keeps_read or config.subjects != [subject]):
        found[Property.DROPS_UNREAD] = Words(
            f"max_msgs_per_subject={per_subject} with discard=old",
            f"Lift the limit: `nats stream edit {name} --max-msgs-per-subject=-1`.",
        )
    limits = {
        "max_msgs": config.max_msgs,
        "max_bytes": config.max_bytes,
        "max_msgs_per_subject": per_subject,
    }
    full = [f"{limit}={value}" for limit, value in limits.items() if value > 0]
    if full:
        kind = Property.ENDS_WHEN_FULL if keeps_read else Property.DROPS_UNREAD
        seen = f"{', '.join(full)} with discard=old"
        if not keeps_read:
            seen = f"retention={config.retention}, {seen}"
        found.setdefault(kind, Words(seen, wait))
    return found


def _who_reads(
    config: _Config, name: str, readers: frozenset[str] | None
) -> Mapping[Property, Words]:
    if readers is None or readers:
        return {}
    return {
        Property.NEEDS_A_READER: Words(
            f"retention={config.retention}, and it has no durable consumer for them",
            f"Add one first, `nats consumer add {name}`, or let the stream keep what "
            f"it takes, `nats stream edit {name} --retention limits`.",
        )
    }


def _where(config: _Config, name: str) -> Mapping[Property, Words]:
    accept = "or say that it may be so, in the URL of the stream: ?volatile=true."
    if config.storage == "memory":
        return {
            Property.IN_MEMORY: Words(
                "storage=memory",
                f"Create it with --storage file, {accept}",
            )
        }
    if config.persist_mode == "async":
        return {
            Property.IN_MEMORY: Words(
                "persist_mode=async",
                f"Create it without --persist-mode async, {accept}",
            )
        }
    return {}


def _readers(consumers: Iterable[Consumer], subject: str) -> frozenset[str]:
    """
    Name the consumers for which records of a subject are kept.

    One without a durable name goes with its client, and then what comes is dropped.
    """
    found = set()
    for each in consumers:
        config = each.config
        filters = config.filter_subjects or [config.filter_subject or ">"]
        if config.durable_name and (
            not subject or any(matches(pattern, subject) for pattern in filters)
        ):
            found.add(f"{config.durable_name} {each.created}")
    return frozenset(found)


def _stored_subject(config: _Config, subject: str) -> str:
    """Say under which subject a message is kept; empty: that is not known."""
    transform = config.subject_transform
    if transform is None or not (transform.src or transform.dest):
        return subject
    if transform.src and not matches(transform.src, subject):
        return subject
    return (
        transform.dest if is_plain(transform.dest) and "{" not in transform.dest else ""
    )


def _few(subjects: list[Any]) -> str:
    shown = ", ".join(f"'{each}'" for each in subjects[:5])
    return f"{shown} and {len(subjects) - 5} more" if len(subjects) > 5 else shown
