"""Long commands that say what they do: a line at the start, signs of life, the time at the end.

A command's output goes to a log file. When it fails, the error names that file and shows its last lines.
"""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_SIGN_OF_LIFE_SECONDS = 15.0


class StepFailed(Exception):
    """A step of setting up a cluster failed; the message says which log to read and shows its end."""


def say(text: str) -> None:
    """Tell the person who waits, on standard error."""
    print(text, file=sys.stderr, flush=True)


def last_lines(log: Path, count: int = 15) -> str:
    """The end of a log, indented, under a line that names it."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-count:]
    except FileNotFoundError:
        return f"There is no log at {log}."
    return "\n".join([f"Read {log}; it ends:", *(f"    {line}" for line in lines or ["(it is empty)"])])


def run_logged(
    title: str,
    command: Sequence[str],
    *,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a command to its end, its output into `log`; it dies with its caller.

    Raises StepFailed when it fails or cannot be started.
    """
    say(f"{title} …")
    started = time.monotonic()
    with log.open("w") as output:
        try:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise StepFailed(f"{title}: cannot be started: {error}") from error
        with process:
            try:
                _follow(process, log, started)
            except BaseException:
                process.kill()
                raise
    took = _span(time.monotonic() - started)
    if process.returncode != 0:
        raise StepFailed(
            f"{title}: failed with exit code {process.returncode} after {took}. {last_lines(log)}"
        )
    say(f"  done in {took}")


def _follow(process: subprocess.Popen[bytes], log: Path, started: float) -> None:
    """Wait for the end, with a line now and then that shows that something goes on."""
    while True:
        try:
            process.wait(timeout=_SIGN_OF_LIFE_SECONDS)
            return
        except subprocess.TimeoutExpired:
            lines = log.read_text(errors="replace").splitlines() or [""]
            say(f"  {_span(time.monotonic() - started)}, {len(lines)} lines; now: {lines[-1][:80]}")


def _span(seconds: float) -> str:
    """A duration for people: "4.2 s", "6 min 20 s"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"
