"""Results: what completes them, what contradicts them, and whether they are enough."""

from dataclasses import replace
from decimal import Decimal

import pytest

from loadstar.core.results import Goal, Printed, Result, completed
from tests.unit.lives import RESULT


def value(metric: str, text: str) -> Result:
    return Result(((metric, text),))


@pytest.mark.parametrize(
    ("goal", "text", "enough"),
    [
        (Goal("f1", minimum=Decimal("0.95")), "0.95", True),
        (Goal("f1", minimum=Decimal("0.95")), "0.9499999999999999999", False),
        (Goal("f1", minimum=Decimal("0.3")), "0.29999999999999998890", False),
        (Goal("f1", maximum=Decimal("0.1")), "1e-1", True),
        (Goal("f1", maximum=Decimal("0.1")), "0.1000000000000000000000000001", False),
        (Goal("f1", minimum=Decimal(-1)), "-1.0", True),
    ],
)
def test_a_goal_is_compared_digit_by_digit(goal: Goal, text: str, enough: bool) -> None:
    assert (goal.shortfall(value("f1", text)) is None) is enough


def test_a_result_below_its_goal_says_by_what() -> None:
    goal = Goal("accuracy", minimum=Decimal("0.95"))
    assert goal.shortfall(value("accuracy", "0.9")) == "accuracy is 0.9, below the goal of at least 0.95"


def test_a_goal_for_a_metric_that_is_not_there_says_which_are() -> None:
    result = Result((("mse", "1"), ("mae", "2")))
    shortfall = Goal("accuracy", minimum=Decimal(1)).shortfall(result)
    assert shortfall == "the goal needs the metric accuracy, and the result has only: mse, mae"


def test_a_goal_without_a_result_is_not_met() -> None:
    assert "left no result" in (Goal("f1", maximum=Decimal(1)).shortfall(None) or "")


def test_what_was_sent_adds_what_did_not_fit() -> None:
    sent = replace(RESULT, confusion_matrix=((3, 1), (0, 4)), importance=(("age", "0.1"),))
    assert completed(RESULT, sent) == sent


def test_what_was_left_wins_over_what_was_sent() -> None:
    left, sent = replace(RESULT, seed=7, folds=3), replace(RESULT, seed=8, folds=None)
    assert completed(left, sent) == left


def test_what_was_left_may_tell_fewer_metrics_than_what_was_sent() -> None:
    sent = replace(RESULT, metrics=(*RESULT.metrics, ("loss", "1")))
    assert completed(RESULT, sent) == RESULT


@pytest.mark.parametrize(
    "sent",
    [
        replace(RESULT, metrics=(("accuracy", "0.98"),)),
        replace(RESULT, metrics=()),
        replace(RESULT, accuracy=None),
    ],
)
def test_a_record_with_other_metrics_was_not_sent_by_the_same_run(sent: Result) -> None:
    with pytest.raises(ValueError, match="other metrics"):
        completed(RESULT, sent)


def test_one_of_both_is_enough() -> None:
    assert completed(RESULT, None) is completed(None, RESULT) is RESULT
    assert completed(None, None) is None


@pytest.mark.parametrize(("text", "accuracy"), [("0.97", "0.97"), ("1", "1"), ("97", None), ("-0.1", None)])
def test_a_printed_accuracy_stands_out_only_as_a_share(text: str, accuracy: str | None) -> None:
    result = Printed((("loss", "1"), ("accuracy", text))).result()
    assert result is not None
    assert (result.accuracy, result.value("accuracy")) == (accuracy, text)


def test_nothing_printed_is_no_result() -> None:
    assert Printed().result() is None
