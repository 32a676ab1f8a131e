"""How soon progress is seen: `python -m tests.bench.progress` (or `make bench-progress`).

A control plane with fake nodes, the real operator as a process, and 200 TrainingJobs that run. Every job reports every
five seconds over a TLS connection of its own, as the clients of the protocol do, and a watch sees when each report
stands in its resource. Then all together send 100 reports a second, and what counts is how soon each is answered.
Prints the figures beside their targets and writes them to build/reports/progress.json.
"""

import argparse
import asyncio
import json
import os
import random
import ssl
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from loadstar.api.labels import API_VERSION, KIND, PLURAL, PROGRESS_CA_ANNOTATION
from tests.bench.launch import Figure, report
from tests.cluster.api import Api
from tests.cluster.controlplane import ControlPlane
from tests.cluster.operator_process import OPERATOR_NAMESPACE
from tests.cluster.steps import say
from tests.integration.crd import install_crd
from tests.integration.reporting import AUDIENCE, Site, bound_token, report_body, start_operator

_ROOT = Path(__file__).parents[2]
_REPORT = _ROOT / "build" / "reports" / "progress.json"
_NAMESPACE = "bench"
_JOBS_PATH = f"/apis/{API_VERSION}/namespaces/{_NAMESPACE}/{PLURAL}"
_JOBS, _NODES, _GPUS = 200, 25, 8
_PERIOD_SECONDS = 5.0
_PER_SECOND = 100
_SEEN_TARGET_SECONDS = 6.0
_ANSWERED_TARGET_MS = 50.0
_START_SECONDS = 300.0
_SETTLE_SECONDS = 15.0
_PATIENT = {  # a Lease is lost on a machine that does much else, which is not what is measured
    "LOADSTAR_LEASE_DURATION_SECONDS": "60",
    "LOADSTAR_LEASE_RENEW_SECONDS": "45",
}
_SEQUENCE = "sequence"
_ADDRESSES = 20
_CLIENT_TIMEOUT = aiohttp.ClientTimeout(total=5.0)  # that of Kubeflow's clients
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None)


@dataclass
class Reporters:
    """The programs of all jobs. Times are this process's own, in monotonic seconds."""

    site: Site
    tokens: dict[str, str]
    ca: str
    sent: dict[tuple[str, int], float] = field(default_factory=dict)
    seen: dict[tuple[str, int], float] = field(default_factory=dict)
    """When a report, or a later one of its job, was seen in the resource."""
    answered: list[float] = field(default_factory=list)
    codes: dict[int, int] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)

    @asynccontextmanager
    async def sessions(self) -> AsyncIterator[dict[str, aiohttp.ClientSession]]:
        """One for each job: a new connection for every report, from one of several addresses, as pods have them."""
        context = ssl.create_default_context(cadata=self.ca)
        base = f"https://{self.site.cluster.address}:{self.site.port}"
        async with AsyncExitStack() as open_ones:
            sessions = []
            for number in range(2, 2 + _ADDRESSES):
                connector = aiohttp.TCPConnector(
                    ssl=context, limit=0, force_close=True, local_addr=(f"127.0.0.{number}", 0)
                )
                session = aiohttp.ClientSession(base, connector=connector, timeout=_CLIENT_TIMEOUT)
                sessions.append(await open_ones.enter_async_context(session))
            yield {name: sessions[index % _ADDRESSES] for index, name in enumerate(self.tokens)}

    async def send(self, session: aiohttp.ClientSession, name: str) -> None:
        """The next report of a job."""
        number = self._numbers[name] = self._numbers.get(name, 0) + 1
        metrics = {_SEQUENCE: number, "loss": 1 / number, "accuracy": 1 - 1 / number}
        body = report_body(datetime.now(UTC), progressPercentage=min(number, 99), metrics=metrics)
        path = f"/apis/{AUDIENCE.format(namespace=_NAMESPACE, name=name)}"
        headers = {"Authorization": f"Bearer {self.tokens[name]}"}
        self.sent[name, number] = began = time.monotonic()
        code = 0
        try:
            async with session.post(path, data=body, headers=headers) as answer:
                await answer.read()
                code = answer.status
        except (
            aiohttp.ClientError,
            TimeoutError,
        ):  # as the clients of the protocol do: the next one may get through
            pass
        if code != 200:
            del self.sent[name, number]  # whoever was refused was told
        self.answered.append(time.monotonic() - began)
        self.codes[code] = self.codes.get(code, 0) + 1

    def see(self, job: dict[str, Any], now: float) -> None:
        """Take note of what a resource says."""
        metrics = (job.get("status", {}).get("trainerStatus") or {}).get("metrics") or ()
        number = next((int(metric["value"]) for metric in metrics if metric["name"] == _SEQUENCE), 0)
        name = job["metadata"]["name"]
        while number and (name, number) not in self.seen:
            self.seen[name, number] = now
            number -= 1


async def every_five_seconds(reporters: Reporters, seconds: float) -> None:
    """All jobs report in their own rhythm, spread over the period."""

    async def one(session: aiohttp.ClientSession, name: str) -> None:
        await asyncio.sleep(random.uniform(0, _PERIOD_SECONDS))
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            began = time.monotonic()
            await reporters.send(session, name)
            await asyncio.sleep(max(0.0, _PERIOD_SECONDS - (time.monotonic() - began)))

    async with reporters.sessions() as sessions, asyncio.TaskGroup() as group:
        for name, session in sessions.items():
            group.create_task(one(session, name))


