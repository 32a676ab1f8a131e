"""Fuzz the parsers of all that a user's container writes: `python -m tests.fuzz` (or `make fuzz`).

A million inputs each: the final record, a progress report, what a program printed, and a status. Most are the fixtures
that operator and trainer share with some things wrong; some are broken bytes, or noise. A parser may raise only what it
declares; what it accepts, strict checks that share no code with it decide once more. Inputs are a function of the seed.
Prints the counts, the rates and every finding, and writes them to build/reports/fuzz.json.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.fuzz.campaign import CHUNK, Counts, fuzz, names

_ROOT = Path(__file__).parents[2]
_REPORT = _ROOT / "build" / "reports" / "fuzz.json"
_TOLD_EVERY_SECONDS = 5.0
_SHOWN = 5


def campaign(target: str, inputs: int, seed: int, processes: int) -> Counts:
    """So many inputs for one parser, spread over processes; says how far it is."""
    total, began = Counts(target), time.monotonic()
    told = began
    with ProcessPoolExecutor(processes) as pool:
        for counts in pool.map(fuzz, *_chunks(target, inputs, seed)):
            total.add(counts)
            if time.monotonic() - told > _TOLD_EVERY_SECONDS:
                told = time.monotonic()
                print(f"  {_line(total, told - began)}", flush=True)
    total.seconds = time.monotonic() - began
    print(_line(total, total.seconds), flush=True)
    return total


def _chunks(target: str, inputs: int, seed: int) -> Iterator[list[int] | list[str]]:
    """The arguments of `fuzz`, chunk by chunk."""
    starts = range(0, inputs, CHUNK)
    yield [target] * len(starts)
    yield [min(CHUNK, inputs - start) for start in starts]
    yield [seed] * len(starts)
    yield [start // CHUNK for start in starts]


def _line(counts: Counts, seconds: float) -> str:
    rate = counts.inputs / max(seconds, 1e-9)
    return (
        f"{counts.target:10}{counts.inputs:>10,} inputs{rate:>9,.0f}/s  {counts.accepted:>9,} accepted"
        f"  {counts.findings_in_all:,} findings"
    )


def main(arguments: list[str] | None = None) -> int:
    """Non-zero where a parser raised what it must not, or let something through."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="for each parser; default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of all inputs; default: %(default)s")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="default: %(default)s")
    parser.add_argument("--parser", choices=names(), help="this one alone; default: all")
    options = parser.parse_args(arguments)
    chosen = [options.parser] if options.parser else names()
    found = [campaign(name, options.inputs, options.seed, options.processes) for name in chosen]
    _REPORT.parent.mkdir(parents=True, exist_ok=True)
    _REPORT.write_text(json.dumps([counts.report(options.seed) for counts in found], indent=2) + "\n")
    for counts in found:
        for finding in counts.findings[:_SHOWN]:
            print(f"\n{counts.target}: {finding}")
    print(f"\nWritten to {_REPORT.relative_to(_ROOT)}")
    return 1 if any(counts.findings_in_all for counts in found) else 0


if __name__ == "__main__":
    sys.exit(main())
