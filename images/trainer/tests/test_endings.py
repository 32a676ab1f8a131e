"""How runs end other than well, through the real launcher: exit codes and records."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from pods import Finished, Launch, Run, Start, free_port, make_spec

ENDLESS = make_spec(epochs=100_000)
CNN_ON_A_TABLE = make_spec({"type": "cnn"}, {"builtin": "iris"})
TOO_DEEP = make_spec({"type": "cnn", "channels": [4, 4, 4, 4]}, {"builtin": "digits"})
NO_TEST = make_spec(
    dataset={"builtin": "synthetic-regression", "synthetic": {"samples": 10}, "split": {"test": 0.01}}
)
NO_TRAINING = make_spec(dataset={"builtin": "iris", "split": {"validation": 0.01, "test": 0.98}})
DIVERGING = make_spec(
    {"type": "linear"},
    {"builtin": "synthetic-regression", "synthetic": {"coefficients": [3, 2]}},
    optimizer="sgd",
    learningRate=10,
    epochs=500,
)


def error(finished: Finished) -> dict[str, Any]:
    return dict(finished.record["error"])


@pytest.mark.parametrize(
    ("spec", "reason", "sentence"),
    [
        (CNN_ON_A_TABLE, "InvalidSpec", "choose model.type mlp"),
        (
            TOO_DEEP,
            "InvalidModel",
            "model.channels has 4 layers, and each halves the image of 8×8; give at most 3",
        ),
        (NO_TEST, "InvalidDataset", "dataset.split.test 0.01 of 10 samples is less than one sample"),
        (NO_TRAINING, "InvalidDataset", "lower validation or test"),
        (DIVERGING, "TrainingDiverged", "lower training.learningRate (10)"),
    ],
    ids=["cnn-on-a-table", "too-deep", "no-test", "no-training", "diverging"],
)
def test_what_cannot_run_ends_in_65_with_a_sentence(
    spec: dict[str, Any], reason: str, sentence: str, launch: Launch
) -> None:
    finished = launch(spec, processes=2)
    assert finished.exit_code == 65
    assert (finished.record["jobUid"], finished.record["attempt"]) == ("uid-1", 2)
    assert error(finished)["reason"] == reason
    assert sentence in error(finished)["message"]


@pytest.mark.parametrize("processes", [1, 2])
def test_sigterm_stops_between_two_steps_with_143(processes: int, start: Start) -> None:
    run = start(ENDLESS, PET_NPROC_PER_NODE=str(processes))
    assert run.first_epoch()
    run.process.send_signal(signal.SIGTERM)
    finished = run.end()
    assert finished.exit_code == 143
    assert error(finished)["reason"] == "Interrupted"
    assert "Stopped by SIGTERM in epoch" in error(finished)["message"]
    assert "Traceback" not in finished.errors
    assert json.loads(finished.output[-1]) == finished.record


def test_sigterm_to_one_pod_stops_all_pods_after_the_same_step(start: Start) -> None:
    shared = {"PET_NNODES": "2", "PET_MASTER_ADDR": "localhost", "PET_MASTER_PORT": str(free_port())}
    first = start(ENDLESS, PET_NODE_RANK="0", **shared)
    second = start(ENDLESS, PET_NODE_RANK="1", **shared)
    assert first.first_epoch()
    second.process.send_signal(signal.SIGTERM)
    ends = [first.end(), second.end()]
    assert [end.exit_code for end in ends] == [143, 143]
    assert error(ends[0]) == error(ends[1])


def test_sigterm_while_waiting_for_the_other_pod_ends_at_once(start: Start) -> None:
    run = start(ENDLESS, PET_NNODES="2", PET_NODE_RANK="1", PET_MASTER_ADDR="no-such-host.invalid")
    ranks(run)
    run.process.send_signal(signal.SIGTERM)
    run.process.communicate(timeout=60)
    assert run.process.returncode == 143


def test_a_killed_rank_ends_its_whole_pod(start: Start) -> None:
    run = start(ENDLESS, PET_NPROC_PER_NODE="2")
    assert run.first_epoch()
    os.kill(ranks(run)[1], signal.SIGKILL)
    finished = run.end()
    assert finished.exit_code == 137
    # Whichever is told first: that the rank was killed, or that the other one lost it.
    assert error(finished)["reason"] in ("WorkerKilled", "PeerLost")


def test_a_pod_that_lost_another_pod_ends_with_75(start: Start) -> None:
    shared = {"PET_NNODES": "2", "PET_MASTER_ADDR": "localhost", "PET_MASTER_PORT": str(free_port())}
    first = start(ENDLESS, PET_NODE_RANK="0", **shared)
    second = start(ENDLESS, PET_NODE_RANK="1", **shared)
    assert first.first_epoch()
    os.killpg(second.process.pid, signal.SIGKILL)
    second.process.communicate()
    finished = first.end()
    assert finished.exit_code == 75
    assert error(finished)["reason"] == "PeerLost"
    assert "Rank 0 lost another of the 2 ranks" in error(finished)["message"]


def test_an_unwritable_termination_log_is_a_failure(start: Start) -> None:
    run = start(make_spec(epochs=1), LOADSTAR_TERMINATION_LOG="/no/such/folder/log")
    _, errors = run.process.communicate(timeout=60)
    assert run.process.returncode != 0
    assert "/no/such/folder/log" in errors


def ranks(run: Run) -> list[int]:
    """Process ids of the launcher's children, once there are any."""
    children = Path(f"/proc/{run.process.pid}/task/{run.process.pid}/children")
    while not (pids := children.read_text().split()):
        assert run.process.poll() is None
    return [int(pid) for pid in pids]
