"""
A Kinesis of one stream that fails as its script says: over HTTP, in this process.

    with FaultyKinesis() as kinesis:
        kinesis.script("PutRecords", LoseAnswer(), FailRecords(0, 2))
        sink = make_sink(kinesis.sink_url, None)
        ...
        assert kinesis.records() == [...]

Each call of an operation consumes one entry of the operation's script; after the script
everything works. What is taken is really taken: a call that loses its answer has put
its records. Shards can be split and merged, as those of the real service.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from millpond.core.streaming import StreamRecord

HASH_SPACE: Final = 2**128
THROTTLED: Final = "ProvisionedThroughputExceededException"
CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "AKIAKINESIS",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Who calls does not matter to it, but botocore must have something to sign with."""


# --- What can go wrong --------------------------------------------------------------


class Refuse(NamedTuple):
    """The call is refused, and does nothing."""

    code: str = THROTTLED
    status: int = 400
    message: str = "Scripted."


class FailRecords:
    """Some records of a PutRecords are refused, by position; the others are taken."""

    def __init__(self, *positions: int, code: str = THROTTLED) -> None:
        self.positions = frozenset(positions)
        self.code = code

    def __repr__(self) -> str:
        return f"FailRecords{tuple(sorted(self.positions))} {self.code}"


class Shuffle(NamedTuple):
    """All records are taken, the last one first."""


class LoseAnswer(NamedTuple):
    """The call does what it should, and the connection is cut before the answer."""


class CutBefore(NamedTuple):
    """The connection is cut, and nothing is done."""


class CutAnswer(NamedTuple):
    """The call does what it should, and the connection is cut within the answer."""


class Stall(NamedTuple):
    """The call does what it should, and is not answered before the server closes."""


class Garbage(NamedTuple):
    """Something in between answers, and nothing is done."""

    body: bytes = b"<html>Please log in.</html>"
    status: int = 200


Trouble = (
    Refuse
    | FailRecords
    | Shuffle
    | LoseAnswer
    | CutBefore
    | CutAnswer
    | Stall
    | Garbage
    | None
)


# --- The stream ---------------------------------------------------------------------


@dataclass
class _Shard:
    shard_id: str
    start: int  # hash keys, inclusive
    end: int
    parents: tuple[str, ...] = ()
    records: list[tuple[int, StreamRecord]] = field(default_factory=list)
    ended_at: int | None = None  # the sequence number

    def json(self) -> dict[str, Any]:
        numbers = {"StartingSequenceNumber": "0"}
        if self.ended_at is not None:
            numbers["EndingSequenceNumber"] = str(self.ended_at)
        found = {
            "ShardId": self.shard_id,
            "HashKeyRange": {
                "StartingHashKey": str(self.start),
                "EndingHashKey": str(self.end),
            },
            "SequenceNumberRange": numbers,
        }
        names = ("ParentShardId", "AdjacentParentShardId")
        return found | dict(zip(names, self.parents, strict=False))


class Call(NamedTuple):
    """A call that arrived."""

    operation: str
    request: dict[str, Any]
    access_key_id: str  # who signed it


class _Refused(Exception):
    pass


