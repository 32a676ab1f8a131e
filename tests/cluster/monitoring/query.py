"""Answers of Prometheus' query API, for the harness and its tests."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.cluster.steps import StepFailed

_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Point:
    """One series of an instant query's answer."""

    labels: dict[str, str]
    value: float


def query_path(expression: str) -> str:
    """Path and query string that ask Prometheus for `expression` now."""
    return f"/api/v1/query?{urlencode({'query': expression})}"


def points(answer: dict[str, Any]) -> list[Point]:
    """The series of an instant query's answer."""
    return [Point(one["metric"], float(one["value"][1])) for one in answer["data"]["result"]]


def wait_until(what: str, condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Return when `condition` holds; raises StepFailed, which says what did not come about, after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise StepFailed(f"Prometheus: {what}: not so after {seconds:.0f} s")
        time.sleep(_POLL_SECONDS)
