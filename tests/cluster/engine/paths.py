"""Where the private engine keeps its things. A machine has one such engine, whichever checkout started it."""

import os
from pathlib import Path

from tests.cluster.cache import cache_dir

RUN = Path("/run/loadstar-engine")  # short, as a socket's path must be under 108 bytes
EXEC_ROOT = RUN / "exec"
SOCKET = RUN / "docker.sock"
PID_FILE = RUN / "dockerd.pid"
RUNTIME = RUN / "runtime"
BEFORE = RUN / "before.json"  # the host as it was before the engine started
LOCK = Path("/run/lock/loadstar-engine")  # held while starting and stopping
USERS = Path("/run/lock/loadstar-engine-users")  # shared lock of every process that uses the engine

CGROUP = "loadstar-engine"
"""Parent of every container's cgroup: what is below it is ours, and nothing else is."""


def log() -> Path:
    """The engine's log; in the cache, so that it outlives the engine."""
    return cache_dir("logs") / "engine.log"


def data_root() -> Path:
    """Images and containers: `$LOADSTAR_ENGINE_DATA`, else in the cache, so that images outlive the engine."""
    named = os.environ.get("LOADSTAR_ENGINE_DATA")
    return Path(named).resolve() if named else cache_dir("engine", "data")


def programs() -> Path:
    """Unpacked Debian packages: a root file system with the programs that the machine lacks."""
    return cache_dir("engine") / "programs"
