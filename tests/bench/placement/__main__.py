"""How good forecasts and placements are: `python -m tests.bench.placement` (or `make bench-placement`).

    forecast   skill, coverage and speed of the forecast on recorded series
    speed      how long a placement and a cycle take, up to 5,000 nodes
    packing    track A: arrivals of the openb trace until the cluster is full, against FGD
    replay     track B: jobs over time with loads that are seen late, against what others do
    pollux     track C: Pollux' workloads against Tiresias

Name parts to run those alone. The traces are read from $LOADSTAR_TRACES; docs/simulator.md tells where to get them. A
part whose traces are not there is left out, and the report says so. Prints the figures beside their targets and writes
them to build/reports/placement.json, and with all tables to docs/benchmarks/placement.md. Parts that were not run stay
in both as they were.
"""

import argparse
import importlib
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from loadstar.simulator.traces import TracesMissing
from tests.bench.placement.figure import Figure, Section
from tests.bench.placement.written import Chapter, document, figures_json
from tests.cluster.steps import say

_ROOT = Path(__file__).parents[3]
_REPORT = _ROOT / "build" / "reports" / "placement.json"
_KEPT = _REPORT.with_suffix("")
_DOCUMENT = _ROOT / "docs" / "benchmarks" / "placement.md"
_PARTS = ("forecast", "speed", "packing", "replay", "pollux")


def run(part: str) -> Chapter:
    """One part's figures. A part without its traces is a chapter that says which are missing."""
    module = importlib.import_module(f"tests.bench.placement.{part}")
    heading = (module.__doc__ or part).strip().splitlines()[0].rstrip(".")
    say(f"{heading} …")
    begun = time.monotonic()
    try:
        section: Section = module.measure()
    except TracesMissing as error:
        say(f"left out: {error}")
        return Chapter(heading, [], f"Left out: {error}", 0.0)
    return Chapter(heading, section.figures, section.text, time.monotonic() - begun)


def report(chapters: Iterable[Chapter]) -> str:
    """The figures beside their targets, for people."""
    lines = []
    for chapter in chapters:
        lines += ["", f"{chapter.heading}  ({chapter.seconds:.0f} s)"]
        lines += [_line(figure) for figure in chapter.figures] or [f"  {chapter.text}"]
    return "\n".join(lines[1:])


def _line(figure: Figure) -> str:
    target = "" if figure.target is None else f"{figure.target:.4g}"
    verdict = {None: "", True: "  holds", False: "  MISSED"}[figure.holds]
    return f"  {figure.name:<58}{figure.value:>11.4g}{target:>10} {figure.unit}{verdict}"


def main(arguments: list[str] | None = None) -> int:
    """Measure and report. A missed target is said loudly and is no failure of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.placement",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(_PARTS)}; default: all")
    wanted = parser.parse_args(arguments).parts or list(_PARTS)
    if unknown := [part for part in wanted if part not in _PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(_PARTS)}")
    found = {}
    for part in (part for part in _PARTS if part in wanted):
        found[part] = run(part)
        found[part].write(_KEPT / f"{part}.json")
    known = [Chapter.read(file) for part in _PARTS if (file := _KEPT / f"{part}.json").is_file()]
    _DOCUMENT.parent.mkdir(parents=True, exist_ok=True)
    _DOCUMENT.write_text(document(known))
    _REPORT.write_text(figures_json(known))
    print(report(found.values()))
    figures = [figure for chapter in found.values() for figure in chapter.figures]
    if missed := [figure.name for figure in figures if figure.holds is False]:
        print(f"\nMISSED {len(missed)} of the targets: {'; '.join(missed)}")
    print(f"\nWritten to {_REPORT.relative_to(_ROOT)} and {_DOCUMENT.relative_to(_ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
