"""Container images from files: one layer, written as a Docker archive without any engine."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def write_image(archive: Path, reference: str, files: Mapping[str, Path], entrypoint: Sequence[str]) -> None:
    """Write the image `reference` that holds `files` (path in the image → file or link here), owned by root.

    The same files always give the same image: no times, no names of the machine's users.
    """
    layer = _layer(files)
    config = json.dumps(
        {
            "architecture": _architecture(),
            "os": "linux",
            "config": {"Env": [_PATH], "Entrypoint": list(entrypoint)},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": [reference], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(archive, "w") as tar:
        for path, content in (("manifest.json", manifest), (name, config), ("layer.tar", layer)):
            member = tarfile.TarInfo(path)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def _layer(files: Mapping[str, Path]) -> bytes:
    buffer = io.BytesIO()
    folders: set[Path] = set()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, source in sorted(files.items()):
            for folder in reversed(Path(path).relative_to("/").parents[:-1]):
                if folder not in folders:
                    folders.add(folder)
                    _add_folder(tar, folder)
            member = _plain(tar.gettarinfo(source, arcname=path.lstrip("/")))
            if member.isreg():
                with source.open("rb") as content:
                    tar.addfile(member, content)
            else:
                tar.addfile(member)
    return buffer.getvalue()


def _add_folder(tar: tarfile.TarFile, folder: Path) -> None:
    member = tarfile.TarInfo(str(folder))
    member.type, member.mode = tarfile.DIRTYPE, 0o755
    tar.addfile(member)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """A member without what differs from machine to machine."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


def _architecture() -> str:
    """This machine's architecture as images name it."""
    import platform

    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
