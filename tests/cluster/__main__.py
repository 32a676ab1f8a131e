"""`python -m tests.cluster up|down|status|kubeconfig`: test clusters from the command line."""

import argparse
import sys
from pathlib import Path
from typing import Protocol

from .controlplane import ControlPlane
from .processes import recorded
from .state import state_dir, wipe, wipe_abandoned
from .steps import StepFailed, say


class Cluster(Protocol):
    """What the command line can do with a cluster of either kind."""

    @property
    def kubeconfig(self) -> Path:
        """Where its kubeconfig is while it runs."""

    def up(self) -> None:
        """Start it; nothing happens if it runs."""

    def down(self) -> None:
        """End it and remove all that it left, also after a crash; nothing happens if there is none."""

    def status(self) -> str:
        """What runs, for people."""


class NamedControlPlane:
    """A control plane that stays when the command has ended."""

    def __init__(self, name: str, nodes: int) -> None:
        self._name = name
        self._nodes = nodes
        self._folder = state_dir(name)

    @property
    def kubeconfig(self) -> Path:
        """Where its kubeconfig is while it runs."""
        return self._folder / "kubeconfig"

    def up(self) -> None:
        """Start it, unless it runs."""
        if any(process.alive() for process in recorded(self._folder)):
            say(f"{self._name} runs already")
            return
        ControlPlane.start(self._name, kwok_nodes=self._nodes, stay=True)

    def down(self) -> None:
        """End its processes and remove its folder; also those of test runs that crashed."""
        wipe(self._folder)
        for name in wipe_abandoned():
            say(f"removed {name}, left by a test run that crashed")

    def status(self) -> str:
        """One line per program."""
        lines = [f"{path.name.partition('.')[0]}: {state}" for path, state in self._programs()]
        return "\n".join(lines) or f"no control plane {self._name!r}"

    def _programs(self) -> list[tuple[Path, str]]:
        records = sorted(self._folder.glob("*.pid.json"))
        states = zip(records, recorded(self._folder), strict=True)
        return [(path, f"runs, pid {it.pid}" if it.alive() else "has ended") for path, it in states]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code is 1 when it fails, with the reason on standard error."""
    options = _parser().parse_args(arguments)
    cluster = _cluster(options)
    try:
        if options.command == "up":
            cluster.up()
            print(f"export KUBECONFIG={cluster.kubeconfig}")
        elif options.command == "down":
            cluster.down()
        elif options.command == "status":
            print(cluster.status())
        else:
            return _print_kubeconfig(cluster, options.name)
    except StepFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _print_kubeconfig(cluster: Cluster, name: str) -> int:
    if not cluster.kubeconfig.is_file():
        print(f"no cluster {name!r} runs; start it with `python -m tests.cluster up`", file=sys.stderr)
        return 1
    print(cluster.kubeconfig)
    return 0


def _cluster(options: argparse.Namespace) -> Cluster:
    if options.kind == "control-plane":
        return NamedControlPlane(options.name, options.nodes)
    from .kind import KindCluster  # a control plane needs nothing of what a container engine needs

    return KindCluster(options.name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "status", "kubeconfig"])
    parser.add_argument(
        "--kind", choices=["kind", "control-plane"], default="kind", help="default: %(default)s"
    )
    parser.add_argument("--name", default="loadstar", help="the cluster's name; default: %(default)s")
    parser.add_argument("--nodes", type=int, default=0, help="fake 8-GPU nodes (control-plane only)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
