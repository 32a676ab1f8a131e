"""What the private engine changes on the host, recorded before and put back after.

Only what appeared since the record *and* carries the engine's marks is removed, so that rules and links
that others made in the meantime stay.
"""

import ipaddress
import json
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.cluster.cache import remove

_SYSCTLS = (
    "net/ipv4/ip_forward",  # dockerd
    "net/ipv6/conf/all/forwarding",
    "net/ipv6/conf/default/forwarding",
    "net/bridge/bridge-nf-call-iptables",
    "net/bridge/bridge-nf-call-ip6tables",
    "vm/overcommit_memory",  # kubelets in privileged node containers
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "fs/inotify/max_user_instances",  # `make_room`
    "fs/inotify/max_user_watches",
)
_ROOM = {"fs/inotify/max_user_instances": 1024, "fs/inotify/max_user_watches": 524288}
_FOLDERS = ("/lib/modules", "/run/containerd", "/run/docker")  # made on the way if they are missing
_LINK = re.compile(r"docker0|br-[0-9a-f]{12}")
_CHAIN = re.compile(r":(DOCKER\S*) ")
_POOLS = tuple(f"{a}.{b}.0.0/16" for a, b in ((172, 29), (172, 27), (10, 201), (10, 213), (192, 168)))


@dataclass(frozen=True)
class Host:
    """The parts of the host's state that an engine touches; `rules` is by family (iptables, ip6tables)."""

    rules: dict[str, list[str]]
    links: list[str]
    sysctls: dict[str, str]
    folders: list[str]
    data_root: str
    pool: str

    @classmethod
    def now(cls, env: Mapping[str, str], data_root: str, pool: str) -> "Host":
        """Record the host; `env` finds the iptables programs, `pool` holds the containers' addresses."""
        return cls(
            rules={family: _rules(family, env) for family in ("iptables", "ip6tables")},
            links=sorted(path.name for path in Path("/sys/class/net").iterdir()),
            sysctls={name: text for name in _SYSCTLS if (text := _read(Path("/proc/sys", name))) is not None},
            folders=[name for name in _FOLDERS if Path(name).exists()],
            data_root=data_root,
            pool=pool,
        )

    def save(self, path: Path) -> None:
        """Write the record to a file."""
        path.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, path: Path) -> "Host":
        """Read a record that `save` wrote."""
        return cls(**json.loads(path.read_text()))


def restore(before: Host, env: Mapping[str, str]) -> None:
    """Remove what the engine added to the host since `before`, and set back what it changed."""
    after = Host.now(env, before.data_root, before.pool)
    bridges = [name for name in after.links if name not in before.links and _LINK.fullmatch(name)]
    for family, rules in after.rules.items():
        _remove_rules(family, [line for line in rules if line not in before.rules[family]], before.pool, env)
    for bridge in bridges:
        subprocess.run(["ip", "link", "delete", bridge], env=env, check=True)
    for name, value in before.sysctls.items():
        if after.sysctls.get(name) != value:
            Path("/proc/sys", name).write_text(value)
    for name in set(after.folders) - set(before.folders):
        _remove_shell(Path(name))


def make_room() -> None:
    """Raise the limits that several nodes on one machine reach: each takes about 20 inotify instances.

    The usual 128 end with the second cluster ("too many open files" in kube-proxy and the kubelet).
    """
    for name, least in _ROOM.items():
        setting = Path("/proc/sys", name)
        if int(setting.read_text()) < least:
            setting.write_text(str(least))


def free_pool(env: Mapping[str, str]) -> ipaddress.IPv4Network:
    """A private /16 that no route of this machine overlaps."""
    routes = json.loads(_output(["ip", "-json", "-4", "route"], env) or "[]")
    used = [ipaddress.IPv4Network(route["dst"]) for route in routes if route["dst"] != "default"]
    for pool in map(ipaddress.IPv4Network, _POOLS):
        if not any(pool.overlaps(network) for network in used):
            return pool
    raise RuntimeError(
        f"every address pool for containers ({', '.join(_POOLS)}) overlaps a route of this machine"
    )


def default_mtu(env: Mapping[str, str]) -> int:
    """The MTU of the default route's link: larger packets from containers would be lost on the way out."""
    routes = json.loads(_output(["ip", "-json", "-4", "route", "show", "default"], env) or "[]")
    return int(Path("/sys/class/net", routes[0]["dev"], "mtu").read_text()) if routes else 1500


def _rules(family: str, env: Mapping[str, str]) -> list[str]:
    """The rules as `iptables-save` prints them, each headed by its table, without accepting policies."""
    lines, table = [], ""
    for line in _output([f"{family}-save"], env).splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("-A "):
            lines.append(f"{table} {line}")
        elif line.startswith(":") and " ACCEPT" not in line:
            lines.append(f"{table} {line.partition(' [')[0]}")
    return lines


def _remove_rules(family: str, new: list[str], pool: str, env: Mapping[str, str]) -> None:
    """Delete the engine's among the new rules, then its chains; set the policy for forwarded packets back."""
    for table, rule in _ours(new, ipaddress.ip_network(pool)):
        subprocess.run([family, "-t", table, "-D", *shlex.split(rule)[1:]], env=env, check=True)
    chains = [(table, match[1]) for table, line in map(_split, new) if (match := _CHAIN.match(line))]
    for action in ("-F", "-X"):
        for table, chain in chains:
            subprocess.run([family, "-t", table, action, chain], env=env, check=True)
    if "filter :FORWARD DROP" in new:
        subprocess.run([family, "-P", "FORWARD", "ACCEPT"], env=env, check=True)


def _ours(lines: list[str], pool: ipaddress.IPv4Network | ipaddress.IPv6Network) -> Iterator[tuple[str, str]]:
    """The rules among `lines` that name a chain, a bridge or a container's address of the engine."""
    for table, line in map(_split, lines):
        source = re.search(r"-s (\S+)", line)
        inside = source is not None and ipaddress.ip_network(source[1]).network_address in pool
        if line.startswith("-A") and (inside or re.search(rf"DOCKER|\b({_LINK.pattern})\b", line)):
            yield table, line


def _split(line: str) -> tuple[str, str]:
    table, _, rest = line.partition(" ")
    return table, rest


def _output(command: list[str], env: Mapping[str, str]) -> str:
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout


def _read(path: Path) -> str | None:
    """A small file's text; None where the kernel does not have it."""
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _remove_shell(folder: Path) -> None:
    """Remove a folder that holds nothing but folders and dead sockets."""
    if all(path.is_dir() or path.is_socket() for path in folder.rglob("*")):
        remove(folder)
