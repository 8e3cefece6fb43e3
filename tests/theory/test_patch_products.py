"""Products of patches without unrolling, by every way, against the unrolled patches."""

import os
import subprocess
import sys

import pytest
import torch
from torch.nn import functional

from bnlab.theory import patch_products as products
from bnlab.theory.patches import geometry

WAYS = [products.by_patches, products.by_rows, products.by_pixels, products.patch_products]
GEOMETRIES = [
    ((2, 6, 14, 14), (5, 1, 0, 1)),
    ((2, 64, 8, 8), (3, 1, 1, 1)),
    ((3, 2, 9, 7), ((3, 2), (2, 1), (1, 2), (2, 1))),
    ((2, 3, 6, 11), ((1, 4), (3, 2), (0, 1), (1, 3))),
    ((4, 2, 5, 5), (5, 1, 0, 1)),  # one position
    ((1, 1, 3, 3), (3, 2, 3, 1)),  # windows that see padding alone
]


def drawn(shape, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).add_(0.3).to(dtype)


def unrolled(x, kernel_size, stride, padding, dilation):
    columns = functional.unfold(x.double(), kernel_size, dilation, padding, stride).transpose(0, 1).flatten(1)
    return columns @ columns.T


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize(("shape", "arguments"), GEOMETRIES, ids=str)
def test_every_way_gives_the_unrolled_products(way, shape, arguments):
    x = drawn(shape)
    expected = unrolled(x, *arguments)
    torch.testing.assert_close(way(x, geometry(*arguments)), expected, rtol=0, atol=1e-12 * expected.abs().max().item())


@pytest.mark.parametrize(("shape", "arguments"), [((1024, 6, 14, 14), (5, 1, 0, 1)), ((512, 64, 8, 8), (3, 1, 1, 1))])
def test_sums_over_many_images_are_as_exact(shape, arguments):
    x = drawn(shape)
    expected = sum(unrolled(part, *arguments) for part in x.split(64))
    torch.testing.assert_close(
        products.patch_products(x, geometry(*arguments)), expected, rtol=0, atol=1e-12 * expected.abs().max().item()
    )


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_images_in_pieces_are_the_images_at_once(way, monkeypatch):
    x, window = drawn((7, 3, 6, 6)), geometry(3)
    at_once = way(x, window)
    monkeypatch.setattr(products, "PIECE", 2 * x[0].numel())
    monkeypatch.setattr(products, "UNROLLED", 2 * 27 * 16)
    torch.testing.assert_close(way(x, window), at_once, rtol=1e-13, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "arguments", "way"),
    [
        ((6, 14, 14), (5,), products.by_rows),
        ((64, 8, 8), (3, 1, 1), products.by_pixels),
        ((1, 32, 32), (5,), products.by_rows),
        ((3, 224, 224), (7, 2, 3), products.by_patches),
        ((8, 9, 9), (3, 3), products.by_patches),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_the_way_is_chosen_by_its_cost(shape, arguments, way):
    assert products._cheapest(torch.Size(shape), geometry(*arguments)) is way


MEMORY = """
import torch
from bnlab.theory.patch_products import patch_products
from bnlab.theory.patches import geometry

def kilobytes(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))

torch.set_num_threads(1)
x, window = torch.rand({shape}), geometry({arguments})
patch_products(x[:4], window)
open("/proc/self/clear_refs", "w").write("5")  # forget the largest size so far
before = kilobytes("VmRSS")
patch_products(x, window)
print(kilobytes("VmHWM") - before)
"""


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="needs Linux to say how much was in use")
@pytest.mark.parametrize(
    ("shape", "arguments", "unrolled"),
    [((1024, 6, 14, 14), "5", 1024 * 150 * 100), ((512, 64, 8, 8), "3, 1, 1", 512 * 576 * 64)],
    ids=str,
)
def test_a_quarter_of_the_memory_of_unrolling_is_enough(shape, arguments, unrolled):
    program = MEMORY.format(shape=shape, arguments=arguments)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * 1024 < unrolled * 4 / 4  # a quarter of float32


def test_refusals():
    with pytest.raises(ValueError, match=r"x: shape \(2, 3\) is not \(B, C, H, W\)"):
        products.patch_products(torch.ones(2, 3), geometry(1))
    with pytest.raises(ValueError, match="kernel_size: "):
        products.patch_products(torch.ones(1, 1, 2, 2), geometry(3))
