"""Which rows train, which validate, which test: by the split's seed alone, each class in its share of each part."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from loadstar_trainer.data.samples import Array, Indices
from loadstar_trainer.failures import Refused
from loadstar_trainer.spec import Split


@dataclass(frozen=True)
class Rows:
    """Row numbers of each part, ascending; no row is in two."""

    training: Indices
    validation: Indices
    test: Indices


def split(groups: Array, shares: Split, labels: Sequence[str] = ()) -> Rows:
    """Training, validation and test rows, each group (class) in its share of each part.

    `labels` are the groups' names for messages. Refused where a part with a share, or a group in the training part,
    would be left without rows.
    """
    random = np.random.default_rng(shares.seed)
    rows = [random.permutation(np.flatnonzero(groups == group)) for group in np.unique(groups)]
    test_counts = _apportion([len(group) for group in rows], _rounded(shares.test * len(groups)))
    validation_counts = _apportion(
        [len(group) - test for group, test in zip(rows, test_counts, strict=True)],
        _rounded(shares.validation * len(groups)),
    )
    parts: tuple[list[Indices], list[Indices], list[Indices]] = ([], [], [])
    for group, test, validation in zip(rows, test_counts, validation_counts, strict=True):
        for part, chosen in zip(
            parts, np.split(group, [len(group) - test - validation, len(group) - test]), strict=True
        ):
            part.append(chosen)
    require_training([len(group) for group in parts[0]], len(groups), labels)
    result = Rows(*(np.sort(np.concatenate(part)) for part in parts))
    for name, share, chosen in (
        ("validation", shares.validation, result.validation),
        ("test", shares.test, result.test),
    ):
        if share > 0 and len(chosen) == 0:
            raise Refused(
                "InvalidDataset",
                f"dataset.split.{name} {share:g} of {len(groups)} samples is less than one sample; raise it.",
            )
    return result


def folds(groups: Array, count: int, shares: Split) -> Iterator[Rows]:
    """`count` divisions for cross-validation: each row tests once, each group is spread evenly over the folds.

    Of the rows that do not test, `shares.validation` (of all rows) validate. Refused where a fold has no rows.
    """
    if count > len(groups):
        raise Refused(
            "InvalidDataset",
            f"evaluation.crossValidation.folds is {count} and there are {len(groups)} samples; lower it.",
        )
    random = np.random.default_rng(shares.seed)
    dealt = np.concatenate(
        [random.permutation(np.flatnonzero(groups == group)) for group in np.unique(groups)]
    )
    fold_of = np.empty(len(groups), np.int64)
    # Dealt out like cards, group after group: neither folds nor a group's shares differ by more than one.
    fold_of[dealt] = np.arange(len(groups)) % count
    for fold in range(count):
        rest = np.flatnonzero(fold_of != fold)
        validation = shares.validation * len(groups) / len(rest)
        inner = split(groups[rest], Split(validation, 0.0, shares.seed))
        yield Rows(rest[inner.training], rest[inner.validation], np.flatnonzero(fold_of == fold))


def require_training(counts: Sequence[int], total: int, labels: Sequence[str]) -> None:
    """Refused where a group has no training rows; `total` is the number of all rows."""
    for number, count in enumerate(counts):
        if count == 0:
            which = f"class {labels[number]!r}" if number < len(labels) else "a class"
            raise Refused(
                "InvalidDataset",
                f"dataset.split leaves {which} without training samples, of {total} samples in all; "
                "lower validation or test.",
            )


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
