"""Debian packages: programs installed because the machine lacks them, or unpacked beside it."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.cluster.cache import once
from tests.cluster.engine import paths
from tests.cluster.progress import say, step

ENGINE_PACKAGES = ("docker.io", "containerd", "runc", "iptables", "iproute2")
"""Unpacked privately; with them come those of their dependencies that the machine does not have."""

INSTALLED_PACKAGES = {"mmdebstrap": "mmdebstrap"}
"""Program → package, for programs that only work when they are installed."""

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class PackageError(RuntimeError):
    """apt could not provide a package; the message ends with what apt said."""


def require_program(program: str) -> Path:
    """The path of `program`, its Debian package installed first if it is missing."""
    if found := shutil.which(program):
        return Path(found)
    package = INSTALLED_PACKAGES[program]
    say(f"{program} is missing: installing the Debian package {package} on this machine")
    with step(f"apt-get install {package}"):
        _apt("install", "-y", "--no-install-recommends", package)
    if found := shutil.which(program):
        return Path(found)
    raise PackageError(f"package {package} was installed but holds no program {program}")


def engine_programs() -> Path:
    """The folder of unpacked engine packages, fetched on first use. Nothing is installed on the machine."""
    return once(paths.programs(), _unpack)


def environment(tree: Path) -> dict[str, str]:
    """Environment in which the programs of `tree` find each other and their libraries."""
    libraries = [str(p) for p in (tree / "usr/lib").glob("*-linux-gnu")] + [str(tree / "usr/lib")]
    xtables = [str(p) for p in (tree / "usr/lib").glob("*-linux-gnu/xtables")]
    env = {
        **os.environ,
        "PATH": ":".join([str(tree / "links"), str(tree / "usr/sbin"), str(tree / "usr/bin"), SYSTEM_PATH]),
        "LD_LIBRARY_PATH": ":".join(libraries),
    }
    if xtables:  # absent where the machine has its own iptables
        env["XTABLES_LIBDIR"] = xtables[0]
    return env


def _unpack(target: Path) -> None:
    with step("fetching the engine's Debian packages (docker.io, containerd, runc, iptables)"):
        archives = target / "archives"
        (archives / "partial").mkdir(parents=True)
        _apt(
            "install",
            "-y",
            "--download-only",
            "--no-install-recommends",
            "-o",
            f"Dir::Cache::archives={archives}",
            *ENGINE_PACKAGES,
        )
        for archive in sorted(archives.glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", archive, target], check=True)
        shutil.rmtree(archives)
        _link_alternatives(target)


def _link_alternatives(tree: Path) -> None:
    """Give the iptables programs the plain names that an installation would have given them."""
    links = tree / "links"
    links.mkdir()
    for name in (
        "iptables",
        "iptables-save",
        "iptables-restore",
        "ip6tables",
        "ip6tables-save",
        "ip6tables-restore",
    ):
        if (tree / "usr/sbin/xtables-nft-multi").exists():
            (links / name).symlink_to("../usr/sbin/xtables-nft-multi")


def _apt(*arguments: str) -> None:
    """Run apt-get; where that fails, once more after refreshing the package lists."""
    if not shutil.which("apt-get"):
        raise PackageError("this needs Debian or Ubuntu (apt-get); elsewhere, start Docker and run again")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "-q", *arguments]
    if subprocess.run(command, env=env, capture_output=True).returncode == 0:
        return
    subprocess.run(["apt-get", "-q", "update"], env=env, capture_output=True)
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        raise PackageError(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-2000:]}")
