"""Prometheus' text format, as the exporter prints it. Pure."""

from collections.abc import Mapping, Sequence

from dcgm_simulator.gpu import METRICS, Value

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[str, Mapping[str, str]]
"""One GPU: its labels as `label_set` prints them, and the value of every metric as `printed` does."""


def label_set(labels: Mapping[str, str]) -> str:
    """`{name="value",…}` with the three characters escaped that the format reserves."""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def printed(values: Mapping[str, Value]) -> dict[str, str]:
    """Whole numbers as they are, others with the six decimals that the exporter prints."""
    return {name: str(value) if isinstance(value, int) else f"{value:.6f}" for name, value in values.items()}


def page(samples: Sequence[Sample]) -> str:
    """The whole page: each metric's HELP and TYPE, then one line per GPU."""
    lines = []
    for name, (kind, text) in METRICS.items():
        lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{labels} {values[name]}" for labels, values in samples]
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
