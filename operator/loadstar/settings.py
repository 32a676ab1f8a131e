"""What an administrator can set, read once at the start and passed down; nothing else reads the environment.

A field `pin_timeout_seconds` is the variable `LOADSTAR_PIN_TIMEOUT_SECONDS` and, where `loadstar run` offers
it, the flag `--pin-timeout-seconds`. A flag wins over its variable; an empty variable counts as unset.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo

from loadstar.core.fairshare import HALF_LIFE_SECONDS
from loadstar.core.load import Signal
from loadstar.core.queue import Order

PREFIX: Final = "LOADSTAR_"
KUBECONFIG: Final = "KUBECONFIG"
"""kubectl's own variable, used where LOADSTAR_KUBECONFIG is not set."""

Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=1, le=65_535)]


class SettingsError(ValueError):
    """A setting has a value that Loadstar cannot run with. Names the variable, the value and what is allowed."""


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class Settings(BaseModel):
    """Every setting with its unit, default and the reason for it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kubeconfig: str = ""
    """Path of the kubeconfig; empty means the pod's own service account, outside of a pod kubectl's default."""
    namespace: str = "loadstar-system"
    """Namespace of the operator itself: its Lease lives there."""
    watch_namespaces: tuple[str, ...] = ()
    """Namespaces whose TrainingJobs are run, separated by commas; empty means all."""
    api_timeout_seconds: Seconds = 15.0
    """Longest wait for one answer of the API server. Its slowest regular answers (a page of 500 pods under
    load) take a few seconds; a connection that died silently must not hold a job for longer."""
    api_concurrency: int = Field(default=32, ge=1, le=128)
    """Requests to the API server in flight: enough to launch over 100 pods a second, and far below the
    share that the server's own fairness grants one client."""

    prometheus_url: str = ""
    """Base address, e.g. http://prometheus.monitoring.svc:9090; empty means placement by allocation alone."""
    prometheus_timeout_seconds: Seconds = 5.0
    """Longest wait for one round of queries. Late metrics are worth less than a punctual cycle."""
    prometheus_token_file: str = ""
    """File with a bearer token, read again for each round as it may be rotated; empty sends none."""
    prometheus_ca_file: str = ""
    """File with the CA that signed Prometheus's certificate; empty means the system's CAs."""
    metrics_interval_seconds: Seconds = 10.0
    """Between two rounds of queries: six cheap ones, however many nodes there are. The DCGM exporter renews its
    values every 30 s at most, but a Prometheus that went away should be noticed, and said, sooner."""
    scrape_interval_seconds: Seconds = 30.0
    """How often Prometheus scrapes the nodes; the windows of the queries and freshness are counted in it."""
    fresh_scrapes: int = Field(default=3, ge=1, le=100)
    """A sample up to this many scrape intervals old is taken as it is: one lost scrape is ordinary."""
    stale_seconds: Seconds = 300.0
    """A sample up to this old still counts, with a band that widens by age; an older one is missing.
    Load moves on within minutes."""
    warmup_seconds: float = Field(default=7200.0, ge=0, le=86_400, allow_inf_nan=False)
    """How much history is read at the start, so that forecasts do not begin blind; 0 reads none."""

    gpu_weight: Share = 0.5
    """Share of GPU activity in a node's load: it is what training waits for first."""
    gpu_memory_weight: Share = 0.2
    """Share of GPU memory in a node's load."""
    cpu_weight: Share = 0.2
    """Share of CPU in a node's load: data loading slows down once it is short."""
    memory_weight: Share = 0.1
    """Share of host memory in a node's load."""
    hot_threshold: Share = 0.8
    """Load above which a node counts as hot; the score charges what is expected beyond it."""
    topology_levels: tuple[str, ...] = ("nvidia.com/gpu.clique", "topology.kubernetes.io/zone")
    """Node labels by which a gang that wishes nothing else is kept together, separated by commas, nearest first; the
    first one that any node has counts. Empty: none."""

    queue_order: Order = Order.FIRST_COME
    """Who is next among jobs of one priority and group: firstCome, or shortestExpected, by which short jobs get the
    nodes of long ones that go on from a checkpoint later: jobs are done far sooner on average, with more restarts."""
    queue_weights: dict[str, float] = {}
    """Weights of groups (spec.scheduling.queue, else the namespace) in fair sharing, such as research=2,students=0.5;
    1 where none is given. A group of weight 2 gets twice the GPU time of one of weight 1 while both want more."""
    fair_share_half_life_seconds: float = Field(
        default=HALF_LIFE_SECONDS, gt=0, le=31_536_000, allow_inf_nan=False
    )
    """GPU time that was used this long ago counts half: who computed all night stands behind in the morning."""
    preemption_protected_seconds: float = Field(default=300.0, ge=0, le=86_400, allow_inf_nan=False)
    """A job that has run for less is not ended for another one: it would have got hardly anywhere."""

    trainer_image: str = "loadstar/trainer:0.1.0"
    """Image of a job that names none of its own."""
    pin_timeout_seconds: Seconds = 15.0
    """A rank that kube-scheduler cannot bind within this time gives its whole gang back to be placed again.
    Binding takes a second or two, so a rank still waiting lost its node to somebody else."""
    resync_seconds: Seconds = 45.0
    """Between two sweeps over all known jobs, in case an event was missed."""
    relist_seconds: Seconds = 600.0
    """Between two full lists from the API server, in case the cache and the server disagree."""

    progress_url: str = ""
    """Address at which pods reach the progress endpoint, e.g. https://loadstar-progress.loadstar-system.svc:10443;
    empty means that there is none. The chart sets it."""
    progress_port: Port = 10443
    """Port that the progress endpoint is served on, at serving_address."""
    progress_secret: str = "loadstar-progress-tls"
    """Secret in the operator's namespace that keeps the endpoint's certificates, so that pods trust it after a
    restart, too."""

    lease_name: str = "loadstar"
    """Name of the Lease that makes one replica the active one."""
    identity: str = ""
    """Who holds the Lease: the pod's name in a cluster, so that a restarted container takes over at once;
    empty means host name plus random letters."""
    lease_duration_seconds: Seconds = 12.0
    """A Lease not renewed for this long is taken over. With the time others need to see the last renewal, an operator
    killed without warning is replaced within 15 s; a container that is started again in its pod goes on at once."""
    lease_renew_seconds: Seconds = 8.0
    """An operator that could not renew for this long stops by itself, before anybody else can take over."""
    lease_retry_seconds: Seconds = 2.0
    """Between two renewals, and between two looks at somebody else's Lease."""

    serving_address: str = "0.0.0.0"
    """Address that /metrics, /healthz and /readyz are served on: all, as the kubelet calls from outside."""
    serving_port: Port = 8080
    """Port of /metrics, /healthz and /readyz."""
    log_level: LogLevel = LogLevel.INFO
    """Least severity that is logged."""
    log_format: LogFormat = LogFormat.TEXT
    """text for people, json (one object per line) for log collectors."""

    @property
    def fresh_seconds(self) -> float:
        """Age up to which a sample counts as fresh."""
        return self.fresh_scrapes * self.scrape_interval_seconds

    @property
    def weights(self) -> dict[Signal, float]:
        """The share of each signal in a node's load, not necessarily adding up to 1."""
        return {
            Signal.GPU: self.gpu_weight,
            Signal.GPU_MEMORY: self.gpu_memory_weight,
            Signal.CPU: self.cpu_weight,
            Signal.MEMORY: self.memory_weight,
        }

    @field_validator("watch_namespaces", "topology_levels", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(name for part in value.split(",") if (name := part.strip()))

    @field_validator("queue_weights", mode="before")
    @classmethod
    def _weights(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        return {name.strip(): number.strip() for name, _, number in pairs}

    @field_validator("queue_weights")
    @classmethod
    def _above_zero(cls, value: dict[str, float]) -> dict[str, float]:
        if not all(0 < weight < float("inf") for weight in value.values()):
            raise ValueError("every group's weight must be a number above 0, such as research=2,students=0.5")
        return value

    @field_validator("prometheus_url")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("it must begin with http:// or https://")
        return value.rstrip("/")

    @field_validator("progress_url")
    @classmethod
    def _secure_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme != "https" or not parts.hostname or parts.path.rstrip("/") or parts.query):
            raise ValueError("it must be https://, a host and perhaps a port, and nothing else")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Rules between settings; each message names the variables itself."""
        if self.progress_url and self.progress_port == self.serving_port:
            raise ValueError(
                f"LOADSTAR_PROGRESS_PORT and LOADSTAR_SERVING_PORT are both {self.serving_port}: choose another for one"
            )
        order = (self.lease_duration_seconds, self.lease_renew_seconds, self.lease_retry_seconds)
        if not order[0] > order[1] > order[2]:
            raise ValueError(
                "LOADSTAR_LEASE_DURATION_SECONDS > LOADSTAR_LEASE_RENEW_SECONDS > LOADSTAR_LEASE_RETRY_SECONDS "
                f"must hold, so that a holder gives up before it is replaced, but they are {order}"
            )
        if self.stale_seconds < self.fresh_seconds:
            raise ValueError(
                f"LOADSTAR_STALE_SECONDS={self.stale_seconds:g} must not be less than LOADSTAR_FRESH_SCRAPES × "
                f"LOADSTAR_SCRAPE_INTERVAL_SECONDS = {self.fresh_seconds:g}"
            )
        if not any(self.weights.values()):
            raise ValueError(
                "LOADSTAR_GPU_WEIGHT, LOADSTAR_GPU_MEMORY_WEIGHT, LOADSTAR_CPU_WEIGHT and "
                "LOADSTAR_MEMORY_WEIGHT are all 0: at least one must be greater"
            )
        return self

    @classmethod
    def read(cls, environment: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> Self:
        """The settings that an environment and command-line flags (by field name; None: not given) amount to.

        Raises SettingsError, which lists every wrong value at once, and variables that look misspelt.
        """
        chosen = {name: value for name, value in (flags or {}).items() if value is not None}
        given = _settings_in(environment) | chosen
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise SettingsError("\n".join(_explain(error, chosen))) from None


def _settings_in(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings in an environment, by field name. Raises SettingsError for one that looks misspelt.

    Others of the prefix are let be: kubelet adds `LOADSTAR_SERVICE_HOST` and the like for a Service named
    loadstar, and the tests' own variables share the prefix.
    """
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and value
    }
    known = {name: value for name, value in given.items() if name in Settings.model_fields}
    misspelt = [
        f"{PREFIX}{name.upper()} is no setting of Loadstar: did you mean {PREFIX}{meant[0].upper()}?"
        for name in sorted(given.keys() - known.keys())
        if not _SERVICE_LINK.fullmatch(name)
        and (meant := get_close_matches(name, Settings.model_fields, 1, 0.8))
    ]
    if misspelt:
        raise SettingsError("\n".join(misspelt))
    if environment.get(KUBECONFIG):
        known.setdefault("kubeconfig", environment[KUBECONFIG])
    return known


