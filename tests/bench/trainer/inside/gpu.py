"""What GPUs add, where there are any: how busy they are, what bf16 and the compiler gain."""

import statistics
import subprocess
import threading
from collections.abc import Callable
from typing import Any

import torch

from tests.bench.trainer.inside.figure import Figure, told
from tests.bench.trainer.inside.job import Job, train_with_loadstar

_DOCUMENT: dict[str, Any] = {
    "model": {"type": "mlp", "hiddenLayers": [4096, 4096, 4096]},
    "dataset": {
        "builtin": "synthetic-regression",
        "synthetic": {"samples": 200_000, "features": 64},
        "split": {"validation": 0, "test": 0.2},
    },
    "training": {"epochs": 5, "batchSize": 8192},
}
_VARIANTS: dict[str, dict[str, Any]] = {
    "fp32": {},
    "bf16": {"precision": "bf16"},
    "bf16 and compile": {"precision": "bf16", "compile": True},
}


def with_gpus(rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """Nothing but a word where there is no GPU."""
    if not torch.cuda.is_available():
        say("GPU: there is none here: utilisation, bf16, compile and NCCL were not measured.")
        return []
    jobs = {name: Job.of(name, _changed(change)) for name, change in _VARIANTS.items()}
    rates = _rates(jobs, rounds)
    found = [told(f"GPU, {name}: samples/s", rate, "samples/s") for name, rate in rates.items()]
    found += [
        told(f"GPU, {name} to fp32", rate / rates["fp32"], "ratio")
        for name, rate in rates.items()
        if name != "fp32"
    ]
    found.append(told("GPU, busy while it trains in bf16", _busy(jobs["bf16"]), "%"))
    say("NCCL: ranks over several GPUs were not measured.")
    return found


def _changed(change: dict[str, Any]) -> dict[str, Any]:
    return {**_DOCUMENT, "training": {**_DOCUMENT["training"], **change}}


def _rates(jobs: dict[str, Job], rounds: int) -> dict[str, float]:
    """Samples/s of each, in turns; the first run of each is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds + 1):
        for name, job in jobs.items():
            seconds[name].append(train_with_loadstar(job).loop)
    return {name: jobs[name].samples / statistics.median(took[1:]) for name, took in seconds.items()}


def _busy(job: Job) -> float:
    """Percent of the time in which the first GPU did anything, as its driver counts."""
    readings: list[float] = []
    ended = threading.Event()

    def read() -> None:
        command = ["nvidia-smi", "--id=0", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        while not ended.wait(0.2):
            readings.append(float(subprocess.run(command, capture_output=True, check=True).stdout))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(3):
            train_with_loadstar(job)
    finally:
        ended.set()
        reader.join()
    return statistics.median(readings) if readings else 0.0
