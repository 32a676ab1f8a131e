"""Strict reading of one JSON object: every wrong or unknown field becomes a sentence, none stops the reading."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, either end left out where it is marked open."""

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below and math.isfinite(value)

    def __str__(self) -> str:
        low = f"{'above' if self.low_open else 'at least'} {self.low:g}"
        high = f"{'below' if self.high_open else 'at most'} {self.high:g}"
        parts = [text for text, end in ((low, self.low), (high, self.high)) if math.isfinite(end)]
        return " and ".join(parts)


LONGEST_TEXT = 4096
SHARE = Range(0, 1, high_open=True)
SEEDS = 2**32 - 1  # what every random generator in use accepts


class Section:
    """One object of the spec. Each reader returns its default where the field is absent, null or wrong.

    `problems` is shared by all sections of a spec; `close` adds the fields that no reader asked for.
    """

    def __init__(self, path: str, value: Any, problems: list[str]) -> None:
        self.path = path
        self.problems = problems
        self._asked: set[str] = set()
        self._fields: dict[str, Any] = {}
        self._kind_unknown = False
        if isinstance(value, dict):
            self._fields = {name: field for name, field in value.items() if field is not None}
        else:
            problems.append(f"{path or 'the spec'} is {_shown(value)}; give an object")
            self.problems = []  # what is missing in it goes without saying

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def section(self, name: str) -> "Section":
        return Section(self._path(name), self._take(name, {}), self.problems)

    def choice(self, name: str, allowed: Sequence[str], default: str | None) -> str:
        """One of the allowed words, or "" if it is none; a default of None makes the field required."""
        value = self._take(name, default)
        if value in allowed:
            return str(value)
        self._refuse(name, value, f"give one of {', '.join(allowed)}")
        self._kind_unknown = True
        return ""

    def whole(self, name: str, low: int, high: int, default: int) -> int:
        value = self._take(name, default)
        if _is_whole(value) and low <= value <= high:
            return int(value)
        self._refuse(name, value, f"give a whole number from {low} to {high}")
        return default

    def number(self, name: str, allowed: Range, default: float) -> float:
        value = self._take(name, default)
        if _is_number(value) and value in allowed:
            return float(value)
        self._refuse(name, value, f"give a number {allowed}")
        return default

    def wholes(self, name: str, high: int, most: int, default: tuple[int, ...]) -> tuple[int, ...]:
        """A list of 1 to `most` whole numbers from 1 to `high`."""
        value = self._take(name, list(default))
        if _is_list(value, most) and all(_is_whole(item) and 1 <= item <= high for item in value):
            return tuple(value)
        self._refuse(name, value, f"give a list of 1 to {most} whole numbers from 1 to {high}")
        return default

    def numbers(self, name: str, allowed: Range, most: int) -> tuple[float, ...] | None:
        """A list of 1 to `most` numbers, or None where the field is absent."""
        value = self._take(name, None)
        if value is None:
            return None
        if _is_list(value, most) and all(_is_number(item) and item in allowed for item in value):
            return tuple(float(item) for item in value)
        self._refuse(name, value, f"give a list of 1 to {most} numbers, each {allowed}")
        return None

    def boolean(self, name: str, default: bool) -> bool:
        value = self._take(name, default)
        if isinstance(value, bool):
            return value
        self._refuse(name, value, "give true or false")
        return default

    def text(self, name: str, *, required: bool = False) -> str | None:
        """Text that is not empty, or None where the field is absent."""
        value = self._take(name, None)
        if _is_text(value):
            return str(value)
        if value is not None or required:
            self._refuse(name, value, f"give a text of 1 to {LONGEST_TEXT} characters")
        return None

    def texts(self, name: str, most: int) -> tuple[str, ...]:
        """A list of 1 to `most` texts; empty where the field is absent."""
        value = self._take(name, None)
        if value is None:
            return ()
        if _is_list(value, most) and all(_is_text(item) for item in value):
            return tuple(value)
        self._refuse(name, value, f"give a list of 1 to {most} texts")
        return ()

    def choices(self, name: str, allowed: Sequence[str], default: tuple[str, ...]) -> tuple[str, ...]:
        """A list of different ones of the allowed words."""
        value = self._take(name, list(default))
        given = _is_list(value, len(allowed)) or value == list(default)
        if given and all(item in allowed for item in value) and len(set(value)) == len(value):
            return tuple(value)
        self._refuse(name, value, f"give a list of different ones of {', '.join(allowed)}")
        return default

    def name_or_index(self, name: str) -> str | int | None:
        """Text, or a whole number of at least 0, or None where the field is absent."""
        value = self._take(name, None)
        if value is None or _is_text(value) or (_is_whole(value) and value >= 0):
            return value  # type: ignore[no-any-return]
        self._refuse(name, value, "give a name, or an index as a whole number from 0")
        return None

    def sections(self, name: str, most: int) -> list["Section"]:
        """The objects of a list; none where the field is absent."""
        value = self._take(name, [])
        if value == [] or _is_list(value, most):
            return [Section(f"{self._path(name)}[{i}]", item, self.problems) for i, item in enumerate(value)]
        self._refuse(name, value, f"give a list of at most {most} objects")
        return []

    def forbid(self, name: str, unless: str, harmless: Any = None) -> None:
        """Refuses a field that has no meaning here, rather than ignoring it; the value `harmless` passes.

        Silent after a bad choice in this section: which fields go with it cannot be told.
        """
        if name not in self._fields:
            return
        if harmless is not None and self._fields[name] == harmless:
            self._asked.add(name)
            return
        self._asked.add(name)
        if not self._kind_unknown:
            self.problems.append(f"{self._path(name)} only goes with {unless}; remove it")

    def close(self) -> None:
        for name in sorted(self._fields.keys() - self._asked):
            known = ", ".join(sorted(self._asked))
            self.problems.append(f"{self._path(name)} is unknown; the fields here are {known}")

    def _take(self, name: str, default: Any) -> Any:
        self._asked.add(name)
        return self._fields.get(name, default)

    def _path(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def _refuse(self, name: str, value: Any, advice: str) -> None:
        state = "is missing" if value is None else f"is {_shown(value)}"
        self.problems.append(f"{self._path(name)} {state}; {advice}")


def _is_list(value: Any, most: int) -> bool:
    return isinstance(value, list) and 1 <= len(value) <= most


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= LONGEST_TEXT


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"
