"""Each rule of spec, judged by the models. In tests/integration the API server judges the same cases."""

from collections.abc import Iterator
from typing import Any

import pytest

from loadstar.api.convert import InvalidTrainingJob, parse
from loadstar.api.crd import openapi_schema
from loadstar.api.schema import VALIDATIONS, told_by
from tests.contract.jobs import raw_job
from tests.contract.refusals import CASES, Case


def _leaves(schema: dict[str, Any], path: str) -> Iterator[str]:
    for name, field in schema.get("properties", {}).items():
        yield from _leaves(field, f"{path}.{name}")
    if "properties" not in schema:
        yield path


def _rules(schema: dict[str, Any]) -> Iterator[str]:
    for entry in schema.get(VALIDATIONS, ()):
        yield from told_by(entry) if "oldSelf" not in entry["rule"] else ()
    for field in (*schema.get("properties", {}).values(), *filter(None, [schema.get("items")])):
        yield from _rules(field)


def _refusal(case: Case) -> InvalidTrainingJob:
    with pytest.raises(InvalidTrainingJob) as refusal:
        parse(raw_job(**case.refuse))
    return refusal.value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_spec_that_keeps_the_rule_is_read(case: Case) -> None:
    parse(raw_job(**case.accept))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_spec_that_breaks_the_rule_is_an_error_that_names_its_place(case: Case) -> None:
    assert any(problem.field.startswith(case.field) for problem in _refusal(case).problems)


def test_every_field_of_spec_has_a_case() -> None:
    spec = openapi_schema()["properties"]["spec"]
    assert set(_leaves(spec, "spec")) - {case.field for case in CASES} == set()


def test_every_rule_of_spec_has_a_case_with_its_message() -> None:
    spec = openapi_schema()["properties"]["spec"]
    untold = {message for message in _rules(spec) if not any(case.says in message for case in CASES)}
    assert untold == set()


@pytest.mark.parametrize("name", ["a", "a-1", "a" * 40])
def test_a_name_that_fits_into_a_host_name_is_read(name: str) -> None:
    assert parse(raw_job(name)).metadata.name == name


@pytest.mark.parametrize("name", ["", "1a", "a-", "A", "a.b", "a" * 41])
def test_a_name_that_does_not_fit_is_an_error_that_says_how_to_write_it(name: str) -> None:
    with pytest.raises(InvalidTrainingJob, match="at most 40 lower-case letters"):
        parse(raw_job(name))


def test_an_unknown_field_is_an_error_wherever_it_stands() -> None:
    with pytest.raises(InvalidTrainingJob, match=r"spec\.training\.learningrate: is not a field"):
        parse(raw_job(training={"learningrate": 0.1}))


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(InvalidTrainingJob) as refusal:
        parse(raw_job(training={"epochs": 0, "batchSize": 0}, suspend="maybe"))
    assert {problem.field for problem in refusal.value.problems} == {
        "spec.training.epochs",
        "spec.training.batchSize",
        "spec.suspend",
    }


@pytest.mark.parametrize("missing", ["metadata", "spec"])
def test_an_object_without_a_part_is_an_error_that_names_it(missing: str) -> None:
    raw = raw_job()
    del raw[missing]
    with pytest.raises(InvalidTrainingJob, match=missing):
        parse(raw)
