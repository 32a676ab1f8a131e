"""`loadstar evaluate-forecast`: how well the operator's forecast does on one's own recorded loads."""

import json as jsons
from pathlib import Path
from typing import Annotated

import typer

from loadstar.cli.ending import EXIT_FAILED, EXIT_USAGE, end


def evaluate_forecast(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="csv files: the time in the first column, one series in each other; blank = missing."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="All figures as JSON instead of a table.")] = False,
    horizons: Annotated[
        str, typer.Option(help="Steps ahead to score, separated by commas.")
    ] = "1,3,5,10,15,30",
    warm_up: Annotated[
        int, typer.Option(help="First steps that are learned from and not scored.", min=1)
    ] = 120,
    baselines: Annotated[bool, typer.Option(help="Score other methods, too.")] = True,
    unit: Annotated[
        float, typer.Option(help="Seconds that one unit of a numeric time column stands for.", min=1e-9)
    ] = 1.0,
    prometheus: Annotated[
        str | None, typer.Option(help="Address of a Prometheus to read from, with --query.")
    ] = None,
    query: Annotated[str | None, typer.Option(help="PromQL whose series are scored.")] = None,
    start: Annotated[str | None, typer.Option(help="First moment: a date (UTC) or Unix seconds.")] = None,
    stop: Annotated[str | None, typer.Option("--end", help="Last moment.")] = None,
    step: Annotated[float, typer.Option(help="Seconds between the samples of a range.", min=1.0)] = 30.0,
) -> None:
    """Score the load forecast on recorded series against "nothing changes" and other methods.

    At each step the operator's own forecaster is given the sample and asked for every horizon. Several files are
    scored one by one and then together. docs/forecast.md says what the figures mean.
    """
    from rich.console import Console

    from loadstar.cli.evaluation import Range, scored, tables
    from loadstar.clients.errors import ClientError
    from loadstar.simulator.evaluation import Question
    from loadstar.simulator.series import read

    try:
        question = Question(_steps(horizons), warm_up, baselines)
        if prometheus is not None:
            if files or not query:
                raise ValueError("--prometheus goes with --query and without files")
            sources = [Range(prometheus, query, start, stop, step).read()]
        else:
            sources = [read(path, unit) for path in files or ()]
        if not sources:
            raise ValueError("name a csv file of loads, or --prometheus and --query")
        scores = scored(sources, question)
    except ValueError as error:
        end(str(error), EXIT_USAGE)
    except (OSError, ClientError) as error:
        end(str(error), EXIT_FAILED)
    if json:
        typer.echo(jsons.dumps({"warmUp": warm_up, "sets": [one.document() for one in scores]}, indent=2))
        return
    for table in tables(scores):
        Console().print(table)


def _steps(text: str) -> tuple[int, ...]:
    try:
        steps = tuple(int(part) for part in text.split(","))
    except ValueError:
        steps = ()
    if not steps or min(steps) < 1 or list(steps) != sorted(set(steps)):
        raise ValueError(f"--horizons is {text!r}: write rising whole numbers of steps such as 1,3,5,10")
    return steps
