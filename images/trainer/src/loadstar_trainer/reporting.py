"""What our own training tells the operator while it runs: a callback of rank 0."""

from typing import TYPE_CHECKING

from loadstar_trainer.callbacks import Callback, Epoch
from loadstar_trainer.reporter import Progress, Reporter

if TYPE_CHECKING:
    from loadstar_trainer.state import State


class Reports(Callback):
    """One report at the beginning and after each epoch; the last comes with the result, see `Reporter.close`."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def on_train_begin(self, epochs: int, state: "State") -> None:  # noqa: ARG002
        if not state.fold and not state.epoch:
            self._reporter.offer(Progress(0.0))

    def on_epoch_end(self, epoch: Epoch, state: "State") -> None:
        metrics = {"step": float(state.updates), "epoch": float(state.epoch), "trainLoss": epoch.train_loss}
        for name, value in epoch.validation.items():
            metrics[f"validation{name[0].upper()}{name[1:]}"] = value
        metrics["learningRate"] = epoch.learning_rate
        self._reporter.offer(Progress(epoch.percent, epoch.remaining_seconds, metrics))
