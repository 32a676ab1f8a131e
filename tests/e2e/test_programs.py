"""Programs of people's own, unmodified, under torchrun or as env:// scripts: what they print is their result."""

from pathlib import Path

import pytest

from tests.cluster.wheelhouse import unpacked
from tests.e2e.jobs import Jobs, iris_job, on_gpus
from tests.e2e.volumes import copy_to_claim, make_claim
from tests.examples import named

pytestmark = pytest.mark.kind

PROGRAMS = Path(__file__).parent / "programs"


def own_job(
    name: str, *command: str, nodes: int = 1, processes: int = 1, claim: str = ""
) -> dict[str, object]:
    """A job that runs a program of PROGRAMS, with the packages on a claim where one is named."""
    trainer = {
        **on_gpus(processes, nodes),
        "numProcPerNode": processes,
        "command": list(command),
        "volumes": [{"configMap": "programs", "mountPath": "/programs"}],
    }
    trainer["resourcesPerNode"] = {**trainer["resourcesPerNode"], "memory": "1500Mi"}
    if claim:
        trainer["volumes"].append({"claim": claim, "mountPath": "/packages"})
        trainer["env"] = [{"name": "PYTHONPATH", "value": "/packages"}]
    job = iris_job(name, trainer=trainer)
    job["spec"] = {"trainer": trainer}
    return job


@pytest.fixture
def programs(jobs: Jobs) -> Jobs:
    """The programs in a ConfigMap of the test's namespace."""
    files = [f"--from-file={path}" for path in sorted(PROGRAMS.glob("*.py"))]
    jobs.kubectl("create", "configmap", "programs", *files)
    return jobs


def metrics(jobs: Jobs, name: str) -> dict[str, float]:
    result = jobs.status(name)["result"]
    return {metric["name"]: float(metric["value"]) for metric in result["metrics"]}


def test_a_torchrun_script_on_two_nodes_gets_what_it_printed_into_its_status(jobs: Jobs) -> None:
    jobs.apply_file(named("own-program"))
    status = jobs.wait_for_phase("own-program", "Succeeded", seconds=180)
    assert float(status["accuracy"]) > 0.9
    assert metrics(jobs, "own-program")["loss"] < 0.4


def test_an_env_script_meets_its_peers_without_torchrun(programs: Jobs) -> None:
    programs.apply(own_job("plain", "python3", "/programs/plain_env.py", nodes=2))
    status = programs.wait_for_phase("plain", "Succeeded")
    assert status["accuracy"] == "0.75"
    assert metrics(programs, "plain") == {"world_size": 2, "total": 3, "accuracy": 0.75}


def test_hugging_face_and_accelerate_scripts_run_unmodified(programs: Jobs) -> None:
    make_claim(programs, "packages")
    copy_to_claim(programs, "packages", unpacked([PROGRAMS / "requirements.lock"]))
    torchrun = ("python3", "-m", "torch.distributed.run")
    programs.apply(
        own_job("transformers", *torchrun, "/programs/hugging_face.py", processes=2, claim="packages"),
        own_job("accelerate", *torchrun, "/programs/accelerated.py", processes=2, claim="packages"),
    )
    status = programs.wait_for_phase("transformers", "Succeeded", seconds=300)
    assert float(status["accuracy"]) > 0.9
    reported = status["trainerStatus"]
    assert reported["progressPercentage"] == 100
    assert "loss" in {metric["name"] for metric in reported["metrics"]}
    status = programs.wait_for_phase("accelerate", "Succeeded", seconds=300)
    assert float(status["accuracy"]) > 0.9
    assert metrics(programs, "accelerate")["processes"] == 2
