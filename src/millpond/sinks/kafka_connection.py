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
import logging
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    ResourceType,
)

from millpond.errors import (
    SettingsError,
    SinkError,
    SinkUnavailableError,
    StreamGoneError,
)
from millpond.sinks.urls import NOT_A_HOST, read_url

LOOKUP_S: Final = 5.0
ASK_AGAIN_S: Final = 0.3
DEFAULT_PORT: Final = 9092
MESSAGE_BYTES_MAX: Final = 1_000_000  # librdkafka: message.max.bytes
SASL_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
COMPRESSIONS: Final = ("none", "lz4", "zstd", "gzip", "snappy")
OPTIONS: Final = ("tls", "ca", "sasl", "compression")

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
    tls = options.get("tls", "false")
    if tls not in ("true", "false"):
        raise SettingsError("The option 'tls' is 'true' or 'false'.")
    if options.get("ca") and tls == "false":
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
        tls=tls == "true",
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
        # That all brokers are down says less than what came before it.
        if self.last is None or error.code() != KafkaError._ALL_BROKERS_DOWN:
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


class TopicInfo(NamedTuple):
    """What is to be known of a topic before it is written or read."""

    partitions: tuple[int, ...]
    message_bytes_max: int  # of a batch of messages, as the broker counts it


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
            return TopicInfo(
                tuple(sorted(topic.partitions)),
                await _message_bytes_max(address, found, wait_s),
            )
        if topic.error.code() not in GONE:
            raise unavailable(address, troubles, topic.error)
        if attempt == 0:
            await asyncio.sleep(ASK_AGAIN_S)
    raise StreamGoneError(
        f"Kafka has no topic '{address.topic}'.",
        hint=f"Create it with `kafka-topics.sh --create --topic {address.topic}`.",
    )


async def _message_bytes_max(
    address: KafkaAddress, metadata: Any, wait_s: float
) -> int:
    """Ask for the topic's limit; when we may not, take the usual one."""
    if metadata.controller_id not in metadata.brokers:
        return MESSAGE_BYTES_MAX
    try:
        return await asyncio.to_thread(_ask_for_limit, address, wait_s)
    except (KafkaException, KeyError, ValueError, TypeError):
        return MESSAGE_BYTES_MAX


def _ask_for_limit(address: KafkaAddress, wait_s: float) -> int:
    admin = AdminClient(driver_settings(address, Troubles(address)))
    resource = ConfigResource(ResourceType.TOPIC, address.topic)
    (answer,) = admin.describe_configs([resource], request_timeout=wait_s).values()
    return int(answer.result(wait_s)["max.message.bytes"].value)


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
    # The driver puts the name of a thread and the time in some state around it.
    text = re.sub(r"\[thrd:[^\]]*\]: |\(after [^)]*\)|\((_\w+)\)", "", text)
    return text.strip(" .:") or error.name()
