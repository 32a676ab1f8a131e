"""Metrics of the progress endpoint, on the operator's registry. No label has unbounded values."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class ProgressMetrics:
    """One method for each thing that happens."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Histogram(
            "loadstar_progress_request_seconds",
            "Duration of a request to the progress endpoint, by HTTP status.",
            ["code"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._refused = Counter(
            "loadstar_progress_connections_refused_total",
            "Connections beyond the limits of the progress endpoint.",
            registry=registry,
        )
        self._reviews = Counter(
            "loadstar_progress_token_reviews_total",
            "Tokens that the API server was asked about.",
            ["result"],
            registry=registry,
        )
        self._writes = Counter(
            "loadstar_progress_writes_total",
            "Writes of progress into the cluster.",
            ["what", "result"],
            registry=registry,
        )
        self._jobs = Gauge(
            "loadstar_progress_jobs", "Jobs whose progress is kept in memory.", registry=registry
        )

    def watch(self, jobs: Callable[[], int]) -> None:
        """Read the number of jobs from `jobs` at every scrape."""
        self._jobs.set_function(jobs)

    def answered(self, code: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(str(code)).observe(seconds)

    def turned_away(self) -> None:
        """A connection was refused."""
        self._refused.inc()

    def reviewed(self, good: bool) -> None:
        """The API server was asked about a token."""
        self._reviews.labels("accepted" if good else "refused").inc()

    def wrote(self, what: str, good: bool) -> None:
        """A write of `what` (status or curves) ended."""
        self._writes.labels(what, "success" if good else "failure").inc()
