"""One measured number, as all benchmarks report it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """`target` and `holds` are None where nothing is promised."""

    name: str
    value: float
    target: float | None
    unit: str
    holds: bool | None


def told(name: str, value: float, unit: str) -> Figure:
    """A number that nothing is promised of."""
    return Figure(name, rounded(value), None, unit, None)


def at_least(name: str, value: float, target: float, unit: str = "ratio") -> Figure:
    """A number that must reach a target."""
    return Figure(name, rounded(value), target, unit, value >= target)


def rounded(value: float) -> float:
    """To four digits, which is more than any of them is worth."""
    return float(f"{value:.4g}")
