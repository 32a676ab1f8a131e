"""kind's nodes as the container engine sees them: which there are, which run, which images they hold."""

import json
import os
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from .steps import StepFailed

_CLUSTER_LABEL = "io.x-k8s.kind.cluster"
_ROLE_LABEL = "io.x-k8s.kind.role"
_NETWORK = "kind"  # all clusters of an engine share it


def remove_unused_network(environment: Mapping[str, str]) -> None:
    """Remove the network of kind's clusters, unless one of them still uses it."""
    command = ["docker", "network", "rm", _NETWORK]
    subprocess.run(command, env={**os.environ, **environment}, check=False, capture_output=True)


class NodeContainers:
    """The node containers of one kind cluster, in the engine that `environment` names."""

    def __init__(self, cluster: str, environment: Mapping[str, str]) -> None:
        self._cluster = cluster
        self._environment = {**os.environ, **environment}

    def all(self) -> list[str]:
        """Every node's name, running or not."""
        return self._names("--all")

    def running(self) -> list[str]:
        """The names of the nodes whose containers run."""
        return self._names("--filter", "status=running")

    def workers(self) -> list[str]:
        """The nodes that take pods: the workers, or the control plane where there are none."""
        return self._names("--all", "--filter", f"label={_ROLE_LABEL}=worker") or self.all()

    def holds(self, node: str, archive: Path) -> bool:
        """Whether a node holds the image of a Docker archive under the same name with the same content."""
        identity, references = contents(archive)
        held = self._images(node)
        return identity in held and all(held.get(name) == held[identity] for name in references)

    def _images(self, node: str) -> dict[str, str]:
        """What a node's containerd knows: a name, or an image id, → the digest that it stands for."""
        listed = self._docker("exec", node, "ctr", "--namespace", "k8s.io", "images", "list")
        rows = [line.split() for line in listed.splitlines()[1:]]
        return {row[0]: row[2] for row in rows}

    def _names(self, *options: str) -> list[str]:
        label = f"label={_CLUSTER_LABEL}={self._cluster}"
        return sorted(self._docker("ps", "--format", "{{.Names}}", "--filter", label, *options).split())

    def _docker(self, *arguments: str) -> str:
        done = subprocess.run(
            ["docker", *arguments], env=self._environment, check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise StepFailed(f"docker {' '.join(arguments)} failed: {done.stderr.strip()}")
        return done.stdout


def contents(archive: Path) -> tuple[str, list[str]]:
    """The image id in a Docker archive, and its names as containerd writes them."""
    with tarfile.open(archive) as tar:
        manifest = tar.extractfile("manifest.json")
        assert manifest is not None, f"{archive} is no Docker archive: it has no manifest.json"
        image = json.load(manifest)[0]
    identity = image["Config"].removesuffix(".json").rpartition("/")[2]
    return f"sha256:{identity}", [_full_name(name) for name in image["RepoTags"]]


def _full_name(reference: str) -> str:
    """A reference with the default registry spelled out, where it names none."""
    first = reference.partition("/")[0]
    has_registry = "/" in reference and ("." in first or ":" in first or first == "localhost")
    return (
        reference
        if has_registry
        else f"docker.io/{reference if '/' in reference else f'library/{reference}'}"
    )
