"""Killed at any moment and resumed, a run ends as the undisturbed one does: to the last bit on as many ranks."""

import dataclasses
import json
import multiprocessing
import os
import random
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from pods import Start, make_spec
from worlds import FORK, attempt, in_ranks

from loadstar_trainer.environment import Identity, Ranks
from loadstar_trainer.failures import Interrupted
from loadstar_trainer.interruption import Interruption
from loadstar_trainer.record import Result
from loadstar_trainer.run import run
from loadstar_trainer.spec import Spec, parse

KILLS = 20
SEED = 4
SMALL: dict[str, Any] = {"type": "mlp", "hiddenLayers": [8], "dropout": 0.3}
IRIS = {"builtin": "iris"}
DIGITS = {"builtin": "digits", "split": {"test": 0.8, "validation": 0.1}}
STOPPING = {"metric": "loss", "patience": 50}


def job(path: Path, model: dict[str, Any] = SMALL, dataset: dict[str, Any] = IRIS, **training: Any) -> Spec:
    """Checkpoints every four updates, in the middle of epochs."""
    document = make_spec(model, dataset, **{"epochs": 3, "batchSize": 16, "learningRate": 0.01, **training})
    checkpoint = {"path": str(path), "everySteps": 4, "keep": 3}
    evaluation = {"metrics": ["accuracy"]}  # quick to measure
    return parse(json.dumps({**document, "checkpoint": checkpoint, "evaluation": evaluation}))


class StopsAt(Interruption):
    """Asks to stop after so many updates."""

    def __init__(self, update: int) -> None:
        self._left = update

    @property
    def requested(self) -> bool:  # type: ignore[override]
        self._left -= 1
        return self._left < 0

    def install(self) -> None: ...


def interrupted(spec: Spec, update: int, ranks: int = 1, number: int = 1) -> None:
    """An attempt that is stopped, in all ranks, after about so many updates."""

    def rank_main(own: Ranks) -> bool:
        with pytest.raises(Interrupted):
            run(spec, own, StopsAt(update), Identity("uid-1", number))
        return True

    in_ranks(ranks, rank_main)


def weights(result: Result) -> bytes:
    """Those of the last checkpoint, as they are in the file."""
    assert result.extras.checkpoint
    return Path(result.extras.checkpoint.path, "model.safetensors").read_bytes()


def same(first: Result, second: Result) -> bool:
    return (first.metrics, first.epochs, weights(first)) == (second.metrics, second.epochs, weights(second))


CASES: dict[str, dict[str, Any]] = {
    "adam-cosine": {"schedule": {"type": "cosine", "warmupEpochs": 1}},
    "sgd-momentum-accumulated": {"optimizer": "sgd", "momentum": 0.9, "gradientAccumulation": 2, "l1": 0.001},
    "rmsprop-bf16-clipped": {"optimizer": "rmsprop", "precision": "bf16", "gradientClipNorm": 0.5},
    "adamw-early-stopping": {"optimizer": "adamw", "earlyStopping": STOPPING, "learningRate": 0.1},
    "cnn": {"model": {"type": "cnn", "channels": [4]}, "dataset": DIGITS, "batchSize": 64},
}


@pytest.mark.parametrize("case", CASES)
def test_a_stopped_run_goes_on_to_the_same_bits(case: str, tmp_path: Path) -> None:
    undisturbed = attempt(job(tmp_path / "undisturbed", **CASES[case]), 1)
    spec = job(tmp_path / "stopped", **CASES[case])
    interrupted(spec, 5)
    resumed = attempt(spec, 2)
    assert same(resumed, undisturbed)
    assert resumed.extras.resumed_from
    assert resumed.extras.resumed_from.step == 6


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    spec = job(tmp_path, earlyStopping=STOPPING)
    first, again = attempt(spec, 1), attempt(spec, 2)
    assert same(first, again)
    assert again.extras.checkpoint == first.extras.checkpoint
    assert not list(tmp_path.glob("uid-1/attempt-2/*"))


def test_folds_that_are_done_are_not_repeated(tmp_path: Path) -> None:
    def folded(path: Path) -> Spec:
        evaluation = dataclasses.replace(job(path).evaluation, folds=3)
        return dataclasses.replace(job(path, epochs=2), evaluation=evaluation)

    undisturbed = attempt(folded(tmp_path / "undisturbed"), 1)
    interrupted(folded(tmp_path / "stopped"), 20)
    resumed = attempt(folded(tmp_path / "stopped"), 2)
    assert resumed.metrics == undisturbed.metrics
    assert resumed.extras.resumed_from
    assert resumed.extras.resumed_from.step == 21


