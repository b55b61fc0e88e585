"""What a server has, in the words of the file."""

from __future__ import annotations

from millpond.cli.pools_file.shapes import (
    IDENTITY,
    KINESIS,
    NAME,
    POOL_ID,
    STREAM_MEMBERS,
    SYNC,
    Described,
    Shapes,
)
from millpond.client.api.call import RefusedFault
from millpond.client.api.client import Client
from millpond.client.api.faults import InputFault
from millpond.client.api.model import ServiceModel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Final

    from millpond.cli.pools_file.plan import Call
    from millpond.cli.pools_file.shapes import Members
    from millpond.client.api.call import Options
    from millpond.client.api.configuration import Configuration

_PAGE: Final = 60  # AWS: the most that ListIdentityPools gives at once
SERVICES: Final = (IDENTITY, SYNC, KINESIS)


class Server:
    """A server, asked for what it has and told what to change."""

    def __init__(self, options: Options, configuration: Configuration) -> None:
        self.shapes = Shapes()
        self._clients = {
            each: Client(options, configuration, ServiceModel.load(each))
            for each in SERVICES
        }

    def find(self, described: Described) -> Described:
        """
        Ask for what a file describes, as far as it is there.

        Raises:
            InputFault: it is not clear which pool is meant.
        """
        ids = self._ids_by_name() if described.pools else {}
        everybody = {each for some in ids.values() for each in some}
        pools: dict[str, Members] = {}
        for label, wanted in described.pools.items():
            name = wanted.get(NAME, label)
            named = ids.get(name, [])
            if POOL_ID in wanted:
                found = [wanted[POOL_ID]] if wanted[POOL_ID] in everybody else []
            elif len(named) > 1:
                raise InputFault(
                    f"{len(named)} pools have the name '{name}'; say which one is "
                    f"meant by its identity_pool_id: {', '.join(named)}."
                )
            else:
                found = named
            if found:
                pools[label] = self.describe_pool(found[0])
        streams = {name: self._describe_stream(name) for name in described.streams}
        there = {name: each for name, each in streams.items() if each is not None}
        return Described(pools, there)

    def list_pools(self) -> Iterator[Members]:
        """Describe every pool, by name and id."""
        ids = self._ids_by_name()
        for name in sorted(ids):
            for each in sorted(ids[name]):
                yield self.describe_pool(each)

    def list_streams(self) -> Iterator[tuple[str, Members]]:
        """Describe every embedded stream, by name."""
        last: dict[str, str] = {}
        while True:
            page = self._ask(KINESIS, "list-streams", **last)
            for name in page["StreamNames"]:
                described = self._describe_stream(name)
                if described is not None:
                    yield name, described
            if not page["HasMoreStreams"]:
                return
            last = {"ExclusiveStartStreamName": page["StreamNames"][-1]}

    def make(self, call: Call, ids: dict[str, str]) -> None:
        """
        Make a call of a plan.

        Args:
            ids: of pools, by their names in the file; that of a new one comes in.
        """
        parameters = dict(call.parameters)
        is_new = call.operation == "create-identity-pool"
        if call.pool is not None and not is_new:
            parameters[POOL_ID] = ids[call.pool]
        answer = self._ask(call.service, call.operation, **parameters)
        if call.pool is not None and is_new:
            ids[call.pool] = answer[POOL_ID]

    def describe_pool(self, identity_pool_id: str) -> Members:
        """Describe a pool, with everything that belongs to it."""
        of_pool = {POOL_ID: identity_pool_id}
        found = self._ask(IDENTITY, "describe-identity-pool", **of_pool)
        found |= self._ask(IDENTITY, "get-identity-pool-roles", **of_pool)
        for operation in ("get-identity-pool-configuration", "get-cognito-events"):
            found |= self._ask(SYNC, operation, **of_pool)
        return {k: v for k, v in found.items() if k in self.shapes.pool}

    def _ids_by_name(self) -> dict[str, list[str]]:
        ids: dict[str, list[str]] = {}
        token: dict[str, str] = {}
        while True:
            page = self._ask(IDENTITY, "list-identity-pools", MaxResults=_PAGE, **token)
            for each in page["IdentityPools"]:
                ids.setdefault(each[NAME], []).append(each[POOL_ID])
            if not page.get("NextToken"):
                return ids
            token = {"NextToken": page["NextToken"]}

    def _describe_stream(self, name: str) -> Members | None:
        try:
            answer = self._ask(KINESIS, "describe-stream-summary", StreamName=name)
        except RefusedFault as fault:
            if fault.error.code == "ResourceNotFoundException":
                return None
            raise
        summary = answer["StreamDescriptionSummary"]
        summary["ShardCount"] = summary["OpenShardCount"]
        return {each: summary[each] for each in STREAM_MEMBERS}

    def _ask(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        return self._clients[service].call(operation, **parameters).result
