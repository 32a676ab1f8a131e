"""What nodes get back from running gangs, and when."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from loadstar.core.release import FITS_NOW, NO_GANG, Entries, earliest

COLUMNS = 3
NOW = 100.0


def entries(*ranks: tuple[int, tuple[int, ...], float]) -> Entries:
    """(node, what it holds, when it ends) of each rank, each a gang of its own."""
    return Entries.of(
        np.array([row for row, _, _ in ranks], dtype=np.intp),
        np.array([amount for _, amount, _ in ranks], dtype=np.int64).reshape(-1, COLUMNS),
        np.array([end for *_, end in ranks]),
        np.arange(len(ranks), dtype=np.intp),
    )


amounts = st.tuples(*[st.integers(0, 4)] * COLUMNS)
held = st.lists(
    st.tuples(st.integers(0, 3), amounts, st.sampled_from([50.0, 200.0, 300.0, np.inf])), max_size=10
)


@settings(deadline=None)
@given(held, st.lists(amounts, min_size=4, max_size=4), amounts)
def test_a_node_is_ready_when_enough_of_what_runs_there_has_ended(
    ranks: list[tuple[int, tuple[int, ...], float]], free: list[tuple[int, ...]], asked: tuple[int, ...]
) -> None:
    known, room = entries(*ranks), np.array(free, dtype=np.int64)
    found = known.first_fit(room, np.array(asked))
    times = known.times(found, NOW)
    for row in range(4):
        ends = sorted({NOW, *(max(end, NOW) for node, _, end in ranks if node == row)})
        ready = [at for at in ends if (given_back(ranks, row, at) + room[row] >= asked).all()]
        assert times[row] == (ready[0] if ready else np.inf)
        assert (found[row] == FITS_NOW) == bool((room[row] >= asked).all())


def given_back(ranks: list[tuple[int, tuple[int, ...], float]], row: int, by: float) -> np.ndarray:
    return sum(
        (np.array(amount) for node, amount, end in ranks if node == row and max(end, NOW) <= by),
        start=np.zeros(COLUMNS, dtype=np.int64),
    )


def test_what_is_given_back_by_a_time_counts_all_that_ended_by_then() -> None:
    known = entries(
        (1, (1, 0, 0), 200.0), (1, (2, 0, 0), 300.0), (1, (4, 0, 0), np.inf), (2, (8, 0, 0), 200.0)
    )
    assert known.given_back(1, by=300.0, found=FITS_NOW).tolist() == [3, 0, 0]
    assert known.given_back(1, by=NOW, found=2).tolist() == [7, 0, 0]
    assert known.given_back(0, by=np.inf, found=FITS_NOW).tolist() == [0, 0, 0]


def test_what_was_placed_since_is_added() -> None:
    known = entries((1, (1, 0, 0), 200.0)).with_([(np.array([0, 1]), np.array([2, 0, 0]), 150.0)])
    assert known.rows.tolist() == [0, 1, 1]
    assert known.ends.tolist() == [150.0, 150.0, 200.0]
    assert known.gangs.tolist() == [NO_GANG, NO_GANG, 0]


def test_a_gang_that_is_ended_goes_by_then_at_the_latest() -> None:
    known = entries((0, (1, 0, 0), 200.0), (0, (2, 0, 0), 120.0), (1, (4, 0, 0), np.inf))
    ended = known.ending({0, 2}, by=160.0)
    assert dict(zip(ended.gangs.tolist(), ended.ends.tolist(), strict=True)) == {0: 160.0, 1: 120.0, 2: 160.0}
    assert ended.ends[:2].tolist() == [120.0, 160.0], "sorted by the new ends"


def test_what_is_free_once_some_gangs_are_gone() -> None:
    known = entries((0, (1, 0, 0), 200.0), (0, (2, 0, 0), 300.0), (1, (4, 0, 0), np.inf))
    free = np.zeros((2, COLUMNS), dtype=np.int64)
    assert known.gone(free, {0, 2})[:, 0].tolist() == [1, 4]
    assert not free.any()


def test_nodes_that_are_ready_first_are_taken_and_of_unknown_ones_the_emptiest() -> None:
    free = np.array([[1, 9, 9], [0, 9, 9], [3, 9, 9], [2, 9, 9]])
    times = np.array([np.inf, 200.0, np.inf, np.inf])
    asked, everywhere = np.array([4, 1, 0]), np.arange(4)
    assert earliest(times, free, asked, everywhere, 3).tolist() == [1, 2, 3]
    assert earliest(times, free, asked, everywhere[:1], 3).tolist() == [0]
