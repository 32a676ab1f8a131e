"""When and how long to wait before the same call is made again."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class Retry:
    """Exponential back-off with full jitter, bounded in number and in time.

    Full jitter (any delay between nothing and the bound) spreads the callers that one outage has lined up.
    """

    attempts: int = 5
    """Calls in all, the first included."""
    first: float = 0.1
    """Upper bound of the first delay, seconds; doubled for each further one."""
    longest: float = 5.0
    """Upper bound of any delay of our own choice, seconds."""
    patience: float = 30.0
    """No delay starts that would end later than this many seconds after the first call."""
    uniform: Callable[[float, float], float] = random.uniform

    def delay(self, attempt: int, elapsed: float, retry_after: float | None = None) -> float | None:
        """Seconds to wait after failed call number `attempt` (from 1), None to give up.

        The server's `Retry-After` is a least delay: our jitter is added on top of it.
        """
        if attempt >= self.attempts:
            return None
        wait = self.uniform(0.0, min(self.longest, self.first * 2 ** (attempt - 1))) + (retry_after or 0.0)
        return None if elapsed + wait > self.patience else wait


def parse_retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a `Retry-After` header asks for: a number or an HTTP date; None where it says nothing."""
    if not header:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:  # an HTTP date is always GMT, also where it says "-0000"
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
