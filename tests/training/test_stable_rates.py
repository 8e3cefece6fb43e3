import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from bnlab.models.resnet import ResNet
from bnlab.randomness import generator
from bnlab.training.stable_rates import Bracket, largest_surviving_rate, survives

CURVATURE = 8.0  # the second derivative of (2 w)^2


def line(weight: float = 1.0) -> nn.Linear:
    """x -> w x in float64: its squared error on x = 2, y = 0 is 4 w^2."""
    model = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(model.weight, weight)
    return model


def steps(count: int) -> list:
    return [(torch.full((3, 1), 2.0).double(), torch.zeros(3, 1).double())] * count


def test_a_parabola_is_lost_above_two_over_its_curvature():
    def alive(rate):  # |1 - rate * 8| > 1 grows beyond every limit in so many steps
        return survives(line(), steps(800), rate, loss=functional.mse_loss)

    found = largest_surviving_rate(alive, 1e-3, 10.0, factor=1.01)
    assert found.survived <= 2 / CURVATURE * 1.002
    assert found.survived * 1.01 >= found.lost >= 2 / CURVATURE


def test_momentum_moves_the_border():
    def alive(rate):  # 2 (1 + beta) / curvature, Polyak's
        return survives(line(), steps(1000), rate, momentum=0.9, loss=functional.mse_loss)

    found = largest_surviving_rate(alive, 1e-3, 10.0, factor=1.01)
    assert found.survived < 2 * 1.9 / CURVATURE * 1.01
    assert found.lost > 2 * 1.9 / CURVATURE * 0.99


def test_weight_decay_adds_to_the_curvature():
    near = 2 / CURVATURE * 0.999
    assert survives(line(), steps(100), near, loss=functional.mse_loss)
    assert not survives(line(), steps(40000), near, weight_decay=0.1, loss=functional.mse_loss)


def test_limit_is_a_thousand_or_ten_times_the_initial_loss():
    # w -> (1 - 8 rate) w = -2 w: the loss 4 w^2 grows by 4 a step, from 4, 256 and 4096
    rate = 3 / 8
    assert survives(line(1), steps(3), rate, loss=functional.mse_loss)  # 16, 64, 256
    assert survives(line(15), steps(1), 2.9 / 8, loss=functional.mse_loss)  # 900 -> 3249, below 9000
    assert not survives(line(1), steps(5), rate, loss=functional.mse_loss)  # 1024 after the fourth
    assert not survives(line(1), steps(4), rate, loss=functional.mse_loss)  # seen after the last step
    assert survives(line(100), steps(1), rate, loss=functional.mse_loss)  # 4e4 -> 1.6e5, below ten times
    assert not survives(line(100), steps(2), rate, loss=functional.mse_loss)  # 6.4e5


@pytest.mark.parametrize("weight", [math.nan, math.inf, 1e200])
def test_no_rate_is_survived_by_an_initial_loss_that_is_not_finite(weight):
    found = largest_surviving_rate(
        lambda rate: survives(line(weight), steps(2), rate, loss=functional.mse_loss), 1e-9, 1.0
    )
    assert math.isnan(found.survived)
    assert found.lost == 1e-9


def test_a_loss_of_nan_in_the_middle_is_lost():
    batches = [*steps(1), (torch.full((1, 1), math.nan).double(), torch.zeros(1, 1).double()), *steps(1)]
    assert not survives(line(), batches, 1e-3, loss=functional.mse_loss)


@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_left_as_it_was(training):
    model = ResNet(8, width=4, generator=generator(0, "weights")).train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    batch = (torch.randn(8, 3, 8, 8, generator=generator(0, "images")), torch.arange(8))
    alone = model(batch[0]) if not training else None
    assert survives(model, [batch] * 3, 0.1)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert model.training is training
    assert alone is None or torch.equal(model(batch[0]), alone)


@pytest.mark.parametrize(
    ("border", "expected"),
    [(0.5, Bracket(0.4, 0.8)), (1e9, Bracket(25.6, math.inf)), (0.1, Bracket(0.1, 0.2)), (12.8, Bracket(12.8, 25.6))],
)
def test_bracket_at_both_ends(border, expected):
    found = largest_surviving_rate(lambda rate: rate <= border * (1 + 1e-9), 0.1, 25.6, 2 * (1 + 1e-9))
    assert found.survived == pytest.approx(expected.survived)
    assert found.lost == pytest.approx(expected.lost)


def test_lowest_that_is_lost_is_said():
    found = largest_surviving_rate(lambda rate: rate < 0.05, 0.1, 1.0)
    assert math.isnan(found.survived)
    assert found.lost == 0.1


def test_bisection_asks_few_rates():
    asked = []
    largest_surviving_rate(lambda rate: asked.append(rate) or rate < 0.3, 1e-4, 1e4)
    assert len(asked) <= 2 + math.ceil(math.log2(math.log(1e8, 2**0.5)))


@pytest.mark.parametrize(
    ("lowest", "highest", "factor", "said"),
    [(0, 1, 2, "lowest"), (2, 1, 2, "highest"), (1, math.inf, 2, "highest"), (1, 2, 1, "factor")],
)
def test_wrong_ranges_are_refused(lowest, highest, factor, said):
    with pytest.raises(ValueError, match=f"^{said}: "):
        largest_surviving_rate(lambda rate: True, lowest, highest, factor)


@pytest.mark.parametrize(
    ("change", "said"), [({"rate": 0}, "learning_rate"), ({"momentum": -1}, "momentum"), ({"batches": []}, "batches")]
)
def test_wrong_arguments_are_refused(change, said):
    arguments = {"batches": steps(1), "rate": 0.1, **change}
    with pytest.raises(ValueError, match=f"^{said}: "):
        survives(line(), arguments.pop("batches"), arguments.pop("rate"), **arguments)
