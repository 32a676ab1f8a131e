"""The pod's first process: starts the pod's ranks, passes SIGTERM on, and ends with the exit code that counts.

It takes torchrun's place in the pod. torchrun ends with 1 whatever its workers ended with, so a refused
job (65) would look like a crash; it kills workers 30 s after SIGTERM; and it imports PyTorch once more
before a worker can. The ranks run equally well under torchrun: same environment, same module.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from loadstar_trainer import record
from loadstar_trainer.environment import Identity, Pod, record_path
from loadstar_trainer.failures import EXIT_INTERRUPTED, EXIT_PEER_LOST, EXIT_REFUSED, Failure

WORKER = (sys.executable, "-m", "loadstar_trainer")
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
# Share of the pod's grace period that its ranks have, so that this process is still there to give the exit code.
SHARE_OF_GRACE = 5 / 6
# After one rank failed the others can only lose their peers; they get this long to notice.
GRACE_AFTER_FAILURE = 10.0
# How a rank ends that did nothing wrong itself, once another one has failed.
CONSEQUENCES = (EXIT_PEER_LOST, EXIT_INTERRUPTED, -signal.SIGTERM)


def main() -> int:
    try:
        identity, pod = Identity.read(os.environ), Pod.read(os.environ)
    except Failure as failure:
        _report(Identity("", 0), failure.reason, str(failure))
        return failure.exit_code
    record.clear(record_path(os.environ))
    # Blocked, not handled: nothing is lost before the first wait, also not for process 1, for which the
    # kernel throws away signals that are neither handled nor blocked.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    workers = Workers(lambda reason, message: _report(identity, reason, message), pod.grace * SHARE_OF_GRACE)
    for env in environments(os.environ, pod):
        workers.start(WORKER, env)
    return workers.wait()


class Workers:
    """The ranks of this pod as child processes.

    `report` is called once, with reason and message, when the first of them has failed and before the
    others are stopped: what those would say of their end is not the cause. `grace` is how many seconds they have
    after a SIGTERM.
    """

    def __init__(self, report: Callable[[str, str], None], grace: float) -> None:
        self._report = report
        self._grace = grace
        self._running: set[int] = set()
        self._failures: list[int] = []
        self._interrupted = False
        self._deadline: float | None = None
        self._killed = False

    def start(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        self._running.add(os.posix_spawn(command[0], tuple(command), env, setsigmask=()))

    def wait(self) -> int:
        """Blocks until all have ended; the exit code that stands for all."""
        while self._running:
            self._next_signal()
            self._reap()
            if self._deadline is not None and time.monotonic() >= self._deadline:
                self._signal(signal.SIGKILL)
                self._deadline = None
                self._killed = True
        if EXIT_REFUSED in self._failures:
            return EXIT_REFUSED
        if self._failures and self._interrupted:
            return EXIT_INTERRUPTED
        # A rank that lost its peer, or was stopped because of it, may be collected before the one that is the cause.
        causes = [status for status in self._failures if status not in CONSEQUENCES]
        first = (causes or self._failures or [0])[0]
        return first if first >= 0 else 128 - first

    def _next_signal(self) -> None:
        timeout = max(0.0, self._deadline - time.monotonic()) if self._deadline is not None else 3600.0
        received = signal.sigtimedwait(SIGNALS, timeout)
        if received is not None and received.si_signo != signal.SIGCHLD:
            self._interrupted = True
            self._stop(self._grace)

    def _reap(self) -> None:
        """Collects every ended child; orphans too, which the kernel hands to process 1."""
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if pid in self._running:
                self._running.remove(pid)
                self._ended(os.waitstatus_to_exitcode(status))

    def _ended(self, status: int) -> None:
        if status == 0:
            return
        self._failures.append(-signal.SIGTERM if self._killed and status == -signal.SIGKILL else status)
        if len(self._failures) == 1:
            self._report(*_cause(status, self._interrupted))
            self._stop(GRACE_AFTER_FAILURE)

    def _stop(self, grace: float) -> None:
        if self._deadline is None:
            self._deadline = time.monotonic() + grace
            self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._running:
            os.kill(pid, number)


def _cause(status: int, interrupted: bool) -> tuple[str, str]:
    """(reason, message) for a rank that ended with this status; negative means by that signal."""
    if interrupted:
        return "Interrupted", "Stopped by SIGTERM before training began."
    if status > 0:
        return "WorkerFailed", f"A rank ended with exit code {status}; see the pod's log."
    message = f"A rank was killed by {signal.Signals(-status).name}."
    if status == -signal.SIGKILL:
        message += " Most often memory is short: raise trainer.resourcesPerNode.memory."
    return "WorkerKilled", message


def environments(env: Mapping[str, str], pod: Pod) -> list[dict[str, str]]:
    """The environment of each rank of the pod: torchrun's variables, and threads for a fair part of the CPUs."""
    # Rank 0 serves the meeting point itself, so its own pod need not wait for the pod's name to resolve.
    address = "localhost" if pod.node_rank == 0 else pod.master_address
    threads = max(1, processors() // pod.processes)
    return [
        {
            "OMP_NUM_THREADS": str(threads),
            "PYTHONUNBUFFERED": "1",
            **env,
            "RANK": str(pod.node_rank * pod.processes + local_rank),
            "LOCAL_RANK": str(local_rank),
            "GROUP_RANK": str(pod.node_rank),
            "WORLD_SIZE": str(pod.nodes * pod.processes),
            "LOCAL_WORLD_SIZE": str(pod.processes),
            "MASTER_ADDR": address,
            "MASTER_PORT": str(pod.master_port),
        }
        for local_rank in range(pod.processes)
    ]


def processors(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """CPUs that this pod may use: its limit under cgroup v2 or v1, else those of the machine."""
    available = len(os.sched_getaffinity(0))
    for quota_and_period in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((cgroup / file).read_text() for file in quota_and_period).split()
        except (OSError, ValueError):
            continue
        if quota.isdecimal():
            available = min(available, -(-int(quota) // int(period)))
    return max(1, available)


def _report(identity: Identity, reason: str, message: str) -> None:
    """Leaves a record of failure unless a rank has left its own, which says more."""
    if record.write(record.of_failure(identity, reason, message), record_path(os.environ)):
        print(f"{reason}: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
