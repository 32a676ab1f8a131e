"""Progress on its way to the operator, from a thread of its own: training never waits for it and never fails by it."""

import json
import logging
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from loadstar_trainer.endpoint import Endpoint, Rejected

INTERVAL = 5.0  # seconds between two reports, but for the last
PATIENCE = 5.0  # seconds for the last report and the final record together: GPUs idle meanwhile
PAUSE = 0.5  # seconds before the last report is tried again
MOST_METRICS = 256  # the protocol's limit
BEFORE_THE_END = 99  # percent; 100 is for a run that has ended well

log = logging.getLogger("loadstar_trainer")


@dataclass(frozen=True)
class Progress:
    """How far a run is. Percent from 0 to 100; metrics are finite."""

    percent: float | None = None
    remaining_seconds: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)

    def body(self, at: datetime, most: int = BEFORE_THE_END) -> bytes:
        """The report as the protocol has it; values that mean nothing are left out."""
        status: dict[str, Any] = {}
        if self.percent is not None and math.isfinite(self.percent):
            status["progressPercentage"] = max(0, min(most, int(self.percent)))
        if self.remaining_seconds is not None and math.isfinite(self.remaining_seconds):
            status["estimatedRemainingSeconds"] = max(0, int(self.remaining_seconds))
        metrics = list(self.metrics.items())[:MOST_METRICS]
        status["metrics"] = [{"name": name, "value": repr(float(value))} for name, value in metrics]
        status["lastUpdatedTime"] = (
            at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        )
        return json.dumps({"trainerStatus": status}, separators=(",", ":")).encode()


class Reporter:
    """Sends the newest of what it is offered: the first at once, then one in INTERVAL, and the last in any case."""

    def __init__(self, endpoint: Endpoint, interval: float = INTERVAL) -> None:
        self._endpoint = endpoint
        self._interval = interval
        self._changed = threading.Condition()
        self._waiting: bytes | None = None
        self._closing = False
        self._said: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="loadstar-progress", daemon=True)
        self._thread.start()

    def offer(self, progress: Progress) -> None:
        """Takes the place of what has not been sent yet; returns at once."""
        body = progress.body(datetime.now(UTC))
        with self._changed:
            self._waiting = body
            self._changed.notify()

    def close(
        self, last: Progress | None = None, final: bytes | None = None, patience: float = PATIENCE
    ) -> None:
        """Sends the last progress, as that of a run that ended well, and the final record; gives up after `patience`.

        Without `last` what still waits is sent. Further calls do nothing.
        """
        deadline = time.monotonic() + patience
        with self._changed:
            if self._closing:
                return
            self._closing = True
            waiting = last.body(datetime.now(UTC), most=100) if last else self._waiting
            self._waiting = None
            self._changed.notify()
        ending = threading.Thread(target=self._end, args=(waiting, final, deadline), daemon=True)
        ending.start()
        ending.join(patience)

    def _run(self) -> None:
        while (body := self._next()) is not None:
            self._delivered(self._endpoint.path, body)
            with self._changed:
                self._changed.wait_for(lambda: self._closing, self._interval)

    def _next(self) -> bytes | None:
        """Blocks until there is something to send; None once this is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._waiting is not None)
            body, self._waiting = self._waiting, None
            return None if self._closing else body

    def _end(self, waiting: bytes | None, final: bytes | None, deadline: float) -> None:
        # What is under way arrives first: an older report after the last one would be the one that counts elsewhere.
        self._thread.join(max(0.0, deadline - time.monotonic()))
        for path, body in ((self._endpoint.path, waiting), (self._endpoint.record_path, final)):
            while body is not None and not self._delivered(path, body):
                if time.monotonic() + PAUSE >= deadline:
                    return
                time.sleep(PAUSE)

    def _delivered(self, path: str, body: bytes) -> bool:
        """Whether there is nothing more to do: it arrived, or would be refused each time. Says each trouble once."""
        try:
            self._endpoint.post(path, body)
        # Whatever goes wrong here, it must not reach the training.
        except Exception as error:
            trouble = f"{type(error).__name__}: {error}"
            if trouble not in self._said:
                self._said.add(trouble)
                log.warning("progress did not reach the operator (%s)", trouble[:500])
            return isinstance(error, Rejected) and error.lasting
        return True
