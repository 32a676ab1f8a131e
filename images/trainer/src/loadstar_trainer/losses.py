"""What training makes small, summed over samples; and what of it evaluation reports."""

from dataclasses import dataclass

import torch
from torch.nn import functional

from loadstar_trainer.spec.tasks import LANGUAGE, LOSSES


@dataclass(frozen=True)
class Objective:
    """A loss on a task. `classes` is 0 for numbers, and that of all bytes for a language.

    `class_weights` has one weight per class, 1 on average over the training part, or is None.
    """

    task: str
    loss: str
    classes: int
    class_weights: torch.Tensor | None = None

    @classmethod
    def of(
        cls, task: str, loss: str | None, classes: int, class_weights: torch.Tensor | None = None
    ) -> "Objective":
        return cls(task, loss or LOSSES[task][0], classes, class_weights)

    @property
    def outputs(self) -> int:
        """How many numbers the model gives for one sample, or for one byte of a language."""
        return 1 if self.loss == "bce" or not self.classes else self.classes

    def __call__(
        self, outputs: torch.Tensor, targets: torch.Tensor, *, weighted: bool = False
    ) -> torch.Tensor:
        """Summed, not averaged, over all targets; weighted by class only where asked."""
        weights = self.class_weights if weighted else None
        if self.loss == "crossEntropy":
            if self.task == LANGUAGE:
                outputs, targets = outputs.flatten(0, 1), targets.flatten().long()
            return functional.cross_entropy(outputs, targets, weights, reduction="sum")
        if self.loss == "bce":
            each = None if weights is None else weights[targets]
            return functional.binary_cross_entropy_with_logits(
                outputs[:, 0], targets.to(outputs.dtype), each, reduction="sum"
            )
        kind = {"mse": functional.mse_loss, "mae": functional.l1_loss, "huber": functional.huber_loss}
        return kind[self.loss](outputs, targets.to(outputs.dtype), reduction="sum")

    def chosen(self, outputs: torch.Tensor) -> torch.Tensor:
        """The most likely class of each sample or byte."""
        return (outputs[:, 0] > 0).long() if self.loss == "bce" else outputs.argmax(dim=-1)

    def probabilities(self, outputs: torch.Tensor) -> torch.Tensor:
        """Of each class, in double precision."""
        if self.loss == "bce":
            positive = outputs.double().sigmoid()
            return torch.cat([1 - positive, positive], dim=1)
        return outputs.double().softmax(dim=1)


def balanced_weights(class_counts: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """Classes weighted against their share of the training part, so that all weigh alike in the loss."""
    counts = torch.tensor(class_counts, dtype=torch.float32, device=device)
    return counts.sum() / (len(class_counts) * counts)
