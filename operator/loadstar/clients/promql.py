"""What Prometheus is asked: per signal one query that answers for all nodes at once.

Sources are the DCGM exporter's default metric set and node-exporter. Every query keeps the labels that can
tell the node (`clients.series` picks among them) and nothing else, so an answer holds one series per exporter.
"""

from typing import Final

from loadstar.core.health import XID_WINDOW_SECONDS
from loadstar.core.load import Signal

VITAL_LABEL: Final = "vital"
"""Label of the vitals query's series: what of a node's GPUs the value is."""
XID_LABEL: Final = "xid"
"""Label of the vitals query's series about XID errors: the code; the value is how many GPUs it came up on."""
XID, TEMPERATURE, ROW_REMAP, FREE_MEMORY = "xid", "temperature", "rowRemapFailure", "freeMemory"
LEAST_WATTS, MOST_WATTS = "leastWatts", "mostWatts"

SIGNAL_LABEL: Final = "signal"
"""Label of the freshness query's series: which signal the timestamp belongs to."""

_GPU_LABELS: Final = "hostname, Hostname, node, instance"
"""The exporter's own label was `Hostname` in its releases up to 4.5 and is `hostname` since."""
_HOST_LABELS: Final = "node, instance"

_ENGINE: Final = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
"""Share of time that the graphics engine was busy, 0..1; the only activity that is also right under MIG."""
_UTILISATION: Final = "DCGM_FI_DEV_GPU_UTIL"
"""The same in percent, coarser; there where the profiling metrics need rights that the exporter lacks."""
_USED, _FREE = "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE"
_IDLE: Final = 'node_cpu_seconds_total{mode="idle"}'
_AVAILABLE, _TOTAL = "node_memory_MemAvailable_bytes", "node_memory_MemTotal_bytes"

_XIDS: Final = "DCGM_FI_DEV_XID_ERRORS"
"""The last XID error's code, which stays until the next one: that it changed tells that it is new."""
_CELSIUS, _REMAP, _WATTS = "DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_ROW_REMAP_FAILURE", "DCGM_FI_DEV_POWER_USAGE"

_BLANK: Final = "9e18"
"""DCGM prints a number just below 2^63 for a field that a GPU does not support."""


def signal_queries(scrape_seconds: float) -> dict[Signal, str]:
    """Per signal, the query for each node's present load in 0..1, averaged over two scrapes (rates: four)."""
    average, rate = f"[{2 * scrape_seconds:.0f}s]", f"[{4 * scrape_seconds:.0f}s]"
    per_gpu = (
        f"(avg_over_time({_ENGINE}{average}) < {_BLANK})"
        f" or on (UUID, GPU_I_ID) (avg_over_time({_UTILISATION}{average}) < {_BLANK}) / 100"
    )
    used, free = f"({_USED} < {_BLANK})", f"({_FREE} < {_BLANK})"
    return {
        Signal.GPU: f"avg by ({_GPU_LABELS}) ({per_gpu})",
        Signal.GPU_MEMORY: (
            f"sum by ({_GPU_LABELS}) ({used} and {free}) / sum by ({_GPU_LABELS}) ({used} + {free})"
        ),
        Signal.CPU: _named(f"1 - avg by ({_HOST_LABELS}) (rate({_IDLE}{rate}))"),
        Signal.MEMORY: _named(f"1 - avg by ({_HOST_LABELS}) ({_AVAILABLE} / {_TOTAL})"),
    }


def freshness_query() -> str:
    """When the oldest series behind each signal and node was scraped, Unix seconds, by label `signal`.

    timestamp() tells a sample's own time only of a plain selector, so these cannot ride on the other queries.
    """
    activity = f"timestamp({_ENGINE}) or on (UUID, GPU_I_ID) timestamp({_UTILISATION})"
    times = {
        Signal.GPU: f"min by ({_GPU_LABELS}) ({activity})",
        Signal.GPU_MEMORY: f"min by ({_GPU_LABELS}) (timestamp({_USED}))",
        Signal.CPU: _named(f"min by ({_HOST_LABELS}) (timestamp({_IDLE}))"),
        Signal.MEMORY: _named(f"min by ({_HOST_LABELS}) (timestamp({_AVAILABLE}))"),
    }
    return " or ".join(
        f'label_replace({query}, "{SIGNAL_LABEL}", "{signal}", "", "")' for signal, query in times.items()
    )


def vitals_query() -> str:
    """How each node's GPUs are, by label `vital`: the worst GPU's word for each; watts of the least and the most."""
    new = f"(changes({_XIDS}[{XID_WINDOW_SECONDS:.0f}s]) > 0 and {_XIDS} > 0)"
    vitals = {
        XID: f'count_values by ({_GPU_LABELS}) ("{XID_LABEL}", {_XIDS} and {new})',
        TEMPERATURE: f"max by ({_GPU_LABELS}) ({_CELSIUS} < {_BLANK})",
        ROW_REMAP: f"max by ({_GPU_LABELS}) ({_REMAP} < {_BLANK})",
        FREE_MEMORY: f"min by ({_GPU_LABELS}) ({_FREE} < {_BLANK})",
        LEAST_WATTS: f"min by ({_GPU_LABELS}) ({_WATTS} < {_BLANK})",
        MOST_WATTS: f"max by ({_GPU_LABELS}) ({_WATTS} < {_BLANK})",
    }
    return " or ".join(
        f'label_replace({query}, "{VITAL_LABEL}", "{vital}", "", "")' for vital, query in vitals.items()
    )


def _named(query: str) -> str:
    """Add the host name that node-exporter reports of itself, where it reports one."""
    names = "max by (instance, nodename) (node_uname_info)"
    return f"(({query}) * on (instance) group_left (nodename) {names} or on (instance) ({query}))"
