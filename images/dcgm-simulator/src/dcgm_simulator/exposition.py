"""Prometheus' text format, as the exporter prints it. Pure."""

from collections.abc import Mapping, Sequence

from dcgm_simulator.gpu import METRICS, Value

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[str, Mapping[str, Value]]
"""One GPU: its labels as `label_set` prints them, and a value for every metric."""


def label_set(labels: Mapping[str, str]) -> str:
    """`{name="value",…}` with the three characters escaped that the format reserves."""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def page(samples: Sequence[Sample]) -> str:
    """The whole page: each metric's HELP and TYPE, then one line per GPU."""
    lines = []
    for name, (kind, text) in METRICS.items():
        lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{labels} {_printed(values[name])}" for labels, values in samples]
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _printed(value: Value) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6f}"
