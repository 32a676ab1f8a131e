"""The life of a job in a small cluster where anything may happen at any time, and the operator may die at any step."""

from collections.abc import Callable
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from loadstar.core.jobs import Phase, RunPolicy
from loadstar.core.pods import EXIT_TERMINATED, EXIT_UNRUNNABLE, Pod, PodPhase
from tests.builders import make_job
from tests.properties.small_cluster import FINISHED, SmallCluster, runs, succeeds

EVENTS = ["run", "succeed", "fail", "refuse", "end", "delete", "vanish", "lose", "stick"]


class Life(RuleBasedStateMachine):
    """Whatever happens, in whatever order; the end is always one that makes sense."""

    @initialize(
        ranks=st.integers(1, 3), backoff_limit=st.integers(0, 2), deadline=st.sampled_from([None, 600.0])
    )
    def begin(self, ranks: int, backoff_limit: int, deadline: float | None) -> None:
        policy = RunPolicy(backoff_limit=backoff_limit, active_deadline=deadline)
        self.at = SmallCluster(make_job(ranks=ranks, run_policy=policy))

    @rule(passes=st.integers(1, 4))
    def operator_works(self, passes: int) -> None:
        for _ in range(passes):
            self.at.work()

    @rule(steps=st.integers(1, 5))
    def operator_dies_after_some_steps(self, steps: int) -> None:
        self.at.crash_at = self.at.steps + steps
        self.at.look()
        self.at.work()

    @rule()
    def operator_restarts(self) -> None:
        self.at.restart()

    @rule()
    def watch_catches_up(self) -> None:
        self.at.look()

    @rule(seconds=st.sampled_from([1.0, 16.0, 400.0]))
    def time_passes(self, seconds: float) -> None:
        self.at.now += seconds

    @rule(room=st.booleans())
    def nodes_come_and_go(self, room: bool) -> None:
        self.at.room = room
        if self.at.state.placement is None:
            self.at.offer = None

    @rule(suspend=st.booleans())
    def user_suspends_or_resumes(self, suspend: bool) -> None:
        job = self.at.job
        if job.suspend is not suspend:
            self.at.job = replace(job, suspend=suspend, generation=job.generation + 1)

    @rule(which=st.integers(0, 5), event=st.sampled_from(EVENTS), seen=st.booleans())
    def something_happens_to_a_pod(self, which: int, event: str, seen: bool) -> None:
        names = sorted(self.at.pods)
        if not names:
            return
        name = names[which % len(names)]
        if event == "vanish":
            self.at.remove(name)
        else:
            self.at.change(name, lambda pod: happened(pod, event, self.at.now))
        if seen:
            self.at.look()
            self.at.work()

    @rule()
    def gang_gets_to_run(self) -> None:
        self.at.end_deleted()
        self.at.settle()
        for pod in self.at.living:
            self.at.change(pod.name, runs)
        self.at.settle()

    @invariant()
    def what_must_always_hold(self) -> None:
        if hasattr(self, "at"):
            self.at.check()

    def teardown(self) -> None:
        """With a cluster that behaves from now on, the job comes to its end, and then there is silence."""
        if not hasattr(self, "at"):
            return
        at = self.at
        at.room, at.offer, at.crash_at = True, None, None
        at.job = replace(at.job, suspend=False)
        for _ in range(12):
            at.end_deleted()
            at.settle()
            at.check()
            at.now += 400.0
            for pod in at.living:
                at.change(pod.name, lambda pod: succeeds(replace(pod, node_lost=False)))
        at.end_deleted()
        at.settle()
        assert at.state.phase in FINISHED, at.state
        assert not at.living
        steps, phase = at.steps, at.state.phase
        at.pods.clear()
        at.restart()
        at.settle()
        assert at.steps == steps, "a finished job at rest is written again"
        assert at.state.phase is phase


def happened(pod: Pod, event: str, now: float) -> Pod:
    """The pod after an event; a pod that has ended stays as it is, and only one that waits can be stuck."""
    if pod.terminal or (event == "stick" and pod.phase is not PodPhase.PENDING):
        return pod
    changes: dict[str, Callable[[], Pod]] = {
        "run": lambda: runs(pod),
        "succeed": lambda: succeeds(pod),
        "delete": lambda: replace(pod, deleting=True),
        "lose": lambda: replace(pod, node_lost=True),
        "stick": lambda: replace(pod, unschedulable_since=now),
        "fail": lambda: _exits(pod, 1, now),
        "refuse": lambda: _exits(pod, EXIT_UNRUNNABLE, now),
        "end": lambda: _exits(pod, EXIT_TERMINATED, now),
    }
    return changes[event]()


def _exits(pod: Pod, code: int, now: float) -> Pod:
    return replace(pod, phase=PodPhase.FAILED, exit_code=code, finished_at=now)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=150, stateful_step_count=40)


# --- every single crash of one known life ------------------------------------------------------------------------


def whole_life(crashes: set[int]) -> SmallCluster:
    """A gang of two whose second rank fails once, then loses its node, then trains to its end.

    The operator dies after each of the steps in `crashes`, counted over the whole life.
    """
    at = SmallCluster(make_job(ranks=2))
    left = sorted(crashes)
    troubles = ["fail", "lose"]
    for _ in range(200):
        at.crash_at = next((step for step in left if step > at.steps), None)
        at.look()
        at.work()
        at.check()
        at.end_deleted()
        if at.state.phase in FINISHED:
            return at
        for pod in at.living:
            if pod.phase is PodPhase.PENDING:
                at.change(pod.name, runs)
        if at.state.phase is Phase.RUNNING:
            _trouble(at, troubles)
        at.now += 15.0
    raise AssertionError(f"the life has no end: {at.state}")


def _trouble(at: SmallCluster, troubles: list[str]) -> None:
    """The next thing that happens to a gang that runs."""
    if at.state.attempt > 2:
        for pod in at.living:
            at.change(pod.name, succeeds)
    elif at.state.attempt == 3 - len(troubles):
        [last] = [pod for pod in at.living if pod.rank == 1]
        if troubles.pop(0) == "fail":
            at.change(last.name, lambda pod: happened(pod, "fail", at.now))
        else:
            at.change(last.name, lambda pod: replace(pod, node_lost=True))


UNDISTURBED = whole_life(set())


def test_the_known_life_goes_as_it_should() -> None:
    state = UNDISTURBED.state
    assert (state.phase, state.attempt) == (Phase.SUCCEEDED, 3)
    assert (state.restarts_counted, state.restarts_infrastructure) == (1, 1)


def outcome(at: SmallCluster) -> tuple[object, ...]:
    state = at.state
    return state.phase, state.attempt, state.restarts_counted, state.restarts_infrastructure, at.created


@pytest.mark.parametrize("step", range(1, UNDISTURBED.steps + 1))
def test_a_crash_after_any_single_step_changes_nothing_in_the_end(step: int) -> None:
    assert outcome(whole_life({step})) == outcome(UNDISTURBED)


def test_two_crashes_at_any_two_steps_change_nothing_in_the_end() -> None:
    steps = range(1, UNDISTURBED.steps + 1)
    for first in steps:
        for second in steps:
            if first < second:
                assert outcome(whole_life({first, second})) == outcome(UNDISTURBED), (first, second)
