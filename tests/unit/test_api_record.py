"""The final record, read from a termination message that anything may stand in."""

import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstar.api.record import ErrorRecord, FinalRecord, parse_posted, parse_record
from loadstar.api.status import TrainingJobStatus

CONTRACTS = Path(__file__).parents[1] / "contract" / "fixtures"
CONTRACT = json.loads((CONTRACTS / "records.json").read_text())
REFUSED = json.loads((CONTRACTS / "refused-records.json").read_text())
NOW = 1_781_233_200.0
GOOD: dict[str, Any] = CONTRACT[0]["record"]
FAILED: dict[str, Any] = CONTRACT[2]["record"]
FULL: dict[str, Any] = CONTRACT[3]["record"]
PROGRAM: dict[str, Any] = CONTRACT[4]["record"]
EXTRAS = (
    "checkpoint",
    "resumedFrom",
    "model",
    "confusionMatrix",
    "importance",
    "quantized",
    "crossValidation",
    "initialWeights",
)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def _final(**changes: Any) -> FinalRecord | ErrorRecord | None:
    return parse_record(json.dumps(GOOD | changes))


def _wire(record: FinalRecord) -> Any:
    """status.result as JSON."""
    return TrainingJobStatus(result=record.result()).wire()["result"]


@pytest.mark.parametrize("case", CONTRACT, ids=lambda case: case["name"])
def test_the_records_of_the_contract_are_read(case: dict[str, Any]) -> None:
    record = parse_record(json.dumps(case["record"]))
    assert record is not None
    assert (record.job_uid, record.attempt) == (case["record"]["jobUid"], case["record"]["attempt"])


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["name"])
def test_the_refused_records_of_the_contract_are_none(case: dict[str, Any]) -> None:
    assert _final(**case["change"]) is None


def test_a_record_becomes_a_result_that_status_holds() -> None:
    record = _final()
    assert isinstance(record, FinalRecord)
    wire = TrainingJobStatus(result=record.result(), accuracy=record.accuracy).wire()
    assert wire["accuracy"] == GOOD["accuracy"]
    assert wire["result"]["metrics"] == GOOD["metrics"]
    assert wire["result"]["durationSeconds"] == "3.2"


def test_all_that_a_record_tells_besides_is_in_the_result() -> None:
    record = parse_record(json.dumps(FULL))
    assert isinstance(record, FinalRecord)
    wire = _wire(record)
    assert {name: wire[name] for name in EXTRAS} == {name: FULL[name] for name in EXTRAS}


@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize("garbage", ["x", -1, [], {}, [[1], [2]], {"path": 7}, [{"name": "a"}]], ids=str)
def test_what_is_not_understood_of_an_extra_costs_that_extra_alone(extra: str, garbage: Any) -> None:
    record = parse_record(json.dumps(FULL | {extra: garbage}))
    assert isinstance(record, FinalRecord)
    wire = _wire(record)
    assert extra not in wire
    assert {name for name in EXTRAS if name in wire} == {*EXTRAS} - {extra}
    assert wire["metrics"] == FULL["metrics"]


def test_a_program_tells_metrics_alone() -> None:
    record = parse_record(json.dumps(PROGRAM))
    assert isinstance(record, FinalRecord)
    assert _wire(record) == {"metrics": PROGRAM["metrics"], "worldSize": 2}
    assert record.share == "0.97"


def test_a_number_that_no_decimal_can_hold_is_told_as_one_that_can() -> None:
    record = parse_record(json.dumps(PROGRAM | {"accuracy": "0E99999999999999999999"}))
    assert isinstance(record, FinalRecord)
    assert record.share == "0.0"


def test_a_program_that_counts_in_percent_keeps_its_metrics() -> None:
    record = parse_record(json.dumps(PROGRAM | {"accuracy": "97.0"}))
    assert isinstance(record, FinalRecord)
    assert (record.share, len(record.metrics)) == (None, 2)


