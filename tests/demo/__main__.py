"""`make demo`: from nothing to trained models on a cluster, and why each of them ran where it did.

A kind cluster with simulated GPUs gets Prometheus and a DCGM simulator in which one node is busy but cooling down and
the other calm but heating up; the chart is installed with Helm, the examples are applied with kubectl, and a live
table follows them. The cluster stays up.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from loadstar.cli.rows import rounded, signed
from tests.cluster.gotools import tool
from tests.cluster.images import image
from tests.cluster.kind import KindCluster
from tests.cluster.monitoring import Ramp, SimulatedLoad
from tests.cluster.steps import StepFailed, say
from tests.examples import EXAMPLES, is_complete

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "loadstar-demo"
SYSTEM = "loadstar-system"
TREND_SECONDS = 45
"""History that the forecast needs to see where the ramps are going."""
RAMP_SECONDS = 300
LONGEST_SECONDS = 600
WIDTH = 160
"""Columns of the table where the output is no terminal."""

Object = dict[str, Any]


def main(arguments: Sequence[str]) -> int:
    """The demo; non-zero when something did not start or an example did not succeed."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--name", default="loadstar", help="the cluster's name")
    cluster = KindCluster(parser.parse_args(arguments).name)
    started = time.monotonic()
    try:
        cluster.up()
        visible_at = heat_and_cool(cluster)
        install(cluster)
        names = apply_examples(cluster, visible_at)
        code = follow(cluster, names)
        show(cluster)
    except (StepFailed, subprocess.CalledProcessError) as failure:
        say(f"The demo stops here: {failure}")
        return 1
    say(f"The demo took {time.monotonic() - started:.0f} s.")
    tell_where_to_look(cluster)
    return code


def heat_and_cool(cluster: KindCluster) -> float:
    """Make the first worker busy but cooling down and the second calm but heating up; when that can be seen."""
    cooling, heating = cluster.worker_names()[:2]
    SimulatedLoad(cluster).set(
        {cooling: Ramp(0.9, 0.1, RAMP_SECONDS), heating: Ramp(0.2, 0.95, RAMP_SECONDS)}
    )
    say(
        f"Simulated GPU load: {cooling} falls from 0.9 to 0.1, {heating} rises from 0.2 to 0.95, in {RAMP_SECONDS} s"
    )
    return time.monotonic() + TREND_SECONDS


def install(cluster: KindCluster) -> None:
    """Install or upgrade the chart with Helm, and wait until the operator is ready."""
    archives = "".join(str(image(name).archive) for name in ("operator", "trainer"))
    values = {
        "prometheus.url": "http://prometheus.monitoring.svc:9090",
        "prometheus.scrapeIntervalSeconds": "2",
        "load.metricsIntervalSeconds": "5",
    }
    # A new image under the same tag is a new pod only if something else of the pod changes, too.
    images = hashlib.sha256(archives.encode()).hexdigest()[:12]
    say("helm upgrade --install loadstar charts/loadstar")
    command = [
        "upgrade",
        "loadstar",
        str(ROOT / "charts" / "loadstar"),
        "--install",
        "--wait",
        "--timeout=120s",
    ]
    command += ["--namespace", SYSTEM, "--create-namespace"]
    command += [f"--set={name}={value}" for name, value in values.items()]
    command += [f"--set-string=podAnnotations.images={images}"]
    helm = [str(tool("helm")), "--kubeconfig", str(cluster.kubeconfig)]
    subprocess.run([*helm, *command], check=True, stdout=subprocess.DEVNULL)


def apply_examples(cluster: KindCluster, visible_at: float) -> list[str]:
    """Apply the examples anew, once the trends can be seen; the jobs' names."""
    remaining = visible_at - time.monotonic()
    if remaining > 0:
        say(f"Waiting {remaining:.0f} s until Prometheus has enough of the trends …")
        time.sleep(remaining)
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=true")
    cluster.kubectl("create", "namespace", NAMESPACE)
    complete = [example for example in EXAMPLES if is_complete(example)]
    files = [argument for example in complete for argument in ("-f", str(example))]
    say("kubectl apply " + " ".join(f"-f manifests/examples/{example.name}" for example in complete))
    cluster.kubectl("-n", NAMESPACE, "apply", *files)
    return [example.stem for example in complete]


def follow(cluster: KindCluster, names: list[str]) -> int:
    """The live table until every example has ended; 0 when all have succeeded."""
    command = [
        sys.executable,
        "-m",
        "loadstar",
        "watch",
        *names,
        "--until-finished",
        "--namespace",
        NAMESPACE,
    ]
    command += ["--kubeconfig", str(cluster.kubeconfig), "--timeout", str(LONGEST_SECONDS)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LOADSTAR_")}
    return subprocess.run(command, check=False, env=environment).returncode


def show(cluster: KindCluster) -> None:
    """Each job's accuracy, where it ran and why, read from the resources by kubectl."""
    listed = json.loads(cluster.kubectl("-n", NAMESPACE, "get", "trainingjobs", "-o", "json"))["items"]
    table = Table(title="What the resources say", title_justify="left", box=None, pad_edge=False)
    for column in ("Job", "Phase", "Result", "Rank", "Node", "Load then", "Forecast", "Score", "= its terms"):
        table.add_column(column, no_wrap=column != "= its terms", overflow="fold")
    for job in sorted(listed, key=lambda job: str(job["status"]["placement"]["decidedAt"])):
        for row in rows_of(job):
            table.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    console.print()
    console.print(table)


def rows_of(job: Object) -> list[tuple[str, ...]]:
    """A job's lines of the table, one per node of its placement."""
    status = job["status"]
    metrics = {metric["name"]: metric["value"] for metric in status.get("result", {}).get("metrics", ())}
    accuracy = status.get("accuracy")
    result = f"accuracy {rounded(accuracy)}" if accuracy else f"mse {rounded(metrics.get('mse', ''))}"
    rows: list[tuple[str, ...]] = []
    for node in status["placement"]["nodes"]:
        terms = "  ".join(f"{name} {signed(value)}" for name, value in node["terms"].items())
        numbers = (
            rounded(node.get("load")) or "unknown",
            rounded(node["forecast"]),
            signed(node["score"]),
            terms,
        )
        ranks = ",".join(str(rank) for rank in node["ranks"])
        first = (job["metadata"]["name"], status["phase"], result) if not rows else ("", "", "")
        rows.append((*first, ranks, node["name"], *numbers))
    return rows


def tell_where_to_look(cluster: KindCluster) -> None:
    """What to type next, and how to end it."""
    say(
        f"""The cluster is still up. To look around:
  export KUBECONFIG={cluster.kubeconfig}
  kubectl -n {NAMESPACE} get trainingjobs -o wide
  kubectl -n {NAMESPACE} describe trainingjob iris-mlp
  .venv/bin/loadstar explain iris-mlp -n {NAMESPACE}
  kubectl explain trainingjob.spec --recursive
To end it: make cluster-down"""
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
