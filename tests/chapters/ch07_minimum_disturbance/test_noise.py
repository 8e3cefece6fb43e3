"""Noise in conv2's local error: closed forms at equal weights, matched rates on invented curves, paired runs."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from bnlab import datasets
from bnlab.chapters.ch07_minimum_disturbance import noise_matching, noise_sensitivity, update_noise
from bnlab.layers.nlms import NlmsConv2d
from bnlab.measures.gradients import local_errors
from bnlab.measures.probes import SplitError
from bnlab.randomness import generator
from bnlab.sweeps.first_look import build_lenet
from bnlab.sweeps.points import Setting


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits", size=32).subset(train=100, test=50)


@pytest.fixture(scope="module")
def batch(digits):
    return next(iter(digits.batches(6, generator(0, "test batch"))))


def build(norm, digits):
    return build_lenet({"norm": f"none+{norm}", "seed": 0, "gain": 1.0}, digits)


@pytest.mark.parametrize("norm", noise_sensitivity.METHODS)
def test_a_noiseless_layer_in_its_place_changes_nothing(digits, batch, norm):
    images, labels = batch
    grads = []
    for replace in (False, True):
        model = build(norm, digits)
        if replace:
            weight = model.conv2.weight
            layer = noise_sensitivity.inject_noise(model, 0.0)
            assert model.conv2 is layer
            assert layer.weight is weight
        functional.cross_entropy(model(images), labels).backward()
        grads.append({name: p.grad for name, p in model.named_parameters()})
    for name, gradient in grads[0].items():
        torch.testing.assert_close(grads[1][name], gradient, rtol=1e-4, atol=1e-6)


def test_noise_reaches_conv2s_weights_and_nothing_else(digits, batch):
    images, labels = batch
    grads = []
    for noise in (0.0, 10.0):
        model = build("batch", digits)
        noise_sensitivity.inject_noise(model, noise, generator(0, "noise"))
        functional.cross_entropy(model(images), labels).backward()
        grads.append({name: p.grad for name, p in model.named_parameters()})
    changed = [name for name in grads[0] if not torch.allclose(grads[0][name], grads[1][name], rtol=1e-3, atol=1e-6)]
    assert changed == ["conv2.weight"]


@pytest.mark.parametrize("norm", ["none", "batch_prior", "nlms_l2", "nlms_l2_patch"])
def test_the_ratio_has_its_closed_form(digits, batch, norm, monkeypatch):
    """E over the noise of mean |x^T dW|^2 is var(delta) OC-free tr(R S), S the sum of normalised patch products."""
    monkeypatch.setattr(update_noise, "DRAWS", 200)
    measured = update_noise.one_ratio(build(norm, digits), *batch, generator(0, "noise"))
    signals = local_errors(build(norm, digits).train(), *batch, functional.cross_entropy, "conv2")
    columns = signals.patches.double().transpose(0, 1).flatten(1)  # (K, B*M)
    errors = signals.errors.double().flatten(2).transpose(0, 1).flatten(1)  # (OC, B*M)
    scaled = columns
    if norm.startswith("nlms"):
        groups = 1 if norm.endswith("patch") else 6
        power = columns.reshape(groups, -1, columns.shape[1]).square().sum(1, keepdim=True)
        scaled = (columns.reshape(groups, -1, columns.shape[1]) / (power + 1e-3 * power.mean())).flatten(0, 1)
    noise = errors.var() * torch.trace(columns @ columns.T @ scaled @ scaled.T) / columns.shape[1]
    signal = (columns.T @ scaled @ errors.T).square().mean()
    assert measured == pytest.approx((noise / signal).item(), rel=0.1)


def test_ratio_table_is_quadratic_in_the_scale_and_paired(digits):
    table = update_noise.noise_ratio(digits, [0], [8, 16], steps=1)
    assert len(table) == 2 * 2 * 7 * 3
    by = table.pivot_table(index=["weights", "norm", "batch_size"], columns="noise", values="ratio")
    np.testing.assert_allclose(by[10.0] / by[1.0], 100, rtol=1e-12)
    assert (by > 0).all().all()


def test_equal_seeds_share_weights_and_batches(digits):
    point = {"norm": "none", "noise": 0.0, "rate": 0.1, "seed": 5, "fc": "frozen", "batch_size": 10}
    setting = Setting(digits, 2, (1, 2), {"test": SplitError(digits)})
    first = noise_sensitivity.prepare(point, setting)
    second = noise_sensitivity.prepare({**point, "norm": "nlms_l2_patch", "noise": 10.0}, setting)
    assert torch.equal(first.model.conv2.weight, second.model.conv2.weight)
    assert first.generator.get_state().equal(second.generator.get_state())
    assert (first.learning_rate, second.learning_rate) == (0.1, 15.0)
    assert isinstance(second.model.conv2, NlmsConv2d)
    assert second.model.conv2.span == "patch"
    before = first.model.fc.weight.clone()
    history = noise_sensitivity.run_point(point, setting)
    assert history["step"].tolist() == [1, 2]
    assert torch.equal(noise_sensitivity.prepare(point, setting).model.fc.weight, before)


def test_one_computation_of_many_networks_is_the_single_runs(digits):
    common = {"rate": 0.05, "seed": 2, "fc": "frozen", "batch_size": 10}
    points = [{"norm": norm, "noise": noise, **common} for norm in noise_sensitivity.METHODS for noise in (0.0, 10.0)]
    setting = Setting(digits, 3, (1, 3), {"test": SplitError(digits)})
    for point, together in zip(points, noise_sensitivity.run_batched(points, setting), strict=True):
        alone = noise_sensitivity.run_point(point, setting)
        assert together.columns.tolist() == alone.columns.tolist()
        np.testing.assert_allclose(together[["loss", "test_loss"]], alone[["loss", "test_loss"]], rtol=1e-3)


def test_a_grid_refuses_what_cannot_run():
    good = dict(methods=("none",), rates=(0.1,), noises=(10.0,), seeds=(0, 1), tuning_seeds=(7,))
    points = noise_sensitivity.Grid(**good).points()
    assert len(points) == 2 * 2 + 1
    assert {p["noise"] for p in points if p["seed"] == 7} == {0.0}
    for change, words in (
        ({"methods": ("nlms",)}, "methods: 'nlms' is not one of none, batch"),
        ({"noises": (0.0,)}, "noises = "),
        ({"tuning_seeds": (1,)}, r"tuning_seeds: \[1\] are reported seeds too"),
    ):
        with pytest.raises(ValueError, match=words):
            noise_sensitivity.Grid(**(good | change))
    with pytest.raises(ValueError, match="fc: 'thawed' is not one of frozen, trained"):
        noise_sensitivity.frontier(None, noise_sensitivity.Grid(**good), 1, ["thawed"])
    for change, words in (
        ({"seeds": (0, 1.5)}, "seed = 1.5 must be a whole number"),
        ({"batch_size": 32.5}, "batch_size = 32.5 must be a whole number above 0"),
        ({"noises": (True,)}, "noise = True must be a finite number"),
        ({"noises": (float("inf"),)}, "noise = inf must be a finite number"),
    ):
        with pytest.raises(ValueError, match=words):
            noise_sensitivity.Grid(**(good | change))


def test_a_comparison_in_pairs_has_no_use_for_holes(monkeypatch):
    holes = pd.DataFrame({"seed": [0, 1], "status": ["ok", "failed: memory"]})
    monkeypatch.setattr(noise_sensitivity, "sweep_on", lambda *_, **__: holes)
    with pytest.raises(ValueError, match=r"1 of the runs failed: \(seed = 1\); the first failed: memory"):
        noise_sensitivity.run_grid([], None, ())


def invented(curves, noisy, seeds=(0, 1)):
    """Runs whose clean error is curves[norm][rate] and whose noisy error is that plus noisy[norm]."""
    rows = []
    for norm, curve in curves.items():
        for rate, error in curve.items():
            common = {"norm": norm, "rate": rate, "fc": "frozen", "step": 3, "loss": 1.0, "diverged": False}
            for seed in (*seeds, 100):
                role = "tuning" if seed == 100 else "reported"
                for noise in (0.0, 10.0) if role == "reported" else (0.0,):
                    value = error + (noisy[norm] if noise else 0)
                    rows.append({**common, "seed": seed, "noise": noise, "role": role, "test_error": value,
                                 "test_loss": 2 * value})  # fmt: skip
    return pd.DataFrame(rows)


def test_methods_are_compared_where_they_are_equally_good():
    curves = {"none": {0.01: 0.8, 0.1: 0.4, 1.0: 0.3}, "nlms_l2": {0.01: 0.6, 0.1: 0.2, 1.0: 0.5}}
    runs = invented(curves, {"none": 0.25, "nlms_l2": 0.05})
    level = noise_matching.common_level(runs)
    assert level == pytest.approx(0.3)  # the worst method's best
    assert noise_matching.common_level(runs, "loss") == pytest.approx(0.6)
    assert noise_matching.easiest_level(runs) == pytest.approx(0.6)  # the better of both at the lowest rate
    assert noise_matching.best_rates(runs).to_dict() == {"nlms_l2": 0.1, "none": 1.0}
    at = noise_matching.matched(runs, 0.5).set_index(["norm", "seed"])
    # between rates 0.01 and 0.1 on the logarithmic scale: three quarters of the way down from 0.8 to 0.4, a quarter
    assert at.loc["none", "rate"].tolist() == pytest.approx([10**-1.25] * 2)
    assert at.loc["nlms_l2", "rate"].tolist() == pytest.approx([10**-1.75] * 2)
    assert at["clean_error"].tolist() == pytest.approx([0.5] * 4)
    assert at.loc["none", "increase"].tolist() == pytest.approx([0.25] * 2)
    assert at["reached"].all()
    edge = noise_matching.matched(runs, level).set_index(["norm", "seed"]).loc["none"]  # reached at the last rate
    assert edge["rate"].tolist() == pytest.approx([1.0] * 2)
    assert edge["reached"].all()


def test_a_level_that_is_that_of_the_lowest_rate_is_reached_there():
    runs = invented({"none": {0.01: 0.8, 0.1: 0.4}}, {"none": 0.1})
    at = noise_matching.matched(runs, 0.8)
    assert at["reached"].all()
    assert at["rate"].tolist() == pytest.approx([0.01] * 2)


def test_runs_that_never_reach_the_level_say_so():
    runs = invented({"none": {0.01: 0.8, 0.1: 0.4}, "batch": {0.01: 0.2, 0.1: 0.1}}, {"none": 0.1, "batch": 0.2})
    at = noise_matching.matched(runs, 0.3).drop_duplicates("norm").set_index("norm")
    assert not at["reached"].any()
    assert at["rate"].to_dict() == pytest.approx({"none": 0.1, "batch": 0.01})
    assert at["increase"].to_dict() == pytest.approx({"none": 0.1, "batch": 0.2})


def test_trained_and_frozen_fc_are_kept_apart():
    frozen = invented({"none": {0.1: 0.8, 1.0: 0.4}}, {"none": 0.1})
    trained = invented({"none": {0.1: 0.5, 1.0: 0.1}}, {"none": 0.2}).assign(fc="trained")
    both = pd.concat([frozen, trained])
    assert noise_matching.common_level(both, fc="trained") == pytest.approx(0.1)
    assert noise_matching.common_level(both) == pytest.approx(0.4)
    assert noise_matching.matched(both, 0.3, fc="trained")["increase"].tolist() == pytest.approx([0.2, 0.2])
    assert noise_matching.matched(both, 0.6)["increase"].tolist() == pytest.approx([0.1, 0.1])


def test_a_diverged_run_counts_as_guessing():
    runs = invented({"none": {0.01: 0.8, 0.1: 0.4}}, {"none": 0.1})
    worst = (runs["rate"] == 0.1) & (runs["noise"] == 10.0)
    runs.loc[worst, ["diverged", "test_error", "test_loss"]] = [True, np.nan, np.nan]
    last = noise_matching.finals(runs)
    assert last[(last["rate"] == 0.1) & (last["noise"] == 10)]["test_error"].tolist() == [0.9, 0.9]
    assert noise_matching.matched(runs, 0.4)["noisy_error"].tolist() == pytest.approx([0.9, 0.9])


def test_the_last_record_is_one_record():
    """Where the last record lacks a number, no earlier one lends it: nothing is mixed of two steps."""
    runs = invented({"none": {0.1: 0.4}}, {"none": 0.1}, seeds=(0,)).query("role == 'reported' and noise == 0")
    later = runs.assign(step=9, test_error=np.nan, test_loss=0.3, loss=0.2)
    last = noise_matching.finals(pd.concat([later, runs]))
    assert last[["step", "loss", "test_loss"]].to_numpy().tolist() == [[9, 0.2, 0.3]]
    assert last["test_error"].isna().all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda runs: noise_matching.common_level(runs, "accuracy"), "by = 'accuracy' is not one of error, loss"),
        (lambda runs: noise_matching.common_level(runs.query("role == 'reported'")), "no tuning seed"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call(invented({"none": {0.1: 0.4}}, {"none": 0.1}))
