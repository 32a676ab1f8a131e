"""The private engine's life: `ensure()` before anything uses Docker, `stop()` when nothing does any more."""

import atexit
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from ipaddress import IPv4Network
from pathlib import Path
from typing import IO

from tests.cluster.cache import locked, remove
from tests.cluster.engine import host, leftovers, packages, paths, runtime
from tests.cluster.steps import StepFailed, last_lines, say

_START_SECONDS = 60.0
_users: list[IO[str]] = []  # the open lock file that marks this process as a user of the engine


def ensure() -> dict[str, str]:
    """Environment variables with which `docker` and `kind` reach an engine; none where Docker works.

    Starts the private engine if no Docker answers, which needs Linux, root and apt. The engine stays up after
    this process; `stop()` ends it. Raises StepFailed if there is no engine to be had.
    """
    if _answers({}):
        return {}
    if sys.platform != "linux" or os.geteuid() != 0:
        raise StepFailed(
            "No Docker engine answers. Start Docker, or set DOCKER_HOST to one that runs; "
            "(an engine of the harness's own can be made on Debian or Ubuntu only, as root)."
        )
    with _lock():
        tree = packages.engine_programs()
        environment = _environment(tree)
        if not _answers(environment):
            _clean(tree)
            _start(tree, environment)
        _mark_as_user()
    return environment


def stop() -> bool:
    """End the private engine and undo what it did to the machine.

    False, and nothing is done, while other containers run in it or another process uses it. True also where
    there is no private engine. Images stay in the cache.
    """
    if not paths.RUN.exists() and not leftovers.cgroups():
        return True
    with _lock():
        tree = packages.engine_programs()
        if reason := _in_use(_environment(tree)):
            say(f"The private Docker engine stays up: {reason}")
            return False
        say("Stopping the private Docker engine …")
        _clean(tree)
    while _users:
        _users.pop().close()
    return True


def current() -> dict[str, str] | None:
    """The same as `ensure`, but nothing is started: None where no engine answers."""
    if _answers({}):
        return {}
    if not paths.SOCKET.exists():
        return None
    environment = _environment(packages.engine_programs())
    return environment if _answers(environment) else None


def status() -> str:
    """One line on the private engine, for people."""
    pid = leftovers.running_daemon()
    if pid is None:
        return "private Docker engine: not running" + (" (remains of a crash)" if paths.RUN.exists() else "")
    return f"private Docker engine: pid {pid}, DOCKER_HOST=unix://{paths.SOCKET}, log {paths.log()}"


def _environment(tree: Path) -> dict[str, str]:
    """What a Docker client needs. This engine is too old for BuildKit, so builds take the classic way."""
    environment = {"DOCKER_HOST": f"unix://{paths.SOCKET}", "DOCKER_BUILDKIT": "0"}
    if not shutil.which("docker"):
        environment["PATH"] = f"{os.environ['PATH']}:{tree}/usr/bin"
    return environment


def _answers(environment: dict[str, str]) -> bool:
    """True if a Docker engine answers in this environment."""
    try:
        command = ["docker", "version", "--format", "{{.Server.Version}}"]
        env = {**os.environ, **environment}
        return subprocess.run(command, env=env, capture_output=True, check=False, timeout=30).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


def _start(tree: Path, environment: dict[str, str]) -> None:
    """Start dockerd and wait until it answers."""
    say("Starting a private Docker engine (none answers on this machine) …")
    paths.RUN.mkdir(parents=True)
    env = packages.environment(tree)
    pool = host.free_pool(env)
    host.Host.now(env, str(paths.data_root()), str(pool)).save(paths.BEFORE)
    host.make_room()
    with paths.log().open("w") as log:
        daemon = subprocess.Popen(
            _command(env, pool),
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _daemons.append(daemon)
    deadline = time.monotonic() + _START_SECONDS
    while not _answers(environment):
        if daemon.poll() is not None or time.monotonic() > deadline:
            _clean(tree)
            raise StepFailed(f"The private Docker engine did not start. {last_lines(paths.log())}")
        time.sleep(0.1)


_daemons: list[subprocess.Popen[bytes]] = []
"""Engines that this process started; they outlive it, and Python warns of a process whose object it collects."""


def _command(env: dict[str, str], pool: IPv4Network) -> list[str]:
    """The engine's command line: everything of its own, nothing of the machine's /var/lib/docker."""
    bridge, networks = next(pool.subnets(new_prefix=24)), list(pool.subnets())[1]
    command = ["dockerd", f"--host=unix://{paths.SOCKET}", f"--pidfile={paths.PID_FILE}"]
    command += [f"--exec-root={paths.EXEC_ROOT}", f"--data-root={paths.data_root()}"]
    command += [f"--bip={bridge[1]}/24", f"--default-address-pool=base={networks},size=24"]
    command += [f"--mtu={host.default_mtu(env)}", "--storage-driver=overlay2", "--oom-score-adjust=0"]
    command += ["--exec-opt=native.cgroupdriver=cgroupfs", f"--cgroup-parent=/{paths.CGROUP}"]
    if runtime.lacks_sys_resource():
        runtime.write_wrapper(paths.RUNTIME)
        command += [f"--add-runtime=loadstar={paths.RUNTIME}", "--default-runtime=loadstar"]
    return command


def _clean(tree: Path) -> None:
    """End the engine and undo all that it did; also after a crash, and where there was none."""
    leftovers.end_processes()
    leftovers.remove_cgroups()
    if not paths.RUN.exists():
        return
    roots = [paths.RUN]
    if paths.BEFORE.exists():
        before = host.Host.load(paths.BEFORE)
        roots.append(Path(before.data_root))
        leftovers.unmount(*roots)
        host.restore(before, packages.environment(tree))
    leftovers.unmount(*roots)
    remove(paths.RUN)


def _in_use(environment: dict[str, str]) -> str:
    """Why the engine must stay, in words; empty if it need not."""
    command = ["docker", "ps", "--format", "{{json .Names}}"]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    names = [json.loads(line) for line in done.stdout.splitlines()] if done.returncode == 0 else []
    if names:
        return f"containers run in it ({', '.join(sorted(names))})"
    _mark_as_user()
    try:
        fcntl.flock(_users[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(_users[0], fcntl.LOCK_SH)
        return "another process uses it"
    return ""


def _mark_as_user() -> None:
    """Hold a shared lock until this process ends, so that nobody stops the engine meanwhile."""
    if not _users:
        _users.append(paths.USERS.open("w"))
        atexit.register(_users[0].close)
        fcntl.flock(_users[0], fcntl.LOCK_SH)


def _lock() -> AbstractContextManager[None]:
    """The lock under which the engine starts and stops."""
    paths.LOCK.parent.mkdir(parents=True, exist_ok=True)
    return locked(paths.LOCK)
