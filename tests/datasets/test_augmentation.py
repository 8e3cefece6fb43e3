import pytest
import torch
from torch.nn import functional

from bnlab.datasets.augmentation import crop_and_flip
from bnlab.randomness import generator


def images(count: int = 400) -> torch.Tensor:
    """Every pixel says where it is, and no pixel is 0."""
    return torch.arange(1, 1 + 3 * 5 * 6, dtype=torch.float32).view(1, 3, 5, 6).repeat(count, 1, 1, 1)


def test_every_result_is_one_of_the_crops_and_all_of_them_come():
    pad, whole = 2, images(1)
    padded = functional.pad(whole, (pad,) * 4)
    crops = [padded[0, :, y : y + 5, x : x + 6] for y in range(2 * pad + 1) for x in range(2 * pad + 1)]
    known = {crop.numpy().tobytes(): ("as it is", k) for k, crop in enumerate(crops)}
    known |= {crop.flip(2).numpy().tobytes(): ("flipped", k) for k, crop in enumerate(crops)}
    made = crop_and_flip(images(), generator(0, "augmentation"), pad)
    found = [known[one.contiguous().numpy().tobytes()] for one in made]
    assert {k for _, k in found} == set(range(25))
    flipped = sum(word == "flipped" for word, _ in found)
    assert 160 < flipped < 240  # of 400: four standard deviations around half


def test_images_are_moved_independently():
    made = crop_and_flip(images(50), generator(1, "augmentation"))
    assert len({one.contiguous().numpy().tobytes() for one in made}) > 30


def test_same_generator_same_images_and_no_padding_no_crop():
    one, other = (crop_and_flip(images(), generator(3, "augmentation")) for _ in range(2))
    assert torch.equal(one, other)
    still = crop_and_flip(images(), generator(3, "augmentation"), pad=0)
    assert all(torch.equal(a, b) or torch.equal(a, b.flip(2)) for a, b in zip(still, images(), strict=True))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"images": torch.zeros(2, 3, 4)}, "images"), ({"images": torch.zeros(1, 1, 2, 2), "pad": -1}, "pad")],
)
def test_wrong_arguments_are_refused(wrong, said):
    with pytest.raises(ValueError, match=f"^{said}: "):
        crop_and_flip(generator=generator(0, "augmentation"), **wrong)
