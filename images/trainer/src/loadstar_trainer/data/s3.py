"""Objects of an S3-compatible store, by the keys that the environment holds (AWS_ACCESS_KEY_ID and the like)."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from loadstar_trainer.data.places import READ_AHEAD, Place
from loadstar_trainer.data.refusals import listed, refusal
from loadstar_trainer.failures import Failure


class S3Place:
    """An object, or the objects whose keys begin with a prefix and "/", as a folder. `path` is bucket/key."""

    def __init__(self, store: Any, path: str, entry: dict[str, Any]) -> None:
        self._store = store
        self._path = path
        self._entry = entry

    def __str__(self) -> str:
        return f"s3://{self._path}"

    @property
    def name(self) -> str:
        return self._path.rpartition("/")[2]

    @property
    def is_folder(self) -> bool:
        return bool(self._entry["type"] == "directory")

    def children(self) -> list[Place]:
        with _told(str(self)):
            entries = sorted(self._store.ls(self._path, detail=True), key=lambda entry: str(entry["name"]))
        places = [S3Place(self._store, entry["name"].rstrip("/"), entry) for entry in entries]
        return [place for place in places if place.name and not place.name.startswith(".") and place != self]

    def size(self) -> int:
        return int(self._entry["size"])

    def open(self, ahead: int = READ_AHEAD) -> BinaryIO:
        return io.BufferedReader(_Ranges(self._store, self._path, self.size()), ahead)


class _Ranges(io.RawIOBase):
    """An object's bytes, each reading one request for just these."""

    def __init__(self, store: Any, path: str, size: int) -> None:
        self._store = store
        self._path = path
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        end = min(self._position + len(buffer), self._size)
        if self._position >= end:
            return 0
        with _told(f"s3://{self._path}"):
            content: bytes = self._store.cat_file(self._path, start=self._position, end=end)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


def find(uri: str) -> S3Place:
    """The object or folder at s3://bucket/key; Refused where it is not there or may not be read."""
    # Here, not above: it takes two seconds to import.
    import s3fs

    path = uri.removeprefix("s3://").rstrip("/")
    store = s3fs.S3FileSystem(
        endpoint_url=os.environ.get("AWS_ENDPOINT_URL"),
        client_kwargs={"region_name": os.environ.get("AWS_REGION")},
        skip_instance_cache=True,
        use_listings_cache=False,
    )
    with _told(uri):
        try:
            return S3Place(store, path, store.info(path))
        except FileNotFoundError:
            there = _there(store, path)
    raise refusal(uri, f"there is no such object; {there}; correct dataset.uri")


def _there(store: Any, path: str) -> str:
    """What is beside the object that is not there, or that its bucket is not there either."""
    bucket, _, key = path.partition("/")
    folder = f"{bucket}/{key.rpartition('/')[0]}".rstrip("/")
    for place in (folder, bucket):
        try:
            names = [str(entry).removeprefix(f"{place}/") for entry in sorted(store.ls(place, detail=False))]
        except FileNotFoundError:
            continue
        return f"s3://{place} holds {listed(names)}"
    return f"nor is there a bucket {bucket!r}"


@contextmanager
def _told(uri: str) -> Iterator[None]:
    """Turns the store's errors into sentences: what the job must change is refused, an outage is a failure."""
    from botocore.exceptions import BotoCoreError, NoCredentialsError, PartialCredentialsError

    try:
        yield
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise refusal(
            uri,
            f"the pod has no keys for the store ({error}); name a Secret with AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY in dataset.secretName",
        ) from None
    except PermissionError as error:
        raise refusal(
            uri,
            f"the store refuses access ({error}); correct the keys in the Secret of dataset.secretName, or what "
            "they may read",
        ) from None
    except (BotoCoreError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise Failure("DatasetUnreachable", f"{uri}: the store does not answer: {error}") from error
