"""The forecast: skill against persistence on recorded loads, its band, and what a step over a large fleet costs."""

import csv
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import numpy as np
from numpy.typing import NDArray

from loadstar.core.experts import HORIZONS
from loadstar.core.forecast import Forecaster
from loadstar.core.load import STEP_SECONDS, Sample, Samples, Signal
from loadstar.simulator.evaluation import Question, evaluate
from loadstar.simulator.scores import Figure as Score
from loadstar.simulator.scores import Scores
from loadstar.simulator.series import Series, read
from loadstar.simulator.traces import trace_file
from tests.bench.placement.figure import Figure, Section, at_least, at_most, seen

Array = NDArray[np.float64]

NODES = 5_000
COVERAGE = (0.88, 0.92)
MEAN_TARGET = 0.18
STEP_TARGET_MS, MEMORY_TARGET_MB = 50.0, 100.0
_ROUNDS, _UNTIMED = 80, 40
"""The first rounds fill the half hour of moments that a forecaster keeps."""


@dataclass(frozen=True)
class Recorded:
    """A set of recorded series and the skill that is promised on it."""

    name: str
    target: float
    sources: Callable[[], Sequence[Series]]


def sets() -> tuple[Recorded, ...]:
    """The six sets. docs/forecast.md tells what they are."""
    return (
        Recorded("containers", 0.118, lambda: [read(trace_file("gentd26", "gpu_duty_wide.csv"), 57)]),
        Recorded("8-GPU nodes", 0.176, lambda: [read(trace_file("gentd26", "gpu_duty_node8_mean.csv"), 57)]),
        Recorded(
            "crane", 0.045, lambda: [read(path) for path in sorted(trace_file("crane_dsp").glob("*.csv"))]
        ),
        Recorded(
            "NAB CPU", 0.29, lambda: [read(path) for path in sorted(trace_file("nab").glob("*cpu*.csv"))]
        ),
        Recorded("PlanetLab", 0.233, lambda: [read(_planetlab(), 300)]),
        Recorded("dstat", 0.21, lambda: [_dstat()]),
    )


def measure() -> Section:
    """Score every set, then time a large fleet."""
    scores = [(recorded, _scored(recorded)) for recorded in sets()]
    skills = [one.skill() for _, one in scores]
    figures = [at_least(f"skill, {recorded.name}", one.skill(), recorded.target) for recorded, one in scores]
    figures.append(at_least("skill, mean of the six", mean(skills), MEAN_TARGET))
    figures.append(at_least("skill, least of all sets and horizons", _least(scores), 0.0))
    for recorded, one in scores:
        low, high = COVERAGE
        holds = low <= one.coverage <= high
        figures.append(Figure(f"coverage of the 90 % band, {recorded.name}", one.coverage, 0.9, "", holds))
    for recorded, one in scores:
        figures.append(seen(f"bias, {recorded.name}", float(one.forecast[Score.BIAS].mean()), "steps"))
        figures.append(
            seen(f"pinball loss .9, {recorded.name}", float(one.forecast[Score.PINBALL].mean()), "steps")
        )
    return Section([*figures, *_costs()], _report(scores))


def _least(scores: Sequence[tuple[Recorded, Scores]]) -> float:
    return min(float(one.skill_by_horizon().min()) for _, one in scores)


def _scored(recorded: Recorded) -> Scores:
    return evaluate(recorded.sources(), Question())[-1]


def _planetlab() -> Path:
    return trace_file("planetlab", "planetlab_20110303_cpu_pct_wide.csv")


def _dstat() -> Series:
    """CPU use of a training node, 100 - idle, in means of 15 s."""
    path, head = trace_file("synergy", "dstat_training_node_1s.csv"), 7
    with path.open(newline="") as file:
        rows = [cells for cells in list(csv.reader(file))[head:] if len(cells) > 2]
    busy = 100 - np.array([float(cells[2]) for cells in rows])
    steps = len(busy) // 15
    means: Array = np.asarray(busy[: 15 * steps].reshape(steps, 15).mean(axis=1), np.float64)
    return Series("dstat", ("cpu",), np.arange(0.0, 15.0 * steps, 15.0), means[:, None])


