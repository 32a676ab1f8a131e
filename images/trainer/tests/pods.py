"""One pod's processes as the kubelet would start them, and what they leave behind."""

import json
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[1] / "src"
LAUNCHER = ("-m", "loadstar_trainer.launch")
SECONDS = 180.0


def make_spec(
    model: dict[str, Any] | None = None, dataset: dict[str, Any] | None = None, **training: Any
) -> dict[str, Any]:
    """A spec that trains for two epochs unless told otherwise."""
    return {
        "model": model or {"type": "mlp"},
        "dataset": dataset or {"builtin": "iris"},
        "training": {"epochs": 2, **training},
    }


@dataclass(frozen=True)
class Finished:
    exit_code: int
    output: list[str]
    errors: str
    record: dict[str, Any]

    @property
    def metrics(self) -> dict[str, float]:
        return {metric["name"]: float(metric["value"]) for metric in self.record["metrics"]}


@dataclass(frozen=True)
class Run:
    """One pod's processes, started."""

    process: subprocess.Popen[str]
    log: Path

    def first_epoch(self) -> str:
        """Waits until an epoch has ended, and returns its line."""
        assert self.process.stdout is not None
        return next((line for line in self.process.stdout if line.startswith("epoch")), "")

    def end(self) -> Finished:
        output, errors = self.process.communicate(timeout=SECONDS)
        return Finished(
            self.process.returncode, output.splitlines(), errors, json.loads(self.log.read_text())
        )


Start = Callable[..., Run]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return int(listener.getsockname()[1])
