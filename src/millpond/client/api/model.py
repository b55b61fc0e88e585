"""
The model of an API, as objects: operations, shapes, members.

A thin layer over the dictionary that `models` reads. botocore has the same one
(`botocore.model`), but loading it takes longer than a whole command of ours.
"""

from __future__ import annotations

from functools import cached_property

from millpond.client.api import models

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

_INTEGERS: Final = ("integer", "long")
_CONTAINERS: Final = ("structure", "list", "map")

Path = tuple["str | int", ...]
"""Where something stands in an answer: names of members, and places in lists."""


class Paging:
    """
    How the pages of an operation are read, and put together.

    Args:
        items: where the items are; those of the first are counted.
        limit: the member of the input that says how many a page may have.
        token: the member of the input that says where a page begins.
        next_token: where the answer says that of the next one.
        more: where it says whether there is one, if it does.
        kept: what else is of interest; it is taken from the first answer.
        by_hand: a member of the input that asks for one page, beside token and limit.
    """

    def __init__(
        self,
        *items: Path,
        limit: str,
        token: str = "NextToken",
        next_token: Path = ("NextToken",),
        more: Path | None = None,
        kept: tuple[Path, ...] = (),
        by_hand: str | None = None,
    ) -> None:
        self.items = items
        self.limit = limit
        self.token = token
        self.next_token = next_token
        self.more = more
        self.kept = kept
        self.by_hand = tuple(filter(None, (token, limit, by_hand)))


_STREAM: Final = "StreamDescription"

# Operations whose pages are put together, by API and operation. AWS:
# botocore/data/*/paginators-1.json, awscli/customizations/kinesis.py. Cognito Sync has
# none; its NextToken is for the caller.
PAGED: Final[Mapping[tuple[str, str], Paging]] = {
    ("cognito-identity", "ListIdentityPools"): Paging(
        ("IdentityPools",), limit="MaxResults"
    ),
    ("kinesis", "DescribeStream"): Paging(
        (_STREAM, "Shards"),
        limit="Limit",
        token="ExclusiveStartShardId",
        next_token=(_STREAM, "Shards", -1, "ShardId"),
        more=(_STREAM, "HasMoreShards"),
        kept=(
            (_STREAM, "StreamARN"),
            (_STREAM, "StreamName"),
            (_STREAM, "StreamStatus"),
            (_STREAM, "RetentionPeriodHours"),
            (_STREAM, "EnhancedMonitoring"),
            (_STREAM, "EncryptionType"),
            (_STREAM, "KeyId"),
            (_STREAM, "StreamCreationTimestamp"),
        ),
    ),
    ("kinesis", "ListStreams"): Paging(
        ("StreamNames",),
        ("StreamSummaries",),
        limit="Limit",
        more=("HasMoreStreams",),
        by_hand="ExclusiveStartStreamName",
    ),
    ("kinesis", "ListShards"): Paging(("Shards",), limit="MaxResults"),
    ("kinesis", "ListStreamConsumers"): Paging(("Consumers",), limit="MaxResults"),
}


class Shape:
    """One shape, or one use of a shape as a member, which may say more about it."""

    def __init__(self, shapes: dict[str, Any], reference: dict[str, Any]) -> None:
        self._shapes = shapes
        self.name: str = reference["shape"]
        self._described: dict[str, Any] = {**shapes[self.name], **reference}
        self.type: str = self._described["type"]
        self.documentation: str = self._described.get("documentation", "")
        self.location: str | None = self._described.get("location")
        self.location_name: str | None = self._described.get("locationName")
        self.enum: list[str] = self._described.get("enum", [])
        self.min: int | None = self._described.get("min")
        self.required: list[str] = self._described.get("required", [])

    def __repr__(self) -> str:
        return f"<Shape {self.name} ({self.type})>"

    @property
    def is_integer(self) -> bool:
        """Whether it is a whole number, of whichever size."""
        return self.type in _INTEGERS

    @property
    def is_container(self) -> bool:
        """Whether it is made of other shapes."""
        return self.type in _CONTAINERS

    @cached_property
    def members(self) -> dict[str, Shape]:
        """The members of a structure, in the order of the model."""
        described: dict[str, Any] = self._described.get("members", {})
        return {name: Shape(self._shapes, each) for name, each in described.items()}

    @cached_property
    def member(self) -> Shape:
        """The elements of a list."""
        return Shape(self._shapes, self._described["member"])

    @cached_property
    def key(self) -> Shape:
        """The keys of a map."""
        return Shape(self._shapes, self._described["key"])

    @cached_property
    def value(self) -> Shape:
        """The values of a map."""
        return Shape(self._shapes, self._described["value"])


