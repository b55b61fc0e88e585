"""The file sink keeps the sink contract, and its files survive what befalls them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from millpond.core.streaming import EncodedRecord, StreamRecord
from millpond.errors import (
    SettingsError,
    SinkError,
    SinkUnavailableError,
    StreamGoneError,
    StreamUnfitError,
)
from millpond.sinks import (
    file_format,
    file_target,
    file_writer,
    make_reader,
    make_sink,
)
from millpond.sinks.file import ROTATE_BYTES, ROTATE_S, FileSink, FileStream, parse_url
from millpond.sinks.file_format import (
    FileName,
    decode_line,
    encode_line,
    encode_lines,
    name_behind,
)
from millpond.sinks.file_reader import FileReader
from millpond.stores.sqlite import SqliteStore
from millpond.testing.server import wait_until
from millpond.testing.sink_contract import SinkBench, SinkContract

ONE = StreamRecord("a", b'{"n": 1}')
TWO = StreamRecord("a", b'{"n": 2}')

# Puts small records one after the other and says after each that it is there.
WRITER = """
import asyncio, sys
from millpond.core.streaming import StreamRecord
from millpond.sinks.file import FileSink, FileStream

async def main():
    sink = FileSink(FileStream(sys.argv[1], int(sys.argv[2]), 3600, True))
    await sink.open()
    n = 0
    while True:
        await sink.put([StreamRecord("a", b'{"n":%d,"x":"%b"}' % (n, b"x" * 5000))])
        print(n, flush=True)
        n += 1

