"""`make test`: every stage, one table at the end, and nothing skipped without a word.

python -m tests.stages [STAGE …]      all stages, or the named ones

They run in lanes side by side, as tests on clusters wait rather than work. What a stage prints is then shown when it
ends, and is in build/reports/<stage>.log meanwhile. Stages of one lane alone are shown as they run.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import IO
from xml.etree import ElementTree

from tests.cluster.engine import engine
from tests.cluster.kind import end_abandoned

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "build" / "reports"
SOURCES = ("operator", "images", "tests")
_SIGN_OF_LIFE_SECONDS = 30.0


@dataclass(frozen=True)
class Stage:
    """One kind of check: the commands that make it up; those of pytest say what they ran and skipped."""

    name: str
    commands: tuple[tuple[str, ...], ...]
    lane: str = "checks"
    """Stages of one lane follow each other."""
    after: str = ""
    """A stage of another lane that has to end before this one begins."""
    cluster: str = ""
    """What is added to the name of the tests' kind cluster: stages that have jobs on GPUs need one each."""


@dataclass
class Outcome:
    """How a stage went."""

    stage: str
    seconds: float = 0.0
    ok: bool = True
    passed: int = 0
    failed: int = 0
    skipped: list[str] = field(default_factory=list)


def _pytest(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "pytest", "-q", *arguments)


def _module(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *arguments)


_OF_JOBS = tuple(
    f"tests/e2e/test_{what}.py"
    for what in ("data", "examples", "monitoring", "programs", "refusals", "results")
)
"""End-to-end tests that ask what comes of jobs; the others ask what the operator decides. They take equally long."""


def _but(files: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"--ignore={file}" for file in files)


STAGES = (
    Stage("lint", (_module("ruff", "check", *SOURCES), _module("ruff", "format", "--check", *SOURCES))),
    Stage(
        "types",
        (
            _module("mypy", "operator/loadstar", "tests"),
            _module("mypy", "images/trainer/src", "images/dcgm-simulator/src"),
        ),
    ),
    Stage("contracts", (("lint-imports",),)),
    Stage("unit", (_pytest("tests/unit", "tests/properties", "tests/contract", "tests/chart"),)),
    Stage("images", (_pytest("tests/integration", "-m", "engine and not kind"),), after="engine"),
    Stage("trainer", (_module("tests.trainer"),), after="engine"),
    Stage(
        "integration",
        (_pytest("tests/integration", "tests/faults", "-m", "not kind and not engine"),),
        lane="control plane",
    ),
    # What engines and clusters leave behind is looked for on the whole machine: nobody else has containers then.
    Stage("engine", (_pytest("tests/cluster"),), lane="kind"),
    Stage("jobs", (_pytest("tests/integration", *_OF_JOBS, "-m", "kind"),), lane="kind", cluster="-jobs"),
    Stage("e2e", (_pytest("tests/e2e", *_but(_OF_JOBS)),), lane="e2e", after="engine"),
)
_POLITE = ("checks", "control plane")
_EXISTING = "LOADSTAR_KUBECONFIG"


