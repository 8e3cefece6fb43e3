"""LeNet runs from plain points: paired beginnings, rates in closed form, records, refusals before anything trains."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from bnlab import datasets
from bnlab.measures import probes
from bnlab.models.norms import NORMS
from bnlab.sweeps import points as lenet_runs
from bnlab.sweeps import sweep as sweeps
from bnlab.sweeps.points import Setting, complete, prepare, run_point, run_points
from bnlab.theory import modes
from bnlab.training.train import parameter_rates

PAIRS = [*NORMS, "batch+none", "none+batch"]


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits").subset(train=200, test=60)


@pytest.fixture(scope="module")
def setting(digits):
    return Setting(digits, steps=2)


def shared(model):
    return [model.conv1.weight, model.conv1.bias, model.conv2.weight, model.conv2.bias, model.fc.weight, model.fc.bias]


@pytest.mark.parametrize("norm", PAIRS)
def test_same_seed_same_weights_and_batches_whatever_the_norm(norm, setting):
    plain, other = (prepare(complete({"norm": name, "seed": 3}), setting) for name in ("none", norm))
    assert all(torch.equal(a, b) for a, b in zip(shared(plain.model), shared(other.model), strict=True))
    batches = [next(iter(setting.dataset.batches(64, job.generator)))[1] for job in (plain, other)]
    assert torch.equal(*batches)
    another = prepare(complete({"norm": norm, "seed": 4}), setting)
    assert not torch.equal(another.model.conv1.weight, other.model.conv1.weight)
    assert not torch.equal(next(iter(setting.dataset.batches(64, another.generator)))[1], batches[0])


@pytest.mark.parametrize("norm", PAIRS)
def test_every_parameter_receives_a_gradient(norm, setting):
    model = prepare(complete({"norm": norm}), setting).model.train()
    # What is below the threshold has gamma and beta that act on nothing: make some channels strong, leave some weak.
    with torch.no_grad():
        for layer in (model.conv1, model.conv2):
            layer.weight[::2] *= 10
            layer.bias[::2] *= 10
    images, labels = next(iter(setting.dataset.batches(64, torch.Generator().manual_seed(0))))
    functional.cross_entropy(model(images), labels).backward()
    assert [name for name, value in model.named_parameters() if value.grad is None] == []
    silent = [name for name, value in model.named_parameters() if not value.grad.any()]
    # A bias before a normalisation of all channels changes nothing.
    assert [name for name in silent if not name.endswith(".bias")] == []


def test_gain_multiplies_the_initial_convolutions_only(setting):
    plain, large = (prepare(complete({"gain": gain}), setting).model for gain in (1.0, 3.0))
    for number, (a, b) in enumerate(zip(shared(plain), shared(large), strict=True)):
        torch.testing.assert_close(b, a * (3 if number < 4 else 1), rtol=1e-6, atol=0)


def test_frozen_fc_does_not_move_and_the_others_do(setting):
    job = prepare(complete({"fc": "frozen", "norm": "batch"}), setting)
    start = {name: value.clone() for name, value in job.model.named_parameters()}
    fresh = prepare(complete({"fc": "frozen", "norm": "batch"}), setting)
    from bnlab.training.train import train

    train(fresh.model, setting.dataset, learning_rate=0.1, other_learning_rate=0.1, rates=fresh.rates, steps=2,
          batch_size=64, generator=fresh.generator)  # fmt: skip
    moved = {name for name, value in fresh.model.named_parameters() if not torch.equal(value, start[name])}
    assert moved >= {"conv1.weight", "conv2.weight", "norm1.weight", "norm2.bias"}
    assert not moved & {"fc.weight", "fc.bias"}


def features(point, setting):
    """Largest eigenvalue of fc's uncentred input on the probe images, by singular values."""
    job = prepare(complete(point), setting)
    images, _ = next(iter(setting.dataset.batches(64, job.generator)))
    model = job.model.train()
    with torch.no_grad():
        model(images)
        looked_at = probes.probe_images(setting.dataset)
        entering = probes.activations(model, looked_at, ("fc",))["fc"][0].double()
    return torch.linalg.svdvals(entering)[0].item() ** 2 / len(entering)


def test_matched_rate_of_fc_in_closed_form(setting):
    plain, batch = features({}, setting), features({"norm": "batch"}, setting)
    assert batch > 2 * plain
    rates = prepare(complete({"norm": "batch", "fc": "matched"}), setting).rates
    assert rates == {"fc": pytest.approx(0.1 * plain / batch, rel=1e-9)}
    assert prepare(complete({"fc": "matched"}), setting).rates == {"fc": pytest.approx(0.1, rel=1e-12)}
    assert prepare(complete({"fc": "as_batch"}), setting).rates == {"fc": pytest.approx(0.1 * batch / plain, rel=1e-9)}
    assert prepare(complete({"norm": "batch"}), setting).rates == {}


