"""Policies against one of them, seed by seed: each seed's jobs are the same for all, so that differences are sharper
than the means that they are differences of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from loadstar.simulator.comparison import Column, Estimate, Trial


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much one policy's figures are above another's, mean over the seeds that both have."""

    policy: str
    estimates: Mapping[str, Estimate]

    def better(self, column: Column) -> bool | None:
        """Whether this policy is the better one in a figure; None where the interval leaves that open."""
        estimate = self.estimates[column.key]
        if abs(estimate.mean) <= estimate.band or estimate.mean == 0:
            return None
        return (estimate.mean < 0) == column.less


def differences(trials: Iterable[Trial], base: str) -> list[Difference]:
    """Every other policy against `base`, in the order in which they come; none where `base` was not tried."""
    figures: dict[str, dict[int, Mapping[str, float]]] = {}
    for trial in trials:
        figures.setdefault(trial.policy, {})[trial.seed] = trial.outcome.figures()
    ours = figures.pop(base, {})
    return [
        Difference(policy, _paired(ours, theirs))
        for policy, theirs in figures.items()
        if ours.keys() & theirs.keys()
    ]


def _paired(
    ours: Mapping[int, Mapping[str, float]], theirs: Mapping[int, Mapping[str, float]]
) -> dict[str, Estimate]:
    seeds = sorted(ours.keys() & theirs.keys())
    return {
        key: Estimate.of([theirs[seed][key] - ours[seed][key] for seed in seeds]) for key in ours[seeds[0]]
    }
