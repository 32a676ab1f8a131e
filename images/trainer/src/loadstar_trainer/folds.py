"""k-fold cross-validation: each fold tests a model that the others trained, so each sample tests once."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from loadstar_trainer import data as datasets
from loadstar_trainer.data import Data
from loadstar_trainer.fit import Fit, Outcome
from loadstar_trainer.spec import Spec
from loadstar_trainer.train import Course

Finished = list[dict[str, Any]]


def cross_validate(spec: Spec, fit: Fit, build: Callable[[Data], nn.Module], models: int) -> Outcome:
    """Mean and spread of each metric over the folds; every fold's model starts from the same seed.

    `models` counts what the run trains in all. Folds that a callback knows from an earlier attempt are not repeated.
    The confusion matrices of all folds add up; `epochs` is the most that a fold took.
    """
    finished: Finished = []
    for callback in fit.callbacks:
        callback.on_folds_begin(finished)
    done = len(finished)
    folds = spec.evaluation.folds
    for number, data in enumerate(datasets.folds(spec.dataset, folds, spec.model.context_length or None), 1):
        if number <= done:
            continue
        outcome = fit.train(data, build(data), Course(number, number - 1, models))
        finished.append(
            {"metrics": outcome.metrics, "epochs": outcome.epochs, "confusion": outcome.confusion}
        )
        for callback in fit.callbacks:
            callback.on_fold_end(finished)
    return Outcome(
        spread([fold["metrics"] for fold in finished]),
        max(fold["epochs"] for fold in finished),
        added([fold["confusion"] for fold in finished]),
    )


def spread(folds: Sequence[dict[str, float]]) -> dict[str, float]:
    """`<metric>`, its mean, and `<metric>Std`, its sample standard deviation; of metrics that every fold has."""
    metrics: dict[str, float] = {}
    for name in folds[0]:
        if not all(name in fold for fold in folds):
            continue
        values = [fold[name] for fold in folds]
        mean = math.fsum(values) / len(values)
        metrics[name] = mean
        metrics[f"{name}Std"] = math.sqrt(
            math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
        )
    return metrics


def added(matrices: Sequence[list[list[int]]]) -> list[list[int]]:
    """Cell by cell; of no matrices' cells, none."""
    return [[sum(cells) for cells in zip(*rows, strict=True)] for rows in zip(*matrices, strict=True)]
