"""`make test`: every stage in order, one table at the end, and nothing skipped without a word.

python -m tests.stages [STAGE …]      all stages, or the named ones
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "build" / "reports"
SOURCES = ("operator", "images", "tests")


@dataclass(frozen=True)
class Stage:
    """One kind of check: the commands that make it up; those of pytest say what they ran and skipped."""

    name: str
    commands: tuple[tuple[str, ...], ...]


@dataclass
class Outcome:
    """How a stage went."""

    stage: str
    seconds: float
    ok: bool
    passed: int = 0
    failed: int = 0
    skipped: list[str] = field(default_factory=list)


def _pytest(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "pytest", "-q", *arguments)


def _module(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *arguments)


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
    Stage("trainer", (_module("tests.trainer"),)),
    Stage("integration", (_pytest("tests/integration", "tests/faults", "-m", "not kind and not engine"),)),
    # The engine's own tests need it idle, so they come before any cluster does.
    Stage("engine", (_pytest("tests/cluster", "tests/integration", "-m", "engine and not kind"),)),
    Stage("e2e", (_pytest("tests/e2e", "tests/integration", "-m", "kind"),)),
)


def main(names: Sequence[str]) -> int:
    """Run the stages of these names, all when none is given; non-zero when one failed."""
    known = {stage.name: stage for stage in STAGES}
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no such stage: {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    REPORTS.mkdir(parents=True, exist_ok=True)
    outcomes = [_run(stage) for stage in STAGES if not names or stage.name in names]
    _report(outcomes)
    return 0 if all(outcome.ok for outcome in outcomes) else 1


def _run(stage: Stage) -> Outcome:
    print(f"\n=== {stage.name} ".ljust(100, "="), flush=True)
    outcome = Outcome(stage.name, 0.0, ok=True)
    started = time.monotonic()
    for number, command in enumerate(stage.commands):
        report = REPORTS / f"{stage.name}-{number}.xml"
        report.unlink(missing_ok=True)
        junit = (f"--junitxml={report}",) if "pytest" in command else ()
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        code = subprocess.run(
            (*command, *junit), cwd=ROOT, env=os.environ | {"PATH": path}, check=False
        ).returncode
        outcome.ok = outcome.ok and code == 0
        if junit:
            _count(report, outcome)
        else:
            outcome.passed += code == 0
            outcome.failed += code != 0
    outcome.seconds = time.monotonic() - started
    return outcome


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


def _report(outcomes: list[Outcome]) -> None:
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
    print(f"\n{passed} passed, {failed} failed, {len(skipped)} skipped")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
