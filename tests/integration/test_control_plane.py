"""The control-plane cluster of the harness itself: what tests rely on when they run on it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.cluster import components
from tests.cluster.__main__ import main
from tests.cluster.api import ApiError
from tests.cluster.controlplane import ControlPlane
from tests.cluster.processes import Identity, recorded
from tests.cluster.state import state_dir
from tests.cluster.steps import StepFailed
from tests.waiting import until

pytestmark = pytest.mark.controlplane

_POD = {
    "containers": [{"name": "trainer", "image": "none", "resources": {"limits": {"nvidia.com/gpu": "1"}}}]
}


@pytest.fixture
def name() -> Iterator[str]:
    """The name of a cluster that the test starts; what it leaves running is ended."""
    chosen = f"test-{uuid4().hex[:8]}"
    yield chosen
    main(["down", "--kind", "control-plane", "--name", chosen])


def _pod(cluster: ControlPlane, namespace: str, name: str, **spec: Any) -> str:
    """Create a one-GPU pod; returns its path."""
    pods = f"/api/v1/namespaces/{namespace}/pods"
    cluster.api.post(pods, {"metadata": {"name": name}, "spec": {**_POD, "restartPolicy": "Never", **spec}})
    return f"{pods}/{name}"


def test_a_gpu_pod_is_bound_to_a_fake_node_and_runs(own_control_plane: ControlPlane) -> None:
    cluster = own_control_plane
    with cluster.gpu_nodes(1, gpus=1) as [node]:
        path = _pod(cluster, "default", "runs")
        pod = until(
            lambda: (it := cluster.api.get(path))["status"]["phase"] == "Running" and it, "the pod runs"
        )
        assert pod["spec"]["nodeName"] == node
        assert pod["status"]["containerStatuses"][0]["state"]["running"]
        cluster.api.delete(path)


def test_a_pod_that_needs_more_gpus_than_are_free_waits(own_control_plane: ControlPlane) -> None:
    cluster = own_control_plane
    with cluster.gpu_nodes(1, gpus=1):
        first, second = _pod(cluster, "default", "first"), _pod(cluster, "default", "second")
        conditions = until(lambda: cluster.api.get(second)["status"].get("conditions"), "its conditions")
        assert "Insufficient nvidia.com/gpu" in conditions[0]["message"]
        cluster.api.delete(first)
        until(lambda: cluster.api.get(second)["status"]["phase"] == "Running", "the second runs")
        cluster.api.delete(second)


@pytest.mark.parametrize(("code", "phase"), [("0", "Succeeded"), ("65", "Failed")])
def test_annotations_end_a_pod_with_an_exit_code_and_a_message(
    own_control_plane: ControlPlane, code: str, phase: str
) -> None:
    cluster, message = own_control_plane, '{"accuracy": "0.9667"}'
    with cluster.gpu_nodes(1, gpus=1):
        path = _pod(cluster, "default", f"ends-{code}")
        until(lambda: cluster.api.get(path)["status"]["phase"] == "Running", "the pod runs")
        ending = {"exit-code": code, "termination-message": message}
        annotations = {f"testbed.loadstar.dev/{key}": value for key, value in ending.items()}
        cluster.api.merge(path, {"metadata": {"annotations": annotations}})
        pod = until(
            lambda: (it := cluster.api.get(path))["status"]["phase"] != "Running" and it, "the pod ends"
        )
        state = pod["status"]["containerStatuses"][0]["state"]["terminated"]
        assert (pod["status"]["phase"], state["exitCode"], state["message"]) == (phase, int(code), message)
        cluster.api.delete(path)


def test_two_control_planes_run_side_by_side(own_control_plane: ControlPlane, name: str) -> None:
    with ControlPlane.start(name) as other:
        other.api.post("/api/v1/namespaces", {"metadata": {"name": "only-here"}})
        with pytest.raises(ApiError, match="404"):
            own_control_plane.api.get("/api/v1/namespaces/only-here")


def test_stop_leaves_no_process_and_no_folder(name: str) -> None:
    cluster = ControlPlane.start(name, kwok_nodes=1)
    processes = recorded(cluster.folder)
    cluster.stop()
    assert len(processes) == 5
    assert not [process for process in processes if process.alive()]
    assert not cluster.folder.exists()


def test_the_processes_die_with_a_test_process_that_is_killed(name: str) -> None:
    owner, processes = _owned_elsewhere(name)
    owner.kill()
    owner.wait()
    until(lambda: not [process for process in processes if process.alive()], "they have all ended")
    assert main(["down", "--kind", "control-plane", "--name", name]) == 0
    assert not state_dir(name).exists()


def test_ctrl_c_ends_the_cluster(name: str) -> None:
    owner, processes = _owned_elsewhere(name)
    owner.send_signal(signal.SIGINT)
    owner.wait(timeout=120)
    assert not [process for process in processes if process.alive()]
    assert not state_dir(name).exists()


def _owned_elsewhere(name: str) -> tuple[subprocess.Popen[str], list[Identity]]:
    """A control plane of another Python process, which holds it until it gets a signal."""
    program = (
        "import signal, time; from tests.cluster.controlplane import ControlPlane\n"
        # Whatever started the tests may have had Ctrl-C ignored, as a shell does for what runs in its background.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        # Not signal.pause(): a signal that came right before it would be seen only at the next one.
        f"with ControlPlane.start({name!r}):\n  print('up', flush=True)\n  while True: time.sleep(0.1)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert owner.stdout is not None
    with owner.stdout:
        assert owner.stdout.readline() == "up\n"
    return owner, recorded(state_dir(name))


def test_a_cluster_of_the_command_line_stays_until_down(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    program = [sys.executable, "-m", "tests.cluster"]
    where = ["--kind", "control-plane", "--name", name]
    subprocess.run([*program, "up", *where], check=True, stdout=subprocess.DEVNULL)
    processes = recorded(state_dir(name))
    assert len([process for process in processes if process.alive()]) == 4
    assert main(["kubeconfig", *where]) == 0
    assert Path(capsys.readouterr().out.strip()).is_file()
    assert main(["down", *where]) == 0
    assert not [process for process in processes if process.alive()]
    assert not state_dir(name).exists()


def test_down_does_not_hit_a_stranger_that_has_a_recorded_pid(name: str) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        identity = Identity.of(stranger.pid)
        assert identity is not None
        folder = state_dir(name)
        folder.mkdir()
        Identity(identity.pid, identity.started - 1).write(folder / "etcd.pid.json")
        assert main(["down", "--kind", "control-plane", "--name", name]) == 0
        assert stranger.poll() is None
        stranger.kill()


def test_a_part_that_does_not_start_names_its_log_and_shows_its_end(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(components, "_SERVICE_RANGE", "no-range")
    with pytest.raises(StepFailed) as failure:
        ControlPlane.start(name)
    log = state_dir(name) / "apiserver.log"
    assert str(log) in str(failure.value)
    assert log.read_text().splitlines()[-1] in str(failure.value)
    assert not [process for process in recorded(state_dir(name)) if process.alive()]


def test_a_second_cluster_of_the_same_name_is_refused(own_control_plane: ControlPlane) -> None:
    with pytest.raises(StepFailed, match="is running"):
        ControlPlane.start(own_control_plane.name)


def test_a_killed_part_comes_back_with_its_data(name: str) -> None:
    with ControlPlane.start(name) as cluster:
        cluster.api.post("/api/v1/namespaces", {"metadata": {"name": "kept"}})
        for part in (cluster.apiserver, cluster.etcd):
            part.kill()
        with pytest.raises(OSError, match="refused"):
            cluster.api.get("/api/v1/namespaces/kept")
        cluster.etcd.start()
        cluster.apiserver.start()
        assert cluster.api.get("/api/v1/namespaces/kept")["status"]["phase"] == "Active"


def test_a_paused_scheduler_binds_nothing_until_it_is_resumed(own_control_plane: ControlPlane) -> None:
    cluster = own_control_plane
    with cluster.gpu_nodes(1, gpus=2):
        cluster.scheduler.pause()
        paused = _pod(cluster, "default", "paused")
        scheduler = cluster.scheduler.identity
        assert scheduler is not None
        assert Path(f"/proc/{scheduler.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        assert "nodeName" not in cluster.api.get(paused)["spec"]
        cluster.scheduler.resume()
        until(lambda: cluster.api.get(paused)["spec"].get("nodeName"), "its node")
        cluster.api.delete(paused)


def test_the_namespace_enforces_restricted_pods(own_control_plane: ControlPlane, namespace: str) -> None:
    with pytest.raises(ApiError, match="restricted"):
        _pod(own_control_plane, namespace, "unrestricted")


def test_kubectl_speaks_to_the_cluster_and_not_to_the_current_context(
    own_control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", os.devnull)
    version = json.loads(own_control_plane.kubectl("version", "--output=json"))
    assert version["serverVersion"]["gitVersion"] == version["clientVersion"]["gitVersion"] == "v1.36.3"
