"""The trainer's launcher, as a real process over shell commands in the place of training ranks."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from loadstar_trainer.environment import Pod, Ranks
from loadstar_trainer.failures import Refused
from loadstar_trainer.launch import environments, processors

SOURCE = Path(__file__).parents[2] / "images" / "trainer" / "src"
PROGRAM = """
import sys
from loadstar_trainer import launch
launch.WORKER = ("/bin/sh", "-c", sys.argv[1])
launch.GRACE_AFTER_FAILURE = 0.2
sys.exit(launch.main())
"""


@dataclass(frozen=True)
class Launched:
    process: subprocess.Popen[str]
    log: Path

    def end(self) -> int:
        self.process.communicate(timeout=30)
        return self.process.returncode

    def reason(self) -> str:
        return str(json.loads(self.log.read_text())["error"]["reason"])


def launch(script: str, log: Path, processes: int = 1, **env: str) -> Launched:
    """Starts the launcher with `script` as the program of each rank."""
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(SOURCE),
        "LOADSTAR_TERMINATION_LOG": str(log),
        "PET_NPROC_PER_NODE": str(processes),
        "LOADSTAR_GRACE_SECONDS": "1",
        **env,
    }
    command = [sys.executable, "-c", PROGRAM, script]
    process = subprocess.Popen(
        command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    return Launched(process, log)


@pytest.mark.parametrize(
    ("script", "exit_code"),
    [
        ("exit 0", 0),
        ("exit 65", 65),
        ("exit 143", 143),
        ("exit 3", 3),
        ("kill -9 $$", 137),
        ("kill -11 $$", 139),
        ("kill -15 $$", 143),
    ],
)
@pytest.mark.parametrize("processes", [1, 2])
def test_the_exit_code_is_that_of_the_ranks(
    script: str, exit_code: int, processes: int, tmp_path: Path
) -> None:
    assert launch(script, tmp_path / "log", processes).end() == exit_code


def test_a_refusal_by_one_rank_outweighs_the_crash_of_another(tmp_path: Path) -> None:
    trapped = tmp_path / "trapped"
    script = f"if [ $RANK = 0 ]; then while [ ! -e {trapped} ]; do sleep 0.01; done; exit 1; fi; "
    script += f"trap '' TERM; touch {trapped}; exit 65"
    assert launch(script, tmp_path / "log", 2).end() == 65


def test_the_first_failure_counts_and_the_other_ranks_are_stopped(tmp_path: Path) -> None:
    script = "[ $RANK = 0 ] && exit 7; exec sleep 600"
    assert launch(script, tmp_path / "log", 2).end() == 7


def test_a_rank_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    script = "[ $RANK = 0 ] && exit 7; trap '' TERM; while :; do read line </dev/zero; done"
    assert launch(script, tmp_path / "log", 2).end() == 7


def test_sigterm_reaches_every_rank_and_ends_in_143(tmp_path: Path) -> None:
    script = "trap 'echo stopped >&2; exit 1' TERM; echo ready; while :; do sleep 0.05; done"
    launched = launch(script, tmp_path / "log", 2)
    assert launched.process.stdout is not None
    assert [launched.process.stdout.readline() for _ in range(2)] == ["ready\n", "ready\n"]
    launched.process.send_signal(signal.SIGTERM)
    _, errors = launched.process.communicate(timeout=30)
    assert launched.process.returncode == 143
    assert errors.count("stopped") == 2


def test_sigterm_does_not_spoil_a_run_that_still_succeeds(tmp_path: Path) -> None:
    script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    launched = launch(script, tmp_path / "log")
    assert launched.process.stdout is not None
    launched.process.stdout.readline()
    launched.process.send_signal(signal.SIGTERM)
    assert launched.end() == 0


def test_a_rank_that_was_killed_leaves_a_record_that_speaks_of_memory(tmp_path: Path) -> None:
    launched = launch("kill -9 $$", tmp_path / "log")
    launched.end()
    assert launched.reason() == "WorkerKilled"
    assert "resourcesPerNode.memory" in launched.log.read_text()


def test_a_record_that_a_rank_left_is_kept(tmp_path: Path) -> None:
    script = """printf '{"error":{"reason":"Cause"}}' >$LOADSTAR_TERMINATION_LOG; exit 1"""
    launched = launch(script, tmp_path / "log")
    launched.end()
    assert launched.reason() == "Cause"


def test_the_record_of_an_earlier_run_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "log").write_text('{"error":{"reason":"Old"}}')
    launched = launch("exit 4", tmp_path / "log")
    launched.end()
    assert launched.reason() == "WorkerFailed"


@pytest.mark.parametrize("value", ["0", "1:4", "gpu", "-1"])
def test_a_bad_environment_is_refused_with_the_name_of_the_variable(value: str, tmp_path: Path) -> None:
    launched = launch("exit 0", tmp_path / "log", PET_NNODES=value)
    assert launched.end() == 65
    assert launched.reason() == "InvalidEnvironment"
    assert "PET_NNODES" in launched.log.read_text()


def test_each_rank_gets_the_variables_that_torchrun_would_set() -> None:
    ranks = environments({"RANK": "2", "KEPT": "yes"}, Pod(2, 1, 2, "job-1-0.job", 23456))
    assert [env["RANK"] for env in ranks] == ["2", "3"]
    assert [env["LOCAL_RANK"] for env in ranks] == ["0", "1"]
    shared: Mapping[str, str] = {
        "KEPT": "yes",
        "GROUP_RANK": "1",
        "WORLD_SIZE": "4",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "job-1-0.job",
        "MASTER_PORT": "23456",
    }
    assert all(shared.items() <= env.items() for env in ranks)
    assert Ranks.read(ranks[1]) == Ranks(3, 4, 1, 2)


def test_the_master_pod_does_not_wait_for_its_own_name() -> None:
    assert environments({}, Pod(2, 0, 1, "job-1-0.job", 23456))[0]["MASTER_ADDR"] == "localhost"


def test_threads_are_shared_out_unless_the_user_chose_their_number() -> None:
    pod = Pod(1, 0, 4096, "localhost", 23456)
    assert environments({}, pod)[0]["OMP_NUM_THREADS"] == "1"
    assert environments({"OMP_NUM_THREADS": "7"}, pod)[0]["OMP_NUM_THREADS"] == "7"


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"cpu.max": "100000 100000"}, 1),
        ({"cpu.max": "1000 100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({}, None),
    ],
)
def test_a_cpu_limit_of_the_pod_bounds_its_threads(
    files: dict[str, str], limit: int | None, tmp_path: Path
) -> None:
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
    assert processors(tmp_path) == (limit or len(os.sched_getaffinity(0)))


@pytest.mark.parametrize(("name", "value"), [("WORLD_SIZE", "0"), ("RANK", "2"), ("LOCAL_RANK", "x")])
def test_a_rank_outside_the_world_is_refused(name: str, value: str) -> None:
    with pytest.raises(Refused, match=name):
        Ranks.read({"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", name: value})
