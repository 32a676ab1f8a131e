"""The final record: what rank 0 leaves in its pod's termination message, and may send besides.

It comes out of a container that runs a user's image, so nothing of it is taken on trust: what every record has must be
right, or there is no record; what only some have is left out where it is not understood.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, Field, ValidationError, WrapValidator, model_validator

from loadstar.api.curves import Curves, parse_curves
from loadstar.api.result import (
    LARGEST_COUNT,
    MOST_COLUMNS,
    MOST_METRICS,
    Count,
    CrossValidated,
    Digest,
    ExportedModel,
    Importance,
    Inherited,
    Matrix,
    Metric,
    Quantized,
    Result,
    Resumption,
    SavedCheckpoint,
)
from loadstar.api.schema import DECIMAL, Whole, Wire, is_decimal
from loadstar.api.status import Reason
from loadstar.api.text import one_line

LARGEST_MESSAGE = 16 * 1024
"""Bytes; a kubelet keeps 4096, so more can't be an honest record."""
LARGEST_POSTED = 64 * 1024
"""Bytes of a record that a pod sends: all that did not fit into its termination message."""
LONGEST_SENTENCE = 1024
"""Bytes of an error's message that are kept."""
_LONGEST_NUMBER = 1100
"""Characters: the smallest numbers take as many where they are written without an exponent."""


def _finite(value: str) -> str:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("is beyond the range of numbers")
    return value if is_decimal(value) else repr(number)


def _is_share(value: str | None) -> bool:
    return value is None or 0 <= float(value) <= 1


def _sentence(text: str) -> str:
    return one_line(text, LONGEST_SENTENCE)


def _square(matrix: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    if not matrix or any(len(row) != len(matrix) for row in matrix):
        raise ValueError("must have as many columns as rows")
    return matrix


def _or_nothing(value: Any, read: Callable[[Any], Any]) -> Any:
    try:
        return read(value)
    except ValidationError:
        return None


T = TypeVar("T")
Tolerated = Annotated[T | None, WrapValidator(_or_nothing)]
"""A part of a record that is left out where it is not understood."""

Finite = Annotated[str, Field(max_length=_LONGEST_NUMBER, pattern=DECIMAL), AfterValidator(_finite)]
"""A finite number, as DecimalString holds it."""


class RecordedMetric(Metric):
    value: Finite


class RecordedImportance(Importance):
    value: Finite


class RecordedQuantized(Quantized):
    accuracy: Finite


class _Record(Wire):
    version: Annotated[Whole, Field(ge=1, le=1)]
    job_uid: str = Field(min_length=1, max_length=64)
    attempt: Whole = Field(ge=1, le=LARGEST_COUNT)


class FinalRecord(_Record):
    """A job that came to its end. The caller checks that job_uid and attempt are those of the pod it was read from.

    One's own program tells metrics only; Loadstar's trainer tells all of `_OF_TRAINER`.
    """

    world_size: Whole = Field(ge=1, le=LARGEST_COUNT)
    seed: Count | None = None
    data_hash: Digest | None = None
    device: str | None = Field(None, max_length=64)
    backend: str | None = Field(None, max_length=64)
    torch: str | None = Field(None, max_length=64)
    samples: Annotated[dict[str, Count], Field(max_length=8)] | None = None
    epochs: Count | None = None
    duration_seconds: Annotated[float, Field(strict=True, ge=0)] | None = None
    accuracy: Finite | None = None
    metrics: Annotated[tuple[RecordedMetric, ...], Field(max_length=MOST_METRICS)]
    checkpoint: Tolerated[SavedCheckpoint] = None
    resumed_from: Tolerated[Resumption] = None
    model: Tolerated[ExportedModel] = None
    confusion_matrix: Tolerated[Annotated[Matrix, AfterValidator(_square)]] = None
    importance: Tolerated[
        Annotated[tuple[RecordedImportance, ...], Field(min_length=1, max_length=MOST_COLUMNS)]
    ] = None
    quantized: Tolerated[RecordedQuantized] = None
    cross_validation: Tolerated[CrossValidated] = None
    initial_weights: Tolerated[Inherited] = None

    @model_validator(mode="after")
    def is_whole(self) -> Self:
        told = [getattr(self, name) is not None for name in _OF_TRAINER]
        if any(told) and not all(told):
            raise ValueError(f"needs all of {', '.join(_OF_TRAINER)} or none")
        if all(told) and not _is_share(self.accuracy):
            raise ValueError("accuracy must be from 0 to 1")
        names = [metric.name for metric in self.metrics]
        if len(set(names)) < len(names):
            raise ValueError("names a metric twice")
        return self

    @property
    def share(self) -> str | None:
        """accuracy, where it is a share: one's own program may count in percent, which status.accuracy does not."""
        return self.accuracy if _is_share(self.accuracy) else None

    def result(self) -> Result:
        """The record as status.result."""
        same = {name: getattr(self, name) for name in Result.model_fields if name != "duration_seconds"}
        seconds = self.duration_seconds
        return Result(duration_seconds=None if seconds is None else repr(seconds), **same)


_OF_TRAINER = (
    "seed",
    "data_hash",
    "device",
    "backend",
    "torch",
    "samples",
    "epochs",
    "duration_seconds",
)


class RecordedError(Wire):
    reason: Reason
    message: Annotated[str, AfterValidator(_sentence)]


class ErrorRecord(_Record):
    """A job whose trainer knew why it could not go on."""

    error: RecordedError


def parse_record(message: str | None) -> FinalRecord | ErrorRecord | None:
    """The record in a termination message; None if there is none that can be trusted. Never raises."""
    if not message or len(message.encode(errors="replace")) > LARGEST_MESSAGE:
        return None
    return _typed(_decoded(message))


@dataclass(frozen=True, slots=True)
class PostedRecord:
    """What a pod sent at its end. `curves` is empty where it sent none that can be trusted."""

    record: FinalRecord | ErrorRecord
    curves: Curves


def parse_posted(body: bytes, now: float) -> PostedRecord | None:
    """The record that a pod sent; None if there is none that can be trusted. `now` in Unix seconds. Never raises."""
    document = _decoded(body) if len(body) <= LARGEST_POSTED else None
    record = _typed(document)
    return PostedRecord(record, parse_curves(document.get("curves"), now)) if document and record else None


def _decoded(text: str | bytes) -> Any:
    """None where it is no JSON."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None


def _typed(document: Any) -> FinalRecord | ErrorRecord | None:
    if not isinstance(document, dict):
        return None
    kind = ErrorRecord if "error" in document else FinalRecord
    try:
        return kind.model_validate(document)
    except (ValueError, RecursionError):  # pydantic's ValidationError is a ValueError
        return None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number of JSON")
