"""What the workers' containerd holds from their start: images that were unpacked once, in files that all nodes share.

`kind load` has every node of every new cluster read, check and unpack each image, which for PyTorch is a minute. Here
that happens once, in a store: the folder in which containerd keeps its images. A node gets a folder of hard links to
it. That is safe, as containerd never changes a layer, only adds and removes files; its databases are copied.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.cache import cache_dir, oldest_first, once, remove_all_but
from tests.cluster.kind_nodes import contents
from tests.cluster.steps import StepFailed, run_logged, say

PLACE = "/var/lib/containerd"
"""Where a node's containerd looks for it."""
_DATABASES = "io.containerd.*/*.db"

# Runs in a container of the node image; its arguments are the images, as id=name. A moment after an image came under a
# new name, containerd lists it under its id, too. An id that no name stands for any more was replaced by a newer image.
_IMPORT = """
[ -e /store/io.containerd.metadata.v1.bolt ] || cp --archive /var/lib/containerd/. /store
containerd --root /store >/containerd.log 2>&1 &
until ctr version >/dev/null 2>&1; do kill -0 $! || { cat /containerd.log; exit 1; }; sleep 0.1; done
images() { ctr --namespace k8s.io images "$@"; }
listed() { images list --quiet | grep --quiet --line-regexp "$1"; }
for image in "$@"; do
  id=sha256:${image%%=*} name=${image#*=}
  listed "$id" && continue
  listed "$name" && images rm "$name"
  images import "/archives/${id#sha256:}.tar"
  for _ in {1..300}; do listed "$id" && continue 2; sleep 0.1; done
  echo "containerd does not list $id" && exit 1
done
images list | awk 'NR == 1 { next } /^sha256:/ { digest[$1] = $3; next } { named[$3] }
  END { for (id in digest) if (!(digest[id] in named)) print id }' | while read -r id; do images rm --sync "$id"; done
kill $! && wait $! || true
"""


@dataclass(frozen=True)
class _Image:
    """What a Docker archive holds; `id` without its algorithm."""

    id: str
    name: str
    archive: Path

    @classmethod
    def of(cls, archive: Path) -> "_Image":
        identity, (name,) = contents(archive)
        return cls(identity.removeprefix("sha256:"), name, archive)


def provide(
    folders: Sequence[Path], node_image: str, archives: Sequence[Path], environment: Mapping[str, str]
) -> None:
    """Make each folder what a node of `node_image` keeps at PLACE, with the images of the Docker archives.

    Raises StepFailed.
    """
    store = _store(node_image, archives, environment)
    say(f"Sharing the unpacked images with {len(folders)} nodes …")
    for folder in folders:
        _share(store, folder)


def _store(node_image: str, archives: Sequence[Path], environment: Mapping[str, str]) -> Path:
    """The store that holds just these images, made if there is none."""
    node = hashlib.sha256(_identity(node_image, environment).encode()).hexdigest()[:12]
    images = [_Image.of(archive) for archive in archives]
    content = hashlib.sha256(" ".join(sorted(image.id for image in images)).encode()).hexdigest()[:12]
    store = cache_dir("engine", "stores") / f"{node}-{content}"
    if not store.exists():
        newest = oldest_first(store.parent, f"{node}-[0-9a-f]*")[-1:]
        try:
            once(store, lambda target: _build(target, newest, node_image, images, environment))
        except StepFailed as failed:
            if not newest:
                raise
            say(f"The older store does not serve as a ground, once more from none. {failed}")
            once(store, lambda target: _build(target, (), node_image, images, environment))
        remove_all_but(2, store.parent, "[0-9a-f]*")  # as two checkouts may take turns
    return store


def _identity(image: str, environment: Mapping[str, str]) -> str:
    command = ["docker", "image", "inspect", "--format={{.Id}}", image]
    env = {**os.environ, **environment}
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.strip()


def _build(
    target: Path,
    newest: Sequence[Path],
    node_image: str,
    images: Sequence[_Image],
    environment: Mapping[str, str],
) -> None:
    """Make a store, from the newest one of the same node image where there is one: most layers are in it already."""
    target.mkdir()
    for store in newest:
        _share(store, target)
    command = ["docker", "run", "--rm", "--privileged", "--network=none", "--entrypoint=/bin/bash"]
    command += [f"--volume={target}:/store"]
    command += [f"--volume={image.archive}:/archives/{image.id}.tar:ro" for image in images]
    title = "Unpacking the images for the nodes (about a minute; later clusters share them)"
    log = cache_dir("logs") / "stores.log"
    command += [node_image, "-euc", _IMPORT, "import", *(f"{image.id}={image.name}" for image in images)]
    run_logged(title, command, log=log, env={**os.environ, **environment})
    os.utime(target)


def _share(store: Path, folder: Path) -> None:
    """Make `folder` a store of its own with the same content, in hard links where the file system has both."""
    folder.mkdir(exist_ok=True)
    how = "--link" if store.stat().st_dev == folder.stat().st_dev else "--reflink=auto"
    subprocess.run(["cp", "--archive", how, f"{store}/.", str(folder)], check=True)
    for database in folder.glob(_DATABASES):
        own = database.with_suffix(".own")
        shutil.copy2(database, own)
        own.replace(database)