asyncio.run(main())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that is a stream."""
    path = tmp_path / "stream"
    path.mkdir()
    return path


def sink_of(
    folder: Path, *, rotate_bytes: int = ROTATE_BYTES, rotate_s: int = ROTATE_S
) -> FileSink:
    # Temporary folders are in memory on many a machine.
    return FileSink(FileStream(str(folder), rotate_bytes, rotate_s, volatile=True))


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def finished(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def unfinished(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl.open"))


async def read_all(folder: Path) -> list[StreamRecord]:
    reader = FileReader(str(folder), from_end=False)
    await reader.open()
    found: list[StreamRecord] = []
    while batch := await reader.read(wait_s=0):
        found += batch
    await reader.aclose()
    return found


async def put_all(sink: FileSink, *batches: Sequence[StreamRecord]) -> None:
    """Open a sink, put batches, and close it."""
    await sink.open()
    try:
        for batch in batches:
            assert (await sink.put(batch)).failed == ()
    finally:
        await sink.aclose()


class TestFileSink(SinkContract):
    """The file sink keeps the sink contract."""

    @contextlib.asynccontextmanager
    async def bench(self, tmp_path: Path) -> AsyncIterator[SinkBench]:
        folder = tmp_path / "stream"
        folder.mkdir()
        aside = tmp_path / "aside"
        good = file_writer._sync

        async def delivered() -> list[StreamRecord]:
            return await read_all(folder)

        async def remove_stream() -> None:
            folder.rename(aside)

        async def recreate() -> None:
            # The system often gives a new folder the number of the one before it.
            shutil.rmtree(folder)
            folder.mkdir()

        async def disconnect() -> None:
            def fail(descriptor: int) -> None:
                raise OSError(errno.EIO, "Input/output error")

            file_writer._sync = fail

        try:
            yield SinkBench(
                sink=sink_of(folder),
                delivered=delivered,
                remove_stream=remove_stream,
                disconnect=disconnect,
                recreate=recreate,
            )
        finally:
            file_writer._sync = good


# --- URLs ---------------------------------------------------------------------------


def test_a_url_names_a_folder_and_when_files_are_finished():
    """The path is percent-decoded; what is not said has a default."""
    assert parse_url("file:///var/a%20b") == FileStream(
        "/var/a b", ROTATE_BYTES, ROTATE_S
    )
    assert parse_url("file:/x?rotate_s=5&rotate_bytes=9") == FileStream("/x", 9, 5)
    assert parse_url("file://localhost/x").folder == "/x"


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("file:relative/folder", "absolute path"),
        ("file:", "absolute path"),
        ("file://host/folder", "absolute path"),
        ("file:///a#b", "%23 stands for #"),
        ("file:///a%00b", "absolute path"),
        ("file:///a?rotate_s=0", "'rotate_s' must be a whole number above 0"),
        ("file:///a?rotate_bytes=1.5", "'rotate_bytes' must be a whole number"),
        ("file:///a?rotate_s=", "'rotate_s' must be"),
        ("file:///a?rotate=1", "no option 'rotate'; known: rotate_bytes, rotate_s"),
    ],
)
def test_a_url_that_says_too_little_or_too_much_is_refused(url, complaint):
    """The message names what is wrong."""
    with pytest.raises(SettingsError, match=complaint):
        parse_url(url)


def test_sinks_and_readers_are_made_by_url(tmp_path, folder):
    """The scheme `file` leads here, without a store being asked."""
    sink = make_sink(
        f"file://{folder}", {"file": lambda url, role: sink_of(folder)}, None
    )
    reader = make_reader(
        f"FILE://{folder}", store=SqliteStore(tmp_path), from_end=False
    )

    assert repr(sink) == f"<FileSink file://{folder}, closed>"
    assert repr(reader) == f"<FileReader file://{folder}, closed>"
    with pytest.raises(SettingsError, match="begins with embedded, file"):
        make_reader("x:y", store=SqliteStore(tmp_path), from_end=False)


# --- Lines and names ----------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":  1.50, "b":1e2}',
        b"18446744073709551616000",
        '"\u2028\u2603"'.encode(),
        b'{"a":1}',
        b"null",
    ],
)
def test_json_is_in_the_line_as_it_is(data):
    """Numbers and spaces stay byte for byte, and any program can read the line."""
    line = encode_line(StreamRecord('ke"y\n', data))

    assert line.endswith(b',"data":' + data + b"}\n")
    assert json.loads(line)["partitionKey"] == 'ke"y\n'
    assert decode_line(line[:-1]) == StreamRecord('ke"y\n', data)


def test_what_was_encoded_here_is_not_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It makes the same line as if it had been; others between are looked at."""
    event = b'{"value":"\xe2\x98\x83"}'
    lines = encode_line(StreamRecord("k", event)) + encode_line(ONE)
    looked: list[bytes] = []

    def look(data: bytes) -> bool:
        looked.append(data)
        return True

    monkeypatch.setattr(file_format, "_is_json_on_one_line", look)

    assert encode_lines([EncodedRecord("k", event), ONE]) == lines
    assert looked == [ONE.data]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" 1",
        b"1\t",
        b'{"a":\n1}',
        b"[1,\r2]",
        b"\xff",
        b'"\xff"',
        b"{",
        b'1}{"a":1',
        b"NaN",
        b"1\n2",
        b'"\\ud800"',
        b"[" * 100_000 + b"]" * 100_000,
    ],
)
def test_other_bytes_are_text(data):
    """What is not JSON on one line goes as base64, so each line stays JSON."""
    line = encode_line(StreamRecord("k", data))

    assert json.loads(line) == {
        "partitionKey": "k",
        "dataBase64": base64.b64encode(data).decode(),
    }
    assert line.count(b"\n") == 1
    assert decode_line(line[:-1]) == StreamRecord("k", data)


@pytest.mark.parametrize("key", ['","data":1}', 'a","data":"', "\\", '"', "\u2603", ""])
@pytest.mark.parametrize("data", [b'{"x":"\\",\\"data\\":"}', b"\0"])
def test_a_key_may_look_like_a_line(key, data):
    """Whatever a key holds, it ends where it ended."""
    record = StreamRecord(key, data)

    assert decode_line(encode_line(record)[:-1]) == record


def test_another_spelling_is_read_too():
    """Lines that a tool has written anew are good while they say the same."""
    assert decode_line(b'{ "data" : {"a": 1} , "partitionKey" : "k" }') == StreamRecord(
        "k", b'{"a": 1}'
    )


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b'{"partitionKey":"k"}', b'{"partitionKey":"k","dataBase64":"*"}'],
)
def test_what_is_no_line_is_a_value_error(line):
    """Damage is told and not passed over."""
    with pytest.raises(ValueError, match=r"."):
        decode_line(line)


