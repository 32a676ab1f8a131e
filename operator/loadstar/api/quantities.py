"""Kubernetes quantities ("500m", "1.5Gi", 2) as exact integers: millicores, bytes, devices.

The grammar is that of apimachinery's resource.Quantity. Fractions of the unit asked for are rounded up, as Kubernetes
does, so a request is never counted smaller than the API server counts it.
"""

import math
import re
from fractions import Fraction
from functools import lru_cache

from loadstar.api.labels import GPU_RESOURCE

LARGEST = 2**63 - 1
"""Kubernetes keeps quantities in 64 bits; what is beyond cannot be meant."""

_GRAMMAR = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))"
    r"(?:(?P<binary>[KMGTPE]i)|(?P<decimal>[numkMGTPE])|[eE](?P<exponent>[+-]?[0-9]{1,3}))?"
)
_LONGEST = 64
_BINARY = {f"{letter}i": Fraction(1024**power) for power, letter in enumerate("KMGTPE", start=1)}
_DECIMAL = {letter: Fraction(1000) ** power for power, letter in enumerate("num", start=-3)} | {
    letter: Fraction(1000**power) for power, letter in enumerate("kMGTPE", start=1)
}


class InvalidQuantity(ValueError):
    """The text is no Kubernetes quantity, or none that makes sense for what it counts."""


@lru_cache(maxsize=4096)  # a cluster's pods ask for the same few amounts over and over
def exact(quantity: int | str) -> Fraction:
    """The exact value of a quantity. Raises InvalidQuantity for anything the API server would not read."""
    text = str(quantity)
    match = _GRAMMAR.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise InvalidQuantity(
            f"{text[:_LONGEST]!r} is not a quantity: write a number such as 2, 500m or 1.5Gi"
        )
    value = Fraction(match["number"]) * _scale(match)
    if abs(value) > LARGEST:
        raise InvalidQuantity(f"{text!r} is larger than Kubernetes can count")
    return value


def millicores(cpu: int | str) -> int:
    """CPU in thousandths of a core, rounded up; more than zero."""
    return _positive(math.ceil(exact(cpu) * 1000), cpu, "cpu", "500m or 2")


def byte_count(memory: int | str) -> int:
    """Memory in bytes, rounded up; more than zero."""
    return _positive(math.ceil(exact(memory)), memory, "memory", "512Mi or 4Gi")


def devices(count: int | str) -> int:
    """A number of whole devices; zero or more."""
    value = exact(count)
    if value.denominator != 1 or value < 0:
        raise InvalidQuantity(
            f"{GPU_RESOURCE} counts whole devices: write 0, 1, 2, … instead of {str(count)!r}"
        )
    return int(value)


def _scale(match: re.Match[str]) -> Fraction:
    if match["exponent"]:
        return Fraction(10) ** int(match["exponent"])
    return _BINARY.get(match["binary"], Fraction(1)) * _DECIMAL.get(match["decimal"], Fraction(1))


def _positive(value: int, quantity: int | str, name: str, example: str) -> int:
    if not 0 < value <= LARGEST:
        raise InvalidQuantity(
            f"{name} must be a quantity above zero such as {example}, not {str(quantity)!r}"
        )
    return value