@pytest.mark.parametrize(("size", "known"), [(60_000, True), (70_000, False)])
def test_a_record_that_is_sent_may_be_larger_than_one_that_is_left(size: int, known: bool) -> None:
    body = json.dumps(FULL | {"padding": "x" * size})
    assert parse_record(body) is None
    assert (parse_posted(body.encode(), NOW) is not None) is known


@given(st.binary())
def test_no_bytes_that_are_sent_raise(body: bytes) -> None:
    assert parse_posted(body, NOW) is None or b"jobUid" in body


def _curves(curves: Any, **record: Any) -> Any:
    """What is read of a course that was sent; the record counts in any case."""
    posted = parse_posted(json.dumps({**(record or GOOD), "curves": curves}).encode(), NOW)
    assert posted is not None
    assert posted.record == parse_record(json.dumps(record or GOOD))
    return posted.curves


def test_a_course_is_read_beside_the_record_of_an_end_or_an_error() -> None:
    course = {"loss": [[NOW - 1, 4, 0.5], [NOW - 1, 8, 1], [NOW + 600, 2, -1e-40]]}
    read = {"loss": ((NOW - 1, 4.0, 0.5), (NOW - 1, 8.0, 1.0), (NOW + 600, 2.0, -1e-40))}
    assert _curves(course) == _curves(course, **FAILED) == read


def test_the_largest_course_is_read() -> None:
    points = [[NOW, step, 1] for step in range(200)]
    assert len(_curves({"loss": points})["loss"]) == 200
    assert len(_curves({f"{number:064}": [[NOW, 1, 1]] for number in range(256)})) == 256


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        "loss",
        {"": [[NOW, 1, 1]]},
        {"m" * 65: [[NOW, 1, 1]]},
        {"lo\x1bss": [[NOW, 1, 1]]},
        {f"m{number}": [[NOW, 1, 1]] for number in range(257)},
        {"loss": None},
        {"loss": []},
        {"loss": [[NOW, 1, 1]] * 201},
        {"loss": {"0": [NOW, 1, 1]}},
        {"loss": [[NOW, 1]]},
        {"loss": [[NOW, 1, 1, 1]]},
        {"loss": [[NOW, 1, "1"]]},
        {"loss": [[NOW, 1, True]]},
        {"loss": [[NOW, None, 1]]},
        {"loss": [[NOW, -1, 1]]},
        {"loss": [[NOW, 1, 10**400]]},
        {"loss": [[NOW, 1, 1], [NOW - 1, 2, 1]]},
        {"loss": [[NOW + 601, 1, 1]]},
        {"loss": [[0, 1, 1]]},
    ],
    ids=lambda wrong: json.dumps(wrong)[:40],
)
def test_of_a_course_that_is_wrong_anywhere_nothing_is_kept_but_the_record_counts(wrong: Any) -> None:
    assert _curves(wrong) == {}
    if isinstance(wrong, dict):
        assert _curves({"accuracy": [[NOW, 1, 1]], **wrong}) == {}


def test_a_number_beyond_the_range_spoils_a_course() -> None:
    body = json.dumps(GOOD | {"curves": {"loss": [[NOW, 1, 77]]}}).replace("77", "1e999")
    posted = parse_posted(body.encode(), NOW)
    assert posted is not None
    assert posted.curves == {}


def test_an_error_has_its_reason_and_sentence() -> None:
    record = parse_record(json.dumps(FAILED))
    assert isinstance(record, ErrorRecord)
    assert record.error.reason == "InvalidDataset"
    assert record.error.message == FAILED["error"]["message"]


def test_a_field_of_a_later_trainer_does_not_spoil_the_record() -> None:
    assert isinstance(_final(peakMemory="12Gi"), FinalRecord)


