"""Folders of images, one folder per class: PNG and JPEG files of one size, in colour or in shades of grey."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from loadstar_trainer.data.blocks import BLOCK_BYTES, Block
from loadstar_trainer.data.places import Place
from loadstar_trainer.data.refusals import listed, refusal
from loadstar_trainer.data.samples import Array
from loadstar_trainer.spec import Dataset

ENDINGS = (".png", ".jpg", ".jpeg")
GREY = ("1", "L", "LA", "I", "I;16", "F")
DECODERS = 4  # threads; Pillow decodes without holding Python's lock


@dataclass(frozen=True)
class _Image:
    place: Place
    label: str


class ImagesReader:
    """All images, in the order of classes and then of file names. Folders train and test hold a part each."""

    names = ()
    target = "folder"
    seekable = True

    def __init__(self, place: Place, _dataset: Dataset, block_bytes: int = BLOCK_BYTES) -> None:
        self.file = str(place)
        folders = {child.name: child for child in place.children() if child.is_folder}
        self.own_test: int | None = None
        if folders.keys() == {"train", "test"}:
            self._images = _images(folders["train"])
            self.own_test = len(self._images)
            self._images += _images(folders["test"])
        else:
            self._images = _images(place)
        first = _decoded(self._images[0].place, None)
        self._shape = first.shape
        self._block_rows = max(1, block_bytes // first.size)

    def blocks(self) -> Iterator[Block]:
        for number in range(-(-len(self._images) // self._block_rows)):
            yield self.read(number)

    def read(self, number: int) -> Block:
        first = number * self._block_rows
        images = self._images[first : first + self._block_rows]
        features = np.empty((len(images), *self._shape), np.uint8)

        def decode(position: int) -> None:
            features[position] = _decoded(images[position].place, self._shape, self._images[0].place)

        with ThreadPoolExecutor(DECODERS) as pool:
            list(pool.map(decode, range(len(images))))
        return Block(first, features, np.array([image.label for image in images], object))


def _images(place: Place) -> list[_Image]:
    """The images in each folder of `place`; Refused where a folder has none."""
    images: list[_Image] = []
    for folder in place.children():
        if not folder.is_folder:
            continue
        files = [file for file in folder.children() if file.name.lower().endswith(ENDINGS)]
        if not files:
            holds = listed([file.name for file in folder.children()])
            raise refusal(
                str(folder),
                f"this folder of a class holds no image ({', '.join(ENDINGS)}) but {holds}; add some",
            )
        images += [_Image(file, folder.name) for file in files]
    if not images:
        holds = listed([file.name for file in place.children()])
        raise refusal(str(place), f"there is no folder of images here, but {holds}; give one for each class")
    return images


def _decoded(place: Place, shape: tuple[int, ...] | None, first: Place | None = None) -> Array:
    """Channels × height × width as uint8; Refused where it cannot be read, or does not have this shape."""
    from PIL import Image, UnidentifiedImageError

    try:
        with place.open() as file, Image.open(file) as image:
            grey = image.mode in GREY if shape is None else shape[0] == 1
            if grey and image.mode not in GREY:
                raise refusal(
                    str(place), f"the image has colours and {first} is in shades of grey; convert one of them"
                )
            pixels = np.asarray(image.convert("L" if grey else "RGB"))
    except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, OSError, ValueError) as error:
        raise refusal(str(place), f"this is no whole image ({error}); replace it") from None
    decoded = pixels[None] if grey else pixels.transpose(2, 0, 1)
    if shape is not None and decoded.shape != shape:
        raise refusal(
            str(place),
            f"the image has {_size(decoded.shape)} pixels and {first} has {_size(shape)}; bring all to one size",
        )
    return decoded


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}×{shape[2]}"
