"""The Docker engine as the images need it: bases, builds, archives."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.cache import cache_dir
from tests.cluster.engine import engine
from tests.cluster.rootfs import RootFs
from tests.cluster.steps import run_logged, say

_PULL_SECONDS = 300.0


@dataclass(frozen=True)
class Docker:
    """An engine that answers; `environment` is what its client needs beyond this process's own."""

    environment: Mapping[str, str]

    @classmethod
    def ensure(cls) -> "Docker":
        """The engine of this machine, or the private one, started if need be. Raises `steps.StepFailed`."""
        return cls(engine.ensure())

    @property
    def private(self) -> bool:
        """True for the harness's own engine."""
        return bool(self.environment)

    def pulls(self, reference: str) -> bool:
        """True if the image is there or could be pulled."""
        if self._has(reference):
            return True
        if self.private:
            return False  # it runs where there is no Docker, and so far that meant no registry either
        say(f"Pulling {reference} …")
        try:
            return self._quietly("pull", reference, seconds=_PULL_SECONDS)
        except subprocess.TimeoutExpired:
            return False

    def provide(self, base: RootFs) -> None:
        """Have a base image: from Debian's own image where that can be pulled, else from a root file system."""
        if self._has(base.reference):
            return
        debian = f"debian:{base.suite}-slim"
        if self.pulls(debian):
            self._build_from_debian(base, debian)
        else:
            title = f"Importing the root file system {base.name} into the engine"
            changes = [f"--change=ENV {setting}" for setting in base.environment]
            self._logged(title, "import", *changes, str(base.archive()), base.reference)

    def load(self, reference: str, archive: Path) -> None:
        """Have an image that was built before, from its archive where this engine does not know it any more."""
        if not self._has(reference):
            self._logged(f"Loading the image {reference} into the engine", "load", f"--input={archive}")

    def build(self, reference: str, context: Path, dockerfile: str, arguments: Mapping[str, str]) -> None:
        """Build an image; the one that had the name before is removed."""
        before = self._id(reference)
        options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        options += [f"--tag={reference}", f"--file={context / dockerfile}", str(context)]
        self._logged(f"Building the image {reference}", "build", *options)
        if before and before != self._id(reference):
            self._quietly("image", "rm", before)  # fails, rightly, while a container uses it

    def save(self, reference: str, archive: Path) -> None:
        """Write an image to an archive that `kind load image-archive` takes."""
        self._logged(f"Saving the image {reference}", "save", f"--output={archive}", reference)

    def run(self, arguments: Sequence[str]) -> int:
        """`docker run --rm` in the foreground; the command's exit code."""
        command = ["docker", "run", "--rm", *arguments]
        return subprocess.run(command, env=self._env(), check=False).returncode

    def _build_from_debian(self, base: RootFs, debian: str) -> None:
        install = f"apt-get update && apt-get install -y --no-install-recommends {' '.join(base.packages)}"
        clean = "rm -rf /var/lib/apt/lists/*"
        folder = cache_dir("bases", base.name)
        settings = "".join(f"ENV {setting}\n" for setting in base.environment)
        (folder / "Dockerfile").write_text(f"FROM {debian}\n{settings}RUN {install} && {clean}\n")
        self._logged(f"Building {base.reference}", "build", f"--tag={base.reference}", str(folder))

    def _has(self, reference: str) -> bool:
        return self._id(reference) is not None

    def _id(self, reference: str) -> str | None:
        command = ["docker", "image", "inspect", "--format={{.Id}}", reference]
        done = subprocess.run(command, env=self._env(), capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    def _quietly(self, *arguments: str, seconds: float | None = None) -> bool:
        command = ["docker", *arguments]
        done = subprocess.run(command, env=self._env(), capture_output=True, check=False, timeout=seconds)
        return done.returncode == 0

    def _logged(self, title: str, *arguments: str) -> None:
        log = cache_dir("logs") / f"docker-{arguments[0]}.log"
        run_logged(title, ["docker", *arguments], log=log, env=self._env())

    def _env(self) -> dict[str, str]:
        return {**os.environ, **self.environment}
