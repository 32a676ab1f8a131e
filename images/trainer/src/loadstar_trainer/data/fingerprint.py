"""SHA-256 over the data before any split or scaling: equal hash, equal data in equal order."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from loadstar_trainer.data.samples import Array, Samples


def fingerprint(samples: Samples) -> str:
    return fingerprint_pieces(
        samples.features.shape, samples.features.dtype, [samples.features], samples.targets
    )


def fingerprint_pieces(
    shape: Sequence[int], dtype: np.dtype[np.generic], features: Iterable[Array], targets: Array
) -> str:
    """The hash of the samples whose features, of this shape and type together, come piece by piece."""
    digest = hashlib.sha256()
    digest.update(_header(shape, dtype))
    for piece in features:
        digest.update(_content(piece))
    digest.update(_header(targets.shape, targets.dtype))
    digest.update(_content(targets))
    return f"sha256:{digest.hexdigest()}"


def _header(shape: Sequence[int], dtype: np.dtype[np.generic]) -> bytes:
    return f"{tuple(shape)} {dtype.name}\n".encode()


def _content(array: Array) -> memoryview:
    """The array's bytes, little-endian, in row order; not copied where they lie so already."""
    ordered = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return ordered.reshape(-1).data