def largest(norm, setting):
    model = prepare(complete({"norm": norm}), setting).model
    return modes.natural_modes(probes.input_autocorrelation(model, probes.probe_images(setting.dataset))).eigenvalues


def test_conv_rate_as_batch_is_the_ratio_of_largest_eigenvalues(setting):
    job = prepare(complete({"conv": "as_batch", "learning_rate": 0.02}), setting)
    ratio = largest("batch", setting)[-1] / largest("none", setting)[-1]
    assert job.learning_rate == pytest.approx(0.02 * ratio.item(), rel=1e-9)
    assert job.rates == {}


def test_raised_modes_take_the_factors_of_the_network_with_batch_normalisation(setting):
    adjust = prepare(complete({"spectrum": "lower_half"}), setting).adjust
    own, batch = largest("none", setting), largest("batch", setting)
    alive = own[:75] > 1e-10 * own[-1]
    assert alive.sum() > 60
    torch.testing.assert_close(adjust.factors[:75][alive], (batch / own)[:75][alive], rtol=1e-6, atol=0)
    assert (adjust.factors[75:] == 1).all()
    assert prepare(complete({}), setting).adjust is None


def test_a_cap_leaves_conv1_at_the_other_rate(setting):
    job = prepare(complete({"cap": 4.0, "learning_rate": 2.0}), setting)
    assert job.rates == {"conv1": 0.1}
    assert job.adjust.cap == 4.0
    assert prepare(complete({"learning_rate": 2.0}), setting).rates == {}


def test_a_run_is_a_tidy_table_and_the_same_each_time(digits):
    watched = {"test": probes.SplitError(digits)}
    setting = Setting(digits, 3, (0, 2), watched)
    first, again = (run_point(complete({"norm": "suppress"}), setting) for _ in range(2))
    assert first.equals(again)
    assert first["step"].tolist() == [0, 2, 3]
    assert list(first) == ["step", "loss", "test_error", "test_loss", "diverged", "engine"]
    # Data floor and loss: the first batch's cross-entropy of ten classes, before any step, is about ln 10.
    assert first["loss"][0] == pytest.approx(math.log(10), rel=0.1)


def test_a_lost_run_says_so_and_ends(digits):
    run = run_point(complete({"learning_rate": 1e6}), Setting(digits, 30))
    assert run["diverged"].all()
    assert run["step"].iloc[-1] < 30


def test_points_are_one_table_in_their_order(digits):
    points = sweeps.grid(norm=["batch", "none"], seed=[0, 1])
    with ThreadPoolExecutor(1) as pool:
        table = run_points(points, Setting(digits, 1), executor=pool, progress=False)
    assert table[["norm", "seed"]].to_numpy().tolist() == [["batch", 0], ["batch", 1], ["none", 0], ["none", 1]]
    assert (table["status"] == "ok").all()
    assert (table["fc"] == "paper").all()


def test_a_bad_point_among_good_ones_is_a_row(digits):
    broken = {"seed": 0, "batch_size": 300}  # more than there are training images
    with ThreadPoolExecutor(1) as pool:
        table = run_points([{"seed": 0}, broken], Setting(digits, 1), executor=pool, progress=False)
    assert table["status"].iloc[0] == "ok"
    assert table["status"].iloc[1].startswith("failed: ")


def seen(model):
    return 1.0


def test_kept_runs_do_not_answer_for_other_measurements(digits, tmp_path):
    """Probes of other sizes or other images, a split of other images, a measurement by another name: other runs."""
    fewer = digits.subset(test=30)
    watched = [
        {"probe": probes.LeNetProbe(probes.probe_images(digits, 20))},
        {"probe": probes.LeNetProbe(probes.probe_images(digits, 40))},
        {"probe": probes.LeNetProbe(probes.probe_images(digits, 40) + 1)},
        {"test": probes.SplitError(digits)},
        {"test": probes.SplitError(fewer)},
        {"test": probes.SplitError(digits, "train")},
        {"own": probes.SplitError(digits, "train")},
        {"own": seen},
        {},
    ]
    tables = []
    with ThreadPoolExecutor(1) as pool:
        for measurements in watched:
            setting = Setting(digits, 2, (1,), measurements)
            tables.append(run_points([{"seed": 0}], setting, folder=tmp_path, executor=pool, progress=False))
    assert len(list(tmp_path.glob("*.csv.gz"))) == len(watched)
    assert tables[0]["lambda_max"].tolist() != tables[1]["lambda_max"].tolist()
    assert tables[3]["test_error"].tolist() != tables[4]["test_error"].tolist()


