"""`loadstar simulate`: input, refusals, and that its figures are those of the input alone."""

import json
from pathlib import Path

import pytest
from aiohttp import web
from typer.testing import CliRunner

from loadstar.cli.app import app
from loadstar.cli.ending import EXIT_FAILED, EXIT_USAGE
from loadstar.cli.inputs import policies_of, seeds_of
from loadstar.cli.snapshot import finished, snapshot
from loadstar.clients.connection import connect
from loadstar.clients.kube import Kube
from tests.unit import raw
from tests.unit.local_server import kubeconfig, serving

NODES = "name,cpu_milli,memory_mib,gpus\na,32000,262144,4\nb,32000,262144,4\n"
JOBS = "name,submit_seconds,duration_seconds,gpus,cpu_milli\n" + "".join(
    f"job-{number},{number * 30},{300 + 60 * (number % 5)},{1 + number % 4},4000\n" for number in range(12)
)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Options that name a small cluster's nodes and jobs."""
    (tmp_path / "nodes.csv").write_text(NODES)
    (tmp_path / "jobs.csv").write_text(JOBS)
    return ["simulate", "--nodes", str(tmp_path / "nodes.csv"), "--jobs", str(tmp_path / "jobs.csv")]


def refused(arguments: list[str], code: int = EXIT_USAGE) -> str:
    outcome = CliRunner().invoke(app, arguments)
    assert outcome.exit_code == code
    return outcome.stderr


def test_it_writes_a_table_json_and_a_page(files: list[str], tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    few = [
        "--policy",
        "loadstar",
        "--policy",
        "first-fit",
        "--no-baselines",
        "--seeds",
        "2",
        "--workers",
        "1",
    ]
    outcome = CliRunner().invoke(app, [*files, *few, "--json", "-", "--html", str(page)])
    assert outcome.exit_code == 0, outcome.stderr
    document = json.loads(outcome.stdout)
    assert [policy["policy"] for policy in document["policies"]] == ["loadstar", "first-fit"]
    assert document["simulated"]["jobs"] == "12 of jobs.csv"
    assert "first-fit" in outcome.stderr
    assert page.read_text().startswith("<!doctype html>")


def test_several_runs_at_a_time_give_the_same_figures(files: list[str]) -> None:
    few = ["--policy", "random", "--no-baselines", "--seeds", "3", "--json", "-"]
    one, two = (CliRunner().invoke(app, [*files, *few, "--workers", count]).stdout for count in "12")
    assert json.loads(one) == json.loads(two)


def test_a_shape_stands_for_a_file_of_nodes(files: list[str]) -> None:
    few = ["--policy", "first-fit", "--no-baselines", "--seeds", "1", "--workers", "1", "--json", "-"]
    outcome = CliRunner().invoke(app, ["simulate", "--nodes", "3x8x64", *files[3:], *few])
    assert json.loads(outcome.stdout)["simulated"]["nodes"] == "3 with 24 GPUs (3x8x64)"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["--policy", "magic"], "--policy is 'magic': there are loadstar"),
        (["--seeds", "many"], "--seeds is 'many': write how many, such as 10"),
        (["--seeds", "9-3"], "the lower one first"),
        (["--load", "7"], "--load is 7: write the share of all GPU-time"),
        (["--html", "/no/such/folder/page.html"], "--html is /no/such/folder/page.html: there is no folder"),
        (["--nodes", "0x8"], "--nodes is 0x8: write nodes × GPUs × cores"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_by_its_name(
    files: list[str], changes: list[str], words: str
) -> None:
    assert words in refused([*files, *changes])


def test_nothing_to_simulate_says_what_to_give() -> None:
    assert "--nodes is missing" in refused(["simulate"])
    assert "--jobs is missing" in refused(["simulate", "--nodes", "2x8"])


def test_a_broken_cell_is_named_by_file_line_and_column(files: list[str], tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text(JOBS.replace("job-3,90,480", "job-3,90,long"))
    assert "jobs.csv, line 5, column duration_seconds" in refused(files)


def test_a_file_that_is_not_there_is_no_fault_of_the_words(files: list[str]) -> None:
    assert "is not there" in refused([*files, "--jobs", "/no/such.csv"], EXIT_FAILED)


def test_seeds_are_a_count_or_a_range() -> None:
    assert seeds_of("3") == (0, 1, 2)
    assert seeds_of("10-12") == (10, 11, 12)


def test_what_is_asked_for_comes_before_what_others_do() -> None:
    assert policies_of([], baselines=True)[0] == "loadstar"
    assert policies_of(["crane"], baselines=True).count("crane") == 1


def training_job(gpu: str = "nvidia.com/gpu", **status: str) -> dict[str, object]:
    """One of two ranks with a GPU each, as the API server gives it."""
    return {
        "apiVersion": "loadstar.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {
            "name": "iris",
            "namespace": "a",
            "uid": "u",
            "generation": 1,
            "creationTimestamp": "2026-11-22T12:00:00Z",
        },
        "spec": {
            "model": {"type": "mlp"},
            "dataset": {"builtin": "iris"},
            "trainer": {"numNodes": 2, "resourcesPerNode": {"cpu": "2", gpu: 1}},
        },
        "status": status,
    }


def test_a_finished_training_job_becomes_a_job_with_its_run_time() -> None:
    ended = training_job(startTime="2026-11-22T12:01:00Z", completionTime="2026-11-22T12:11:00Z")
    (job,) = finished([ended])
    assert (job.name, job.duration, job.ranks) == ("a/iris", 600.0, 2)
    assert (job.ask.gpus, job.ask.cpu, job.family) == (1, 2000, "mlp/a")


def test_a_job_that_is_not_over_is_left_out() -> None:
    assert list(finished([training_job(startTime="2026-11-22T12:01:00Z"), training_job()])) == []


def test_a_job_of_parts_of_gpus_is_left_out() -> None:
    over = {"startTime": "2026-11-22T12:01:00Z", "completionTime": "2026-11-22T12:11:00Z"}
    assert list(finished([training_job("nvidia.com/mig-1g.10gb", **over)])) == []


async def test_a_snapshot_has_the_usable_gpu_nodes_and_what_has_finished(tmp_path: Path) -> None:
    finished_job = training_job(startTime="2026-11-22T12:01:00Z", completionTime="2026-11-22T12:11:00Z")
    nodes = [raw.node("gpu", gpus=4), raw.node("down", ready="False"), raw.node("no-gpu", gpus=0)]

    async def answer(request: web.Request) -> web.Response:
        items = nodes if request.path.endswith("/nodes") else [finished_job, training_job()]
        return web.json_response({"metadata": {"resourceVersion": "1"}, "items": items})

    async with serving(answer) as server, Kube(await connect(str(kubeconfig(tmp_path, server)))) as kube:
        found = await snapshot(kube)
    assert [node.name for node in found.nodes] == ["gpu"]
    assert [job.name for job in found.jobs] == ["a/iris"]