def main(names: Sequence[str]) -> int:
    """Run the stages of these names, all when none is given; non-zero when one failed."""
    known = {stage.name: stage for stage in STAGES}
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no such stage: {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    REPORTS.mkdir(parents=True, exist_ok=True)
    chosen = [stage for stage in STAGES if not names or stage.name in names]
    started = time.monotonic()
    end_abandoned()
    found = engine.current()
    try:
        outcomes = Run(chosen).outcomes()
    finally:
        if found is None:
            engine.stop()  # of two stages that used it at a time, neither could
    _report(outcomes, time.monotonic() - started)
    return 0 if all(outcome.ok for outcome in outcomes) else 1


class Run:
    """One run of some stages, their lanes side by side."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = stages
        lanes: dict[str, list[Stage]] = {}
        for stage in stages:
            lanes.setdefault(_lane(stage), []).append(stage)
        self._lanes = list(lanes.values())
        self._ended = {stage.name: Event() for stage in stages}
        self._outcomes: dict[str, Outcome] = {}
        self._started: dict[str, float] = {}
        self._printing = Lock()
        self._interrupted = Event()

    def outcomes(self) -> list[Outcome]:
        """Run them; what came of each, in the order of the stages."""
        with ThreadPoolExecutor(max_workers=len(self._lanes) or 1) as pool:
            lanes = [pool.submit(self._run_all, lane) for lane in self._lanes]
            try:
                self._follow(lanes)
            except KeyboardInterrupt:
                self._interrupted.set()  # the commands got the signal, too: the pool waits until they have ended
                raise
        return [self._outcomes[stage.name] for stage in self._stages]

    def _follow(self, lanes: Sequence[Future[None]]) -> None:
        """Wait for the lanes, with a line now and then that shows that something goes on."""
        waiting = set(lanes)
        while waiting:
            _, waiting = wait(waiting, timeout=_SIGN_OF_LIFE_SECONDS)
            if waiting and self._side_by_side:
                self._show_life()
        for lane in lanes:
            lane.result()

    @property
    def _side_by_side(self) -> bool:
        return len(self._lanes) > 1

    def _show_life(self) -> None:
        now = time.monotonic()
        with self._printing:
            running = [name for name in self._started if name not in self._outcomes]
            for name in running:
                print(f"  {name}, {now - self._started[name]:.0f} s: {_last_line(_log(name))}", flush=True)

    def _run_all(self, lane: Sequence[Stage]) -> None:
        try:
            for stage in lane:
                if stage.after in self._ended:
                    self._ended[stage.after].wait()
                if self._interrupted.is_set():
                    return
                self._run(stage)
        finally:
            for stage in lane:
                self._ended[stage.name].set()

    def _run(self, stage: Stage) -> None:
        outcome = Outcome(stage.name)
        started = self._started[stage.name] = time.monotonic()
        with self._output(stage) as output:
            for number, command in enumerate(stage.commands):
                # Jobs on a cluster get little of the processor beside much else, and their lanes are the longest.
                politely = ("nice", "-n", "5") if self._side_by_side and stage.lane in _POLITE else ()
                report = REPORTS / f"{stage.name}-{number}.xml"
                _execute((*politely, *command), report, output, outcome, _environment(stage))
        outcome.seconds = time.monotonic() - started
        self._outcomes[stage.name] = outcome
        self._ended[stage.name].set()

    @contextmanager
    def _output(self, stage: Stage) -> Iterator[IO[str] | None]:
        """Where a stage's commands print to: None, our own output, or a log that is shown at the stage's end."""
        heading = f"\n=== {stage.name} ".ljust(100, "=")
        if not self._side_by_side:
            print(heading, flush=True)
            yield None
            return
        with _log(stage.name).open("w") as log:
            yield log
        with self._printing:
            print(heading, _log(stage.name).read_text(errors="replace"), sep="\n", flush=True)


def _log(stage: str) -> Path:
    return REPORTS / f"{stage}.log"


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    return next((line for line in reversed(lines) if line.strip()), "")[-80:]


def _lane(stage: Stage) -> str:
    """Where an existing cluster is named, there is but one, for one stage at a time."""
    return "kind" if stage.lane == "e2e" and os.environ.get(_EXISTING) else stage.lane


def _environment(stage: Stage) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    cluster = os.environ.get("LOADSTAR_CLUSTER_NAME", "loadstar-test") + stage.cluster
    return os.environ | {"PATH": path, "LOADSTAR_CLUSTER_NAME": cluster}


def _execute(
    command: tuple[str, ...],
    report: Path,
    output: IO[str] | None,
    outcome: Outcome,
    environment: dict[str, str],
) -> None:
    """Run one command of a stage and add to the outcome what came of it."""
    report.unlink(missing_ok=True)
    junit = (f"--junitxml={report}",) if "pytest" in command else ()
    code = subprocess.run(
        (*command, *junit),
        cwd=ROOT,
        env=environment,
        stdout=output,
        stderr=output and subprocess.STDOUT,
        check=False,
    ).returncode
    outcome.ok = outcome.ok and code == 0
    if junit:
        _count(report, outcome)
    else:
        outcome.passed += code == 0
        outcome.failed += code != 0


def _count(report: Path, outcome: Outcome) -> None:
    """Add what a pytest report says; a run that left no report has failed."""
    if not report.exists():
        outcome.failed += 1
        return
    for case in ElementTree.parse(report).iter("testcase"):
        skipped = case.find("skipped")
        if skipped is not None:
            name = f"{case.get('classname')}.{case.get('name')}"
            outcome.skipped.append(f"{name}: {skipped.get('message', 'no reason given')}")
        elif case.find("failure") is not None or case.find("error") is not None:
            outcome.failed += 1
        else:
            outcome.passed += 1


def _report(outcomes: list[Outcome], seconds: float) -> None:
    print("\n=== summary ".ljust(100, "="))
    for outcome in outcomes:
        word = "ok" if outcome.ok else "FAILED"
        figures = f"{outcome.passed} passed, {outcome.failed} failed, {len(outcome.skipped)} skipped"
        print(f"{outcome.stage:12} {word:7} {outcome.seconds:7.1f} s   {figures}")
    skipped = [line for outcome in outcomes for line in outcome.skipped]
    if skipped:
        print("\nNot run on this machine:")
        print("\n".join(f"  {line}" for line in skipped))
    passed, failed = sum(o.passed for o in outcomes), sum(o.failed for o in outcomes)
    print(f"\nThe stages took {seconds:.0f} s together.")
    print(f"{passed} passed, {failed} failed, {len(skipped)} skipped")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
