"""Shift and width per column, or per image channel, as the training part shows them."""

from dataclasses import dataclass

import numpy as np

from loadstar_trainer.data.samples import Array, Floats, Samples

ROWS = 4096  # scaled at once where the whole would take several times the memory of the data


@dataclass(frozen=True)
class Scaling:
    """(features - shift) / width."""

    shift: Floats
    width: Floats

    def apply(self, samples: Samples) -> Samples:
        """Scaled features: float64 stay so, all others become float32 piece by piece."""
        if samples.features.dtype == np.float64:
            return Samples((samples.features - self.shift) / self.width, samples.targets)
        scaled = np.empty(samples.features.shape, np.float32)
        for start in range(0, len(samples), ROWS):
            piece = slice(start, start + ROWS)
            scaled[piece] = (samples.features[piece] - self.shift) / self.width
        return Samples(scaled, samples.targets)


IDENTITY = Scaling(np.zeros(1), np.ones(1))


def fit(features: Array, scale: str) -> Scaling:
    """By these rows. A constant column keeps width 1."""
    if scale == "none":
        return IDENTITY
    if features.dtype != np.float64:
        moments = Moments()
        for start in range(0, len(features), ROWS):
            moments.add(features[start : start + ROWS])
        return moments.scaling(scale)
    over = (0, *range(2, features.ndim))
    if scale == "minmax":
        shift = features.min(axis=over, keepdims=True)
        width = features.max(axis=over, keepdims=True) - shift
    else:
        shift = features.mean(axis=over, keepdims=True)
        width = features.std(axis=over, keepdims=True)
    return Scaling(shift, np.where(width > 0, width, 1.0))


class Moments:
    """Extremes, mean and summed squares of deviations, merged piece by piece (Chan, Golub and LeVeque)."""

    def __init__(self) -> None:
        self.count = 0
        self.low = self.high = self.mean = self.squares = np.zeros(1)

    def add(self, features: Array) -> None:
        if len(features) == 0:
            return
        piece = features.astype(np.float64)
        over = (0, *range(2, piece.ndim))
        count = piece.size // piece.shape[1]
        low, high = piece.min(axis=over, keepdims=True), piece.max(axis=over, keepdims=True)
        mean = piece.mean(axis=over, keepdims=True)
        squares = np.square(piece - mean).sum(axis=over, keepdims=True)
        if self.count == 0:
            self.count, self.low, self.high, self.mean, self.squares = count, low, high, mean, squares
            return
        total = self.count + count
        delta = mean - self.mean
        self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)
        self.mean = self.mean + delta * (count / total)
        self.squares = self.squares + squares + delta**2 * (self.count * count / total)
        self.count = total

    def scaling(self, scale: str) -> Scaling:
        """As `fit` would make it of all that was added, but for rounding."""
        if scale == "minmax":
            shift, width = self.low, self.high - self.low
        else:
            shift, width = self.mean, np.sqrt(self.squares / self.count)
        return Scaling(shift, np.where(width > 0, width, 1.0))
