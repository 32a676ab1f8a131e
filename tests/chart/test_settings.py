"""The chart's values and the operator's settings: each value is one setting, with the same default."""

from typing import Any

import pytest

from loadstar.settings import PREFIX, Settings
from tests.chart.helm import Helm, HelmError, Object, named

_FIXED = {"kubeconfig", "serving_address", "serving_port", "progress_port"}
"""What does not differ from one cluster to the next: the pod's own account, address and port."""
_EVERYTHING: Object = {
    "watchNamespaces": ["team-a", "team-b"],
    "api": {"timeoutSeconds": 16, "concurrency": 33},
    "prometheus": {
        "url": "https://prometheus:9090",
        "timeoutSeconds": 6,
        "scrapeIntervalSeconds": 31,
        "tokenSecret": {"name": "token"},
        "caConfigMap": {"name": "ca"},
    },
    "load": {
        "metricsIntervalSeconds": 32,
        "freshScrapes": 4,
        "staleSeconds": 301.5,
        "warmupSeconds": 0,
        "hotThreshold": 0.9,
        "weights": {"gpu": 0.4, "gpuMemory": 0.3, "cpu": 0.25, "memory": 0},
    },
    "topologyLevels": ["example.com/rack", "zone"],
    "queue": {
        "order": "shortestExpected",
        "weights": {"research": 2, "students": 0.5},
        "fairShareHalfLifeSeconds": 3600,
        "preemptionProtectedSeconds": 0,
    },
    "trainer": {"image": {"repository": "here/trainer", "tag": "x"}},
    "pinTimeoutSeconds": 17,
    "resyncSeconds": 46,
    "relistSeconds": 86400,
    "leaderElection": {"leaseDurationSeconds": 24, "renewSeconds": 16, "retrySeconds": 4},
    "log": {"level": "debug", "format": "json"},
    "progress": {"service": {"port": 443}},
    "fullnameOverride": "star",
}
_CHOSEN = {
    "watch_namespaces": ("team-a", "team-b"),
    "api_timeout_seconds": 16,
    "api_concurrency": 33,
    "prometheus_url": "https://prometheus:9090",
    "prometheus_timeout_seconds": 6,
    "prometheus_token_file": "/etc/loadstar/prometheus-token/token",
    "prometheus_ca_file": "/etc/loadstar/prometheus-ca/ca.crt",
    "scrape_interval_seconds": 31,
    "metrics_interval_seconds": 32,
    "fresh_scrapes": 4,
    "stale_seconds": 301.5,
    "warmup_seconds": 0,
    "hot_threshold": 0.9,
    "topology_levels": ("example.com/rack", "zone"),
    "gpu_weight": 0.4,
    "gpu_memory_weight": 0.3,
    "cpu_weight": 0.25,
    "memory_weight": 0,
    "queue_order": "shortestExpected",
    "queue_weights": {"research": 2.0, "students": 0.5},
    "fair_share_half_life_seconds": 3600,
    "preemption_protected_seconds": 0,
    "trainer_image": "here/trainer:x",
    "pin_timeout_seconds": 17,
    "resync_seconds": 46,
    "relist_seconds": 86400,
    "lease_duration_seconds": 24,
    "lease_renew_seconds": 16,
    "lease_retry_seconds": 4,
    "lease_name": "star",
    "progress_url": "https://star-progress.loadstar-system.svc:443",
    "progress_secret": "star-progress-tls",
    "log_level": "debug",
    "log_format": "json",
}


def _variables(helm: Helm, values: Object | None = None) -> dict[str, Any]:
    """The container's variables as kubelet would set them, for a pod `loadstar-0` in the release's namespace."""
    pod = named(helm.template(values), "Deployment")["spec"]["template"]["spec"]
    fields = {"metadata.namespace": "loadstar-system", "metadata.name": "loadstar-0"}
    return {
        variable["name"]: variable["value"]
        if "value" in variable
        else fields[variable["valueFrom"]["fieldRef"]["fieldPath"]]
        for variable in pod["containers"][0]["env"]
    }


def test_the_defaults_of_the_values_are_the_defaults_of_the_settings(helm: Helm) -> None:
    served_at = (
        "https://loadstar-progress.loadstar-system.svc:10443"  # the settings' own default knows no cluster
    )
    assert Settings.read(_variables(helm)) == Settings(identity="loadstar-0", progress_url=served_at)


def test_every_value_reaches_its_setting(helm: Helm) -> None:
    assert Settings.read(_variables(helm, _EVERYTHING)) == Settings.model_validate(
        {**_CHOSEN, "identity": "loadstar-0"}
    )


def test_every_setting_can_be_set(helm: Helm) -> None:
    given = {name.removeprefix(PREFIX).lower() for name in _variables(helm, _EVERYTHING)}
    assert given | _FIXED == set(Settings.model_fields)
    assert not given & _FIXED


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"leaderElection": {"renewSeconds": 12}}, "leaseDurationSeconds > renewSeconds"),
        ({"leaderElection": {"retrySeconds": 8}}, "renewSeconds > retrySeconds"),
        ({"load": {"staleSeconds": 89}}, "load.staleSeconds must not be less than .* = 90"),
        ({"load": {"weights": {"gpu": 0, "gpuMemory": 0, "cpu": 0, "memory": 0}}}, "load.weights"),
    ],
)
def test_values_that_contradict_each_other_are_refused_before_anything_is_installed(
    helm: Helm, values: Object, words: str
) -> None:
    with pytest.raises(HelmError, match=words):
        helm.template(values)
