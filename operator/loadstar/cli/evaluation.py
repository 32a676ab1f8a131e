"""Where the series to score come from, how far the scoring is, and what came out of it."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from loadstar.clients.queries import Endpoint, QueryApi
from loadstar.simulator.evaluation import Question, evaluate
from loadstar.simulator.scores import Figure, Scores
from loadstar.simulator.series import Series, of_points, seconds

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Range:
    """A range of a Prometheus query; moments as dates (UTC) or Unix seconds. The last day where they are not given."""

    url: str
    query: str
    start: str | None
    stop: str | None
    step: float

    def read(self) -> Series:
        """Its series by their labels. Raises ValueError (what is wrong with the question) or MetricsError."""
        stop = _moment("--end", self.stop) if self.stop else time.time()
        start = _moment("--start", self.start) if self.start else stop - DAY
        if not start < stop:
            raise ValueError("--start is not before --end")
        found = asyncio.run(self._ask(start, stop))
        if not found:
            raise ValueError(f"--query: {self.url} has no series of {self.query} in that time")
        return of_points(self.query, found)

    async def _ask(self, start: float, stop: float) -> Mapping[str, Sequence[tuple[float, float]]]:
        api = QueryApi(Endpoint(self.url, timeout=60.0))
        try:
            series = await api.range(self.query, start, stop, self.step)
        finally:
            await api.close()
        return {_name(one.labels): one.points for one in series}


def scored(sources: Sequence[Series], question: Question) -> list[Scores]:
    """Scores of each source, with a progress bar on standard error."""
    with Progress(
        TextColumn("scoring"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("scoring", total=1.0)
        return evaluate(sources, question, lambda done: bar.update(task, completed=done))


def tables(scores: Sequence[Scores]) -> Iterator[Table | Text]:
    """What a terminal has room for: a line per set, and the skill of all methods."""
    yield _summary(scores)
    yield _skills(scores)
    for one in scores:
        if one.left_out and one.source != "all":
            yield Text(f"{one.source}: {len(one.left_out)} series left out: they never move or are too short")


def _summary(scores: Sequence[Scores]) -> Table:
    table = Table(title="The forecast (errors in mean absolute steps)", title_justify="left", box=None)
    table.add_column("set", overflow="fold")
    for name in (
        "series",
        "skill",
        "better",
        "MASE",
        "bias",
        "of mean",
        "pinball .9",
        "of persistence",
        "coverage",
    ):
        table.add_column(name, justify="right")
    for one in scores:
        ours = {figure: float(values.mean()) for figure, values in one.forecast.items()}
        table.add_row(
            one.source,
            str(len(one.names)),
            f"{one.skill():+.3f}",
            f"{one.better:.0%}",
            f"{ours[Figure.ERROR]:.3f}",
            f"{ours[Figure.BIAS]:+.3f}",
            f"{ours[Figure.MEAN_BIAS]:+.3f}",
            f"{ours[Figure.PINBALL]:.3f}",
            f"{float(one.persistence[Figure.PINBALL].mean()):.3f}",
            f"{one.coverage:.1%}",
        )
    return table


def _skills(scores: Sequence[Scores]) -> Table:
    table = Table(title="Skill against persistence by steps ahead", title_justify="left", box=None)
    table.add_column("set", overflow="fold")
    table.add_column("method", no_wrap=True)
    for horizon in scores[0].horizons:
        table.add_column(str(horizon), justify="right")
    table.add_column("mean", justify="right")
    for one in scores:
        rows = {
            "forecast": one.skill_by_horizon(),
            **{name: one.baseline_skill_by_horizon(name) for name in one.baselines},
        }
        for place, (name, skills) in enumerate(rows.items()):
            values = [f"{skill:+.3f}" for skill in (*skills, skills.mean())]
            table.add_row("" if place else one.source, name, *values, style="bold" if not place else "")
    return table


def _name(labels: Mapping[str, str]) -> str:
    name, rest = (
        labels.get("__name__", ""),
        {key: value for key, value in labels.items() if key != "__name__"},
    )
    return name + "{" + ",".join(f'{key}="{value}"' for key, value in sorted(rest.items())) + "}"


def _moment(option: str, text: str) -> float:
    try:
        return seconds(text)
    except ValueError:
        raise ValueError(
            f"{option} is {text!r}: write a date such as 2026-03-01T12:00:00 or Unix seconds"
        ) from None
