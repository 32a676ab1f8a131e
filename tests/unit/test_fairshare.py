"""Fair shares by used GPU-seconds."""

import math

import pytest

from loadstar.core.fairshare import Shares, Usage
from tests.builders import NOW
from tests.queueing import make_running

HALF_LIFE = 1000.0
TAU = HALF_LIFE / math.log(2)


def make_usage(**weights: float) -> Usage:
    return Usage(weights, HALF_LIFE)


def test_a_short_use_is_worth_its_gpu_seconds() -> None:
    usage = make_usage()
    usage.settle("a", "research", 8, (NOW - 1, NOW))
    assert usage.of("research", NOW) == pytest.approx(8.0, rel=1e-3)


def test_use_is_worth_half_one_half_life_later() -> None:
    usage = make_usage()
    usage.settle("a", "research", 8, (NOW - 100, NOW))
    assert usage.of("research", NOW + HALF_LIFE) == pytest.approx(usage.of("research", NOW) / 2)


def test_a_gpu_in_use_for_ever_comes_to_the_time_constant() -> None:
    usage = make_usage()
    usage.settle("a", "research", 1, (NOW - 100 * HALF_LIFE, NOW))
    assert usage.of("research", NOW) == pytest.approx(TAU)


def test_an_attempt_counts_once_however_often_it_is_told() -> None:
    usage = make_usage()
    for _ in range(3):
        usage.settle(("job", 1), "research", 8, (NOW - 100, NOW))
    once = make_usage()
    once.settle(("job", 1), "research", 8, (NOW - 100, NOW))
    assert usage.of("research", NOW) == once.of("research", NOW)


def test_the_books_are_the_same_in_whatever_order_they_are_told() -> None:
    spans = [(NOW - 900, NOW - 100), (NOW - 500, NOW), (NOW - 3000, NOW - 2000)]
    first, second = make_usage(), make_usage()
    for number, span in enumerate(spans):
        first.settle(number, "research", 2, span)
    for number, span in reversed(list(enumerate(spans))):
        second.settle(number, "research", 2, span)
    assert first.of("research", NOW) == pytest.approx(second.of("research", NOW))


def test_devices_that_were_idle_half_of_the_time_count_half() -> None:
    usage = make_usage()
    usage.settle("a", "busy", 8, (NOW - 100, NOW))
    usage.settle("b", "idle", 8, (NOW - 100, NOW), activity=0.5)
    assert usage.of("idle", NOW) == usage.of("busy", NOW) / 2


def test_what_a_group_holds_now_counts_as_if_it_went_on() -> None:
    gang = make_running(gpus=4, ran=0.0)
    assert make_usage().shares([gang], NOW).of("research") == pytest.approx(4 * TAU)


def test_what_a_running_gang_used_counts_too() -> None:
    young, old = make_running(gpus=4, ran=0.0), make_running(gpus=4, ran=HALF_LIFE)
    more = make_usage().shares([old], NOW).of("research") - make_usage().shares([young], NOW).of("research")
    assert more == pytest.approx(4 * TAU / 2)


def test_a_gang_that_is_being_ended_holds_nothing() -> None:
    gang = make_running(gpus=4, ran=0.0, ending=True)
    assert make_usage().shares([gang], NOW).of("research") == 0.0


def test_a_group_of_twice_the_weight_may_use_twice_as_much() -> None:
    usage = make_usage(large=2.0)
    usage.settle("a", "large", 8, (NOW - 100, NOW))
    usage.settle("b", "small", 4, (NOW - 100, NOW))
    shares = usage.shares([], NOW)
    assert shares.of("large") == pytest.approx(shares.of("small"))


def test_who_gets_gpus_is_charged_at_once() -> None:
    shares = Shares({}, {"research": 2.0}, per_gpu=10.0)
    shares.charge("research", 4)
    assert shares.of("research") == 20.0


def test_old_attempts_are_forgotten_with_their_worth() -> None:
    usage = make_usage()
    for number in range(100):
        usage.settle(number, "research", 1, (NOW + number * HALF_LIFE, NOW + number * HALF_LIFE + 1))
    assert len(usage._told) < 25