def test_never_begins_anew_beside_what_is_there(tmp_path: Path) -> None:
    spec = job(tmp_path)
    assert spec.checkpoint
    first = attempt(spec, 1)
    again = attempt(
        dataclasses.replace(spec, checkpoint=dataclasses.replace(spec.checkpoint, resume=False)), 2
    )
    assert again.extras.resumed_from is None
    assert again.metrics == first.metrics


def test_other_data_begin_anew(tmp_path: Path) -> None:
    attempt(job(tmp_path), 1)
    assert (
        attempt(job(tmp_path, dataset={"builtin": "iris", "split": {"seed": 1}}), 2).extras.resumed_from
        is None
    )


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_another_number_of_ranks_goes_on_within_rounding(before: int, after: int, tmp_path: Path) -> None:
    model = {**SMALL, "dropout": 0}  # masks differ between ranks
    undisturbed = attempt(job(tmp_path / "undisturbed", model), 1)
    spec = job(tmp_path / "stopped", model)
    interrupted(spec, 9, ranks=before)
    resumed = attempt(spec, 2, ranks=after)
    assert resumed.metrics == pytest.approx(undisturbed.metrics, abs=1e-4)
    assert resumed.extras.resumed_from
    assert resumed.extras.resumed_from.world_size == before


def test_two_ranks_go_on_to_the_same_bits(tmp_path: Path) -> None:
    undisturbed = attempt(job(tmp_path / "undisturbed"), 1, ranks=2)
    spec = job(tmp_path / "stopped")
    interrupted(spec, 9, ranks=2)
    assert same(attempt(spec, 2, ranks=2), undisturbed)


def test_sigterm_leaves_a_checkpoint_that_the_next_attempt_goes_on_from(tmp_path: Path, start: Start) -> None:
    spec = make_spec(SMALL, epochs=100_000)
    spec["checkpoint"] = {"path": str(tmp_path), "everyEpochs": 100_000}
    first = start(spec, PET_NPROC_PER_NODE="2", LOADSTAR_ATTEMPT="1")
    assert first.first_epoch()
    first.process.send_signal(signal.SIGTERM)
    assert first.end().exit_code == 143
    [checkpoint] = tmp_path.glob("uid-1/attempt-1/step-*")
    second = start(spec, LOADSTAR_ATTEMPT="2")
    assert second.process.stdout
    assert (
        second.process.stdout.readline() == f"resumed from attempt 1, {checkpoint.name.replace('-', ' ')}\n"
    )


class KilledAt(Interruption):
    """Counts the calls that this process makes from the beginning of training on, in Python and in C.

    Kills it at one of them: in a step, or in the middle of writing a checkpoint.
    """

    def __init__(self, call: float) -> None:
        super().__init__()
        self.calls = 0
        self._last = call

    def install(self) -> None:
        sys.setprofile(self._count)

    def _count(self, _frame: FrameType, event: str, _function: Any) -> None:
        if event in ("call", "c_call"):
            self.calls += 1
            if self.calls > self._last:
                os.kill(os.getpid(), signal.SIGKILL)


def calls_of(spec: Spec, call: float = float("inf")) -> int:
    """How many calls the first attempt of a job makes; or it is killed at one of them, and this is 0."""
    answers = FORK.SimpleQueue()

    def rank_main() -> None:
        killed = KilledAt(call)
        run(spec, Ranks(), killed, Identity("uid-1", 1))
        sys.setprofile(None)
        answers.put(killed.calls)

    process: multiprocessing.process.BaseProcess = FORK.Process(target=rank_main)
    process.start()
    process.join()
    assert process.exitcode == (0 if call == float("inf") else -signal.SIGKILL)
    return 0 if process.exitcode else answers.get()


def test_killed_at_any_moment_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    options: dict[str, Any] = {"earlyStopping": STOPPING, "schedule": {"type": "cosine"}, "epochs": 2}
    undisturbed = attempt(job(tmp_path / "undisturbed", **options), 1)
    calls = calls_of(job(tmp_path / "counted", **options))
    moments = random.Random(SEED)
    steps = set()
    for number in range(KILLS):
        spec = job(tmp_path / str(number), **options)
        calls_of(spec, moments.uniform(0.0, 0.98) * calls)
        result = attempt(spec, 2)
        assert same(result, undisturbed)
        steps.add(result.extras.resumed_from and result.extras.resumed_from.step)
    assert steps >= {4, 8, 12}
