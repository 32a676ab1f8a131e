"""A progress report as it comes over the wire: Kubeflow Trainer's shape, checked to the last number. Pure.

Whoever may write a pod may write reports, so nothing of one is taken on trust: what could not stand in a status, or
would break who reads it there, is refused with a sentence that names the field.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from loadstar.api.curves import CLOCK_SLACK_SECONDS, EARLIEST
from loadstar.api.schema import is_decimal

LARGEST_BODY: Final = 64 * 1024
"""Bytes of a request's body."""
MOST_METRICS: Final = 256
LONGEST_NAME: Final = 64
LONGEST_VALUE: Final = 64
LONGEST_REMAINING: Final = 2**31 - 1
"""Seconds; the protocol's field is 32 bits wide."""

_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_MOMENT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?([Zz]|[+-][0-9]{2}:[0-5][0-9])"
)


class InvalidReport(ValueError):
    """The report can't be used as it is; the text names the field and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Report:
    """One report. `at` is its own time in Unix seconds; values of metrics are decimal text as a status holds it."""

    at: float
    progress: int | None = None
    remaining: int | None = None
    metrics: tuple[tuple[str, str], ...] = ()

    def wire(self) -> dict[str, Any]:
        """The report as status.trainerStatus."""
        document: dict[str, Any] = {"lastUpdatedTime": moment(self.at)}
        if self.progress is not None:
            document["progressPercentage"] = self.progress
        if self.remaining is not None:
            document["estimatedRemainingSeconds"] = self.remaining
        if self.metrics:
            document["metrics"] = [{"name": name, "value": value} for name, value in self.metrics]
        return document


def parse_report(body: bytes, now: float) -> Report | None:
    """The report in a request's body; None where the body asks for nothing. Raises InvalidReport."""
    if not body.strip():
        return None
    document = _decode(body)
    if not isinstance(document, dict):
        raise InvalidReport("the body must be a JSON object with the field trainerStatus")
    status = document.get("trainerStatus")
    if status is None:
        return None
    if not isinstance(status, dict):
        raise InvalidReport("trainerStatus must be an object")
    return _report(status, now)


def report_of(document: Any) -> Report | None:
    """The report that a status holds already; None where there is none that can be read."""
    try:
        return _report(document, math.inf) if isinstance(document, dict) else None
    except InvalidReport:
        return None


def moment(seconds: float) -> str:
    """Unix seconds as RFC 3339 in UTC, whole seconds: metav1.Time has no others."""
    return datetime.fromtimestamp(math.floor(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _report(status: Mapping[str, Any], now: float) -> Report:
    return Report(
        at=_time(status.get("lastUpdatedTime"), now),
        progress=_whole(status, "progressPercentage", 100),
        remaining=_whole(status, "estimatedRemainingSeconds", LONGEST_REMAINING),
        metrics=tuple(_metrics(status.get("metrics"))),
    )


def _decode(body: bytes) -> Any:
    try:
        return json.loads(body.decode(), parse_constant=_refuse_constant)
    except InvalidReport:
        raise
    except UnicodeDecodeError:
        raise InvalidReport("the body is not UTF-8") from None
    except RecursionError:
        raise InvalidReport("the body is nested too deeply") from None
    except ValueError as error:
        raise InvalidReport(f"the body is not JSON: {error}") from None


def _refuse_constant(name: str) -> float:
    raise InvalidReport(f"the body is not JSON: {name} is not a number of JSON")


def _whole(status: Mapping[str, Any], field: str, most: int) -> int | None:
    value = status.get(field)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise InvalidReport(f"trainerStatus.{field} must be a whole number from 0 to {most}")
    return value


def _time(value: Any, now: float) -> float:
    found = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidReport(
            "trainerStatus.lastUpdatedTime is required: an RFC 3339 time such as 2026-06-12T03:00:00Z"
        )
    clock, fraction, zone = found.groups()
    micros = (fraction or "")[:6].ljust(6, "0")
    try:
        at = datetime.fromisoformat(f"{clock.upper()}.{micros}{'+00:00' if zone in 'Zz' else zone}")
    except ValueError:
        raise InvalidReport(f"trainerStatus.lastUpdatedTime: {value} is no time of any calendar") from None
    seconds = (at - EARLIEST).total_seconds() + EARLIEST.timestamp()
    if seconds < EARLIEST.timestamp():
        raise InvalidReport(f"trainerStatus.lastUpdatedTime: {value} is before the year 2000")
    if seconds > now + CLOCK_SLACK_SECONDS:  # it would make all honest reports after it look old
        raise InvalidReport(
            f"trainerStatus.lastUpdatedTime: {value} is more than {CLOCK_SLACK_SECONDS:.0f} s ahead of the "
            "operator's clock: correct the clock of the pod's node"
        )
    return seconds


def _metrics(value: Any) -> Iterable[tuple[str, str]]:
    if value is None:
        return
    if not isinstance(value, list):
        raise InvalidReport("trainerStatus.metrics must be a list")
    if len(value) > MOST_METRICS:
        raise InvalidReport(
            f"trainerStatus.metrics has {len(value)} entries, {MOST_METRICS} at most are allowed"
        )
    seen: set[str] = set()
    for index, metric in enumerate(value):
        place = f"trainerStatus.metrics[{index}]"
        if not isinstance(metric, dict):
            raise InvalidReport(f"{place} must be an object with name and value")
        name = _name(metric.get("name"), place)
        if name in seen:
            raise InvalidReport(f"{place}.name: {name} is there twice")
        seen.add(name)
        yield name, _value(metric.get("value"), place)


def _name(name: Any, place: str) -> str:
    if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_NAME:
        raise InvalidReport(f"{place}.name must be text of 1 to {LONGEST_NAME} characters")
    if not name.isprintable():  # control characters, and halves of characters that no encoding has
        raise InvalidReport(f"{place}.name has characters that can't be printed")
    return name


def _value(value: Any, place: str) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_VALUE or not _NUMBER.fullmatch(value):
        shown = value if isinstance(value, str) and value.isprintable() else type(value).__name__
        raise InvalidReport(
            f"{place}.value must be text that holds a finite decimal number, of at most {LONGEST_VALUE} "
            f'characters, such as "0.15"; it is {shown[:LONGEST_VALUE]}'
        )
    number = float(value)
    if not math.isfinite(number):
        raise InvalidReport(f"{place}.value: {value} is beyond the range of numbers")
    return value if is_decimal(value) else repr(number)
