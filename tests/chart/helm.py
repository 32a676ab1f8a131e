"""Helm as the tests use it: built from source, both major versions, and nothing of the caller's own Helm."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from tests.cluster.gotools import tool

ROOT: Final = Path(__file__).parents[2]
CHART: Final = ROOT / "charts" / "loadstar"
PROGRAMS: Final = ("helm", "helm4")
"""The names of both major versions, 3 and 4, for `gotools.tool`."""
KUBERNETES: Final = "1.36.3"

Object = dict[str, Any]


class HelmError(Exception):
    """Helm ended with an error; the message is what it wrote."""


@dataclass(frozen=True)
class Helm:
    """One major version of Helm, for one cluster or (without a kubeconfig) for none.

    `home` is a folder of its own for what Helm keeps.
    """

    program: str
    home: Path
    kubeconfig: Path | None = None
    _rendered: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str) -> str:
        """Run Helm and return what it prints. Raises HelmError."""
        folders = {f"HELM_{name}_HOME": str(self.home / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        environment = {**folders, "HOME": str(self.home), "KUBECONFIG": str(self.kubeconfig or "/dev/null")}
        done = subprocess.run(
            [tool(self.program), *arguments], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise HelmError(f"{self.program} {' '.join(arguments)}: {done.stderr.strip() or done.stdout}")
        return done.stdout

    def template(self, values: Object | None = None) -> list[Object]:
        """The objects that the chart renders, hooks included; the same values are rendered once. Raises HelmError."""
        key = json.dumps(values or {})
        if key not in self._rendered:
            place = ["--namespace", "loadstar-system", "--kube-version", KUBERNETES]
            self._rendered[key] = self.run("template", "loadstar", str(CHART), *place, *self.given(values))
        return [body for body in yaml.safe_load_all(self._rendered[key]) if body]

    def given(self, values: Object | None) -> list[str]:
        """The arguments that hand over values."""
        path = self.home / "values.yaml"
        path.write_text(json.dumps(values or {}))
        return ["--values", str(path)]


def named(objects: list[Object], kind: str, name: str = "") -> Object:
    """The one object of a kind (and a name). Raises AssertionError where there is not exactly one."""
    found = [
        body for body in objects if body["kind"] == kind and (not name or body["metadata"]["name"] == name)
    ]
    assert len(found) == 1, f"{len(found)} objects {kind} {name}: {[b['metadata']['name'] for b in found]}"
    return found[0]
