"""The images that a node brings along: the control plane's, CoreDNS, pause, the network's agent, storage."""

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.cluster.engine.image_archive import write_image
from tests.cluster.gotools import KUBERNETES_VERSION, tool

NETWORK_IMAGE = "localhost/loadstar-network:1"
STORAGE_IMAGE = "localhost/loadstar-storage:1"
_AGENT = Path(__file__).parent / "node" / "kind" / "network" / "agent"
_NETWORK_PROGRAMS = ("cat", "mv", "sleep", "ip", "iptables", "nft", "conntrack")
_STORAGE_PROGRAMS = ("mkdir", "rm")
_XTABLES = (
    "iptables",
    "iptables-save",
    "iptables-restore",
    "ip6tables",
    "ip6tables-save",
    "ip6tables-restore",
)


def control_plane_references() -> dict[str, str]:
    """Program → the reference under which kubeadm expects its image ("pause" → "…/pause:3.10.2")."""
    command = [str(tool("kubeadm")), "config", "images", "list", "--kubernetes-version", KUBERNETES_VERSION]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return {reference.rpartition("/")[2].partition(":")[0]: reference for reference in listed}


def write_all(into: Path, root: Path) -> None:
    """Write an archive for every preloaded image; `root` is a node's file system, for its programs."""
    into.mkdir(parents=True)
    network = network_programs(root)
    for program, reference in control_plane_references().items():
        inside = "/coredns" if program == "coredns" else f"/usr/local/bin/{program}"
        files = {inside: tool(program)} | (network if program == "kube-proxy" else {})
        write_image(into / f"{program}.tar", reference, files, [inside])
    agent = {"/agent": _AGENT, "/usr/local/bin/kubectl": tool("kubectl")}
    write_image(into / "network.tar", NETWORK_IMAGE, agent | network, ["/agent"])
    provisioner = {"/local-path-provisioner": tool("local-path-provisioner")}
    storage = provisioner | _programs(root, _STORAGE_PROGRAMS)
    write_image(into / "storage.tar", STORAGE_IMAGE, storage, ["/local-path-provisioner"])


def network_programs(root: Path) -> dict[str, Path]:
    """The programs that set up routes and packet filters, with every library and extension they load.

    The extensions are loaded by name at run time, so their libraries count too: without libm, for one,
    kube-proxy cannot write the rules of a Service with several endpoints.
    """
    extensions = [str(path)[len(str(root)) :] for path in root.glob("usr/lib/*/xtables/*.so")]
    files = _programs(root, _NETWORK_PROGRAMS, extensions)
    multi = _real(root, "/usr/sbin/xtables-nft-multi")
    return files | {f"/usr/sbin/{name}": multi for name in _XTABLES} | _protocols(root)


def _programs(root: Path, names: Sequence[str], extensions: Sequence[str] = ()) -> dict[str, Path]:
    """A shell and these programs and extensions of `root`, with every library that they load."""
    programs = [_found(root, name) for name in names]
    libraries = _libraries(root, ["/bin/sh", *programs, *extensions])
    return {path: _real(root, path) for path in {"/bin/sh", *programs, *extensions, *libraries}}


def _found(root: Path, name: str) -> str:
    """Where a program lies in `root`, as a path inside it."""
    for folder in ("/usr/sbin", "/usr/bin", "/sbin", "/bin"):
        if (root / folder[1:] / name).is_symlink() or (root / folder[1:] / name).exists():
            return f"{folder}/{name}"
    raise FileNotFoundError(f"the node's file system has no program {name}")


def _libraries(root: Path, binaries: Iterable[str]) -> set[str]:
    """Every shared library that the binaries name, the loader among them, by the paths they name them with."""
    listed = subprocess.run(["chroot", root, "ldd", *binaries], check=False, capture_output=True, text=True)
    words = listed.stdout.split()
    return {word for word in words if word.startswith("/") and ".so" in word and not word.endswith(":")}


def _protocols(root: Path) -> dict[str, Path]:
    """The names of protocols and services, which the packet filter's programs look up."""
    return {
        f"/etc/{name}": root / "etc" / name
        for name in ("protocols", "services")
        if (root / "etc" / name).exists()
    }


def _real(root: Path, path: str) -> Path:
    """The file that `path` inside `root` ends at, its links followed inside `root`."""
    inside = subprocess.run(
        ["chroot", root, "readlink", "-f", path], check=True, capture_output=True, text=True
    ).stdout.strip()
    return root / inside.lstrip("/")
