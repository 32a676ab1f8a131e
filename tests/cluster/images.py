"""The project's container images for test clusters: built once for each content, as archives for `kind load`.

`image("operator")` builds from the product's own Dockerfile. Only what stands in for the network differs: where
the public base image cannot be pulled, BASE is a root file system made of Debian packages, and what the build
would fetch (wheels, a package) lies in its context.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import prometheus_package
from tests.cluster.cache import cache_dir, once, remove_all_but
from tests.cluster.docker import Docker
from tests.cluster.rootfs import PYTHON, TORCH_CPU, RootFs
from tests.cluster.wheelhouse import PYTHON_VERSION, wheels

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Image:
    """An image by its name in manifests, and the archive that brings it into a cluster."""

    reference: str
    archive: Path


@dataclass(frozen=True)
class Recipe:
    """How an image is made: `files` of the `context` folder go into the build, `locks` name its wheels.

    `public` is the Dockerfile's default base and `base` takes its place where that cannot be pulled. Without
    `public` it is always `base`: the trainer's default is CUDA's 5 GB, which no test cluster needs.
    """

    context: Path
    files: tuple[str, ...]
    base: RootFs
    public: str | None
    dockerfile: str = "Dockerfile"
    locks: tuple[str, ...] = ()
    debian_package: bool = False


_PYTHON_IMAGE = f"python:{PYTHON_VERSION}-slim"
_OPERATOR_LOCKS = ("requirements/build.lock", "requirements/operator.lock")
RECIPES = {
    "operator": Recipe(
        ROOT,
        ("pyproject.toml", "README.md", "operator", *_OPERATOR_LOCKS),
        PYTHON,
        _PYTHON_IMAGE,
        "images/operator/Dockerfile",
        _OPERATOR_LOCKS,
    ),
    "trainer": Recipe(
        ROOT / "images/trainer",
        ("src", "requirements.lock", "scikit-learn.lock"),
        TORCH_CPU,
        None,
        locks=("requirements.lock",),
    ),
    "dcgm-simulator": Recipe(
        ROOT / "images/dcgm-simulator",
        ("src", "requirements.lock"),
        PYTHON,
        _PYTHON_IMAGE,
        locks=("requirements.lock",),
    ),
    "prometheus": Recipe(ROOT / "images/prometheus", (), PYTHON, "debian:bookworm-slim", debian_package=True),
}


def image(name: str) -> Image:
    """The image `name` (a key of RECIPES), built if this content of it was not built before.

    Raises `steps.StepFailed`.
    """
    archive = cache_dir("images") / f"{name}-{digest(RECIPES[name], reference(name))}.tar"
    if not archive.exists():
        once(archive, lambda target: _build(name, target))
        # the newest and the one before it: each of the trainer's is a gigabyte
        remove_all_but(2, archive.parent, f"{name}-{'[0-9a-f]' * 16}.tar")
    return Image(reference(name), archive)


def reference(name: str) -> str:
    """The name of the image in manifests; builds nothing."""
    return f"loadstar/{name}:{prometheus_package.version() if name == 'prometheus' else '0.1.0'}"


def digest(recipe: Recipe, name: str) -> str:
    """Sixteen hex digits over all that decides what the image holds."""
    total = hashlib.sha256(f"{name} {recipe.public} {recipe.base.digest}".encode())
    for file in _inputs(recipe):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        total.update(f"{file.relative_to(recipe.context)} {content}\n".encode())
    return total.hexdigest()[:16]


def run_in_trainer(
    *command: str, volumes: Mapping[Path, str] = {}, environment: Mapping[str, str] = {}
) -> int:
    """Run a command in the trainer's image, which has torch and, made from Debian, pytest; return its exit code.

    Its folder images/trainer is the (read-only) working directory, beside the contract that both sides keep; there is
    no network but loopback. `volumes` are more folders of this machine, and where (and how) they are there.
    """
    docker, trainer = Docker.ensure(), image("trainer")
    docker.load(trainer.reference, trainer.archive)
    options = ["--network=none", "--read-only", "--tmpfs=/tmp:exec", "--shm-size=256m", "--entrypoint="]
    options += [
        f"--volume={ROOT / folder}:/loadstar/{folder}:ro" for folder in ("images/trainer", "tests/contract")
    ]
    options += [f"--volume={folder}:{place}" for folder, place in volumes.items()]
    options += [f"--env={name}={value}" for name, value in environment.items()]
    return docker.run([*options, "--workdir=/loadstar/images/trainer", trainer.reference, *command])


def _inputs(recipe: Recipe) -> Iterator[Path]:
    """The files that go into the build, in a fixed order."""
    for name in sorted((recipe.dockerfile, *recipe.files)):
        path = recipe.context / name
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in files if file.is_file() and "__pycache__" not in file.parts)


def _build(name: str, archive: Path) -> None:
    recipe, docker = RECIPES[name], Docker.ensure()
    with tempfile.TemporaryDirectory(prefix=f"loadstar-{name}-") as folder:
        context = Path(folder)
        _stage(recipe, context)
        if recipe.public and docker.pulls(recipe.public):
            arguments = {"BASE": recipe.public}
        else:
            docker.provide(recipe.base)
            arguments = {"BASE": recipe.base.reference, **_stage_offline(recipe, context)}
        docker.build(reference(name), context, recipe.dockerfile, arguments)
    docker.save(reference(name), archive)


def _stage(recipe: Recipe, context: Path) -> None:
    for file in _inputs(recipe):
        target = context / file.relative_to(recipe.context)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)


def _stage_offline(recipe: Recipe, context: Path) -> dict[str, str]:
    """Put what the build would fetch into its context; the build arguments that make it look there."""
    if recipe.debian_package:
        shutil.copy2(prometheus_package.debian_package(), context)
    if not recipe.locks:
        return {}
    shutil.copytree(wheels([recipe.context / lock for lock in recipe.locks]), context / "wheels")
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/build/wheels"}
