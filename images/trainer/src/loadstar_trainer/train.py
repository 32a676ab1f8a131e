"""The training loop. Each epoch passes over all training samples once, split over the ranks.

for each epoch:  shuffle (alike in all ranks)
    for each global batch:  own share → loss → backward (gradients summed over ranks) → step
    sum up the loss, validate, tell the callbacks
"""

import math
import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

from loadstar_trainer.callbacks import Callback, Epoch
from loadstar_trainer.evaluate import Part, evaluate
from loadstar_trainer.failures import Interrupted, Refused
from loadstar_trainer.gang import Gang
from loadstar_trainer.interruption import Interruption
from loadstar_trainer.spec import Training


class Trainer:
    """Trains one model; afterwards `model` is the one with the last step's weights."""

    def __init__(
        self, model: nn.Module, training: Training, gang: Gang, callbacks: Sequence[Callback]
    ) -> None:
        self.model = gang.wrap(model)
        self.training = training
        self.gang = gang
        self.callbacks = callbacks
        self._optimizer = optimizer(model, training)

    def train(self, part: Part, validation: Part, interruption: Interruption) -> Epoch:
        """Runs all epochs and returns the last. Interrupted after the step at which a rank was asked to stop."""
        for callback in self.callbacks:
            callback.on_train_begin(self.training.epochs)
        for number in range(1, self.training.epochs + 1):
            began = time.monotonic()
            loss = self._pass(part, number, interruption)
            metrics = self.evaluate(validation, "validation") if len(validation) else {}
            epoch = Epoch(number, self.training.epochs, loss, metrics, time.monotonic() - began)
            for callback in self.callbacks:
                callback.on_epoch_end(epoch)
        for callback in self.callbacks:
            callback.on_train_end()
        return epoch

    def evaluate(self, part: Part, name: str) -> dict[str, float]:
        """Metrics on a part; Refused where one is no longer a number."""
        metrics = evaluate(self.model, part, self.gang, self.training.batch_size)
        for metric, value in metrics.items():
            self._require_finite(f"{name} {metric}", value)
        return metrics

    def _pass(self, part: Part, epoch: int, interruption: Interruption) -> float:
        """One epoch of steps; the mean loss over all samples, each as it was seen before its step."""
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.gang.device)
        for rows in self._batches(len(part), epoch):
            loss_sum += self._step(part.take(self.gang.share(rows)), len(rows))
            if self.gang.agreed_to_stop(interruption.requested):
                raise Interrupted(f"Stopped by SIGTERM in epoch {epoch} of {self.training.epochs}.")
        loss = self.gang.total([float(loss_sum)])[0] / len(part)
        self._require_finite(f"training loss of epoch {epoch}", loss)
        return loss

    def _batches(self, count: int, epoch: int) -> Iterator[torch.Tensor]:
        """Rows of each global batch, the same in all ranks; a function of seed and epoch alone."""
        order = np.random.default_rng([self.training.seed, epoch]).permutation(count)
        yield from torch.from_numpy(order).to(self.gang.device).split(self.training.batch_size)

    def _step(self, batch: Part, global_size: int) -> torch.Tensor:
        """One optimizer step on this rank's share of a global batch; the share's summed loss."""
        self._optimizer.zero_grad()
        loss = batch.loss(self.model(batch.features))
        # Ranks may hold shares of unequal size, and gradients are averaged over ranks: so each share is
        # weighted by the global batch, and the average comes out as the mean over all its samples.
        (loss * (self.gang.world_size / global_size)).backward()
        self._optimizer.step()
        return loss.detach()

    def _require_finite(self, name: str, value: float) -> None:
        if not math.isfinite(value):
            raise Refused(
                "TrainingDiverged",
                f"The {name} is {value}: training diverged, and would again with the same seed; "
                f"lower training.learningRate ({self.training.learning_rate:g}).",
            )


def optimizer(model: nn.Module, training: Training) -> torch.optim.Optimizer:
    rate, decay = training.learning_rate, training.weight_decay
    parameters = model.parameters()
    if training.optimizer == "sgd":
        return torch.optim.SGD(parameters, rate, momentum=training.momentum, weight_decay=decay)
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop}
    return kinds[training.optimizer](parameters, rate, weight_decay=decay)
