"""What a part of the placement benchmark hands back: figures beside their targets, and text for the report."""

from dataclasses import dataclass

from tests.bench.launch import Figure

__all__ = ["Figure", "Section", "at_least", "at_most", "seen"]


@dataclass(frozen=True)
class Section:
    """A part's figures, and Markdown that stands below their table in docs/benchmarks/placement.md."""

    figures: list[Figure]
    text: str = ""


def at_most(name: str, value: float, target: float, unit: str = "") -> Figure:
    """A figure that is to be no larger than `target`."""
    return Figure(name, value, target, unit, value <= target)


def at_least(name: str, value: float, target: float, unit: str = "") -> Figure:
    """A figure that is to be no smaller than `target`."""
    return Figure(name, value, target, unit, value >= target)


def seen(name: str, value: float, unit: str = "") -> Figure:
    """A figure of which nothing is promised."""
    return Figure(name, value, None, unit, None)
