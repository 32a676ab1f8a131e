"""Loss and quality of a model on one part of the data, each sample counted once over all ranks."""

import math
from collections.abc import Collection
from dataclasses import dataclass, field

import torch
from torch import nn

from loadstar_trainer.gang import Gang
from loadstar_trainer.losses import Objective
from loadstar_trainer.parts import Part
from loadstar_trainer.precision import Precision
from loadstar_trainer.scores import SCORED, Scores
from loadstar_trainer.spec.tasks import CLASSIFICATION, LANGUAGE, REGRESSION

# What costs next to nothing, for each task.
QUICK = {
    CLASSIFICATION: ("accuracy", "loss"),
    REGRESSION: ("mse", "mae", "r2", "loss"),
    LANGUAGE: ("accuracy", "perplexity", "loss"),
}


@dataclass(frozen=True)
class Measured:
    """Metrics by name; `confusion` counts samples by class (rows) and foretold class (columns), or is empty."""

    metrics: dict[str, float]
    confusion: list[list[int]] = field(default_factory=list)


@dataclass(frozen=True)
class Evaluator:
    """Measures a model the same way in all ranks, and with the same result."""

    model: nn.Module
    objective: Objective
    precision: Precision
    gang: Gang

    def measure(self, part: Part, names: Collection[str]) -> Measured:
        """Those of the named metrics that have a meaning here.

        Left out: r2 where all targets are alike, auroc where a class has no sample in the part.
        """
        scores = Scores(self.objective) if SCORED & set(names) else None
        sums = torch.zeros(3, dtype=torch.float64, device=self.gang.device)
        self.model.eval()
        with torch.no_grad():
            for features, targets in part.in_order():
                with self.precision.autocast():
                    outputs = self.model(features)
                sums += self._sums(outputs.double(), targets)
                if scores is not None:
                    scores.add(outputs, targets)
        self.model.train()
        metrics = self._metrics(self.gang.total(sums.tolist()), part)
        confusion: list[list[int]] = []
        if scores is not None:
            scored, confusion = scores.measure(self.gang, names)
            metrics |= scored
        return Measured({name: metrics[name] for name in names if name in metrics}, confusion)

    def _sums(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """(correct, 0, loss) of one batch, or (squared error, absolute error, loss)."""
        loss = self.objective(outputs, targets)
        if self.objective.task == REGRESSION:
            errors = outputs - targets
            return torch.stack([errors.square().sum(), errors.abs().sum(), loss])
        correct = (self.objective.chosen(outputs) == targets).sum().double()
        return torch.stack([correct, torch.zeros_like(loss), loss])

    def _metrics(self, sums: list[float], part: Part) -> dict[str, float]:
        first, second, loss = (value / (len(part) * part.targets_per_sample) for value in sums)
        if self.objective.task == CLASSIFICATION:
            return {"accuracy": first, "loss": loss}
        if self.objective.task == LANGUAGE:
            # Beyond this no float can hold it; the loss itself is judged by who asked.
            return {"accuracy": first, "perplexity": math.exp(min(loss, 700.0)), "loss": loss}
        metrics = {"mse": first, "mae": second, "loss": loss}
        if part.spread > 0:
            metrics["r2"] = 1 - sums[0] / part.spread
        return metrics
