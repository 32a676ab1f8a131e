"""How load comes in: the newest samples by rounds, history at the start, and what is said when there is none."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from loadstar.clients.prometheus import History, Readings
from loadstar.clients.series import NodeNames
from loadstar.clients.vitals import Vitals
from loadstar.controller.caches import Caches
from loadstar.controller.load import LoadWatch
from loadstar.core.health import Health
from loadstar.core.load import FreshnessPolicy, Sample, Samples, Signal
from tests.builders import GPU, GPU_ONLY, NOW, make_forecaster
from tests.unit import raw


@dataclass
class Answers:
    """A Prometheus that answers as told; the queries that it was asked are kept."""

    readings: Readings = field(default_factory=lambda: Readings({}))
    past: History = field(default_factory=lambda: History({}))
    vital: Vitals = field(default_factory=Vitals)
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    async def vitals(self, nodes: NodeNames) -> Vitals:
        assert nodes.names
        return self.vital

    async def latest(self, nodes: NodeNames, now: float) -> Readings:
        self.asked.append((nodes, now))
        return self.readings

    async def history(self, nodes: NodeNames, start: float, end: float, step: float) -> History:
        self.asked.append((nodes, start, end, step))
        return self.past


def watch(answers: Answers | None, told: list[tuple[Samples, float]] | None = None) -> LoadWatch:
    caches = Caches()
    caches.put_node(raw.node("node-a"))
    caches.put_node(raw.node("cpu-only", gpus=0))

    def observe(samples: Samples, now: float) -> None:
        if told is not None:
            told.append((samples, now))

    return LoadWatch(
        prometheus=answers,  # type: ignore[arg-type]
        caches=caches,
        freshness=FreshnessPolicy(),
        weights=GPU_ONLY,
        clock=lambda: NOW,
        observe=observe,
    )


def gpu(**values: float) -> dict[Signal, dict[str, Sample]]:
    return {Signal.GPU: {name.replace("_", "-"): Sample(value, NOW) for name, value in values.items()}}


async def test_a_round_feeds_the_forecaster_and_is_told() -> None:
    told: list[tuple[Samples, float]] = []
    answers = Answers(Readings(gpu(node_a=0.4)))
    loads = watch(answers, told)
    await loads.refresh()
    assert loads.loads().forecaster.forecast(["node-a"], 300.0, NOW).current[0, GPU] == 0.4
    assert told == [(gpu(node_a=0.4), NOW)]
    assert (loads.health.available, loads.health.reason) == (True, "Available")
    assert loads.health.message == "GPU activity of 1 of 1 GPU nodes is known"


async def test_a_node_whose_gpus_are_all_split_is_a_gpu_node_too() -> None:
    loads = watch(Answers(Readings(gpu(node_a=0.4))))
    split = raw.node("split", gpus=0)
    split["status"]["allocatable"]["nvidia.com/mig-1g.10gb"] = "7"
    loads.caches.put_node(split)
    await loads.refresh()
    assert loads.health.message == "GPU activity of 1 of 2 GPU nodes is known"


async def test_nodes_are_asked_for_by_name_and_address() -> None:
    answers = Answers()
    await watch(answers).refresh()
    assert answers.asked == [
        (NodeNames(frozenset({"node-a", "cpu-only"}), {"10.0.0.6": "node-a", "10.0.0.8": "cpu-only"}), NOW)
    ]


async def test_a_server_that_fails_is_said_to_and_the_last_samples_stay() -> None:
    answers = Answers(Readings(gpu(node_a=0.4)))
    loads = watch(answers)
    await loads.refresh()
    answers.readings = Readings({}, problems={Signal.GPU: "no answer within 5 s"})
    await loads.refresh()
    assert (loads.health.available, loads.health.reason) == (False, "PrometheusUnavailable")
    assert loads.health.message.startswith("no answer within 5 s; ")
    assert loads.forecaster.forecast(["node-a"], 300.0, NOW).current[0, GPU] == 0.4


@pytest.mark.parametrize("samples", [{}, gpu(cpu_only=0.5)])
async def test_a_server_without_a_word_of_our_gpus_says_what_to_check(samples: Samples) -> None:
    loads = watch(Answers(Readings(dict(samples))))  # type: ignore[arg-type]
    await loads.refresh()
    assert (loads.health.available, loads.health.reason) == (False, "NoSamples")
    assert "check that it scrapes dcgm-exporter" in loads.health.message


async def test_without_a_server_nothing_is_asked_and_the_setting_is_named() -> None:
    loads = watch(None)
    await loads.warm_up(1800.0, 30.0)
    await loads.refresh()
    assert (loads.health.available, loads.health.reason) == (False, "NotConfigured")
    assert "LOADSTAR_PROMETHEUS_URL" in loads.health.message


async def test_history_is_taken_in_the_order_of_time_whatever_the_order_of_nodes() -> None:
    past = [Sample(value, NOW - 30 * (3 - step)) for step, value in enumerate([0.1, 0.2, 0.3, 0.4])]
    answers = Answers(past=History({Signal.GPU: {"node-b": past[2:], "node-a": past}}))
    loads = watch(answers)
    await loads.warm_up(1800.0, 30.0)
    assert answers.asked[0][1:] == (NOW - 1800.0, NOW, 30.0)
    found = loads.forecaster.forecast(["node-a", "node-b"], 300.0, NOW)
    in_order = make_forecaster({"node-a": [0.1, 0.2, 0.3, 0.4], "node-b": [0.3, 0.4]})
    assert (found.value == in_order.forecast(["node-a", "node-b"], 300.0, NOW).value)[:, GPU].all()


async def test_no_history_is_asked_for_where_none_is_wanted() -> None:
    answers = Answers()
    await watch(answers).warm_up(0.0, 30.0)
    assert answers.asked == []


async def test_a_signal_without_history_does_not_spoil_the_others() -> None:
    past = History({Signal.GPU: {"node-a": [Sample(0.4, NOW)]}}, problems={Signal.CPU: "HTTP 500"})
    loads = watch(Answers(past=past))
    await loads.warm_up(1800.0, 30.0)
    assert loads.forecaster.forecast(["node-a"], 300.0, NOW).current[0, GPU] == 0.4


async def test_how_gpus_are_is_asked_for_with_their_load() -> None:
    ill = Health(xids=frozenset({79}))
    answers = Answers(Readings(gpu(node_a=0.4)), vital=Vitals({"node-a": ill}))
    loads = watch(answers)
    assert loads.vitals() == {}
    await loads.refresh()
    assert loads.vitals() == {"node-a": ill}


def test_a_cycle_knows_what_jobs_usually_ask_for_without_any_metrics() -> None:
    loads = watch(None).loads()
    assert loads.fragmentation is not None
    assert loads.fragmentation.products == ("",)


def test_what_is_usual_is_worked_out_anew_only_now_and_then() -> None:
    loads = watch(None)
    first = loads.loads().fragmentation
    assert loads.loads().fragmentation is first
    loads.clock = lambda: NOW + 60
    assert loads.loads().fragmentation is not first