class OperationModel:
    """One operation of an API."""

    def __init__(self, service: ServiceModel, described: dict[str, Any]) -> None:
        self.service = service
        self.name: str = described["name"]
        self.method: str = described["http"]["method"]
        self.uri: str = described["http"]["requestUri"]
        self.documentation: str = described.get("documentation", "")
        self.signed: bool = described.get("authtype") != "none"
        self.errors: list[str] = [each["shape"] for each in described["errors"]]
        self._described = described

    @property
    def paging(self) -> Paging | None:
        """How its pages are put together, if they are."""
        return PAGED.get((self.service.name, self.name))

    @cached_property
    def input(self) -> Shape:
        """What the operation takes."""
        return Shape(self.service.shapes, self._described["input"])

    @cached_property
    def output(self) -> Shape | None:
        """What the operation answers, if it answers anything."""
        reference = self._described.get("output")
        return Shape(self.service.shapes, reference) if reference else None


class ServiceModel:
    """One API."""

    def __init__(self, name: str, described: dict[str, Any]) -> None:
        self.name = name
        self.shapes: dict[str, Any] = described["shapes"]
        self.metadata: dict[str, str] = described["metadata"]
        self.documentation: str = described.get("documentation", "")
        self._operations = {
            command_name(name): each
            for name, each in described["operations"].items()
            if not self._is_streaming(each)
        }

    @classmethod
    def load(cls, name: str) -> ServiceModel:
        """Load the model of the API that a command stands for."""
        return cls(name, models.read(name))

    def _is_streaming(self, operation: dict[str, Any]) -> bool:
        """Tell whether its answer goes on and on. AWS: such ones are no commands."""
        output = operation.get("output")
        members = self.shapes[output["shape"]].get("members", {}) if output else {}
        return any(
            self.shapes[each["shape"]].get("eventstream") for each in members.values()
        )

    @property
    def protocol(self) -> str:
        """How it is spoken: rest-json, json, or query."""
        return self.metadata["protocol"]

    @property
    def snake_name(self) -> str:
        """The name that configuration files and variables use."""
        return self.metadata["serviceId"].replace(" ", "_").lower()

    @property
    def commands(self) -> list[str]:
        """The operations, under the names they have on the command line."""
        return list(self._operations)

    def operation(self, command: str) -> OperationModel:
        """The operation behind a name on the command line."""
        return OperationModel(self, self._operations[command])

    def error_status(self, name: str) -> int:
        """The HTTP status of an error."""
        status: int = self.shapes[name]["error"]["httpStatusCode"]
        return status

    def error_documentation(self, name: str) -> str:
        """What an error means."""
        text: str = self.shapes[name].get("documentation", "")
        return text


def command_name(name: str) -> str:
    """Write GetBulkPublishDetails as get-bulk-publish-details."""
    # AWS: the "s" of a plural goes with its capitals, ProviderARNs is provider-arns.
    plural = "s" if name.endswith("s") and name[-3:-1].isupper() else ""
    name = name.removesuffix(plural)
    parts = []
    for index, letter in enumerate(name):
        starts_word = letter.isupper() and index > 0
        follows_small = starts_word and not name[index - 1].isupper()
        before_small = starts_word and name[index + 1 : index + 2].islower()
        parts.append(f"-{letter}" if follows_small or before_small else letter)
    return "".join(parts).lower() + plural


def first_sentence(documentation: str) -> str:
    """Take the first sentence of a text, without its full stop."""
    from html import unescape  # a table of entities, which no call needs

    text = documentation.removeprefix("<p>").partition("</p>")[0]
    return unescape(text.partition(". ")[0].removesuffix("."))
