"""Chapter 05's experiments: views of a layer against maps that were scaled, centring, counts of violations."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from bnlab import datasets
from bnlab.chapters.ch05_channel_scaling import channel_scaling as experiment
from bnlab.chapters.ch05_channel_scaling import random_scalings as draws
from bnlab.chapters.ch05_channel_scaling import second_layer
from bnlab.measures import probes
from bnlab.theory import channel_scaling as cs
from bnlab.theory import spectra

SMALL = dict(images=40, learning_rates=(0.05,), batch_size=256, response_steps=2, seeds=2)


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


@pytest.fixture(scope="module")
def tables(digits):
    return experiment.run(digits, **SMALL)


@pytest.fixture(scope="module")
def drawn(digits):
    """The first network as drawn: its layer, and the maps that leave its first convolution, by hand."""
    probe = probes.probe_images(digits, 40)
    model, _ = second_layer.trained_lenet(second_layer.Specification("none", 0.0, 0), digits, 1, 64)
    z = functional.conv2d(probe, model.conv1.weight, model.conv1.bias).detach().double()
    return second_layer.look(model, "none", probe), z, model


def by_hand(z):
    pooled = functional.relu(z).unflatten(2, (14, 2)).unflatten(4, (14, 2)).mean((3, 5))
    return spectra.autocorrelation(pooled, 5)


def test_views_are_what_their_names_say(drawn):
    layer, z, _ = drawn
    torch.testing.assert_close(layer.R["plain"], by_hand(z), rtol=1e-5, atol=1e-8)  # conv1 ran in float32
    power = z.square().mean((0, 2, 3), keepdim=True)
    torch.testing.assert_close(layer.power, power.flatten(), rtol=1e-5, atol=0)
    wanted = {
        "scaled": z / power.sqrt(),
        "amplified": torch.where(power < 1, z / power.sqrt(), z),
        "suppressed": torch.where(power > 1, z / power.sqrt(), z),
        "normalised": (z - z.mean((0, 2, 3), keepdim=True))
        / (z.var((0, 2, 3), correction=0, keepdim=True) + 1e-5).sqrt(),
    }
    assert set(wanted) | {"plain"} == set(second_layer.VIEWS)
    for view, maps in wanted.items():
        torch.testing.assert_close(layer.R[view], by_hand(maps), rtol=1e-4, atol=1e-6)


def test_a_network_with_batch_norm_shows_its_own_gamma_and_beta(digits):
    probe = probes.probe_images(digits, 40)
    model, _ = second_layer.trained_lenet(second_layer.Specification("batch", 0.0, 0), digits, 1, 64)
    with torch.no_grad():
        model.norm1.weight.fill_(2.0)
        model.norm1.bias.fill_(0.3)
    layer = second_layer.look(model, "batch", probe)
    z = functional.conv2d(probe, model.conv1.weight, model.conv1.bias).detach().double()
    torch.testing.assert_close(
        layer.R["normalised"],
        by_hand(2 * functional.batch_norm(z, None, None, training=True) + 0.3),
        rtol=1e-4,
        atol=1e-6,
    )
    torch.testing.assert_close(layer.mean, layer.mean.abs())  # behind a ReLU


def test_a_shift_does_not_pass_through_relu(drawn):
    _, z, _ = drawn
    gains = torch.tensor([0.5, 2.0, 3.0, 1.0, 0.1, 7.0], dtype=torch.float64)
    scaled = by_hand(z * gains.view(1, -1, 1, 1))
    torch.testing.assert_close(cs.scale_channels(by_hand(z), gains), scaled, rtol=1e-12, atol=1e-15)
    shifted = by_hand(z * gains.view(1, -1, 1, 1) + 0.1)
    assert (shifted - scaled).norm() > 1e-2 * scaled.norm()


def test_trained_weights_are_those_of_a_plain_loop(digits):
    weights = second_layer.Specification("none", 0.05, 3)
    trained, _ = second_layer.trained_lenet(weights, digits, 2, 32)
    model, _ = second_layer.trained_lenet(second_layer.Specification("none", 0.0, 3), digits, 0, 32)
    batches = digits.batches(32, second_layer.generator(3, "order of mini-batches"))
    for _ in range(2):
        images, labels = next(batches)
        model.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter -= (0.05 if name in ("conv1.weight", "conv2.weight") else 0.1) * parameter.grad
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(trained.get_parameter(name), parameter)


def test_summary_agrees_with_numpy(tables, drawn):
    layer, _, _ = drawn
    first = tables["summary"].query("weights == 'as drawn' and seed == 0").set_index("view")
    for view, R in layer.R.items():
        values = np.linalg.eigvalsh(R.numpy())
        assert first.kappa[view] == pytest.approx(values[-1] / values[0], rel=1e-4)
        assert first.lambda_max[view] == pytest.approx(values[-1])
    R = layer.R["plain"].numpy().reshape(6, 25, 6, 25)
    norm = np.sqrt((R**2).sum((1, 3)))
    pairs = [norm[i, j] / math.sqrt(norm[i, i] * norm[j, j]) for i in range(6) for j in range(i)]
    assert first.coherence["plain"] == pytest.approx(np.mean(pairs))
    assert first.coherence["scaled"] == pytest.approx(np.mean(pairs))
    assert first.floor["plain"] == pytest.approx(max(np.linalg.cond(R[i, :, i]) for i in range(6)), rel=1e-4)
    assert first.kappa["best"] <= min(first.kappa["plain"], first.kappa["scaled"])
    assert first.kappa["best"] >= first.floor["plain"] * (1 - 1e-6)
    vectors = np.linalg.eigh(layer.R["plain"].numpy())[1]
    shares = (vectors**2).reshape(6, 25, 150).sum(1)  # (channel, mode)
    assert first.leverage["plain"] == pytest.approx(0.5 * abs(shares[:, -1] - shares[:, 0]).sum(), rel=1e-4)
    table = tables["participation"].query("weights == 'as drawn' and seed == 0")
    np.testing.assert_allclose(table.query("rank == 1").participation, shares[:, -1], rtol=1e-4, atol=1e-8)


def test_eigenvalues_stay_within_their_bounds_and_one_sided_views_move_one_way(tables):
    table = tables["spectra"]
    assert (table.scaled >= table.low * (1 - 1e-9)).all()
    assert (table.scaled <= table.high * (1 + 1e-9)).all()
    assert (table.amplified >= table.plain * (1 - 1e-9)).all()
    assert (table.suppressed <= table.plain * (1 + 1e-9)).all()
    assert (table.amplified > 1.01 * table.plain).any()


def test_centring_lowers_every_eigenvalue_and_the_largest_most(tables, drawn):
    assert (tables["centring"][["above", "below"]] < 1e-10).all(axis=None)
    layer, z, _ = drawn
    pooled = functional.avg_pool2d(functional.relu(z), 2)
    X = functional.unfold(pooled, 5).transpose(0, 1).flatten(1)  # (K, B*M)
    covariance = np.cov(X.numpy(), bias=True)
    first = tables["centring"].query("weights == 'as drawn' and seed == 0").largest_left.item()
    assert first == pytest.approx(
        np.linalg.eigvalsh(covariance)[-1] / np.linalg.eigvalsh(layer.R["plain"])[-1], rel=1e-5
    )
    assert first < 0.9


def test_only_the_second_layer_responds(tables):
    responses = tables["responses"]
    assert responses.query("layer == 'conv1'").identical.all()
    assert responses.query("variant == 'Baseline'").identical.all()
    moved = responses.query("layer == 'conv2' and variant == 'BatchNorm'")
    assert not moved.identical.any()
    assert (moved.distance > 0.01).all()


def test_tables_are_tidy_and_repeatable(digits, tables):
    for name, made in tables.items():
        assert list(made.attrs["units"]) == list(made.columns), name
        assert len(made), name
    again = experiment.parts(digits, **SMALL)
    for name in ("summary", "responses"):
        assert again[name]().equals(tables[name])
    assert tables["summary"].weights.unique().tolist() == ["as drawn", "plain, rate 0.05", "BN, rate 0.05"]


def test_a_channel_without_power_is_left_out():
    draw = torch.Generator().manual_seed(0)
    A = torch.randn(150, 200, dtype=torch.float64, generator=draw)
    A[25:50] = 0
    R = A @ A.mT
    kept = second_layer.alive(R)
    assert kept.shape == (125, 125)
    assert torch.equal(kept[25:, 25:], R[50:, 50:])
    A[25:50] = 1e-3
    assert second_layer.alive(A @ A.mT).shape == (150, 150)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        (dict(images=0), "images: 0 is not at least 1"),
        (dict(seeds=0), "seeds: 0"),
        (dict(response_steps=0), "response_steps: 0"),
        (dict(batch_size=1439), "batch_size: 1439 is more than the 1438 training images"),
    ],
)
def test_bad_sizes_are_named_in_one_line(digits, sizes, words):
    with pytest.raises(ValueError, match=words) as error:
        experiment.parts(digits, **SMALL | sizes)
    assert "\n" not in str(error.value)


def test_networks_whose_training_diverged_are_left_out(digits):
    made = experiment.run(digits, **SMALL | dict(learning_rates=[1e6], response_rate=1e38))
    lost = made["networks"].set_index(["weights", "seed"])["diverged"].unstack()
    assert (lost.loc["plain, rate 1e+06"] == 1).all()
    assert (lost.loc["as drawn"] == 0).all()
    for name in ("channels", "spectra", "participation", "summary", "centring"):
        seen = made[name][["weights", "seed"]].drop_duplicates()
        assert len(seen) == (lost == 0).to_numpy().sum(), name
        assert np.isfinite(made[name].drop(columns=["weights", "view"], errors="ignore")).all(axis=None), name
    responses = made["responses"].set_index(["layer", "variant"])
    assert (responses.loc["conv1", "distance"] == 0).all()
    assert np.isposinf(responses.loc[("conv2", "BN_Amplify"), "distance"]).all()
    assert (responses.loc[("conv2", "BN_Amplify"), "identical"] == 0).all()


def test_wishart_matrices_have_the_moments_of_theirs():
    R = draws.wishart(20000, 3, 6, seed=0)
    torch.testing.assert_close(R.mean(0), torch.eye(3, dtype=torch.float64), atol=0.02, rtol=0)
    assert R[:, 0, 1].var().item() == pytest.approx(1 / 6, rel=0.05)
    with pytest.raises(ValueError, match="freedom: 2 is below the dimension 3"):
        draws.wishart(1, 3, 2, seed=0)


def test_gains_and_positions():
    table = draws.gains_and_eigenvalues(300, 2, 2, seed=0)
    position = table.position.dropna()
    assert ((position >= -1e-10) & (position <= 1 + 1e-10)).all()
    assert (table.query("gains == 'at least 1'").ratio >= 1 - 1e-10).all()
    assert (table.query("gains == 'at most 1'").ratio <= 1 + 1e-10).all()
    R, gains = draws.wishart(300, 4, 8, 0), draws.log_uniform_gains(300, 2, 0)
    D = np.diag(gains[7].repeat_interleave(2))
    ratio = np.linalg.eigvalsh(D @ R[7].numpy() @ D) / np.linalg.eigvalsh(R[7].numpy())
    np.testing.assert_allclose(table.query("gains == 'any' and draw == 7").ratio, ratio)
    assert ((gains >= 0.1) & (gains <= 10)).all()


def test_decorrelation_ends_pure():
    table = draws.decorrelation(300, 3, 2, (1, 0.1, 0.0), seed=0)
    assert table["median"].is_monotonic_increasing
    assert table["q1"].iloc[-1] == pytest.approx(1)


def test_centring_counts_what_a_loop_counts():
    table = draws.centring(200, 2, 2, seed=1).set_index("event")["count"]
    assert table.iloc[:2].tolist() == [0, 0]
    S = draws.wishart(200, 4, 8, 1) * draws.log_uniform_gains(200, 1, 1)[..., None]
    level = torch.randn(200, 2, generator=draws.generator(1, "channel means"), dtype=torch.float64)
    fell = rose = 0
    for covariance, means in zip(S.numpy(), level.numpy(), strict=True):
        m = np.repeat(means, 2)
        R = covariance + np.outer(m, m)
        before = np.linalg.eigvalsh(R)
        for above in (False, True):
            D, kept = np.eye(4), m.copy()
            for i in range(2):
                part = slice(2 * i, 2 * i + 2)
                if (R.diagonal()[part].mean() > 1) == above:
                    kept[part] = 0
                    D[part, part] /= math.sqrt(covariance.diagonal()[part].mean())
            after = np.linalg.eigvalsh(D @ (covariance + np.outer(kept, kept)) @ D)
            fell += not above and (after < before - 1e-9).any()
            rose += above and (after > before + 1e-9).any()
    assert table.iloc[2:].tolist() == [fell, rose]
    assert fell > 0
    assert rose > 0


def test_equilibration_by_numpy():
    table = draws.equilibration(20, (2, 3), (2,), seed=0)
    assert (table.query("dimension == 2").after <= table.query("dimension == 2").before * (1 + 1e-10)).all()
    R = draws.wishart(20, 3, 6, 0)[4].numpy()
    scale = 1 / np.sqrt(np.diag(R))
    row = table.query("dimension == 3 and draw == 4")
    assert row.before.item() == pytest.approx(np.linalg.cond(R))
    assert row.after.item() == pytest.approx(np.linalg.cond(R * np.outer(scale, scale)))
    bound = draws.equilibration_bound(10, (2, 3), seed=0)
    assert (bound.query("dimension == 2")["share"] - 0.5).abs().max() < 1e-6
    assert (bound["share"] <= 1).all()
    assert (bound.least <= bound.equal * (1 + 1e-9)).all()
