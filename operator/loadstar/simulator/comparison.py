"""Policies side by side: means over seeds with their 95 % intervals, and the curves behind them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from loadstar.core.load import STEP_SECONDS
from loadstar.simulator.axes import Write, percent, plain, seconds
from loadstar.simulator.fleet import Array
from loadstar.simulator.outcome import Outcome

CURVE_POINTS = 160
"""Points of a curve over time or of a distribution: as many as a plot can show."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What one policy came to with one seed."""

    policy: str
    seed: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Column:
    """One of `Outcome.figures()` for people: its title, its meaning, how it is written, whether less is better."""

    key: str
    title: str
    meaning: str
    write: Write
    less: bool = True


COLUMNS = (
    Column("hot", "Hot", "node-time with the CPU above 80 %", percent),
    Column("overload", "Overload", "load beyond what the nodes have, of their time", percent),
    Column("wait", "Wait", "mean time in the queue", seconds),
    Column("jct", "JCT", "mean time from a job's arrival to its end", seconds),
    Column("jct p95", "JCT p95", "95 % of the jobs end within this", seconds),
    Column("stretch", "Stretch", "that time over an undisturbed run's, mean", plain),
    Column("stranded", "Stranded", "GPU-time that was free while jobs waited", percent),
    Column("goodput", "Goodput", "GPU-time that did undisturbed work", percent, less=False),
    Column("kWh/GPUh", "kWh per GPU h", "energy for an hour's work of one GPU", plain),
    Column("fairness", "Fairness", "Jain's index of the jobs' speeds; 1: all alike", plain, less=False),
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds and the half-width of its 95 % interval (0 with one seed: nothing is known of it)."""

    mean: float
    band: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Estimate":
        """By Student's t."""
        count, mean = len(values), float(np.mean(values))
        if count < 2:
            return cls(mean, 0.0)
        return cls(mean, _t95(count - 1) * float(np.std(values, ddof=1)) / count**0.5)


@dataclass(frozen=True, slots=True)
class Summary:
    """One policy over all seeds. `hours` belongs to `taken`, `hot` and `waiting`, means over seeds at that time."""

    policy: str
    estimates: Mapping[str, Estimate]
    completion: Array
    hours: Array
    taken: Array
    hot: Array
    waiting: Array

    def mean(self, key: str) -> float:
        """The mean of one of `Outcome.figures()`."""
        return self.estimates[key].mean


def summaries(trials: Iterable[Trial]) -> list[Summary]:
    """One per policy, in the order in which they come."""
    outcomes: dict[str, list[Outcome]] = {}
    for trial in trials:
        outcomes.setdefault(trial.policy, []).append(trial.outcome)
    return [_summary(policy, found) for policy, found in outcomes.items()]


def front(found: Iterable[Summary], x: str = "wait", y: str = "hot") -> list[Summary]:
    """Those that no other one beats in one of both without being worse in the other."""
    every = list(found)

    def beaten(one: Summary) -> bool:
        return any(
            other.mean(x) <= one.mean(x)
            and other.mean(y) <= one.mean(y)
            and (other.mean(x), other.mean(y)) != (one.mean(x), one.mean(y))
            for other in every
        )

    return [one for one in every if not beaten(one)]


def _summary(policy: str, outcomes: Sequence[Outcome]) -> Summary:
    figures = [outcome.figures() for outcome in outcomes]
    longest = max(len(outcome.timeline.taken) for outcome in outcomes)
    steps = np.linspace(0, longest - 1, min(CURVE_POINTS, longest))

    def over_time(name: str) -> Array:
        """The mean over seeds, 0 after a run's end."""
        curves = [np.asarray(getattr(outcome.timeline, name), dtype=float) for outcome in outcomes]
        return np.asarray(
            np.mean([np.interp(steps, np.arange(len(it)), it, right=0.0) for it in curves], axis=0)
        )

    return Summary(
        policy,
        {key: Estimate.of([figure[key] for figure in figures]) for key in figures[0]},
        np.quantile(
            np.concatenate([outcome.completion for outcome in outcomes]), np.linspace(0, 1, CURVE_POINTS)
        ),
        steps * STEP_SECONDS / 3600.0,
        over_time("taken"),
        over_time("hot"),
        over_time("waiting"),
    )


def _t95(freedom: int) -> float:
    """Student's t at 97.5 %: exact for few degrees of freedom, else by Abramowitz & Stegun 26.7.5."""
    if freedom <= 4:
        return (12.7062, 4.3027, 3.1824, 2.7764)[freedom - 1]
    z = 1.959964
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )
