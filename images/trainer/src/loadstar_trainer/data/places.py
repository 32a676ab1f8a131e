"""Where data lie: files and folders of the pod, or objects of an S3-compatible store."""

from pathlib import Path
from typing import BinaryIO, Protocol

from loadstar_trainer.data.refusals import listed, refusal
from loadstar_trainer.spec import Dataset

READ_AHEAD = 2 << 20  # a request to a store costs tens of milliseconds, whatever it brings
EXACTLY = 1  # no bytes but those that are read


class Place(Protocol):
    """A file or a folder that exists. Text of it is what messages call it."""

    @property
    def name(self) -> str:
        """The last part of its path."""

    @property
    def is_folder(self) -> bool: ...

    def children(self) -> list["Place"]:
        """What a folder holds, by name; hidden files (Kubernetes keeps its own there) are left out."""

    def size(self) -> int:
        """Bytes of a file."""

    def open(self, ahead: int = READ_AHEAD) -> BinaryIO:
        """The file's bytes, seekable. A store is asked for `ahead` bytes at least, where no more are read at once."""


class Local:
    """A path of the pod."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def is_folder(self) -> bool:
        return self.path.is_dir()

    def children(self) -> list[Place]:
        return [Local(path) for path in sorted(self.path.iterdir()) if not path.name.startswith(".")]

    def size(self) -> int:
        return self.path.stat().st_size

    def open(self, ahead: int = READ_AHEAD) -> BinaryIO:  # noqa: ARG002 (the kernel reads ahead)
        try:
            return open(self.path, "rb")
        except PermissionError:
            raise refusal(
                str(self), "may not be read by the trainer (user 65532); give it read permission"
            ) from None


def find(dataset: Dataset) -> Place:
    """What `dataset.path` or `dataset.uri` names; Refused, with what is there instead, where nothing is."""
    if dataset.uri:
        from loadstar_trainer.data.s3 import find as find_object

        return find_object(dataset.uri)
    path = Path(dataset.path)
    if path.exists():
        return Local(path)
    nearest = next((folder for folder in path.parents if folder.is_dir()), None)
    there = (
        f"{nearest} holds {listed([child.name for child in Local(nearest).children()])}" if nearest else ""
    )
    raise refusal(dataset.path, f"there is no such file or folder; {there}; correct dataset.uri")
