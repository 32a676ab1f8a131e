"""What the `loadstar` command prints, without a cluster."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from rich.console import Console, RenderableType
from typer.testing import CliRunner

from loadstar.cli.app import app
from loadstar.cli.ending import EXIT_FAILED, EXIT_USAGE
from loadstar.cli.explanation import explanation
from loadstar.cli.rows import row, span
from loadstar.cli.tables import jobs_table, nodes_table
from loadstar.cli.watching import Watch, watch
from loadstar.clients.errors import Unavailable
from loadstar.settings import Settings

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    for variable in ("LOADSTAR_KUBECONFIG", "KUBECONFIG"):
        monkeypatch.delenv(variable, raising=False)
    return CliRunner()


def printed(what: RenderableType) -> str:
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(what)
        return console.export_text()


def job(name: str = "iris", **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "a"}, "status": status}


PLACEMENT = {
    "policy": "predictive",
    "horizonSeconds": 300,
    "nodeSummary": "gpu-1",
    "nodes": [
        {
            "name": "gpu-1",
            "ranks": [0, 1],
            "gpus": 2,
            "load": "0.7012",
            "forecast": "0.3104",
            "band": "0.05",
            "score": "-0.024",
            "terms": {"overload": "-0.002", "load": "-0.022"},
        }
    ],
    "rejected": [{"reason": "InsufficientGPUs", "nodes": 3, "example": "gpu-9 has 0 of 2 GPUs free"}],
}


def test_a_placed_job_shows_the_numbers_that_it_was_placed_by() -> None:
    line = row(job(phase="Running", placement=PLACEMENT, gpus=2), NOW)
    assert (line.phase, line.nodes, line.gpus) == ("Running", "gpu-1", "2")
    assert line.why == "load 0.7012 → 0.3104 ± 0.05, score overload -0.002 load -0.022"


def test_a_job_with_parts_of_gpus_shows_how_many_and_which() -> None:
    part = job(phase="Running", placement=PLACEMENT, gpus=2, gpuResource="nvidia.com/mig-1g.10gb")
    assert row(part, NOW).gpus == "2 mig-1g.10gb"
    assert "2 mig-1g.10gb" in printed(explanation(part, NOW))


def test_a_waiting_job_shows_its_place_and_its_reason() -> None:
    line = row(job(phase="Queued", queue={"position": 2}, message="3 nodes have too few GPUs"), NOW)
    assert line.why == "2. in the queue: 3 nodes have too few GPUs"


def test_a_failed_job_shows_its_message_and_not_where_it_ran() -> None:
    assert row(job(phase="Failed", placement=PLACEMENT, message="exit code 1"), NOW).why == "exit code 1"


def test_a_job_without_status_is_pending() -> None:
    assert row({"metadata": {"name": "iris", "namespace": "a"}}, NOW).phase == "Pending"


def test_a_regression_shows_its_loss_where_others_show_accuracy() -> None:
    result = {"metrics": [{"name": "loss", "value": "0.009712345"}]}
    assert row(job(phase="Succeeded", result=result), NOW).accuracy == "loss 0.009712"


def test_a_finished_job_shows_how_long_it_ran_and_a_running_one_how_long_by_now() -> None:
    start = "2026-11-22T11:58:00Z"
    assert row(job(startTime=start), NOW).time == "2m00s"
    assert row(job(startTime=start, completionTime="2026-11-22T11:58:42Z"), NOW).time == "42s"


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0s"), (59, "59s"), (190, "3m10s"), (7500, "2h05m"), (356_400, "4d03h")]
)
def test_a_span_of_time_is_told_in_two_units(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_a_message_cannot_steer_the_terminal() -> None:
    text = printed(jobs_table([job(phase="Failed", message="\x1b[2J[red]gone[/red]")], NOW, namespaces=True))
    assert "\x1b" not in text
    assert "[2J[red]gone[/red]" in text


def test_an_explanation_holds_every_nodes_numbers_and_the_nodes_refused() -> None:
    text = printed(explanation(job(phase="Running", placement=PLACEMENT), NOW))
    for words in ("policy predictive", "300 s ahead", "0.7012", "0.3104", "overload", "-0.024", "0,1"):
        assert words in text
    assert "InsufficientGPUs" in text
    assert "gpu-9 has 0 of 2 GPUs free" in text


OTHER = {
    "name": "gpu-2",
    "load": "0.1",
    "forecast": "0.55",
    "score": "-0.094",
    "terms": {"overload": "-0.072", "load": "-0.022", "health": "0.0000"},
}
HINDSIGHT = {
    "horizonReachedAt": "2026-11-22T11:55:00.000000Z",
    "load": "0.4810",
    "error": "-0.0302",
    "persistenceError": "0.0815",
    "withinBand": "1.0000",
    "regret": "0.0000",
    "use": {"gpu": "0.6200", "cpu": "0.9000"},
}


def test_the_best_others_stand_beside_the_nodes_that_were_chosen() -> None:
    lines = printed(explanation(job(placement=PLACEMENT | {"alternatives": [OTHER]}), NOW)).splitlines()
    columns, chosen, other = (line.split() for line in lines[3:6])
    assert columns == ["Node", "Ranks", "GPUs", "Load", "Forecast", "Score", "Made", "of"]
    assert chosen[:7] == ["gpu-1", "0,1", "2", "0.7012", "0.3104", "±", "0.05"]
    assert chosen[7:] == ["-0.024", "load", "-0.022,", "overload", "-0.002"]
    assert other[:6] == ["gpu-2", "not", "chosen", "0.1", "0.55", "-0.094"]
    assert other[6:] == ["overload", "-0.072,", "load", "-0.022"]


def test_an_explanation_says_in_hindsight_how_right_the_forecast_was() -> None:
    known = PLACEMENT | {"alternatives": [OTHER], "hindsight": HINDSIGHT}
    text = printed(explanation(job(placement=known), NOW))
    assert "In hindsight, 2026-11-22 11:55:00 UTC" in text
    assert (
        "the load had become 0.481, the forecast was 0.0302 too low: "
        "nearer than to say that nothing changes, which was 0.0815 too high"
    ) in text
    assert "it stayed within the forecast's band" in text
    assert "none of the others would have been less loaded" in text
    assert "its pods used of what they request: cpu 0.9, gpu 0.62" in text


def test_a_regret_is_told() -> None:
    known = PLACEMENT | {"alternatives": [OTHER], "hindsight": HINDSIGHT | {"regret": "0.12"}}
    text = printed(explanation(job(placement=known), NOW))
    assert "the best of the others would have been loaded 0.12 less" in text


def test_a_forecast_that_failed_is_said_to_have() -> None:
    failed = HINDSIGHT | {"error": "0.2", "withinBand": "0", "persistenceError": "0"}
    text = printed(explanation(job(placement=PLACEMENT | {"hindsight": failed}), NOW))
    assert "0.2 too high: no nearer than to say that nothing changes, which was right" in text
    assert "it did not stay within the forecast's band" in text
    assert "others" not in text


def test_a_waiting_job_shows_when_it_is_expected_to_start() -> None:
    queue = {"position": 2, "estimatedStartTime": "2026-11-22T12:03:10Z"}
    waiting = job(phase="Queued", queue=queue, message="3 nodes have too few GPUs")
    told = "2. in the queue, expected to start in 3m10s"
    assert row(waiting, NOW).why == f"{told}: 3 nodes have too few GPUs"
    assert told in printed(explanation(waiting, NOW))


def test_an_explanation_of_a_failure_says_where_and_how() -> None:
    failure = {
        "attempt": 2,
        "rank": 1,
        "node": "gpu-1",
        "exitCode": 137,
        "reason": "OOMKilled",
        "message": "too big",
    }
    text = printed(explanation(job(phase="Failed", lastFailure=failure), NOW))
    assert "Last failure (attempt 2, rank 1, on gpu-1, exit code 137): OOMKilled" in text
    assert "too big" in text


def test_a_job_that_nobody_looked_at_is_explained_as_such() -> None:
    assert "is it running" in printed(explanation({"metadata": {"name": "iris", "namespace": "a"}}, NOW))


def test_nodes_show_what_is_free_of_what_they_have() -> None:
    allocatable = {"cpu": "8", "memory": "16Gi", "nvidia.com/gpu": "4", "pods": "110"}
    ready = [{"type": "Ready", "status": "True"}]
    node = {"metadata": {"name": "gpu-1"}, "status": {"allocatable": allocatable, "conditions": ready}}
    plain = {"metadata": {"name": "cpu-1"}, "status": {"allocatable": {"cpu": "8"}, "conditions": ready}}
    limits = {
        "resources": {"limits": {"nvidia.com/gpu": "1"}, "requests": {"cpu": "500m", "nvidia.com/gpu": "1"}}
    }

    def pod(name: str, phase: str) -> dict[str, Any]:
        metadata = {"name": name, "namespace": "a", "uid": name}
        return {
            "metadata": metadata,
            "spec": {"nodeName": "gpu-1", "containers": [limits]},
            "status": {"phase": phase},
        }

    text = printed(nodes_table([node, plain], [pod("p", "Running"), pod("q", "Succeeded")]))
    assert "cpu-1" not in text
    assert text.splitlines()[1].split() == [
        "gpu-1",
        "3",
        "4",
        "7.5",
        "8",
        "16.0",
        "GiB",
        "16.0",
        "GiB",
        "ready",
    ]


def test_nodes_show_the_parts_of_gpus_that_they_offer() -> None:
    allocatable = {
        "cpu": "8",
        "nvidia.com/gpu": "0",
        "nvidia.com/mig-1g.10gb": "7",
        "nvidia.com/mig-2g.20gb": "1",
    }
    ready = [{"type": "Ready", "status": "True"}]
    node = {"metadata": {"name": "mig-1"}, "status": {"allocatable": allocatable, "conditions": ready}}
    taken = {"resources": {"limits": {"nvidia.com/mig-1g.10gb": "1"}}}
    pod = {
        "metadata": {"name": "p", "namespace": "a", "uid": "p"},
        "spec": {"nodeName": "mig-1", "containers": [taken]},
        "status": {"phase": "Running"},
    }
    first, second = printed(nodes_table([node], [pod])).splitlines()[1:]
    assert first.split()[:5] == ["mig-1", "6", "mig-1g.10gb", "7", "mig-1g.10gb"]
    assert second.split() == ["1", "mig-2g.20gb", "1", "mig-2g.20gb"]


def snapshots(*lists: list[dict[str, Any]] | Exception) -> Any:
    remaining: Iterator[list[dict[str, Any]] | Exception] = iter(lists)

    async def fetch() -> list[dict[str, Any]]:
        found = next(remaining)
        if isinstance(found, Exception):
            raise found
        return found

    return fetch


async def watched(wanted: Watch, *lists: list[dict[str, Any]] | Exception) -> tuple[list[str], str]:
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        rows = await watch(console, snapshots(*lists), wanted)
        return [line.phase for line in rows], console.export_text()


@pytest.mark.looptime
async def test_watching_ends_when_every_job_named_is_there_and_finished() -> None:
    wanted = Watch(names=("iris", "digits"), until_finished=True)
    done = job("iris", phase="Succeeded")
    phases, _ = await watched(wanted, [done], [done, job("digits")], [done, job("digits", phase="Failed")])
    assert phases == ["Succeeded", "Failed"]


@pytest.mark.looptime
async def test_without_a_terminal_each_change_is_one_line() -> None:
    wanted = Watch(until_finished=True)
    running = [job(phase="Running", placement=PLACEMENT)]
    _, text = await watched(wanted, [job()], running, running, [job(phase="Succeeded", accuracy="0.9667")])
    assert [line.split()[2] for line in text.splitlines()] == ["Pending", "Running", "Succeeded"]


@pytest.mark.looptime
async def test_watching_outlasts_an_api_server_that_is_away() -> None:
    wanted = Watch(until_finished=True)
    phases, text = await watched(wanted, Unavailable("refused"), [job(phase="Succeeded")])
    assert phases == ["Succeeded"]
    assert "still trying: refused" in text


@pytest.mark.looptime
async def test_watching_ends_when_its_time_is_out() -> None:
    phases, _ = await watched(Watch(until_finished=True, timeout=2.5), *([[job()]] * 4))
    assert phases == ["Pending"]
    assert asyncio.get_running_loop().time() == 3


def test_a_bad_setting_ends_run_with_its_name(runner: CliRunner) -> None:
    outcome = runner.invoke(app, ["run"], env={"LOADSTAR_SERVING_PORT": "a"})
    assert outcome.exit_code == EXIT_USAGE
    assert "LOADSTAR_SERVING_PORT='a' is not accepted" in outcome.stderr


def test_a_missing_kubeconfig_ends_a_command_with_how_to_name_one(runner: CliRunner) -> None:
    outcome = runner.invoke(app, ["get", "--kubeconfig", "/no/such/file"])
    assert outcome.exit_code == EXIT_FAILED
    assert "no kubeconfig at /no/such/file" in outcome.stderr


def test_the_crd_is_printed_as_kubectl_takes_it(runner: CliRunner) -> None:
    outcome = runner.invoke(app, ["crd"])
    assert yaml.safe_load(outcome.stdout)["kind"] == "CustomResourceDefinition"


def test_every_setting_is_listed_with_its_meaning(runner: CliRunner) -> None:
    lines = runner.invoke(app, ["settings"]).stdout.splitlines()
    assert len(lines) == 2 * len(Settings.model_fields)
    assert "LOADSTAR_PIN_TIMEOUT_SECONDS=15.0" in lines
