"""What somebody's own training program calls to be seen in its TrainingJob. It never raises and never waits long.

    import loadstar_trainer

    for epoch in range(epochs):
        …
        loadstar_trainer.report(progress=100 * (epoch + 1) / epochs, metrics={"loss": loss})
    loadstar_trainer.finish({"accuracy": accuracy})

Only rank 0 speaks (environment RANK; a program without ranks is rank 0): in the others both calls do nothing, as
they do outside of a TrainingJob's pod.
"""

import atexit
import logging
import math
import os
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loadstar_trainer.reporter import Progress, Reporter

AT_EXIT = 5.0  # seconds that a program's end waits for what it reported last
MOST_METRICS = 256  # that a TrainingJob's result holds
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]{0,62}")

log = logging.getLogger("loadstar_trainer")


class Script:
    """One program's reports. What is reported is kept: a later report need not repeat it."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._metrics: dict[str, float] = {}
        self._percent: float | None = None
        self._began = time.monotonic()
        self._reporter: Reporter | None = None
        self._connected = False

    def report(self, progress: float | None, metrics: Mapping[str, Any], remaining: float | None) -> None:
        """See `report` below."""
        if not self._speaks():
            return
        self._metrics |= _numbers(metrics)
        if progress is not None:
            self._percent = _number("progress", progress)
        if reporter := self._connect():
            reporter.offer(self._progress(remaining))

    def finish(self, metrics: Mapping[str, Any]) -> None:
        """See `finish` below."""
        if not self._speaks():
            return
        from loadstar_trainer import record
        from loadstar_trainer.environment import Identity, Ranks, record_path

        identity = Identity.read(self._env)
        final = record.of_metrics(identity, Ranks.read(self._env).world_size, _numbers(metrics))
        if identity.job_uid:
            try:
                record.write(final, record_path(self._env))
            except OSError as error:
                log.warning("the final record cannot be written: %s", error)
        else:
            log.debug("no TrainingJob started this program: nobody to tell %s", final["metrics"])
        self._metrics |= {metric["name"]: float(metric["value"]) for metric in final["metrics"]}
        if reporter := self._connect():
            self._percent = 100.0
            reporter.close(self._progress(0), record.encode(final))

    def flush(self) -> None:
        """Sends what still waits, as a program may end without `finish`."""
        if self._reporter is not None:
            self._reporter.close(patience=AT_EXIT)

    def _speaks(self) -> bool:
        return self._env.get("RANK", "0").strip() in ("", "0")

    def _progress(self, remaining: float | None) -> "Progress":
        from loadstar_trainer.reporter import Progress

        if remaining is None and self._percent:
            remaining = (time.monotonic() - self._began) * (100 - self._percent) / self._percent
        return Progress(self._percent, remaining, dict(self._metrics))

    def _connect(self) -> "Reporter | None":
        """The way to the operator, made at the first use; None where there is none."""
        if not self._connected:
            self._connected = True
            from loadstar_trainer.endpoint import Endpoint
            from loadstar_trainer.reporter import Reporter

            endpoint = Endpoint.read(self._env)
            if endpoint is None:
                log.debug("no progress endpoint in the environment: reports go nowhere")
            else:
                self._reporter = Reporter(endpoint)
                atexit.register(self.flush)
        return self._reporter


_script = Script(os.environ)


def report(
    progress: float | None = None,
    metrics: Mapping[str, Any] | None = None,
    remaining_seconds: float | None = None,
) -> None:
    """Tells how far the program is: percent from 0 to 100, numbers by name, seconds left (estimated if not given).

    May be called at every step: at most one report in 5 s is sent, always the newest.
    """
    try:
        _script.report(progress, metrics or {}, remaining_seconds)
    except Exception:
        log.warning("loadstar_trainer.report: nothing was sent", exc_info=True)


def finish(metrics: Mapping[str, Any]) -> None:
    """Leaves the final metrics in the job's result, exactly as given; `accuracy`, if named, is the job's accuracy."""
    try:
        _script.finish(metrics)
    except Exception:
        log.warning("loadstar_trainer.finish: the result is incomplete", exc_info=True)


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Those that are finite numbers under a name that a TrainingJob can hold; the others with a warning."""
    numbers: dict[str, float] = {}
    for name, value in metrics.items():
        number = _number(name, value)
        if number is None:
            continue
        if not _NAME.fullmatch(str(name)):
            log.warning("metric %.80r is left out: its name is not of letters, digits, _, ., / and -", name)
        elif len(numbers) == MOST_METRICS:
            log.warning("metric %s is left out: a job holds %d", name, MOST_METRICS)
        else:
            numbers[str(name)] = number
    return numbers


def _number(name: str, value: Any) -> float | None:
    """Whatever has one number in it: also NumPy's and PyTorch's."""
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError):
        number = math.nan
    if math.isfinite(number):
        return number
    log.warning("%.80s is left out: %.80r is no finite number", name, value)
    return None
