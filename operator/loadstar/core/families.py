"""What jobs of one family use of what they request, and how soon it shows: learned from jobs that were watched.

A family is whom a job takes after: the type of its model or its image, and its owner. û of a family nobody has seen
is EXPECTED_USE of the request; each job watched to its end moves it, against the weight of PRIOR_JOBS such guesses.
"""

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loadstar.core.load import Signal

Array = NDArray[np.float64]

EXPECTED_USE = 0.8
"""û as a share of the request, until it is learned."""
LAG_SECONDS = 105.0
"""From decision to the first visible load, until it is learned: scheduling, image pull, data loading."""
PRIOR_JOBS = 3.0
"""How many jobs' evidence the first guess is worth."""
MOST_JOBS = 50.0
"""Evidence beyond which older jobs fade, so that a family may change its habits."""
MOST_FAMILIES = 4096
"""Of more, those not asked about for longest are forgotten."""
MOST_USE = 4.0
"""CPU may be used beyond what was requested, but no reading of more than this is believed."""
LAG_RANGE = (10.0, 900.0)
"""Seconds; what is measured outside of it is taken for its nearer end."""

SIGNAL_COUNT = len(Signal)
EXPECTED = np.full(SIGNAL_COUNT, EXPECTED_USE)
EXPECTED.flags.writeable = False


@dataclass(slots=True)
class _Family:
    """Running means with their weights in jobs, the guess included; `use` per signal, `lag` in seconds."""

    use: Array
    use_jobs: Array
    lag: float = LAG_SECONDS
    lag_jobs: float = PRIOR_JOBS


class Families:
    """û and lag by family. Bounded memory; asking about a family that nobody has seen costs none."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Family] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def use(self, family: str) -> Array:
        """û as a share of the request, per signal in the order of SIGNALS. Not to be written to."""
        known = self._found(family)
        return known.use if known else EXPECTED

    def evidence(self, family: str) -> float:
        """How many jobs û of a family rests on, counted per its best known signal and with the first guess."""
        known = self._found(family)
        return float(known.use_jobs.max()) if known else PRIOR_JOBS

    def lag(self, family: str) -> float:
        """Seconds from the decision to the first visible load."""
        known = self._found(family)
        return known.lag if known else LAG_SECONDS

    def learn_use(self, family: str, use: Array) -> None:
        """One job's mean use as a share of its request, per signal; NaN where it was not measured."""
        known = self._kept(family)
        measured = np.isfinite(use)
        jobs = np.minimum(known.use_jobs + measured, MOST_JOBS)
        step = np.where(measured, np.clip(np.nan_to_num(use), 0.0, MOST_USE) - known.use, 0.0) / jobs
        known.use, known.use_jobs = known.use + step, jobs

    def learn_lag(self, family: str, seconds: float) -> None:
        """One job's time from its decision to its first visible load."""
        known = self._kept(family)
        known.lag_jobs = min(known.lag_jobs + 1.0, MOST_JOBS)
        low, high = LAG_RANGE
        known.lag += (min(max(seconds, low), high) - known.lag) / known.lag_jobs

    def _found(self, family: str) -> _Family | None:
        known = self._known.get(family)
        if known is not None:
            self._known.move_to_end(family)
        return known

    def _kept(self, family: str) -> _Family:
        known = self._found(family)
        if known is None:
            known = self._known[family] = _Family(EXPECTED.copy(), np.full(SIGNAL_COUNT, PRIOR_JOBS))
            if len(self._known) > MOST_FAMILIES:
                self._known.popitem(last=False)
        return known
