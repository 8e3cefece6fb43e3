"""Shift of moments, on networks that are not the book's."""

import math

import pytest
import torch
from convolutional import convolutional, numbers
from torch.nn import functional

from bnlab.measures import shift

IMAGES, LABELS = numbers(7, 2, 6, 6), torch.tensor([0, 1, 2, 0, 1, 2, 0])


def test_moments_by_hand():
    found = shift.moments(torch.tensor([[[1.0, 3.0]], [[5.0, 7.0]]]))  # one channel, two images of two positions
    assert found.mean.tolist() == [4.0]
    assert found.deviation.tolist() == [math.sqrt(5.0)]
    apart = shift.moments(torch.tensor([[0.0, 10.0], [2.0, 10.0]]))  # deviations 1, 0
    moved = shift.moments(torch.tensor([[3.0, 10.0], [9.0, 16.0]]))  # means 6, 13, deviations 3, 3
    assert shift.moment_drift(apart, moved) == pytest.approx(math.sqrt(((5**2 + 2**2) + (3**2 + 3**2)) / 2 / 0.5))
    assert shift.moment_drift(apart, apart) == 0
    still = shift.moments(torch.zeros(3, 2))
    assert shift.moment_drift(still, still) == 0
    assert shift.moment_drift(still, apart) == math.inf
    with pytest.raises(ValueError, match=r"after: 3 units beside 2 before"):
        shift.moment_drift(still, shift.moments(torch.zeros(3, 3)))


def test_percentiles_are_numpys():
    values = numbers(50, 4)
    found = shift.percentiles(values)
    expected = torch.tensor([[v.quantile(q).item() for v in values.T] for q in shift.PERCENTILES], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    assert found[0, 0] < found[1, 0] < found[2, 0]


@pytest.mark.parametrize("norm", [True, False])
def test_layer_moments_are_those_of_the_values(norm):
    net = convolutional(norm)
    last, inside = str(len(net) - 1), str(len(net) - 3)
    found = shift.layer_moments(net, IMAGES, (last, inside))
    with torch.no_grad():
        entering = net[:-1](IMAGES)
    torch.testing.assert_close(found[last].mean, entering.mean(0), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found[last].deviation, entering.std(0, correction=0), rtol=1e-10, atol=1e-12)
    left = shift.layer_moments(net, IMAGES, ("0",), side="output")["0"]
    y = functional.conv2d(IMAGES, net[0].weight, net[0].bias)
    torch.testing.assert_close(left.mean, y.mean((0, 2, 3)).detach(), rtol=1e-10, atol=1e-12)
