"""
A Kafka cluster inside this process: the one that librdkafka brings for its own tests.

It speaks the real protocol over TCP to any client, and can be told to fail. Python's
driver does not offer it, so it is called in the library that the driver has loaded.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any, Final

import confluent_kafka

PRODUCE: Final = 0  # Kafka: the number of the API
FETCH: Final = 1
UNKNOWN_TOPIC: Final = 3
MESSAGE_TOO_LARGE: Final = 10
TOPIC_AUTHORIZATION_FAILED: Final = 29

_POINTER = ctypes.c_void_p
_FUNCTIONS: Final[dict[str, tuple[Any, list[Any]]]] = {
    "rd_kafka_conf_new": (_POINTER, []),
    "rd_kafka_conf_set_log_cb": (None, [_POINTER, _POINTER]),
    "rd_kafka_new": (
        _POINTER,
        [ctypes.c_int, _POINTER, ctypes.c_char_p, ctypes.c_size_t],
    ),
    "rd_kafka_destroy": (None, [_POINTER]),
    "rd_kafka_mock_cluster_new": (_POINTER, [_POINTER, ctypes.c_int]),
    "rd_kafka_mock_cluster_destroy": (None, [_POINTER]),
    "rd_kafka_mock_cluster_bootstraps": (ctypes.c_char_p, [_POINTER]),
    "rd_kafka_mock_topic_create": (
        ctypes.c_int,
        [_POINTER, ctypes.c_char_p, ctypes.c_int, ctypes.c_int],
    ),
    "rd_kafka_mock_topic_set_error": (None, [_POINTER, ctypes.c_char_p, ctypes.c_int]),
    "rd_kafka_mock_broker_set_down": (ctypes.c_int, [_POINTER, ctypes.c_int32]),
    "rd_kafka_mock_broker_set_up": (ctypes.c_int, [_POINTER, ctypes.c_int32]),
    "rd_kafka_mock_push_request_errors_array": (
        None,
        [_POINTER, ctypes.c_int16, ctypes.c_size_t, ctypes.POINTER(ctypes.c_int)],
    ),
}


def _load() -> Any:
    """Find the driver's own library; None when it came without one."""
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    for file in sorted(folder.glob("librdkafka*.so*")):
        library = ctypes.CDLL(str(file))
        if all(hasattr(library, name) for name in _FUNCTIONS):
            for name, (result, arguments) in _FUNCTIONS.items():
                function = getattr(library, name)
                function.restype, function.argtypes = result, arguments
            return library
    return None


_library = _load()
WHY_NOT = (
    ""
    if _library is not None
    else "The Kafka driver came without its library; set MILLPOND_TEST_KAFKA to the "
    "host:port of a broker."
)
_silent = ctypes.CFUNCTYPE(
    None, _POINTER, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p
)(lambda *_: None)


class MockCluster:
    """Three brokers, until `close`."""

    def __init__(self, brokers: int = 3) -> None:
        settings = _library.rd_kafka_conf_new()
        _library.rd_kafka_conf_set_log_cb(settings, ctypes.cast(_silent, _POINTER))
        complaint = ctypes.create_string_buffer(512)
        self._client = _library.rd_kafka_new(0, settings, complaint, 512)
        assert self._client, complaint.value
        self._cluster = _library.rd_kafka_mock_cluster_new(self._client, brokers)
        found: bytes = _library.rd_kafka_mock_cluster_bootstraps(self._cluster)
        self.hosts = found.decode()
        self.brokers = range(1, brokers + 1)

    def create_topic(self, name: str, partitions: int = 4) -> None:
        _library.rd_kafka_mock_topic_create(
            self._cluster, name.encode(), partitions, len(self.brokers)
        )

    def remove_topic(self, name: str) -> None:
        """Answer as brokers do when there is no such topic."""
        _library.rd_kafka_mock_topic_set_error(
            self._cluster, name.encode(), UNKNOWN_TOPIC
        )
        self.fail(PRODUCE, UNKNOWN_TOPIC, times=1000)

    def fail(self, api: int, code: int, *, times: int = 1) -> None:
        """Answer the next requests of a kind with an error."""
        errors = (ctypes.c_int * times)(*[code] * times)
        _library.rd_kafka_mock_push_request_errors_array(
            self._cluster, api, times, errors
        )

    def stop(self) -> None:
        """Let no broker be reached."""
        for each in self.brokers:
            _library.rd_kafka_mock_broker_set_down(self._cluster, each)

    def go_on(self) -> None:
        for each in self.brokers:
            _library.rd_kafka_mock_broker_set_up(self._cluster, each)

    def close(self) -> None:
        _library.rd_kafka_mock_cluster_destroy(self._cluster)
        _library.rd_kafka_destroy(self._client)
