"""Inputs for the fuzzer: documents like honest ones with some things wrong, broken bytes, and noise."""

import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

# fmt: off
_NUMBERS = (
    "0", "1", "-1", "1.0", "-0", "+1", ".5", "5.", "1e5", "1E+5", "1e-400", "1e400", "-1e999", "0E99999999999999999999",
    "01", "1_000", "0x10", "1,5", "--1", "1e", "e5", "NaN", "nan", "inf", "-Infinity", "true", "null", "١٢", "１",
)
_TIMES = (
    "2026-06-12T03:00:00Z", "2026-06-12t03:00:00z", "2026-06-12T03:00:00", "2026-06-12T03:00:00.1234567890Z",
    "2026-06-12T03:00:60Z", "2026-06-12T03:00:00+24:00", "2026-06-12T03:10:11Z", "2026-06-12T24:00:00Z", "2026-06-12",
    "2026-02-30T00:00:00Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+14:00", "1969-12-31T23:59:59Z",
)
# fmt: on
# Each has broken some parser somewhere: borders, other types, other spellings of numbers, invisible characters.
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 0.0, 1.0, -0.0, 0.5, 1e-320, 1e308, 100, 101, 1.5),
    *(2**31 - 1, 2**31, 2**53, 2**53 + 1, 2**63, 2**64, -(2**63), 10**30, 10**400),
    *_NUMBERS,
    *("9" * length for length in (32, 33, 64, 65, 400, 1200)),
    *("0." + "1" * length for length in (30, 31, 62, 63)),
    *_TIMES,
    *("a" * length for length in (63, 64, 65, 5000)),
    *(
        "",
        " ",
        "1 ",
        " 1",
        "1\n",
        "1\x00",
        "a b",
        "a/b",
        "é",
        "\u202e",
        "\x1b[31m",
        "\ud800",
        "a\nb",
        "\x00",
        "accuracy",
    ),
    *([], {}, [[]], [0], [1, 2], [[1]], [[1, 2], [3, 4]], [[1, 2], [3]]),
    *({"a": 1}, {"name": "a"}, {"name": "a", "value": "1"}),
)
TOKENS = (
    *(b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-0", b"00", b"1.", b".1", b"null", b"true"),
    *(b"\xff", b"\xc0\x80", b"\x00", b"\xef\xbb\xbf", b"\\u0000", b"\\ud800", b"\xe2\x80\xa8", b"\xc2\x85"),
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b",",
        b":",
        b"\\",
        b"\n",
        b"\r\n",
        b"\x1b[0m",
        b"=",
        b"=0.5 ",
        b"accuracy=",
    ),
    *(b"9" * 5000, b"[" * 3000, b'{"a":' * 1200, b'{"error":1}'),
)
_SEPARATORS = ((", ", ": "), (",", ":"))
_LONG_LISTS = (2, 3, 101, 129, 257, 300)


