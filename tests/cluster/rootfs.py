"""Root file systems made from Debian packages: the base images where nothing can be pulled.

Every Dockerfile of the project takes `ARG BASE` with a public image as its default. On a machine without a
registry the tests pass one of these instead, `docker import`ed by `tests.cluster.images`.
"""

import hashlib
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.cache import cache_dir, once
from tests.cluster.engine.packages import require_program
from tests.cluster.steps import run_logged

# Nobody reads manuals in a container.
_LEFT_OUT = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/lintian/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
)


@dataclass(frozen=True)
class RootFs:
    """A minimal Debian `suite` with `packages`, without those dependencies that are `unused`.

    `mends` are shell commands for what Debian's packages get wrong, run in it; `environment` holds NAME=value settings
    of the image that is made of it. The mirror is whatever mmdebstrap's own default is.
    """

    name: str
    suite: str
    packages: tuple[str, ...]
    unused: tuple[str, ...] = ()
    mends: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Twelve hex digits over everything that decides the image, but for Debian's own updates."""
        return _digest(self._content, *self.environment) if self.environment else self._content

    @property
    def _content(self) -> str:
        return _digest(self.suite, *self.packages, "-", *self.unused, *self.mends, *_LEFT_OUT)

    @property
    def reference(self) -> str:
        """The name under which an engine holds this root file system as an image."""
        return f"loadstar/base-{self.name}:{self.digest}"

    def archive(self) -> Path:
        """The plain tar of the root file system, built on the first call; raises `steps.StepFailed`."""
        return once(cache_dir("rootfs") / f"{self.name}-{self._content}.tar", self._build)

    def unpacked(self) -> Path:
        """The same as a folder that root can `chroot` into; shared, so nobody may write to it."""
        return once(cache_dir("rootfs") / f"{self.name}-{self._content}", self._unpack)

    def _build(self, target: Path) -> None:
        mmdebstrap = str(require_program("mmdebstrap"))
        options = [f"--dpkgopt={line}" for line in _LEFT_OUT]
        # The format is named, as mmdebstrap would guess it from the file's name and that is a temporary one.
        options += ["--variant=minbase", "--format=tar", f"--include={','.join(self.packages)}"]
        if self.unused:
            options += [f'--customize-hook=chroot "$1" dpkg --purge --force-depends {" ".join(self.unused)}']
        options += [f'--customize-hook=chroot "$1" sh -c {shlex.quote(mend)}' for mend in self.mends]
        run_logged(
            f"Building the root file system {self.name} from Debian {self.suite} (1 to 3 minutes)",
            [mmdebstrap, *options, self.suite, str(target)],
            log=cache_dir("logs") / f"rootfs-{self.name}.log",
        )

    def _unpack(self, target: Path) -> None:
        target.mkdir()
        subprocess.run(["tar", "-xf", self.archive(), "-C", target], check=True)


def _digest(*inputs: str) -> str:
    return hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:12]


PYTHON = RootFs("python", "trixie", ("python3", "python3-pip"))
TORCH_CPU = RootFs(
    "torch-cpu",
    "trixie",
    # pytest is here because the trainer's own tests run in this base: no other place has its torch.
    ("python3", "python3-numpy", "python3-pip", "python3-pytest", "python3-sklearn", "python3-torch"),
    # AMD's compiler for one benchmark of UCX, and torch's own tests: 270 MB that nothing here loads.
    unused=("libamd-comgr2", "libamdhip64-5", "libllvm17t64", "libtorch-test"),
    # Debian builds torch without libuv. The store of torch's rendezvous wants it all the same: by a default that a
    # variable changes, and in two places of torchrun by one that nothing changes.
    mends=(
        "cd /usr/lib/python3/dist-packages/torch/distributed"
        " && sed -i 's/is_master=False,$/is_master=False, use_libuv=False,/' rendezvous.py"
        " && sed -i 's/multi_tenant=True,$/multi_tenant=True, use_libuv=False,/'"
        " elastic/rendezvous/static_tcp_rendezvous.py",
    ),
    environment=("USE_LIBUV=0",),
)
