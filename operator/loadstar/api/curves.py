"""The course of a run, epoch by epoch, as its trainer sends it beside the final record.

It comes out of a container that runs a user's image, and half a course would look like a whole one: so it is right in
every part, or there is none.
"""

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from loadstar.api.progress import LONGEST_REPORTED_NAME, MOST_REPORTED

MOST_POINTS = 200
"""Of one metric: more can't be told apart in a plot."""
CLOCK_SLACK_SECONDS = 600.0
"""How far a pod's clock may be ahead of ours."""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""No program reports from before: its clock is wrong."""

Point = tuple[float, float, float]
"""Unix seconds, step, value."""
Curves = Mapping[str, tuple[Point, ...]]
"""By metric; at least one point of each, in the order of time."""


def parse_curves(document: Any, now: float) -> Curves:
    """The course in decoded JSON; empty where there is none, or anything about it is wrong. Never raises."""
    if not isinstance(document, dict) or len(document) > MOST_REPORTED:
        return {}
    try:
        return {_name(name): tuple(_points(points, now)) for name, points in document.items()}
    except (ValueError, OverflowError):
        return {}


def _name(name: str) -> str:
    if not 1 <= len(name) <= LONGEST_REPORTED_NAME or not name.isprintable():
        raise ValueError("no name of a metric")
    return name


def _points(points: Any, now: float) -> Iterator[Point]:
    if not isinstance(points, list) or not 1 <= len(points) <= MOST_POINTS:
        raise ValueError("no list of points")
    least = EARLIEST.timestamp()
    for point in points:
        if not isinstance(point, list) or len(point) != 3:
            raise ValueError("no point")
        at, step, value = map(_number, point)
        if not least <= at <= now + CLOCK_SLACK_SECONDS or step < 0:
            raise ValueError("no time, or one out of order; or no step")
        least = at
        yield at, step, value


def _number(value: Any) -> float:
    """Raises OverflowError where it is a whole number beyond the range of floats."""
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError("no finite number")
    return float(value)
