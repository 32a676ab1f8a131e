"""Saying what is being done and how long it took; on standard error, so that standard output stays for answers."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def say(message: str) -> None:
    """Print one line of progress."""
    print(f"[cluster] {message}", file=sys.stderr, flush=True)


@contextmanager
def step(what: str, expect: str = "") -> Iterator[None]:
    """Announce `what` (and the time to `expect`, if it is long), then say how long it took or that it failed."""
    say(f"{what} …" + (f" ({expect})" if expect else ""))
    start = time.monotonic()
    try:
        yield
    except BaseException:
        say(f"{what}: FAILED after {time.monotonic() - start:.1f} s")
        raise
    say(f"{what}: {time.monotonic() - start:.1f} s")


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log, headed by its path: what every failure to start shows."""
    try:
        text = log.read_text(errors="replace").splitlines()[-lines:]
    except OSError as error:
        return f"(log {log}: {error.strerror})"
    return "\n".join([f"--- last lines of {log}", *text, "---"])
