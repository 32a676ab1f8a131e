"""Claims in a test's namespace, filled by pods of the trainer's image."""

from pathlib import Path
from typing import Any

import yaml

from tests.cluster.images import reference
from tests.e2e.jobs import Jobs

MOUNT = "/volume"


def make_claim(jobs: Jobs, name: str) -> None:
    """A claim of the cluster's default storage class."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    jobs.kubectl("apply", "--filename=-", stdin=yaml.safe_dump(claim))


def run_on_claim(jobs: Jobs, claim: str, program: str) -> str:
    """Run a Python program in a pod that has the claim at MOUNT, and return what it prints; fails where it fails."""
    name = f"on-{claim}"
    jobs.kubectl("delete", "pod", name, "--ignore-not-found", "--wait=true")
    jobs.kubectl("apply", "--filename=-", stdin=yaml.safe_dump(_pod(name, claim, ["python3", "-c", program])))

    def ended() -> bool:
        phase = jobs.pod(name)["status"].get("phase")
        assert phase != "Failed", jobs.kubectl("logs", name)
        return bool(phase == "Succeeded")

    jobs.wait_for(f"the pod {name} has ended", ended, seconds=120)
    return jobs.kubectl("logs", name)


def copy_to_claim(jobs: Jobs, claim: str, folder: Path) -> None:
    """Copy the content of a folder of the host into the claim's root."""
    name = f"copy-to-{claim}"
    sleeping = ["python3", "-c", "import time; time.sleep(600)"]
    jobs.kubectl("apply", "--filename=-", stdin=yaml.safe_dump(_pod(name, claim, sleeping)))
    jobs.kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=60s")
    jobs.kubectl("cp", "--no-preserve", f"{folder}/.", f"{name}:{MOUNT}/")
    jobs.kubectl("delete", "pod", name, "--grace-period=0", "--force")


def _pod(name: str, claim: str, command: list[str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": {"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532},
            "volumes": [{"name": "volume", "persistentVolumeClaim": {"claimName": claim}}],
            "containers": [
                {
                    "name": "main",
                    "image": reference("trainer"),
                    "command": command,
                    "volumeMounts": [{"name": "volume", "mountPath": MOUNT}],
                }
            ],
        },
    }
