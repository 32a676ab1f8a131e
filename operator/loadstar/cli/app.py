"""The `loadstar` command. Each command imports what it needs when it runs, so that none waits for the others'."""

import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

import loadstar
from loadstar.cli.cluster import Kubeconfig, ask
from loadstar.cli.ending import EXIT_FAILED, EXIT_USAGE, end
from loadstar.cli.evaluate_forecast import evaluate_forecast
from loadstar.cli.simulate import simulate
from loadstar.settings import LogFormat, LogLevel, Settings, SettingsError

if TYPE_CHECKING:
    from loadstar.cli.rows import Row
    from loadstar.clients.kube import Kube, Object, Objects

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train models on a Kubernetes cluster's GPUs, each job where the load will be low.",
)

Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Namespace of the jobs.")]
Everywhere = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Jobs of all namespaces.")]


def main() -> None:
    """Entry point of the console script."""
    app()


@app.command()
def run(
    kubeconfig: Kubeconfig = None,
    namespace: Annotated[str | None, typer.Option(help="Namespace of the operator's own Lease.")] = None,
    watch_namespaces: Annotated[
        str | None, typer.Option(help="Namespaces whose jobs are run, separated by commas; all if not given.")
    ] = None,
    prometheus_url: Annotated[
        str | None, typer.Option(help="Address of Prometheus; placement is by allocation alone without it.")
    ] = None,
    trainer_image: Annotated[str | None, typer.Option(help="Image of jobs that name none.")] = None,
    serving_address: Annotated[
        str | None, typer.Option(help="Address of /metrics, /healthz, /readyz.")
    ] = None,
    serving_port: Annotated[int | None, typer.Option(help="Port of /metrics, /healthz, /readyz.")] = None,
    log_level: Annotated[LogLevel | None, typer.Option(help="Least severity that is logged.")] = None,
    log_format: Annotated[
        LogFormat | None, typer.Option(help="text for people, json for collectors.")
    ] = None,
) -> None:
    """Run the operator until it is stopped.

    Every setting can also be given as an environment variable LOADSTAR_<SETTING>; `loadstar settings` lists them.
    """
    flags = dict(locals())
    try:
        settings = Settings.read(os.environ, flags)
    except SettingsError as error:
        end(str(error), EXIT_USAGE)
    from loadstar.clients.errors import ClientError
    from loadstar.main import run as run_operator

    try:
        code = run_operator(settings)
    except ClientError as error:
        end(str(error), EXIT_FAILED)
    raise typer.Exit(code)


@app.command()
def crd() -> None:
    """Print the CustomResourceDefinition, for `kubectl apply --server-side -f -`."""
    from loadstar.api.crd import to_yaml

    sys.stdout.write(to_yaml())


@app.command()
def settings() -> None:
    """List every setting of `loadstar run`: its variable, default and meaning."""
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = ",".join(default) if isinstance(default, tuple) else str(default)
        typer.echo(f"LOADSTAR_{name.upper()}={shown}")
        typer.echo(f"    {' '.join((field.description or '').split())}")


@app.command()
def get(
    name: Annotated[str | None, typer.Argument(help="One job; all if not given.")] = None,
    namespace: Namespace = "default",
    everywhere: Everywhere = False,
    kubeconfig: Kubeconfig = None,
) -> None:
    """List jobs: phase, accuracy, where they run and why there."""
    from rich.console import Console

    from loadstar.cli.tables import jobs_table

    async def fetch(kube: "Kube") -> "Objects":
        if name is not None:
            return [await _job(kube, name, namespace)]
        return await _jobs(kube, "" if everywhere else namespace)

    jobs = ask(kubeconfig, fetch)
    if not jobs:
        end(f"no TrainingJob in {'any namespace' if everywhere else f'namespace {namespace}'}", 0)
    Console().print(jobs_table(jobs, datetime.now(UTC), namespaces=everywhere))


@app.command()
def watch(
    names: Annotated[list[str] | None, typer.Argument(help="Jobs to watch; all if none is given.")] = None,
    namespace: Namespace = "default",
    everywhere: Everywhere = False,
    until_finished: Annotated[
        bool,
        typer.Option(
            "--until-finished", help="End when all have finished; the exit code is 0 if all succeeded."
        ),
    ] = False,
    timeout: Annotated[
        float | None, typer.Option(help="End after this many seconds, with exit code 1.")
    ] = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Show jobs live, until interrupted."""
    from rich.console import Console

    from loadstar.cli import watching

    wanted = watching.Watch(tuple(names or ()), until_finished, timeout, everywhere)

    async def follow(kube: "Kube") -> "list[Row]":
        return await watching.watch(Console(), lambda: _jobs(kube, "" if everywhere else namespace), wanted)

    try:
        rows = ask(kubeconfig, follow)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if until_finished and not (wanted.over(rows) and all(line.phase == "Succeeded" for line in rows)):
        unfinished = ", ".join(f"{line.name} {line.phase}" for line in rows if line.phase != "Succeeded")
        end(f"not succeeded: {unfinished or 'no such job'}", EXIT_FAILED)


@app.command()
def explain(
    name: Annotated[str, typer.Argument(help="The job.")],
    namespace: Namespace = "default",
    kubeconfig: Kubeconfig = None,
) -> None:
    """Say why a job is where it is: load, forecast and score of its nodes and of the best others, the nodes that it
    could not use, and in hindsight how right the forecast was."""
    from rich.console import Console

    from loadstar.cli.explanation import explanation

    job = ask(kubeconfig, lambda kube: _job(kube, name, namespace))
    Console().print(explanation(job, datetime.now(UTC)))


@app.command()
def nodes(kubeconfig: Kubeconfig = None) -> None:
    """List the GPU nodes: what they have and what is free."""
    from rich.console import Console

    from loadstar.cli.tables import nodes_table
    from loadstar.clients.resources import NODES, PODS

    async def fetch(kube: "Kube") -> "tuple[Objects, Objects]":
        return await kube.list(NODES), await kube.list(PODS)

    found, pods = ask(kubeconfig, fetch)
    table = nodes_table(found, pods)
    if not table.row_count:
        end(f"none of {len(found)} nodes has GPUs (nvidia.com/…): is a device plugin running?", EXIT_FAILED)
    Console().print(table)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"loadstar {loadstar.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


async def _job(kube: "Kube", name: str, namespace: str) -> "Object":
    from loadstar.clients.resources import TRAINING_JOBS

    return await kube.get(TRAINING_JOBS, name, namespace)


async def _jobs(kube: "Kube", namespace: str) -> "Objects":
    from loadstar.clients.resources import TRAINING_JOBS

    return await kube.list(TRAINING_JOBS, namespace)


app.command()(simulate)
app.command()(evaluate_forecast)
