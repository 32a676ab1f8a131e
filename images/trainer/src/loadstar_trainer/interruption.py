"""SIGTERM as a flag that the training loop looks at between two steps."""

import signal
from types import FrameType


class Interruption:
    """Whether this process was asked to stop. Until `install`, SIGTERM just ends the process.

    That is on purpose: before the first step there is nothing to save, and a rank that waits inside
    a connection call would never come to look at the flag.
    """

    def __init__(self) -> None:
        self.requested = False

    def install(self) -> None:
        signal.signal(signal.SIGTERM, self._request)

    def _request(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
