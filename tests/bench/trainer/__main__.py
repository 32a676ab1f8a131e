"""How fast the trainer trains: `python -m tests.bench.trainer` (or `make bench-trainer`).

In the trainer's image, as it is built for the test clusters: the way from a pod's command to its first step, and the
product's loop against the plainest one that PyTorch allows and against PyTorch Lightning. All train the same model on
the same data with the same optimizer, in turns on one thread, and what counts is the median ratio of the turns.
Lightning is used as its users write it, with `DataLoader(dataset, batch_size, shuffle=True)`, but without its logger,
checkpoints, progress bar and summary; and once more with a loader that is given whole batches, to be fair to its loop.
What a user waits for, the whole call, has the model's validation in each epoch and its test in it, imports not.
Where PyTorch sees GPUs, what they add is reported, too: for that, name the Python that has it with --python.
Prints the figures beside their targets and writes them to build/reports/trainer.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.bench.launch import Figure, report
from tests.cluster.engine import engine
from tests.cluster.images import run_in_trainer
from tests.cluster.wheelhouse import unpacked

_ROOT = Path(__file__).parents[3]
_HERE = Path(__file__).parent
_REPORT = _ROOT / "build" / "reports" / "trainer.json"
_INSIDE = ("-m", "tests.bench.trainer.inside")


def in_the_image(results: Path, options: list[str]) -> int:
    """Measure in the trainer's image; an engine that was started for this ends with it. The exit code."""
    packages = unpacked([_HERE / "requirements.lock"])
    found = engine.current()
    engine.ensure()
    try:
        return run_in_trainer(
            "python3",
            *_INSIDE,
            f"/results/{results.name}",
            *options,
            volumes={
                _HERE: "/loadstar/tests/bench/trainer:ro",
                packages: "/packages:ro",
                results.parent: "/results",
            },
            environment={
                "PYTHONPATH": "/opt/loadstar-trainer/src:/opt/loadstar-trainer/lib:/loadstar:/packages"
            },
        )
    finally:
        if found is None:
            engine.stop()


def with_python(python: str, results: Path, options: list[str]) -> int:
    """Measure with a Python of this machine that has PyTorch and the packages of both lock files. The exit code."""
    path = os.pathsep.join((str(_ROOT / "images/trainer/src"), str(_ROOT), os.environ.get("PYTHONPATH", "")))
    command = [python, *_INSIDE, str(results), *options]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=False).returncode


def main(arguments: list[str] | None = None) -> int:
    """Measure and report. A missed target is said loudly and is no failure of the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.trainer", description=__doc__)
    parser.add_argument("--python", help="with this Python instead of in the trainer's image")
    parser.add_argument("--rounds", default="15", help="of each contest; default: %(default)s")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)  # the image's user is another
        results = Path(folder) / "figures.json"
        given = ["--rounds", options.rounds]
        code = with_python(options.python, results, given) if options.python else in_the_image(results, given)
        if code:
            return code
        found = [Figure(**figure) for figure in json.loads(results.read_text())]
    _REPORT.parent.mkdir(parents=True, exist_ok=True)
    _REPORT.write_text(json.dumps([asdict(figure) for figure in found], indent=2) + "\n")
    print(report(found))
    missed = [figure.name for figure in found if figure.holds is False]
    if missed:
        print(f"\nMISSED {len(missed)} of the targets: {'; '.join(missed)}")
    print(f"\nWritten to {_REPORT.relative_to(_ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
