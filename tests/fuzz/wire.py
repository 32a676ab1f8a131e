"""What must hold of what was accepted, beside what was written: the strict view of each kind of document."""

import json
import re
from decimal import Decimal
from typing import Any

from loadstar.api.curves import Curves
from loadstar.api.record import ErrorRecord, FinalRecord
from loadstar.api.status import TrainingJobStatus
from loadstar.reporting.payload import Report
from tests.fuzz import strict
from tests.fuzz.strict import LARGEST, require

_TOLD_TOGETHER = ("seed", "dataHash", "device", "backend", "torch", "samples", "epochs", "durationSeconds")
_DECIMALS = frozenset(
    {"value", "accuracy", "load", "forecast", "band", "score", "latest", "best", "min", "max"}
)
_DECIMALS_SAID = _DECIMALS | {"durationSeconds"}
_TIMES = frozenset(
    {"startTime", "completionTime", "decidedAt", "finishedAt", "lastTransitionTime", "lastUpdatedTime"}
)
_PHASES = ("Pending", "Queued", "Starting", "Running", "Restarting", "Suspended", "Succeeded", "Failed")
_LARGEST_STORED = 2**63 - 1
LARGEST_FLOAT = 2**1024 - 2**970
_SIGNED = frozenset({"exitCode"})
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")

_BEGINNING = re.compile(f"(?=({_NUMBER.pattern}))")


def record(read: FinalRecord | ErrorRecord, written: Any) -> None:
    """A final record: whose it is, and that it is an end or an error in every part."""
    require(isinstance(written, dict), "the record is no object")
    strict.whole(written.get("version"), 1, 1, "version")
    require(read.job_uid == strict.text(written.get("jobUid"), 1, 64, "jobUid"), "the uid is another")
    require(
        read.attempt == strict.whole(written.get("attempt"), 1, LARGEST, "attempt"), "the attempt is another"
    )
    if isinstance(read, ErrorRecord):
        _error(read, written)
    else:
        require("error" not in written, "an error was taken for an end")
        _final(read, written)


def _error(read: ErrorRecord, written: Any) -> None:
    reason = strict.text(written["error"]["reason"], 1, 128, "reason")
    require(reason.isascii() and reason[0].isalpha() and reason == read.error.reason, f"reason is {reason!r}")
    require(isinstance(written["error"]["message"], str), "the message is no text")
    strict.shown(read.error.message, 1024, "message")
    require(len(read.error.message.encode()) <= 1024, "the message is too long")


def _final(read: FinalRecord, written: dict[str, Any]) -> None:
    strict.whole(written.get("worldSize"), 1, LARGEST, "worldSize")
    _metrics(read, written.get("metrics"))
    told = [name for name in _TOLD_TOGETHER if written.get(name) is not None]
    require(len(told) in (0, len(_TOLD_TOGETHER)), f"told is only {told}")
    if read.accuracy is not None:
        strict.same_number(read.accuracy, written.get("accuracy"), "accuracy")
        require(not told or 0 <= Decimal(read.accuracy) <= 1, f"accuracy is {read.accuracy}")
    require(read.share is None or 0 <= Decimal(read.share) <= 1, f"share is {read.share}")
    if told:
        _told(written)
    said = TrainingJobStatus(result=read.result(), accuracy=read.share).wire()
    status(said, {"result": {**written, "accuracy": None}, "accuracy": written.get("accuracy")})
    _matrix(said["result"].get("confusionMatrix"), written)
    json.dumps(said, allow_nan=False)


def _told(written: dict[str, Any]) -> None:
    for name in ("seed", "epochs"):
        strict.whole(written[name], 0, LARGEST, name)
    strict.digest(written["dataHash"], "dataHash")
    for name in ("device", "backend", "torch"):
        strict.text(written[name], 0, 64, name)
    require(isinstance(written["samples"], dict) and len(written["samples"]) <= 8, "samples")
    for name, count in written["samples"].items():
        strict.whole(count, 0, LARGEST, f"samples.{name}")
    seconds = written["durationSeconds"]
    require(type(seconds) in (int, float) and 0 <= seconds < float("inf"), f"durationSeconds is {seconds!r}")


def _metrics(read: FinalRecord, written: Any) -> None:
    require(isinstance(written, list) and len(written) <= 256, "metrics are no list of 256 at most")
    names = [strict.metric_name(metric["name"], "a metric's name") for metric in written]
    require(len(set(names)) == len(names), "a metric is told twice")
    require(names == [metric.name for metric in read.metrics], "metrics have other names")
    for metric, one in zip(read.metrics, written, strict=True):
        strict.same_number(metric.value, one["value"], metric.name)


def _matrix(matrix: Any, written: dict[str, Any]) -> None:
    if matrix is not None:
        require(matrix == written["confusionMatrix"] and 1 <= len(matrix) <= 100, "the matrix is another")
        require(all(len(row) == len(matrix) for row in matrix), "the matrix is not square")


def curves(read: Curves, written: Any, now: float) -> None:
    """The course beside a record: all of what was written, or nothing; and nothing only where something is wrong."""
    if not read:
        require(not _is_course(written, now), "a course was overlooked")
        return
    require(_is_course(written, now), "a course was let through")
    told = {name: [list(point) for point in points] for name, points in read.items()}
    doubles = {
        name: [[float(number) for number in point] for point in points] for name, points in written.items()
    }
    require(told == doubles, "the course is another")  # a whole number beyond 2^53 is the double next to it
    json.dumps(told, allow_nan=False)


def _is_course(written: Any, now: float) -> bool:
    if not isinstance(written, dict) or not 1 <= len(written) <= 256:
        return False
    if not all(1 <= len(name) <= 64 and name.isprintable() for name in written):
        return False
    return all(isinstance(points, list) and _is_curve(points, now) for points in written.values())


