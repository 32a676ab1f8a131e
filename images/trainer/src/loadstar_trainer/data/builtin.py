"""Data that need no file of the user's: scikit-learn's sets, and regression problems drawn by a seed."""

import importlib.util
from pathlib import Path

import numpy as np

from loadstar_trainer.data.samples import Samples
from loadstar_trainer.failures import Refused
from loadstar_trainer.spec import Synthetic


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