async def at_a_rate(reporters: Reporters, per_second: int, seconds: float) -> None:
    """So many reports a second, evenly, whether or not those before were answered."""
    names = list(reporters.tokens)
    began = time.monotonic()
    async with reporters.sessions() as sessions, asyncio.TaskGroup() as group:
        for number in range(round(per_second * seconds)):
            await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
            name = names[number % len(names)]
            group.create_task(reporters.send(sessions[name], name))


async def watch(site: Site, reporters: Reporters) -> None:
    """See every job until cancelled."""
    api = Api(site.cluster.kubeconfig)
    connector = aiohttp.TCPConnector(ssl=api.tls)
    async with aiohttp.ClientSession(api.server, connector=connector, read_bufsize=2**20) as session:
        while True:
            async with session.get(_JOBS_PATH, params={"watch": "1"}, timeout=_NO_TIMEOUT) as answer:
                answer.raise_for_status()
                async for line in answer.content:
                    event = json.loads(line)
                    if event["type"] != "ERROR":
                        reporters.see(event["object"], time.monotonic())


async def measure(site: Site, reporters: Reporters, seconds: float) -> list[Figure]:
    """Both loads, one after the other."""
    watching = asyncio.create_task(watch(site, reporters))
    await every_five_seconds(reporters, seconds)
    await asyncio.sleep(_SETTLE_SECONDS)
    delays = [reporters.seen.get(it, float("inf")) - at for it, at in reporters.sent.items()]
    took = percentile(reporters.answered, 99) * 1000
    say(f"answers meanwhile: p99 {took:.0f} ms")
    say(f"{len(delays)} reports every {_PERIOD_SECONDS:g} s; answers: {reporters.codes}")
    reporters.answered.clear()
    reporters.codes.clear()
    await at_a_rate(reporters, _PER_SECOND, seconds)
    say(f"{len(reporters.answered)} reports at {_PER_SECOND} a second; answers: {reporters.codes}")
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    return figures(delays, reporters.answered, reporters.codes)


def figures(delays: list[float], answered: list[float], codes: dict[int, int]) -> list[Figure]:
    """What the reports amount to."""
    seen, took = percentile(delays, 99), percentile(answered, 99) * 1000
    refused = sum(count for code, count in codes.items() if code != 200)
    return [
        Figure("report to resource, median", round(statistics.median(delays), 2), None, "s", None),
        Figure(
            "report to resource, p99", round(seen, 2), _SEEN_TARGET_SECONDS, "s", seen <= _SEEN_TARGET_SECONDS
        ),
        Figure(
            "100 POST/s, answered, median", round(statistics.median(answered) * 1000, 1), None, "ms", None
        ),
        Figure(
            "100 POST/s, answered, p99",
            round(took, 1),
            _ANSWERED_TARGET_MS,
            "ms",
            took <= _ANSWERED_TARGET_MS,
        ),
        Figure("100 POST/s, not answered with 200", refused, 0, "reports", refused == 0),
    ]


def percentile(values: list[float], percent: int) -> float:
    """The value that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


@contextmanager
def running(cluster: ControlPlane, count: int) -> Iterator[tuple[Site, Reporters]]:
    """So many jobs whose pods run, with a token each."""
    install_crd(cluster)
    for namespace in (OPERATOR_NAMESPACE, _NAMESPACE):
        cluster.kubectl("create", "namespace", namespace)
    site = start_operator(cluster, settings=_PATIENT)
    try:
        names = [f"job-{number}" for number in range(count)]
        for name in names:
            cluster.api.post(_JOBS_PATH, _job(name))
        _wait_running(cluster, count)
        pods = {name: cluster.api.get(f"/api/v1/namespaces/{_NAMESPACE}/pods/{name}-1-0") for name in names}
        tokens = {
            name: bound_token(cluster, pod, AUDIENCE.format(namespace=_NAMESPACE, name=name))
            for name, pod in pods.items()
        }
        yield site, Reporters(site, tokens, pods[names[0]]["metadata"]["annotations"][PROGRESS_CA_ANNOTATION])
    finally:
        site.operator.stop()
        _REPORT.with_name("progress-operator.log").write_bytes(site.operator.log.read_bytes())


def _job(name: str) -> dict[str, Any]:
    spec = {"model": {"type": "linear"}, "dataset": {"builtin": "iris"}}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": spec}


def _wait_running(cluster: ControlPlane, count: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        jobs = cluster.api.get(_JOBS_PATH)["items"]
        running = sum(job.get("status", {}).get("phase") == "Running" for job in jobs)
        if running == count:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"of {count} jobs {running} run after {_START_SECONDS:.0f} s")
        time.sleep(1.0)


def main(arguments: list[str] | None = None) -> int:
    """Measure and report. A missed target is said loudly and is no failure of the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.progress", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each load; default: %(default)s")
    options = parser.parse_args(arguments)
    _REPORT.parent.mkdir(parents=True, exist_ok=True)
    say(f"Starting a control plane with {_NODES} fake nodes, and {_JOBS} jobs …")
    with (
        ControlPlane.start(f"bench-{os.getpid()}", kwok_nodes=_NODES, gpus_per_node=_GPUS) as cluster,
        running(cluster, _JOBS) as (site, reporters),
    ):
        found = asyncio.run(measure(site, reporters, options.seconds))
    _REPORT.write_text(json.dumps([asdict(figure) for figure in found], indent=2) + "\n")
    print(report(found))
    missed = [figure.name for figure in found if figure.holds is False]
    if missed:
        print(f"\nMISSED {len(missed)} of the targets: {'; '.join(missed)}")
    print(f"\nWritten to {_REPORT.relative_to(_ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
