"""The final record: what is in it, what is left out of it first, and the fixtures that the operator reads."""

import dataclasses
import json
from itertools import pairwise
from typing import Any

import pytest
from written import FIXTURES, JOB, WHOLE, course, documents

from loadstar_trainer import record
from loadstar_trainer.curves import Curves
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


def long_course(epochs: int, metrics: int = 1) -> Curves:
    curves = Curves()
    for epoch in range(1, epochs + 1):
        curves.add(1e9 + epoch / 7, epoch, {f"metric{number}": epoch / 7 for number in range(metrics)})
    return curves


@pytest.mark.parametrize("epochs", [1, 2, 199, 200, 201, 1000, 12345])
def test_a_course_stays_within_bounds_and_reaches_from_the_first_epoch_to_the_last(epochs: int) -> None:
    [points] = long_course(epochs).document().values()
    assert min(epochs, 100) <= len(points) <= 200
    steps = [step for _, step, _ in points]
    assert (steps[0], steps[-1]) == (1, epochs)
    assert len({after - before for before, after in pairwise(steps[:-1])}) <= 1
    assert points == sorted(points)


def test_no_time_of_a_course_is_later_than_it_was_nor_before_the_one_before_it() -> None:
    curves = Curves()
    for at in (1000.0009, 999.0, 1000.0019):
        curves.add(at, 1, {"loss": 1.0})
    assert [at for at, _, _ in curves.document()["loss"]] == [1000.0, 1000.0, 1000.001]


def test_what_is_no_number_is_left_out_of_a_course() -> None:
    curves = Curves()
    curves.add(1e9, 1, {"loss": float("inf"), "accuracy": 0.5})
    assert curves.document() == {"accuracy": [[1e9, 1, 0.5]]}


@pytest.mark.parametrize(("metrics", "points"), [(5, 200), (20, 63), (256, 2)])
def test_a_course_is_thinned_until_it_fits_beside_the_rest(metrics: int, points: int) -> None:
    whole = record.of_result(JOB, WHOLE)
    sent = record.posted(whole, long_course(10_000, metrics))
    assert len(sent) <= record.LARGEST
    read = json.loads(sent)
    curves = read.pop("curves")
    assert read == whole
    assert len(curves) == metrics
    assert points / 2 <= len(curves["metric0"]) <= 200
    assert curves["metric0"][-1][1] == 10_000


def test_a_course_without_room_goes_before_anything_else_does() -> None:
    matrix = tuple(tuple(range(60_000, 60_100)) for _ in range(100))
    extras = dataclasses.replace(WHOLE.extras, confusion=matrix)
    whole = record.of_result(JOB, dataclasses.replace(WHOLE, extras=extras))
    read = json.loads(record.posted(whole, long_course(200, 256)))
    assert read == whole


def test_without_an_epoch_there_is_no_course() -> None:
    assert "curves" not in json.loads(record.posted(record.of_result(JOB, WHOLE), Curves()))


def test_a_failure_is_sent_with_the_course_until_then() -> None:
    failed = record.of_failure(JOB, "TrainingDiverged", "The loss is inf.")
    assert json.loads(record.posted(failed, course())) == failed | {"curves": course().document()}
