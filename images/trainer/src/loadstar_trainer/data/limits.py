"""How large data may be to be kept in memory."""

import os
from pathlib import Path

from loadstar_trainer.failures import Refused

STREAM_BYTES = "LOADSTAR_STREAM_BYTES"
SHARE = 4  # of the memory: parsed, split and scaled, data take up to three times the bytes of their file


def stream_above(cgroup: Path = Path("/sys/fs/cgroup"), meminfo: Path = Path("/proc/meminfo")) -> int:
    """Bytes; larger files are read anew in each epoch. LOADSTAR_STREAM_BYTES, else a quarter of the pod's memory."""
    text = os.environ.get(STREAM_BYTES, "").strip()
    if not text:
        return memory(cgroup, meminfo) // SHARE
    if not text.isdecimal() or int(text) < 1:
        raise Refused("InvalidEnvironment", f"{STREAM_BYTES} is {text!r}; set it to a whole number of bytes.")
    return int(text)


def memory(cgroup: Path, meminfo: Path) -> int:
    """Bytes that this pod may use: its limit under cgroup v2 or v1, else the memory of the machine."""
    fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    available = int(fields["MemTotal"].split()[0]) * 1024
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            limit = (cgroup / name).read_text().strip()
        except OSError:
            continue
        if limit.isdecimal():
            available = min(available, int(limit))
    return available
