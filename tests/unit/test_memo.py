"""Values per row are worked out once, and again only for the rows that changed."""

import numpy as np
from numpy.typing import NDArray

from loadstar.core.memo import RowMemo


class Counted:
    """Rows times a question, with a record of the rows that were asked for."""

    def __init__(self) -> None:
        self.values = np.arange(4.0)
        self.asked: list[list[int]] = []

    def __call__(self, factor: int, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        self.asked.append(rows.tolist())
        return self.values[rows] * factor


def test_a_question_is_worked_out_for_all_rows_once() -> None:
    source = Counted()
    memo: RowMemo[int] = RowMemo(4, source)
    assert memo.of(2).tolist() == memo.of(2).tolist() == [0, 2, 4, 6]
    assert source.asked == [[0, 1, 2, 3]]


def test_only_changed_rows_are_worked_out_again() -> None:
    source = Counted()
    memo: RowMemo[int] = RowMemo(4, source)
    memo.of(2)
    source.values[3] = 10
    memo.changed(3)
    memo.changed(3)
    assert memo.of(2).tolist() == [0, 2, 4, 20]
    assert source.asked == [[0, 1, 2, 3], [3]]


def test_each_question_keeps_its_own_place_among_the_changes() -> None:
    source = Counted()
    memo: RowMemo[int] = RowMemo(4, source)
    memo.of(1)
    memo.changed(0)
    memo.of(2)
    memo.changed(1)
    memo.of(1)
    memo.of(2)
    assert source.asked == [[0, 1, 2, 3], [0, 1, 2, 3], [0, 1], [1]]
