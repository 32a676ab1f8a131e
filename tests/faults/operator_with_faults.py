"""`python -m tests.faults.operator_with_faults`: the real operator, with faults that the environment asks for.

FAULT_CRASH_NAMESPACE, FAULT_CRASH_AFTER: dies as by SIGKILL when the API server has carried out that many writes in
that namespace (0: before the first), its answer to the last of them lost.
FAULT_DEAF: anything but empty: no event of a TrainingJob or pod is noticed; what it knows, it knows from full lists.
"""

import os
import signal
import sys
from functools import partial
from typing import NoReturn

from loadstar import main as composition
from loadstar.clients.kube import Kube
from loadstar.controller import handlers
from loadstar.settings import Settings

WRITES = frozenset({"create", "apply", "patch", "update", "delete"})


class Crash:
    """Counts the writes in one namespace; Events are left out, as nothing depends on them."""

    def __init__(self, namespace: str, after: int) -> None:
        self._within = f"/namespaces/{namespace}/"
        self._left = after

    async def before(self, verb: str, path: str) -> None:
        """The seam before a call."""
        if self._left <= 0 and self._counts(verb, path):
            _die()

    async def after(self, verb: str, path: str, status: int) -> None:
        """The seam after an answer."""
        if self._counts(verb, path) and status < 300:
            self._left -= 1
            if self._left == 0:
                _die()

    def _counts(self, verb: str, path: str) -> bool:
        return verb in WRITES and self._within in path and not path.endswith("/events")


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("SIGKILL can't be survived")


def main() -> int:
    """Arm the faults and run the operator as it is."""
    namespace = os.environ.pop("FAULT_CRASH_NAMESPACE", "")
    if namespace:
        crash = Crash(namespace, int(os.environ.pop("FAULT_CRASH_AFTER")))
        seams = partial(Kube, before_call=crash.before, after_call=crash.after)
        setattr(composition, Kube.__name__, seams)
    if os.environ.pop("FAULT_DEAF", ""):
        handlers.note_job = lambda *_: False
        handlers.note_pod = lambda *_: None
    return composition.run(Settings.read(os.environ))


if __name__ == "__main__":
    sys.exit(main())