def test_names_grow_even_if_the_clock_steps_back():
    """A file is named behind the last one, whatever the clock says."""
    first = name_behind("", moment="20260131T000000Z", random_hex="0" * 8)
    second = name_behind(first.stem, moment="20260131T000000Z", random_hex="f" * 8)
    third = name_behind(second.stem, moment="20250101T000000Z", random_hex="0" * 8)
    fourth = name_behind(third.stem, moment="20260131T000001Z", random_hex="0" * 8)

    assert str(first) == "20260131T000000Z-000000-00000000.jsonl.open"
    assert sorted([fourth, third, second, first]) == [first, second, third, fourth]
    assert file_format.parse_name(str(second)) == second
    assert file_format.parse_name("20260131T000000Z.jsonl") is None


# --- Files that are finished --------------------------------------------------------


def test_a_file_is_finished_when_the_sink_is_closed(folder):
    """While it is written its name says so."""

    async def scene() -> None:
        sink = sink_of(folder)
        await sink.open()
        assert names(folder) == []
        await sink.put([ONE])

        (name,) = names(folder)
        assert name.endswith(".jsonl.open")
        await sink.aclose()
        assert names(folder) == [name.removesuffix(".open")]
        assert finished(folder)[0].read_bytes() == encode_line(ONE)
        assert finished(folder)[0].stat().st_mode & 0o007 == 0  # values are private

    asyncio.run(scene())


def test_files_are_finished_by_size(folder):
    """A file that has reached `rotate_bytes` is finished; the order stays."""
    records = [StreamRecord("a", b"%d" % n) for n in range(40)]
    asyncio.run(put_all(sink_of(folder, rotate_bytes=100), *([r] for r in records)))

    assert len(finished(folder)) > 5
    assert not unfinished(folder)
    assert all(100 <= f.stat().st_size < 200 for f in finished(folder)[:-1])
    assert asyncio.run(read_all(folder)) == records


def test_files_are_finished_by_age_without_a_put(folder):
    """A stream that has gone quiet finishes its file all the same."""

    async def scene() -> None:
        sink = sink_of(folder, rotate_s=1)
        await sink.open()
        await sink.put([ONE])
        assert not finished(folder)
        await asyncio.to_thread(wait_until, lambda: finished(folder))
        await sink.put([TWO])
        assert len(unfinished(folder)) == 1
        await asyncio.to_thread(wait_until, lambda: len(finished(folder)) == 2)
        await sink.aclose()

    asyncio.run(scene())
    assert asyncio.run(read_all(folder)) == [ONE, TWO]


def test_a_torn_line_is_cut_off_by_the_next_to_open(folder):
    """What was whole is kept, and the file is finished; empty ones go."""
    stem = "20260131T000000Z-000000-0123abcd"
    (folder / f"{stem}.jsonl.open").write_bytes(
        encode_line(ONE) + encode_line(TWO)[:-1] + b"x" * 200_000
    )
    (folder / f"{stem[:-1]}e.jsonl.open").write_bytes(b'{"partitionKey":')
    (folder / "notes.txt").write_text("not ours")

    assert asyncio.run(read_all(folder)) == [ONE]
    asyncio.run(put_all(sink_of(folder), [TWO]))

    assert (folder / f"{stem}.jsonl").read_bytes() == encode_line(ONE)
    assert len(names(folder)) == 3
    assert asyncio.run(read_all(folder)) == [ONE, TWO]


