"""Permutation importance: how much worse a model gets at its test when one column's values are dealt out anew."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from loadstar_trainer.data import Column
from loadstar_trainer.failures import Interrupted
from loadstar_trainer.interruption import Interruption
from loadstar_trainer.parts import Resident
from loadstar_trainer.spec.tasks import CLASSIFICATION
from loadstar_trainer.train import Trainer


def permutation_importance(
    trainer: Trainer, test: Resident, columns: Sequence[Column], repeats: int, interruption: Interruption
) -> dict[str, float]:
    """By column: accuracy, or r2 of numbers, less what is left of it, the mean of some repeats.

    Near 0 means that the model can do without; empty where the metric has no meaning. Every rank has all rows, so
    all deal alike. Interrupted where a rank was asked to stop.
    """
    metric = "accuracy" if trainer.objective.task == CLASSIFICATION else "r2"
    intact = trainer.evaluate(test, "test", [metric]).metrics.get(metric)
    if intact is None:
        return {}
    importance: dict[str, float] = {}
    for number, column in enumerate(columns):
        dealt = [_dealt(test, column, (test.seed, number, repeat)) for repeat in range(repeats)]
        left = [trainer.evaluate(part, "test", [metric]).metrics[metric] for part in dealt]
        importance[column.name] = intact - sum(left) / repeats
        if trainer.gang.agreed_to_stop(interruption.requested):
            raise Interrupted("Stopped by SIGTERM while measuring the importance of columns.")
    return importance


def _dealt(part: Resident, column: Column, key: tuple[int, ...]) -> Resident:
    """The part with the column's values in another order, the other columns left alone."""
    order = torch.from_numpy(np.random.default_rng(key).permutation(len(part))).to(part.features.device)
    features = part.features.clone()
    features[:, column.start : column.stop] = part.features[order, column.start : column.stop]
    return replace(part, features=features)