def _is_curve(points: list[Any], now: float) -> bool:
    if not 1 <= len(points) <= 200 or not all(isinstance(point, list) for point in points):
        return False
    numbers = [number for point in points for number in point]
    if any(len(point) != 3 for point in points) or {*map(type, numbers)} - {int, float}:
        return False
    if not all(abs(number) < LARGEST_FLOAT for number in numbers):  # comparing is exact for whole numbers
        return False
    times, steps = [point[0] for point in points], [point[1] for point in points]
    return times == sorted(times) and times[0] >= 946684800 and times[-1] <= now + 600 and min(steps) >= 0


def report(read: Report, written: Any, now: float) -> None:
    """A progress report."""
    require(isinstance(written, dict), "trainerStatus is no object")
    for name, value, most in (
        ("progressPercentage", read.progress, 100),
        ("estimatedRemainingSeconds", read.remaining, 2**31 - 1),
    ):
        if value is None:
            require(written.get(name) is None, f"{name} was overlooked")
        else:
            require(value == strict.whole(written[name], 0, most, name), f"{name} is another")
    at = strict.moment(written.get("lastUpdatedTime"), "lastUpdatedTime")
    require(abs(at - read.at) < 1e-5, f"the time {written['lastUpdatedTime']} became {read.at}")
    require(946684800 <= read.at <= now + 600, f"the time is {written['lastUpdatedTime']}")
    metrics = written.get("metrics") or []
    require(isinstance(metrics, list) and len(metrics) == len(read.metrics) <= 256, "metrics are others")
    require(len({name for name, _ in read.metrics}) == len(metrics), "a metric is there twice")
    for (name, text), metric in zip(read.metrics, metrics, strict=True):
        require(name == strict.text(metric["name"], 1, 64, "a metric's name"), "a metric has another name")
        require(name.isprintable(), f"a metric's name is {name!r}")
        strict.text(metric["value"], 1, 64, name)
        require(_NUMBER.fullmatch(metric["value"]) is not None, f"{name} is {metric['value']!r}")
        strict.number(text, name)
        same = strict.same(text, metric["value"]) or float(text) == float(metric["value"])
        require(same, f"{name}: {metric['value']!r} became {text!r}")
    strict.plain(read.wire(), "the report told again")


def printed(metrics: tuple[tuple[str, str], ...], text: str | None) -> None:
    """Metrics out of a log: each is a name with a number that stands beside it in some line.

    Without `text` only what they are is judged: there are patterns that want the first digit of a number.
    """
    require(len(metrics) <= 256, f"{len(metrics)} metrics")
    require(len({name for name, _ in metrics}) == len(metrics), "a metric is there twice")
    lines = re.sub("\x1b\\[[0-9;?]*[ -/]*[@-~]", "", text).splitlines() if metrics and text else []
    for name, value in metrics:
        strict.metric_name(name, "a metric's name")
        strict.number(value, name)
        stands = text is None or any(_stands_in(name, value, line) for line in lines)
        require(stands, f"{name} is {value}, which nobody printed")


def _stands_in(name: str, value: str, line: str) -> bool:
    try:
        document = json.loads(line, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict) and name in document:
        found = document[name]
        if isinstance(found, str) and _NUMBER.fullmatch(found) and strict.same(value, found):
            return True
    return name in line and any(strict.same(value, token) for token in _tokens(line))


def _tokens(line: str) -> list[str]:
    """All numbers in a line, as long as they are, those that begin within others, too: patterns may want these."""
    return [found.group(1) for found in _BEGINNING.finditer(line)]


def status(said: Any, written: Any) -> None:
    """A status as it is told: nothing in it that was not there, decimals finite, counts counts, times times."""
    strict.plain(said, "status")
    require("phase" not in said or said["phase"] in _PHASES, f"phase is {said.get('phase')!r}")
    _subset(said, written, "status")


def _subset(said: dict[str, Any], written: Any, where: str) -> None:
    require(isinstance(written, dict), f"{where} was no object")
    for name, value in said.items():
        place = f"{where}.{name}"
        if isinstance(value, dict):
            _subset(value, written.get(name, {}), place)
        elif isinstance(value, list):
            _items(value, written.get(name, []), place)
        else:
            _leaf(name, value, written, place)


def _items(said: list[Any], written: Any, where: str) -> None:
    if not said:  # what it is where nothing of it was understood, too
        return
    require(isinstance(written, list) and len(said) == len(written), f"{where} has other items")
    for index, (one, other) in enumerate(zip(said, written, strict=True)):
        if isinstance(one, dict):
            _subset(one, other, f"{where}[{index}]")
        elif isinstance(one, list):
            _items(one, other, f"{where}[{index}]")
        elif isinstance(one, int):
            require(one == strict.whole(other, 0, _LARGEST_STORED, where), f"{where} has {other!r}")


def _leaf(name: str, value: Any, written: dict[str, Any], where: str) -> None:
    if ".trainerStatus." in where and isinstance(value, str) and name not in _TIMES:
        # Reports are judged by who writes and reads them: here they are text in Kubeflow's shape.
        require(value == written.get(name), f"{where} is another")
    elif name in _DECIMALS_SAID or where.rpartition(".")[0].endswith(".terms"):
        strict.number(value, where, 64)
    elif name in _TIMES:
        strict.moment(value, where)
    elif isinstance(value, int):
        least = -_LARGEST_STORED if name in _SIGNED else 0
        # A part that is told as 0 where nothing was said: counts of restarts.
        require(
            value == strict.whole(written.get(name, 0), least, _LARGEST_STORED, where), f"{where} is another"
        )
    elif value:  # a text of its own, or the default
        require(isinstance(written.get(name), str), f"{where} was {written.get(name)!r}")
