"""The operator reads the fixtures that the trainer's tests hold to be what it writes."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadstar.api.record import ErrorRecord, FinalRecord, parse_posted, parse_record
from loadstar.reporting.payload import parse_report

FIXTURES = Path(__file__).parent / "fixtures"
NOW = datetime(2026, 6, 12, 3, 0, 10, tzinfo=UTC).timestamp()


def _final(name: str) -> tuple[FinalRecord, dict[str, Any]]:
    text = (FIXTURES / name).read_text()
    read = parse_record(text)
    assert isinstance(read, FinalRecord)
    return read, json.loads(text)


def test_a_whole_record_arrives_whole() -> None:
    read, written = _final("record_whole.json")
    document = read.model_dump(by_alias=True, exclude_none=True, mode="json")
    assert document == written | {"durationSeconds": document["durationSeconds"]}


def test_the_course_arrives_whole_beside_the_record() -> None:
    body = (FIXTURES / "record_with_curves.json").read_bytes()
    posted = parse_posted(body, NOW)
    assert posted is not None
    assert posted.record == _final("record_whole.json")[0]
    told = {name: [list(point) for point in points] for name, points in posted.curves.items()}
    assert told == json.loads(body)["curves"]
    assert [len(points) for points in told.values()] == [3, 3, 3]


def test_ones_own_program_needs_no_more_than_metrics() -> None:
    read, written = _final("record_own_program.json")
    assert [(metric.name, metric.value) for metric in read.metrics] == [("accuracy", "97.0"), ("loss", "0.1")]
    assert read.world_size == written["worldSize"]


def test_a_failure_says_why() -> None:
    read = parse_record((FIXTURES / "record_failure.json").read_text())
    assert isinstance(read, ErrorRecord)
    assert read.error.reason == "InvalidDataset"


def test_progress_arrives_as_it_was_told() -> None:
    for name, percent in (("progress_epoch.json", 45), ("progress_end.json", 100)):
        report = parse_report((FIXTURES / name).read_bytes(), NOW)
        assert report is not None
        written = json.loads((FIXTURES / name).read_text())["trainerStatus"]
        assert (report.progress, report.remaining) == (percent, written["estimatedRemainingSeconds"])
        assert [{"name": name, "value": value} for name, value in report.metrics] == written["metrics"]
