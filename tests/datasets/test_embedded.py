"""`digits` and `digits-rgb`, the data sets that ship with scikit-learn."""

import numpy as np
import pytest
import torch

from bnlab import datasets
from bnlab.datasets.embedded import LUMINANCE, STRIP, crops, handwritten, paint
from bnlab.randomness import generator


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


@pytest.fixture(scope="module")
def coloured():
    return datasets.load("digits-rgb")


def test_digits_are_the_same_bytes_everywhere(digits):
    # Exact: the pixels are computed without rounding, and the split is drawn here, not by scikit-learn.
    assert digits.checksum == "94a7f7ae4c92020b5a52a3f780e2e838adf6718d5eecf6cbdf825fada2369b3b"


def test_digits_are_all_there_and_stratified(digits):
    assert digits.train_images.shape == (1438, 1, 32, 32)
    assert digits.test_images.shape == (359, 1, 32, 32)
    train, test = torch.bincount(digits.train_labels), torch.bincount(digits.test_labels)
    assert (train + test).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert ((test / (train + test)) - 0.2).abs().max() < 0.005
    assert digits.classes == tuple("0123456789")


def test_digits_span_the_whole_range():
    images, _ = handwritten(8)
    assert (images.min(), images.max()) == (0, 255)
    assert len(images.unique()) == 17  # 0..16 of the original


def test_digits_are_bilinear():
    # Bilinear interpolation by hand, with half-pixel centres and the edge repeated.
    small = handwritten(8)[0][:20, 0].double().numpy()
    exact = np.round(small * 16 / 255) * 255 / 16
    position = np.clip((np.arange(32) + 0.5) / 4 - 0.5, 0, 7)
    low = np.floor(position).astype(int).clip(max=6)
    weights = np.zeros((32, 8))
    weights[np.arange(32), low] = 1 - (position - low)
    weights[np.arange(32), low + 1] = position - low
    expected = np.round(weights @ exact @ weights.T)
    np.testing.assert_array_equal(handwritten(32)[0][:20, 0].numpy(), expected)


@pytest.mark.parametrize("size", [8, 16])
def test_smaller_digits_keep_the_split(digits, size):
    small = datasets.load("digits", size=size)
    assert small.train_images.shape == (1438, 1, size, size)
    assert torch.equal(small.test_labels, digits.test_labels)


def test_coloured_digits_keep_labels_and_split(digits, coloured):
    assert coloured.train_images.shape == (1438, 3, 32, 32)
    assert coloured.test_images.shape == (359, 3, 32, 32)
    assert torch.equal(coloured.train_labels, digits.train_labels)
    assert torch.equal(coloured.test_labels, digits.test_labels)


def test_coloured_digits_are_fixed(coloured):
    # Within one machine to the byte; across machines up to the JPEG decoder, hence the tolerances of the tests below.
    assert datasets.load("digits-rgb").checksum == coloured.checksum


def test_coloured_digits_have_the_statistics_of_photographs(coloured):
    assert (coloured.mean - torch.tensor([0.46, 0.48, 0.46])).abs().max() < 0.05
    assert ((coloured.std > 0.2) & (coloured.std < 0.33)).all()
    pixels = coloured.train_images[:, 0].double()
    left, right = pixels[:, :, :-1].flatten(), pixels[:, :, 1:].flatten()
    assert torch.corrcoef(torch.stack([left, right]))[0, 1] > 0.9  # neighbouring pixels are alike, as in any photograph


def test_digits_show_on_their_backgrounds(digits, coloured):
    luminance = (coloured.test_images.long() * LUMINANCE.view(1, 3, 1, 1)).sum(1) // 256
    strokes = digits.test_images[:, 0]
    inside, outside = strokes > 200, strokes == 0
    difference = torch.stack(
        [
            picture[i].double().mean() - picture[o].double().mean()
            for picture, i, o in zip(luminance, inside, outside, strict=True)
        ]
    )
    assert difference.abs().median() > 60  # visible
    assert difference.std() > 60  # varied
    assert 0.25 < (difference > 0).double().mean() < 0.75  # light on dark and dark on light


def test_hues_vary(digits, coloured):
    inside = digits.test_images > 200
    colours = (coloured.test_images * inside).sum((2, 3)) / inside.sum((2, 3))
    assert (colours.max(1).values - colours.min(1).values).median() > 30


def test_training_and_test_backgrounds_never_share_a_column():
    # A photograph in which a pixel tells its column (red: strip, green: column within it).
    columns = torch.arange(640)
    rows = torch.stack([columns // STRIP, columns % STRIP, columns * 0]).to(torch.uint8)  # (3, 640)
    photograph = rows[:, None].expand(3, 427, 640)
    seen = {}
    for split in ("train", "test"):
        backgrounds = crops([photograph], 400, split)
        reds = backgrounds[:, 0].flatten(1)
        assert torch.equal(reds.amax(1), reds.amin(1))  # no crop crosses a strip
        seen[split] = set(backgrounds[:, 0].unique().tolist())
        assert backgrounds[:, 1].min() == 0
        assert backgrounds[:, 1].max() >= STRIP - 2  # the whole strip is used
    assert seen == {"train": {0, 1, 3, 4, 6, 7}, "test": {2, 5}}


def test_paint_leaves_the_background_where_there_is_no_stroke():
    backgrounds = torch.randint(0, 256, (6, 3, 8, 8), generator=generator(0, "test")).to(torch.uint8)
    strokes = torch.zeros(6, 1, 8, 8, dtype=torch.uint8)
    strokes[:, :, 2:4] = 255
    painted = paint(strokes, backgrounds, generator(1, "test"))
    assert torch.equal(painted[:, :, 4:], backgrounds[:, :, 4:])
    # Where the stroke is whole at most 15 % of the background shows: what remains of its variation.
    assert (painted[:, :, 2:4].double().std((2, 3)) < 0.2 * backgrounds[:, :, 2:4].double().std((2, 3))).all()


def test_no_test_image_is_a_training_image(coloured):
    train = {image.numpy().tobytes() for image in coloured.train_images}
    assert len(train) == 1438
    assert not train & {image.numpy().tobytes() for image in coloured.test_images}


def test_coloured_digits_can_be_learnt_but_not_by_a_linear_classifier(coloured):
    # Ridge regression on pixels, and on the absolute differences of neighbouring pixels, which forget the colours.
    pixels = {s: coloured.normalise(getattr(coloured, f"{s}_images"), torch.float64) for s in ("train", "test")}
    targets = torch.nn.functional.one_hot(coloured.train_labels, 10).double()

    def accuracy(features):
        x, x_test = features(pixels["train"]), features(pixels["test"])
        x, x_test = x - x.mean(0), x_test - x.mean(0)
        weights = torch.linalg.solve(x.T @ x + 300 * torch.eye(x.shape[1], dtype=x.dtype), x.T @ targets)
        return ((x_test @ weights).argmax(1) == coloured.test_labels).double().mean().item()

    def edges(x):
        pooled = [torch.nn.functional.avg_pool2d(x.diff(dim=d).abs().amax(1, keepdim=True), 3) for d in (2, 3)]
        return torch.cat([p.flatten(1) for p in pooled], 1)

    linear, edge = accuracy(lambda x: torch.nn.functional.avg_pool2d(x, 2).flatten(1)), accuracy(edges)
    assert 0.2 < linear < 0.6
    assert edge > 0.6
