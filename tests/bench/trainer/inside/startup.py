"""From the start of a pod's process to its first step, and what of it goes where."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.trainer.inside.figure import Figure, told

_SPEC = {
    "model": {"type": "mlp"},
    "dataset": {"builtin": "iris"},
    "training": {"epochs": 1, "batchSize": 1024},  # one step: the first epoch's line comes right after it
}


def starting(times: int, say: Callable[[str], None]) -> list[Figure]:
    """Medians in seconds. The first start of all, with cold files, is told by itself."""
    wholes = [_first_epoch() for _ in range(times + 1)]
    stages = [_stages() for _ in range(times)]
    whole = statistics.median(wholes[1:])
    found = [told("start-up to first step: whole, the pod's own command", whole, "s")]
    found.append(told("start-up to first step: whole, the first time", wholes[0], "s"))
    rank = 0.0
    for name in stages[0]:
        seconds = statistics.median(stage[name] for stage in stages)
        rank += seconds
        found.append(told(f"start-up to first step: {name}", seconds, "s"))
    found.append(told("start-up to first step: launcher, and the epoch's end", max(0.0, whole - rank), "s"))
    say("start-up: " + ", ".join(f"{figure.name.partition(': ')[2]} {figure.value} s" for figure in found))
    return found


def _first_epoch() -> float:
    """Seconds until the pod's entry point, `loadstar_trainer.launch`, told of its first epoch, which is one step."""
    with tempfile.TemporaryDirectory() as folder:
        environment = _environment() | {"LOADSTAR_TERMINATION_LOG": str(Path(folder) / "record")}
        began = time.time()
        command = [sys.executable, "-u", "-m", "loadstar_trainer.launch"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            seconds = time.time() - began
            process.stdout.read()
        if process.returncode or not line.startswith("epoch 1/1"):
            raise RuntimeError(f"the trainer ended with {process.returncode} after {line!r}")
        return seconds


def _stages() -> dict[str, float]:
    environment = _environment() | {"BEGAN": repr(time.time())}
    command = [sys.executable, "-m", "tests.bench.trainer.inside.first_step"]
    printed = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout
    stages: dict[str, float] = json.loads(printed)
    return stages


def _environment() -> dict[str, str]:
    return {**os.environ, "LOADSTAR_SPEC": json.dumps(_SPEC), "PYTHONUNBUFFERED": "1"}
