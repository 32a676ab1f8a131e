"""Built-in data: loaded, split by seed, scaled by what the training part shows."""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from loadstar_trainer.failures import Refused
from loadstar_trainer.spec import Dataset, Split, Synthetic

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Samples:
    """Features (n × columns, or n × channels × height × width) with a class index or a number each."""

    features: Floats
    targets: npt.NDArray[np.int64] | Floats

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: Indices) -> "Samples":
        return Samples(self.features[rows], self.targets[rows])


@dataclass(frozen=True)
class Data:
    """One data set, ready to train on. `classes` is 0 for regression."""

    training: Samples
    validation: Samples
    test: Samples
    classes: int
    hash: str

    @property
    def sizes(self) -> dict[str, int]:
        return {"train": len(self.training), "validation": len(self.validation), "test": len(self.test)}


def prepare(dataset: Dataset) -> Data:
    """Same dataset fields, same Data, to the last bit, in every rank and on every machine."""
    samples = draw(dataset.synthetic) if dataset.synthetic else load(dataset.builtin)
    classes = int(samples.targets.max()) + 1 if dataset.is_classification else 0
    training, validation, test = split(samples, dataset.split, stratify=dataset.is_classification)
    shift, width = scaling(training.features, dataset.scale)

    def scaled(part: Samples) -> Samples:
        return Samples((part.features - shift) / width, part.targets)

    return Data(scaled(training), scaled(validation), scaled(test), classes, fingerprint(samples))


def load(name: str) -> Samples:
    """A classification set out of the files that scikit-learn ships.

    Read without importing scikit-learn, which would add half a second to the start of every rank.
    """
    if name == "digits":
        table = np.loadtxt(_shipped("digits.csv.gz"), delimiter=",")
        return Samples(table[:, :-1].reshape(-1, 1, 8, 8), table[:, -1].astype(np.int64))
    file = {"iris": "iris.csv", "breast-cancer": "breast_cancer.csv", "wine": "wine_data.csv"}[name]
    table = np.loadtxt(_shipped(file), delimiter=",", skiprows=1)
    return Samples(table[:, :-1], table[:, -1].astype(np.int64))


def _shipped(file: str) -> Path:
    package = importlib.util.find_spec("sklearn")
    for folder in (package.submodule_search_locations or []) if package else []:
        path = Path(folder, "datasets", "data", file)
        if path.exists():
            return path
    raise Refused(
        "InvalidImage",
        f"The image has no scikit-learn data file {file}; use an image with scikit-learn in it.",
    )


def draw(synthetic: Synthetic) -> Samples:
    """Standard normal features; a linear target with noise, or a uniform one that no feature explains."""
    random = np.random.default_rng(synthetic.seed)
    features = random.standard_normal((synthetic.samples, synthetic.features))
    if synthetic.coefficients is None:
        return Samples(features, random.random(synthetic.samples))
    noise = random.normal(0.0, synthetic.noise, synthetic.samples)
    # Summed column by column: a matrix product may round differently from one machine to the next.
    target = sum((features[:, i] * c for i, c in enumerate(synthetic.coefficients)), start=noise)
    return Samples(features, target)


def split(samples: Samples, shares: Split, *, stratify: bool) -> tuple[Samples, Samples, Samples]:
    """Training, validation and test parts by the split's seed, each class in its share of each part.

    Refused where a part with a share, or a class in the training part, would be left without samples.
    """
    random = np.random.default_rng(shares.seed)
    groups = samples.targets if stratify else np.zeros(len(samples))
    rows = [random.permutation(np.flatnonzero(groups == group)) for group in np.unique(groups)]
    test_counts = _apportion([len(group) for group in rows], _rounded(shares.test * len(samples)))
    validation_counts = _apportion(
        [len(group) - test for group, test in zip(rows, test_counts, strict=True)],
        _rounded(shares.validation * len(samples)),
    )
    parts: tuple[list[Indices], list[Indices], list[Indices]] = ([], [], [])
    for group, test, validation in zip(rows, test_counts, validation_counts, strict=True):
        for part, chosen in zip(
            parts, np.split(group, [len(group) - test - validation, len(group) - test]), strict=True
        ):
            part.append(chosen)
    if any(len(group) == 0 for group in parts[0]):
        raise Refused(
            "InvalidDataset",
            f"dataset.split leaves a class without training samples, of {len(samples)} samples in all; "
            "lower validation or test.",
        )
    training, validation_rows, test_rows = (np.sort(np.concatenate(part)) for part in parts)
    for name, share, chosen in (
        ("validation", shares.validation, validation_rows),
        ("test", shares.test, test_rows),
    ):
        if share > 0 and len(chosen) == 0:
            raise Refused(
                "InvalidDataset",
                f"dataset.split.{name} {share:g} of {len(samples)} samples is less than one sample; raise it.",
            )
    return samples.take(training), samples.take(validation_rows), samples.take(test_rows)


def _rounded(value: float) -> int:
    return int(np.floor(value + 0.5))


def _apportion(sizes: list[int], seats: int) -> list[int]:
    """`seats` divided in proportion to `sizes` by largest remainders, ties to the first."""
    seats = min(seats, sum(sizes))
    exact = [seats * size / max(1, sum(sizes)) for size in sizes]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(sizes)), key=lambda i: counts[i] - exact[i])
    for i in by_remainder[: seats - sum(counts)]:
        counts[i] += 1
    return counts


def scaling(features: Floats, scale: str) -> tuple[Floats, Floats]:
    """(shift, width) per column, or per image channel; a constant column keeps width 1."""
    over = (0, *range(2, features.ndim))
    if scale == "none":
        return np.zeros(1), np.ones(1)
    if scale == "minmax":
        shift = features.min(axis=over, keepdims=True)
        width = features.max(axis=over, keepdims=True) - shift
    else:
        shift = features.mean(axis=over, keepdims=True)
        width = features.std(axis=over, keepdims=True)
    return shift, np.where(width > 0, width, 1.0)


def fingerprint(samples: Samples) -> str:
    """SHA-256 over the data before any split or scaling: equal hash, equal data."""
    digest = hashlib.sha256()
    for array in (samples.features, samples.targets):
        digest.update(f"{array.shape} {array.dtype.name}\n".encode())
        digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return f"sha256:{digest.hexdigest()}"
