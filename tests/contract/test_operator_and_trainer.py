"""What the operator writes the trainer reads, and the other way round: the real code of both sides."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstar.api.document import trainer_document
from loadstar.api.pods import build_pod
from loadstar.api.record import ErrorRecord, FinalRecord, parse_record
from loadstar_trainer import record as trainer_record
from loadstar_trainer.environment import Identity, Pod
from loadstar_trainer.failures import Refused
from loadstar_trainer.spec import parse as trainer_parse
from tests.contract.jobs import UID, job
from tests.contract.refusals import CASES, DATASET, EVALUATION, IRIS, MODEL, STORAGE, TRAINING, Case, merged

SPECS = json.loads((Path(__file__).parent / "fixtures" / "specs.json").read_text())
TOLD = [case for case in (*MODEL, *DATASET, *TRAINING, *EVALUATION, *STORAGE) if case.told]
TRAINED = [case for case in CASES if case.accept.get("model") is not ...]
PARTS = ("model", "dataset", "training", "evaluation", "checkpoint", "export")

finite = st.floats(allow_nan=False, allow_infinity=False)
metrics = st.dictionaries(
    st.sampled_from(["loss", "mse", "mae", "r2", "validationLoss", "trainLoss"]), finite
)


def _as_written(case: dict[str, Any]) -> str:
    """The spec as its user wrote it, but for the places, which are paths in the pod, and what is the operator's."""
    told = case["trainer"]
    spec = json.loads(json.dumps({part: spec for part, spec in case["spec"].items() if part in PARTS}))
    for part in ("dataset", "checkpoint", "export"):
        if part in spec and "builtin" not in spec[part]:
            spec[part].pop("uri", None)
            spec[part] |= {name: told[part][name] for name in ("path", "uri") if name in told[part]}
    if "initialWeights" in spec["model"]:
        spec["model"]["initialWeights"] = told["model"]["initialWeights"]
    spec.get("evaluation", {}).pop("goal", None)
    return json.dumps(spec)


def _document(change: dict[str, Any]) -> str:
    """A spec that the API refuses, as the trainer would be told it: places are paths."""
    spec = merged(IRIS, change)
    parts = {part: spec[part] for part in PARTS if part in spec}
    for part in ("dataset", "checkpoint"):
        uri = parts.get(part, {}).pop("uri", None)
        if uri:
            parts[part]["path"] = uri.replace("pvc:/", "/mnt")
    return json.dumps(parts)


def _environment(rank: int, **spec: Any) -> dict[str, str]:
    pod = build_pod(job(**spec), attempt=7, rank=rank, node="gpu-1", image="loadstar/trainer:0.1.0")
    return {entry["name"]: entry["value"] for entry in pod["spec"]["containers"][0]["env"]}


def _result(measured: dict[str, float]) -> trainer_record.Result:
    return trainer_record.Result(
        world_size=2,
        seed=4,
        data_hash="sha256:00",
        device="cpu",
        backend="gloo",
        torch="2.6.0",
        samples={"train": 105, "validation": 15, "test": 30},
        epochs=10,
        duration_seconds=1.5,
        metrics=measured,
    )


def _final(measured: dict[str, float]) -> FinalRecord:
    written = trainer_record.encode(trainer_record.of_result(Identity(UID, 7), _result(measured)))
    read = parse_record(written.decode())
    assert isinstance(read, FinalRecord)
    return read


@pytest.mark.parametrize("case", SPECS, ids=lambda case: case["name"])
def test_both_sides_fill_in_the_same_defaults(case: dict[str, Any]) -> None:
    assert trainer_parse(_as_written(case)) == trainer_parse(json.dumps(case["trainer"]))


@pytest.mark.parametrize("case", TRAINED, ids=lambda case: case.name)
def test_the_trainer_takes_what_the_api_accepts(case: Case) -> None:
    trainer_parse(json.dumps(trainer_document(job(**case.accept))))


@pytest.mark.parametrize("case", TOLD, ids=lambda case: case.name)
def test_the_trainer_refuses_what_the_api_refuses(case: Case) -> None:
    with pytest.raises(Refused):
        trainer_parse(_document(case.refuse))


def test_the_trainer_reads_what_a_pod_tells_it() -> None:
    trainer = {"numNodes": 3, "resourcesPerNode": {"nvidia.com/gpu": 2}}
    env = _environment(rank=2, trainer=trainer)
    assert Identity.read(env) == Identity(UID, 7)
    assert Pod.read(env) == Pod(3, 2, 2, "iris-7-0.iris", 23456)
    trainer_parse(env["LOADSTAR_SPEC"])


def test_the_operator_reads_what_a_trainer_measured() -> None:
    read = _final({"accuracy": 29 / 30, "loss": 5e-05})
    assert (read.job_uid, read.attempt, read.world_size, read.seed) == (UID, 7, 2, 4)
    assert float(read.accuracy or "") == 29 / 30
    assert [(metric.name, float(metric.value)) for metric in read.metrics] == [
        ("accuracy", 29 / 30),
        ("loss", 5e-05),
    ]


@given(metrics)
def test_every_number_arrives_exactly(measured: dict[str, float]) -> None:
    result = _final(measured).result()
    assert {metric.name: float(metric.value) for metric in result.metrics} == measured


def test_a_regression_has_no_accuracy() -> None:
    assert _final({"mse": 0.01}).accuracy is None


@given(st.text(max_size=6000))
def test_the_operator_reads_why_a_trainer_gave_up(message: str) -> None:
    written = trainer_record.encode(trainer_record.of_failure(Identity(UID, 7), "InvalidDataset", message))
    read = parse_record(written.decode())
    assert isinstance(read, ErrorRecord)
    assert (read.job_uid, read.attempt, read.error.reason) == (UID, 7, "InvalidDataset")
