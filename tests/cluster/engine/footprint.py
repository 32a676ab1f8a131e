"""Everything on the machine that an engine or a cluster could leave behind, for comparing before and after."""

from collections.abc import Mapping
from pathlib import Path

from tests.cluster.engine import packages, paths
from tests.cluster.engine.host import Host
from tests.cluster.processes import Identity

_PROGRAMS = ("dockerd", "docker-proxy", "containerd", "runc", "kind")
_MOUNTS = ("overlay", "nsfs", "shm", "loadstar-engine", "netns", "docker", "kubelet")


def footprint() -> dict[str, set[str]]:
    """What is there now, by kind: processes, mounts, cgroups, links, packet filter rules, settings, folders.

    Mounts and processes of other programs are left out, as they come and go, and so is what happens inside
    of containers: a container that stays shows by its cgroup and its shim.
    """
    host = Host.now(packages.environment(packages.engine_programs()), "", "")
    return {
        "processes": set(_processes()),
        "mounts": set(_mounts()),
        "cgroups": set(_cgroups()),
        "links": set(host.links),
        "rules": {f"{family} {rule}" for family, rules in host.rules.items() for rule in rules},
        "settings": {f"{name}={text}" for name, text in host.sysctls.items()},
        "folders": set(host.folders),
    }


def appeared(before: Mapping[str, set[str]], after: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """What is in `after` and was not in `before`, by kind; empty if nothing was left behind."""
    new = {kind: after[kind] - before[kind] for kind in after}
    return {kind: things for kind, things in new.items() if things}


def _processes() -> list[str]:
    """Programs of engines, with what makes each one unique; unreaped rests do not count."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        identity = Identity.of(int(folder.name))
        try:
            name = (folder / "comm").read_text().strip()
        except OSError:
            continue
        if identity and name.startswith(_PROGRAMS) and not _in_container(folder):
            found.append(f"{name} pid={identity.pid} started={identity.started}")
    return found


def _mounts() -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split(" ", 4)[4] for line in lines if any(word in line for word in _MOUNTS)]


def _in_container(process: Path) -> bool:
    try:
        return f"/{paths.CGROUP}/" in (process / "cgroup").read_text()
    except OSError:
        return False


def _cgroups() -> list[str]:
    """Every cgroup of the host, of containers only the outermost one."""
    found = [path for path in Path("/sys/fs/cgroup").rglob("*") if path.is_dir()]
    return [
        str(path) for path in found if paths.CGROUP not in [folder.name for folder in list(path.parents)[1:]]
    ]
