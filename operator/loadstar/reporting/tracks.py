"""What is known of one attempt's progress: the newest report, and every metric's course. Pure."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from loadstar.api.curves import MOST_POINTS, Curves
from loadstar.reporting.payload import MOST_METRICS, Report, report_of
from loadstar.reporting.series import POINTS_OF_A_JOB, Point, Series

CURVES_KEY: Final = "curves.json"
CURVES_VERSION: Final = 1
_STEPS: Final = ("step", "global_step", "current_step")
"""Metrics that tell how far training is: they become the points' steps."""
_DIGITS: Final = 3
"""Decimals of a point's time."""


@dataclass(slots=True)
class Track:
    """One attempt of one job. Reports may come in any order, twice, or late; the newest by its own time stands."""

    uid: str
    attempt: int
    report: Report | None = None
    series: dict[str, Series] = field(default_factory=dict)
    config_map: str | None = None
    """Where the points are, once they were written."""
    curves_unsaved: bool = False
    earlier_unread: bool = False
    """Whether points are saved that are not in `series`: an earlier operator's."""
    ended: bool = False
    """Whether what was known at the attempt's end was hurried out."""

    @classmethod
    def resumed(cls, uid: str, attempt: int, reported: Mapping[str, Any]) -> "Track":
        """A track that goes on from what the status says already, where that is of the same attempt."""
        track = cls(uid, attempt)
        curves = reported.get("curves") or {}
        if curves.get("attempt") != attempt:
            return track
        track.report = report_of(reported.get("trainerStatus"))
        track.config_map = curves.get("configMap")
        track.earlier_unread = track.config_map is not None
        for metric in curves.get("metrics") or ():
            name, latest = metric["name"], metric["latest"]
            track.series[name] = Series(name, latest, metric.get("min", latest), metric.get("max", latest))
        return track

    def take(self, report: Report) -> bool:
        """Take a report in; False where one with a later time is there already, and nothing changes."""
        if self.report is not None and report.at < self.report.at:
            return False
        self.report = report
        step = _step(report.metrics)
        for name, value in report.metrics:
            if one := self._series(name):
                one.add(report.at, step, value, self._capacity)
                self.curves_unsaved = True
        return True

    def complete(self, curves: Curves) -> None:
        """Take in the whole course as the trainer tells it at the end, in place of what reports told of it."""
        followed = {name: one for name in curves if (one := self._series(name))}
        for name, one in followed.items():
            one.replace(curves[name], self._capacity)
            self.curves_unsaved = True

    def status(self) -> dict[str, Any]:
        """The share of the job's status that progress owns."""
        told = {} if self.report is None else {"trainerStatus": self.report.wire()}
        return {**told, "curves": self._curves()} if told or self.series else {}

    def document(self) -> str:
        """The points of all metrics, as the ConfigMap holds them."""
        metrics = {name: [_point(point) for point in one.points] for name, one in self.series.items()}
        body = {"version": CURVES_VERSION, "attempt": self.attempt, "metrics": metrics}
        return json.dumps(body, separators=(",", ":"), ensure_ascii=False)

    def precede(self, document: str) -> None:
        """Go on from the points that an earlier operator saved, where they are of the same attempt and readable."""
        for name, points in _saved(document, self.attempt).items():
            if name in self.series:
                self.series[name].precede(points, self._capacity)

    def _series(self, name: str) -> Series | None:
        """The metric's; None where too many are followed already."""
        if name not in self.series and len(self.series) < MOST_METRICS:
            self.series[name] = Series(name)
        return self.series.get(name)

    @property
    def _capacity(self) -> int:
        """Points per metric: the more metrics, the fewer, so that all fit into one object."""
        return min(MOST_POINTS, POINTS_OF_A_JOB // max(len(self.series), 1))

    def _curves(self) -> dict[str, Any]:
        metrics = []
        for name, one in self.series.items():
            best = {"best": one.best} if one.best is not None else {}
            metrics.append(
                {"name": name, "latest": one.latest, **best, "min": one.least, "max": one.greatest}
            )
        curves: dict[str, Any] = {"attempt": self.attempt}
        if self.config_map:
            curves["configMap"] = self.config_map
            curves["points"] = max((len(one.points) for one in self.series.values()), default=0)
        if metrics:
            curves["metrics"] = metrics
        return curves


def _step(metrics: Iterable[tuple[str, str]]) -> float | None:
    return next((float(value) for name, value in metrics if name in _STEPS), None)


def _point(point: Point) -> list[float]:
    at, step, value = point
    return [round(at, _DIGITS), value] if step is None else [round(at, _DIGITS), step, value]


def _saved(document: str, attempt: int) -> dict[str, list[Point]]:
    """The points in a ConfigMap. Anybody may have edited it: what can't be read is as if it were not there."""
    try:
        body = json.loads(document)
        if body["version"] != CURVES_VERSION or body["attempt"] != attempt:
            return {}
        return {name: [_read(point) for point in points] for name, points in body["metrics"].items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _read(point: Any) -> Point:
    at, *step, value = map(float, point)
    return at, step[0] if step else None, value
