"""A live table of jobs until they are finished; where the output is no terminal, one line per change."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console
from rich.live import Live
from rich.text import Text

from loadstar.cli.rows import Job, Row, row
from loadstar.cli.tables import STYLES, jobs_table
from loadstar.clients.errors import Unavailable
from loadstar.clients.kube import Objects

INTERVAL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Watch:
    """What to look at and when to stop."""

    names: Collection[str] = ()
    """Jobs to show; none means all."""
    until_finished: bool = False
    """Stop when every job shown has succeeded or failed (and every job named is there)."""
    timeout: float | None = None
    """Stop after this many seconds in any case."""
    namespaces: bool = False
    """Show the jobs' namespaces."""

    def over(self, rows: Collection[Row]) -> bool:
        """Whether there is nothing more to wait for."""
        missing = set(self.names) - {line.name for line in rows}
        return self.until_finished and bool(rows) and not missing and all(line.finished for line in rows)


async def watch(console: Console, fetch: Callable[[], Awaitable[Objects]], wanted: Watch) -> list[Row]:
    """Show the jobs that `fetch` lists until `wanted` says so; the rows as they were last."""
    live = Live(console=console, auto_refresh=False) if console.is_terminal else None
    rows: list[Row] = []
    told: dict[tuple[str, str], Row] = {}
    with live or nullcontext():
        async for jobs in _snapshots(console, fetch, wanted):
            now = datetime.now(UTC)
            rows = [row(job, now) for job in jobs]
            if live is not None:
                live.update(jobs_table(jobs, now, namespaces=wanted.namespaces), refresh=True)
            else:
                _tell_changes(console, rows, told, now)
            if wanted.over(rows):
                break
    return rows


async def _snapshots(
    console: Console, fetch: Callable[[], Awaitable[Objects]], wanted: Watch
) -> AsyncIterator[list[Job]]:
    """The jobs every second until the time is out. An API server that is away for a while is waited for."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + wanted.timeout if wanted.timeout is not None else float("inf")
    while True:
        try:
            listed = await fetch()
        except Unavailable as error:
            console.print(Text(f"still trying: {error}", style="yellow"))
        else:
            yield [job for job in listed if not wanted.names or job["metadata"]["name"] in wanted.names]
        if clock() >= deadline:
            return
        await asyncio.sleep(INTERVAL_SECONDS)


def _tell_changes(console: Console, rows: list[Row], told: dict[tuple[str, str], Row], now: datetime) -> None:
    """Print the jobs whose phase, nodes or result are not what was printed of them last."""
    for line in rows:
        key = (line.namespace, line.name)
        before = told.get(key)
        if before is not None and _essence(before) == _essence(line):
            continue
        told[key] = line
        text = Text.assemble(
            now.strftime("%H:%M:%S "), f"{line.name:<24} ", (f"{line.phase:<10}", STYLES.get(line.phase, ""))
        )
        text.append(" ".join(part for part in (line.nodes, line.accuracy, line.why) if part))
        console.print(text, soft_wrap=True)


def _essence(line: Row) -> tuple[str, str, str, str]:
    return (line.phase, line.nodes, line.accuracy, line.why)
