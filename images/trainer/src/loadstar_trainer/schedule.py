"""The learning rate as a function of how many updates were made: nothing to save, nothing to resume."""

import math
from dataclasses import dataclass

from loadstar_trainer.spec import Training


@dataclass(frozen=True)
class Rates:
    """The schedule of a run that makes `updates_per_epoch` updates in each epoch."""

    training: Training
    updates_per_epoch: int

    @property
    def constant(self) -> bool:
        schedule = self.training.schedule
        return schedule.type == "constant" and not schedule.warmup_epochs

    def at(self, update: int) -> float:
        """The rate of update number `update`, from 0."""
        schedule, full = self.training.schedule, self.training.learning_rate
        warmup = schedule.warmup_epochs * self.updates_per_epoch
        if update < warmup:
            return full * (update + 1) / warmup
        if schedule.type == "constant":
            return full
        if schedule.type == "step":
            epochs = update // self.updates_per_epoch - schedule.warmup_epochs
            return full * schedule.gamma ** (epochs // schedule.step_epochs)
        last = self.training.epochs * self.updates_per_epoch - warmup - 1
        done = min(1.0, (update - warmup) / last) if last else 0.0
        left = 1 - done if schedule.type == "linear" else (1 + math.cos(math.pi * done)) / 2
        return schedule.min_learning_rate + (full - schedule.min_learning_rate) * left
