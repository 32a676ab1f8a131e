"""Prometheus and the simulator as plain processes of this machine: for tests without a kind cluster."""

import json
import random
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from tests.cluster import prometheus_package
from tests.cluster.monitoring.load import Control, SimulatedNode
from tests.cluster.monitoring.query import Point, points, query_path, wait_until
from tests.cluster.processes import Identity, Process
from tests.cluster.state import claim, state_dir, wipe

_SOURCES = Path(__file__).parents[3] / "images" / "dcgm-simulator" / "src"


class LocalMonitoring:
    """A running pair of Prometheus (at `url`) and simulator (controlled by `load`).

    `prometheus` and `simulator` are processes that can be stopped, paused and started again; what Prometheus
    had stored outlives its stop. Both end with this Python process at the latest.
    """

    def __init__(self, folder: Path, scrape_interval: str) -> None:
        address = f"127.{random.randint(128, 191)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
        prometheus, simulator = (f"{address}:{port}" for port in _free_ports(address, 2))
        self.url = f"http://{prometheus}"
        self._folder = folder
        self._simulator_url = f"http://{simulator}"
        self.load = Control(lambda *request: _request(self._simulator_url, *request))
        self.simulator = self._simulator_process(simulator)
        self.prometheus = self._prometheus_process(prometheus, simulator, scrape_interval)

    @classmethod
    def start(
        cls, name: str, nodes: Sequence[SimulatedNode], *, scrape_interval: str = "1s"
    ) -> "LocalMonitoring":
        """Start both and return when the series of `nodes` are in Prometheus (5 s). Raises StepFailed."""
        folder = state_dir(name)
        claim(folder, Identity.of_this_process())
        monitoring = cls(folder, scrape_interval)
        try:
            monitoring.prometheus.start()
            monitoring.serve(nodes)
        except BaseException:
            monitoring.prometheus.kill()
            monitoring.simulator.kill()  # the folder stays for its logs, until the next start
            raise
        return monitoring

    def serve(self, nodes: Sequence[SimulatedNode]) -> None:
        """Simulate these nodes and no others from now on; return when Prometheus has scraped them."""
        self.simulator.stop()
        config = {"nodes": [node.written() for node in nodes]}
        self._nodes_file.write_text(json.dumps(config))
        self.simulator.start()
        self.wait_scraped()

    def wait_scraped(self) -> None:
        """Return when Prometheus holds what the simulator shows now, or later."""
        since = time.time()
        # timestamp() tells a sample's own time only of a plain selector.
        expression = 'timestamp(up{job="dcgm-simulator"}) and (up{job="dcgm-simulator"} == 1)'
        wait_until("a new scrape", lambda: any(point.value >= since for point in self.query(expression)))

    def stop(self) -> None:
        """End both and forget what they stored."""
        self.prometheus.kill()
        self.simulator.kill()
        wipe(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def query(self, expression: str) -> list[Point]:
        """The series of an instant query."""
        return points(_request(self.url, "GET", query_path(expression), None))

    @property
    def _nodes_file(self) -> Path:
        return self._folder / "nodes.yaml"

    def _simulator_process(self, listen: str) -> Process:
        host, port = listen.split(":")
        program = ["env", f"PYTHONPATH={_SOURCES}", sys.executable, "-m", "dcgm_simulator"]
        command = [*program, f"--config={self._nodes_file}", f"--host={host}", f"--port={port}"]
        return self._process("dcgm-simulator", command, f"{self._simulator_url}/healthz")

    def _prometheus_process(self, listen: str, target: str, scrape_interval: str) -> Process:
        config = self._folder / "prometheus.yml"
        # As in a cluster, the target's labels win and the exporter's own become exported_*.
        labels = {"namespace": "monitoring", "pod": "dcgm-simulator", "container": "dcgm-simulator"}
        job = {"job_name": "dcgm-simulator", "static_configs": [{"targets": [target], "labels": labels}]}
        times = {"scrape_interval": scrape_interval, "scrape_timeout": scrape_interval}
        config.write_text(json.dumps({"global": times, "scrape_configs": [job]}))
        command = [
            str(prometheus_package.server()),
            f"--config.file={config}",
            f"--web.listen-address={listen}",
        ]
        command += [f"--storage.tsdb.path={self._folder / 'data'}"]
        return self._process("prometheus", command, f"{self.url}/-/ready")

    def _process(self, name: str, command: Sequence[str], probe: str) -> Process:
        return Process(name, command, self._folder, lambda: _answers(probe), stay=False)


def _free_ports(address: str, count: int) -> list[int]:
    """Free ports; all are held at once, so that they differ."""
    with ExitStack() as held:
        listeners = [held.enter_context(socket.create_server((address, 0))) for _ in range(count)]
        return [int(listener.getsockname()[1]) for listener in listeners]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _request(base: str, method: str, path: str, body: Any) -> Any:
    """One request; the answer's JSON, or its text where it is none. Raises RuntimeError with the answer's words."""
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{base}{path}", content, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read().decode()
            return json.loads(text) if answer.headers.get_content_type() == "application/json" else text
    except urllib.error.HTTPError as error:
        with error:
            raise RuntimeError(f"{method} {path}: {error.code}: {error.read().decode().strip()}") from error
