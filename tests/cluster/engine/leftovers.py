"""Ending what an engine left running: found by its pid file, its folders and its containers' cgroup."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.cluster.engine import paths

_PATIENCE_SECONDS = 20.0


def running_daemon() -> int | None:
    """The engine's pid if it runs; a pid file whose number now belongs to another program does not count."""
    pid = _pid(paths.PID_FILE)
    return pid if pid is not None and str(paths.EXEC_ROOT) in _command_line(pid) else None


def end_processes() -> None:
    """End the engine, its containerd, its shims and every process in its containers."""
    daemon = running_daemon()
    if daemon is not None:
        _signal(daemon, signal.SIGTERM)
        _wait(lambda: running_daemon() is None)
    # Whatever outlived that (always something after a crash) is found by the engine's marks.
    # In rounds, as a shim may start a process while it is being looked for.
    _wait(lambda: not [_signal(pid, signal.SIGKILL) for pid in _survivors()])


def unmount(*roots: Path) -> None:
    """Unmount everything below `roots`, the deepest first."""
    for mount in reversed(
        [mount for mount in _mounts() if any(mount.is_relative_to(root) for root in roots)]
    ):
        subprocess.run(["umount", "--lazy", mount], check=True)


def remove_cgroups() -> None:
    """Remove the engine's cgroup from every hierarchy; its processes have ended."""
    _wait(lambda: all(_remove_cgroup(top) for top in cgroups()))


def cgroups() -> list[Path]:
    """The engine's cgroup in each hierarchy where it exists (cgroup v1 has many hierarchies, v2 one)."""
    root = Path("/sys/fs/cgroup")
    return [path for path in (root / paths.CGROUP, *root.glob(f"*/{paths.CGROUP}")) if path.is_dir()]


def _survivors() -> list[int]:
    """Processes that carry the engine's marks: its pid files, its socket's address, its cgroup."""
    found = set(_cgroup_processes())
    for pid in (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()):
        words = _command_line(pid).split("\0")
        if any(word.startswith(str(paths.EXEC_ROOT)) for word in words):
            found.add(pid)
    return sorted(found - {os.getpid()})


def _cgroup_processes() -> Iterator[int]:
    for top in cgroups():
        for processes in top.rglob("cgroup.procs"):
            try:
                yield from map(int, processes.read_text().split())
            except OSError:
                continue  # the group went away in between


def _remove_cgroup(top: Path) -> bool:
    """Remove a cgroup with all below it; False if something in it still ends."""
    try:
        for folder in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
            folder.rmdir()
        top.rmdir()
    except FileNotFoundError:
        return not top.exists()
    except OSError:
        return False
    return True


def _mounts() -> list[Path]:
    """Mount points in the order of their mounting."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [Path(line.split()[4].encode().decode("unicode_escape")) for line in lines]


def _signal(pid: int, number: signal.Signals) -> int:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
    return pid


def _pid(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _command_line(pid: int) -> str:
    try:
        return Path("/proc", str(pid), "cmdline").read_text(errors="replace")
    except OSError:
        return ""


def _wait(done: Callable[[], bool]) -> None:
    """Ask until `done` or the patience is used up; what is then left makes the next step fail and say so."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not done() and time.monotonic() < deadline:
        time.sleep(0.1)
