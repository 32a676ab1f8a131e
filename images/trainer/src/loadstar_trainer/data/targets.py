"""What is foretold: classes, found in the data and numbered in their order, or numbers."""

from dataclasses import dataclass

import numpy as np

from loadstar_trainer.data.refusals import listed, refusal
from loadstar_trainer.data.samples import Array
from loadstar_trainer.spec.tasks import CLASSIFICATION, REGRESSION

MOST_CLASSES = 10_000


@dataclass(frozen=True)
class Numbers:
    """Targets of a regression."""

    labels: tuple[str, ...] = ()
    task: str = REGRESSION

    def encode(self, values: Array) -> Array:
        return values.astype(np.float64)


@dataclass(frozen=True)
class Classes:
    """Targets of a classification; `index` has the class of each value that occurs."""

    labels: tuple[str, ...]
    index: dict[str | float, int]
    task: str = CLASSIFICATION

    def encode(self, values: Array) -> Array:
        """Class indices. KeyError for a value that was not there when the classes were learned."""
        if values.dtype == object:
            return np.array([self.index[value] for value in values], np.int64)
        different, inverse = np.unique(values, return_inverse=True)
        return np.array([self.index[float(value)] for value in different], np.int64)[inverse]


class TargetSurvey:
    """Learns from all values, block by block, what the target is. `task` is the one given, if any."""

    def __init__(self, file: str, name: str, task: str | None) -> None:
        self._file = file
        self._name = name
        self._task = task
        self._texts: dict[str, int] = {}  # each with the row where it came first
        self._numbers: set[float] = set()
        self._any_number = False
        self._whole = True

    def add(self, values: Array, rows: Array) -> None:
        """Values without missing ones, and their rows in the file."""
        if len(values) == 0:
            return
        if values.dtype == object:
            for value, row in zip(values.tolist(), rows.tolist(), strict=True):
                if value not in self._texts:
                    self._texts[value] = row
                    self._any_number = self._any_number or not _by_number(value)[0]
        else:
            self._any_number = True
            if self._task != REGRESSION and (self._whole or self._task == CLASSIFICATION):
                self._add_numbers(np.unique(values))
        self._refuse_unfit()

    def finish(self) -> Classes | Numbers:
        if self._task == REGRESSION or (self._task is None and not self._whole):
            return Numbers()
        keys: list[str] | list[float]
        keys = sorted(self._texts, key=_by_number) if self._texts else sorted(self._numbers)
        labels: list[str] = []
        index: dict[str | float, int] = {}
        for key in keys:
            label = key if isinstance(key, str) else _shown(key)
            # Texts that are one number, "1" and "1.0", are one class.
            if not labels or _by_number(label) != _by_number(labels[-1]):
                labels.append(label)
            index[key] = len(labels) - 1
        return Classes(tuple(labels), index)

    def _add_numbers(self, different: Array) -> None:
        self._whole = self._whole and bool(np.all(different == np.floor(different)))
        if self._whole or self._task == CLASSIFICATION:
            self._numbers.update(different.tolist())
        else:
            self._numbers.clear()

    def _refuse_unfit(self) -> None:
        if self._task == REGRESSION or (self._task is None and self._any_number):
            for text, row in self._texts.items():
                if _by_number(text)[0]:
                    raise refusal(
                        self._file,
                        f"target column {self._name!r}, row {row + 1}: {text!r} is text where numbers are expected; "
                        "correct the value, or set dataset.task to classification if the values name classes",
                    )
        if max(len(self._texts), len(self._numbers)) > MOST_CLASSES:
            raise refusal(
                self._file,
                f"target column {self._name!r} has more than {MOST_CLASSES} different values, too many for classes; "
                "name another column in dataset.target, or set dataset.task to regression if it is a quantity",
            )


def require_classes(file: str, name: str, labels: tuple[str, ...], targets: Array) -> None:
    """Refused where there are fewer than two classes, or one of them has a single sample."""
    if len(labels) < 2:
        raise refusal(
            file,
            f"target column {name!r} holds one class only ({listed(list(labels))}); "
            "at least two are needed, so name another column in dataset.target or add samples",
        )
    counts = np.bincount(targets, minlength=len(labels))
    rare = int(counts.argmin())
    if counts[rare] < 2:
        raise refusal(
            file,
            f"class {labels[rare]!r} of target column {name!r} has {counts[rare]} sample, and to be trained and "
            "tested a class needs at least 2; add samples, remove it, or set dataset.task to regression "
            "if the column is a quantity",
        )


def _by_number(label: str) -> tuple[bool, float, str]:
    """Numbers in their order, then texts in theirs."""
    try:
        return False, float(label), ""
    except ValueError:
        return True, 0.0, label


def _shown(number: float) -> str:
    return str(int(number)) if number == int(number) else repr(number)