def _costs() -> Iterator[Figure]:
    """One step of update and forecast at all horizons, on one core."""
    tracemalloc.start()
    _steps(_UNTIMED)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    name = f"{NODES} nodes × {len(Signal)} signals × {len(HORIZONS)} horizons"
    step_ms = 1000 * median(_steps(_ROUNDS)[_UNTIMED:])
    yield at_most(f"{name}: update and forecast, median", step_ms, STEP_TARGET_MS, "ms")
    yield at_most(f"{name}: memory, peak", peak / 2**20, MEMORY_TARGET_MB, "MB")


def _steps(rounds: int) -> list[float]:
    """CPU seconds of each round."""
    rng, forecaster = np.random.default_rng(0), Forecaster()
    names = [f"node-{number}" for number in range(NODES)]
    loads = rng.random((len(Signal), NODES))
    scraped = rng.uniform(0.0, STEP_SECONDS, NODES)
    taken = []
    for step in range(rounds):
        loads = np.clip(loads + rng.normal(0.0, 0.05, loads.shape), 0.0, 1.0)
        now = 1.7e9 + step * STEP_SECONDS
        samples = _round(names, loads, now - scraped)
        begun = time.process_time()
        forecaster.observe(samples)
        for horizon in HORIZONS:
            forecaster.forecast(names, float(horizon) * STEP_SECONDS, now)
        taken.append(time.process_time() - begun)
    return taken


def _round(names: Sequence[str], loads: Array, at: Array) -> Samples:
    moments = at.tolist()
    return {
        signal: {name: Sample(value, moment) for name, value, moment in zip(names, row, moments, strict=True)}
        for signal, row in zip(Signal, loads.tolist(), strict=True)
    }


def _report(scores: Sequence[tuple[Recorded, Scores]]) -> str:
    """Skill of every method on every set, as a Markdown table."""
    methods = list(scores[0][1].baselines)
    head = "| method | " + " | ".join(recorded.name for recorded, _ in scores) + " |"
    lines = [
        "Skill against persistence, mean of 1, 3, 5, 10, 15 and 30 steps ahead (bigger is better):",
        "",
        head,
    ]
    lines.append("|---|" + "---|" * len(scores))
    lines.append("| **the forecast** | " + " | ".join(f"**{one.skill():+.3f}**" for _, one in scores) + " |")
    for method in methods:
        cells = (f"{one.baseline_skill_by_horizon(method).mean():+.3f}" for _, one in scores)
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    lines += ["", "| of the forecast | " + " | ".join(recorded.name for recorded, _ in scores) + " |"]
    lines.append("|---|" + "---|" * len(scores))
    for name, tell in _DETAILS.items():
        lines.append(f"| {name} | " + " | ".join(tell(one) for _, one in scores) + " |")
    return "\n".join(lines)


_DETAILS: dict[str, Callable[[Scores], str]] = {
    "series": lambda one: str(len(one.names)),
    "series better than persistence": lambda one: f"{one.better:.0%}",
    "MASE": lambda one: f"{one.forecast[Score.ERROR].mean():.3f}",
    "bias": lambda one: f"{one.forecast[Score.BIAS].mean():+.3f}",
    "bias of the expected load": lambda one: f"{one.forecast[Score.MEAN_BIAS].mean():+.3f}",
    "squared skill of the expected load": lambda one: f"{one.skill(Score.SQUARED):+.3f}",
    "pinball loss .9": lambda one: f"{one.forecast[Score.PINBALL].mean():.3f}",
    "pinball loss .9 of persistence": lambda one: f"{one.persistence[Score.PINBALL].mean():.3f}",
    "coverage of the 90 % band": lambda one: f"{one.coverage:.1%}",
    "interval score of the band": lambda one: f"{one.forecast[Score.INTERVAL].mean():.3f}",
}
