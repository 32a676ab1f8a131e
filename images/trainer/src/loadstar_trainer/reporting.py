"""What our own training tells the operator while it runs: a callback of rank 0."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from loadstar_trainer import record
from loadstar_trainer.callbacks import Callback, Epoch
from loadstar_trainer.curves import Curves
from loadstar_trainer.reporter import Progress, Reporter

if TYPE_CHECKING:
    from loadstar_trainer.state import State


class Reports(Callback):
    """One report at the beginning and after each epoch; the end brings the course of all epochs, see `end`.

    `clock` gives Unix seconds.
    """

    def __init__(self, reporter: Reporter, clock: Callable[[], float] = time.time) -> None:
        self.curves = Curves()
        self._reporter = reporter
        self._clock = clock

    def on_train_begin(self, epochs: int, state: "State") -> None:  # noqa: ARG002
        if not state.fold and not state.epoch:
            self._reporter.offer(Progress(0.0))

    def on_epoch_end(self, epoch: Epoch, state: "State") -> None:
        metrics = {"step": float(state.updates), "epoch": float(state.epoch), "trainLoss": epoch.train_loss}
        for name, value in epoch.validation.items():
            metrics[f"validation{name[0].upper()}{name[1:]}"] = value
        metrics["learningRate"] = epoch.learning_rate
        self.curves.add(self._clock(), state.updates, metrics)
        self._reporter.offer(Progress(epoch.percent, epoch.remaining_seconds, metrics))

    def end(self, final: dict[str, Any], metrics: Mapping[str, float] | None = None) -> None:
        """Sends the final record with the course; `metrics` are those of a run that ended well."""
        last = None if metrics is None else Progress(100.0, 0.0, metrics)
        self._reporter.close(last, record.posted(final, self.curves))
