from datetime import UTC, datetime

import pytest

from loadstar.clients.retry import Retry, parse_retry_after

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
LONGEST_JITTER = Retry(uniform=lambda _, high: high)


def test_delays_double_up_to_the_longest() -> None:
    retry = Retry(attempts=9, patience=100, uniform=lambda _, high: high)
    assert [retry.delay(attempt, elapsed=0) for attempt in range(1, 9)] == [
        0.1,
        0.2,
        0.4,
        0.8,
        1.6,
        3.2,
        5.0,
        5.0,
    ]


def test_the_last_attempt_is_not_followed_by_another() -> None:
    assert LONGEST_JITTER.delay(5, elapsed=0) is None
    assert LONGEST_JITTER.delay(4, elapsed=0) is not None


def test_the_servers_wish_is_a_least_delay() -> None:
    assert LONGEST_JITTER.delay(1, elapsed=0, retry_after=7) == pytest.approx(7.1)


def test_no_delay_starts_that_would_outlast_patience() -> None:
    assert LONGEST_JITTER.delay(1, elapsed=29.95) is None
    assert LONGEST_JITTER.delay(1, elapsed=0, retry_after=3600) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param("7", 7.0, id="seconds"),
        pytest.param(" 0 ", 0.0, id="nothing to wait for"),
        pytest.param("Sun, 22 Nov 2026 12:01:30 GMT", 90.0, id="HTTP date"),
        pytest.param("Sun, 22 Nov 2026 12:01:30 -0000", 90.0, id="HTTP date without a zone"),
        pytest.param("Sun, 22 Nov 2026 11:00:00 GMT", 0.0, id="HTTP date gone by"),
        pytest.param("soon", None, id="a word"),
        pytest.param("-3", None, id="negative"),
        pytest.param("", None, id="empty"),
        pytest.param(None, None, id="absent"),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, NOW) == seconds
