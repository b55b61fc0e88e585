"""The places where files are: a folder of this machine, or a bucket of S3."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from millpond.aws import Place, clients_of_bucket
from millpond.errors import AwsError, SourceError, SourceRefusedError
from millpond.sources.files import FileEntry

SESSION_NAME: Final = "millpond-import"
READ_TIMEOUT_S: Final = 30.0
ATTEMPTS: Final = 5
_DENIED: Final = frozenset({"AccessDenied", "403", "SignatureDoesNotMatch"})
_GONE: Final = frozenset({"NoSuchKey", "404"})


class Folder:
    """A folder and the folders in it."""

    def __init__(self, path: Path) -> None:
        self.name = f"folder '{path}'"
        self._path = path

    async def list(self) -> AsyncIterator[FileEntry]:
        entries = self._walk(self._path)
        while some := await asyncio.to_thread(_some, entries):
            for each in some:
                yield each

    async def open(self, name: str) -> BinaryIO | None:
        try:
            return await asyncio.to_thread((self._path / name).open, "rb")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(self._path / name, error) from error

    async def aclose(self) -> None:
        pass

    def _walk(self, folder: Path) -> Iterator[FileEntry]:
        """Walk through files so that their names come in order, as in S3."""
        try:
            with os.scandir(folder) as found:
                entries = [(e.name + "/" * e.is_dir(), e) for e in found]
        except OSError as error:
            raise _unreadable(folder, error) from error
        for name, entry in sorted(entries, key=lambda each: each[0]):
            if name.endswith("/"):
                yield from self._walk(folder / entry.name)
            elif entry.is_file():
                about = entry.stat()
                relative = (folder / name).relative_to(self._path).as_posix()
                yield FileEntry(relative, about.st_size, about.st_mtime_ns // 1_000_000)


def _some(entries: Iterator[FileEntry]) -> list[FileEntry]:
    return [each for each, _ in zip(entries, range(1000), strict=False)]


def _unreadable(path: Path, error: OSError) -> SourceError:
    return SourceError(f"'{path}' cannot be read: {error.strerror}.")


class Bucket:
    """The objects of a bucket below a prefix."""

    def __init__(
        self, bucket: str, prefix: str, place: Place, *, endpoint_url: str | None
    ) -> None:
        self.name = f"s3://{bucket}/{prefix}"
        self._bucket = bucket
        self._prefix = prefix
        self._place = place
        self._clients = clients_of_bucket(
            bucket,
            endpoint_url,
            session_name=SESSION_NAME,
            read_timeout_s=READ_TIMEOUT_S,
            attempts=ATTEMPTS,
        )

    async def list(self) -> AsyncIterator[FileEntry]:
        token: dict[str, str] = {}
        while True:
            request = {"Bucket": self._bucket, "Prefix": self._prefix, **token}
            try:
                answer = await self._call("list_objects_v2", request)
            except AwsError as error:
                raise self._refused(error, "s3:ListBucket") from error
            for each in answer.get("Contents", ()):
                if not each["Key"].endswith("/"):
                    modified_ms = int(each["LastModified"].timestamp() * 1000)
                    yield FileEntry(each["Key"], each["Size"], modified_ms)
            if not answer.get("IsTruncated"):
                return
            token = {"ContinuationToken": answer["NextContinuationToken"]}

    async def open(self, name: str) -> BinaryIO | None:
        try:
            answer = await self._get(name)
        except AwsError as error:
            if error.code in _GONE:
                return None
            raise self._refused(error, "s3:GetObject") from error
        loop = asyncio.get_running_loop()

        def go_on(start: int) -> Any:
            """Get the rest, from the thread that reads."""
            etag = answer["ETag"]
            getting = self._get(name, Range=f"bytes={start}-", IfMatch=etag)
            try:
                return asyncio.run_coroutine_threadsafe(getting, loop).result()["Body"]
            except AwsError as error:
                raise OSError(str(error)) from error

        body = _Body(answer["Body"], answer["ContentLength"], go_on)
        return cast("BinaryIO", body)

    async def aclose(self) -> None:
        await self._clients.aclose()

    async def _get(self, name: str, **more: str) -> dict[str, Any]:
        request = {"Bucket": self._bucket, "Key": name, **more}
        return await self._call("get_object", request)

    async def _call(self, operation: str, request: dict[str, str]) -> dict[str, Any]:
        def act(client: Any) -> dict[str, Any]:
            answer: dict[str, Any] = getattr(client, operation)(**request)
            return answer

        return await self._clients.call(self._place, act)

    def _refused(self, error: AwsError, action: str) -> SourceError:
        message = f"{self.name} cannot be read: {error}"
        if error.code in _DENIED:
            return SourceRefusedError(message, action=action)
        return SourceError(message)


class _Body:
    """What is in an object, read on after the connection was lost."""

    def __init__(self, body: Any, size: int, go_on: Any) -> None:
        self._body = body
        self._left = size
        self._size = size
        self._go_on = go_on

    def read(self, size: int = -1) -> bytes:
        """Read at most so many bytes; none at the end."""
        from botocore.exceptions import BotoCoreError, HTTPClientError

        for attempt in range(ATTEMPTS):
            if self._left == 0:
                return b""
            fault: Exception | None = None
            try:
                data: bytes = self._body.read(size)
            except (BotoCoreError, HTTPClientError, OSError) as error:
                data, fault = b"", error
            if data:
                self._left -= len(data)
                return data
            if attempt == ATTEMPTS - 1:
                raise OSError("the connection is lost again and again") from fault
            self._body = self._go_on(self._size - self._left)
        return b""

    def close(self) -> None:
        self._body.close()
