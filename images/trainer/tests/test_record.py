"""The final record: what is in it, what is left out of it first, and the fixtures that the operator reads."""

import dataclasses
import json
from typing import Any

import pytest
from written import FIXTURES, JOB, WHOLE, documents

from loadstar_trainer import record
from loadstar_trainer.record import OPTIONAL, Extras


@pytest.mark.parametrize("name", documents())
def test_the_fixtures_are_what_the_trainer_writes(name: str) -> None:
    assert json.loads((FIXTURES / name).read_text()) == documents()[name]


def test_every_number_of_a_record_reads_back_exactly() -> None:
    read = json.loads(record.encode(record.of_result(JOB, WHOLE)))
    assert {metric["name"]: float(metric["value"]) for metric in read["metrics"]} == WHOLE.metrics
    assert float(read["accuracy"]) == WHOLE.metrics["accuracy"]
    assert all(len(metric["value"]) <= 32 for metric in read["metrics"])


def test_what_a_run_has_not_is_not_in_its_record() -> None:
    plain = record.of_result(JOB, dataclasses.replace(WHOLE, extras=Extras()))
    assert not set(OPTIONAL) & plain.keys()
    assert list(record.of_result(JOB, WHOLE))[-len(OPTIONAL) :] == list(OPTIONAL)


def encoded(**extras: Any) -> dict[str, Any]:
    """The record as the termination message has it."""
    large = dataclasses.replace(WHOLE, extras=dataclasses.replace(WHOLE.extras, **extras))
    message = record.encode(record.of_result(JOB, large))
    assert len(message) <= record.LIMIT
    read: dict[str, Any] = json.loads(message)
    return read


def test_a_matrix_that_does_not_fit_goes_with_all_that_is_missed_less() -> None:
    kept = encoded(confusion=tuple(tuple(range(60)) for _ in range(60)))
    assert [name for name in OPTIONAL if name in kept] == ["checkpoint", "resumedFrom", "model"]


def test_many_columns_leave_the_matrix_in_place() -> None:
    kept = encoded(importance={f"column {number}": number / 7 for number in range(200)})
    assert kept["confusionMatrix"] == [list(row) for row in WHOLE.extras.confusion]
    assert "importance" not in kept


def test_the_endpoint_gets_a_matrix_of_a_hundred_classes_and_no_larger_one() -> None:
    def posted(classes: int) -> dict[str, Any]:
        matrix = tuple(tuple(range(classes)) for _ in range(classes))
        extras = dataclasses.replace(WHOLE.extras, confusion=matrix)
        whole = record.of_result(JOB, dataclasses.replace(WHOLE, extras=extras))
        read: dict[str, Any] = json.loads(record.encode(whole, record.LARGEST))
        return read

    assert len(posted(100)["confusionMatrix"]) == 100
    assert "confusionMatrix" not in posted(101)
