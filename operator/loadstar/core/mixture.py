"""The mix of experts: who was right before counts for more, node by node and horizon by horizon.

Weights are exponential in what each expert's advice would have saved, as in Bernstein Online Aggregation
(Wintenberger 2017), with its learning rate 1/√(Σ saved²) per expert, its gradient trick (the mix is judged against
the best *combination* of experts, not only the best one) and a discount, so that old merits fade:

    saved_k = sgn(mix - y)·(mix - expert_k)          the slope of |mix - y|, times the way to expert k
    w_k ∝ prior_k · exp( TRUST · Σ saved_k / √(Σ saved_k²) )

The exponent is a t statistic: free of the load's unit, and around zero for an expert who only guesses. What happens
now is known of short horizons long before it is of far ones, so each horizon lends its merits to the next: fully
where that one has seen no differences worth speaking of (a new node, or one that leaves a long quiet).
"""

from typing import Final

import numpy as np

from loadstar.core.columns import Columns, Floats, Rows, empty, settle
from loadstar.core.experts import EXPERTS, HORIZONS

DISCOUNT: Final = np.float32(0.998)
"""Per step: some four hours at 30 s."""
TRUST: Final = np.float32(2.0)
PRIOR: Final = np.array([0.5] + [0.5 / (len(EXPERTS) - 1)] * (len(EXPERTS) - 1), np.float32)
"""Half for the last value: until something is known, a load stays what it is."""
LENT: Final = np.float32(30.0)
"""Own evidence, in steps as stirring as the last ones of the shorter horizon, that counts for as much as what that one
lends."""
RECENT: Final = np.float32(0.1)
"""Rate per step of the running mean that tells how stirring the last steps were."""

_LOG_PRIOR: Final = np.log(PRIOR)[:, None, None]
_TINY: Final = np.float32(1e-30)


class Mixture(Columns):
    """What each expert's advice has saved so far, for one signal."""

    def __init__(self) -> None:
        self._saved = empty(len(EXPERTS), len(HORIZONS))
        self._squares = empty(len(EXPERTS), len(HORIZONS))
        self._recent = empty(len(HORIZONS))

    def learn(self, rows: Rows, mix: Floats, advice: Floats, y: Floats, evidence: Floats) -> None:
        """`y` came where `mix` (horizons, nodes) was forecast on `advice` (experts, horizons, nodes).

        `evidence` (horizons, nodes) is in steps: 0 where nothing was forecast, less than 1 for samples that come
        faster than one per step and so tell little anew. Overwrites `advice`.
        """
        decay = 1 - (1 - DISCOUNT) * evidence
        away = np.subtract(mix, advice, out=advice)
        saved, squares = self._saved[..., rows], self._squares[..., rows]
        recent = self._recent[:, rows]
        saved *= decay
        saved += away * (np.sign(mix - y) * evidence)
        away *= away
        away *= evidence
        squares *= decay
        squares += away
        recent += RECENT * (away.sum(axis=0) - recent * evidence)
        settle(self._saved, rows, saved)
        settle(self._squares, rows, squares)
        settle(self._recent, rows, recent)

    def weights(self, rows: Rows) -> Floats:
        """The weight of each expert, (experts, horizons, nodes); they sum to 1 over the experts."""
        squares = self._squares[..., rows] + _TINY
        merits = TRUST * self._saved[..., rows]
        merits /= np.sqrt(squares)
        stirring = LENT * np.maximum.accumulate(self._recent[:-1, rows])
        lent = stirring / (stirring + squares[:, 1:].sum(axis=0))
        for h in range(1, len(HORIZONS)):
            merits[:, h] += lent[h - 1] * merits[:, h - 1]
        merits += _LOG_PRIOR
        merits -= merits.max(axis=0)
        np.exp(merits, out=merits)
        merits /= merits.sum(axis=0)
        return merits