def test_a_killed_process_loses_nothing_that_it_acknowledged(folder):
    """After kill -9 in the middle the next sink goes on behind it."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), "50000"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= 25:
            break
    process.send_signal(signal.SIGKILL)
    acknowledged = [int(line), *map(int, process.stdout)][-1]
    process.wait()
    process.stdout.close()
    assert len(unfinished(folder)) <= 1
    asyncio.run(put_all(sink_of(folder), [ONE]))

    found = [json.loads(each.data)["n"] for each in asyncio.run(read_all(folder))]
    assert not unfinished(folder)
    assert found[:-1] == list(range(len(found) - 1))
    assert len(found) - 1 > acknowledged
    assert found[-1] == 1


def test_two_sinks_do_not_disturb_each_other(folder):
    """Each writes a file of its own, and neither finishes that of the other."""

    async def scene() -> None:
        one, two = sink_of(folder), sink_of(folder)
        await one.open()
        await one.put([ONE])
        await two.open()
        await two.put([StreamRecord("b", b"1")])
        assert len(unfinished(folder)) == 2
        await asyncio.gather(
            one.put([TWO]), two.put([StreamRecord("b", b"2")]), one.put([TWO])
        )
        await two.aclose()
        assert len(unfinished(folder)) == 1
        await one.aclose()

    asyncio.run(scene())
    found = asyncio.run(read_all(folder))
    assert [r for r in found if r.partition_key == "a"] == [ONE, TWO, TWO]
    assert [r.data for r in found if r.partition_key == "b"] == [b"1", b"2"]


def test_another_process_keeps_its_file(folder):
    """What a living process writes is not taken for a leftover."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), "100000000"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    asyncio.run(put_all(sink_of(folder), [ONE]))
    (theirs,) = unfinished(folder)
    before = int(process.stdout.readline())
    process.kill()
    process.communicate()

    found = asyncio.run(read_all(folder))
    assert theirs.exists()
    assert ONE in found
    assert len(found) > before


# --- What goes wrong ----------------------------------------------------------------


