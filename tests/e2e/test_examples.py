"""Every example runs on a real cluster, and its accuracy is read from the resource by kubectl."""

from pathlib import Path

import pytest

from tests.e2e.jobs import Jobs
from tests.examples import EXAMPLES, job_of, named

pytestmark = pytest.mark.kind

BUILTIN = [example for example in EXAMPLES if "builtin" in job_of(example)["spec"].get("dataset", {})]
"""Those with data and programs of one's own are run by test_data and test_programs."""

LEAST_ACCURACY = {"iris-mlp": 0.96, "iris-two-ranks": 0.96, "digits-cnn": 0.985}
MOST_MSE = {"linear-regression": 0.015}
"""Noise of σ = 0.1 leaves a mean squared error of 0.01 to the best model; its share of a small test part varies."""


def test_there_are_the_examples_that_the_documents_describe() -> None:
    assert {"iris-mlp", "digits-cnn", "random-regression", "linear-regression", "iris-two-ranks"} <= {
        example.stem for example in EXAMPLES
    }


@pytest.mark.parametrize("example", BUILTIN, ids=lambda example: example.stem)
def test_an_example_succeeds_and_its_resource_says_what_the_trainer_recorded(
    example: Path, jobs: Jobs
) -> None:
    name = jobs.apply_file(example)["metadata"]["name"]
    status = jobs.wait_for_phase(name, "Succeeded")
    record = jobs.record(name)
    assert status.get("accuracy") == record.get("accuracy")
    assert status["result"]["metrics"] == record["metrics"]
    metrics = {metric["name"]: float(metric["value"]) for metric in status["result"]["metrics"]}
    if name in LEAST_ACCURACY:
        accuracy = jobs.kubectl("get", "trainingjob", name, "--output=jsonpath={.status.accuracy}")
        assert float(accuracy) >= LEAST_ACCURACY[name]
    if name in MOST_MSE:
        assert metrics["mse"] <= MOST_MSE[name]


def test_kubectl_wait_sees_the_end_and_the_columns_tell_the_story(jobs: Jobs) -> None:
    name = jobs.apply_file(named("iris-mlp"))["metadata"]["name"]
    jobs.kubectl("wait", f"trainingjob/{name}", "--for=condition=Succeeded", "--timeout=90s")
    heads, row, *_ = jobs.kubectl("get", "tj", "--output=wide").splitlines()
    assert heads.split()[1:6] == ["PHASE", "PROGRESS", "ACCURACY", "GPUS", "NODES"]
    assert "Succeeded" in row
    assert jobs.status(name)["placement"]["nodes"][0]["name"] in row
