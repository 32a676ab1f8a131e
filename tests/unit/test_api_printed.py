"""Metrics in what programs print."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstar.api.printed import LONGEST_LINE, InvalidPattern, compiled, printed_metrics
from loadstar.api.result import MOST_METRICS, Metric


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("accuracy=0.97", [("accuracy", "0.97")]),
        ("epoch 3: loss = 1e-05, val/accuracy=0.9700", [("loss", "1e-05"), ("val/accuracy", "0.9700")]),
        ("2026-11-22T05:00:00Z INFO accuracy=1", [("accuracy", "1")]),
        ("a=+.5 b=-3. c=1.5E3", [("a", "0.5"), ("b", "-3"), ("c", "1.5E3")]),
        (
            '{"accuracy": 0.10000000000000000555, "epoch": 3}',
            [("accuracy", "0.10000000000000000555"), ("epoch", "3")],
        ),
        ('  {"accuracy": "0.97", "model": "mlp", "best": true, "all": [1]}', [("accuracy", "0.97")]),
        ("{accuracy=0.5}", [("accuracy", "0.5")]),
        ("loss=nan accuracy=inf lr= x==1", []),
        ('{"loss": NaN, "accuracy": Infinity, "big": 1e999}', []),
        ("big=1e999", []),
        ("1st=1 a b: 3", []),
        ("\x1b[1;32mloss\x1b[0m=\x1b[31m0.5\x1b[0m", [("loss", "0.5")]),
        ("", []),
    ],
)
def test_a_line_tells_its_metrics(line: str, found: list[tuple[str, str]]) -> None:
    assert list(printed_metrics(line)) == found


def test_the_last_value_of_a_name_wins() -> None:
    assert printed_metrics('accuracy=0.5\nloss=1\n{"accuracy": 0.97}\n') == (
        ("loss", "1"),
        ("accuracy", "0.97"),
    )


def test_a_number_too_long_for_a_status_is_the_nearest_one_that_fits() -> None:
    assert printed_metrics(f"pi=3.{'14159' * 10}") == (("pi", "3.141591415914159"),)


def test_patterns_of_a_user_take_the_place_of_the_others() -> None:
    text = 'accuracy=0.1\n{"loss": 3}\nTop-1: 97.0 (loss: 0.2)'
    patterns = (r"(loss): ([0-9.]+)", r"(Top-1): ([0-9.]+)")
    assert printed_metrics(text, patterns) == (("Top-1", "97.0"), ("loss", "0.2"))


def test_of_too_many_metrics_the_last_are_kept() -> None:
    text = "\n".join(f"m{number}={number}" for number in range(MOST_METRICS + 2))
    found = printed_metrics(text)
    assert (len(found), found[0][0]) == (MOST_METRICS, "m2")


@pytest.mark.parametrize(
    "pattern", ["(a", "a=(1)", "(a)(b)(c)", "(?=a)(b)(c)", r"(a)(b)\1", "((a{1000}){1000})(b)"]
)
def test_a_pattern_that_is_not_two_groups_in_linear_time_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidPattern):
        compiled(pattern)


def test_a_pattern_made_to_run_for_ever_does_not() -> None:
    assert printed_metrics("a" * 16_000 + "!", ("((?:a+)+)+=(a+)$",)) == ()


TEXT = st.text() | st.lists(st.sampled_from(list('a=1.e+-{}": ,\n\r')), max_size=60).map("".join)


@given(TEXT)
def test_whatever_is_printed_a_status_can_hold_what_is_found(text: str) -> None:
    for name, value in printed_metrics(text):
        Metric(name=name, value=value)
        assert math.isfinite(float(value))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_arrives_exactly(number: float) -> None:
    ((_, plain),) = printed_metrics(f"x={number!r}")
    ((_, from_json),) = printed_metrics(json.dumps({"x": number}))
    assert float(plain) == float(from_json) == number


@pytest.mark.parametrize("value", ["1_000", "٣", "0E99999999999999999999"])
def test_numbers_that_only_pythons_decimals_know_are_passed_over(value: str) -> None:
    assert printed_metrics(f'{{"loss": "{value}"}}') == ()


def test_a_number_that_the_end_of_what_is_read_cuts_in_two_is_none() -> None:
    assert printed_metrics("x" * (LONGEST_LINE - len(" loss=1")) + " loss=12.5") == ()
