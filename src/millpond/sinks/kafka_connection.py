"""
Connections to a Kafka cluster, and what they tell about a topic.

    kafka://[user:password@]host[:port][,host2[:port2]...]/TOPIC[?tls=true&sasl=...]

The driver is librdkafka. Its calls wait, so they run in threads here, each with a
bound. It tries to connect for as long as it exists and tells of failures on the side;
the last of them is the reason that an error gives.

That a topic does not exist is believed only when the cluster says so, twice: a broker
that has just started may not know its topics yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import structlog
from confluent_kafka import (
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    OffsetSpec,
    ResourceType,
)

from millpond.errors import (
    SettingsError,
    SinkError,
    SinkUnavailableError,
    StreamGoneError,
)
from millpond.sinks.kafka_topic import TopicInfo, TopicPlaces
from millpond.sinks.urls import NOT_A_HOST, is_true, read_url

LOOKUP_S: Final = 5.0
TOPIC_ID_S: Final = 2.0  # not every broker answers to this question
ASK_AGAIN_S: Final = 0.3
DEFAULT_PORT: Final = 9092
MESSAGE_BYTES_MAX: Final = 1_000_000  # librdkafka: message.max.bytes
SASL_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
COMPRESSIONS: Final = ("none", "lz4", "zstd", "gzip", "snappy")
OPTIONS: Final = ("tls", "ca", "sasl", "compression")

_NO_TOPIC_ID: Final = "AAAAAAAAAAAAAAAAAAAAAA"  # zeros, from before Kafka 2.8

_EARLIEST: Final = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_LATEST: Final = OffsetSpec.latest()  # type: ignore[no-untyped-call]

_REFUSED: Final = {
    KafkaError._AUTHENTICATION,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
}
GONE: Final = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
}

_log = structlog.get_logger()
# Without a logger the driver writes to stderr. What matters of it arrives as an error.
_driver_log = logging.getLogger("millpond.sinks.kafka.driver")
_driver_log.addHandler(logging.NullHandler())
_driver_log.propagate = False


@dataclass(frozen=True, kw_only=True)
class KafkaAddress:
    """What the URL of a topic says."""

    hosts: tuple[str, ...]
    topic: str
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    ca_file: str = ""  # empty: the certificates that the system trusts
    sasl: str = ""
    compression: str = "none"

    def __str__(self) -> str:
        return f"kafka://{','.join(self.hosts)}/{self.topic}"


def read_address(url: str) -> KafkaAddress:
    """
    Read the URL of a topic.

    Raises:
        SettingsError: it says too little or too much.
    """
    found = read_url(url, options=OPTIONS)
    options = found.options
    if not found.hosts:
        raise SettingsError(
            "The URL of a Kafka topic names a host: kafka://HOST/TOPIC."
        )
    hosts = tuple(_with_port(host) for host in found.hosts)
    if not re.fullmatch(r"[a-zA-Z0-9._-]{1,249}", found.name):
        raise SettingsError(
            "The URL of a Kafka topic ends in its name: kafka://HOST/TOPIC; "
            "a name has letters, digits and . _ - in it."
        )
    tls = is_true(options, "tls")
    if options.get("ca") and not tls:
        raise SettingsError("The option 'ca' is for connections with tls=true.")
    sasl = options.get("sasl", "PLAIN" if found.user else "")
    if sasl not in ("", *SASL_MECHANISMS):
        raise SettingsError(f"The option 'sasl' is {', '.join(SASL_MECHANISMS)}.")
    if bool(sasl) != bool(found.user and found.password):
        raise SettingsError("SASL needs a user and a password in the URL.")
    compression = options.get("compression", "none")
    if compression not in COMPRESSIONS:
        raise SettingsError(f"The option 'compression' is {', '.join(COMPRESSIONS)}.")
    return KafkaAddress(
        hosts=hosts,
        topic=found.name,
        user=found.user,
        password=found.password,
        tls=tls,
        ca_file=options.get("ca", ""),
        sasl=sasl,
        compression=compression,
    )


def _with_port(host: str) -> str:
    try:
        parts = urlsplit(f"//{host}")
        if parts.hostname and parts.port != 0:
            return host if parts.port else f"{host.rstrip(':')}:{DEFAULT_PORT}"
    except ValueError:
        pass
    raise SettingsError(NOT_A_HOST)


class Troubles:
    """What the driver tells on the side."""

    def __init__(self, address: KafkaAddress) -> None:
        self._address = address
        self.last: KafkaError | None = None
        self.refusal: KafkaError | None = None
        self.fatal = False  # the client does no more

    def note(self, error: KafkaError) -> None:
        """Take an error; called from a thread of the driver's."""
        if error.code() in _REFUSED:
            self.refusal = error
        self.fatal = self.fatal or error.fatal()
        # The driver puts the address it began with away once it knows the brokers.
        is_noise = error.code() in (KafkaError._DESTROY, KafkaError._DESTROY_BROKER)
        # That all brokers are down says less than what came before it.
        says_less = error.code() == KafkaError._ALL_BROKERS_DOWN
        if not is_noise and (self.last is None or not says_less):
            self.last = error
        _log.debug("kafka.trouble", stream=str(self._address), error=reason_of(error))