class FaultyKinesis:
    """A stream behind the Kinesis API, with a script of troubles."""

    def __init__(
        self, stream_name: str = "changes", *, shards: int = 1, page: int = 1000
    ) -> None:
        """
        Args:
            page: how many shards or records one answer lists at most.
        """
        self.stream_name = stream_name
        self.status = "ACTIVE"
        self.exists = True
        self.calls: list[Call] = []
        self._page = page
        self._number = 100
        self._shards_made = 0
        self._iterators_made = 0
        self._iterators_expired = 0
        self._shards: dict[str, _Shard] = {}
        self._scripts: defaultdict[str, list[Trouble]] = defaultdict(list)
        self._lock = threading.RLock()
        self._released = threading.Event()
        self._connections: set[socket.socket] = set()
        size = HASH_SPACE // shards
        for number in range(shards):
            end = HASH_SPACE - 1 if number == shards - 1 else (number + 1) * size - 1
            self._add_shard(number * size, end)
        self._listen(0)
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> FaultyKinesis:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def sink_url(self) -> str:
        """The URL of the stream for the setting `streams`."""
        endpoint = quote(self.url, safe="")
        return f"kinesis://{self.stream_name}?region=us-east-1&endpoint={endpoint}"

    # --- For tests ------------------------------------------------------------------

    def script(self, operation: str, *troubles: Trouble) -> None:
        """Say how the next calls of an operation go; None is one that works."""
        with self._lock:
            self._scripts[operation] += troubles

    def records(self) -> list[StreamRecord]:
        """List what the stream holds, shard by shard, parents before children."""
        with self._lock:
            return [r for shard in self._shards.values() for _, r in shard.records]

    def requests(self, operation: str) -> list[dict[str, Any]]:
        """List the requests for an operation."""
        return [each.request for each in self.calls if each.operation == operation]

    def split(self, shard_id: str) -> None:
        """Split a shard into two."""
        with self._lock:
            shard = self._close_shard(shard_id)
            middle = (shard.start + shard.end) // 2
            self._add_shard(shard.start, middle, shard_id)
            self._add_shard(middle + 1, shard.end, shard_id)

    def merge(self, shard_id: str, other_id: str) -> None:
        """Merge two adjacent shards into one."""
        with self._lock:
            one, other = self._close_shard(shard_id), self._close_shard(other_id)
            assert one.end + 1 == other.start
            self._add_shard(one.start, other.end, shard_id, other_id)

    def forget(self, shard_id: str) -> None:
        """Take a shard away, as retention does."""
        with self._lock:
            del self._shards[shard_id]

    def expire_iterators(self) -> None:
        """Let all iterators that were handed out expire."""
        self._iterators_expired = self._iterators_made

    def go_down(self) -> None:
        """Refuse connections from now on, and keep the port from others."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._cut_all()
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", self.port))

    def come_back(self) -> None:
        """Answer again, at the same address."""
        self._held.close()
        self._listen(self.port)

    def close(self) -> None:
        """End for good, calls that stall included."""
        self._released.set()
        if hasattr(self, "_held"):
            self._held.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._cut_all()

    # --- The API --------------------------------------------------------------------

    def answer(self, call: Call) -> tuple[Trouble, int, bytes]:
        """Do what a call asks for, as far as the script lets it."""
        with self._lock:
            self.calls.append(call)
            script = self._scripts[call.operation]
            trouble = script.pop(0) if script else None
            match trouble:
                case CutBefore():
                    return trouble, 0, b""
                case Garbage():
                    return trouble, trouble.status, trouble.body
                case Refuse():
                    return trouble, trouble.status, _error(trouble.code, "Scripted.")
            operations: dict[str, Callable[[dict[str, Any], Trouble], Any]] = {
                "DescribeStreamSummary": self._describe,
                "PutRecords": self._put_records,
                "ListShards": self._list_shards,
                "GetShardIterator": self._get_shard_iterator,
                "GetRecords": self._get_records,
            }
            try:
                if not self.exists:
                    raise _Refused("ResourceNotFoundException")
                found = operations[call.operation](call.request, trouble)
            except _Refused as refusal:
                return trouble, 400, _error(str(refusal), "It is refused.")
            return trouble, 200, json.dumps(found).encode()

    def _describe(self, request: dict[str, Any], trouble: Trouble) -> Any:
        if request["StreamName"] != self.stream_name:
            raise _Refused("ResourceNotFoundException")
        summary = {"StreamName": self.stream_name, "StreamStatus": self.status}
        return {"StreamDescriptionSummary": summary}

    def _put_records(self, request: dict[str, Any], trouble: Trouble) -> Any:
        records = [
            StreamRecord(each["PartitionKey"], base64.b64decode(each["Data"]))
            for each in request["Records"]
        ]
        answers: dict[int, dict[str, str]] = {}
        positions = list(range(len(records)))
        if isinstance(trouble, FailRecords):
            for position in trouble.positions & set(positions):
                answers[position] = {
                    "ErrorCode": trouble.code,
                    "ErrorMessage": "Scripted.",
                }
        if isinstance(trouble, Shuffle):
            positions.reverse()
        for position in positions:
            if position not in answers:
                answers[position] = self._take(records[position])
        return {
            "FailedRecordCount": sum("ErrorCode" in each for each in answers.values()),
            "Records": [answers[position] for position in range(len(records))],
        }

    def _list_shards(self, request: dict[str, Any], trouble: Trouble) -> Any:
        if "NextToken" in request and "StreamName" in request:
            raise _Refused("InvalidArgumentException")
        shards = list(self._shards.values())
        start = int(request.get("NextToken", 0))
        answer = {"Shards": [s.json() for s in shards[start : start + self._page]]}
        if start + self._page < len(shards):
            answer["NextToken"] = str(start + self._page)  # type: ignore[assignment]
        return answer

    def _get_shard_iterator(self, request: dict[str, Any], trouble: Trouble) -> Any:
        shard = self._shards.get(request["ShardId"])
        if shard is None:
            raise _Refused("ResourceNotFoundException")
        after = 0
        match request["ShardIteratorType"]:
            case "LATEST":
                after = self._number
            case "AFTER_SEQUENCE_NUMBER":
                after = int(request["StartingSequenceNumber"])
        return {"ShardIterator": self._iterator(shard, after)}

    def _get_records(self, request: dict[str, Any], trouble: Trouble) -> Any:
        made, shard_id, after = request["ShardIterator"].split("/")
        if int(made) <= self._iterators_expired:
            raise _Refused("ExpiredIteratorException")
        shard = self._shards.get(shard_id)
        if shard is None:
            raise _Refused("ResourceNotFoundException")
        left = [each for each in shard.records if each[0] > int(after)]
        page = left[: self._page]
        answer: dict[str, Any] = {
            "Records": [
                {
                    "SequenceNumber": str(number),
                    "PartitionKey": record.partition_key,
                    "Data": base64.b64encode(record.data).decode(),
                    "ApproximateArrivalTimestamp": 0,
                }
                for number, record in page
            ],
            "MillisBehindLatest": 1000 * (len(left) > len(page)),
        }
        if shard.ended_at is None or len(left) > len(page):
            last = page[-1][0] if page else int(after)
            answer["NextShardIterator"] = self._iterator(shard, last)
        return answer

    def _take(self, record: StreamRecord) -> dict[str, str]:
        digest = hashlib.md5(record.partition_key.encode()).digest()
        place = int.from_bytes(digest)
        shard = next(
            each
            for each in self._shards.values()
            if each.ended_at is None and each.start <= place <= each.end
        )
        self._number += 1
        shard.records.append((self._number, record))
        return {"SequenceNumber": str(self._number), "ShardId": shard.shard_id}

    def _iterator(self, shard: _Shard, after: int) -> str:
        self._iterators_made += 1
        return f"{self._iterators_made}/{shard.shard_id}/{after}"

    def _add_shard(self, start: int, end: int, *parents: str) -> None:
        shard_id = f"shardId-{self._shards_made:012d}"
        self._shards_made += 1
        self._shards[shard_id] = _Shard(shard_id, start, end, parents)

    def _close_shard(self, shard_id: str) -> _Shard:
        shard = self._shards[shard_id]
        assert shard.ended_at is None
        shard.ended_at = self._number
        return shard

    # --- Sockets --------------------------------------------------------------------

    def _listen(self, port: int) -> None:
        kinesis = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                kinesis._connections.add(self.request)
                super().setup()

            def finish(self) -> None:
                super().finish()
                kinesis._connections.discard(self.request)

            def do_POST(self) -> None:
                kinesis._serve(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        signed_by = handler.headers["Authorization"].split("Credential=")[1]
        operation = handler.headers["X-Amz-Target"].split(".")[1]
        call = Call(operation, json.loads(body), signed_by.split("/")[0])
        trouble, status, answer = self.answer(call)
        if isinstance(trouble, Stall):
            self._released.wait()
        if isinstance(trouble, CutBefore | LoseAnswer | Stall):
            handler.close_connection = True
            _cut(handler.request)
            return
        with contextlib.suppress(OSError):  # whoever asked is gone
            handler.send_response(status)
            handler.send_header("Content-Type", "application/x-amz-json-1.1")
            handler.send_header("Content-Length", str(len(answer)))
            handler.end_headers()
            if isinstance(trouble, CutAnswer):
                handler.wfile.write(answer[: len(answer) // 2])
                handler.close_connection = True
                _cut(handler.request)
            else:
                handler.wfile.write(answer)

    def _cut_all(self) -> None:
        for connection in list(self._connections):
            _cut(connection)


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _error(code: str, message: str) -> bytes:
    return json.dumps({"__type": code, "message": message}).encode()
