"""The simulated GPU's sensors: they move with the load, and together."""

import pytest

from dcgm_simulator.gpu import METRICS, Gpu, Value

GPU = Gpu("Simulated GPU", memory_mib=80_000)


def _readings(load: float, load_seconds: float = 0.0, seconds: float = 0.0) -> dict[str, Value]:
    return GPU.readings(load, load_seconds, seconds, xid=0)


def test_every_metric_of_the_default_set_has_a_reading() -> None:
    assert list(_readings(0.5)) == list(METRICS)


def test_the_load_is_the_engine_activity_and_in_percent_the_utilization() -> None:
    readings = _readings(0.37)

    assert readings["DCGM_FI_PROF_GR_ENGINE_ACTIVE"] == 0.37
    assert readings["DCGM_FI_DEV_GPU_UTIL"] == 37


@pytest.mark.parametrize(
    "field",
    [
        "DCGM_FI_DEV_POWER_USAGE",
        "DCGM_FI_DEV_GPU_TEMP",
        "DCGM_FI_DEV_FB_USED",
        "DCGM_FI_DEV_SM_CLOCK",
        "DCGM_FI_PROF_DRAM_ACTIVE",
        "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
        "DCGM_FI_PROF_PCIE_TX_BYTES",
    ],
)
def test_a_busy_gpu_reads_higher_than_an_idle_one(field: str) -> None:
    assert _readings(0.0)[field] < _readings(0.9)[field]


@pytest.mark.parametrize("load", [0.0, 0.333, 1.0])
def test_used_free_and_reserved_memory_are_all_of_the_memory(load: float) -> None:
    readings = _readings(load)

    parts = [readings[f"DCGM_FI_DEV_FB_{part}"] for part in ("USED", "FREE", "RESERVED")]
    assert sum(parts) == GPU.memory_mib
    assert min(parts) >= 0


def test_energy_is_the_power_over_the_time_in_millijoules() -> None:
    readings = _readings(0.5, load_seconds=0.5 * 60, seconds=60)

    watts = readings["DCGM_FI_DEV_POWER_USAGE"]
    assert readings["DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"] == pytest.approx(watts * 60 * 1000)
