"""The Kinesis API over embedded streams: one function per operation."""

from millpond.service.kinesis import (
    absent,
    consumers,
    management,
    records,
    retention,
    streams,
    subscriptions,
    tags,
)

__all__ = [
    "absent",
    "consumers",
    "management",
    "records",
    "retention",
    "streams",
    "subscriptions",
    "tags",
]