@pytest.mark.parametrize("value", ["NaN", "inf", "1e999", "", "0x1", "1,5", " 1", "1\n", 0.5, None, True])
def test_a_metric_that_is_no_finite_decimal_text_spoils_the_record(value: Any) -> None:
    assert _final(metrics=[{"name": "loss", "value": value}]) is None


@pytest.mark.parametrize("name", ["", "1st", "a b", "ünit", "x" * 64, "a\x1b[31m"])
def test_a_metric_that_is_no_name_spoils_the_record(name: str) -> None:
    assert _final(metrics=[{"name": name, "value": "1"}]) is None


@pytest.mark.parametrize("accuracy", ["1.01", "-0.1", "nan", 0.5])
def test_an_accuracy_that_is_no_share_spoils_the_record(accuracy: Any) -> None:
    assert _final(accuracy=accuracy) is None


@pytest.mark.parametrize("missing", [name for name in GOOD if name != "accuracy"])
def test_a_record_that_lacks_a_field_is_none(missing: str) -> None:
    assert parse_record(json.dumps({name: value for name, value in GOOD.items() if name != missing})) is None


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_a_record_of_another_version_is_none(version: Any) -> None:
    assert _final(version=version) is None


@pytest.mark.parametrize("duration", ["NaN", "Infinity", "-1"])
def test_a_duration_that_is_no_time_spoils_the_record(duration: str) -> None:
    text = json.dumps(GOOD).replace("3.2", duration)
    assert parse_record(text) is None


@pytest.mark.parametrize(
    "message", [None, "", "Traceback (most recent call last):", "\x00\xff", "[]", "1", "null"]
)
def test_a_message_that_is_no_record_is_none(message: str | None) -> None:
    assert parse_record(message) is None


@pytest.mark.parametrize("message", ["[" * 16_000, '{"a":' * 3_000, "9" * 16_000, " " * 20_000, "\ud800" * 9])
def test_a_message_made_to_break_the_reader_is_none(message: str) -> None:
    assert parse_record(message) is None


def test_a_record_cut_off_by_the_kubelet_is_none() -> None:
    text = json.dumps(GOOD)
    assert all(parse_record(text[:length]) is None for length in range(len(text)))


def test_a_record_larger_than_a_kubelet_keeps_is_none() -> None:
    assert _final(padding="x" * 20_000) is None


def test_an_error_message_is_one_line_without_control_characters() -> None:
    message = "a\x1b[31mb\nc\u2028d\x00" + "e" * 5000
    record = parse_record(json.dumps(FAILED | {"error": {"reason": "Broken", "message": message}}))
    assert isinstance(record, ErrorRecord)
    assert record.error.message.startswith("a [31mb c d e")
    assert len(record.error.message.encode()) <= 1024


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_survives_exactly(number: float) -> None:
    for text in (repr(number), f"{Decimal(repr(number)):f}"):
        record = _final(metrics=[{"name": "loss", "value": text}])
        assert isinstance(record, FinalRecord)
        assert float(record.result().metrics[0].value) == number


@given(st.text() | st.binary().map(lambda data: data.decode(errors="replace")) | anything.map(json.dumps))
def test_no_message_raises(message: str) -> None:
    parse_record(message)


@given(st.dictionaries(st.sampled_from([*FULL, "error"]), anything, min_size=1))
def test_no_record_with_anything_in_its_fields_raises(changes: dict[str, Any]) -> None:
    record = parse_record(json.dumps(FULL | changes))
    if isinstance(record, FinalRecord):
        wire = TrainingJobStatus(result=record.result(), accuracy=record.share).wire()
        assert TrainingJobStatus.model_validate(wire).wire() == wire
        assert all(math.isfinite(float(metric.value)) for metric in record.metrics)


@given(st.dictionaries(st.sampled_from(["reason", "message"]), anything))
def test_no_error_with_anything_in_its_fields_raises(error: dict[str, Any]) -> None:
    parse_record(json.dumps(FAILED | {"error": error}))
