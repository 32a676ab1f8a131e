"""Data from files through to a result, in memory and read block by block."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files import table, write
from worlds import train

from loadstar_trainer.record import Result
from loadstar_trainer.spec import parse


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """600 rows of which a line tells the class."""
    features = np.random.default_rng(0).normal(size=(600, 3)).round(4)
    labels = np.where(features @ np.array([1.0, -2.0, 0.5]) > 0, "yes", "no")
    return write(
        tmp_path / "d.csv",
        table([(*row, label) for row, label in zip(features.tolist(), labels, strict=True)], "a,b,c,y"),
    )


def result(path: Path, ranks: int = 1, **training: Any) -> Result:
    spec = {
        "model": {"type": "linear"},
        "dataset": {"path": str(path)},
        "training": {"epochs": 5, "learningRate": 0.05, **training},
    }
    return train(parse(json.dumps(spec)), ranks)


def test_a_table_of_a_users_own_is_learned(path: Path) -> None:
    assert result(path).metrics["accuracy"] >= 0.95


def test_the_number_of_ranks_does_not_change_the_result_of_a_stream(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_memory = result(path)
    monkeypatch.setenv("LOADSTAR_STREAM_BYTES", "4000")
    alone, together = result(path), result(path, 2)
    assert alone.metrics["accuracy"] >= 0.95
    assert together.metrics == pytest.approx(alone.metrics, rel=1e-3, abs=1e-4)
    assert in_memory.data_hash == alone.data_hash == together.data_hash
    assert in_memory.metrics != alone.metrics  # another order of samples