def driver_settings(address: KafkaAddress, troubles: Troubles) -> dict[str, Any]:
    """
    Give the settings of the driver that all its clients share.

    Raises:
        SinkError: the file of certificates cannot be read.
    """
    if address.ca_file and not Path(address.ca_file).is_file():
        raise SinkError(
            f"There is no file '{address.ca_file}' with certificates to trust."
        )
    security = "SSL" if address.tls else "PLAINTEXT"
    settings: dict[str, Any] = {
        "bootstrap.servers": ",".join(address.hosts),
        "client.id": "millpond",
        "security.protocol": f"SASL_{security}" if address.sasl else security,
        "allow.auto.create.topics": False,
        "socket.timeout.ms": 10_000,
        "socket.connection.setup.timeout.ms": 5_000,
        "reconnect.backoff.max.ms": 2_000,
        "log.connection.close": False,
        "logger": _driver_log,
        "error_cb": troubles.note,
    }
    if address.sasl:
        settings |= {
            "sasl.mechanism": address.sasl,
            "sasl.username": address.user,
            "sasl.password": address.password,
        }
    if address.ca_file:
        settings["ssl.ca.location"] = address.ca_file
    return settings


class Client(Protocol):
    """What the driver's clients have in common."""

    def list_topics(self, topic: str = ..., timeout: float = ...) -> Any: ...


async def find_topic(
    address: KafkaAddress,
    troubles: Troubles,
    client: Client,
    *,
    wait_s: float = LOOKUP_S,
) -> TopicInfo:
    """
    Ask the cluster for the topic.

    Raises:
        StreamGoneError: it does not exist.
        SinkError: the cluster refuses us.
        SinkUnavailableError: it cannot be reached for now.
    """
    for attempt in range(2):
        try:
            found = await asyncio.to_thread(
                client.list_topics, address.topic, timeout=wait_s
            )
        except KafkaException as error:
            raise unavailable(address, troubles, error.args[0]) from error
        topic = found.topics[address.topic]
        if topic.error is None:
            return await _read_topic(address, found, wait_s)
        if topic.error.code() not in GONE:
            raise unavailable(address, troubles, topic.error)
        if attempt == 0:
            await asyncio.sleep(ASK_AGAIN_S)
    raise StreamGoneError(
        f"Kafka has no topic '{address.topic}'.",
        hint=f"Create it with `kafka-topics.sh --create --topic {address.topic}`.",
    )


async def _read_topic(address: KafkaAddress, metadata: Any, wait_s: float) -> TopicInfo:
    partitions = metadata.topics[address.topic].partitions
    configuration: Mapping[str, str] = {}
    if metadata.controller_id in metadata.brokers:
        # We may not be allowed to; and not every broker knows how to tell, in time.
        with contextlib.suppress(KafkaException, TimeoutError):
            configuration = await asyncio.to_thread(_configuration, address, wait_s)
    try:
        message_bytes_max = int(configuration["max.message.bytes"])
    except (KeyError, ValueError):
        message_bytes_max = MESSAGE_BYTES_MAX
    return TopicInfo(
        tuple(sorted(partitions)),
        message_bytes_max,
        min((len(each.replicas) for each in partitions.values()), default=1),
        configuration,
    )


def _configuration(address: KafkaAddress, wait_s: float) -> Mapping[str, str]:
    admin = AdminClient(driver_settings(address, Troubles(address)))
    resource = ConfigResource(ResourceType.TOPIC, address.topic)
    (answer,) = admin.describe_configs([resource], request_timeout=wait_s).values()
    entries = answer.result(wait_s)
    return {
        name: str(entry.value)
        for name, entry in entries.items()
        if entry.value is not None
    }


async def find_places(
    address: KafkaAddress, topic: TopicInfo, *, wait_s: float = LOOKUP_S
) -> TopicPlaces:
    """Ask where a topic stands; what the cluster does not tell stays empty."""

    def ask() -> TopicPlaces:
        admin = AdminClient(driver_settings(address, Troubles(address)))
        return TopicPlaces(
            _topic_id(admin, address.topic, min(wait_s, TOPIC_ID_S)),
            _offsets(admin, address.topic, topic, _EARLIEST, wait_s),
            _offsets(admin, address.topic, topic, _LATEST, wait_s),
        )

    return await asyncio.to_thread(ask)


def _topic_id(admin: AdminClient, name: str, wait_s: float) -> str:
    try:
        answers = admin.describe_topics(TopicCollection([name]), request_timeout=wait_s)
        topic_id = str(answers[name].result(wait_s).topic_id or "")
    except (KafkaException, TimeoutError):
        return ""
    return "" if topic_id == _NO_TOPIC_ID else topic_id


def _offsets(
    admin: AdminClient, name: str, topic: TopicInfo, spec: OffsetSpec, wait_s: float
) -> Mapping[str, int]:
    wanted = {TopicPartition(name, each): spec for each in topic.partitions}
    try:
        answers = admin.list_offsets(wanted, request_timeout=wait_s)
        return {
            f"partition {place.partition}": answer.result(wait_s).offset
            for place, answer in answers.items()
        }
    except (KafkaException, TimeoutError):
        return {}


def unavailable(
    address: KafkaAddress, troubles: Troubles, error: KafkaError
) -> SinkError:
    """Say why the cluster does not answer, or does not let us in."""
    refusal = error if error.code() in _REFUSED else troubles.refusal
    if refusal is not None:
        return SinkError(
            f"Kafka refuses us at topic '{address.topic}': {reason_of(refusal)}.",
            hint="Look at user, password and 'sasl' in the URL of the stream.",
        )
    reason = reason_of(troubles.last or error)
    return SinkUnavailableError(
        f"Kafka topic '{address.topic}' cannot be reached: {reason}."
    )


def reason_of(error: KafkaError) -> str:
    """Say in a few words what is wrong, without a full stop."""
    text = str(error.str() or error.name())
    # The driver puts the name of a thread around it, and the time in some state with
    # how many more of the kind it does not tell of: "(after 1ms in state CONNECT, 2
    # identical error(s) suppressed)".
    aside = r"\[thrd:[^\]]*\]: |\(after (?:[^()]|\([^()]*\))*\)|\(_\w+\)"
    text = " ".join(re.sub(aside, "", text).split())
    return text.strip(" .:") or error.name()
