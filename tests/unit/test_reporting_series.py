"""What is kept of the metrics that jobs report."""

from itertools import pairwise

import pytest

from loadstar.api.curves import MOST_POINTS
from loadstar.reporting.series import Series, less_is_better

_AT = 1_781_233_200.0


def test_the_newest_least_and_greatest_value_keep_their_last_digit() -> None:
    series = Series("loss")
    for second, value in enumerate(["0.30000000000000004", "0.1", "0.10", "7e-1"]):
        series.add(_AT + second, None, value)
    assert (series.latest, series.least, series.greatest) == ("7e-1", "0.1", "7e-1")


@pytest.mark.parametrize(
    ("name", "less"),
    [
        ("loss", True),
        ("eval/val_loss", True),
        ("rmse", True),
        ("accuracy", False),
        ("eval_f1", False),
        ("learning_rate", None),
        ("glossary", None),
    ],
)
def test_what_is_better_is_told_by_a_word_of_the_name(name: str, less: bool | None) -> None:
    assert less_is_better(name) is less


@pytest.mark.parametrize(("name", "best"), [("loss", "1"), ("accuracy", "2"), ("epoch", None)])
def test_the_best_value_is_named_only_where_it_is_known_which_is_better(name: str, best: str | None) -> None:
    series = Series(name)
    for value in ("2", "1"):
        series.add(_AT, None, value)
    assert series.best == best


@pytest.mark.parametrize("count", [1, 2, 199, 200, 201, 1000, 12345])
def test_points_stay_within_bounds_and_reach_from_the_first_to_the_newest(count: int) -> None:
    series = Series("loss")
    for number in range(count):
        series.add(_AT + number, number, str(number))
    points = series.points
    assert len(points) <= MOST_POINTS
    assert len(points) >= min(count, MOST_POINTS // 2)
    assert (points[0], points[-1]) == ((_AT, 0, 0.0), (_AT + count - 1, count - 1, count - 1.0))
    assert points == sorted(points)


def test_after_thinning_points_are_evenly_spaced_but_for_the_newest() -> None:
    series = Series("loss")
    for number in range(5000):
        series.add(_AT + number, None, str(number))
    times = [point[0] for point in series.points]
    assert len({later - earlier for earlier, later in pairwise(times[:-1])}) == 1


def test_points_of_an_earlier_operator_come_first_and_none_twice() -> None:
    series = Series("loss")
    series.add(_AT, None, "3")
    series.precede([(_AT - 2, None, 1.0), (_AT - 1, 7.0, 2.0), (_AT, None, 3.0)])
    assert series.points == [(_AT - 2, None, 1.0), (_AT - 1, 7.0, 2.0), (_AT, None, 3.0)]


def test_a_whole_course_takes_the_place_of_single_reports() -> None:
    series = Series("loss")
    for second, value in ((0.5, "9"), (2.5, "2.0"), (9.0, "4")):
        series.add(_AT + second, None, value)
    series.replace([(_AT + epoch, epoch, value) for epoch, value in enumerate([3.0, 1.0, 2.0], 1)])
    assert series.points == [
        (_AT + 0.5, None, 9.0),
        (_AT + 1, 1, 3.0),
        (_AT + 2, 2, 1.0),
        (_AT + 3, 3, 2.0),
    ]
    assert (series.latest, series.best, series.least, series.greatest) == ("2.0", "1.0", "1.0", "9")


def test_extremes_that_a_course_leaves_out_were_reported_all_the_same() -> None:
    series = Series("loss")
    series.add(_AT + 1, None, "0.10")
    series.replace([(_AT, 1, 0.5), (_AT + 2, 2, 0.25)])
    assert (series.least, series.greatest) == ("0.10", "0.5")


def test_a_course_of_one_point_is_not_preceded_by_what_is_not_older() -> None:
    series = Series("loss")
    series.replace([(_AT, 1, 0.5)])
    series.precede([(_AT - 1, None, 1.0), (_AT, None, 0.5), (_AT + 1, None, 0.25)])
    assert series.points == [(_AT - 1, None, 1.0), (_AT, 1, 0.5)]


@pytest.mark.parametrize("earlier", [0, 1, 150])
def test_a_whole_course_is_kept_to_the_last_point_where_there_is_room(earlier: int) -> None:
    series = Series("loss")
    for second in range(earlier):
        series.add(_AT - 200 + second, None, "5")
    course = [(_AT + epoch, epoch, 1 / (epoch + 1)) for epoch in range(MOST_POINTS)]
    series.replace(course)
    assert len(series.points) == MOST_POINTS if not earlier else len(series.points) <= MOST_POINTS
    assert series.points[-1] == course[-1]
    assert series.points == sorted(series.points)
