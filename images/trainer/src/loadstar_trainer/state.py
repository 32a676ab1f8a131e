"""What of a run must survive the death of its processes, in one object.

The loop keeps its State true at two moments, and shows it to callbacks at these alone: after each update of the weights
(`on_update`, `on_interrupt`) and after each epoch (`on_epoch_end`). At both no gradient is pending.

To save: the tensors of `model`, of `optimizer` and of `best.weights` (where `best` is not None), and `values`: JSON,
and a collective that all ranks call. To resume: in `on_train_begin`, where everything has been built from the same
spec, load the model's and the optimizer's tensors and call `restore`; the loop goes on at the position found there.

No state of random generators is in it: the order of samples, their augmentation and the masks of dropout are functions
of the seed and the position (epoch, step, rank) alone. So a resumed run repeats, bit for bit on a CPU, what the
uninterrupted one would have done; on another number of ranks it goes on equally well, but for rounding and masks.
Likewise the learning rate is a function of the number of updates.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from loadstar_trainer.gang import Gang
from loadstar_trainer.spec import EarlyStopping
from loadstar_trainer.spec.tasks import ERRORS

Tensors = dict[str, torch.Tensor]


@dataclass
class Best:
    """Early stopping's memory: the best epoch so far, its metric and weights, and how long ago it was."""

    rule: EarlyStopping
    epoch: int = 0
    value: float = 0.0
    waited: int = 0
    weights: Tensors = field(default_factory=dict)

    def look(self, epoch: int, value: float, model: nn.Module) -> None:
        """Takes an epoch's metric into account; a better one than before makes the epoch's weights the kept ones."""
        gain = self.value - value if self.rule.metric in ERRORS else value - self.value
        if self.epoch and gain <= self.rule.min_delta:
            self.waited += 1
            return
        self.epoch, self.value, self.waited = epoch, value, 0
        self.weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    @property
    def patience_is_over(self) -> bool:
        return self.waited >= self.rule.patience


@dataclass
class State:
    """The run at one moment. `model` is bare: neither compiled nor wrapped, its names are those of its own parameters.

    With training.strategy fsdp parameters and the optimizer's tensors are DTensors, each rank holding its part.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler | None
    loss_sum: torch.Tensor
    """Of the running epoch's samples so far, in double precision; this rank's share."""
    best: Best | None = None
    fold: int = 0
    """Of cross-validation, from 1; 0 for the model that is kept."""
    epoch: int = 0
    """Epochs that are over."""
    step: int = 0
    """Batches of the running epoch that are over; 0 between epochs."""
    updates: int = 0
    """Optimizer steps so far."""
    train_loss: float = 0.0
    """Mean over the last epoch that is over, or the best one where early stopping looks for it."""
    validation: dict[str, float] = field(default_factory=dict)
    """Metrics of the same epoch."""
    seconds: float = 0.0
    """Spent training, over all attempts."""
    stopped: bool = False
    """Whether early stopping has ended training before its last epoch."""

    def values(self, gang: Gang) -> dict[str, Any]:
        """All that is no tensor, as JSON keeps it exactly. A collective: each rank's loss goes in."""
        values: dict[str, Any] = {
            "fold": self.fold,
            "epoch": self.epoch,
            "step": self.step,
            "updates": self.updates,
            "trainLoss": self.train_loss,
            "validation": dict(self.validation),
            "seconds": self.seconds,
            "stopped": self.stopped,
            "lossSums": gang.gather(float(self.loss_sum)),
        }
        if self.best is not None:
            values["best"] = {"epoch": self.best.epoch, "value": self.best.value, "waited": self.best.waited}
        if self.scaler is not None:
            values["scaler"] = self.scaler.state_dict()
        return values

    def restore(self, values: Mapping[str, Any], best_weights: Tensors, gang: Gang) -> None:
        """Becomes what `values` said; KeyError where it says too little. Tensors of model and optimizer are not its.

        Where the number of ranks has changed, the first takes the sum of all losses.
        """
        for name in ("fold", "epoch", "step", "updates", "validation", "seconds", "stopped"):
            setattr(self, name, values[name])
        self.train_loss = values["trainLoss"]
        sums: list[float] = values["lossSums"]
        alike = len(sums) == gang.world_size
        self.loss_sum.fill_(sums[gang.rank] if alike else sum(sums) * (gang.rank == 0))
        if self.best is not None:
            saved = values["best"]
            self.best.epoch, self.best.value, self.best.waited = (
                saved["epoch"],
                saved["value"],
                saved["waited"],
            )
            self.best.weights = best_weights
        if self.scaler is not None:
            self.scaler.load_state_dict(values["scaler"])

    def finish(self) -> None:
        """At the end of training: the best epoch's weights, where early stopping kept some."""
        if self.best is not None and self.best.weights:
            self.model.load_state_dict(self.best.weights)
