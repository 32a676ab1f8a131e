"""What one simulated GPU's sensors read at a given load, in the exporter's fields and units. Pure."""

from dataclasses import dataclass

Value = int | float

SENTINEL = 9223372036854775794
"""What the exporter prints for a field that the GPU does not support."""

METRICS: dict[str, tuple[str, str]] = {
    "DCGM_FI_DEV_SM_CLOCK": ("gauge", "SM clock frequency (in MHz)."),
    "DCGM_FI_DEV_MEM_CLOCK": ("gauge", "Memory clock frequency (in MHz)."),
    "DCGM_FI_DEV_MEMORY_TEMP": ("gauge", "Memory temperature (in C)."),
    "DCGM_FI_DEV_GPU_TEMP": ("gauge", "GPU temperature (in C)."),
    "DCGM_FI_DEV_POWER_USAGE": ("gauge", "Power draw (in W)."),
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": ("counter", "Total energy consumption since boot (in mJ)."),
    "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": ("counter", "Total number of PCIe retries."),
    "DCGM_FI_DEV_GPU_UTIL": ("gauge", "GPU utilization (in %)."),
    "DCGM_FI_DEV_MEM_COPY_UTIL": ("gauge", "Memory utilization (in %)."),
    "DCGM_FI_DEV_ENC_UTIL": ("gauge", "Encoder utilization (in %)."),
    "DCGM_FI_DEV_DEC_UTIL": ("gauge", "Decoder utilization (in %)."),
    "DCGM_FI_DEV_XID_ERRORS": ("gauge", "Value of the last XID error encountered."),
    "DCGM_FI_DEV_FB_FREE": ("gauge", "Framebuffer memory free (in MiB)."),
    "DCGM_FI_DEV_FB_USED": ("gauge", "Framebuffer memory used (in MiB)."),
    "DCGM_FI_DEV_FB_RESERVED": ("gauge", "Framebuffer memory reserved (in MiB)."),
    "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL": (
        "counter",
        "Total number of NVLink bandwidth counters for all lanes",
    ),
    "DCGM_FI_DEV_VGPU_LICENSE_STATUS": ("gauge", "vGPU License status"),
    "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS": (
        "counter",
        "Number of remapped rows for uncorrectable errors",
    ),
    "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS": ("counter", "Number of remapped rows for correctable errors"),
    "DCGM_FI_DEV_ROW_REMAP_FAILURE": ("gauge", "Whether remapping of rows has failed"),
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE": ("gauge", "Ratio of time the graphics engine is active."),
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": ("gauge", "Ratio of cycles the tensor (HMMA) pipe is active."),
    "DCGM_FI_PROF_DRAM_ACTIVE": (
        "gauge",
        "Ratio of cycles the device memory interface is active sending or receiving data.",
    ),
    "DCGM_FI_PROF_PCIE_TX_BYTES": (
        "gauge",
        "The rate of data transmitted over the PCIe bus - including both protocol headers and data payloads - "
        "in bytes per second.",
    ),
    "DCGM_FI_PROF_PCIE_RX_BYTES": (
        "gauge",
        "The rate of data received over the PCIe bus - including both protocol headers and data payloads - "
        "in bytes per second.",
    ),
}
"""The exporter's default set, in its order: name → (type, help)."""

_IDLE_WATTS, _FULL_WATTS = 64.0, 400.0
_IDLE_CELSIUS, _FULL_CELSIUS = 32.0, 74.0
_IDLE_MHZ, _BOOST_MHZ, _MEMORY_MHZ = 345, 1410, 1593
_RESERVED_SHARE = 0.01  # of the device memory, for the driver
_PCIE_BYTES_PER_SECOND = 4_000_000_000  # at full load
_NVLINK_PER_SECOND = 50_000  # counted at full load


@dataclass(frozen=True)
class Gpu:
    """A model of GPU: `memory_mib` is all of its memory."""

    model: str
    memory_mib: int

    def readings(self, load: float, load_seconds: float, seconds: float, xid: int) -> dict[str, Value]:
        """Every field of METRICS at `load` (0 to 1).

        `load_seconds` is the integral of the load over the `seconds` since the start, which the counters grow
        with; `xid` is the last error's code, 0 if there was none.
        """
        celsius = round(_between(_IDLE_CELSIUS, _FULL_CELSIUS, load))
        joules = _IDLE_WATTS * seconds + (_FULL_WATTS - _IDLE_WATTS) * load_seconds
        memory_active = 0.6 * load
        return {
            "DCGM_FI_DEV_SM_CLOCK": _BOOST_MHZ if load > 0.0 else _IDLE_MHZ,
            "DCGM_FI_DEV_MEM_CLOCK": _MEMORY_MHZ,
            "DCGM_FI_DEV_MEMORY_TEMP": celsius + 4,
            "DCGM_FI_DEV_GPU_TEMP": celsius,
            "DCGM_FI_DEV_POWER_USAGE": _between(_IDLE_WATTS, _FULL_WATTS, load),
            "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": int(1000.0 * joules),
            "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": 0,
            "DCGM_FI_DEV_GPU_UTIL": round(100.0 * load),
            "DCGM_FI_DEV_MEM_COPY_UTIL": round(100.0 * memory_active),
            "DCGM_FI_DEV_ENC_UTIL": 0,
            "DCGM_FI_DEV_DEC_UTIL": 0,
            "DCGM_FI_DEV_XID_ERRORS": xid,
            **self._memory(load),
            "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL": int(_NVLINK_PER_SECOND * load_seconds),
            "DCGM_FI_DEV_VGPU_LICENSE_STATUS": 0,
            "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS": 0,
            "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS": 0,
            "DCGM_FI_DEV_ROW_REMAP_FAILURE": 0,
            "DCGM_FI_PROF_GR_ENGINE_ACTIVE": load,
            "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": 0.5 * load,
            "DCGM_FI_PROF_DRAM_ACTIVE": memory_active,
            "DCGM_FI_PROF_PCIE_TX_BYTES": round(0.5 * _PCIE_BYTES_PER_SECOND * load),
            "DCGM_FI_PROF_PCIE_RX_BYTES": round(_PCIE_BYTES_PER_SECOND * load),
        }

    def _memory(self, load: float) -> dict[str, Value]:
        """The three parts of the memory; they always add up to all of it."""
        reserved = round(_RESERVED_SHARE * self.memory_mib)
        usable = self.memory_mib - reserved
        used = round(0.9 * load * usable)
        return {
            "DCGM_FI_DEV_FB_FREE": usable - used,
            "DCGM_FI_DEV_FB_USED": used,
            "DCGM_FI_DEV_FB_RESERVED": reserved,
        }


def _between(idle: float, full: float, load: float) -> float:
    return idle + (full - idle) * load
