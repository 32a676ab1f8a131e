"""The reference that is generated from the models, and the examples that they must be able to read."""

from pathlib import Path

import pytest

from loadstar.api.convert import parse
from loadstar.api.reference import COMMAND, to_markdown
from tests.contract.jobs import raw_job
from tests.examples import EXAMPLES, job_of

ROOT = Path(__file__).parents[2]


def test_the_committed_reference_is_the_generated_one() -> None:
    committed = (ROOT / "docs" / "reference" / "trainingjob.md").read_text()
    assert committed == to_markdown(), f"the models have changed: run {COMMAND}"


@pytest.mark.parametrize(
    "line",
    [
        "| `hiddenLayers` | list of integer | Width of each hidden layer",
        "| `terms` | map to string | What the score is made of",
        "| `model` | object | *Fixed.* The network to train. Needed, except for one's own program. |",
        "| `gpuMemory` | quantity | Memory that each GPU needs to have at least",
        "| `resourcesPerNode` | map to quantity | What each pod asks for, by the name of the resource.",
        "- cpu: CPU that each pod is guaranteed",
        "| `startTime` | time | When the first attempt started. |",
        "- spec.model.type: model.type cnn needs images",
        "Its pods are named \\<job>-\\<attempt>-\\<rank>.",
    ],
)
def test_the_reference_tells_types_marks_and_rules(line: str) -> None:
    assert line in to_markdown()


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_holds_one_job_named_after_its_file(path: Path) -> None:
    example = job_of(path)
    job = parse(example | {"metadata": raw_job()["metadata"] | example["metadata"]})
    assert job.metadata.name == path.stem


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_starts_with_what_it_does_and_how_to_watch_it(path: Path) -> None:
    opening = path.read_text().partition("apiVersion")[0]
    assert all(line.startswith("#") for line in opening.splitlines())
    assert f"kubectl apply -f {path.name}" in opening
    assert f"kubectl get tj {path.stem}" in opening
