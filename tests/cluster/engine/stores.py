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
from pathlib import Path

from tests.cluster.cache import cache_dir, once, remove
from tests.cluster.kind_nodes import contents
from tests.cluster.steps import run_logged, say

PLACE = "/var/lib/containerd"
"""Where a node's containerd looks for it."""
_DATABASES = "io.containerd.*/*.db"

# Runs in a container of the node image. Archives are named by their images' ids, under which containerd lists an image
# a moment after it was imported. An id that no name stands for any more is what a newer image has replaced.
_IMPORT = """
[ -e /store/io.containerd.metadata.v1.bolt ] || cp --archive /var/lib/containerd/. /store
containerd --root /store >/containerd.log 2>&1 &
until ctr version >/dev/null 2>&1; do kill -0 $! || { cat /containerd.log; exit 1; }; sleep 0.1; done
images() { ctr --namespace k8s.io images "$@"; }
for archive in /archives/*.tar; do
  id=sha256:$(basename "$archive" .tar)
  images list --quiet | grep --quiet --line-regexp "$id" && continue
  images import "$archive"
  for _ in {1..300}; do images list --quiet | grep --quiet --line-regexp "$id" && continue 2; sleep 0.1; done
  echo "containerd does not list $id" && exit 1
done
images list | awk 'NR == 1 { next } /^sha256:/ { digest[$1] = $3; next } { named[$3] }
  END { for (id in digest) if (!(digest[id] in named)) print id }' | while read -r id; do images rm --sync "$id"; done
kill $! && wait $! || true
"""


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
    images = {contents(archive)[0].removeprefix("sha256:"): archive for archive in archives}
    content = hashlib.sha256(" ".join(sorted(images)).encode()).hexdigest()[:12]
    store = cache_dir("engine", "stores") / f"{node}-{content}"
    if not store.exists():
        newest = _oldest_first(store.parent, f"{node}-")[-1:]
        once(store, lambda target: _build(target, newest, node_image, images, environment))
        for older in _oldest_first(store.parent)[:-2]:  # two, as two checkouts may take turns
            remove(older)
    return store


def _identity(image: str, environment: Mapping[str, str]) -> str:
    command = ["docker", "image", "inspect", "--format={{.Id}}", image]
    env = {**os.environ, **environment}
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout.strip()


def _oldest_first(folder: Path, prefix: str = "") -> list[Path]:
    """The complete stores of a folder."""
    return sorted(folder.glob(f"{prefix}[0-9a-f]*"), key=lambda path: path.stat().st_mtime)


def _build(
    target: Path,
    newest: Sequence[Path],
    node_image: str,
    images: Mapping[str, Path],
    environment: Mapping[str, str],
) -> None:
    """Make a store, from the newest one of the same node image where there is one: most layers are in it already."""
    target.mkdir()
    for store in newest:
        _share(store, target)
    command = ["docker", "run", "--rm", "--privileged", "--network=none", "--entrypoint=/bin/bash"]
    command += [f"--volume={target}:/store"]
    command += [f"--volume={archive}:/archives/{image}.tar:ro" for image, archive in images.items()]
    title = "Unpacking the images for the nodes (about a minute; later clusters share them)"
    log = cache_dir("logs") / "stores.log"
    run_logged(title, [*command, node_image, "-euc", _IMPORT], log=log, env={**os.environ, **environment})
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
