"""Measure and write the figures: `python -m tests.bench.trainer.inside RESULTS`."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from tests.bench.trainer.inside.figure import Figure


def main() -> int:
    """Start-up first: its processes import PyTorch, as a pod's do, before anything is warm here."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.trainer.inside", description=__doc__)
    parser.add_argument("results", type=Path, help="file for the figures, as JSON")
    parser.add_argument("--rounds", type=int, default=15, help="of each contest; default: %(default)s")
    parser.add_argument("--starts", type=int, default=5, help="of a pod's process; default: %(default)s")
    options = parser.parse_args()
    found = _all(options.rounds, options.starts)
    options.results.write_text(json.dumps([asdict(figure) for figure in found]))
    return 0


def _all(rounds: int, starts: int) -> list[Figure]:
    from tests.bench.trainer.inside.startup import starting

    found = starting(starts, _say)
    from tests.bench.trainer.inside.contest import contest
    from tests.bench.trainer.inside.gpu import with_gpus

    return found + contest(rounds, _say) + with_gpus(rounds, _say)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
