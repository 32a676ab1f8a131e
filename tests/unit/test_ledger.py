"""Which gangs count: those placed, and those that ended so lately that metrics still show them."""

from dataclasses import replace

from loadstar.core.families import Families
from loadstar.core.jobs import Hindsight
from loadstar.core.ledger import Ledger
from tests.builders import NOW, make_job, make_placement

JOB = make_job("a", family="mlp/ann", gpus=2)
PLACED = make_placement(2)


def ledger_with_one() -> Ledger:
    ledger = Ledger()
    ledger.follow([(JOB, PLACED)], [], NOW)
    return ledger


def test_every_rank_of_a_placed_gang_is_a_commitment() -> None:
    found = ledger_with_one().commitments(NOW)
    assert [one.node for one in found] == ["node-0", "node-1"]
    assert {(one.request, one.decided_at, one.family) for one in found} == {(JOB.request, NOW, "mlp/ann")}
    assert {one.ended_at for one in found} == {None}


def test_a_gang_that_runs_on_is_one_gang() -> None:
    ledger = ledger_with_one()
    ledger.follow([(JOB, PLACED)], [], NOW + 10)
    assert len(ledger) == 1


def test_a_time_that_was_rounded_on_its_way_through_a_status_is_the_same_gang() -> None:
    ledger = Ledger()
    ledger.follow([(JOB, make_placement(decided_at=NOW + 0.12345678))], [], NOW)
    ledger.follow([(JOB, make_placement(decided_at=NOW + 0.123457))], [], NOW)
    assert [gang.ended_at for gang in ledger] == [None]


def test_a_gang_that_is_gone_without_a_word_is_a_ghost_since_then() -> None:
    ledger = ledger_with_one()
    ledger.follow([], [], NOW + 600)
    assert {one.ended_at for one in ledger.commitments(NOW + 610)} == {NOW + 600}


def test_a_finished_job_is_a_ghost_since_its_end_also_after_a_restart() -> None:
    ledger = Ledger()
    ledger.follow([], [(JOB, PLACED, NOW + 500)], NOW + 510)
    assert {one.ended_at for one in ledger.commitments(NOW + 510)} == {NOW + 500}


def test_another_attempt_is_another_gang() -> None:
    ledger = ledger_with_one()
    ledger.follow([(JOB, make_placement(decided_at=NOW + 60))], [], NOW + 60)
    assert sorted((one.decided_at, one.ended_at or 0.0) for one in ledger.commitments(NOW + 60)) == [
        (NOW, NOW + 60),
        (NOW, NOW + 60),
        (NOW + 60, 0.0),
    ]


def test_a_gang_long_in_sight_is_no_commitment_any_more_but_not_forgotten() -> None:
    ledger = Ledger()
    ledger.follow([(JOB, PLACED)], [], NOW, started={JOB.uid})
    assert ledger.commitments(NOW + 105 + 60 + 240 + 299) != []
    assert ledger.commitments(NOW + 105 + 60 + 240 + 301) == []
    assert len(ledger) == 1


def test_what_does_not_run_yet_cannot_be_in_sight_however_long_it_takes() -> None:
    ledger = ledger_with_one()
    assert [one.lag for one in ledger.commitments(NOW + 5000)] == [5000.0, 5000.0]
    ledger.follow([(JOB, PLACED)], [], NOW + 5000, started={JOB.uid})
    assert [one.lag for one in ledger.commitments(NOW + 5100)] == [5000.0, 5000.0]


def test_a_family_that_is_slow_to_start_is_committed_for_longer() -> None:
    families = Families()
    for _ in range(1000):
        families.learn_lag("mlp/ann", 800.0)
    ledger = Ledger(families)
    ledger.follow([(JOB, PLACED)], [], NOW, started={JOB.uid})
    assert ledger.commitments(NOW + 1000) != []


def test_what_ended_is_forgotten_once_nothing_asks_for_it() -> None:
    ledger = ledger_with_one()
    ledger.follow([], [], NOW + 10)
    ledger.follow([], [], NOW + 10 + 90 + 300)
    assert len(ledger) == 1
    ledger.follow([], [], NOW + 300 + 300 + 1)
    assert len(ledger) == 0


def test_what_was_judged_before_is_not_judged_again() -> None:
    ledger = Ledger()
    ledger.follow([(JOB, replace(PLACED, hindsight=Hindsight(NOW, 0.5, 0.0, 0.0, 1.0, 0.0)))], [], NOW)
    assert [gang.judged for gang in ledger] == [True]