@dataclass(frozen=True)
class Mutator:
    """Changes documents of one kind. `names` are the keys that mean something in them."""

    random: Random
    names: Sequence[str]

    def document(self, seed: bytes) -> Any:
        """A pickled document with one to four things changed in it; now and then none, or no trace of it left."""
        choice = self.random.random()
        if choice < 0.02:
            return self.noise(4)
        document = pickle.loads(seed)
        for _ in range(0 if choice < 0.07 else 1 + int(self.random.random() ** 2 * 4)):
            document = self._changed(document)
        return document

    def body(self, seed: bytes) -> bytes:
        """A document as bytes, one in four of them damaged; now and then bytes alone."""
        choice = self.random.random()
        if choice < 0.03:
            return self.random.randbytes(self.random.randrange(200))
        body = encoded(self.document(seed), self.random)
        return self.damaged(body) if choice < 0.25 else body

    def damaged(self, body: bytes) -> bytes:
        """The bytes with one to three places cut, doubled, overwritten or grown."""
        for _ in range(self.random.randrange(1, 4)):
            body = self._damaged_once(body)
        return body

    def noise(self, depth: int) -> Any:
        """Any JSON value, not deeper than this."""
        choice = self.random.random()
        if depth and choice < 0.25:
            return [self.noise(depth - 1) for _ in range(self.random.randrange(4))]
        if depth and choice < 0.5:
            return {self._name(): self.noise(depth - 1) for _ in range(self.random.randrange(5))}
        return self._value()

    def _changed(self, document: Any) -> Any:
        """One change somewhere in the document, which may be a change of the whole."""
        parent, key = self._place(document)
        if parent is None:
            return self.noise(2)
        choice = self.random.random()
        if choice < 0.12:
            del parent[key]
        elif choice < 0.2 and isinstance(parent, dict):
            parent[self._name()] = parent[key]
        elif choice < 0.3 and isinstance(parent[key], list):
            self._grow(parent[key])
        elif choice < 0.45 and isinstance(parent[key], str):
            parent[key] = self._touched(parent[key])
        elif choice < 0.5:
            parent[key] = self.noise(2)
        elif choice < 0.55:
            other, found = self._place(document)
            parent[key] = pickle.loads(pickle.dumps(other[found])) if other is not None else document
        else:
            parent[key] = self._value()
        return document

    def _place(self, document: Any) -> tuple[Any, Any]:
        """A container somewhere in the document and a key of it; (None, None) where it has none."""
        parent: Any = None
        key: Any = None
        part = document
        while isinstance(part, dict | list) and part and (parent is None or self.random.random() < 0.75):
            parent = part
            key = (
                self.random.choice(list(part)) if isinstance(part, dict) else self.random.randrange(len(part))
            )
            part = part[key]
        if isinstance(parent, dict) and parent is document and self.random.random() < 0.1:
            key = self._name()
            parent.setdefault(key, self._value())
        return parent, key

    def _grow(self, items: list[Any]) -> None:
        """A list beyond what is allowed, its items alike or with names of their own."""
        if not items:
            items.append(self._value())
            return
        model, count = self.random.choice(items), self.random.choice(_LONG_LISTS)
        apart = self.random.random() < 0.7
        for number in range(count):
            named = isinstance(model, dict) and "name" in model and apart
            items.append({**model, "name": f"m{number}"} if named else model)

    def _touched(self, text: str) -> str:
        """The text with one character more, less or other."""
        at, choice = self.random.randrange(len(text) + 1), self.random.random()
        letter = self.random.choice("0123456789eE+-. _/aZ\n\x00\x1b\u202eé\ud800٣")
        if choice < 0.4:
            return text[:at] + letter + text[at:]
        return text[:at] + (letter if choice < 0.8 else "") + text[at + 1 :]

    def _damaged_once(self, body: bytes) -> bytes:
        start = self.random.randrange(len(body) + 1)
        stop = min(len(body), start + self.random.choice((0, 1, 1, 2, 8, 64)))
        choice = self.random.random()
        if choice < 0.5:
            return body[:start] + self.random.choice(TOKENS) + body[stop:]
        if choice < 0.65:
            return body[:start] + body[stop:]
        if choice < 0.75:
            return body[:start]
        if choice < 0.85:
            return body[:stop] + body[start:stop] * self.random.choice((1, 2, 500)) + body[stop:]
        return body[:start] + self.random.randbytes(stop - start) + body[stop:]

    def _name(self) -> str:
        return self.random.choice(self.names) if self.random.random() < 0.9 else str(self._value())

    def _value(self) -> Any:
        value = self.random.choice(VALUES)
        return pickle.loads(pickle.dumps(value)) if isinstance(value, list | dict) else value


def encoded(document: Any, random: Random) -> bytes:
    """As JSON in one of its spellings. Halves of characters stay escapes, which JSON allows."""
    separators = random.choice(_SEPARATORS)
    if random.random() < 0.3:
        return json.dumps(document, separators=separators, ensure_ascii=False).encode(errors="replace")
    return json.dumps(document, separators=separators).encode()
