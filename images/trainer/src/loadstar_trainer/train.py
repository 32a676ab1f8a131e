"""The training loop. Each epoch passes over all training samples once, split over the ranks.

for each epoch:
    for each global batch:  own share → loss → backward (gradients averaged over ranks) → update
    sum up the loss, validate, tell the callbacks

Where it may be interrupted and how it is resumed: `loadstar_trainer.state`.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from loadstar_trainer.callbacks import Callback, Epoch
from loadstar_trainer.evaluate import QUICK, Evaluator, Measured
from loadstar_trainer.failures import Interrupted, Refused
from loadstar_trainer.gang import Gang
from loadstar_trainer.interruption import Interruption
from loadstar_trainer.losses import Objective
from loadstar_trainer.network import Network
from loadstar_trainer.optimizer import Updater
from loadstar_trainer.parts import Part
from loadstar_trainer.precision import Precision
from loadstar_trainer.schedule import Rates
from loadstar_trainer.spec import Training
from loadstar_trainer.state import Best, State


@dataclass(frozen=True)
class Course:
    """Which of the run's models is being trained: `fold` from 1, or 0 outside of cross-validation."""

    fold: int = 0
    done: int = 0
    """Models that were trained before."""
    models: int = 1
    """Models to train in all."""


class Trainer:
    """Trains one model on one part."""

    def __init__(
        self,
        network: Network,
        objective: Objective,
        training: Training,
        part: Part,
        callbacks: Sequence[Callback],
        course: Course = Course(),
    ) -> None:
        self.network, self.objective, self.training = network, objective, training
        self.part, self.callbacks, self.course = part, callbacks, course
        self.gang: Gang = network.gang
        self._precision = Precision(training, self.gang.device)
        self._steps = math.ceil(len(part) / training.batch_size)
        rates = Rates(training, math.ceil(self._steps / training.gradient_accumulation))
        self._rates = rates
        self._updater = Updater(network.model, training, rates, self._precision.scaler)
        self._loss_weights: dict[
            int, torch.Tensor
        ] = {}  # of whole and last updates: made once, not in each step
        self._on_update = [c.on_update for c in callbacks if type(c).on_update is not Callback.on_update]
        self._evaluator = Evaluator(network.model, objective, self._precision, self.gang)
        self.state = State(
            network.model,
            self._updater.optimizer,
            self._precision.scaler,
            torch.zeros((), dtype=torch.float64, device=self.gang.device),
            Best(training.early_stopping) if training.early_stopping else None,
            course.fold,
        )

    def train(self, validation: Part, interruption: Interruption) -> State:
        """Runs all epochs, or those that early stopping grants, from the state's position on.

        Interrupted after the update at which a rank was asked to stop.
        """
        state = self.state
        for callback in self.callbacks:
            callback.on_train_begin(self.training.epochs, state)
        while state.epoch < self.training.epochs and not state.stopped:
            self._run_epoch(validation, interruption)
        state.finish()
        for callback in self.callbacks:
            callback.on_train_end(state)
        return state

    def evaluate(self, part: Part, name: str, metrics: Sequence[str]) -> Measured:
        """Metrics on a part; Refused where one is no longer a number."""
        measured = self._evaluator.measure(part, metrics)
        for metric, value in measured.metrics.items():
            self._require_finite(f"{name} {metric}", value)
        return measured

    def _run_epoch(self, validation: Part, interruption: Interruption) -> None:
        state, began = self.state, time.monotonic()
        self._pass(interruption)
        loss = self.gang.total([float(state.loss_sum)])[0] / (len(self.part) * self.part.targets_per_sample)
        self._require_finite(f"training loss of epoch {state.epoch + 1}", loss)
        metrics = self._validate(validation)
        state.epoch, state.step = state.epoch + 1, 0
        state.loss_sum.zero_()
        seconds = time.monotonic() - began
        state.seconds += seconds
        self._remember(loss, metrics)
        epoch = self._told(loss, metrics, seconds)
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, state)

    def _pass(self, interruption: Interruption) -> None:
        """The steps of one epoch, from the state's on."""
        state, training = self.state, self.training
        draws = self._random_seed()
        for features, targets in self.part.epoch(state.epoch + 1, state.step):
            if draws is not None:
                _seed(self.gang.device, draws + state.step)
            state.step += 1
            if state.step % training.gradient_accumulation and state.step < self._steps:
                with self.network.gradients_stay():
                    self._backward(features, targets)
                continue
            self._backward(features, targets)
            self._updater.update(state.updates)
            state.updates += 1
            for on_update in self._on_update:
                on_update(state)
            if self.gang.agreed_to_stop(interruption.requested):
                self._interrupt()

    def _backward(self, features: torch.Tensor, targets: torch.Tensor) -> None:
        """Adds the gradients of this rank's share of a global batch, and its loss to the epoch's."""
        with self._precision.autocast():
            outputs = self.network.forward(features)
        loss = self.objective(outputs.float(), targets, weighted=True)
        weight = self._loss_weight()
        (loss if self._precision.scaler is None else self._precision.scaler.scale(loss)).backward(weight)
        self.state.loss_sum += loss.detach()

    def _loss_weight(self) -> torch.Tensor:
        """What makes the gradient of summed losses that of their mean.

        Ranks may hold shares of unequal size, and gradients are averaged over ranks: so each share is weighted by the
        update's samples, and the average comes out as the mean over all of them.
        """
        size = self._update_size()
        if size not in self._loss_weights:
            weight = torch.tensor(self.gang.world_size / size, device=self.gang.device)
            self._loss_weights[size] = weight
        return self._loss_weights[size]

    def _update_size(self) -> int:
        """Targets, over all ranks, of the update that the current step belongs to."""
        samples = self.training.batch_size * self.training.gradient_accumulation
        first = (self.state.step - 1) // self.training.gradient_accumulation * samples
        return min(samples, len(self.part) - first) * self.part.targets_per_sample

    def _random_seed(self) -> int | None:
        """What seeds dropout in the epoch's first step, another in each rank; None where nothing is drawn."""
        if not any(
            isinstance(module, torch.nn.Dropout) and module.p for module in self.network.model.modules()
        ):
            return None
        sequence = np.random.SeedSequence([self.training.seed, self.state.epoch + 1, self.gang.rank])
        return int(sequence.generate_state(1)[0])

    def _validate(self, validation: Part) -> dict[str, float]:
        if not len(validation):
            return {}
        names = list(QUICK[self.objective.task])
        rule = self.training.early_stopping
        if rule and rule.metric not in names:
            names.append(rule.metric)
        return self.evaluate(validation, "validation", names).metrics

    def _remember(self, loss: float, metrics: dict[str, float]) -> None:
        """The epoch's figures, unless early stopping deems an earlier epoch better."""
        state = self.state
        if state.best is not None:
            metric = state.best.rule.metric
            if metric not in metrics:
                raise Refused(
                    "InvalidDataset",
                    f"training.earlyStopping.metric {metric} has no meaning on this validation part; give another.",
                )
            state.best.look(state.epoch, metrics[metric], state.model)
            state.stopped = state.best.patience_is_over
            if state.best.epoch != state.epoch:
                return
        state.train_loss, state.validation = loss, metrics

    def _told(self, loss: float, metrics: dict[str, float], seconds: float) -> Epoch:
        state, epochs, course = self.state, self.training.epochs, self.course
        ended = epochs if state.stopped else state.epoch
        left = epochs - ended + (course.models - course.done - 1) * epochs
        return Epoch(
            state.epoch,
            epochs,
            loss,
            metrics,
            seconds,
            percent=100 * (1 - left / (course.models * epochs)),
            remaining_seconds=left * state.seconds / state.epoch,
            learning_rate=self._rates.at(max(0, state.updates - 1)),
            fold=course.fold,
        )

    def _interrupt(self) -> None:
        for callback in self.callbacks:
            callback.on_interrupt(self.state)
        epoch = min(self.state.epoch + 1, self.training.epochs)
        raise Interrupted(f"Stopped by SIGTERM in epoch {epoch} of {self.training.epochs}.")

    def _require_finite(self, name: str, value: float) -> None:
        if not math.isfinite(value):
            raise Refused(
                "TrainingDiverged",
                f"The {name} is {value}: training diverged, and would again with the same seed; "
                f"lower training.learningRate ({self.training.learning_rate:g}).",
            )


def _seed(device: torch.device, seed: int) -> None:
    """Of this device's generator alone: `torch.manual_seed` looks at every kind of device, in each step."""
    if device.type == "cuda":
        torch.cuda.default_generators[device.index].manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)
