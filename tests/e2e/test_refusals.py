"""A bad job is refused, or its status says within seconds what to change; nothing is launched for it."""

from typing import Any

import pytest

from tests.e2e.jobs import Jobs, iris_job, on_gpus

pytestmark = pytest.mark.kind

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown-field": ({"learningRate": 1}, 'unknown field "spec.learningRate"'),
    "zero-epochs": ({"training": {"epochs": 0}}, "spec.training.epochs"),
    "negative-rate": ({"training": {"learningRate": -0.1}}, "spec.training.learningRate"),
    "cnn-on-table": ({"model": {"type": "cnn"}}, "set dataset.builtin to digits"),
    "a-name-that-is-longer-than-what-fits-into-pod-names": ({}, "at most 40"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_job_is_refused_in_words_that_tell_what_to_change(name: str, jobs: Jobs) -> None:
    spec, words = REFUSED[name]
    assert words in jobs.refusal(iris_job(name, **spec))
    assert jobs.kubectl("get", "trainingjobs,pods", "--output=name") == ""


def test_more_gpus_than_any_node_has_is_said_in_status_and_launches_nothing(jobs: Jobs) -> None:
    jobs.apply(iris_job("greedy", trainer=on_gpus(3)))
    jobs.wait_for("the status tells", lambda: bool(jobs.condition("greedy", "Placed")))
    condition = jobs.condition("greedy", "Placed")
    assert (condition["status"], condition["reason"]) == ("False", "Infeasible")
    assert "largest node has 2" in condition["message"]
    assert "lower spec.trainer.resourcesPerNode" in condition["message"]
    assert jobs.pods("greedy") == []
