"""`loadstar simulate`: the scheduling decisions of this product and of others on one's own nodes and jobs."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from loadstar.cli.cluster import Kubeconfig
from loadstar.cli.ending import EXIT_FAILED, EXIT_USAGE, end


class Queue(StrEnum):
    """Who of the waiting jobs may start."""

    FIFO = "fifo"
    BACKFILL = "backfill"


def simulate(
    nodes: Annotated[
        str | None,
        typer.Option(help="csv file of the nodes, or nodes × GPUs × cores of alike ones: 24x8x96."),
    ] = None,
    jobs: Annotated[Path | None, typer.Option(help="csv file of the jobs.")] = None,
    from_cluster: Annotated[
        bool,
        typer.Option(
            "--from-cluster", help="The cluster's nodes and finished TrainingJobs, where no file is given."
        ),
    ] = False,
    policy: Annotated[
        list[str] | None, typer.Option(help="Policy to try; again for more.", show_default="loadstar")
    ] = None,
    baselines: Annotated[bool, typer.Option(help="Try other schedulers' policies, too.")] = True,
    load: Annotated[
        float | None,
        typer.Option(
            "--load",
            "--rho",
            help="Share of all GPU-time that the jobs ask for, such as 0.85: draws jobs from the file and brings "
            "their arrivals closer together or further apart.",
            show_default="all jobs, as recorded",
        ),
    ] = None,
    count: Annotated[int, typer.Option(help="Jobs of a run, with --load.", min=2)] = 1200,
    queue: Annotated[
        Queue, typer.Option(help="fifo: the first one that waits blocks the rest.")
    ] = Queue.FIFO,
    seeds: Annotated[
        str, typer.Option(help="How many runs of each policy, or their seeds: 10 or 10-29.")
    ] = "5",
    json: Annotated[
        Path | None, typer.Option("--json", help="File to write all figures to; - for standard output.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="File to write a report with plots to.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Runs at a time.", min=1, show_default="one per CPU")
    ] = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Replay jobs on a simulated cluster, placed by this product and by other schedulers.

    Needs --nodes and --jobs, or --from-cluster. docs/simulator.md tells the files' columns and what the figures mean.
    The same input and the same seeds give the same figures.
    """
    from loadstar.cli import simulation
    from loadstar.cli.inputs import Source, check_folders, policies_of, scenario_of, seeds_of

    try:
        check_folders(json=json, html=html)
        source = Source(nodes, jobs, from_cluster, kubeconfig)
        scenario = scenario_of(source, load, count, queue.value)
        plan = simulation.Plan(scenario, policies_of(policy or [], baselines), seeds_of(seeds), source.facts)
    except ValueError as error:
        end(str(error), EXIT_USAGE)
    except OSError as error:
        end(str(error), EXIT_FAILED)
    try:
        trials = simulation.run(plan, workers or os.cpu_count() or 1)
        simulation.show(trials, plan, json, html)
    except (OSError, RuntimeError, ValueError) as error:
        end(str(error), EXIT_FAILED)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
