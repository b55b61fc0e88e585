"""
What has to be called so that what there is becomes what a file describes.

Pure. Nothing is ever deleted: pools and streams that a file does not name stay, and so
does what it does not say of those it names.
"""

from __future__ import annotations

import json

from millpond.cli.pools_file.shapes import (
    EVENTS,
    IDENTITY,
    KINESIS,
    NAME,
    POOL_ID,
    ROLES,
    SETTERS,
    is_empty,
    snake,
)
from millpond.client.api.faults import InputFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from millpond.cli.pools_file.shapes import Described, Members


class Call:
    """
    One call of an operation.

    Args:
        pool: to which pool the answer's id belongs, or whose id goes into it.
    """

    def __init__(
        self, service: str, operation: str, parameters: Members, pool: str | None = None
    ) -> None:
        self.service = service
        self.operation = operation
        self.parameters = parameters
        self.pool = pool


class Change:
    """What becomes of a pool or a stream: lines for people, and the calls."""

    def __init__(self, kind: str, name: str, *, is_new: bool) -> None:
        self.kind = kind
        self.name = name
        self.is_new = is_new
        self.lines: list[str] = []
        self.calls: list[Call] = []


def make(described: Described, present: Described) -> list[Change]:
    """
    Compare; streams come first, because pools send to them.

    Args:
        present: of pools, under their names in the file, those that there are.

    Raises:
        InputFault: what is described cannot be reached by changes.
    """
    changes = [
        _stream(name, wanted, present.streams.get(name))
        for name, wanted in described.streams.items()
    ]
    changes += [
        _pool(name, wanted, present.pools.get(name))
        for name, wanted in described.pools.items()
    ]
    return [each for each in changes if each.calls]


def _stream(name: str, wanted: Members, now: Members | None) -> Change:
    change = Change("stream", name, is_new=now is None)
    hours = "RetentionPeriodHours"
    if now is None:
        shards = {"ShardCount": wanted.get("ShardCount", 1)}
        change.lines = [*_told({}, shards)]
        change.calls = [Call(KINESIS, "create-stream", {"StreamName": name, **shards})]
        now = {hours: 24, **shards}
    shard_count = now["ShardCount"]
    if wanted.get("ShardCount", shard_count) != shard_count:
        raise InputFault(
            f"Stream '{name}' has {shard_count} shards, and keeps those that it was "
            "created with. For another number create another stream."
        )
    if wanted.get(hours, now[hours]) != now[hours]:
        change.lines += _told(now, {hours: wanted[hours]})
        longer = "increase" if wanted[hours] > now[hours] else "decrease"
        operation = f"{longer}-stream-retention-period"
        parameters = {"StreamName": name, hours: wanted[hours]}
        change.calls.append(Call(KINESIS, operation, parameters))
    return change


def _pool(label: str, wanted: Members, now: Members | None) -> Change:
    name = wanted.get(NAME, label)
    change = Change("pool", label, is_new=now is None)
    if now is None and POOL_ID in wanted:
        raise InputFault(
            f"There is no pool {wanted[POOL_ID]}. The API chooses the ids of new "
            "pools: leave identity_pool_id out, or create the pool under its id first "
            f"with `millpond pool adopt {wanted[POOL_ID]} --name '{name}'`."
        )
    before = now or {}
    others = {each for *_, members in SETTERS for each in members}
    own = {k: v for k, v in wanted.items() if k not in others and k != POOL_ID}
    own[NAME] = name
    if now is None:
        own = {"AllowUnauthenticatedIdentities": False, **own}
        change.lines += _told({NAME: label}, own)
        change.calls.append(Call(IDENTITY, "create-identity-pool", _filled(own), label))
    elif _differs(before, own):
        change.lines += _told(before, own)
        # It sets everything, so what the file is silent about is said again.
        kept = {k: v for k, v in before.items() if k not in others and k != POOL_ID}
        parameters = _filled({**kept, **own})
        change.calls.append(Call(IDENTITY, "update-identity-pool", parameters, label))
    for service, operation, members in SETTERS:
        said = _part(wanted, members)
        if _differs(before, said):
            change.lines += _told(before, said)
            parameters = _parameters(operation, said, _part(before, members))
            change.calls.append(Call(service, operation, parameters, label))
    return change


def _parameters(operation: str, said: Members, before: Members) -> Members:
    """Give an operation what it takes: all of it, or what changes."""
    if operation == ROLES:
        return {"Roles": {}, **_filled({**before, **said})}
    if operation == EVENTS:
        gone = dict.fromkeys(before.get("Events", {}), "")  # an empty target removes
        return {"Events": {**gone, **said["Events"]}}
    return said  # members that are left out stay


def _part(members: Members, names: tuple[str, ...]) -> Members:
    return {each: members[each] for each in names if each in members}


def _filled(members: Members) -> Members:
    return {name: each for name, each in members.items() if not is_empty(each)}


def _differs(before: Members, said: Members) -> bool:
    return any(True for _ in _told(before, said))


def _told(before: Mapping[str, Any], said: Mapping[str, Any]) -> Iterator[str]:
    """List what changes, member by member."""
    for name, value in said.items():
        was = before.get(name)
        if name in ("CognitoStreams", "PushSync"):
            # These are set member by member, so what is not said of them stays.
            inner = _told(was or {}, value)
            yield from (f"{snake(name)}.{each}" for each in inner)
        elif is_empty(was) and is_empty(value):
            continue
        elif was is None or is_empty(was):
            yield f"{snake(name)} = {_shown(value)}"
        elif was != value:
            yield f"{snake(name)} = {_shown(value)}  (was {_shown(was)})"


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
