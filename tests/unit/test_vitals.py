"""How nodes' GPUs are: from Prometheus's series to what placements know, and for how long it is believed."""

from loadstar.clients import promql
from loadstar.clients.queries import Series
from loadstar.clients.series import NodeNames
from loadstar.clients.vitals import Vitals, read
from loadstar.controller.vitals import VitalSigns
from loadstar.core.health import Health
from tests.builders import NOW

NODES = NodeNames(frozenset({"gpu-1", "gpu-2"}), {"10.0.0.2": "gpu-2"})
MIB = 1 << 20


def series(vital: str, node: str, value: float, **labels: str) -> Series:
    return Series({promql.VITAL_LABEL: vital, "Hostname": node, **labels}, ((0.0, value),))


def test_each_vital_sign_is_found_by_its_label() -> None:
    found = read(
        [
            series(promql.TEMPERATURE, "gpu-1", 71.0),
            series(promql.ROW_REMAP, "gpu-1", 1.0),
            series(promql.FREE_MEMORY, "gpu-1", 1024.0),
            series(promql.TEMPERATURE, "gpu-2", 50.0),
        ],
        NODES,
    )
    assert found.health == {
        "gpu-1": Health(temperature=71.0, row_remap_failed=True, free_memory=1024 * MIB),
        "gpu-2": Health(temperature=50.0),
    }
    assert found.problem is None


def test_all_codes_that_came_up_on_a_node_are_known() -> None:
    codes = [series(promql.XID, "gpu-1", 1.0, xid="79"), series(promql.XID, "gpu-1", 2.0, xid="31")]
    assert read(codes, NODES).health == {"gpu-1": Health(xids=frozenset({31, 79}))}


def test_series_of_nobody_and_values_that_are_none_are_left_out() -> None:
    strange = [
        series(promql.TEMPERATURE, "laptop", 99.0),
        series(promql.TEMPERATURE, "gpu-1", float("nan")),
        series(promql.XID, "laptop", 1.0, xid="79"),
        series(promql.XID, "gpu-1", 1.0, xid="many"),
    ]
    assert read(strange, NODES).health == {}


def test_a_node_may_be_named_by_its_address() -> None:
    [node] = read(
        [Series({promql.VITAL_LABEL: promql.TEMPERATURE, "instance": "10.0.0.2:9400"}, ((0.0, 60.0),))], NODES
    ).health
    assert node == "gpu-2"


def test_watts_are_known_of_nodes_that_tell_the_least_and_the_most() -> None:
    found = read(
        [series(promql.LEAST_WATTS, "gpu-1", 60.0), series(promql.MOST_WATTS, "gpu-1", 300.0)], NODES
    )
    assert found.watts == {"gpu-1": (60.0, 300.0)}
    assert read([series(promql.LEAST_WATTS, "gpu-1", 60.0)], NODES).watts == {}


WARM = Vitals({"gpu-1": Health(temperature=80.0)})


def test_health_is_believed_for_as_long_as_a_sample_is() -> None:
    signs = VitalSigns(300.0)
    signs.take(WARM, NOW, {"gpu-1"})
    assert signs.now(NOW + 300) == WARM.health
    assert signs.now(NOW + 301) == {}


def test_a_round_that_failed_leaves_what_was_known() -> None:
    signs = VitalSigns(300.0)
    signs.take(WARM, NOW, {"gpu-1"})
    signs.take(Vitals(problem="no answer"), NOW + 60, {"gpu-1"})
    assert signs.now(NOW + 60) == WARM.health
    assert signs.now(NOW + 301) == {}, "and is no younger for it"


def test_what_gpus_draw_is_known_once_they_were_seen_at_rest_and_at_work() -> None:
    signs = VitalSigns(300.0)

    def seen(least: float, most: float) -> Health:
        signs.take(Vitals(WARM.health, {"gpu-1": (least, most)}), NOW, {"gpu-1"})
        return signs.now(NOW)["gpu-1"]

    assert seen(60.0, 65.0).working_watts is None
    assert seen(61.0, 300.0).working_watts == 240.0
    assert seen(250.0, 310.0).working_watts == 250.0, "the least and the most of all rounds"


def test_the_watts_of_a_node_that_is_gone_are_forgotten() -> None:
    signs = VitalSigns(300.0)
    signs.take(Vitals(WARM.health, {"gpu-1": (60.0, 300.0)}), NOW, {"gpu-1"})
    signs.take(WARM, NOW, set())
    signs.take(WARM, NOW, {"gpu-1"})
    assert signs.now(NOW)["gpu-1"].working_watts is None
