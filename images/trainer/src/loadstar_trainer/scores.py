"""Metrics of classification that need every sample's scores: gathered from all ranks, judged by torchmetrics."""

import importlib
import sys
from collections.abc import Collection
from importlib.machinery import ModuleSpec
from types import ModuleType

import torch

from loadstar_trainer.gang import Gang
from loadstar_trainer.losses import Objective

SCORED = frozenset({"precision", "recall", "f1", "auroc", "confusionMatrix"})


class Scores:
    """Probabilities, foretold and true classes of this rank's samples; kept on the CPU."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._kept: list[tuple[torch.Tensor, ...]] = []

    def add(self, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        chosen, probabilities = self._objective.chosen(outputs), self._objective.probabilities(outputs)
        self._kept.append((chosen.cpu(), probabilities.cpu(), targets.cpu()))

    def measure(self, gang: Gang, names: Collection[str]) -> tuple[dict[str, float], list[list[int]]]:
        """(metrics, confusion matrix) over all ranks' samples; averages give each class the same weight.

        auroc is left out where a class has no sample here: it has no meaning for that class.
        """
        chosen, probabilities, targets = (
            gang.join(torch.cat(tensors)) for tensors in zip(*self._kept, strict=True)
        )
        classification, classes = torchmetrics(), self._objective.classes
        confusion = classification.multiclass_confusion_matrix(chosen, targets, classes)
        metrics = _averages(confusion.double())
        if "auroc" in names and bool((confusion.sum(dim=1) > 0).all()):
            metrics["auroc"] = float(classification.multiclass_auroc(probabilities, targets, classes))
        return metrics, confusion.tolist() if "confusionMatrix" in names else []


def _averages(confusion: torch.Tensor) -> dict[str, float]:
    """Macro precision, recall and f1, from counts: torchmetrics has only seven digits of them.

    As there, a class that is neither true nor foretold for any sample has no part in them, and 0/0 is 0.
    """
    hits, true, foretold = confusion.diagonal(), confusion.sum(dim=1), confusion.sum(dim=0)
    seen = true + foretold > 0

    def mean(parts: torch.Tensor, wholes: torch.Tensor) -> float:
        return float((parts / wholes.clamp(min=1))[seen].mean())

    return {
        "precision": mean(hits, foretold),
        "recall": mean(hits, true),
        "f1": mean(2 * hits, true + foretold),
    }


def torchmetrics() -> ModuleType:
    """torchmetrics.functional.classification, imported without SciPy.

    Where there is a SciPy, torchmetrics imports its signal processing, which takes several times as long as all else,
    only to give it a name that another library misses.
    """
    absent = [name for name in ("scipy", "scipy.signal") if name not in sys.modules]
    for name in absent:
        stand_in = ModuleType(name)
        stand_in.__spec__ = ModuleSpec(name, None)
        sys.modules[name] = stand_in
    if "scipy.signal" in absent:
        vars(sys.modules["scipy"])["signal"] = sys.modules["scipy.signal"]
        vars(sys.modules["scipy.signal"])["hamming"] = None
    try:
        return importlib.import_module("torchmetrics.functional.classification")
    finally:
        for name in absent:
            del sys.modules[name]
