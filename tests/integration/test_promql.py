"""The queries, evaluated by Prometheus's own promtool over series of our choice."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from loadstar.clients.promql import freshness_query, signal_queries, vitals_query
from loadstar.core.load import Signal
from tests.cluster import prometheus_package

Samples = list[dict[str, Any]]

IDLE, UNAME = 'node_cpu_seconds_total{instance="10.0.0.1:9100",mode="idle",cpu="%d"%s}', "node_uname_info"
AVAILABLE, TOTAL = "node_memory_MemAvailable_bytes", "node_memory_MemTotal_bytes"
ENGINE, UTILISATION = "DCGM_FI_PROF_GR_ENGINE_ACTIVE", "DCGM_FI_DEV_GPU_UTIL"
INSTANCE = '{instance="10.0.0.1:9100"}'


@pytest.fixture
def evaluate(tmp_path: Path) -> Any:
    """Whether promtool finds `expected` ({series: value}) five minutes into `series` ({series: values})."""

    def run(query: str, series: dict[str, str], expected: dict[str, float]) -> None:
        test = {
            "rule_files": [],
            "evaluation_interval": "30s",
            "tests": [
                {
                    "interval": "30s",
                    "input_series": [{"series": name, "values": values} for name, values in series.items()],
                    "promql_expr_test": [
                        {
                            "expr": query,
                            "eval_time": "5m",
                            "exp_samples": [
                                {"labels": name, "value": value} for name, value in expected.items()
                            ],
                        }
                    ],
                }
            ],
        }
        file = tmp_path / "test.yml"
        file.write_text(json.dumps(test))
        promtool = prometheus_package.server().with_name("promtool")
        outcome = subprocess.run(
            [promtool, "test", "rules", file], capture_output=True, text=True, check=False
        )
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr

    return run


def gpu(metric: str, uuid: str, node: str = 'Hostname="a"') -> str:
    return f'{metric}{{{node},instance="i:1",UUID="{uuid}"}}'


def test_gpu_activity_is_the_mean_over_a_nodes_gpus(evaluate: Any) -> None:
    series = {
        gpu(ENGINE, "1"): "0.2x10",
        gpu(ENGINE, "2"): "0.6x10",
        gpu(ENGINE, "3", 'hostname="b"'): "1x10",
    }
    expected = {'{Hostname="a",instance="i:1"}': 0.4, '{hostname="b",instance="i:1"}': 1.0}
    evaluate(signal_queries(30)[Signal.GPU], series, expected)


def test_a_gpu_without_the_profiling_metric_is_known_by_its_utilisation(evaluate: Any) -> None:
    series = {gpu(ENGINE, "1"): "0.25x10", gpu(UTILISATION, "1"): "90x10", gpu(UTILISATION, "2"): "75x10"}
    evaluate(signal_queries(30)[Signal.GPU], series, {'{Hostname="a",instance="i:1"}': 0.5})


def test_a_blank_of_dcgm_counts_for_no_gpu(evaluate: Any) -> None:
    series = {gpu(ENGINE, "1"): "9223372036854775794x10", gpu(ENGINE, "2"): "0.5x10"}
    evaluate(signal_queries(30)[Signal.GPU], series, {'{Hostname="a",instance="i:1"}': 0.5})


def test_gpu_memory_is_what_is_used_of_all_that_is_known(evaluate: Any) -> None:
    used, free = "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE"
    series = {
        gpu(used, "1"): "10x10",
        gpu(free, "1"): "30x10",
        gpu(used, "2"): "30x10",
        gpu(free, "2"): "10x10",
        gpu(used, "3"): "40x10",
        gpu(free, "3"): "9223372036854775794x10",
    }
    evaluate(signal_queries(30)[Signal.GPU_MEMORY], series, {'{Hostname="a",instance="i:1"}': 0.5})


@pytest.mark.parametrize(
    ("more", "labels"),
    [
        pytest.param({}, "", id="bare"),
        pytest.param(
            {f'{UNAME}{{instance="10.0.0.1:9100",nodename="a"}}': "1x10"}, ',nodename="a"', id="nodename"
        ),
        pytest.param(
            {f'{UNAME}{{instance="10.0.0.1:9100",nodename="a",job="{job}"}}': "1x10" for job in "xy"},
            ',nodename="a"',
            id="scraped twice",
        ),
    ],
)
def test_cpu_load_is_the_share_not_idle_with_whatever_names_the_node(
    evaluate: Any, more: dict[str, str], labels: str
) -> None:
    cores = {IDLE % (0, ""): "0+30x10", IDLE % (1, ""): "0+15x10"}
    evaluate(signal_queries(30)[Signal.CPU], cores | more, {f'{{instance="10.0.0.1:9100"{labels}}}': 0.25})


def test_the_label_node_of_the_scrape_is_kept(evaluate: Any) -> None:
    cores = {IDLE % (0, ',node="a"'): "0+30x10"}
    evaluate(signal_queries(30)[Signal.CPU], cores, {'{instance="10.0.0.1:9100",node="a"}': 0.0})


def test_memory_load_is_the_share_not_available(evaluate: Any) -> None:
    series = {f"{AVAILABLE}{INSTANCE}": "25x10", f"{TOTAL}{INSTANCE}": "100x10"}
    evaluate(signal_queries(30)[Signal.MEMORY], series, {INSTANCE: 0.75})


def test_freshness_is_the_time_of_the_oldest_series_behind_each_signal(evaluate: Any) -> None:
    series = {
        gpu(ENGINE, "1"): "0.5x10",
        gpu(ENGINE, "2"): "0.5x8",
        gpu("DCGM_FI_DEV_FB_USED", "1"): "1x10",
        IDLE % (0, ""): "0+1x6",
        f"{AVAILABLE}{INSTANCE}": "1x10",
    }
    node, host = 'Hostname="a",instance="i:1"', 'instance="10.0.0.1:9100"'
    expected = {
        f'{{{node},signal="gpu"}}': 240,
        f'{{{node},signal="gpuMemory"}}': 300,
        f'{{{host},signal="cpu"}}': 180,
        f'{{{host},signal="memory"}}': 300,
    }
    evaluate(freshness_query(), series, expected)


XIDS, CELSIUS, REMAP = "DCGM_FI_DEV_XID_ERRORS", "DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_ROW_REMAP_FAILURE"


def test_an_xid_error_is_told_while_it_is_new(evaluate: Any) -> None:
    series = {
        gpu(XIDS, "1"): "0x5 79x5",
        gpu(XIDS, "2"): "0x5 79x5",
        gpu(XIDS, "3"): "0x5 31x5",
        gpu(XIDS, "4"): "48x10",
        gpu(XIDS, "5"): "48x5 0x5",
    }
    node = 'Hostname="a",instance="i:1",vital="xid"'
    evaluate(vitals_query(), series, {f'{{{node},xid="79"}}': 2, f'{{{node},xid="31"}}': 1})


def test_the_worst_gpu_speaks_for_its_node(evaluate: Any) -> None:
    free, watts = "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_POWER_USAGE"
    series = {
        gpu(metric, uuid): f"{value}x10"
        for metric, values in {
            CELSIUS: (60, 84, 9223372036854775794),
            REMAP: (0, 1, 0),
            free: (1000, 30, 500),
            watts: (61.5, 300, 120),
        }.items()
        for uuid, value in zip("123", values, strict=True)
    }
    told = {"temperature": 84, "rowRemapFailure": 1, "freeMemory": 30, "leastWatts": 61.5, "mostWatts": 300}
    expected = {f'{{Hostname="a",instance="i:1",vital="{vital}"}}': value for vital, value in told.items()}
    evaluate(vitals_query(), series, expected)
