from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from loadstar.controller.metrics import Metrics, Sources
from loadstar.controller.serving import Endpoints, Probe, passes_recent, serving
from loadstar.core.hindsight import Figures
from loadstar.core.jobs import Phase
from loadstar.core.load import Sample, Signal


def well() -> str | None:
    return None


@asynccontextmanager
async def served(live: Probe = well, ready: Probe = well, metrics: bytes = b"") -> AsyncIterator[str]:
    async with serving(Endpoints(live, ready, lambda: metrics), "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}"


async def fetch(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def test_probes_say_ok_while_all_is_well() -> None:
    async with served() as address:
        assert await fetch(f"{address}/healthz") == (200, "ok\n")
        assert await fetch(f"{address}/readyz") == (200, "ok\n")


async def test_each_probe_fails_for_itself_and_says_why() -> None:
    async with served(ready=lambda: "no Lease yet") as address:
        assert await fetch(f"{address}/readyz") == (503, "no Lease yet\n")
        assert await fetch(f"{address}/healthz") == (200, "ok\n")


async def test_metrics_are_served_as_they_are() -> None:
    async with served(metrics=b"loadstar_up 1\n") as address:
        assert await fetch(f"{address}/metrics") == (200, "loadstar_up 1\n")


def test_liveness_fails_once_the_last_pass_is_too_old() -> None:
    now = 100.0
    probe = passes_recent(lambda: 50.0, lambda: now, limit=60)
    assert probe() is None
    now = 111.0
    assert probe() == "the last pass ended 61 s ago, more than 60 s"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(clock=lambda: 1000.0)


def test_api_calls_are_counted_by_verb_resource_and_code(metrics: Metrics) -> None:
    metrics.called("create", "pods", 201, 0.02)
    metrics.called("create", "pods", 0, 15.0)
    exposition = metrics.exposition().decode()
    assert 'loadstar_api_call_seconds_count{code="201",resource="pods",verb="create"} 1.0' in exposition
    assert 'loadstar_api_call_seconds_count{code="0",resource="pods",verb="create"} 1.0' in exposition


def test_the_age_of_metrics_is_that_of_the_newest_sample(metrics: Metrics) -> None:
    metrics.sampled({Signal.GPU: {"a": Sample(0.5, 990.0), "b": Sample(0.5, 970.0)}}, 1000.0)
    exposition = metrics.exposition().decode()
    assert 'loadstar_metrics_age_seconds{signal="gpu"} 10.0' in exposition
    assert 'loadstar_metrics_age_seconds{signal="cpu"} NaN' in exposition


def test_the_age_goes_on_growing_when_no_sample_comes(metrics: Metrics) -> None:
    metrics.sampled({Signal.GPU: {"a": Sample(0.5, 990.0)}}, 1000.0)
    metrics.sampled({}, 1000.0)
    exposition = metrics.exposition().decode()
    assert 'loadstar_metrics_age_seconds{signal="gpu"} 10.0' in exposition
    assert 'loadstar_metrics_nodes{signal="gpu"} 0.0' in exposition


def test_jobs_are_counted_by_phase_when_scraped_and_forecasts_vanish_with_their_node(
    metrics: Metrics,
) -> None:
    forecasts = {"gpu-1": 0.25, "gpu-2": 0.5}
    figures = Figures(2, mae=0.1, persistence_mae=0.2, coverage=0.9, regret=0.03)
    phases = [Phase.RUNNING, Phase.RUNNING]
    metrics.watch(Sources(lambda: phases, lambda: 3, lambda: 4, lambda: forecasts, lambda: figures))
    del forecasts["gpu-2"]
    exposition = metrics.exposition().decode()
    assert 'loadstar_jobs{phase="Running"} 2.0' in exposition
    assert 'loadstar_jobs{phase="Failed"} 0.0' in exposition
    assert 'loadstar_node_forecast{node="gpu-1"} 0.25' in exposition
    assert "gpu-2" not in exposition
    assert "loadstar_forecast_placements 2.0" in exposition
    assert "loadstar_forecast_skill 0.5" in exposition
    assert "loadstar_forecast_coverage 0.9" in exposition
    assert "loadstar_forecast_regret 0.03" in exposition
