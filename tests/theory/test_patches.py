"""Unrolling is the convolution (Chai et al. 2020, figure 2); pixels keep to their channel's block rows (figure 4)."""

import itertools

import pytest
import torch
from torch.nn import functional

from bnlab.theory import patches

GEOMETRIES = [
    dict(kernel_size=3),
    dict(kernel_size=(2, 3), stride=(1, 2), padding=(0, 1)),
    dict(kernel_size=(3, 2), stride=2, padding=2, dilation=(1, 2)),
    dict(kernel_size=1),
    dict(kernel_size=(7, 6)),
]


def loop_unroll(x, kernel_size, stride=1, padding=0, dilation=1):
    """The definition, one number at a time."""
    (h, w), (sh, sw), (ph, pw), (dh, dw) = (
        v if isinstance(v, tuple) else (v, v) for v in (kernel_size, stride, padding, dilation)
    )
    batch, channels, height, width = x.shape
    rows = range(-ph, height + ph - dh * (h - 1), sh)
    columns = range(-pw, width + pw - dw * (w - 1), sw)
    out = torch.zeros(batch, channels * h * w, len(rows) * len(columns), dtype=x.dtype)
    for b, (k, (c, i, j)), (m, (r, s)) in itertools.product(
        range(batch),
        enumerate(itertools.product(range(channels), range(h), range(w))),
        enumerate(itertools.product(rows, columns)),
    ):
        row, column = r + i * dh, s + j * dw
        if 0 <= row < height and 0 <= column < width:
            out[b, k, m] = x[b, c, row, column]
    return out


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.int64, torch.uint8, torch.bool])
def test_unroll_is_the_definition_in_every_dtype(geometry, dtype):
    x = torch.arange(2 * 3 * 7 * 6).reshape(2, 3, 7, 6).remainder(251).to(dtype)
    unrolled = patches.unroll(x, **geometry)
    assert unrolled.dtype == dtype
    assert torch.equal(unrolled, loop_unroll(x, **geometry))


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_convolution_is_weights_times_patches(geometry):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 2, 7, 6, dtype=torch.float64, generator=generator)
    height, width = patches.geometry(**geometry).kernel_size
    weight = torch.randn(3, 2, height, width, dtype=torch.float64, generator=generator)
    options = {name: value for name, value in geometry.items() if name != "kernel_size"}
    expected = functional.conv2d(x, weight, **options)
    size = patches.output_size((7, 6), **geometry)
    unrolled = weight.flatten(1) @ patches.unroll(x, **geometry)
    assert size == tuple(expected.shape[2:])
    torch.testing.assert_close(patches.fold_output(unrolled, size), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("size", "channels", "positions"), [(28, 1, 576), (32, 1, 784), (14, 6, 100), (12, 6, 64)])
def test_the_shapes_of_lenet(size, channels, positions):
    assert patches.unroll(torch.zeros(2, channels, size, size), 5).shape == (2, channels * 25, positions)


def test_each_axis_has_its_own_room():
    """A flat kernel fits a flat map, and a tall one does not."""
    assert patches.output_size((3, 9), (1, 5)) == (3, 5)
    assert patches.output_size((9, 3), (5, 1)) == (5, 3)
    for size, kernel in (((3, 9), (5, 1)), ((9, 3), (1, 5))):
        with pytest.raises(ValueError, match="more than the input"):
            patches.output_size(size, kernel)


def test_pixels_stay_in_the_block_rows_of_their_channel():
    x = torch.arange(3).reshape(1, 3, 1, 1).expand(1, 3, 6, 6)
    unrolled = patches.unroll(x, (3, 2))
    assert torch.equal(unrolled[0], torch.arange(3).repeat_interleave(6)[:, None].expand(18, 20))


def test_unroll_is_linear_and_differentiable():
    # <unroll(x), G> = <x, fold(G)>: the gradient of a sum over windows counts the windows that hold the pixel.
    x = torch.zeros(1, 1, 5, 5, dtype=torch.float64, requires_grad=True)
    patches.unroll(x, 3).sum().backward()
    edge = torch.tensor([1.0, 2, 3, 2, 1], dtype=torch.float64)
    assert torch.equal(x.grad[0, 0], torch.outer(edge, edge))


@pytest.mark.parametrize(
    ("size", "kernel", "padding"), [(28, 5, 0), (14, 5, 0), (6, 5, 0), (9, (3, 5), (1, 2)), (5, 3, 4)]
)
def test_full_slide_fraction_counts_positions(size, kernel, padding):
    labels = torch.arange(1, size * size + 1).reshape(1, 1, size, size)  # 0 is the padding
    unrolled = patches.unroll(labels, kernel, padding=padding)[0]
    everywhere = set(unrolled[0].tolist()).intersection(*(set(row.tolist()) for row in unrolled)) - {0}
    assert patches.full_slide_fraction(size, kernel, padding) == pytest.approx(len(everywhere) / size**2, abs=1e-15)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: patches.unroll(torch.zeros(3, 7, 7), 3), r"x: shape \(3, 7, 7\) is not \(B, C, H, W\)"),
        (lambda: patches.unroll(torch.zeros(1, 1, 4, 4), 5), r"kernel_size: \(5, 5\) .* 5 x 5, more than .* 4 x 4"),
        (lambda: patches.unroll(torch.zeros(1, 1, 4, 4), 0), r"kernel_size: 0 is not .* at least 1"),
        (lambda: patches.unroll(torch.zeros(1, 1, 4, 4), 2, padding=-1), r"padding: -1 is not .* at least 0"),
        (lambda: patches.unroll(torch.zeros(1, 1, 4, 4), 2, stride=1.5), "stride: 1.5 is not"),
        (lambda: patches.unroll(torch.zeros(1, 1, 4, 4), (2, 2, 2)), "kernel_size: .* is not an integer or a pair"),
        (lambda: patches.output_size(4, 3, dilation=2), "spans 5 x 5"),
        (lambda: patches.fold_output(torch.zeros(1, 2, 7), (2, 3)), r"y: shape \(1, 2, 7\) does not end in 2 x 3 = 6"),
        (lambda: patches.full_slide_fraction(4, 5), "kernel_size"),
    ],
)
def test_bad_shapes_are_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)
