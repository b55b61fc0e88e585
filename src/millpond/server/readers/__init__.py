"""
Readers before one writer: all cores in use, and nothing with two owners.

    supervisor   the process that was started: it holds the port, and starts the others
      writer     today's server, but for the port: it writes, runs the workers, holds
                 listeners, pages and figures, and listens on a Unix socket (`intake`)
      reader 1   has the port; verifies, decodes and answers what only reads, over
      reader ... read-only connections, and passes everything else on (`relay`)

What is passed on goes as it came: the head with the bytes of its target and its
headers, the body piece by piece as the writer asks for it, the answer part by part as
the client takes it. The writer sees the request as if it had come over the port, with
the address of its client, and checks all of it again. Only readers can reach the
socket: its folder is their user's alone.

A reader keeps nothing that it could lose but the figures of a second. The processes are
forks of the supervisor, which has no thread and no store open: so all run the same code
with the same settings, whatever became of the files meanwhile, and share the pages of
memory that hold it, and the table of the limits of rates.

    operations   which operations a reader answers
    messages     what goes over the socket
    channel      ... and how
    relay        the reader's end
    intake       the writer's end
    figures      counts of a reader, on their way to the writer
    reader       the composition root of a reader
    supervisor   starts, watches and stops the processes
    shared       memory that all of them have
"""

from __future__ import annotations

import os
from typing import Final

from millpond.settings import Settings

_AUTO: Final = "auto"


def count_readers(settings: Settings) -> int:
    """Say how many readers the settings ask for."""
    if settings.readers != _AUTO:
        return int(settings.readers)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) - 1
    return (os.cpu_count() or 1) - 1
