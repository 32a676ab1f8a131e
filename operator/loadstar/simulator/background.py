"""Load of nodes that is not the jobs': agents, services, people. Recorded CPU series, or drawn where there are none."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from loadstar.core.load import STEP_SECONDS
from loadstar.simulator.fleet import Array
from loadstar.simulator.traces import trace_file

SCALE = 0.5
"""What a recorded machine's load amounts to on a GPU node of many cores."""
DRAWN_MEAN, DRAWN_DEVIATION, DRAWN_MEMORY = 0.08, 0.04, 0.98
"""A drawn background: mean and standard deviation of its share, and its AR(1) coefficient per step."""


@dataclass(frozen=True, slots=True)
class Series:
    """Shares 0..1 of machines at even intervals: shape (samples, machines)."""

    seconds: float
    shares: Array


def recorded() -> tuple[Series, ...]:
    """CPU of PlanetLab machines and of AWS instances, duty of inference GPUs. Raises TracesMissing."""
    planetlab = _wide(trace_file("planetlab", "planetlab_20110303_cpu_pct_wide.csv"))
    duty = _wide(trace_file("gentd26", "gpu_duty_wide.csv"))
    aws = [_column(path) for path in sorted(trace_file("nab").glob("ec2_cpu_utilization_*.csv"))]
    shortest = min(len(series) for series in aws)
    return (
        Series(300.0, planetlab),
        Series(57.0, duty[:, ~np.isnan(duty).any(axis=0)]),
        Series(300.0, np.stack([series[:shortest] for series in aws], axis=1)),
    )


def background(sources: Sequence[Series], nodes: int, steps: int, rng: np.random.Generator) -> Array:
    """A share per step and node, shape (steps, nodes): of each node a machine of one source, from a random time on."""
    if not sources:
        return _drawn(nodes, steps, rng)
    shares = np.empty((steps, nodes))
    for node in range(nodes):
        source = sources[int(rng.integers(len(sources)))]
        series = source.shares[:, rng.integers(source.shares.shape[1])]
        at = rng.uniform(0.0, len(series)) + np.arange(steps) * (STEP_SECONDS / source.seconds)
        shares[:, node] = np.interp(
            at % len(series), np.arange(len(series) + 1), np.append(series, series[0])
        )
    return SCALE * shares


def _drawn(nodes: int, steps: int, rng: np.random.Generator) -> Array:
    shocks = rng.normal(0.0, DRAWN_DEVIATION, size=(steps, nodes))
    shocks[1:] *= np.sqrt(1.0 - DRAWN_MEMORY**2)
    for step in range(1, steps):
        shocks[step] += DRAWN_MEMORY * shocks[step - 1]
    return np.asarray(np.clip(DRAWN_MEAN + shocks, 0.0, 1.0))


def _wide(path: Path) -> Array:
    """All columns but the first, which is time; percent to shares."""
    return np.genfromtxt(path, delimiter=",", skip_header=1)[:, 1:] / 100.0


def _column(path: Path) -> Array:
    with path.open(newline="", encoding="utf-8") as file:
        return np.array([float(row["value"]) for row in csv.DictReader(file)]) / 100.0
