"""The loss along the gradient, across level lines and on a plane, against a quadratic whose answers are known."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from bnlab.measures.landscape import along_gradient, distance_to_change, plane
from bnlab.measures.surface import LossSurface
from bnlab.randomness import generator

H = torch.tensor([8.0, 2.0, 0.5], dtype=torch.float64)  # curvatures
AT = torch.tensor([1.0, -1.0, 2.0], dtype=torch.float64)


class Point(nn.Module):
    """Its output is its weight."""

    def __init__(self, at=AT):
        super().__init__()
        self.w = nn.Parameter(at.clone())

    def forward(self, x):
        return self.w * x


def bowl(at=AT, sign=1.0):
    one = torch.ones(3, dtype=torch.float64)
    return LossSurface(Point(at), one, one, lambda w, _: sign * (H * w.square()).sum() / 2)


def test_walk_on_a_quadratic():
    gradient, steps = H * AT, [0.1, 0.25, 1.0]
    walk = along_gradient(bowl(), steps)
    assert walk.loss == pytest.approx(float((H * AT**2).sum() / 2))
    assert walk.gradient_norm == pytest.approx(float(gradient.norm()))
    for number, a in enumerate(steps):
        there = AT - a * gradient
        assert walk.losses[number] == pytest.approx(float((H * there**2).sum() / 2))
        assert walk.changes[number] == pytest.approx(float((H * a * gradient).norm()))
        assert walk.distances[number] == pytest.approx(a * float(gradient.norm()))
    assert walk.loss_range == pytest.approx(float(walk.losses.max() - walk.losses.min()))
    assert walk.effective_beta == pytest.approx(float((H * gradient).norm() / gradient.norm()))
    assert walk.effective_beta <= 8
    along_top = along_gradient(bowl(torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)), [0.1])
    assert along_top.effective_beta == pytest.approx(8)


def test_equal_distances_are_the_same_walk_in_other_units():
    norm = float((H * AT).norm())
    first, second = along_gradient(bowl(), [0.1, 0.3]), along_gradient(bowl(), distances=[0.1 * norm, 0.3 * norm])
    torch.testing.assert_close(first.losses, second.losses)
    torch.testing.assert_close(first.distances, second.distances)


def test_what_overflows_is_infinite():
    one = torch.ones(3, dtype=torch.float64)
    steep = LossSurface(Point(), one, one, lambda w, _: (1e2 * w.square()).exp().sum().log() + w.sum())
    walk = along_gradient(steep, [1.0])
    assert math.isinf(walk.loss_range)
    assert math.isinf(walk.effective_beta)


def test_a_probe_leaves_weights_buffers_and_random_state_alone():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(inplace=True), nn.Linear(4, 2)).double()
    x, labels = torch.randn(8, 3, generator=generator(0, "x"), dtype=torch.float64), torch.arange(8) % 2
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.get_rng_state()
    surface = LossSurface(net, x, labels, functional.cross_entropy)
    along_gradient(surface, [0.1, 10.0])
    plane(surface, torch.ones_like(surface.theta), torch.ones_like(surface.theta), (1, 1), 3)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for p in net.parameters())
    assert net.training


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_half_widths_of_a_level_line(sign):
    bottom = bowl(torch.zeros(3, dtype=torch.float64), sign)
    for axis, curvature in enumerate(H.tolist()):
        direction = torch.eye(3, dtype=torch.float64)[axis] * 7
        found = distance_to_change(bottom, direction, 0.3, limit=100.0)
        assert found == pytest.approx(math.sqrt(2 * 0.3 / curvature), rel=1e-3)
    assert distance_to_change(bottom, direction, 0.3, limit=0.5) == 0.5
    uphill = bowl(torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64))  # the nearer way is the steeper one
    up = torch.eye(3, dtype=torch.float64)[0]
    assert distance_to_change(uphill, up, 4.5, limit=10) == pytest.approx(math.sqrt(1 + 4.5 / 4) - 1, rel=1e-3)


def test_plane():
    unit = torch.eye(3, dtype=torch.float64)
    found = plane(bowl(torch.zeros(3, dtype=torch.float64)), unit[0], unit[1], (2.0, 3.0), 5)
    assert found.shape == (5, 5)
    assert found[2, 2] == 0
    assert found[2, 4].item() == pytest.approx(8 * 4 / 2)  # along the first
    assert found[0, 2].item() == pytest.approx(2 * 9 / 2)  # along the second


UP = torch.ones(3, dtype=torch.float64)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: along_gradient(bowl()), "steps, distances: give one of the two"),
        (lambda: along_gradient(bowl(), [1.0], distances=[1.0]), "steps, distances: give one"),
        (lambda: along_gradient(bowl(), [0.1, 0.0]), "steps: 0 is not positive"),
        (lambda: along_gradient(bowl(), []), r"steps: shape \(0,\) is not \(k,\)"),
        (lambda: along_gradient(bowl(), distances=[-1.0]), "distances: -1 is not positive"),
        (lambda: along_gradient(bowl(0 * AT), [0.1]), "surface: its gradient is zero"),
        (lambda: distance_to_change(bowl(), UP[:2], 1.0, limit=1.0), "direction: "),
        (lambda: distance_to_change(bowl(), 0 * UP, 1.0, limit=1.0), "direction: .*all of it zero"),
        (lambda: distance_to_change(bowl(), UP, 0.0, limit=1.0), "change: 0.0 is not a finite number above 0"),
        (lambda: distance_to_change(bowl(), UP, 1.0, limit=-1.0), "limit: "),
        (lambda: plane(bowl(), UP, UP[:2], (1, 1)), r"second: shape \(2,\) is not \(3,\)"),
        (lambda: plane(bowl(), UP, UP, (1, 0)), "reach: 0 is not"),
        (lambda: plane(bowl(), UP, UP, (1, 1), 2), "points: 2 is not a whole number of at least 3"),
    ],
)
def test_bad_input_is_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)
