"""When whose progress is written, and what senders may do in how little time: pure, `now` is given."""

from itertools import pairwise

from loadstar.reporting.limits import Buckets, Rate
from loadstar.reporting.pace import Pace

# --- pace ------------------------------------------------------------------------------------------------------


def test_the_first_wish_is_met_at_once_and_later_ones_once_per_interval() -> None:
    pace: Pace[str] = Pace(5.0)
    pace.wish("a", 100.0)
    assert pace.take(100.0) == ["a"]
    for now in (101.0, 102.0, 104.9):
        pace.wish("a", now)
        assert pace.take(now) == []
    assert pace.next() == 105.0
    assert pace.take(105.0) == ["a"]
    assert pace.next() is None


def test_after_a_pause_a_wish_is_met_at_once() -> None:
    pace: Pace[str] = Pace(5.0)
    pace.wish("a", 100.0)
    pace.take(100.0)
    pace.wish("a", 200.0)
    assert pace.take(200.0) == ["a"]


def test_keys_do_not_wait_for_each_other() -> None:
    pace: Pace[str] = Pace(5.0)
    pace.wish("a", 100.0)
    pace.take(100.0)
    pace.wish("a", 101.0)
    pace.wish("b", 101.0)
    assert pace.take(101.0) == ["b"]


def test_a_write_that_failed_comes_again_without_waiting_for_the_interval() -> None:
    pace: Pace[str] = Pace(5.0)
    pace.wish("a", 100.0)
    pace.take(100.0)
    pace.wish("a", 100.5)
    pace.again("a", 101.0)
    assert pace.take(101.0) == ["a"]


def test_of_two_times_the_earlier_counts_and_the_later_brings_nothing_again() -> None:
    pace: Pace[str] = Pace(5.0)
    pace.wish("a", 100.0)
    pace.take(100.0)
    pace.wish("a", 101.0)
    pace.again("a", 102.0)
    assert pace.take(102.0) == ["a"]
    assert (pace.take(1000.0), pace.next(), pace.wished()) == ([], None, [])


def test_what_is_forgotten_does_not_come_up() -> None:
    pace: Pace[str] = Pace(5.0)
    pace.wish("a", 100.0)
    pace.wish("b", 101.0)
    pace.forget("a")
    assert (pace.next(), pace.take(200.0), set(pace.known())) == (101.0, ["b"], {"b"})


def test_what_begins_together_comes_up_one_after_the_other_and_stays_apart() -> None:
    pace: Pace[int] = Pace(5.0)
    came_up: dict[int, list[float]] = {key: [] for key in range(200)}
    for tick in range(3000):
        now = 100.0 + tick / 100
        for key in came_up:
            pace.wish(key, now)
        taken = pace.take(now)
        assert len(taken) <= 5
        for key in taken:
            came_up[key].append(now)
    for times in came_up.values():
        assert times[0] <= 105.0
        assert all(4.99 <= later - earlier <= 5.1 for earlier, later in pairwise(times))


# --- limits ----------------------------------------------------------------------------------------------------


def test_an_allowance_is_spent_at_once_and_comes_back_slowly() -> None:
    buckets: Buckets[str] = Buckets(Rate(2.0, 3))
    assert [buckets.take("a", 10.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert buckets.take("b", 10.0) == 0.0
    assert buckets.take("a", 10.5) == 0.0


def test_allowances_are_remembered_in_bounds() -> None:
    buckets: Buckets[int] = Buckets(Rate(1.0, 1), remembered=10)
    for key in range(100):
        buckets.take(key, 0.0)
    assert len(buckets._buckets) == 10
