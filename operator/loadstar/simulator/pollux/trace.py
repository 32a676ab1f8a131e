"""The workloads and the published times of their jobs, from the trace's folder."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from loadstar.simulator.cells import TraceError, TracesMissing, lines, need


@dataclass(frozen=True, slots=True)
class PolluxJob:
    """One job: `arrival` in seconds, `gpus` in all, `batch` the global batch size in samples."""

    name: str
    arrival: float
    application: str
    gpus: int
    batch: int


def workloads(folder: Path) -> dict[str, tuple[PolluxJob, ...]]:
    """The workloads that are there, by name, each in the order of arrival. `folder` is the trace's `pollux`."""
    files = sorted((folder / "workloads").glob("workload-*.csv"), key=_number)
    if not files:
        raise TracesMissing(f"there is no workload-*.csv in {folder / 'workloads'}")
    return {file.stem: tuple(sorted(_jobs(file), key=lambda job: (job.arrival, job.name))) for file in files}


def published(folder: Path, policy: str) -> Mapping[str, Mapping[str, float]]:
    """Workload → job → seconds from its arrival to its end, as published for `policy` (tiresias, optimus, pollux)."""
    file = folder / "results" / f"{policy}-1.0.json"
    try:
        times: Mapping[str, Mapping[str, float]] = json.loads(file.read_text())["jcts"]
    except (OSError, KeyError, json.JSONDecodeError) as error:
        raise TraceError(f"{file} holds no published times: {error!r}") from error
    return times


def _jobs(file: Path) -> Iterator[PolluxJob]:
    columns, found = lines(file)
    need(file, columns, ("name", "time", "application", "num_replicas", "batch_size"))
    for line in found:
        gpus, batch = line.whole("num_replicas", least=1), line.whole("batch_size", least=1)
        yield PolluxJob(line.name("name"), line.seconds("time") or 0.0, line.name("application"), gpus, batch)


def _number(file: Path) -> int:
    return int(re.sub(r"\D", "", file.stem) or 0)
