"""When waiting jobs are expected to start."""

from typing import Any

import pytest

from loadstar.core import starts
from loadstar.core.durations import Durations
from loadstar.core.jobs import Job
from loadstar.core.plan import Queues
from loadstar.core.running import Running
from tests.builders import NOW, make_job, make_nodes
from tests.queueing import cycle, lasting, make_running


def knowing(**lengths: float) -> Queues:
    durations = Durations()
    for family, seconds in lengths.items():
        for _ in range(3):
            durations.learn(family, seconds)
    return Queues(durations=durations)


def whole(name: str, age: float = 0.0, **changes: Any) -> Job:
    return make_job(name, **{"gpus": 8, "created_at": NOW - age, "family": "cnn", **changes})


def expected(
    jobs: list[Job], nodes: int, running: list[Running], queues: Queues | None = None
) -> dict[str, float | None]:
    offers = cycle(jobs, make_nodes(nodes), running, queues=queues)
    return {job.name: None if (at := offers[job.uid].starts_at) is None else round(at - NOW) for job in jobs}


def test_a_job_starts_when_what_is_in_its_way_says_that_it_ends() -> None:
    running = [make_running(gpus=8, ends_at=NOW + 300)]
    assert expected([whole("a")], 1, running) == {"a": 300}


def test_the_next_one_starts_when_that_one_has_lasted_as_its_family_does() -> None:
    running = [make_running(gpus=8, ends_at=NOW + 300)]
    jobs = [whole("a", 3), whole("b", 2), whole("c", 1)]
    assert expected(jobs, 1, running, knowing(cnn=100.0)) == {"a": 300, "b": 400, "c": 500}


def test_it_has_started_when_its_pods_run_and_the_next_one_waits_no_longer_for_that() -> None:
    running = [make_running(gpus=8, ends_at=NOW + 300)]
    queues = knowing(cnn=100.0)
    for seconds in (20.0, 30.0, 90.0):
        queues.durations.learn_start("cnn", seconds)
    assert expected([whole("a", 2), whole("b", 1)], 1, running, queues) == {"a": 330, "b": 430}


def test_several_nodes_are_worked_off_side_by_side() -> None:
    running = [make_running(f"r{n}", [f"node-{n}"], gpus=8, ends_at=NOW + 100 * (n + 1)) for n in range(2)]
    jobs = [whole(name, 9 - n) for n, name in enumerate("abcd")]
    assert expected(jobs, 2, running, knowing(cnn=1000.0)) == {"a": 100, "b": 200, "c": 1100, "d": 1200}


def test_a_gang_starts_when_the_last_of_its_nodes_is_ready() -> None:
    running = [make_running(f"r{n}", [f"node-{n}"], gpus=8, ends_at=NOW + 100 * (n + 1)) for n in range(3)]
    assert expected([whole("gang", ranks=2)], 3, running) == {"gang": 200}


def test_behind_a_job_of_unknown_length_nobody_can_say() -> None:
    running = [make_running(gpus=8, ends_at=NOW + 300)]
    assert expected([whole("a", 2), whole("b", 1)], 1, running) == {"a": 300, "b": None}


def test_nobody_is_told_a_start_by_how_long_other_families_last() -> None:
    queues = knowing(mlp=100.0)
    for _ in range(20):
        queues.durations.learn("mlp", 100.0)
    assert expected([whole("a", 2)], 1, [make_running(gpus=8, job_family="cnn")], queues) == {"a": None}
    placed_first = [whole("b", 2), whole("c", 1)]
    assert expected(placed_first, 1, [], queues) == {"b": None, "c": None}


def test_what_was_placed_a_moment_ago_is_in_the_way_as_long_as_its_family_lasts() -> None:
    assert expected([whole("a", 2), whole("b", 1)], 1, [], knowing(cnn=100.0)) == {"a": None, "b": 100}


def test_a_job_behind_a_large_gang_starts_before_it_where_it_is_in_nobodys_way() -> None:
    running = [
        make_running("r0", ["node-0"], gpus=8, ends_at=NOW + 900),
        make_running("r1", ["node-1"], gpus=8, ends_at=NOW + 100),
        make_running("r2", ["node-2"], gpus=8, ends_at=NOW + 200),
    ]
    jobs = [whole("gang", 9, ranks=2), whole("single", 1)]
    assert expected(jobs, 3, running, knowing(cnn=50.0)) == {"gang": 200, "single": 250}


def test_a_deadline_bounds_the_wait_for_a_job_of_unknown_length() -> None:
    running = [make_running(gpus=8, ran=100.0, job_run_policy=lasting(500.0))]
    assert expected([whole("a", family="new")], 1, running) == {"a": 400}


def test_a_job_that_can_never_run_is_told_nothing() -> None:
    assert expected([whole("never", gpus=9)], 1, [make_running(ends_at=NOW + 300)]) == {"never": None}


def test_on_a_large_cluster_the_end_of_a_long_queue_is_told_its_position_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(starts, "WORK", 5)
    running = [make_running(gpus=8, ends_at=NOW + 300)]
    jobs = [whole("a", 3), whole("b", 2), whole("c", 1)]
    assert expected(jobs, 1, running, knowing(cnn=100.0)) == {"a": 300, "b": 400, "c": None}
