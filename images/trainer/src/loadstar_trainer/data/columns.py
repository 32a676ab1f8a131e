"""Which columns of a table are features, and which is the target."""

from collections.abc import Sequence
from dataclasses import dataclass

from loadstar_trainer.data.refusals import listed, refusal
from loadstar_trainer.spec import Dataset


@dataclass(frozen=True)
class Choice:
    """Numbers of columns in the file, from 0."""

    names: tuple[str, ...]
    features: tuple[int, ...]
    target: int
    target_name: str


def choose(file: str, header: Sequence[str], dataset: Dataset) -> Choice:
    """As dataset.target, features and textColumn say; Refused, with the columns there are, where one is not there."""
    for number, name in enumerate(header):
        if name and name in header[:number]:
            raise refusal(file, f"two columns are named {name!r}; give each its own name")
    target = _target(file, header, dataset.target)
    named = (dataset.text_column,) if dataset.text_column is not None else dataset.features
    features = [_find(file, header, name, "features") for name in named]
    if not named:
        features = [number for number in range(len(header)) if number != target]
        unnamed = next((number for number in features if not header[number]), None)
        if unnamed is not None:
            raise refusal(
                file,
                f"column {unnamed + 1} has no name (an index that was saved along?); name it, or name the "
                "columns to use in dataset.features",
            )
    if target in features:
        raise refusal(file, f"column {header[target]!r} is the target and a feature; remove it from one")
    if not features:
        raise refusal(
            file, f"besides the target {header[target]!r} there is no column; give features to learn from"
        )
    return Choice(tuple(header[number] for number in features), tuple(features), target, header[target])


def _target(file: str, header: Sequence[str], target: str | int | None) -> int:
    if isinstance(target, str):
        return _find(file, header, target, "target")
    index = -1 if target is None else target
    if not -len(header) <= index < len(header):
        raise refusal(
            file,
            f"dataset.target is {index} and there are {len(header)} columns; give 0 to {len(header) - 1}, or a name",
        )
    return index % len(header)


def _find(file: str, header: Sequence[str], name: str, field: str) -> int:
    if name in header:
        return header.index(name)
    raise refusal(
        file, f"there is no column {name!r} as dataset.{field} says; the columns are {listed(list(header))}"
    )
