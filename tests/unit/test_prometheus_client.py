"""The client against a local HTTP server that answers as Prometheus, or what stands before it, can at its worst."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from loadstar.clients.errors import ConfigurationError, MetricsError
from loadstar.clients.prometheus import Prometheus, Readings
from loadstar.clients.promql import freshness_query, signal_queries
from loadstar.clients.queries import Endpoint, QueryApi
from loadstar.clients.series import NodeNames
from loadstar.core.load import Sample, Signal
from tests.unit.local_server import Handler, serving

NOW = 1_000_000.0
EVALUATED = 500.0
"""Prometheus's own clock, far behind ours."""
NODES = NodeNames(frozenset({"gpu-1", "gpu-2"}), {})
QUERIES = signal_queries(30)
GPU = QUERIES[Signal.GPU]

Series = dict[str, Any]


def series(node: str, value: object, **labels: str) -> Series:
    return {"metric": {"Hostname": node, **labels}, "value": [EVALUATED, str(value)]}


def answer(*result: Series, **more: Any) -> web.Response:
    data = {"resultType": "vector", "result": list(result)}
    return web.json_response({"status": "success", "data": data} | more)


def scraped(at: float, *nodes: str) -> list[Series]:
    return [series(node, at, signal=signal) for node in nodes for signal in Signal]


