"""Programs that run beside the tests: started, watched, paused, ended, and never left behind.

A process dies with the Python process that started it (the kernel sees to it), unless it is started to stay.
Each is recorded in its cluster's folder by pid *and* start time, so that a later clean-up cannot hit a
stranger that got the same pid.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from .steps import StepFailed, last_lines

# The kernel's "die with your parent" means the parent *thread*. All programs are therefore started by this
# one thread, which lives as long as the interpreter, whatever thread a test happens to call from.
_LAUNCHER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="launcher")
_PID_SUFFIX = ".pid.json"
_ENVIRONMENT = {"GOGC": "400"}
"""A new control plane's heap is so small that Go would collect it many times a second; that of one in use is not."""
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Identity:
    """A process for good: its pid, and its start time in clock ticks since boot."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        """The process that has this pid now; None if there is none, or only an unreaped rest of one."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        state, *fields = stat.rpartition(")")[2].split()  # the program's name before it may hold anything
        return None if state in "ZX" else cls(pid, int(fields[18]))

    @classmethod
    def of_this_process(cls) -> "Identity":
        """The running interpreter."""
        identity = cls.of(os.getpid())
        assert identity is not None
        return identity

    @classmethod
    def read(cls, path: Path) -> "Identity | None":
        """What `write` left; None if there is no such file or it was cut short."""
        try:
            return cls(**json.loads(path.read_text()))
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Record the process in a file."""
        path.write_text(json.dumps(asdict(self)))

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return Identity.of(self.pid) == self

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if the process has gone."""
        if self.alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def recorded(folder: Path) -> list[Identity]:
    """The processes that a cluster's folder records, running or not."""
    found = (Identity.read(path) for path in sorted(folder.glob(f"*{_PID_SUFFIX}")))
    return [identity for identity in found if identity]


def end(processes: Iterable[Identity], seconds: float = 10.0) -> None:
    """Kill processes and wait until the last has gone. Raises StepFailed if one does not go in time."""
    for process in processes:
        process.send(signal.SIGKILL)
    deadline = time.monotonic() + seconds
    while left := [process.pid for process in processes if process.alive()]:
        if time.monotonic() > deadline:
            raise StepFailed(f"processes {left} are still there {seconds:.0f} s after SIGKILL")
        time.sleep(_POLL_SECONDS)


class Process:
    """One program of a cluster: its log is `<folder>/<name>.log`, across all its starts.

    `ready` answers whether the program is at work; it is asked until it says yes. A program that is to stay
    outlives the Python process that starts it.
    """

    def __init__(
        self, name: str, command: Sequence[str | Path], folder: Path, ready: Callable[[], bool], *, stay: bool
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._record = folder / f"{name}{_PID_SUFFIX}"
        self._command = [str(part) for part in command]
        self._ready = ready
        self._stay = stay
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def identity(self) -> Identity | None:
        """The running process; None when it does not run."""
        identity = Identity.read(self._record)
        return identity if identity and identity.alive() else None

    def start(self, seconds: float = 60.0) -> None:
        """Launch the program and wait until it is ready. Raises StepFailed, with the end of its log."""
        self.launch()
        self.wait_ready(seconds)

    def launch(self) -> None:
        """Start the program without waiting for it."""
        if self.identity:
            raise StepFailed(f"{self.name} runs already")
        try:
            _LAUNCHER.submit(self._spawn).result()
        except OSError as error:
            raise StepFailed(f"{self.name} cannot be started: {error}") from error

    def _spawn(self) -> None:
        """Start the program and record it; one step, so that an interrupted caller leaves no unrecorded one."""
        bind = [] if self._stay else ["setpriv", "--pdeathsig", "KILL", "--"]
        with self.log.open("a") as log:
            self._child = subprocess.Popen(
                [*bind, *self._command],
                env=os.environ | _ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C at the terminal is for the tests, which then stop this
            )
        identity = Identity.of(self._child.pid)
        if identity:
            identity.write(self._record)

    def wait_ready(self, seconds: float = 60.0) -> None:
        """Wait until the program is ready. Raises StepFailed, with its log's end, when it ends or is late."""
        deadline = time.monotonic() + seconds
        while not self._ready():
            if self._child and (code := self._child.poll()) is not None:
                raise StepFailed(f"{self.name} ended with exit code {code}. {last_lines(self.log)}")
            if time.monotonic() > deadline:
                raise StepFailed(f"{self.name} is not ready after {seconds:.0f} s. {last_lines(self.log)}")
            time.sleep(_POLL_SECONDS)

    def stop(self, seconds: float = 30.0) -> None:
        """End the program politely (SIGTERM); kill it if it is still there after `seconds`."""
        identity = self.identity
        if identity:
            identity.send(signal.SIGTERM)
            identity.send(signal.SIGCONT)  # a paused one would not see the first signal
            deadline = time.monotonic() + seconds
            while identity.alive() and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End the program at once (SIGKILL), as a crash would; return when it has gone."""
        identity = self.identity
        if identity:
            end([identity])
        if self._child:
            self._child.wait()  # no zombie stays
        self._record.unlink(missing_ok=True)

    def pause(self) -> None:
        """Freeze the program (SIGSTOP): its connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused program go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        identity = self.identity
        if identity is None:
            raise StepFailed(f"{self.name} does not run; start it first")
        identity.send(number)
