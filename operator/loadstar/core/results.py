"""What a job achieved, and whether that is enough: numbers stay the decimal text that the trainer wrote."""

from dataclasses import dataclass, fields, replace
from decimal import Decimal

Named = tuple[tuple[str, str], ...]
"""Values by name, in order."""


@dataclass(frozen=True, slots=True)
class SavedCheckpoint:
    """The newest checkpoint of the run; `digest` is that of its manifest."""

    path: str
    digest: str
    epoch: int
    step: int


@dataclass(frozen=True, slots=True)
class ExportedModel:
    """The trained network's folder."""

    path: str
    digest: str
    formats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resumption:
    """The checkpoint that the last attempt went on from: whose it was, and of how many processes."""

    attempt: int
    step: int
    world_size: int


@dataclass(frozen=True, slots=True)
class Result:
    """What the trainer's final record says, or what one's own program printed, which has metrics only."""

    metrics: Named
    world_size: int | None = None
    seed: int | None = None
    data_hash: str | None = None
    epochs: int | None = None
    duration_seconds: str | None = None
    accuracy: str | None = None
    confusion_matrix: tuple[tuple[int, ...], ...] = ()
    importance: Named = ()
    checkpoint: SavedCheckpoint | None = None
    model: ExportedModel | None = None
    resumed_from: Resumption | None = None
    quantized_accuracy: str | None = None
    folds: int | None = None
    initial_tensors: int | None = None

    def value(self, metric: str) -> str | None:
        """A metric's value, None where there is none of that name."""
        return dict(self.metrics).get(metric)


@dataclass(frozen=True, slots=True)
class Goal:
    """What a metric must reach, exactly: at least `minimum`, at most `maximum`; None is no bound."""

    metric: str
    minimum: Decimal | None = None
    maximum: Decimal | None = None

    def shortfall(self, result: Result | None) -> str | None:
        """Why the result is not enough, as a sentence; None where it is."""
        if result is None:
            return f"the goal needs the metric {self.metric}, and the job left no result"
        value = result.value(self.metric)
        if value is None:
            there = ", ".join(name for name, _ in result.metrics) or "none"
            return f"the goal needs the metric {self.metric}, and the result has only: {there}"
        if self.minimum is not None and Decimal(value) < self.minimum:
            return f"{self.metric} is {value}, below the goal of at least {self.minimum}"
        if self.maximum is not None and Decimal(value) > self.maximum:
            return f"{self.metric} is {value}, above the goal of at most {self.maximum}"
        return None


@dataclass(frozen=True, slots=True)
class Printed:
    """The metrics found in the last lines of a program's log, or the `problem` with reading it."""

    metrics: Named = ()
    problem: str = ""

    def result(self) -> Result | None:
        """The metrics as a result; accuracy stands out where it is a share and not, say, a percentage."""
        if not self.metrics:
            return None
        accuracy = dict(self.metrics).get("accuracy")
        is_share = accuracy is not None and 0 <= Decimal(accuracy) <= 1
        return Result(self.metrics, accuracy=accuracy if is_share else None)


def completed(left: Result | None, sent: Result | None) -> Result | None:
    """What a pod left behind (its termination message), with what it sent besides.

    Raises ValueError where the two contradict each other: then only what was left counts.
    """
    if left is None or sent is None:
        return left or sent
    if not set(left.metrics) <= set(sent.metrics) or left.accuracy != sent.accuracy:
        raise ValueError("the record that was sent has other metrics than the one that the pod left")
    missing = {
        name: getattr(sent, name)
        for name in (field.name for field in fields(Result))
        if getattr(left, name) in (None, ())
    }
    return replace(left, **missing)
