"""Where one control plane lives: its folder, its own loopback address, its ports, its certificates."""

import json
import random
import socket
from base64 import b64encode
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from .certificates import Authority, Credential, key_pair

_USERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "admin": ("loadstar-tests", ("system:masters",)),
    "controller-manager": ("system:kube-controller-manager", ()),
    "scheduler": ("system:kube-scheduler", ()),
    "kwok": ("kwok", ("system:masters",)),
}
_PORTS = ("etcd", "etcd-peer", "apiserver", "controller-manager", "scheduler", "kwok")


@dataclass(frozen=True)
class Site:
    """Names and places of one control plane's parts. `stay`: its programs outlive the process that starts them."""

    name: str
    folder: Path
    address: str
    ports: dict[str, int]
    stay: bool

    def url(self, part: str, scheme: str = "https") -> str:
        """Where a part serves."""
        return f"{scheme}://{self.address}:{self.ports[part]}"

    def file(self, name: str) -> Path:
        """A file of certificates or configuration."""
        return self.folder / name


def prepare(name: str, folder: Path, *, stay: bool) -> Site:
    """Choose an address and ports that nobody uses, and write certificates and kubeconfigs into `folder`."""
    address = _own_address()
    site = Site(name, folder, address, _free_ports(address), stay)
    authority = Authority(f"{name}-authority")
    _write(site, "authority", authority.credential)
    hosts = [address, "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "10.96.0.1"]
    _write(site, "apiserver", authority.server(hosts))
    private, public = key_pair()
    _secret(site.file("service-accounts.key"), private)
    _secret(site.file("service-accounts.pub"), public)
    for part, (user, groups) in _USERS.items():
        _kubeconfig(site, part, authority.credential.certificate, authority.client(user, groups))
    return site


def _own_address() -> str:
    """A loopback address that is most likely nobody else's; all of 127.0.0.0/8 is this machine.

    With an address each, control planes that start at the same moment cannot take each other's ports, and no
    outgoing connection (those come from 127.0.0.1) can sit on one.
    """
    return f"127.{random.randint(64, 127)}.{random.randint(0, 255)}.{random.randint(1, 254)}"


def _free_ports(address: str) -> dict[str, int]:
    """A free port for each part. All are held at once, so that they differ."""
    with ExitStack() as held:
        ports = {}
        for part in _PORTS:
            listener = held.enter_context(socket.create_server((address, 0)))
            ports[part] = int(listener.getsockname()[1])
    return ports


def _write(site: Site, name: str, credential: Credential) -> None:
    _secret(site.file(f"{name}.crt"), credential.certificate)
    _secret(site.file(f"{name}.key"), credential.key)


def _kubeconfig(site: Site, part: str, authority: bytes, credential: Credential) -> None:
    """Write the kubeconfig of one user; JSON is YAML. The admin's is the one that people and tests use."""
    cluster = {"server": site.url("apiserver"), "certificate-authority-data": _base64(authority)}
    user = {
        "client-certificate-data": _base64(credential.certificate),
        "client-key-data": _base64(credential.key),
    }
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": site.name, "cluster": cluster}],
        "users": [{"name": part, "user": user}],
        "contexts": [{"name": site.name, "context": {"cluster": site.name, "user": part}}],
        "current-context": site.name,
    }
    name = "kubeconfig" if part == "admin" else f"{part}.kubeconfig"
    _secret(site.file(name), json.dumps(content, indent=1).encode())


def _base64(content: bytes) -> str:
    return b64encode(content).decode()


def _secret(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
