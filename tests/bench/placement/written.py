"""What the parts found, kept in one file per part, so that one part can be measured again alone."""

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tests.bench.placement.figure import Figure


@dataclass(frozen=True)
class Chapter:
    """One part's figures, the text below their table, and how long it took in seconds."""

    heading: str
    figures: list[Figure]
    text: str
    seconds: float

    def write(self, file: Path) -> None:
        """Keep it."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, file: Path) -> "Chapter":
        """What was kept."""
        kept = json.loads(file.read_text())
        return cls(**{**kept, "figures": [Figure(**figure) for figure in kept["figures"]]})


def figures_json(chapters: Iterable[Chapter]) -> str:
    """All figures as a list of {name, value, target, unit, holds}."""
    return json.dumps([asdict(figure) for chapter in chapters for figure in chapter.figures], indent=2) + "\n"


def document(chapters: Sequence[Chapter]) -> str:
    """All figures and tables as Markdown."""
    figures = [figure for chapter in chapters for figure in chapter.figures if figure.holds is not None]
    held = sum(bool(figure.holds) for figure in figures)
    lines = [
        "# Forecast and placement, measured",
        "",
        "Written by `make bench-placement`; [simulator.md](../simulator.md) tells what the tracks are and where the"
        " traces come from.",
        f"{held} of {len(figures)} targets hold. {_machine()}",
    ]
    for chapter in chapters:
        lines += ["", f"## {chapter.heading}", "", *_table(chapter.figures)]
        if chapter.text:
            lines += [*([""] if chapter.figures else []), chapter.text.strip()]
    return "\n".join(lines) + "\n"


def _table(figures: Sequence[Figure]) -> list[str]:
    if not figures:
        return []
    verdict = {None: "", True: "holds", False: "**missed**"}
    rows = [
        f"| {figure.name} | {figure.value:.4g} | {'' if figure.target is None else f'{figure.target:.4g}'} "
        f"| {figure.unit} | {verdict[figure.holds]} |"
        for figure in figures
    ]
    return ["| figure | measured | target | unit | |", "|---|---:|---:|---|---|", *rows]


def _machine() -> str:
    return (
        f"Machine: {platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, "
        f"NumPy {np.__version__}; every part runs on one core unless it says otherwise."
    )
