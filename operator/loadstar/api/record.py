"""The final record: what rank 0 leaves in its pod's termination message.

It comes out of a container that runs a user's image, so nothing of it is taken on trust.
"""

import json
import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from loadstar.api.schema import DECIMAL, LONGEST_DECIMAL, Wire
from loadstar.api.status import MOST_METRICS, Count, Metric, Reason, Result
from loadstar.api.text import one_line

LARGEST_MESSAGE = 16 * 1024
"""Bytes; a kubelet keeps 4096, so more can't be an honest record."""
LONGEST_SENTENCE = 1024
"""Bytes of an error's message that are kept."""
_LONGEST_NUMBER = 1100
"""Characters: the smallest numbers take as many where they are written without an exponent."""


def _finite(value: str) -> str:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("is beyond the range of numbers")
    return value if len(value) <= LONGEST_DECIMAL else repr(number)


def _share(value: str) -> str:
    if not 0 <= float(value) <= 1:
        raise ValueError("must be from 0 to 1")
    return value


def _sentence(text: str) -> str:
    return one_line(text, LONGEST_SENTENCE)


Finite = Annotated[str, Field(max_length=_LONGEST_NUMBER, pattern=DECIMAL), AfterValidator(_finite)]
"""A finite number, as DecimalString holds it."""


class RecordedMetric(Metric):
    value: Finite


class _Record(Wire):
    version: Literal[1]
    job_uid: str = Field(min_length=1, max_length=64)
    attempt: int = Field(ge=1)


class FinalRecord(_Record):
    """A job that came to its end. The caller checks that job_uid and attempt are those of the pod it was read from."""

    world_size: int = Field(ge=1)
    seed: Count
    data_hash: str = Field(max_length=128, pattern=r"^[A-Za-z0-9:+/=_-]*$")
    device: str = Field(max_length=64)
    backend: str = Field(max_length=64)
    torch: str = Field(max_length=64)
    samples: Annotated[dict[str, Count], Field(max_length=8)]
    epochs: Count
    duration_seconds: float = Field(ge=0)
    accuracy: Annotated[Finite, AfterValidator(_share)] | None = None
    metrics: Annotated[tuple[RecordedMetric, ...], Field(max_length=MOST_METRICS)]

    def result(self) -> Result:
        """The record as status.result."""
        return Result(
            metrics=self.metrics,
            world_size=self.world_size,
            seed=self.seed,
            data_hash=self.data_hash,
            epochs=self.epochs,
            duration_seconds=repr(self.duration_seconds),
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
    try:
        document = json.loads(message, parse_constant=_refuse_constant)
        return _typed(document)
    except (ValueError, RecursionError, ValidationError):
        return None


def _typed(document: Any) -> FinalRecord | ErrorRecord | None:
    if not isinstance(document, dict):
        return None
    kind = ErrorRecord if "error" in document else FinalRecord
    return kind.model_validate(document)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number of JSON")
