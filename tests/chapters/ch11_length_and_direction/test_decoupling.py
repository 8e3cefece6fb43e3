"""Scaled starts and Fisher spectra: exact laws where there are some, shapes and pairing where there are none."""

import math

import pytest
import torch

from bnlab import datasets
from bnlab.chapters.ch11_length_and_direction import decoupling
from bnlab.models.lenet import LeNet
from bnlab.models.mlp import MLP
from bnlab.randomness import generator


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits", size=32).subset(train=200, test=100)


def test_effective_rate_decides_alone_with_bn(digits):
    def run(exponent, rate, norm="batch"):
        return decoupling.scaled_run(digits, norm, exponent, False, 0, rate, 0.1, 4, 16)

    plain, scaled, same_rate = run(0, 0.1), run(2, 1.6), run(2, 0.1)
    assert scaled[3] == pytest.approx(plain[3], rel=0.02)  # eps is all that differs
    assert scaled[2] == pytest.approx(plain[2], rel=0.02)
    assert same_rate[3] < 0.2 * plain[3]
    assert run(2, 1.6, "none")[3] != pytest.approx(run(0, 0.1, "none")[3], rel=0.2)


def test_tables_hold_every_run_once(digits):
    made = decoupling.parts(
        digits,
        exponents=(0, 1),
        shifts=(0,),
        rate_exponents=(0,),
        steps=2,
        depths=(1,),
        width=8,
        images=10,
        seeds=2,
        trainings=3,
    )
    scales, rates, fisher = (make() for make in made.values())
    assert list(made) == ["scales", "rates", "fisher"]
    assert len(scales) == 3 * 2 * len(decoupling.ARMS)
    assert len(rates) == 3
    assert len(fisher) == 2 * len(decoupling.KERNELS)
    for frame in (scales, rates, fisher):
        assert set(frame.attrs["units"]) == set(frame.columns)
    shared = scales[(scales["arm"] == "BN") & (scales["exponent"] == 0)].set_index("seed")
    assert (shared["error"] == rates.set_index("seed")["error"]).all()  # one run, reached by two ways
    untouched = scales[scales["exponent"] == 0].set_index(["seed", "arm"])["loss"]
    assert (untouched[:, "BN"] == untouched[:, "BN, last layer scaled too"]).all()


def test_divergence_counts_as_guessing(digits):
    error, _, loss, _, diverged = decoupling.scaled_run(digits, "none", 12, False, 0, 0.1, 0.1, 3, 16)
    assert (error, loss, diverged) == (0.9, math.inf, True)


def test_directions_have_length_one_a_filter():
    net = LeNet(generator=generator(0, "weights"))
    first, second = decoupling.filter_directions(net)
    assert (first.shape, second.shape) == ((6, 25), (16, 150))
    assert torch.allclose(first.norm(dim=1), torch.ones(6).double())


def test_fisher_of_a_network_by_finite_differences(digits):
    found = decoupling.fisher(digits, [1], 3, 4, [0]).set_index("arm")
    x, _ = decoupling.parity_task(digits, 4, 0)
    for arm, norm in (("none", "none"), ("BN", "batch")):
        net = MLP(1024, 1, depth=1, width=3, norm=norm, generator=generator(0, "weights")).to(x)
        columns, h = [], 1e-5
        with torch.no_grad():
            for parameter in net.parameters():
                for i in range(parameter.numel()):
                    values = []
                    for sign in (1, -2):  # from +h to -h
                        parameter.view(-1)[i] += sign * h
                        values.append(net(x).flatten())
                    parameter.view(-1)[i] += h
                    columns.append((values[0] - values[1]) / (2 * h))
        J = torch.stack(columns, 1)  # (n, parameters)
        top = torch.linalg.svdvals(J)[0] ** 2 / 4
        assert found.loc[arm, "largest"] == pytest.approx(top.item(), rel=1e-4)


def test_settings_that_make_no_table_are_refused(digits):
    for wrong in (
        {"images": 0},
        {"seeds": 0},
        {"trainings": 0},
        {"exponents": (1, 1)},
        {"shifts": (0, 0)},
        {"rate_exponents": (2, 2)},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            decoupling.parts(digits, **wrong)
