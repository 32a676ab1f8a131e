"""kubectl against one kubeconfig and nothing else of the caller's."""

import os
import subprocess
from pathlib import Path

from .gotools import tool


class KubectlError(Exception):
    """kubectl ended with an error; the message is what it wrote."""


def kubectl(kubeconfig: Path, *arguments: str, stdin: str | None = None, seconds: float = 120.0) -> str:
    """Run kubectl and return its standard output. Raises KubectlError with its standard error."""
    cache = (
        kubeconfig.parent / "kubectl-cache"
    )  # with the cluster's state, so that it goes when the cluster goes
    command = [str(tool("kubectl")), f"--kubeconfig={kubeconfig}", f"--cache-dir={cache}", *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    try:
        done = subprocess.run(
            command,
            input=stdin,
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise KubectlError(f"kubectl {' '.join(arguments)}: no end after {seconds:.0f} s") from error
    if done.returncode != 0:
        raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
