"""What a TrainingJob says of itself, as the few words that a line has room for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from loadstar.api.text import one_line
from loadstar.core.devices import VENDOR

Job = Mapping[str, Any]
"""A TrainingJob as raw JSON; its status may be missing in whole or in part."""

FINISHED = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True)
class Row:
    """One job in one line."""

    namespace: str
    name: str
    phase: str
    accuracy: str
    gpus: str
    nodes: str
    time: str
    why: str

    @property
    def finished(self) -> bool:
        return self.phase in FINISHED


def row(job: Job, now: datetime) -> Row:
    """The line for `job`."""
    metadata, status = job["metadata"], job.get("status") or {}
    placement = status.get("placement") or {}
    return Row(
        namespace=metadata["namespace"],
        name=metadata["name"],
        phase=str(status.get("phase") or "Pending"),
        accuracy=rounded(status.get("accuracy")) or loss(status),
        gpus=gpus(status, status),
        nodes=one_line(str(placement.get("nodeSummary") or "")),
        time=duration(status, now),
        why=why(status, now),
    )


def gpus(counted: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    """GPUs of a job's status or of one node of its placement; of parts of GPUs also which: 2 mig-1g.10gb."""
    part = one_line(str(status.get("gpuResource") or "")).removeprefix(VENDOR)
    return f"{counted.get('gpus', '')} {part}".strip()


def why(status: Mapping[str, Any], now: datetime) -> str:
    """The reason to be where it is: of a placed job the numbers of its (first) node, of others their message."""
    phase = status.get("phase")
    nodes = (status.get("placement") or {}).get("nodes") or ()
    if nodes and phase != "Failed":
        text = numbers(nodes[0])
        return f"{text} (first of {len(nodes)})" if len(nodes) > 1 else text
    place = in_queue(status, now)
    return (f"{place}: " if place else "") + one_line(
        str(status.get("message") or status.get("reason") or "")
    )


def in_queue(status: Mapping[str, Any], now: datetime) -> str:
    """Where a job stands that waits, and how long it is expected to."""
    queue = status.get("queue") or {}
    if not queue.get("position"):
        return ""
    starts = moment(queue.get("estimatedStartTime"))
    expected = f", expected to start in {span((starts - now).total_seconds())}" if starts else ""
    return f"{queue['position']}. in the queue{expected}"


def numbers(node: Mapping[str, Any]) -> str:
    """Load, forecast and the terms of the score of a placed node."""
    load, forecast, band = (rounded(node.get(name)) for name in ("load", "forecast", "band"))
    parts = [f"load {load or 'unknown'} → {forecast or 'unknown'}" + (f" ± {band}" if band else "")]
    terms = node.get("terms") or {}
    if terms:
        parts.append(
            "score " + " ".join(f"{one_line(name)} {signed(value)}" for name, value in terms.items())
        )
    return ", ".join(parts)


def loss(status: Mapping[str, Any]) -> str:
    """The loss of a finished regression, which has no accuracy."""
    metrics = (status.get("result") or {}).get("metrics") or ()
    found = next((metric.get("value") for metric in metrics if metric.get("name") == "loss"), None)
    return f"loss {rounded(found)}" if found else ""


def duration(status: Mapping[str, Any], now: datetime) -> str:
    """How long the job has run, or ran; empty before it starts."""
    start = moment(status.get("startTime"))
    if start is None:
        return ""
    return span(((moment(status.get("completionTime")) or now) - start).total_seconds())


def span(seconds: float) -> str:
    """A time span in its two largest units: 42s, 3m10s, 2h05m, 4d03h."""
    whole = max(0, int(seconds))
    for size, unit, small, smaller in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // small:02d}{smaller}"
    return f"{whole}s"


def moment(text: str | None) -> datetime | None:
    """A Kubernetes time stamp as a time in UTC; None for none."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def rounded(value: str | None) -> str:
    """Decimal text with up to four significant digits; what is no number stays as it is."""
    if not value:
        return ""
    try:
        return f"{float(value):.4g}"
    except ValueError:
        return one_line(str(value))


def signed(value: str) -> str:
    """A term of a score: its sign says whether it spoke for the node or against it."""
    try:
        return f"{float(value):+.3f}"
    except ValueError:
        return one_line(str(value))
