import math

import pytest

from loadstar.clients.series import NodeNames, locate, share

NODES = NodeNames(frozenset({"gpu-1", "gpu-2"}), {"10.0.0.1": "gpu-1", "fd00::2": "gpu-2"})


@pytest.mark.parametrize(
    ("labels", "node"),
    [
        pytest.param({"Hostname": "gpu-1"}, "gpu-1", id="DCGM exporter up to 4.5"),
        pytest.param({"hostname": "gpu-1"}, "gpu-1", id="DCGM exporter since"),
        pytest.param({"Hostname": "exporter-x7k", "node": "gpu-1"}, "gpu-1", id="Hostname is a pod's"),
        pytest.param(
            {"nodename": "gpu-2", "instance": "10.9.9.9:9100"}, "gpu-2", id="node-exporter's own word"
        ),
        pytest.param({"instance": "10.0.0.1:9100"}, "gpu-1", id="address and port"),
        pytest.param({"instance": "[fd00::2]:9100"}, "gpu-2", id="IPv6 address and port"),
        pytest.param({"instance": "fd00::2"}, "gpu-2", id="bare IPv6 address"),
        pytest.param({"instance": "gpu-1:9400"}, "gpu-1", id="host name and port"),
        pytest.param({"Hostname": "gpu-9"}, None, id="no node of ours"),
        pytest.param({}, None, id="no label at all"),
    ],
)
def test_a_series_is_given_to_the_node_that_it_speaks_of(labels: dict[str, str], node: str | None) -> None:
    located = locate([(labels, 0.5)], NODES)
    assert located.values == ({node: 0.5} if node else {})
    assert located.unmapped == (0 if node else 1)


def test_two_series_that_claim_a_node_alike_leave_it_without_a_value() -> None:
    located = locate(
        [({"Hostname": "gpu-1"}, 0.1), ({"Hostname": "gpu-1"}, 0.9), ({"node": "gpu-2"}, 0.2)], NODES
    )
    assert (located.values, located.doubtful) == ({"gpu-2": 0.2}, 1)


@pytest.mark.parametrize("turned", [False, True])
def test_a_better_label_wins_over_a_worse_one_in_any_order(turned: bool) -> None:
    series = [({"Hostname": "gpu-1"}, 0.1), ({"Hostname": "elsewhere", "node": "gpu-1"}, 0.9)]
    located = locate(series[::-1] if turned else series, NODES)
    assert (located.values, located.unmapped, located.doubtful) == ({"gpu-1": 0.1}, 1, 0)


@pytest.mark.parametrize(
    ("value", "load"),
    [
        (0.0, 0.0),
        (0.5, 0.5),
        (1.0, 1.0),
        pytest.param(-0.01, 0.0, id="a rate that overshot"),
        pytest.param(1.02, 1.0, id="a rate that undershot"),
        pytest.param(-0.2, None, id="negative"),
        pytest.param(92.0, None, id="percent"),
        pytest.param(9.2e18, None, id="blank of DCGM"),
        pytest.param(math.nan, None, id="NaN"),
        pytest.param(math.inf, None, id="infinite"),
    ],
)
def test_only_a_share_is_a_load(value: float, load: float | None) -> None:
    assert share(value) == load
