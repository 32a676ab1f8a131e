"""The programs of a control plane with their flags. Client limits (QPS) are left at each program's defaults."""

import ssl
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

from .gotools import tool
from .nodes import FAKE_NODE
from .processes import Process
from .site import Site

_STAGES = Path(__file__).parent / "kwok_stages"
_SERVICE_RANGE = "10.96.0.0/16"
# Those that act on what runs here. Each one costs some three requests when it starts, which at the controller
# manager's 20 requests a second makes the whole set take 4 s more until the first service account is there.
_CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "node-lifecycle-controller",
    "persistentvolume-binder-controller",
    "persistentvolume-protection-controller",
    "persistentvolumeclaim-protection-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "taint-eviction-controller",
)
_ISSUER = "https://kubernetes.default.svc.cluster.local"


def etcd(site: Site) -> Process:
    """The store. It does not wait for the disk: a test cluster's data need not survive a power cut."""
    flags = {
        "name": site.name,
        "data-dir": site.folder / "etcd",
        "listen-client-urls": site.url("etcd", "http"),
        "advertise-client-urls": site.url("etcd", "http"),
        "listen-peer-urls": site.url("etcd-peer", "http"),
        "initial-advertise-peer-urls": site.url("etcd-peer", "http"),
        "initial-cluster": f"{site.name}={site.url('etcd-peer', 'http')}",
        "unsafe-no-fsync": "true",
        "log-level": "warn",
    }
    return _process(site, "etcd", flags, f"{site.url('etcd', 'http')}/readyz")


def apiserver(site: Site) -> Process:
    """The API server."""
    flags = {
        "etcd-servers": site.url("etcd", "http"),
        "bind-address": site.address,
        "advertise-address": site.address,
        "secure-port": site.ports["apiserver"],
        "tls-cert-file": site.file("apiserver.crt"),
        "tls-private-key-file": site.file("apiserver.key"),
        "client-ca-file": site.file("authority.crt"),
        "service-account-key-file": site.file("service-accounts.pub"),
        "service-account-signing-key-file": site.file("service-accounts.key"),
        "service-account-issuer": _ISSUER,
        "service-cluster-ip-range": _SERVICE_RANGE,
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        # A new node would carry the not-ready taint until the controller manager, at its 20 requests a
        # second, has come to it; kwok's nodes are ready from the start.
        "disable-admission-plugins": "TaintNodesByCondition",
        "allow-privileged": "true",
        "endpoint-reconciler-type": "none",  # a loopback address is no endpoint
        "kubelet-preferred-address-types": "InternalIP",
    }
    return _process(site, "apiserver", flags, f"{site.url('apiserver')}/readyz", "kube-apiserver")


def controller_manager(site: Site) -> Process:
    """The controller manager. No leader election: a second one never runs, and a restart works at once."""
    flags = {
        "kubeconfig": site.file("controller-manager.kubeconfig"),
        "bind-address": site.address,
        "secure-port": site.ports["controller-manager"],
        "root-ca-file": site.file("authority.crt"),
        "cluster-signing-cert-file": site.file("authority.crt"),
        "cluster-signing-key-file": site.file("authority.key"),
        "service-account-private-key-file": site.file("service-accounts.key"),
        "controllers": ",".join(_CONTROLLERS),
        "use-service-account-credentials": "true",
        "leader-elect": "false",
    }
    url = f"{site.url('controller-manager')}/healthz"
    return _process(site, "controller-manager", flags, url, "kube-controller-manager")


def scheduler(site: Site) -> Process:
    """The scheduler, without leader election too."""
    flags = {
        "kubeconfig": site.file("scheduler.kubeconfig"),
        "bind-address": site.address,
        "secure-port": site.ports["scheduler"],
        "leader-elect": "false",
    }
    return _process(site, "scheduler", flags, f"{site.url('scheduler')}/healthz", "kube-scheduler")


def kwok(site: Site) -> Process:
    """kwok, which plays the kubelets of the fake nodes."""
    flags = {
        "kubeconfig": site.file("kwok.kubeconfig"),
        "manage-nodes-with-annotation-selector": f"{FAKE_NODE}=true",
        "server-address": f"{site.address}:{site.ports['kwok']}",
    }
    stages = [f"--config={stage}" for stage in sorted(_STAGES.glob("*.yaml"))]
    return _process(site, "kwok", flags, f"{site.url('kwok', 'http')}/healthz", extra=stages)


def _process(
    site: Site,
    name: str,
    flags: dict[str, object],
    ready_url: str,
    program: str | None = None,
    extra: list[str] | None = None,
) -> Process:
    command = [str(tool(program or name)), *(f"--{flag}={value}" for flag, value in flags.items())]
    return Process(name, [*command, *(extra or [])], site.folder, answers(ready_url), stay=site.stay)


def answers(url: str) -> Callable[[], bool]:
    """Asks whether a health endpoint says yes. Its certificate may be self-signed, and no proxy is used."""
    anybody = ssl.create_default_context()
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE
    opener = build_opener(ProxyHandler({}), HTTPSHandler(context=anybody))

    def asked() -> bool:
        try:
            with opener.open(url, timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    return asked
