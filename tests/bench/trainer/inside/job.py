"""A job that all contenders train: one spec, one data set, one kind of model, one optimizer."""

import contextlib
import io
import json
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from loadstar_trainer import data as datasets
from loadstar_trainer.callbacks import Callback, Log
from loadstar_trainer.data import Data
from loadstar_trainer.environment import Ranks
from loadstar_trainer.fit import Fit
from loadstar_trainer.gang import Gang
from loadstar_trainer.interruption import Interruption
from loadstar_trainer.parts import tensors
from loadstar_trainer.run import build
from loadstar_trainer.spec import Spec, parse
from loadstar_trainer.spec.tasks import CLASSIFICATION
from loadstar_trainer.train import Course

Pair = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Took:
    """Seconds of the loop over all epochs, and of the whole call that a user waits for."""

    loop: float
    call: float


@dataclass(frozen=True)
class Job:
    """A spec and its data, prepared once."""

    name: str
    spec: Spec
    data: Data

    @classmethod
    def of(cls, name: str, document: dict[str, Any]) -> "Job":
        spec = parse(json.dumps(document))
        return cls(name, spec, datasets.prepare(spec.dataset))

    @property
    def samples(self) -> int:
        """That one run takes through the loop."""
        return len(self.data.training) * self.spec.training.epochs

    @property
    def classifies(self) -> bool:
        return self.data.task == CLASSIFICATION

    def model(self) -> nn.Module:
        """The product's own model, the same weights each time."""
        return build(self.spec, self.data)[0]

    def part(self, name: str, device: torch.device) -> Pair:
        """training, validation or test as tensors."""
        return tensors(getattr(self.data, name), self.data.task, device)

    def loss(self) -> nn.Module:
        return nn.CrossEntropyLoss() if self.classifies else nn.MSELoss()

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """The one that the product chooses for `adam`, its kernel too."""
        return torch.optim.Adam(model.parameters(), self.spec.training.learning_rate, fused=True)


class Clock(Callback):
    """When the loop began and ended, as any callback is told."""

    def on_train_begin(self, epochs: int, state: Any) -> None:  # noqa: ARG002
        settle()
        self.began = time.perf_counter()

    def on_train_end(self, state: Any) -> None:  # noqa: ARG002
        settle()
        self.ended = time.perf_counter()


def train_with_loadstar(job: Job) -> Took:
    """The product: everything that a run does between its data and its result, log lines included."""
    model, clock = job.model(), Clock()
    began = time.perf_counter()
    gang = Gang(Ranks())
    fit = Fit(job.spec, gang, [Log(), clock], Interruption())
    with contextlib.redirect_stdout(io.StringIO()):
        fit.train(job.data, model, Course())
    settle()
    return Took(clock.ended - clock.began, time.perf_counter() - began)


def settle() -> None:
    """Wait until a GPU, if there is one, has done all that it was told to do."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def device() -> torch.device:
    """That the product chooses for one rank."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
