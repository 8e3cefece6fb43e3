"""Population statistics against enumeration, one pass over everything at once, and closed forms."""

import copy
import itertools
import math

import pytest
import torch
from torch import nn

from bnlab.layers.batchnorm import BatchNorm
from bnlab.layers.population import (
    RunningMoments,
    averaged_statistics,
    exact_statistics,
    pooled_estimate,
    population_estimate,
)
from bnlab.models.lenet import LeNet


def drawn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def network():
    """Two norms, the second behind the first, one of each make; dropout, which must stay out of it."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(3, 4, 3), BatchNorm(4), nn.ReLU(),
        nn.Flatten(), nn.Linear(64, 2),
    ).double()  # fmt: skip


@pytest.mark.parametrize("m", [2, 3, 5])
def test_the_estimate_is_unbiased_over_all_batches_of_a_population(m):
    values = torch.tensor([0.0, 1.0, 7.0], dtype=torch.float64)
    truth = values.var(correction=0).item()
    batches = torch.tensor(list(itertools.product(values.tolist(), repeat=m)), dtype=torch.float64)  # (3^m, m)
    variance, mean = torch.var_mean(batches, dim=1, correction=0)
    found = population_estimate(mean[:, None], variance[:, None], m)
    assert found.variance.item() == pytest.approx(truth, rel=1e-13)
    assert found.mean.item() == pytest.approx(values.mean().item(), rel=1e-13)
    # The law of total variance, with the whole list as the distribution: T in place of T - 1 between.
    assert (variance.mean() + mean.var(correction=0)).item() == pytest.approx(truth, rel=1e-13)


def test_pooled_estimate_sees_what_the_factor_misses():
    shared = 2 * drawn(20_000, 1)  # a value that all of a batch have in common: variance 4
    batches = shared + drawn(20_000, 8, seed=1)  # variance 5 in all
    variance, mean = torch.var_mean(batches, dim=1, correction=0)
    printed = population_estimate(mean[:, None], variance[:, None], 8).variance.item()
    pooled = pooled_estimate(mean[:, None], variance[:, None]).variance.item()
    assert printed == pytest.approx(1, abs=0.02)
    assert pooled == pytest.approx(5 - 1 / 8 + 1 / 8, abs=4 * 4 * math.sqrt(2 / 20_000))


@pytest.mark.parametrize("shape", [(100, 3), (60, 3, 4, 5)])
@pytest.mark.parametrize("cut", [1, 7, 60])
def test_merging_is_one_pass_over_everything(shape, cut):
    x = drawn(*shape) + torch.tensor([0.0, 1e6, -1e3]).double().view(-1, *(1,) * (len(shape) - 2))
    moments = RunningMoments()
    for part in x.split(cut):
        moments.add(part)
    dims = [0] if x.ndim == 2 else [0, 2, 3]
    torch.testing.assert_close(moments.population().mean, x.mean(dims), rtol=1e-14, atol=1e-12)
    torch.testing.assert_close(moments.population().variance, x.var(dims), rtol=1e-8, atol=0)


def test_exact_statistics_do_not_depend_on_the_cut_and_averages_do():
    images, found = drawn(24, 1, 8, 8), {}
    for m in (1, 5, 24):
        net = network()
        found[m] = exact_statistics(net, lambda m=m: images.split(m))
        torch.testing.assert_close(net[5].running_var, found[m]["5"].variance)
    for m in (1, 5):
        for name in ("1", "5"):
            torch.testing.assert_close(found[m][name].mean, found[24][name].mean, rtol=1e-12, atol=1e-14)
            torch.testing.assert_close(found[m][name].variance, found[24][name].variance, rtol=1e-12, atol=0)
    averages = {m: averaged_statistics(network(), lambda m=m: images.split(m))["5"].variance for m in (2, 24)}
    assert (averages[2] / averages[24] - 1).abs().max() > 1e-3


def test_exact_statistics_are_those_of_what_the_layer_meets_in_eval_mode():
    net, images = network(), drawn(24, 1, 8, 8)
    exact_statistics(net, lambda: images.split(7))
    meets = net.eval()[:5](images)  # the input of the second norm, with the first one set
    torch.testing.assert_close(net[5].running_mean, meets.mean((0, 2, 3)), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(net[5].running_var, meets.var((0, 2, 3)), rtol=1e-12, atol=0)


def test_the_article_s_average_by_hand():
    net, images = network(), drawn(12, 1, 8, 8)
    averaged_statistics(net, lambda: images.split(4))
    net2 = network()
    net2[3].eval()
    first, second = [], []
    for batch in images.split(4):
        x = net2[0](batch)
        first.append(torch.var_mean(x, dim=(0, 2, 3), correction=0))
        y = net2[4](net2[2](nn.functional.batch_norm(x, None, None, training=True)))
        second.append(torch.var_mean(y, dim=(0, 2, 3), correction=0))
    for norm, parts, m in ((net[1], first, 4 * 36), (net[5], second, 4 * 16)):
        variance = torch.stack([v for v, _ in parts]).mean(0) * m / (m - 1)
        torch.testing.assert_close(norm.running_var, variance, rtol=1e-12, atol=0)
        mean = torch.stack([mu for _, mu in parts]).mean(0)
        torch.testing.assert_close(norm.running_mean, mean, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("compute", [exact_statistics, averaged_statistics])
def test_nothing_else_changes(compute):
    net, images = network(), drawn(12, 1, 8, 8)
    net[4].eval()
    modes = [module.training for module in net.modules()]
    before = copy.deepcopy(net.state_dict())
    state = torch.get_rng_state()
    compute(net, lambda: images.split(6))
    assert [module.training for module in net.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    kept = [key for key in before if not key.rsplit(".", 1)[1].startswith(("running", "num_batches"))]
    assert all(torch.equal(net.state_dict()[key], before[key]) for key in kept)
    assert not any(len(module._forward_pre_hooks) for module in net.modules())


def test_float32_network_gets_float64_sums():
    net = LeNet(norm="batch", generator=torch.Generator().manual_seed(0))
    images = drawn(40, 1, 32, 32).float()
    whole = exact_statistics(copy.deepcopy(net), lambda: [images])
    parts = exact_statistics(net, lambda: images.split(7))
    torch.testing.assert_close(parts["norm2"].variance, whole["norm2"].variance, rtol=1e-5, atol=0)
    assert net.norm2.running_var.dtype == torch.float32


class Features(nn.Module):
    """A network of 1-, 2- or 3-d convolutions with an activation that works in place."""

    def __init__(self, dims):
        super().__init__()
        convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1]
        norm = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[dims - 1]
        self.conv1, self.norm1 = convolution(2, 3, 3), norm(3)
        self.conv2, self.norm2 = convolution(3, 4, 2), BatchNorm(4)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x))))))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_networks_of_any_dimension_and_in_place_activations(dims):
    net, x = Features(dims).double(), drawn(12, 2, *(6,) * dims)
    found = exact_statistics(net, lambda: x.split(5))
    net.eval()
    over = [0, *range(2, dims + 2)]
    first = net.conv1(x)
    second = net.conv2(torch.relu(net.norm1(first)))
    for name, meets in (("norm1", first), ("norm2", second)):
        torch.testing.assert_close(found[name].mean, meets.mean(over), rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(net.get_submodule(name).running_var, meets.var(over), rtol=1e-12, atol=0)
    averaged = averaged_statistics(Features(dims).double(), lambda: x.split(6))
    assert averaged["norm1"].mean.isfinite().all()


def test_a_variance_that_half_precision_cannot_hold():
    net = nn.Sequential(nn.BatchNorm1d(2)).half()
    assert "beyond its float16" in refusal(exact_statistics, net, lambda: [(400 * drawn(50, 2)).half()])


def refusal(call, *arguments):
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call(*arguments)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_bad_statistics():
    good = torch.ones(4, 2)
    for m in (1, 0, 2.0, True):
        assert "m:" in refusal(population_estimate, good, good, m)
    assert "(4, 2) and (4, 3)" in refusal(population_estimate, good, torch.ones(4, 3), 4)
    assert "T of at least 1" in refusal(population_estimate, good[:0], good[:0], 4)
    assert "T of at least 2" in refusal(pooled_estimate, good[:1], good[:1])
    assert "two or more" in refusal(RunningMoments().population)
    assert "means: not all entries are finite" in refusal(population_estimate, good * torch.nan, good, 4)
    assert "variances: torch.int64" in refusal(pooled_estimate, good, good.long())
    assert "variances: -1 is negative" in refusal(pooled_estimate, good, -good)


@pytest.mark.parametrize("compute", [exact_statistics, averaged_statistics])
def test_bad_networks_and_passes(compute):
    images = drawn(6, 1, 8, 8)
    passes = lambda: images.split(3)  # noqa: E731
    assert "no batches" in refusal(compute, network(), list)
    assert "no Batch Normalization" in refusal(compute, nn.Conv2d(1, 1, 3).double(), passes)
    shared = nn.BatchNorm2d(1).double()
    assert "more than once" in refusal(compute, nn.Sequential(shared, nn.ReLU(), shared), passes)
    untracked = nn.Sequential(nn.BatchNorm2d(1, track_running_stats=False).double())
    assert "'0' keeps no" in refusal(compute, untracked, passes)
    broken = network()
    broken[0].weight.data[0] = torch.nan
    assert "diverged" in refusal(compute, broken, passes)


def test_too_few_values():
    once = iter(drawn(6, 1, 8, 8).split(3))
    assert "0 value" in refusal(exact_statistics, network(), lambda: once)  # the second layer finds nothing
    alone = nn.Sequential(nn.BatchNorm1d(2)).double()
    assert "two or more" in refusal(exact_statistics, alone, lambda: [drawn(1, 2)])


def test_unequal_batches_are_refused_by_the_average():
    assert "equal" in refusal(averaged_statistics, network(), lambda: drawn(7, 1, 8, 8).split(3))
