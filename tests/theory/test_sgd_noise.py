import itertools
import math
import re

import numpy as np
import pytest
import torch

from bnlab.randomness import generator
from bnlab.theory.sgd_noise import all_errors, drawn_errors, noise_constant, step_noise

GRADIENTS = torch.tensor([[1.0, 0.0], [3.0, 2.0], [-2.0, 5.0], [0.5, -4.0]])


def test_constant_is_the_trace_of_the_covariance():
    expected = np.trace(np.cov(GRADIENTS.numpy().T.astype(float), bias=True))
    assert noise_constant(GRADIENTS) == pytest.approx(expected, rel=1e-12)


def test_noise_by_hand():
    # one number a gradient, 0 and 2: the mean of two drawn with replacement is 0, 1, 1, 2
    pair = torch.tensor([[0.0], [2.0]])
    assert noise_constant(pair) == 1
    assert step_noise(1.0, 3.0, 2) == pytest.approx(9 * 0.5)
    assert sorted(all_errors(pair, 2, True).flatten().tolist()) == [-1, 0, 0, 1]
    assert step_noise(1.0, 3.0, 2, images=2) == 0


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_formula_against_every_batch(size, replacement):
    """By plain Python over all batches, without the library's enumeration."""
    rows = GRADIENTS.double().tolist()
    mean = [sum(column) / 4 for column in zip(*rows, strict=True)]
    every = itertools.product(rows, repeat=size) if replacement else itertools.combinations(rows, size)
    squares = [
        sum((sum(part) / size - middle) ** 2 for part, middle in zip(zip(*batch, strict=True), mean, strict=True))
        for batch in every
    ]
    expected = step_noise(noise_constant(GRADIENTS), 0.3, size, None if replacement else 4)
    assert 0.09 * sum(squares) / len(squares) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    found = all_errors(GRADIENTS, size, replacement)
    assert len(found) == len(squares)
    assert found.square().sum(1).sum().item() == pytest.approx(sum(squares), rel=1e-12, abs=1e-12)
    assert found.mean(0).abs().max() < 1e-12


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("size", [1, 5, 17])
def test_drawn_batches_follow_the_formula(size, replacement):
    gradients = torch.randn(20, 7, generator=generator(0, "gradients"), dtype=torch.float64)
    found = drawn_errors(gradients, size, 4000, replacement, generator(1, "batches"))
    expected = step_noise(noise_constant(gradients), 1, size, None if replacement else 20)
    error = found.std().item() / math.sqrt(len(found))
    assert abs(found.mean().item() - expected) < 4 * error


def test_a_batch_of_all_different_images_has_no_error():
    assert drawn_errors(GRADIENTS, 4, 50, False, generator(0, "batches")).abs().max() < 1e-12
    assert drawn_errors(GRADIENTS, 4, 50, True, generator(0, "batches")).max() > 0.1


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: all_errors(GRADIENTS, 5, False), "batch_size: 5 different images of 4"),
        (lambda: all_errors(GRADIENTS, 9, True), "batch_size: 9 of 4 images makes 262144 batches"),
        (lambda: drawn_errors(GRADIENTS, 5, 3, False, generator(0, "b")), "batch_size: 5 different images of 4"),
        (lambda: drawn_errors(GRADIENTS, 0, 3, True, generator(0, "b")), "batch_size: 0"),
        (lambda: drawn_errors(GRADIENTS, 1, 0, True, generator(0, "b")), "draws: 0"),
        (lambda: step_noise(-1, 1, 1), "constant: -1"),
        (lambda: step_noise(1, math.nan, 1), "rate: nan"),
        (lambda: step_noise(1, 1, 3, images=2), "batch_size: 3 different images of 2"),
        (lambda: step_noise(1, 1, 1, images=1), "images: 1"),
        (lambda: noise_constant(torch.tensor([[math.nan]])), "gradients: "),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(call, said):
    with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
        call()