def prometheus(
    gpu: Callable[[], web.Response], times: list[Series] | None = None
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Answers with `gpu` to the query of GPU activity, and with no series to the other signals."""

    async def handle(request: web.Request) -> web.Response:
        query = request.query["query"]
        if query == freshness_query():
            return answer(*(scraped(EVALUATED, "gpu-1", "gpu-2") if times is None else times))
        return gpu() if query == GPU else answer()

    return handle


async def latest(handler: Handler, timeout: float = 5.0) -> Readings:
    async with serving(handler) as url, Prometheus(Endpoint(url, timeout)) as client:
        return await client.latest(NODES, NOW)


async def test_each_node_gets_its_load() -> None:
    readings = await latest(prometheus(lambda: answer(series("gpu-1", 0.25), series("gpu-2", 0.75))))
    assert readings.samples[Signal.GPU] == {"gpu-1": Sample(0.25, NOW), "gpu-2": Sample(0.75, NOW)}
    assert readings.problems == {}


async def test_a_sample_is_as_old_as_its_scrape_whatever_the_clocks_say() -> None:
    times = scraped(EVALUATED - 42, "gpu-1")
    readings = await latest(prometheus(lambda: answer(series("gpu-1", 0.5)), times))
    assert readings.samples[Signal.GPU]["gpu-1"].at == NOW - 42


async def test_a_value_without_a_time_of_its_own_is_left_out() -> None:
    readings = await latest(prometheus(lambda: answer(series("gpu-1", 0.5)), times=[]))
    assert readings.samples[Signal.GPU] == {}
    assert readings.rejected[Signal.GPU] == 1


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-0.5", "9223372036854775794"])
async def test_a_value_that_is_no_load_is_left_out_and_the_others_stay(value: str) -> None:
    readings = await latest(prometheus(lambda: answer(series("gpu-1", value), series("gpu-2", 0.5))))
    assert set(readings.samples[Signal.GPU]) == {"gpu-2"}
    assert readings.rejected[Signal.GPU] == 1


async def test_a_node_with_two_series_is_left_out() -> None:
    both = [series("gpu-1", 0.1, instance="a:1"), series("gpu-1", 0.9, instance="b:1")]
    readings = await latest(prometheus(lambda: answer(*both)))
    assert readings.samples[Signal.GPU] == {}
    assert readings.rejected[Signal.GPU] == 1


async def test_series_of_no_known_node_are_counted() -> None:
    readings = await latest(prometheus(lambda: answer(series("gpu-1", 0.1), series("laptop", 0.1))))
    assert readings.unmapped[Signal.GPU] == 1


HTML = web.Response
BAD_ANSWERS: list[Any] = [
    pytest.param(
        lambda: answer(series("gpu-1", 0.5), warnings=["a store is away"]), "a store is away", id="warnings"
    ),
    pytest.param(lambda: answer(series("gpu-1", 0.5), isPartial=True), "not complete", id="partial"),
    pytest.param(
        lambda: HTML(text="<html>log in</html>", content_type="text/html"),
        "text/html instead of JSON",
        id="HTML",
    ),
    pytest.param(
        lambda: web.json_response({"status": "error", "error": "too many samples"}, status=422),
        "422: too many samples",
        id="refused",
    ),
    pytest.param(lambda: HTML(text="oh", status=500), "answered 500", id="broken"),
    pytest.param(lambda: HTML(status=302, headers={"Location": "/login"}), "answered 302", id="redirect"),
    pytest.param(
        lambda: HTML(text='{"status": "succ', content_type="application/json"), "instead of JSON", id="cut"
    ),
    pytest.param(
        lambda: web.json_response({"status": "success", "data": {"resultType": "matrix", "result": []}}),
        "not a vector",
        id="other type",
    ),
    pytest.param(lambda: answer({"metric": {}}), "not in Prometheus's format", id="no value"),
    pytest.param(
        lambda: answer(series("gpu-1", "much")), "not in Prometheus's format", id="word for a number"
    ),
]


@pytest.mark.parametrize(("bad", "words"), BAD_ANSWERS)
async def test_an_answer_that_is_not_whole_is_a_problem_of_its_signal_alone(
    bad: Callable[[], web.Response], words: str
) -> None:
    readings = await latest(prometheus(bad))
    assert set(readings.problems) == {Signal.GPU}
    assert words in readings.problems[Signal.GPU]
    assert readings.samples[Signal.GPU] == {}


async def test_a_slow_prometheus_is_waited_for_no_longer_than_allowed() -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    readings = await latest(hang, timeout=0.05)
    assert set(readings.problems) == set(Signal)
    assert "no answer within 0.05 s" in readings.problems[Signal.GPU]


async def test_a_prometheus_that_is_not_there_is_a_problem_and_no_error() -> None:
    async with serving(prometheus(answer)) as url:
        pass
    async with Prometheus(Endpoint(url)) as client:
        readings = await client.latest(NODES, NOW)
    assert set(readings.problems) == set(Signal)
    assert url in readings.problems[Signal.GPU]


async def test_an_endless_answer_is_cut_off() -> None:
    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 1024)

    async with serving(flood) as url:
        api = QueryApi(Endpoint(url), max_bytes=10_000)
        with pytest.raises(MetricsError, match="longer than 10000 bytes"):
            await api.instant("up")
        await api.close()


async def test_the_token_is_read_for_each_query_and_a_password_is_never_told(tmp_path: Path) -> None:
    seen: list[str] = []

    async def refuse(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"])
        return web.Response(status=401)

    token = tmp_path / "token"
    token.write_text("first\n")
    async with serving(refuse) as url:
        api = QueryApi(Endpoint(url, token_file=str(token)))
        with pytest.raises(MetricsError):
            await api.instant("up")
        token.write_text("second\n")
        with pytest.raises(MetricsError):
            await api.instant("up")
        await api.close()
        other = QueryApi(Endpoint(url.replace("http://", "http://me:secret@")))
        with pytest.raises(MetricsError) as refusal:
            await other.instant("up")
        await other.close()
    assert seen[:2] == ["Bearer first", "Bearer second"]
    assert "secret" not in str(refusal.value)


async def test_a_token_file_that_is_gone_is_a_problem(tmp_path: Path) -> None:
    async with Prometheus(Endpoint("http://127.0.0.1:9", token_file=str(tmp_path / "gone"))) as client:
        readings = await client.latest(NODES, NOW)
    assert "gone" in readings.problems[Signal.GPU]


def test_a_ca_file_that_cannot_be_read_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.pem"):
        Prometheus(Endpoint("https://p:9090", ca_file=str(tmp_path / "absent.pem")))


async def test_history_is_read_in_steps_and_rubbish_in_it_is_left_out() -> None:
    async def handle(request: web.Request) -> web.Response:
        assert request.path == "/api/v1/query_range"
        assert (request.query["start"], request.query["end"], request.query["step"]) == (
            "100.000",
            "160.000",
            "30",
        )
        values = [[100, "0.1"], [130, "NaN"], [160, "0.3"]]
        result = (
            [{"metric": {"Hostname": "gpu-1"}, "values": values}] if request.query["query"] == GPU else []
        )
        return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": result}})

    async with serving(handle) as url, Prometheus(Endpoint(url)) as client:
        history = await client.history(NODES, 100, 160, 30)
    assert history.samples[Signal.GPU] == {"gpu-1": [Sample(0.1, 100), Sample(0.3, 160)]}
