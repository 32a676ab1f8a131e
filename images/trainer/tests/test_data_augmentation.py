"""Random changes of images: what each does, and that nothing but seed, epoch and position decides it."""

import pytest
import torch

from loadstar_trainer.data.augmentation import Augmentation, rotate, shift, uniform
from loadstar_trainer.spec import Augment

IMAGES = torch.rand(200, 2, 6, 8, generator=torch.Generator().manual_seed(0))
POSITIONS = torch.arange(200)
ALL = (Augment("rotate", degrees=20.0), Augment("flip"), Augment("crop", padding=2))


def test_a_batch_cut_in_two_is_changed_alike() -> None:
    change = Augmentation(ALL, seed=3)
    parts = [change(IMAGES[part], 5, POSITIONS[part]) for part in (slice(0, 77), slice(77, 200))]
    assert torch.allclose(torch.cat(parts), change(IMAGES, 5, POSITIONS))


@pytest.mark.parametrize(("seed", "epoch", "first"), [(4, 5, 0), (3, 6, 0), (3, 5, 1)])
def test_seed_epoch_and_position_each_make_a_difference(seed: int, epoch: int, first: int) -> None:
    one = Augmentation(ALL, seed=3)(IMAGES, 5, POSITIONS)
    assert not torch.allclose(Augmentation(ALL, seed)(IMAGES, epoch, POSITIONS + first), one)


def test_random_numbers_are_uniform_and_independent() -> None:
    positions = torch.arange(100_000)
    draws = torch.stack([uniform(positions, (0, 1, 0), draw) for draw in (0, 1)])
    assert draws.min() >= 0
    assert draws.max() < 1
    assert draws.mean(dim=1).tolist() == pytest.approx([0.5, 0.5], abs=0.005)
    assert draws.var(dim=1).tolist() == pytest.approx([1 / 12, 1 / 12], abs=0.002)
    assert abs(float(torch.corrcoef(draws)[0, 1])) < 0.02


def test_flips_half_of_the_images() -> None:
    changed = Augmentation((Augment("flip"),), 0)(IMAGES, 1, POSITIONS)
    flipped = [torch.equal(after, before.flip(-1)) for after, before in zip(changed, IMAGES, strict=True)]
    same = [torch.equal(after, before) for after, before in zip(changed, IMAGES, strict=True)]
    assert sum(flipped) + sum(same) == 200
    assert 70 <= sum(flipped) <= 130


def test_crops_move_an_image_and_repeat_its_edge() -> None:
    moved = shift(IMAGES[:1], 2, torch.tensor([0.99]), torch.tensor([0.0]))[0]
    assert torch.equal(moved[:, :4, 2:], IMAGES[0, :, 2:, :6])
    assert torch.equal(moved[:, 4:, 2:], IMAGES[0, :, 5:, :6].expand(2, 2, 6))
    assert torch.equal(moved[:, :4, :2], IMAGES[0, :, 2:, :1].expand(2, 4, 2))


def test_all_places_of_a_crop_come_up() -> None:
    ramp = torch.arange(48.0).reshape(1, 1, 6, 8).expand(2000, 1, 6, 8)
    changed = Augmentation((Augment("crop", padding=2),), 0)(ramp, 1, torch.arange(2000))
    assert len({float(image[0, 2, 2]) for image in changed}) == 25


def test_a_quarter_turn_is_exact_on_a_square() -> None:
    square = IMAGES[:3, :, :, :6]
    turned = rotate(square, torch.full((3,), 90.0))
    assert torch.allclose(turned, square.rot90(-1, (2, 3)), atol=1e-5)


def test_a_turn_of_an_oblong_image_keeps_its_centre_and_its_lengths() -> None:
    cross = torch.zeros(1, 1, 9, 21)
    cross[0, 0, 4, 7:14] = 1.0
    turned = rotate(cross, torch.tensor([90.0]))
    assert turned[0, 0, 1:8, 10].tolist() == pytest.approx([1.0] * 7, abs=1e-4)
    assert float(turned.sum()) == pytest.approx(7.0, abs=1e-3)


def test_turns_stay_within_the_degrees() -> None:
    changed = Augmentation((Augment("rotate", degrees=1e-4),), 0)(IMAGES, 1, POSITIONS)
    assert torch.allclose(changed, IMAGES, atol=1e-4)
    assert changed.dtype == IMAGES.dtype
