"""Numbers and times between the core's floats and a status's text."""

from datetime import UTC, datetime
from typing import overload

from loadstar.api.schema import LONGEST_DECIMAL

DIGITS = 4
"""Decimals of loads and scores in status: finer than any metric behind them."""


@overload
def decimal(value: float) -> str: ...
@overload
def decimal(value: float | None) -> str | None: ...
def decimal(value: float | None) -> str | None:
    """The number as a DecimalString."""
    if value is None:
        return None
    text = f"{round(value, DIGITS) + 0.0:.{DIGITS}f}"
    return (
        text if len(text) <= LONGEST_DECIMAL else repr(value)
    )  # what nobody measures, but a status may hold


@overload
def number(text: str) -> float: ...
@overload
def number(text: str | None) -> float | None: ...
def number(text: str | None) -> float | None:
    """The number that a DecimalString is."""
    return None if text is None else float(text)


@overload
def moment(seconds: float) -> datetime: ...
@overload
def moment(seconds: float | None) -> datetime | None: ...
def moment(seconds: float | None) -> datetime | None:
    """Unix seconds as a time in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


@overload
def seconds_of(at: datetime) -> float: ...
@overload
def seconds_of(at: datetime | None) -> float | None: ...
def seconds_of(at: datetime | None) -> float | None:
    """A time as Unix seconds."""
    return None if at is None else at.timestamp()