_SERVICE_LINK: Final = re.compile(
    r"(.*_)?(service_host|service_port(_.*)?|port(_[0-9]+_(tcp|udp|sctp)(_.*)?)?)"
)
"""What follows the Service's name in the variables that kubelet makes of it."""


def _explain(error: ValidationError, flags: Mapping[str, Any]) -> Iterable[str]:
    for problem in error.errors(include_url=False):
        words = problem["msg"].removeprefix("Value error, ")
        if not problem["loc"]:  # a rule between settings: its message names them
            yield words
            continue
        name = str(problem["loc"][0])
        source = f"--{name.replace('_', '-')} " if name in flags else f"{PREFIX}{name.upper()}="
        yield f"{source}{problem['input']!r} is not accepted: {_allowed(Settings.model_fields[name]) or words}"


def _allowed(field: FieldInfo) -> str:
    """In words, what a number or a choice may be; empty for others, whose own message says it."""
    if isinstance(field.annotation, type) and issubclass(field.annotation, StrEnum):
        return "it must be one of " + ", ".join(field.annotation)
    if field.annotation not in (int, float):
        return ""
    kind = "a whole number" if field.annotation is int else "a number"
    words = {Gt: "greater than", Ge: "at least", Le: "at most"}
    bounds = [
        f"{text} {getattr(bound, sign):g}"
        for limit, text, sign in ((Gt, words[Gt], "gt"), (Ge, words[Ge], "ge"), (Le, words[Le], "le"))
        for bound in field.metadata
        if isinstance(bound, limit)
    ]
    return f"it must be {' and '.join([kind, *bounds]).replace(' and ', ', ', 1)} (default {field.default:g})"