def test_kept_runs_do_not_answer_for_other_settings(digits, tmp_path):
    thinned = replace(digits, train_images=digits.train_images.roll(1, 0))
    settings = [Setting(digits, 2), Setting(digits, 1), Setting(digits, 2, (1,)), Setting(thinned, 2)]
    settings.append(Setting(digits, 2, images_of_first_look=10))
    with ThreadPoolExecutor(1) as pool:
        for setting in [*settings, *settings]:
            run_points([{"seed": 0}], setting, folder=tmp_path, executor=pool, progress=False)
    assert len(list(tmp_path.glob("*.csv.gz"))) == len(settings)


def test_a_measurement_without_a_stable_key_is_refused_where_runs_are_kept(digits, tmp_path):
    setting = Setting(digits, 1, (), {"mean": lambda model: 1.0})
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(ValueError, match=r"measurements.*mean.*has no stable key"):
            run_points([{}], setting, folder=tmp_path, executor=pool, progress=False)
        assert len(run_points([{}], setting, executor=pool, progress=False)) == 1


@pytest.mark.parametrize(
    ("point", "words"),
    [
        ({"rate": 0.1}, "a point has no 'rate'; it may say norm, learning_rate"),
        ({"norm": "bath"}, "norm: 'bath' is not one of 'none', 'batch'"),
        ({"norm": "batch+bath"}, "norm: 'bath' is not one of"),
        ({"learning_rate": 0}, "learning_rate = 0 must be a finite number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate = nan must be"),
        ({"gain": -1.0}, "gain = -1.0 must be"),
        ({"batch_size": 0}, "batch_size = 0 must be a whole number above 0"),
        ({"fc": "cold"}, "fc = 'cold' is not one of paper, frozen"),
        ({"spectrum": "half"}, "spectrum = 'half' is not one of own, smallest"),
        ({"conv": "matched"}, "conv = 'matched' is not one of paper, as_batch"),
        ({"cap": -1.0}, "cap = -1.0 must be a finite number, not negative"),
        ({"seed": 1.5}, "seed = 1.5 must be a whole number"),
        ({"seed": "1"}, "seed = '1' must be a whole number"),
        ({"batch_size": 32.5}, "batch_size = 32.5 must be a whole number above 0"),
        ({"learning_rate": True}, "learning_rate = True must be a finite number above 0"),
        ({"gain": float("inf")}, "gain = inf must be a finite number above 0"),
    ],
)
def test_bad_points_are_refused_before_anything_trains(point, words, setting, monkeypatch):
    monkeypatch.setattr(lenet_runs, "run_point", None)
    with pytest.raises(ValueError, match=words) as error:
        run_points([{}, point], setting, progress=False)
    assert "\n" not in str(error.value)


def test_numbers_of_numpy_are_numbers_of_a_point():
    point = complete({"seed": np.int64(3), "learning_rate": np.float32(0.5), "batch_size": np.int32(32)})
    assert (point["seed"], point["learning_rate"], point["batch_size"]) == (3, 0.5, 32)
    assert [type(point[name]) for name in ("seed", "learning_rate", "batch_size")] == [int, float, int]


def test_a_gpu_computes_in_batches_with_switches_set(digits, monkeypatch):
    told = {}
    monkeypatch.setattr(Setting, "device", "cuda")
    monkeypatch.setattr(
        sweeps, "sweep", lambda points, run, **more: told.update(more, on=torch.backends.cudnn.allow_tf32)
    )
    run_points([{}], Setting(digits, 1), progress=False)
    assert told["batched"].func is lenet_runs.run_batched
    assert (told["arithmetic"].device, told["arithmetic"].engine) == ("cuda", "batched")
    assert told["arithmetic"].deterministic
    assert not told["arithmetic"].tf32
    assert not told["on"]


def test_an_empty_grid_is_refused(setting):
    with pytest.raises(ValueError, match="no points to run"):
        run_points([], setting, progress=False)


def test_steps_of_epochs():
    whole = datasets.load("digits")
    assert lenet_runs.epochs_to_steps((0, 0.1, 1, 2), whole, 64) == (0, 2, 22, 44)


def test_a_held_convolution_learns_like_everything_else(setting):
    held = lenet_runs.prepare(complete({"learning_rate": 3.0, "held": "conv2"}), setting)
    rates = parameter_rates(held.model, held.learning_rate, held.other_learning_rate, held.rates)
    assert [rates[f"{name}.weight"] for name in ("conv1", "conv2", "fc")] == [3.0, 0.1, 0.1]
