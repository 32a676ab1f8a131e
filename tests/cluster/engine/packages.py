"""Debian packages: programs installed because the machine lacks them, or unpacked beside it."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.cluster.cache import cache_dir, once, remove
from tests.cluster.engine import paths
from tests.cluster.steps import StepFailed, run_logged, say

ENGINE_PACKAGES = ("docker.io", "containerd", "runc", "iptables", "iproute2")
"""Unpacked privately; with them come those of their dependencies that the machine does not have."""

INSTALLED_PACKAGES = {"mmdebstrap": "mmdebstrap"}
"""Program → package, for programs that only work when they are installed."""

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_IPTABLES = tuple(f"{family}{action}" for family in ("iptables", "ip6tables") for action in ("", "-save"))


def require_program(program: str) -> Path:
    """The path of `program`, its Debian package installed first if it is missing."""
    if not shutil.which(program):
        package = INSTALLED_PACKAGES[program]
        say(f"{program} is missing: the Debian package {package} will be installed on this machine")
        _apt(f"Installing the Debian package {package}", "-y", "--no-install-recommends", package)
    found = shutil.which(program)
    if found is None:
        raise StepFailed(f"{program} is not on PATH although its Debian package is installed")
    return Path(found)


def engine_programs() -> Path:
    """The folder of unpacked engine packages, fetched on first use. Nothing is installed on the machine."""
    return once(paths.programs(), _unpack)


def environment(tree: Path) -> dict[str, str]:
    """Environment in which the programs of `tree` find each other and their libraries."""
    libraries = [*(tree / "usr/lib").glob("*-linux-gnu"), *(tree / "lib").glob("*-linux-gnu")]
    extensions = [str(path) for path in (tree / "usr/lib").glob("*-linux-gnu/xtables")]
    return {
        **os.environ,
        "PATH": f"{tree}/links:{tree}/usr/sbin:{tree}/usr/bin:{tree}/sbin:{tree}/bin:{SYSTEM_PATH}",
        "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
        # absent where the machine has an iptables of its own
        **({"XTABLES_LIBDIR": extensions[0]} if extensions else {}),
    }


def _unpack(target: Path) -> None:
    archives = target / "archives"
    (archives / "partial").mkdir(parents=True)
    _apt(
        "Fetching the engine's Debian packages (docker.io and what it needs, about 65 MB)",
        *("-y", "--download-only", "--no-install-recommends", "-o", f"Dir::Cache::archives={archives}"),
        *ENGINE_PACKAGES,
    )
    for archive in sorted(archives.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", archive, target], check=True)
    remove(archives)
    _name_iptables(target)


def _name_iptables(tree: Path) -> None:
    """Give the iptables programs the plain names that an installation would have given them."""
    links = tree / "links"
    links.mkdir()
    if (tree / "usr/sbin/xtables-nft-multi").exists():
        for name in _IPTABLES:
            (links / name).symlink_to("../usr/sbin/xtables-nft-multi")


def _apt(title: str, *arguments: str) -> None:
    """`apt-get install` with these arguments; where that fails, once more with refreshed package lists."""
    if not shutil.which("apt-get"):
        raise StepFailed(f"{title}: this needs Debian or Ubuntu (apt-get); elsewhere, start Docker first")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "-q", "install", *arguments]
    log = cache_dir("logs") / "apt.log"
    if subprocess.run([*command, "--print-uris"], env=env, capture_output=True, check=False).returncode:
        # Third-party lists may fail to refresh without harm: the installation itself tells.
        say("Refreshing the Debian package lists …")
        subprocess.run(["apt-get", "-q", "update"], env=env, capture_output=True, check=False)
    run_logged(title, command, log=log, env=env)
