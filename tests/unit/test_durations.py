"""How long jobs last, learned from those that ended."""

import pytest

from loadstar.core.durations import Durations
from loadstar.core.jobs import RunPolicy
from loadstar.core.running import GRACE_SECONDS
from tests.builders import NOW, make_job
from tests.queueing import make_running

HOUR = 3600.0


def learned(family: str, *seconds: float) -> Durations:
    durations = Durations()
    for length in seconds:
        durations.learn(family, length)
    return durations


def test_of_a_family_that_nobody_knows_nothing_is_expected() -> None:
    assert Durations().expected("cnn") is None
    assert Durations().at_most("cnn") is None


def test_what_is_usual_is_the_median_of_the_family() -> None:
    assert learned("cnn", 100.0, 200.0, 900.0).expected("cnn") == 200.0


def test_only_jobs_that_lasted_longer_tell_what_is_left() -> None:
    durations = learned("cnn", 10.0, 20.0, 30.0, 400.0, 500.0, 600.0)
    assert durations.expected("cnn", ran=100.0) == 400.0
    assert durations.expected("cnn", ran=550.0) is None


def test_two_ends_are_too_few_to_expect_anything() -> None:
    assert learned("cnn", 100.0, 200.0).expected("cnn") is None


def test_a_new_family_is_expected_to_last_as_all_jobs_do() -> None:
    durations = learned("cnn", *[100.0] * 20)
    assert durations.expected("mlp") == 100.0
    assert learned("cnn", *[100.0] * 19).expected("mlp") is None


def test_a_bound_takes_twenty_ends_and_is_exceeded_by_one_of_twenty() -> None:
    assert learned("cnn", *range(1, 20)).at_most("cnn") is None
    assert learned("cnn", *range(1, 101)).at_most("cnn") == 96.0


def test_the_last_five_hundred_jobs_count() -> None:
    durations = learned("cnn", *[1000.0] * 300, *[10.0] * 500)
    assert durations.at_most("cnn") == 10.0


def test_what_remains_is_the_mean_of_the_last_fifty() -> None:
    durations = learned("cnn", *[9000.0] * 10, *[100.0] * 25, *[300.0] * 25)
    assert durations.remaining("cnn") == 200.0
    assert durations.remaining("cnn", ran=200.0) == 100.0


@pytest.mark.parametrize(("ran", "left"), [(0.0, 600.0), (100.0, 600.0), (5000.0, 5000.0)])
def test_a_job_of_which_nothing_is_known_goes_on_as_long_again(ran: float, left: float) -> None:
    assert Durations().remaining("cnn", ran) == left


def test_a_gang_ends_when_it_says_so() -> None:
    gang = make_running(ran=100.0, ends_at=NOW + 50, job_family="cnn")
    assert learned("cnn", *[HOUR] * 3).end_of(gang, NOW) == NOW + 50
    assert learned("cnn", *[HOUR] * 3).end_of(gang, NOW + 60) == NOW + 60


def test_a_gang_that_says_nothing_ends_as_its_family_does() -> None:
    gang = make_running(ran=100.0, job_family="cnn")
    assert learned("cnn", 500.0, 600.0, 700.0).end_of(gang, NOW) == NOW + 500


def test_a_gang_ends_with_its_deadline_and_the_grace_of_its_pods() -> None:
    gang = make_running(ran=100.0, job_run_policy=RunPolicy(active_deadline=400.0))
    assert Durations().end_of(gang, NOW) == NOW + 300 + GRACE_SECONDS
    assert learned("", *[HOUR] * 3).end_of(gang, NOW) == NOW + 300 + GRACE_SECONDS


def test_when_a_gang_ends_of_which_nothing_is_known_nobody_says() -> None:
    assert Durations().end_of(make_running(), NOW) is None


def test_a_job_is_bounded_by_its_deadline_or_what_its_family_hardly_ever_exceeds() -> None:
    plain = make_job(family="cnn")
    limited = make_job(family="cnn", run_policy=RunPolicy(active_deadline=40.0))
    durations = learned("cnn", *[200.0] * 20)
    assert Durations().bound_of(plain) is None
    assert Durations().bound_of(limited) == 40 + GRACE_SECONDS
    assert durations.bound_of(plain) == 200.0
    assert durations.bound_of(limited) == 40 + GRACE_SECONDS


def test_a_family_of_which_few_started_starts_as_all_do() -> None:
    durations = Durations()
    assert durations.to_start("cnn") == 0.0
    for seconds in (10.0, 20.0, 30.0):
        durations.learn_start("mlp", seconds)
    durations.learn_start("cnn", 500.0)
    assert durations.to_start("cnn") == 30.0
    assert durations.to_start("mlp") == 20.0


# --- what people are told -----------------------------------------------------------------------------------------


def test_people_are_told_nothing_of_a_family_by_what_others_do() -> None:
    durations = learned("cnn/vision", *[HOUR] * 20)
    gang = make_running(job_family="mlp/vision")
    assert durations.end_of(gang, NOW) is not None
    assert durations.usual_end_of(gang, NOW) is None
    assert durations.usual_length_of(gang.job) is None


def test_people_are_told_of_a_new_family_by_its_kind_whoever_owns_it() -> None:
    durations = learned("cnn/vision", *[100.0] * 3)
    assert durations.usual_length_of(make_job(family="cnn/language")) == 100.0
    durations = learned("cnn", *[100.0] * 3)
    assert durations.usual_length_of(make_job(family="mlp")) is None, (
        "a family without an owner is its own kind"
    )


def test_who_is_late_ends_soon_where_its_family_hardly_differs() -> None:
    gang = make_running(job_family="cnn", ran=110.0)
    assert learned("cnn", 100.0, 102.0, 105.0).usual_end_of(gang, NOW) == NOW + 3
    assert learned("cnn", 10.0, 20.0, 105.0).usual_end_of(gang, NOW) == NOW + 85
    assert learned("cnn", 10.0, 20.0, 115.0).usual_end_of(gang, NOW) == NOW + 5


def test_what_a_job_says_of_its_end_and_its_deadline_are_told_of_any_family() -> None:
    assert Durations().usual_end_of(make_running(ends_at=NOW + 300), NOW) == NOW + 300
    limited = make_running(job_run_policy=RunPolicy(active_deadline=500.0), ran=200.0)
    assert Durations().usual_end_of(limited, NOW) == NOW + 300 + GRACE_SECONDS
