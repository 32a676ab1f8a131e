"""The order in which waiting jobs are tried."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from loadstar.core.durations import Durations
from loadstar.core.fairshare import Shares
from loadstar.core.jobs import Job, Scheduling
from loadstar.core.queue import Line, Order, size_class
from tests.builders import NOW, make_job

FAMILIES = {"minutes": 60.0, "hours": 7200.0}


def order_of(
    jobs: list[Job],
    shares: Shares | None = None,
    order: Order = Order.FIRST_COME,
    durations: Durations | None = None,
    *,
    charged: bool = True,
) -> list[str]:
    line = Line(jobs, shares or Shares(), durations or Durations(), order)
    names = []
    while (job := line.next()) is not None:
        names.append(job.name)
        line.tried(job, charged=charged)
    return names


def in_group(name: str, group: str, gpus: int = 1, age: float = 0.0, priority: int = 0) -> Job:
    scheduling = Scheduling(queue=group, priority=priority)
    return make_job(name, gpus=gpus, created_at=NOW - age, scheduling=scheduling)


def test_in_a_group_first_come_is_first_served() -> None:
    assert order_of([in_group("late", "a"), in_group("early", "a", age=10)]) == ["early", "late"]


def test_of_jobs_created_together_the_uid_decides() -> None:
    assert order_of([in_group("b", "a"), in_group("a", "a")]) == ["a", "b"]


def test_a_higher_priority_comes_first_whatever_its_group_used() -> None:
    jobs = [in_group("low", "a", age=100), in_group("high", "b", priority=1)]
    assert order_of(jobs, Shares({"b": 1e9})) == ["high", "low"]


def test_the_group_that_used_less_comes_first() -> None:
    jobs = [in_group("early", "a", age=100), in_group("late", "b")]
    assert order_of(jobs, Shares({"a": 10.0, "b": 5.0})) == ["late", "early"]


def test_groups_that_used_alike_take_turns() -> None:
    jobs = [in_group(f"{group}{number}", group, age=100 - number) for group in "ab" for number in range(3)]
    assert order_of(jobs) == ["a0", "b0", "a1", "b1", "a2", "b2"]


def test_a_group_of_twice_the_weight_has_two_turns_of_three() -> None:
    jobs = [in_group(f"{group}{number}", group, age=100 - number) for group in "ab" for number in range(6)]
    names = order_of(jobs, Shares({}, {"a": 2.0}))
    assert [name[0] for name in names[:6]].count("a") == 4


def test_turns_are_counted_in_gpus() -> None:
    jobs = [in_group("a0", "a", gpus=4, age=9), *(in_group(f"b{n}", "b", age=8 - n) for n in range(4))]
    assert order_of([*jobs, in_group("a1", "a", age=1)]) == ["a0", "b0", "b1", "b2", "b3", "a1"]


def test_a_job_that_can_not_run_costs_its_group_no_turn() -> None:
    jobs = [in_group("a0", "a", age=9), in_group("a1", "a", age=8), in_group("b0", "b", age=7)]
    assert order_of(jobs, charged=False) == ["a0", "a1", "b0"]
    assert order_of(jobs) == ["a0", "b0", "a1"]


def test_by_shortest_expected_a_group_begins_with_the_least_work_ahead() -> None:
    durations = Durations()
    for family, seconds in FAMILIES.items():
        for _ in range(3):
            durations.learn(family, seconds)
    jobs = [
        make_job("long", family="hours", created_at=NOW - 9),
        make_job("large", family="minutes", gpus=8, created_at=NOW - 8),
        make_job("small", family="minutes", created_at=NOW),
    ]
    assert order_of(jobs, order=Order.SHORTEST, durations=durations) == ["small", "large", "long"]
    assert order_of(jobs, durations=durations) == ["long", "large", "small"]


def test_size_classes_are_a_factor_of_four_wide() -> None:
    assert [size_class(seconds) for seconds in (0.0, 1.0, 3.9, 4.0, 15.0, 16.5)] == [0, 0, 0, 1, 1, 2]


@st.composite
def waiting(draw: st.DrawFn) -> list[Job]:
    return [
        in_group(
            f"job-{number}",
            draw(st.sampled_from("abc")),
            draw(st.integers(0, 8)),
            draw(st.sampled_from([0.0, 1.0, 2.0])),
            draw(st.integers(0, 2)),
        )
        for number in range(draw(st.integers(0, 12)))
    ]


@settings(deadline=None)
@given(waiting(), st.randoms(use_true_random=False), st.sampled_from(Order))
def test_the_order_does_not_depend_on_how_jobs_are_listed(
    jobs: list[Job], shuffle: random.Random, order: Order
) -> None:
    first = order_of(jobs, order=order)
    assert sorted(first) == sorted(job.name for job in jobs)
    shuffle.shuffle(jobs)
    assert order_of(jobs, order=order) == first
