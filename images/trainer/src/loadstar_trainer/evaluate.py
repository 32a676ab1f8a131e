"""Loss and quality of a model on one part of the data, each sample counted once over all ranks."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from loadstar_trainer.data import Samples
from loadstar_trainer.gang import Gang

# Bounds the memory of activations; a larger training batch proves that it fits and is used instead.
LEAST_BATCH = 1024


@dataclass(frozen=True)
class Part:
    """Samples as tensors on the gang's device. `classes` is 0 for regression."""

    features: torch.Tensor
    targets: torch.Tensor
    classes: int

    @classmethod
    def place(cls, samples: Samples, classes: int, device: torch.device) -> "Part":
        targets = samples.targets if classes else samples.targets.astype(np.float32)[:, None]
        return cls(
            torch.from_numpy(samples.features.astype(np.float32)).to(device),
            torch.from_numpy(targets).to(device),
            classes,
        )

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: torch.Tensor) -> "Part":
        return Part(self.features[rows], self.targets[rows], self.classes)

    def loss(self, outputs: torch.Tensor) -> torch.Tensor:
        """Summed, not averaged, over the samples: cross-entropy of classes, squared error of numbers."""
        if self.classes:
            return functional.cross_entropy(outputs, self.targets, reduction="sum")
        return functional.mse_loss(outputs, self.targets, reduction="sum")


def evaluate(model: nn.Module, part: Part, gang: Gang, batch_size: int) -> dict[str, float]:
    """Metrics over the whole part, equal in all ranks: accuracy and loss, or mse, mae and r2.

    r2 is left out where it has no meaning: fewer than two samples, or all targets alike.
    """
    rows = gang.share(torch.arange(len(part), device=gang.device))
    sums = torch.zeros(2, dtype=torch.float64, device=gang.device)
    model.eval()
    with torch.no_grad():
        for batch in rows.split(max(batch_size, LEAST_BATCH)):
            sums += _sums(model, part.take(batch))
    model.train()
    *totals, count = gang.total([*sums.tolist(), float(len(rows))])
    if part.classes:
        correct, loss = totals
        return {"accuracy": correct / count, "loss": loss / count}
    squared, absolute = totals
    metrics = {"mse": squared / count, "mae": absolute / count}
    targets = part.targets.double()
    spread = float((targets - targets.mean()).square().sum())
    if spread > 0:
        metrics["r2"] = 1 - squared / spread
    return metrics


def _sums(model: nn.Module, part: Part) -> torch.Tensor:
    """(correct, loss) of one batch, or (squared error, absolute error)."""
    outputs = model(part.features).double()
    if part.classes:
        correct = (outputs.argmax(dim=1) == part.targets).sum()
        return torch.stack([correct.double(), part.loss(outputs)])
    errors = outputs - part.targets.double()
    return torch.stack([errors.square().sum(), errors.abs().sum()])
