"""Real runs for the trainer's tests. They need PyTorch: `run_in_trainer` of tests/cluster/images.py gives them it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from pods import LAUNCHER, SOURCE, Finished, Launch, Run, Start, free_port

# Before any test imports NumPy: forking ranks from a process with threads is unsafe, and Python warns of it.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")


# Found examples are not kept: the folder may be read-only, and every run draws the same ones.
settings.register_profile("trainer", database=None, derandomize=True)
settings.load_profile("trainer")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `python …` with a spec and further environment; kills at the end what is left."""
    runs: list[Run] = []

    def start(spec: dict[str, Any], **env: str) -> Run:
        log = tmp_path / f"termination-log-{len(runs)}"
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONPATH": os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")]),
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": "1",
            "LOADSTAR_SPEC": json.dumps(spec),
            "LOADSTAR_JOB_UID": "uid-1",
            "LOADSTAR_ATTEMPT": "2",
            "LOADSTAR_TERMINATION_LOG": str(log),
            "PET_MASTER_PORT": str(free_port()),
            **env,
        }
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [sys.executable, *LAUNCHER],
            env=variables,
            stdout=pipe,
            stderr=pipe,
            text=True,
            start_new_session=True,
        )
        runs.append(Run(process, log))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            os.killpg(run.process.pid, signal.SIGKILL)
            run.process.communicate()


@pytest.fixture
def launch(start: Start) -> Launch:
    """Runs one pod with this many ranks to its end."""

    def launch(spec: dict[str, Any], processes: int = 1, **env: str) -> Finished:
        return start(spec, PET_NPROC_PER_NODE=str(processes), **env).end()

    return launch
