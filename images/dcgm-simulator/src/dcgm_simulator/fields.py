"""Reading values that come from outside: each is checked, and an error names the field and what it must be."""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any


class InvalidField(ValueError):
    """Something given from outside is not usable; the message is a sentence that starts with the field."""

    def __init__(self, path: str, sentence: str) -> None:
        super().__init__(f"{path or 'the document'}: {sentence}")


@dataclass
class Fields:
    """A mapping from outside, read field by field; `done` refuses what nobody asked for."""

    path: str
    values: dict[str, Any]
    _read: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, path: str, value: Any) -> "Fields":
        """Wrap `value`, which stands at `path`; InvalidField unless it is a mapping."""
        if not isinstance(value, dict):
            raise InvalidField(path, f"must be a mapping of fields, but is {_shown(value)}")
        return cls(path, {str(name): entry for name, entry in value.items()})

    def at(self, name: str) -> str:
        """The full path of a field, for messages."""
        return f"{self.path}.{name}" if self.path else name

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def raw(self, name: str) -> Any:
        """The value as it was given; InvalidField if it is missing."""
        self._read.add(name)
        if name not in self.values:
            raise InvalidField(self.at(name), "is required")
        return self.values[name]

    def number(self, name: str, low: float, high: float) -> float:
        """A finite number from `low` to `high`."""
        value = self.raw(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            bounds = f"from {low:g} to {high:g}" if math.isfinite(high) else f"of at least {low:g}"
            raise InvalidField(self.at(name), f"must be a number {bounds}, but is {_shown(value)}")
        return float(value)

    def whole(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number from `low` to `high`; `default` if it is missing and there is one."""
        if default is not None and name not in self.values:
            return default
        value = self.raw(name)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InvalidField(
                self.at(name), f"must be a whole number from {low} to {high}, but is {_shown(value)}"
            )
        return value

    def text(self, name: str, default: str | None = None) -> str:
        """A text that is not empty; `default` if it is missing and there is one."""
        if default is not None and name not in self.values:
            return default
        value = self.raw(name)
        if not isinstance(value, str) or not value:
            raise InvalidField(self.at(name), f"must be a text that is not empty, but is {_shown(value)}")
        return value

    def choice(self, name: str, allowed: Collection[str], default: str | None = None) -> str:
        """One of the `allowed` texts."""
        value = self.text(name, default)
        if value not in allowed:
            raise InvalidField(self.at(name), f"must be one of {', '.join(allowed)}, but is {value!r}")
        return value

    def mapping(self, name: str) -> "Fields":
        """A mapping below this one; empty if it is missing."""
        self._read.add(name)
        return Fields.of(self.at(name), self.values.get(name, {}))

    def items(self, name: str) -> list[Any]:
        """A list of anything; empty if it is missing."""
        self._read.add(name)
        value = self.values.get(name, [])
        if not isinstance(value, list):
            raise InvalidField(self.at(name), f"must be a list, but is {_shown(value)}")
        return value

    def mappings(self, name: str) -> "list[Fields]":
        """A list of mappings; empty if it is missing."""
        return [Fields.of(f"{self.at(name)}[{i}]", value) for i, value in enumerate(self.items(name))]

    def done(self) -> None:
        """Refuse any field that was not read."""
        for name in self.values:
            if name not in self._read:
                known = ", ".join(sorted(self._read))
                raise InvalidField(self.at(name), f"is not a known field here; the known ones are {known}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
