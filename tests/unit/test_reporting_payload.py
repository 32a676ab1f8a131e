"""Reports as they come over the wire. The cases are shared with the trainer: tests/contract/fixtures/progress.json."""

import json
import math
import re
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadstar.api.progress import TrainerStatus
from loadstar.reporting.payload import InvalidReport, moment, parse_report

_CASES: Final = json.loads(
    (Path(__file__).parents[1] / "contract" / "fixtures" / "progress.json").read_text()
)
_NOW: Final = datetime.fromisoformat(_CASES["now"]).timestamp()
_LINES: Final = st.text(alphabet=st.characters(codec="utf-8"), max_size=80)
_VALUES: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | _LINES
    | st.sampled_from(["0.5", "1e-5", "nan", "1e400"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_LINES, inner, max_size=4),
    max_leaves=8,
)
_METRICS: Final = st.lists(
    st.fixed_dictionaries({}, optional={"name": _VALUES, "value": _VALUES}) | _VALUES, max_size=4
)
_STATUSES: Final = st.fixed_dictionaries(
    {},
    optional={
        "lastUpdatedTime": st.just("2026-06-12T03:00:00Z")
        | st.datetimes().map(lambda it: f"{it.isoformat()}Z")
        | _VALUES,
        "progressPercentage": st.integers(-1, 101) | _VALUES,
        "estimatedRemainingSeconds": _VALUES,
        "metrics": _METRICS | _VALUES,
    },
)


def _body(case: dict[str, Any]) -> bytes:
    return str(case["body"]).encode()


@pytest.mark.parametrize("case", _CASES["accepted"], ids=lambda case: case["name"])
def test_an_honest_report_becomes_this_status(case: dict[str, Any]) -> None:
    report = parse_report(_body(case), _NOW)
    assert (report.wire() if report else None) == case["status"]


@pytest.mark.parametrize("case", _CASES["refused"], ids=lambda case: case["name"])
def test_a_bad_report_is_refused_with_the_reason(case: dict[str, Any]) -> None:
    with pytest.raises(InvalidReport, match=re.escape(case["reason"])):
        parse_report(_body(case), _NOW)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xff\xfe{}", "not UTF-8"),
        (b"[" * 60_000, "nested too deeply"),
        (b'{"trainerStatus": {"progressPercentage": ' + b"1" * 5000 + b"}}", "not JSON"),
    ],
)
def test_what_no_text_file_can_hold_is_refused_too(body: bytes, reason: str) -> None:
    with pytest.raises(InvalidReport, match=reason):
        parse_report(body, _NOW)


def test_a_clock_may_be_ahead_by_the_slack_and_no_more() -> None:
    def body(seconds: float) -> bytes:
        return json.dumps({"trainerStatus": {"lastUpdatedTime": moment(_NOW + seconds)}}).encode()

    assert parse_report(body(600), _NOW) is not None
    with pytest.raises(InvalidReport, match="correct the clock"):
        parse_report(body(601), _NOW)


def _check(body: bytes) -> None:
    """Whatever comes in: a report that a status can hold, nothing, or a refusal that says why."""
    try:
        report = parse_report(body, _NOW)
    except InvalidReport as refused:
        str(refused).encode()  # it goes into an answer
        return
    if report is not None:
        TrainerStatus.model_validate(report.wire())
        assert all(math.isfinite(float(value)) for _, value in report.metrics)
        assert report.at <= _NOW + 600


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_crash_the_parser(body: bytes) -> None:
    _check(body)


@settings(deadline=None)
@given(_VALUES)
def test_no_json_crashes_the_parser(value: Any) -> None:
    _check(json.dumps(value).encode())


@settings(deadline=None)
@given(_STATUSES)
def test_nothing_is_accepted_that_a_status_can_not_hold(status: dict[str, Any]) -> None:
    _check(json.dumps({"trainerStatus": status}).encode())


@settings(deadline=None)
@given(st.sampled_from(_CASES["accepted"] + _CASES["refused"]), st.data())
def test_no_damage_to_a_report_crashes_the_parser(case: dict[str, Any], data: st.DataObject) -> None:
    body = bytearray(_body(case) or b"{}")
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    _check(bytes(body))
