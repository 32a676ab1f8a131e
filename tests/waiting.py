"""Waiting for what a cluster does in its own time: looked at again and again, with patience for a busy machine."""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_SECONDS = 240.0
_POLL_SECONDS = 0.05

T = TypeVar("T")


def until(condition: Callable[[], T], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """The first true value of `condition`. Raises AssertionError, which says `what` did not come."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"after {seconds:.0f} s not yet: {what}"
        time.sleep(_POLL_SECONDS)
    return value


def at_rest(read: Callable[[], T], seconds: float = 1.5) -> T:
    """What `read` gives once it has not changed for so long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    seen, since = read(), time.monotonic()
    while time.monotonic() - since < seconds:
        assert time.monotonic() < deadline, "it never comes to rest"
        time.sleep(_POLL_SECONDS)
        now = read()
        if now != seen:
            seen, since = now, time.monotonic()
    return seen
