"""One pod's processes as the kubelet would start them, and what they leave behind."""

import json
import random
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

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


class Start(Protocol):
    """Starts a pod: a spec and further environment."""

    def __call__(self, spec: dict[str, Any], **env: str) -> Run: ...


class Launch(Protocol):
    """Runs one pod with this many ranks to its end."""

    def __call__(self, spec: dict[str, Any], processes: int = 1, **env: str) -> Finished: ...


def free_port() -> int:
    """A port below the range that the kernel hands out by itself.

    In that range a rank that knocks at the port before rank 0 listens can be given this very port as its own,
    connects to itself, and keeps rank 0 from listening.
    """
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as listener:
            try:
                listener.bind(("localhost", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")
