"""
The words of the file: members of the API in snake case, checked by its own model.

    [streams.NAME]     shard_count, retention_period_hours
    [pools.NAME]       what UpdateIdentityPool takes; without identity_pool_name, the
                       pool is called NAME, and without identity_pool_id it is the one
                       of that name
      .roles           role ARNs, by "authenticated" and "unauthenticated"
      .role_mappings   rules, by login provider
      .cognito_streams, .push_sync    as SetIdentityPoolConfiguration takes them
      .events          targets, by event type

What the file does not mention is left as it is. What it mentions of a pool is compared
whole: a map or a list in it replaces what was there.
"""

from __future__ import annotations

import tomllib

from millpond import nearness
from millpond.client.api.faults import InputFault
from millpond.client.api.model import ServiceModel, command_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from millpond.client.api.model import Shape

POOL_ID: Final = "IdentityPoolId"
NAME: Final = "IdentityPoolName"
IDENTITY: Final = "cognito-identity"
SYNC: Final = "cognito-sync"
KINESIS: Final = "kinesis"
ROLES: Final = "set-identity-pool-roles"
EVENTS: Final = "set-cognito-events"
# The members of a pool that have a setter of their own: API, operation, members.
SETTERS: Final = (
    (IDENTITY, ROLES, ("Roles", "RoleMappings")),
    (SYNC, "set-identity-pool-configuration", ("CognitoStreams", "PushSync")),
    (SYNC, EVENTS, ("Events",)),
)
STREAM_MEMBERS: Final = ("ShardCount", "RetentionPeriodHours")
_SCALARS: Final = {"string": str, "boolean": bool, "integer": int, "long": int}
_WORDS: Final = {str: "a string", bool: "true or false", int: "a whole number"}

Members = dict[str, "Any"]


class Described:
    """What a file describes, in members of the API: pools and streams, by name."""

    def __init__(self, pools: dict[str, Members], streams: dict[str, Members]) -> None:
        self.pools = pools
        self.streams = streams


class Shapes:
    """The shapes of everything that a file may say."""

    def __init__(self) -> None:
        models = {each: ServiceModel.load(each) for each in (IDENTITY, SYNC)}
        described = models[IDENTITY].operation("update-identity-pool").input.members
        self.pool: dict[str, Shape] = dict(described)
        for service, operation, members in SETTERS:
            taken = models[service].operation(operation).input.members
            self.pool |= {each: taken[each] for each in members}
        kinesis = ServiceModel.load(KINESIS)
        created = kinesis.operation("create-stream").input.members
        kept = kinesis.operation("increase-stream-retention-period").input.members
        self.stream = {each: {**created, **kept}[each] for each in STREAM_MEMBERS}


def snake(member: str) -> str:
    """Spell a member as the file does: IdentityPoolTags is identity_pool_tags."""
    return command_name(member).replace("-", "_")


def read(text: str, shapes: Shapes) -> Described:
    """
    Read a file.

    Raises:
        InputFault: it is no TOML, or says what there is not; with the place.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputFault(f"This is not TOML: {error}") from error
    rooms = {"pools": shapes.pool, "streams": shapes.stream}
    found: dict[str, dict[str, Members]] = {"pools": {}, "streams": {}}
    for kind, named in document.items():
        if kind not in rooms:
            raise _unknown(kind, "", rooms)
        for name, table in _table(named, kind).items():
            place = f"{kind}.{name}"
            found[kind][name] = _members(table, rooms[kind], place)
    return Described(found["pools"], found["streams"])


def _members(table: Any, shapes: dict[str, Shape], place: str) -> Members:
    by_word = {snake(name): (name, shape) for name, shape in shapes.items()}
    members: Members = {}
    for word, value in _table(table, place).items():
        if word not in by_word:
            raise _unknown(word, place, by_word)
        name, shape = by_word[word]
        members[name] = _value(value, shape, f"{place}.{word}")
    return members


def _value(value: Any, shape: Shape, place: str) -> Any:
    if shape.type == "structure":
        return _members(value, shape.members, place)
    if shape.type == "map":
        named = _table(value, place).items()
        return {key: _value(each, shape.value, f"{place}.{key}") for key, each in named}
    if shape.type == "list":
        if not isinstance(value, list):
            raise InputFault(f"{place} is a list.")
        return [_value(e, shape.member, f"{place}[{n}]") for n, e in enumerate(value)]
    wanted = _SCALARS[shape.type]
    if type(value) is not wanted:  # True is an int
        raise InputFault(f"{place} is {_WORDS[wanted]}.")
    if shape.enum and value not in shape.enum:
        raise InputFault(f"{place} is one of {', '.join(shape.enum)}.")
    return value


def _table(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputFault(f"{place} is a table: [{place}].")
    return value


def _unknown(word: str, place: str, known: Any) -> InputFault:
    where = f"{place} has" if place else "A file has"
    listed = ", ".join(known)
    near = nearness.ask(word, known)
    return InputFault(f"{where} no '{word}'; there are {listed}.{near}")


def write(members: Members, shapes: dict[str, Shape]) -> dict[str, Any]:
    """Spell members as the file does; those that are empty are left out."""
    return {
        snake(name): _spelled(members[name], shape)
        for name, shape in shapes.items()
        if not is_empty(members.get(name))
    }


def _spelled(value: Any, shape: Shape) -> Any:
    if shape.type == "structure":
        return write(value, shape.members)
    if shape.type == "map":
        return {key: _spelled(each, shape.value) for key, each in value.items()}
    if shape.type == "list":
        return [_spelled(each, shape.member) for each in value]
    return value


def is_empty(value: Any) -> bool:
    """Say whether a value is as good as none: the API does not tell the two apart."""
    return value is None or value in ("", [], {})
