"""What kind of place a folder is: whether it is on a disk, and which one it is."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path
from typing import Final

from millpond.core.targets import Property, Target, Words
from millpond.sinks.urls import VOLATILE

MOUNTS: Final = "/proc/self/mountinfo"
IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})
_GET_VERSION: Final = 0x80087601  # Linux: FS_IOC_GETVERSION, the inode's generation


def folder_target(folder: str, folder_fd: int, *, volatile: bool) -> Target:
    """
    Say what kind of target an open folder is. Blocks.

    Args:
        volatile: whether it may be in memory.
    """
    status = os.fstat(folder_fd)
    kind = file_system_of(status.st_dev)
    properties = {}
    if kind in IN_MEMORY and not volatile:
        properties[Property.IN_MEMORY] = Words(
            f"its file system is {kind}",
            "Take a folder on a disk, or say that it may be in memory, in the URL of "
            f"the stream: ?{VOLATILE}=true.",
        )
    return Target(
        name=f"Folder '{folder}'",
        properties=properties,
        identity=f"{status.st_ino}.{_generation(folder_fd)}",
    )


def file_system_of(device: int, mounts: str = MOUNTS) -> str:
    """
    Give the kind of the file system on a device; empty when it cannot be told.

    Args:
        mounts: a table like that of Linux, proc(5): a line for each mount, with
            major:minor third, and the kind behind the field that is a hyphen.
    """
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = Path(mounts).read_text(errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        fields = line.split()
        if len(fields) > 2 and fields[2] == number and "-" in fields[6:]:
            return fields[fields.index("-", 6) + 1]
    return ""


def _generation(folder_fd: int) -> int:
    """
    Give what tells a folder from a later one with its inode; 0 when it is not told.

    A folder that is made just after another was removed often gets its number.
    """
    try:
        answer = fcntl.ioctl(folder_fd, _GET_VERSION, struct.pack("l", 0))
    except OSError:
        return 0
    generation: int = struct.unpack("i", answer[:4])[0]
    return generation
