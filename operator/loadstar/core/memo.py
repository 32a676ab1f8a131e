"""Values per node and question, recomputed only for the nodes that changed since the question was last asked."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]
Values = NDArray[np.float64]
Question = TypeVar("Question", bound=Hashable)


class RowMemo(Generic[Question]):
    """Remembers `evaluate(question, rows)` for every row; `changed(row)` makes that row's values outdated.

    A placement changes one node, so that the next question costs as much as the few nodes that changed since the
    same question was asked, not as much as the cluster. It keeps every change, so one lives as long as a run or a
    snapshot.
    """

    def __init__(self, rows: int, evaluate: Callable[[Question, Rows], Values]) -> None:
        """`evaluate` gives one row of values for each of `rows`: shape (len(rows),) or (len(rows), columns)."""
        self._all: Rows = np.arange(rows)
        self._evaluate = evaluate
        self._changes: list[int] = []
        self._known: dict[Question, tuple[Values, int]] = {}

    def changed(self, row: int) -> None:
        """What is known of this row no longer holds."""
        self._changes.append(row)

    def of(self, question: Question) -> Values:
        """The values of all rows: the memo's own array, to be read only and until the next call."""
        now = len(self._changes)
        if question not in self._known:
            values = self._evaluate(question, self._all)
        else:
            values, seen = self._known[question]
            if seen < now:
                rows = self._outdated(seen)
                values[rows] = self._evaluate(question, rows)
        self._known[question] = values, now
        return values

    def _outdated(self, since: int) -> Rows:
        changes = self._changes[since:]
        if len(changes) >= len(self._all):
            return self._all
        return np.array(sorted(set(changes)), dtype=np.intp)
