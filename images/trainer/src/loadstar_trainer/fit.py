"""One model of a run: trained on one set of parts, tested, and asked which columns it goes by."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import nn

from loadstar_trainer.callbacks import Callback
from loadstar_trainer.data import Data
from loadstar_trainer.data.augmentation import Augmentation
from loadstar_trainer.gang import Gang
from loadstar_trainer.importance import permutation_importance
from loadstar_trainer.interruption import Interruption
from loadstar_trainer.losses import Objective, balanced_weights
from loadstar_trainer.network import Network
from loadstar_trainer.parts import Part, Resident, place
from loadstar_trainer.spec import Spec
from loadstar_trainer.spec.tasks import METRICS, REGRESSION
from loadstar_trainer.train import Course, Trainer


@dataclass(frozen=True)
class Outcome:
    """What became of a model: metrics of the test part, then validation… of the validation part, then trainLoss."""

    metrics: dict[str, float]
    epochs: int
    confusion: list[list[int]] = field(default_factory=list)
    importance: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Fit:
    """What all models of a run share."""

    spec: Spec
    gang: Gang
    callbacks: Sequence[Callback]
    interruption: Interruption

    def train(self, data: Data, model: nn.Module, course: Course) -> Outcome:
        """Interrupted where a rank was asked to stop; Refused where training diverged."""
        trainer = self._trainer(data, model, course)
        state = trainer.train(place(data.validation, data, self.spec.training, self.gang), self.interruption)
        test = place(data.test, data, self.spec.training, self.gang)
        names = [*(self.spec.evaluation.metrics or METRICS[data.task]), *_loss(trainer.objective)]
        measured = trainer.evaluate(test, "test", names)
        metrics = dict(measured.metrics)
        for name, value in state.validation.items():
            if name != "loss" or _loss(trainer.objective):
                metrics[f"validation{name[0].upper()}{name[1:]}"] = value
        metrics["trainLoss"] = state.train_loss
        return Outcome(
            metrics, state.epoch, measured.confusion, self._importance(trainer, test, data, course)
        )

    def _trainer(self, data: Data, model: nn.Module, course: Course) -> Trainer:
        training = self.spec.training
        network = Network(model, training, self.gang)
        changes = self.spec.dataset.augment
        augment = Augmentation(changes, training.seed) if changes else None
        part = place(data.training, data, training, self.gang, augment)
        weights = balanced_weights(data.class_counts, self.gang.device) if training.class_weights else None
        objective = Objective.of(data.task, training.loss, data.classes, weights)
        if training.compile:
            network.compile(next(part.epoch(1, 0))[0])
        network.join()
        return Trainer(network, objective, training, part, self.callbacks, course)

    def _importance(self, trainer: Trainer, test: Part, data: Data, course: Course) -> dict[str, float]:
        repeats = self.spec.evaluation.importance_repeats
        if not repeats or course.fold:
            return {}
        assert isinstance(test, Resident)
        return permutation_importance(trainer, test, data.columns, repeats, self.interruption)


def _loss(objective: Objective) -> tuple[str, ...]:
    """Of numbers the loss is one of the metrics under another name, but for huber's."""
    return () if objective.task == REGRESSION and objective.loss != "huber" else ("loss",)
