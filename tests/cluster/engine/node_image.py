"""The image of kind's nodes, built from Debian packages and Go modules where none can be pulled."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cluster.cache import cache_dir, locked
from tests.cluster.engine import preloaded
from tests.cluster.gotools import KUBERNETES_VERSION, tool
from tests.cluster.rootfs import RootFs
from tests.cluster.steps import run_logged, say

_HERE = Path(__file__).parent
_FILES = _HERE / "node"
_REPOSITORY = "loadstar/kind-node"
_SOURCES = ("image_archive.py", "node_image.py", "preloaded.py")  # what is written here decides the image
_ONE_OF_EACH_SET = ("kubelet", "etcd", "coredns", "local-path-provisioner", "pause")  # whose builds it holds

# Debian 12: its systemd is the last that runs under cgroup version 1 as well.
_ROOT = RootFs(
    "kind-node",
    "bookworm",
    (
        *("systemd", "systemd-sysv", "dbus", "containerd", "runc", "containernetworking-plugins"),
        *("iptables", "nftables", "conntrack", "ethtool", "socat", "iproute2", "kmod", "jq", "procps"),
        *("ca-certificates", "curl", "mount", "util-linux", "libseccomp2", "pigz", "e2fsprogs"),
    ),
)

# What only makes sense on a machine of its own, or would fight with the host over its devices and settings.
_MASKED_UNITS = (
    *("getty.target", "getty@.service", "console-getty.service", "serial-getty@.service"),
    *("systemd-logind.service", "systemd-udevd.service", "systemd-udevd-control.socket"),
    *("systemd-udevd-kernel.socket", "systemd-udev-trigger.service", "systemd-modules-load.service"),
    *("systemd-sysctl.service", "systemd-binfmt.service", "proc-sys-fs-binfmt_misc.automount"),
    *("sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-kernel-config.mount"),
    *(
        "sys-fs-fuse-connections.mount",
        "dev-hugepages.mount",
        "dev-mqueue.mount",
        "kmod-static-nodes.service",
    ),
    *("systemd-resolved.service", "systemd-timesyncd.service", "systemd-remount-fs.service"),
    *("containerd-default.service", "e2scrub_all.timer", "apt-daily.timer", "apt-daily-upgrade.timer"),
)

# Runs in the new root, in mount and process namespaces of its own: nothing of it can stay behind.
_IMPORT = """
mount -t proc proc /proc && mount -t sysfs sysfs /sys && mount -t tmpfs tmpfs /run
containerd >/archives/containerd.log 2>&1 &
until ctr version >/dev/null 2>&1; do kill -0 $! || { cat /archives/containerd.log; exit 1; }; sleep 0.1; done
for archive in /archives/*.tar; do ctr --namespace k8s.io images import --compress-blobs "$archive"; done
kill $! && wait $! || true
"""


def ensure(environment: Mapping[str, str]) -> str:
    """The node image's reference, built first if the engine of `environment` does not hold it."""
    reference = f"{_REPOSITORY}:{KUBERNETES_VERSION}-{_digest()}"
    with locked(cache_dir("engine") / "node-image.lock"):
        if not _exists(reference, environment):
            _build(reference, environment)
            _remove_older(reference, environment)
    return reference


def _digest() -> str:
    """Twelve hex digits over everything that decides the image's content, but for Debian's own updates."""
    digest = hashlib.sha256(_ROOT.digest.encode())
    for source in sorted(
        [*(_HERE / name for name in _SOURCES), *(path for path in _FILES.rglob("*") if path.is_file())]
    ):
        digest.update(str(source.relative_to(_HERE)).encode() + b"\0" + source.read_bytes())
    for program in _ONE_OF_EACH_SET:
        digest.update(tool(program).parent.name.encode())
    return digest.hexdigest()[:12]


def _build(reference: str, environment: Mapping[str, str]) -> None:
    say(f"Building kind's node image {reference}: no node image can be pulled here")
    with tempfile.TemporaryDirectory(prefix="node-", dir=cache_dir("engine")) as folder:
        root = Path(folder, "root")
        root.mkdir()
        _run("Unpacking the node's file system", ["tar", "-xf", _ROOT.archive(), "-C", root])
        _add_files(root)
        _preload(root)
        _import(root, reference, environment)


def _add_files(root: Path) -> None:
    """Lay our files and programs over Debian's."""
    shutil.copytree(_FILES, root, dirs_exist_ok=True)
    for program in ("kubelet", "kubeadm", "kubectl"):
        shutil.copy2(tool(program), root / "usr" / "bin" / program)
    _fill_in(root / "etc/containerd/config.toml", "@PAUSE@", preloaded.control_plane_references()["pause"])
    _fill_in(root / "kind/manifests/default-cni.yaml", "@NETWORK@", preloaded.NETWORK_IMAGE)
    _fill_in(root / "kind/manifests/default-storage.yaml", "@STORAGE@", preloaded.STORAGE_IMAGE)
    (root / "kind/version").write_text(f"{KUBERNETES_VERSION}\n")
    (root / "opt/cni").mkdir(parents=True, exist_ok=True)
    (root / "opt/cni/bin").symlink_to("/usr/lib/cni")
    (root / "etc/kubernetes/manifests").mkdir(parents=True)
    (root / "etc/fstab").write_text("")  # a container's mounts are its engine's
    _configure_systemd(root / "etc/systemd/system")
    for leftover in ("var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(root / leftover, ignore_errors=True)


def _configure_systemd(units: Path) -> None:
    """Enable what a node runs and mask what it must not."""
    for unit in _MASKED_UNITS:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    wanted = units / "multi-user.target.wants"
    wanted.mkdir(exist_ok=True)
    for unit in ("containerd.service", "kubelet.service"):
        (wanted / unit).unlink(missing_ok=True)
        (wanted / unit).symlink_to(f"/etc/systemd/system/{unit}")
    (units / "default.target").unlink(missing_ok=True)
    (units / "default.target").symlink_to("/lib/systemd/system/multi-user.target")


def _preload(root: Path) -> None:
    """Import the images into the node's own containerd, run for that purpose in the new root."""
    archives = root / "archives"
    preloaded.write_all(archives, root)
    command = [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "chroot",
        str(root),
        "/bin/bash",
        "-euc",
    ]
    _run("Importing the control plane's images into the node image", [*command, _IMPORT])
    shutil.rmtree(archives)


def _import(root: Path, reference: str, environment: Mapping[str, str]) -> None:
    changes = ['ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]', "ENV container=docker"]
    options = " ".join(f"--change '{change}'" for change in changes)
    pipeline = f"tar -C '{root}' -c . | docker import {options} - {reference}"
    _run("Importing the node image", ["bash", "-o", "pipefail", "-c", pipeline], environment)


def _remove_older(reference: str, environment: Mapping[str, str]) -> None:
    """Drop node images that this one replaces; those that a running cluster uses stay."""
    command = ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", _REPOSITORY]
    env = {**os.environ, **environment}
    for other in subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.split():
        if other != reference:
            subprocess.run(["docker", "rmi", other], env=env, check=False, capture_output=True)


def _exists(reference: str, environment: Mapping[str, str]) -> bool:
    command = ["docker", "image", "inspect", reference]
    return (
        subprocess.run(
            command, env={**os.environ, **environment}, check=False, capture_output=True
        ).returncode
        == 0
    )


def _fill_in(file: Path, placeholder: str, value: str) -> None:
    file.write_text(file.read_text().replace(placeholder, value))


def _run(title: str, command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> None:
    log = cache_dir("logs") / "node-image.log"
    run_logged(title, [str(word) for word in command], log=log, env={**os.environ, **(environment or {})})
