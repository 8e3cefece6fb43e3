"""Chapter 07's arrangements: the probe against explicit sums, the basics of NLMS against closed forms."""

import pytest
import torch
from torch.nn import functional

from bnlab import datasets
from bnlab.chapters.ch07_minimum_disturbance import arrangements as minimum_disturbance
from bnlab.chapters.ch07_minimum_disturbance import nlms_basics
from bnlab.measures.gradients import local_errors
from bnlab.randomness import generator
from bnlab.sweeps.first_look import build_lenet


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits", size=32).subset(train=150, test=50)


@pytest.fixture(scope="module")
def batch(digits):
    return next(iter(digits.batches(12, generator(0, "test batch"))))


def build(norm, digits, seed=0):
    return build_lenet({"norm": norm, "seed": seed, "gain": 1.0}, digits)


@pytest.mark.parametrize("norm", ["none", "none+batch_prior"])
def test_probe_tells_what_explicit_sums_tell(digits, batch, norm):
    model = build(norm, digits)
    row = minimum_disturbance.Conv2Probe(*batch)(model)
    images, labels = batch
    maps = {}
    model.conv2.register_forward_hook(lambda _, inputs, output: maps.update(x=inputs[0], y=output))
    loss = functional.cross_entropy(model.train()(images), labels)
    gradient, errors = torch.autograd.grad(loss, (model.conv2.weight, maps["y"]))
    x = maps["x"].detach()  # (12, 6, 14, 14)
    patches = x.unfold(2, 5, 1).unfold(3, 5, 1)  # (12, 6, 10, 10, 5, 5)
    power = patches.square().sum((4, 5))  # (12, 6, 10, 10)
    for channel in range(6):
        own = power[:, channel]
        assert row[f"power_{channel}"] == pytest.approx(own.mean().item() / 25, rel=1e-4)
        assert row[f"variation_{channel}"] == pytest.approx((own.std() / own.mean()).item(), rel=1e-4)
        assert row[f"zero_{channel}"] == pytest.approx((own == 0).float().mean().item(), abs=1e-6)
    for span, divisor in (("channel", power), ("patch", power.sum(1, keepdim=True))):
        scaled = patches / (divisor + 1e-3 * divisor.mean())[..., None, None]
        nlms = torch.einsum("bohw,bchwij->ocij", errors, scaled.expand_as(patches))
        cosine = functional.cosine_similarity(gradient.flatten(), nlms.flatten(), 0)
        assert row[f"cosine_{span}"] == pytest.approx(cosine.item(), abs=1e-4)
        terms = 25 if span == "channel" else 150
        assert row[f"length_{span}"] == pytest.approx((gradient.norm() / (terms * nlms.norm())).item(), rel=1e-3)


def test_probe_sees_nlms_descend_its_own_direction(digits, batch):
    row = minimum_disturbance.Conv2Probe(*batch)(build("none+nlms_l2", digits))
    assert row["cosine_channel"] == pytest.approx(1, abs=1e-5)
    assert row["cosine_patch"] < 0.99


def test_probe_leaves_the_model_as_it_was(digits, batch):
    model = build("none+batch_prior", digits).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    minimum_disturbance.Conv2Probe(*batch)(model)
    assert not model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert model.conv2.weight.grad is None


def test_every_element_before_conv2_has_unit_power(digits, batch):
    """Means over patches see the border less often; the mean over elements is what normalisation fixes."""
    signals = local_errors(build("none+batch_prior", digits).train(), *batch, functional.cross_entropy, "conv2")
    assert signals.inputs.square().mean((0, 2, 3)).tolist() == pytest.approx([1] * 6, rel=5e-3)


def test_nlms_does_not_see_the_unit_of_the_input():
    table = nlms_basics.input_scales([1.0], [1e-2, 1.0], steps=200, seed=0, length=4)
    by = table.pivot_table(index="step", columns=["rule", "scale"], values="error")
    assert by["NLMS"].loc[0].tolist() == [1, 1]
    assert (by["NLMS"][1.0] - by["NLMS"][1e-2]).abs().max() < 1e-12
    assert by["NLMS"][1.0].iloc[-1] < 1e-9
    assert by["LMS"][1e-2].iloc[-1] > 0.9


def test_powers_of_normal_patches_have_their_closed_forms():
    table = nlms_basics.normal_patches(16, sigma=2.0, draws=40_000, seed=0).set_index("quantity")
    assert table["theory"].tolist() == [16, 1 / 14, (2 / 16) ** 0.5]
    assert ((table["measured"] - table["theory"]).abs() < 4 * table["standard_error"]).all()
    assert (table["standard_error"] < 0.01 * table["measured"]).all()


def test_variance_estimates_scatter_as_their_correlations_say():
    table = nlms_basics.variance_estimates([1, 8], draws=40, seed=0, side=4)
    assert ((table["deviation"] - table["theory"]).abs() < 4 * table["standard_error"]).all()
    independent = table[table["pixels"] == "independent"]
    assert independent["n_effective"].tolist() == [16, 128]
    # sum of squared correlations over a 4 x 4 map, by hand: along an axis 1, (2/3)^2, (1/3)^2 at lags 0, 1, 2
    axis = 4 + 2 * 3 * 4 / 9 + 2 * 2 / 9
    assert table[table["pixels"] == "correlated"]["n_effective"].iloc[0] == pytest.approx(256 / axis**2, rel=1e-9)
