"""Every node's load and health from Prometheus: six queries a round, however many nodes there are.

A round never raises: metrics must not stand in the way of a launch. What could not be read is missing from
the samples and explained in `problems`; the caller keeps its last good samples, which age by their own time.
"""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from loadstar.clients.errors import MetricsError
from loadstar.clients.promql import SIGNAL_LABEL, freshness_query, signal_queries, vitals_query
from loadstar.clients.queries import Endpoint, QueryApi, Series
from loadstar.clients.series import NodeNames, locate, share
from loadstar.clients.vitals import Vitals, read
from loadstar.core.load import Sample, Signal


@dataclass(frozen=True, slots=True)
class Readings:
    """One round: the newest sample of each node per signal. A node without a believable value is absent."""

    samples: dict[Signal, dict[str, Sample]]
    problems: dict[Signal, str] = field(default_factory=dict)
    """Per signal that gave no answer at all, why not."""
    unmapped: dict[Signal, int] = field(default_factory=dict)
    """Series that belong to no known node."""
    rejected: dict[Signal, int] = field(default_factory=dict)
    """Nodes left out: value not a load, without a time of its own, or claimed by several series."""


@dataclass(frozen=True, slots=True)
class History:
    """Past samples of each node per signal, oldest first, for warming the forecasts up."""

    samples: dict[Signal, dict[str, list[Sample]]]
    problems: dict[Signal, str] = field(default_factory=dict)


class Prometheus:
    """A client of one Prometheus server. Use as an async context manager, or call `close`."""

    def __init__(self, endpoint: Endpoint, *, scrape_seconds: float = 30.0) -> None:
        """Raises ConfigurationError where the CA file cannot be read."""
        self._api = QueryApi(endpoint)
        self._queries = signal_queries(scrape_seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._api.close()

    async def latest(self, nodes: NodeNames, now: float) -> Readings:
        """The load of all nodes at `now` (Unix seconds).

        A sample's `at` is when Prometheus scraped it, counted back from `now` by the age it has on
        Prometheus's own clock, so a difference between the two clocks makes nothing look old.
        """
        queries = [freshness_query(), *self._queries.values()]
        freshness, *answers = await asyncio.gather(
            *(self._api.instant(query) for query in queries), return_exceptions=True
        )
        readings = Readings({signal: {} for signal in self._queries})
        for signal, answer in zip(self._queries, answers, strict=True):
            try:
                series, times = _sound(answer), _sound(freshness)
            except MetricsError as error:
                readings.problems[signal] = str(error)
                continue
            own = [one for one in times if one.labels.get(SIGNAL_LABEL) == signal]
            samples, unmapped, rejected = _samples(series, _ages(own, nodes), nodes, now)
            readings.samples[signal] = samples
            readings.unmapped[signal] = unmapped
            readings.rejected[signal] = rejected
        return readings

    async def vitals(self, nodes: NodeNames) -> Vitals:
        """How the nodes' GPUs are now. Never raises: what could not be read is said in `problem`."""
        try:
            return read(await self._api.instant(vitals_query()), nodes)
        except MetricsError as error:
            return Vitals(problem=str(error))

    async def history(self, nodes: NodeNames, start: float, end: float, step: float) -> History:
        """The load of all nodes from `start` to `end` (Unix seconds), every `step` seconds.

        `at` is the step's time: a value stands for the average of the scrapes just before it.
        """
        answers = await asyncio.gather(
            *(self._api.range(query, start, end, step) for query in self._queries.values()),
            return_exceptions=True,
        )
        history = History({signal: {} for signal in self._queries})
        for signal, answer in zip(self._queries, answers, strict=True):
            try:
                found = locate(((one.labels, one.points) for one in _sound(answer)), nodes)
            except MetricsError as error:
                history.problems[signal] = str(error)
                continue
            history.samples[signal] = {node: _loads(points) for node, points in found.values.items()}
        return history


def _sound(answer: list[Series] | BaseException) -> list[Series]:
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _ages(series: list[Series], nodes: NodeNames) -> Mapping[str, float]:
    """Per node, the seconds from its oldest sample to the evaluation, both on Prometheus's clock."""
    found = locate(((one.labels, one.points[0]) for one in series), nodes)
    ages = {node: evaluated - scraped for node, (evaluated, scraped) in found.values.items()}
    return {node: max(0.0, age) for node, age in ages.items() if math.isfinite(age)}


def _samples(
    series: list[Series], ages: Mapping[str, float], nodes: NodeNames, now: float
) -> tuple[dict[str, Sample], int, int]:
    """One signal's samples, the number of unmapped series and the number of rejected nodes."""
    found = locate(((one.labels, one.points[0][1]) for one in series), nodes)
    loads = {node: share(value) for node, value in found.values.items()}
    samples = {
        node: Sample(load, now - ages[node])
        for node, load in loads.items()
        if load is not None and node in ages
    }
    return samples, found.unmapped, found.doubtful + len(loads) - len(samples)


def _loads(points: tuple[tuple[float, float], ...]) -> list[Sample]:
    loads = ((at, share(value)) for at, value in points)
    return [Sample(load, at) for at, load in loads if load is not None]
