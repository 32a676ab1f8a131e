"""Prometheus' Debian package, fetched into the cache: nothing is installed on the machine."""

import re
import shutil
import subprocess
from pathlib import Path

from tests.cluster.cache import cache_dir, once
from tests.cluster.steps import StepFailed, run_logged

_DEBIAN_12_VERSION = "2.42"


def debian_package() -> Path:
    """The package's archive, of the version that this machine's Debian has; raises `steps.StepFailed`."""
    folder = once(cache_dir("prometheus") / "package", _fetch)
    return next(folder.glob("prometheus_*.deb"))


def version() -> str:
    """Major and minor of the Prometheus that goes into an image, for example "2.42".

    Without apt on this machine the image takes it from Debian 12, the default base of its Dockerfile.
    """
    if shutil.which("apt-get") is None:
        return _DEBIAN_12_VERSION
    found = re.match(r"prometheus_(\d+\.\d+)", debian_package().name)
    if found is None:
        raise StepFailed(f"{debian_package()} has no version in its name; remove its folder and try again")
    return found[1]


def server() -> Path:
    """A Prometheus server to run on this machine: the one on PATH, else the packaged one."""
    if found := shutil.which("prometheus"):
        return Path(found)
    return once(cache_dir("prometheus") / "unpacked", _unpack) / "usr" / "bin" / "prometheus"


def _fetch(target: Path) -> None:
    if shutil.which("apt-get") is None:
        raise StepFailed("Fetching Prometheus needs Debian or Ubuntu (apt-get); elsewhere, put it on PATH")
    target.mkdir()
    log = cache_dir("logs") / "apt-prometheus.log"
    command = ["apt-get", "-q", "download", "prometheus"]
    try:
        run_logged("Fetching Prometheus (a Debian package, 19 MB)", command, log=log, cwd=target)
    except StepFailed:
        # Third-party lists may fail to refresh without harm: the second attempt tells.
        subprocess.run(["apt-get", "-q", "update"], capture_output=True, check=False)
        run_logged("Fetching Prometheus with refreshed package lists", command, log=log, cwd=target)


def _unpack(target: Path) -> None:
    subprocess.run(["dpkg-deb", "-x", debian_package(), target], check=True)
