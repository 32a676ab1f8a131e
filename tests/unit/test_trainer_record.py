"""The trainer's final record."""

import json
import math
from pathlib import Path

import pytest

from loadstar_trainer import record
from loadstar_trainer.environment import Identity

IDENTITY = Identity("uid-1", 3)


def make_result(metrics: dict[str, float]) -> record.Result:
    return record.Result(
        world_size=2,
        seed=0,
        data_hash="sha256:00",
        device="cpu",
        backend="gloo",
        torch="2.6.0",
        samples={"train": 105, "validation": 15, "test": 30},
        epochs=50,
        duration_seconds=3.20049,
        metrics=metrics,
    )


def test_a_record_of_success_has_the_agreed_form() -> None:
    assert record.of_result(IDENTITY, make_result({"accuracy": 29 / 30, "loss": 0.1})) == {
        "version": 1,
        "jobUid": "uid-1",
        "attempt": 3,
        "worldSize": 2,
        "seed": 0,
        "dataHash": "sha256:00",
        "device": "cpu",
        "backend": "gloo",
        "torch": "2.6.0",
        "samples": {"train": 105, "validation": 15, "test": 30},
        "epochs": 50,
        "durationSeconds": 3.2,
        "accuracy": "0.9666666666666667",
        "metrics": [{"name": "accuracy", "value": "0.9666666666666667"}, {"name": "loss", "value": "0.1"}],
    }


def test_a_record_of_regression_has_no_accuracy() -> None:
    assert "accuracy" not in record.of_result(IDENTITY, make_result({"mse": 0.01}))


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-7, 1.5e22, 5e-324, 1.7e308, -0.25, 1.0])
def test_a_metric_reads_back_as_the_very_same_number_in_few_characters(value: float) -> None:
    text = record.decimal(value)
    assert float(text) == value
    assert len(text) <= record.LONGEST_DECIMAL


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-7, 1.5e22, -0.25])
def test_a_metric_of_usual_size_has_no_exponent(value: float) -> None:
    assert "e" not in record.decimal(value).lower()


@pytest.mark.parametrize("letter", ["a", "ü", "\n", '"', "\ud800", "🚀"])
def test_a_record_of_failure_stays_within_the_limit_and_keeps_both_ends_of_its_message(letter: str) -> None:
    message = f"start {letter * 5000} end"
    encoded = record.encode(record.of_failure(IDENTITY, "TrainingFailed", message))
    assert len(encoded) <= record.LIMIT
    error = json.loads(encoded)["error"]
    assert error["reason"] == "TrainingFailed"
    assert error["message"].startswith("start ")
    assert error["message"].endswith(" end")


def test_as_much_of_a_long_message_as_fits_is_kept() -> None:
    encoded = record.encode(record.of_failure(IDENTITY, "TrainingFailed", "x" * 5000))
    assert len(encoded) > record.LIMIT - 4


def test_a_record_that_cannot_be_shortened_is_an_error() -> None:
    with pytest.raises(ValueError, match="exceeds 4096"):
        record.encode(record.of_result(Identity("u" * 5000, 1), make_result({})))


def test_a_number_that_json_lacks_is_an_error() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        record.encode({"value": math.nan})


def test_the_first_record_of_failure_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert record.write(record.of_failure(IDENTITY, "Cause", "the cause"), path)
    assert not record.write(record.of_failure(IDENTITY, "Echo", "a peer is gone"), path)
    assert json.loads(path.read_bytes())["error"]["reason"] == "Cause"


def test_a_record_of_success_replaces_whatever_is_there(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("x" * 9000)
    record.write(record.of_result(IDENTITY, make_result({"mse": 1.0})), path)
    assert json.loads(path.read_bytes())["metrics"] == [{"name": "mse", "value": "1.0"}]


def test_clearing_keeps_the_file_that_the_kubelet_mounted(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("old")
    inode = path.stat().st_ino
    record.clear(path)
    assert (path.read_text(), path.stat().st_ino) == ("", inode)
