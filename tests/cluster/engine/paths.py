"""Where the private engine keeps its things. There is one such engine on a machine, whichever checkout started it."""

from pathlib import Path

from tests.cluster.cache import cache_dir

RUN = Path("/run/loadstar-engine")  # short, as a socket's path must be under 108 bytes
EXEC_ROOT = RUN / "exec"
SOCKET = RUN / "docker.sock"
PID_FILE = RUN / "dockerd.pid"
LOG = RUN / "dockerd.log"
RUNTIME = RUN / "runtime"
BEFORE = RUN / "before.json"
CONTAINERD_SOCKET = EXEC_ROOT / "containerd" / "containerd.sock"

CGROUP = "loadstar-engine"
"""Parent of every container's cgroup: what is below it is ours, and nothing else is."""


def data_root() -> Path:
    """Images and containers; in the cache, so that images outlive the engine."""
    return cache_dir("engine", "data")


def programs() -> Path:
    """Unpacked Debian packages: a root file system with the programs that the machine lacks."""
    return cache_dir("engine") / "programs"
