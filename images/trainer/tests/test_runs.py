"""Whole runs that end well, through the real launcher: the record, the log, ranks in one pod and in two."""

import json

import pytest
from pods import Launch, Start, free_port, make_spec


def test_the_final_record_says_what_ran(launch: Launch) -> None:
    finished = launch(make_spec(epochs=3))
    assert finished.exit_code == 0
    record = finished.record
    assert (record["version"], record["jobUid"], record["attempt"], record["epochs"]) == (1, "uid-1", 2, 3)
    assert record["samples"] == {"train": 105, "validation": 15, "test": 30}
    assert (record["worldSize"], record["device"], record["backend"]) == (1, "cpu", "none")
    names = [
        "accuracy",
        "precision",
        "recall",
        "f1",
        "auroc",
        "loss",
        "validationAccuracy",
        "validationLoss",
        "trainLoss",
    ]
    assert list(finished.metrics) == names
    assert record["accuracy"] == record["metrics"][0]["value"]
    assert finished.metrics["accuracy"] * 30 == pytest.approx(round(finished.metrics["accuracy"] * 30))


def test_the_log_has_a_line_per_epoch_and_ends_with_the_record(launch: Launch) -> None:
    finished = launch(make_spec(epochs=3), processes=2)
    assert [line.split()[1] for line in finished.output[:-1]] == ["1/3", "2/3", "3/3"]
    assert json.loads(finished.output[-1]) == finished.record
    assert (finished.record["worldSize"], finished.record["backend"]) == (2, "gloo")


def test_two_pods_find_each_other_though_the_master_comes_last(start: Start) -> None:
    shared = {"PET_NNODES": "2", "PET_MASTER_ADDR": "localhost", "PET_MASTER_PORT": str(free_port())}
    second = start(make_spec(), PET_NODE_RANK="1", **shared)
    finished = start(make_spec(), PET_NODE_RANK="0", **shared).end()
    assert (finished.exit_code, finished.record["worldSize"]) == (0, 2)
    output, _ = second.process.communicate(timeout=60)
    assert (second.process.returncode, output) == (0, "")
    assert not second.log.exists()  # only rank 0 speaks for the job
