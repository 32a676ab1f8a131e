"""Runs a simulation's policies and seeds, several at a time, and shows what they came to."""

import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from loadstar.simulator.comparison import COLUMNS, Summary, Trial, front, summaries
from loadstar.simulator.outcome import Outcome
from loadstar.simulator.replay import OURS, Scenario
from loadstar.simulator.replay import run as replay
from loadstar.simulator.report import as_html, as_json

_BANDED, _PLAIN = ("hot", "wait", "jct"), ("jct p95", "goodput")
"""Columns that a terminal has room for, with and without their intervals; JSON and HTML have all."""

_UNBOUND = 160
"""Width of a table in a file or pipe, in characters: nothing is cut there."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run: every policy on every seed's jobs."""

    scenario: Scenario
    policies: tuple[str, ...]
    seeds: tuple[int, ...]
    source: dict[str, str]
    """Where nodes and jobs come from, in words."""

    @property
    def runs(self) -> list[tuple[str, int]]:
        """All of them, in the order in which they are reported."""
        return [(policy, seed) for policy in self.policies for seed in self.seeds]

    @property
    def facts(self) -> dict[str, str]:
        """What is simulated, in words."""
        scenario, seeds = self.scenario, self.seeds
        fleet, recorded = scenario.fleet, scenario.occupancy is None
        jobs = len(scenario.trace.arrival) if recorded else scenario.jobs
        return {
            "nodes": f"{len(fleet)} with {fleet.gpus} GPUs ({self.source['nodes']})",
            "jobs": f"{jobs} of {self.source['jobs']}"
            if recorded
            else f"{jobs} drawn from {self.source['jobs']}",
            "load": "as recorded" if recorded else f"{scenario.occupancy:g} of all GPU-time asked for",
            "queue": scenario.queueing.value,
            "seeds": f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]}–{seeds[-1]}",
        }


def run(plan: Plan, workers: int) -> list[Trial]:
    """Every run's outcome, in the order of `plan.runs` however many run at a time."""
    found: dict[tuple[str, int], Outcome] = {}
    with _progress() as progress:
        task = progress.add_task("simulating", total=len(plan.runs))
        for key, outcome in _outcomes(plan, min(workers, len(plan.runs))):
            found[key] = outcome
            progress.advance(task)
    return [Trial(policy, seed, found[policy, seed]) for policy, seed in plan.runs]


def show(trials: Sequence[Trial], plan: Plan, json: Path | None, html: Path | None) -> None:
    """Print the table, and write what was asked for. With `json` as - the table goes to standard error."""
    piped = json is not None and str(json) == "-"
    console = Console(stderr=piped)
    if not console.is_terminal:
        console.width = _UNBOUND
    console.print(Text("  ".join(f"{name}: {value}" for name, value in plan.facts.items()), style="dim"))
    console.print(table(summaries(trials), several=len(plan.seeds) > 1))
    if piped:
        sys.stdout.write(as_json(trials, plan.facts))
    elif json is not None:
        json.write_text(as_json(trials, plan.facts), encoding="utf-8")
        console.print(f"figures: {json}")
    if html is not None:
        html.write_text(as_html(trials, plan.facts), encoding="utf-8")
        console.print(f"report: {html}")


def table(found: Sequence[Summary], *, several: bool) -> Table:
    """One line per policy, coolest first, with the front of heat against waiting marked.

    Of `several` seeds it shows intervals.
    """
    shown = Table(box=None, pad_edge=False, header_style="bold", caption_justify="left")
    shown.caption = "● nobody is better in both heat and wait" + ("; ± 95 % interval" if several else "")
    shown.add_column("")
    shown.add_column("Policy", no_wrap=True)
    for column in (_COLUMN[key] for key in (*_BANDED, *_PLAIN)):
        shown.add_column(column.title, justify="right", no_wrap=True)
        if several and column.key in _BANDED:
            shown.add_column("±", style="dim", no_wrap=True)
    unbeaten = {summary.policy for summary in front(found)}
    for summary in sorted(found, key=lambda summary: (summary.mean("hot"), summary.policy)):
        mark = "●" if summary.policy in unbeaten else ""
        style = "bold cyan" if summary.policy == OURS else ""
        shown.add_row(mark, summary.policy, *_cells(summary, several), style=style)
    return shown


_COLUMN = {column.key: column for column in COLUMNS}


def _cells(summary: Summary, several: bool) -> Iterator[str]:
    for key in (*_BANDED, *_PLAIN):
        estimate, write = summary.estimates[key], _COLUMN[key].write
        yield write(estimate.mean)
        if several and key in _BANDED:
            yield write(estimate.band)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _outcomes(plan: Plan, workers: int) -> Iterator[tuple[tuple[str, int], Outcome]]:
    """Runs as they end. Each is a function of its policy and seed alone, so that their order does not matter."""
    if workers == 1:
        yield from ((key, replay(plan.scenario, *key)) for key in plan.runs)
        return
    # A process per run at a time; NumPy's own threads would only get in each other's way.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin, (plan.scenario,))
    try:
        running = {pool.submit(_replay, *key): key for key in plan.runs}
        for future in as_completed(running):
            yield running[future], future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_scenario: Scenario | None = None
"""In a worker process: what all its runs replay."""


def _begin(scenario: Scenario) -> None:
    global _scenario  # noqa: PLW0603
    _scenario = scenario


def _replay(policy: str, seed: int) -> Outcome:
    assert _scenario is not None
    return replay(_scenario, policy, seed)
