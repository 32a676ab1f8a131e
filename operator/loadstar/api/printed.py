"""Metrics in what a program printed: `accuracy=0.97`, lines that are JSON objects, or by a user's own patterns.

All of it is text out of a user's container. Patterns are matched by RE2, in time linear in the text: no pattern and no
text can hold the operator up.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final

import re2

from loadstar.api.result import MOST_METRICS
from loadstar.api.schema import LONGEST_DECIMAL, is_decimal, is_metric_name

NAME_AND_VALUE: Final = r"([\w|/.-]+)\s*=\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
"""What Katib reads, too; a name may have / and . in it, so that val/accuracy is not taken for accuracy."""
LONGEST_LINE: Final = 16 * 1024
"""Characters of one line that are looked at: a kubelet splits lines there, too."""
LARGEST_PATTERN_BYTES: Final = 1 << 20
"""Memory that one compiled pattern may take."""

_COLOURS: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
"""What terminals are sent between words; it would become part of a name."""

_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
"""Decimal takes the digits of all scripts, and 1_000, too."""

Metrics = tuple[tuple[str, str], ...]


class InvalidPattern(ValueError):
    """The text is no regular expression with two groups, or too large a one."""


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Any:
    """The pattern as RE2 matches it. Raises InvalidPattern."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = LARGEST_PATTERN_BYTES
    try:
        program = re2.compile(pattern, options)
    except re2.error as error:
        raise InvalidPattern(f"{pattern!r} is no RE2 regular expression: {error}") from None
    if program.groups != 2:
        raise InvalidPattern(f"{pattern!r} has {program.groups} groups; it needs two, for name and value")
    return program


def printed_metrics(text: str, patterns: Sequence[str] = ()) -> Metrics:
    """The last value of each metric in `text`, in the order in which they were printed last.

    Values that are no finite numbers are passed over. Of more metrics than a status holds, the last ones are kept.
    """
    found: dict[str, str] = {}
    for line in _COLOURS.sub("", text).splitlines():
        for name, value in _pairs(_bounded(line), patterns):
            number = _exact(value)
            if number is not None and is_metric_name(name):
                found.pop(name, None)
                found[name] = number
    return tuple(found.items())[-MOST_METRICS:]


def _bounded(line: str) -> str:
    """The line up to LONGEST_LINE, cut between words: half a number is another number."""
    return line if len(line) <= LONGEST_LINE else " ".join(line[:LONGEST_LINE].rsplit(maxsplit=1)[:-1])


def _pairs(line: str, patterns: Sequence[str]) -> Iterator[tuple[str, str]]:
    if patterns:
        yield from _matches(line, patterns)
        return
    document = _json_object(line)
    if document is None:
        yield from _matches(line, (NAME_AND_VALUE,))
        return
    yield from ((name, value) for name, value in document.items() if isinstance(value, str))


def _matches(line: str, patterns: Iterable[str]) -> Iterator[tuple[str, str]]:
    """In the order in which they stand in the line, whichever pattern finds them."""
    matches = [match for pattern in patterns for match in compiled(pattern).finditer(line)]
    for match in sorted(matches, key=lambda match: match.start()):
        name, value = match.groups()
        if name and value:
            yield name.strip(), value.strip()


def _json_object(line: str) -> dict[str, Any] | None:
    """The line as a JSON object with its numbers as the text that they were written in."""
    if not line.lstrip().startswith("{"):
        return None
    try:
        document = json.loads(line, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _exact(text: str) -> str | None:
    """The number as a status holds it; the same text wherever that is possible."""
    try:
        number = Decimal(text) if _NUMBER.fullmatch(text) else None
    except InvalidOperation:  # an exponent beyond all bounds
        return None
    if number is None:
        return None
    if not number.is_finite() or not math.isfinite(float(number)):
        return None
    if is_decimal(text):
        return text
    written = str(number)
    return written if len(written) <= LONGEST_DECIMAL else repr(float(number))
