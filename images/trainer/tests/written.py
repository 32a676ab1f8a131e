"""What the trainer writes, made by its real code: the fixtures that the operator's tests read hold the same.

`python written.py`, with src on the path, rewrites them.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadstar_trainer import record
from loadstar_trainer.curves import Curves
from loadstar_trainer.environment import Identity
from loadstar_trainer.record import Exported, Extras, Result, ResumedFrom, SavedCheckpoint
from loadstar_trainer.reporter import Progress

FIXTURES = Path(__file__).parents[3] / "tests" / "contract" / "fixtures"
JOB = Identity("0b6d7f3e-7c8a-4f57-9a43-0d8f8a1c2b3d", 2)
DIGEST = "sha256:5f1c9a0e6d0b2c7e4a83d1f0b6a9c8e7d6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b1"
WHOLE = Result(
    world_size=2,
    seed=4294967295,
    data_hash=DIGEST,
    device="cuda",
    backend="nccl",
    torch="2.6.0",
    samples={"train": 105, "validation": 15, "test": 30},
    epochs=10,
    duration_seconds=3.2,
    metrics={"accuracy": 29 / 30, "loss": 5e-05, "validationAccuracy": 1.0, "trainLoss": 1e-40},
    extras=Extras(
        SavedCheckpoint("/mnt/checkpoint/iris/0b6d7f3e/attempt-2/step-40", 40, 10, DIGEST),
        ResumedFrom(1, 24, 4),
        Exported("/mnt/export/iris/model", DIGEST, ("safetensors", "onnx", "int8"), 28 / 30),
        ((10, 0, 0), (0, 9, 1), (0, 0, 10)),
        {"petal length (cm)": 0.25, "sepal width (cm)": -1e-17},
        5,
        6,
    ),
)


def course() -> Curves:
    """Three epochs, which took less time than there is between two reports."""
    curves = Curves()
    for epoch, (loss, accuracy) in enumerate([(1.0986122886681098, 0.4), (0.15, 29 / 30), (1e-40, 1.0)], 1):
        metrics = {"epoch": float(epoch), "trainLoss": loss, "validationAccuracy": accuracy}
        curves.add(1_781_233_200.0625 + epoch / 16, 4 * epoch, metrics)
    return curves


def documents() -> dict[str, Any]:
    """By file name."""
    now = datetime(2026, 6, 12, 3, 0, 0, 250_000, tzinfo=UTC)
    progress = Progress(45.9, 120.7, {"step": 24.0, "trainLoss": 0.15, "validationAccuracy": 29 / 30})
    return {
        "record_whole.json": record.of_result(JOB, WHOLE),
        "record_with_curves.json": json.loads(record.posted(record.of_result(JOB, WHOLE), course())),
        "record_own_program.json": record.of_metrics(JOB, 2, {"accuracy": 97.0, "loss": 0.1}),
        "record_failure.json": record.of_failure(
            JOB, "InvalidDataset", "dataset.target is missing; give a column."
        ),
        "progress_epoch.json": json.loads(progress.body(now)),
        "progress_end.json": json.loads(Progress(100.0, 0.0, {"accuracy": 29 / 30}).body(now, most=100)),
    }


if __name__ == "__main__":
    for name, document in documents().items():
        (FIXTURES / name).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
