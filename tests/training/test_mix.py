"""Crop, rotation, mixup and cutmix: geometry, shares and seeds."""

from __future__ import annotations

import pytest
import torch

from training.kinds.augment import augment, mix, random_augment


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def plain(images: torch.Tensor, seed: int = 0, **more: float) -> torch.Tensor:
    return augment(images, seeded(seed), shift=0, flip=False, **more)  # type: ignore[arg-type]


def test_a_crop_enlarges_a_window_that_lies_inside() -> None:
    ramp = torch.linspace(0, 1, 32).expand(64, 1, 24, 32)
    cropped = plain(ramp, crop=0.5)
    steps = cropped[:, 0, 12, 8:24].diff(dim=1)
    share = steps.mean(1) * 31  # of the width that is still seen
    assert share.min() > 0.49 and share.max() <= 1.001
    assert share.std() > 0.1
    assert torch.allclose(steps, steps.mean(1, keepdim=True).expand_as(steps), atol=1e-5)  # a ramp stays a ramp
    assert cropped.min() >= 0 and cropped.max() <= 1


def test_a_rotation_turns_about_the_middle_without_stretching() -> None:
    images = torch.zeros(200, 1, 21, 41)
    images[:, 0, 10, 30] = 1.0  # ten pixels right of the middle
    turned = plain(images, rotate=45)
    weight = turned.sum((1, 2, 3)).clamp(min=1e-6)
    dy = (turned.sum((1, 3)) * (torch.arange(21.0) - 10)).sum(1) / weight
    dx = (turned.sum((1, 2)) * (torch.arange(41.0) - 20)).sum(1) / weight
    assert torch.allclose((dx**2 + dy**2).sqrt(), torch.full((200,), 10.0), atol=0.6)
    angles = torch.rad2deg(torch.atan2(dy, dx))
    assert angles.min() < -35 and angles.max() > 35 and angles.abs().max() < 48


def test_off_means_untouched_and_no_random_number_is_drawn() -> None:
    images, random = torch.rand(8, 3, 9, 9), seeded()
    before = random.get_state()
    assert torch.equal(augment(images, random, shift=0, flip=False), images)
    mixed, _, own = mix(images, random)
    assert torch.equal(mixed, images) and own == 1
    assert torch.equal(random.get_state(), before)


def test_mixup_is_the_weighted_sum_of_a_pair() -> None:
    images = torch.rand(16, 1, 5, 5)
    mixed, partner, own = mix(images, seeded(3), mixup=0.4)
    assert 0 < own < 1
    assert torch.allclose(mixed, own * images + (1 - own) * images[partner])
    assert sorted(partner.tolist()) == list(range(16))


def test_cutmix_pastes_a_rectangle_of_the_share_it_tells() -> None:
    images = torch.arange(16.0).reshape(16, 1, 1, 1).expand(16, 1, 10, 14).clone()
    shares = set()
    for seed in range(20):
        mixed, partner, own = mix(images, seeded(seed), cutmix=1)
        foreign = mixed != images
        for item in range(16):
            if partner[item] != item:
                assert foreign[item].float().mean() == torch.tensor(1 - own, dtype=torch.float32)
                rows, columns = foreign[item, 0].any(1).sum(), foreign[item, 0].any(0).sum()
                assert rows * columns == foreign[item].sum()
        shares.add(round(own, 4))
    assert len(shares) > 15


def test_with_both_the_lot_decides_and_the_seed_repeats_it() -> None:
    images = torch.arange(16.0).reshape(16, 1, 1, 1).expand(16, 1, 8, 8).clone()
    pasted = 0
    for seed in range(40):
        first, again = (mix(images, seeded(seed), mixup=1, cutmix=1) for _ in range(2))
        assert torch.equal(first[0], again[0]) and first[2] == again[2]
        pasted += bool((first[0] == first[0].round()).all())
    assert 8 < pasted < 32


@pytest.mark.parametrize("channels", [1, 3])
def test_randaugment_is_torchvisions_and_hangs_on_the_generator_alone(channels: int) -> None:
    pixels = torch.randint(0, 256, (40, channels, 16, 16), dtype=torch.uint8, generator=seeded(0))
    torch.manual_seed(5)
    before = torch.get_rng_state()
    made = random_augment(pixels, seeded(1), 2, 9)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert torch.equal(random_augment(pixels, seeded(1), 2, 9), made)
    assert not torch.equal(random_augment(pixels, seeded(2), 2, 9), made)
    assert made.shape == pixels.shape and made.dtype == torch.uint8
    assert not torch.equal(made, pixels)


def test_augmentation_is_seeded_and_off_when_told() -> None:
    images = torch.arange(2 * 3 * 8 * 8, dtype=torch.float32).reshape(2, 3, 8, 8)
    seeded = [augment(images, torch.Generator().manual_seed(5), shift=2, erase=3) for _ in range(2)]
    assert torch.equal(*seeded)
    assert not torch.equal(seeded[0], images)
    still = augment(images, torch.Generator().manual_seed(5), shift=0, flip=False)
    assert torch.equal(still, images)


def test_augmentation_shifts_mirrors_and_erases_as_told() -> None:
    images = torch.zeros(200, 1, 9, 9)
    images[:, 0, 4, 2] = 1.0  # one bright pixel, left of the middle
    moved = augment(images, torch.Generator().manual_seed(0), shift=1, flip=True)
    found = {tuple(place) for place in moved.nonzero()[:, 2:].tolist()}
    assert found == {(row, column) for row in (3, 4, 5) for column in (1, 2, 3, 5, 6, 7)}
    erased = augment(torch.ones(200, 2, 9, 9), torch.Generator().manual_seed(0), shift=0, flip=False, erase=3)
    holes = (erased == 0).sum((2, 3))
    assert torch.equal(holes[:, 0], holes[:, 1])
    assert set(holes.flatten().tolist()) <= {1, 2, 3, 4, 6, 9}
    assert holes.max() == 9
