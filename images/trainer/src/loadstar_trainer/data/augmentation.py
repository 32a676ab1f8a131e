"""Random changes of training images: a function of seed, epoch and place in the epoch's order alone.

So a resumed run, and one on another number of ranks, changes each image just as the uninterrupted one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from loadstar_trainer.spec import Augment

_GOLDEN, _FIRST, _SECOND = -7046029254386353131, -4658895280553007687, -7723592293110705685


@dataclass(frozen=True)
class Augmentation:
    """The changes, one after another, to images (n × channels × height × width). What comes in from outside an image
    is its edge, repeated."""

    changes: Sequence[Augment]
    seed: int

    def __call__(self, images: torch.Tensor, epoch: int, positions: torch.Tensor) -> torch.Tensor:
        for number, change in enumerate(self.changes):
            keys = positions.to(images.device), (self.seed, epoch, number)
            if change.type == "rotate":
                images = rotate(images, (2 * uniform(*keys, 0) - 1) * change.degrees)
            elif change.type == "flip":
                images = torch.where((uniform(*keys, 0) < 0.5)[:, None, None, None], images.flip(-1), images)
            else:
                down, right = (uniform(*keys, axis) for axis in (0, 1))
                images = shift(images, change.padding, down, right)
        return images


def uniform(positions: torch.Tensor, key: tuple[int, ...], draw: int) -> torch.Tensor:
    """A number in [0, 1) for each position: SplitMix64 of position and key, the same on every device."""
    state = torch.zeros_like(positions, dtype=torch.int64)
    for part in (*key, draw):
        state = _mixed(state + part)
    bits = _shifted(_mixed(state + positions), 11)
    return bits.double() / 2**53


def rotate(images: torch.Tensor, degrees: torch.Tensor) -> torch.Tensor:
    """Each image about its centre, pixels between pixels interpolated."""
    height, width = images.shape[2:]
    angle = degrees * (math.pi / 180)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    zero = torch.zeros_like(angle)
    # Coordinates run from -1 to 1 along both sides, so a side's length comes in where they differ.
    rows = [cosine, sine * (height / width), zero, -sine * (width / height), cosine, zero]
    matrices = torch.stack(rows, dim=1).reshape(-1, 2, 3).to(images.dtype)
    grid = functional.affine_grid(matrices, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def shift(images: torch.Tensor, padding: int, down: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """A crop of the image's own size out of the image with a border; `down` and `right` in [0, 1) say where."""
    height, width = images.shape[2:]
    steps = 2 * padding + 1
    offsets = [(at * steps).floor().long() - padding for at in (down, right)]
    device = images.device
    rows = (torch.arange(height, device=device) + offsets[0][:, None]).clamp(0, height - 1)
    columns = (torch.arange(width, device=device) + offsets[1][:, None]).clamp(0, width - 1)
    images = images.gather(2, rows[:, None, :, None].expand_as(images))
    return images.gather(3, columns[:, None, None, :].expand_as(images))


def _mixed(state: torch.Tensor) -> torch.Tensor:
    state = state + _GOLDEN
    state = (state ^ _shifted(state, 30)) * _FIRST
    state = (state ^ _shifted(state, 27)) * _SECOND
    return state ^ _shifted(state, 31)


def _shifted(state: torch.Tensor, bits: int) -> torch.Tensor:
    """To the right, with zeros coming in: the type has a sign, and Python's operator would copy it."""
    return (state >> bits) & ((1 << (64 - bits)) - 1)
