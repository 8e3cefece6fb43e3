"""Spectra, inputs on a line and residual streams of chapter 10, against other ways to compute the same numbers."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from bnlab import datasets
from bnlab.chapters.ch10_gradient_flow import shattering, spectra, streams
from bnlab.models.resnet import ResNet
from bnlab.randomness import generator


def test_spectra_have_all_values_and_bn_has_its_zeros():
    table = spectra.jacobian_spectra([1, 3], 6, 5, [0, 1])
    assert (table.groupby(["depth", "norm", "seed"]).size() == 30).all()
    found = spectra.summary(table)
    assert len(found) == 8
    assert (found["largest"] > 0).all()
    # Two of five dimensions of every unit's batch are lost, whatever the rectifiers do.
    assert (found.loc[found["norm"] == "batch", "zero"] >= 0.4).all()


def test_summary_of_known_values():
    values = [4.0, 1.0, 0.6, 0.1, 1e-10]
    columns = {"depth": 1, "norm": "none", "seed": 0, "rank": range(1, 6), "value": values}
    (found,) = spectra.summary(pd.DataFrame(columns)).itertuples()
    assert (found.largest, found.near_one, found.zero) == (4.0, 0.5, 0.2)


@pytest.mark.parametrize("arm", shattering.ARMS)
def test_derivatives_are_finite_differences_with_statistics_held(arm):
    """The function of one input: statistics of the grid, taken once."""
    skip, normalised = shattering.ARMS[arm]
    width, depth = 12, 4
    grid = torch.linspace(-2, 2, 40, dtype=torch.float64)
    found = shattering.derivatives(grid, depth, width, 0, skip=skip, normalised=normalised)
    held = []

    def forward(x, record):
        rng = generator(0, "weights on a line")

        def draw(*shape):
            return torch.randn(*shape, generator=rng, dtype=torch.float64)

        w, b = draw(width), draw(width)
        h, outputs = (x[:, None] * w + b).relu(), []
        for block in range(depth):
            if record:
                held.append((h.mean(0), (h.var(0, unbiased=False) + shattering.EPS).sqrt()))
            mean, scale = held[block] if normalised else (0.0, 1.0)
            y = ((h - mean) / scale).relu() @ draw(width, width).T * math.sqrt(2 / width)
            h = h + y if skip else y
            outputs.append(h)
        return outputs

    forward(grid, True)
    step = 1e-7
    ahead, back = (forward(grid + sign * step, False) for sign in (1, -1))
    for slope, a, b in zip(found, ahead, back, strict=True):
        numeric = (a - b) / (2 * step)
        kinks = ~torch.isclose(numeric, slope, rtol=1e-4, atol=1e-5 * slope.abs().max().item())
        assert kinks.double().mean() < 0.02  # a kink lies between the two points


def test_correlations_are_of_neighbours_and_a_longer_network_goes_on():
    short, long = shattering.correlations(2, 16, 30, [0]), shattering.correlations(4, 16, 30, [0])
    merged = short.merge(long, on=["arm", "seed", "depth"])
    np.testing.assert_array_equal(merged["correlation_x"], merged["correlation_y"])
    assert long["correlation"].abs().max() <= 1
    slope = shattering.derivatives(torch.linspace(-2, 2, 30).double(), 2, 16, 0, skip=True, normalised=False)[-1]
    unit = (slope / slope.norm(dim=1, keepdim=True)).numpy()
    by_hand = np.mean([unit[k] @ unit[k + 1] for k in range(29)])
    kept = long[(long["arm"] == "skip") & (long["depth"] == 2)]["correlation"].item()
    assert kept == pytest.approx(by_hand, rel=1e-12)


def test_an_example_is_in_units_of_its_root_mean_square():
    example = shattering.example("BN", 3, 16, 50, 0)
    assert example["gradient"].pow(2).mean() == pytest.approx(1)
    assert example["x"].iloc[[0, -1]].tolist() == [-2, 2]


@pytest.fixture(scope="module")
def table():
    return streams.streams(datasets.load("digits", size=32), 20, 4, [0, 1])


def test_streams_have_every_block_in_its_place(table):
    assert len(table) == 2 * 4 * 10
    one = table[(table["arm"] == "BN") & (table["seed"] == 0)]
    assert one["stage"].tolist() == [1, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert one["place"].tolist() == [0, 1, 2, 3, 1, 2, 3, 1, 2, 3]
    assert math.isnan(one["share"].iloc[0])
    assert one["share"].iloc[1:].notna().all()


def test_zeroed_branches_are_the_identity(table):
    zero = table[(table["arm"] == "zero") & (table["seed"] == 1)].set_index("block")
    assert zero.loc[3, "power"] == pytest.approx(zero.loc[0, "power"], rel=1e-6)
    assert (zero.loc[1:, "share"] == 0).all()


def test_arms_have_the_same_weights_but_for_the_factor():
    images = torch.zeros(2, 1, 32, 32)
    nets = {arm: streams.network(arm, 20, images, 5) for arm in streams.ARMS}
    for k, convolution in enumerate(nets["none"].convolutions):
        last = k > 0 and k % 2 == 0
        for arm, factor in {"BN": 1.0, "SkipInit": 9**-0.5 if last else 1.0, "zero": 0.0 if last else 1.0}.items():
            torch.testing.assert_close(nets[arm].convolutions[k].weight, factor * convolution.weight)


def test_shares_are_those_of_a_forward_pass_by_hand():
    images = torch.randn(3, 1, 32, 32, generator=generator(0, "maps"))
    net = ResNet(8, 1, placement="everywhere", generator=generator(0, "weights"))
    stream = net.relus[0](net.norms[0](net.convolutions[0](images)))
    branch = net.norms[2](net.convolutions[2](net.relus[1](net.norms[1](net.convolutions[1](stream)))))

    def spread(maps):
        return maps.double().var((0, 2, 3), unbiased=False).mean().item()

    shares = streams.branch_shares(net, images, 3)
    assert shares[1] == pytest.approx(spread(branch) / spread(stream + branch), rel=1e-6)


def test_without_a_norm_a_branch_is_no_smaller_in_depth_and_with_it_is(table):
    first, last = (table[(table["stage"] == 1) & (table["place"] == place)] for place in (1, 3))
    ratio = last.set_index(["arm", "seed"])["share"] / first.set_index(["arm", "seed"])["share"]
    assert (ratio["BN"] < 0.8).all()
    assert (ratio["none"] > 0.8).all()