def test_a_full_disk_leaves_no_torn_line(folder):
    """What did not fit is taken back; when there is room, it goes on."""
    script = WRITER.replace(
        "n = 0",
        "import resource, signal; resource.setrlimit("
        "resource.RLIMIT_FSIZE, (12_000, resource.RLIM_INFINITY)); n = 0",
    ).replace(
        "        print(n, flush=True)",
        "        print(n, flush=True)\n        if n == 3: break",
    )
    script = script.replace(
        "        await sink.put(",
        "        await put(sink, ",
    ).replace(
        "async def main():",
        "from millpond.errors import SinkUnavailableError\n"
        "async def put(sink, records):\n"
        "    try:\n"
        "        await sink.put(records)\n"
        "    except SinkUnavailableError as error:\n"
        "        print(error, file=sys.stderr)\n"
        "        await sink.put(records)\n"
        "async def main():",
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(folder), "1000000"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.stdout.split() == ["0", "1", "2", "3"], result.stderr
    assert (
        result.stderr == f"Folder '{folder}' cannot be used: a file is as large as it "
        "may be. Lower rotate_bytes. Nothing is lost.\n"
    )
    found = asyncio.run(read_all(folder))
    assert [json.loads(each.data)["n"] for each in found] == [0, 1, 2, 3]
    assert all(f.read_bytes().endswith(b"}\n") for f in folder.iterdir())
    (first, second) = sorted(folder.iterdir())
    assert first.name.endswith(".jsonl")
    assert second.name.endswith(".jsonl.open")


@pytest.mark.parametrize(
    ("number", "kind", "text"),
    [
        (errno.ENOSPC, SinkUnavailableError, "its disk is full. Free some space"),
        (errno.EDQUOT, SinkUnavailableError, "its disk is full"),
        (errno.EIO, SinkUnavailableError, "Input/output error"),
        (errno.EROFS, SinkUnavailableError, "its file system is read-only"),
        (errno.EACCES, SinkUnavailableError, "permission is denied. Let the user"),
    ],
)
@pytest.mark.parametrize("step", ["write", "sync", "create"])
def test_an_error_of_the_system_is_told_in_words(
    folder, monkeypatch, step, number, kind, text
):
    """The put fails as a whole, the file before it is whole, the next put goes on."""

    def fail(*arguments: object, **options: object) -> int:
        raise OSError(number, os.strerror(number))

    async def scene() -> None:
        sink = sink_of(folder, rotate_bytes=1 if step == "create" else 1000)
        await sink.open()
        await sink.put([ONE])
        with monkeypatch.context() as patch:
            if step == "sync":
                patch.setattr(file_writer, "_sync", fail)
            elif step == "write":
                patch.setattr(os, "write", fail)
            else:
                patch.setattr(os, "open", fail)
            with pytest.raises(kind, match=text) as caught:
                await sink.put([TWO])
        assert caught.value.retryable
        assert await read_all(folder) == [ONE]
        await sink.put([TWO])
        await sink.aclose()

    asyncio.run(scene())
    assert asyncio.run(read_all(folder)) == [ONE, TWO]
    assert len(finished(folder)) == 2


def test_a_folder_that_may_not_be_written_is_told_at_the_start(folder, monkeypatch):
    """Opening says so, rather than the first put."""
    monkeypatch.setattr(os, "access", lambda *arguments: False)

    with pytest.raises(SinkUnavailableError, match="permission is denied"):
        asyncio.run(sink_of(folder).open())


def test_a_file_is_no_stream(folder):
    """A URL must lead to a folder, which cannot be made where the file is."""
    path = folder / "it's a file"
    path.write_text("")

    with pytest.raises(StreamGoneError, match="something else is in") as gone:
        asyncio.run(sink_of(path).open())
    assert f"Take that away, then `mkdir -p {shlex.quote(str(path))}`" in str(
        gone.value
    )
    with pytest.raises(StreamGoneError, match="does not exist"):
        asyncio.run(FileReader(str(path), from_end=False).open())


def test_another_folder_in_the_place_is_not_written(folder):
    """As after an unmount: nothing goes into the folder that appeared below."""

    async def scene() -> None:
        sink = sink_of(folder)
        await sink.open()
        await sink.put([ONE])
        folder.rename(folder.parent / "away")
        folder.mkdir()
        for _ in range(2):
            with pytest.raises(StreamGoneError, match="Another folder has taken"):
                await sink.put([TWO])
        await sink.aclose()

    asyncio.run(scene())
    assert names(folder) == []
    assert asyncio.run(read_all(folder.parent / "away")) == [ONE]


@pytest.mark.parametrize("away", ["removed", "moved"])
def test_a_file_that_is_taken_away_is_followed_by_another(folder, tmp_path, away):
    """Records go where the stream is, not into a file that has left it."""

    async def scene() -> None:
        sink = sink_of(folder)
        await sink.open()
        await sink.put([ONE])
        (path,) = unfinished(folder)
        if away == "removed":
            path.unlink()
        else:
            path.rename(tmp_path / path.name)
        await sink.put([TWO])
        await sink.aclose()

    asyncio.run(scene())
    assert asyncio.run(read_all(folder)) == [TWO]


def test_a_sink_that_is_not_open_takes_nothing(folder):
    """Neither before it is opened nor after it is closed; a new one will."""

    async def scene() -> None:
        sink = sink_of(folder)
        for _ in range(2):
            with pytest.raises(SinkUnavailableError, match="must be opened"):
                await sink.put([ONE])
            await sink.open()
            await sink.aclose()

    asyncio.run(scene())


# --- Reading ------------------------------------------------------------------------


def reading(
    folder: Path, scene: Callable[[FileSink, FileReader], Awaitable[None]], **options
) -> None:
    async def run() -> None:
        sink = sink_of(folder, **options)
        reader = FileReader(str(folder), from_end=False)
        await sink.open()
        await reader.open()
        try:
            await scene(sink, reader)
        finally:
            await sink.aclose()
            await reader.aclose()

    asyncio.run(run())


def test_a_reader_follows_a_stream_as_it_grows(folder):
    """It gives every record once, in order, over files that come and end."""
    records = [StreamRecord("a", b"%d" % n) for n in range(60)]

    async def scene(sink: FileSink, reader: FileReader) -> None:
        async def write() -> None:
            for record in records:
                await sink.put([record])

        writing = asyncio.create_task(write())
        found: list[StreamRecord] = []
        while len(found) < len(records):
            batch = await reader.read(wait_s=20)
            assert batch
            found += batch
        await writing

        assert found == records
        assert await reader.read(wait_s=0) == []

    reading(folder, scene, rotate_bytes=300)


def test_a_reader_waits_for_the_end_of_a_line(folder):
    """A torn last line is nothing until it is whole."""
    path = folder / str(FileName("20260131T000000Z-000000-0123abcd", is_open=True))
    line = encode_line(TWO)

    async def scene(sink: FileSink, reader: FileReader) -> None:
        path.write_bytes(encode_line(ONE) + line[:7])
        assert await reader.read(wait_s=0) == [ONE]
        assert await reader.read(wait_s=0) == []
        with path.open("ab") as file:
            file.write(line[7:])
        assert await reader.read(wait_s=0) == [TWO]

    reading(folder, scene)


def test_a_reader_may_begin_at_the_end(folder):
    """It gives what comes after it was opened, also behind a torn line."""
    asyncio.run(put_all(sink_of(folder), [ONE]))
    path = folder / str(FileName("99991231T000000Z-000000-0123abcd", is_open=True))
    path.write_bytes(encode_line(ONE) + encode_line(TWO)[:5])

    async def scene() -> None:
        reader = FileReader(str(folder), from_end=True)
        await reader.open()
        await reader.open()
        assert await reader.read(wait_s=0) == []
        with path.open("ab") as file:
            file.write(encode_line(TWO)[5:])
        assert await reader.read(wait_s=0) == [TWO]

    asyncio.run(scene())


def test_a_long_line_is_read(folder):
    """A line may be longer than what is read at a time."""
    record = StreamRecord("a", b'"' + b"x" * (8 * 1024 * 1024 - 10) + b'"')
    asyncio.run(put_all(sink_of(folder), [ONE], [record], [TWO]))

    assert asyncio.run(read_all(folder)) == [ONE, record, TWO]


def test_damage_is_told_with_its_place(folder):
    """The message names the file and the byte."""
    name = "20260131T000000Z-000000-0123abcd.jsonl"
    (folder / name).write_bytes(encode_line(ONE) + b"oops\n")

    with pytest.raises(SinkError, match=f"'{name}': what stands at byte 37 is no line"):
        asyncio.run(read_all(folder))


def test_a_folder_that_goes_ends_the_reading(folder):
    """A reader of a stream that is gone is told so."""

    async def scene(sink: FileSink, reader: FileReader) -> None:
        folder.rename(folder.parent / "away")
        with pytest.raises(StreamGoneError):
            await reader.read(wait_s=0)

    reading(folder, scene)
    with pytest.raises(SinkError, match="must be opened"):
        asyncio.run(FileReader(str(folder), from_end=False).read(wait_s=0))


# --- What kind of folder it is -------------------------------------------------------


def test_a_folder_in_memory_is_refused_unless_the_url_accepts_it(tmp_path, monkeypatch):
    """What is acknowledged must be on a disk, or somebody says that it need not be."""
    monkeypatch.setattr(file_target, "file_system_of", lambda device: "tmpfs")
    url = f"file://{tmp_path}"

    async def scene() -> None:
        with pytest.raises(StreamUnfitError, match="file system is tmpfs") as caught:
            await FileSink(parse_url(url)).open()
        assert "volatile=true" in str(caught.value)
        assert list(tmp_path.iterdir()) == []
        sink = FileSink(parse_url(f"{url}?volatile=true"))
        await sink.open()
        assert (await sink.put([StreamRecord("a", b"1")])).failed == ()
        await sink.aclose()

    asyncio.run(scene())


def test_a_folder_on_tmpfs_is_known_to_be_in_memory():
    """The system's own table of mounts tells it."""
    memory = Path("/dev/shm")
    if not os.path.ismount(memory) or not os.access(memory, os.W_OK):
        pytest.skip("This system has no /dev/shm of its own.")
    with (
        tempfile.TemporaryDirectory(dir=memory) as folder,
        pytest.raises(StreamUnfitError, match="tmpfs"),
    ):
        asyncio.run(FileSink(parse_url(f"file://{folder}")).open())


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ("36 35 8:1 / / rw,noatime master:1 - ext4 /dev/root rw\n", "ext4"),
        ("36 35 8:1 / /a\\040- rw - tmpfs - rw\n", "tmpfs"),  # no optional fields
        ("36 35 8:1 / / rw shared:1 master:2 - xfs /dev/x rw\n", "xfs"),
        ("36 35 98:1 / / rw - tmpfs none rw\n36 35 8:1 / / rw - ext4 x rw\n", "ext4"),
        ("36 35 8:1\nnothing\n\n", ""),
        ("", ""),
    ],
)
def test_the_table_of_mounts_is_read(tmp_path, lines, kind):
    """Fields before the hyphen come and go; a line that says nothing says nothing."""
    table = tmp_path / "mountinfo"
    table.write_text(lines)

    assert file_target.file_system_of(os.makedev(8, 1), str(table)) == kind
    assert file_target.file_system_of(1, str(tmp_path / "none")) == ""
