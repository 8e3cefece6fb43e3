"""One training run against a hand-written loop, its records, its stopping, its refusals."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from bnlab import datasets
from bnlab.randomness import generator
from bnlab.training import train as training


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits").subset(train=200, test=100)


def network(seed=0):
    draw = generator(seed, "initialisation")
    model = nn.Sequential(nn.Conv2d(1, 3, 5, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(147, 10))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw) * 0.1)
    return model


def test_steps_are_plain_gradient_descent_with_two_rates(digits):
    model, mirror = network(), network()
    training.train(
        model,
        digits,
        learning_rate=0.3,
        other_learning_rate=0.1,
        steps=3,
        batch_size=50,
        generator=generator(0, "order"),
    )
    batches = digits.batches(50, generator(0, "order"))
    for _ in range(3):
        images, labels = next(batches)
        loss = functional.cross_entropy(mirror(images), labels)
        gradients = torch.autograd.grad(loss, list(mirror.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(mirror.parameters(), gradients, strict=True):
                parameter -= (0.3 if parameter.ndim == 4 else 0.1) * gradient
    for a, b in zip(model.parameters(), mirror.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


def test_same_seed_same_numbers(digits):
    runs = []
    for _ in range(2):
        model = network()
        run = training.train(
            model,
            digits,
            learning_rate=0.1,
            steps=6,
            batch_size=50,
            generator=generator(3, "order"),
            record_at=range(7),
            measurements={"error": lambda m: training.error_rate(m, digits)},
        )
        runs.append(run.history)
    assert runs[0].equals(runs[1])
    assert list(runs[0]["step"]) == list(range(7))
    assert runs[0]["loss"].iloc[-1] < runs[0]["loss"].iloc[0]


def test_measurements_see_eval_mode_and_leave_train_mode(digits):
    seen = []
    model = network()
    training.train(
        model,
        digits,
        learning_rate=0.1,
        steps=2,
        batch_size=50,
        generator=generator(0, "order"),
        measurements={"mode": lambda m: seen.append(m.training) or 0.0},
    )
    assert seen == [False]
    assert model.training


def test_divergence_stops_early_and_is_said(digits):
    run = training.train(network(), digits, learning_rate=1e6, steps=50, batch_size=50, generator=generator(0, "order"))
    assert run.diverged
    assert run.history["step"].iloc[-1] < 50


def test_epochs_follow_each_other(digits):
    run = training.train(network(), digits, learning_rate=0.01, steps=9, batch_size=50, generator=generator(0, "order"))
    assert run.history["step"].iloc[-1] == 9  # 4 batches an epoch


def test_error_of_a_constant_network(digits):
    class Constant(nn.Module):
        def forward(self, images):
            return functional.one_hot(torch.full((len(images),), 3), 10).float() * 5

    error, loss = training.evaluate(Constant(), digits)
    share = float((digits.test_labels == 3).double().mean())
    assert error == pytest.approx(1 - share)
    log_sum = float(torch.logsumexp(torch.tensor([5.0] + [0.0] * 9), 0))
    assert loss == pytest.approx(log_sum - 5 * share, rel=1e-5)


@pytest.mark.parametrize("name", ["learning_rate", "steps", "batch_size", "other_learning_rate"])
def test_what_is_not_positive_is_refused(digits, name):
    arguments = {"learning_rate": 0.1, "steps": 1, "batch_size": 50, "other_learning_rate": 0.1, name: 0}
    with pytest.raises(ValueError, match=f"{name}: 0 is not a (finite number above 0|whole number of at least 1)"):
        training.train(network(), digits, generator=generator(0, "order"), **arguments)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", float("nan")),
        ("learning_rate", True),
        ("momentum", -0.1),
        ("weight_decay", float("inf")),
        ("steps", 2.5),
        ("batch_size", True),
    ],
)
def test_what_is_no_number_of_its_kind_is_refused(digits, name, value):
    arguments = {"learning_rate": 0.1, "steps": 1, "batch_size": 50, name: value}
    with pytest.raises(ValueError, match=f"{name}: {value!r} is not a"):
        training.train(network(), digits, generator=generator(0, "order"), **arguments)


def test_numbers_of_numpy_are_numbers(digits):
    def trained(real, whole):
        model = network()
        training.train(model, digits, learning_rate=real(0.5), other_learning_rate=real(0.25), momentum=real(0.5),
                       weight_decay=real(0.125), rates={"3.bias": real(0.75)}, steps=whole(3), batch_size=whole(50),
                       generator=generator(0, "order"))  # fmt: skip
        return model.state_dict()

    plain, scalars = trained(float, int), trained(np.float32, np.int64)
    assert all(torch.equal(plain[name], scalars[name]) for name in plain)


def test_rates_of_their_own_in_closed_form(digits):
    model, mirror = network(), network()
    training.train(
        model, digits, learning_rate=0.3, other_learning_rate=0.1, rates={"3.weight": 0.02, "0.bias": 0.0}, steps=1,
        batch_size=50, generator=generator(0, "order"),
    )  # fmt: skip
    images, labels = next(digits.batches(50, generator(0, "order")))
    gradients = torch.autograd.grad(functional.cross_entropy(mirror(images), labels), list(mirror.parameters()))
    rates = {"0.weight": 0.3, "0.bias": 0.0, "3.weight": 0.02, "3.bias": 0.1}
    for (name, start), gradient in zip(mirror.named_parameters(), gradients, strict=True):
        expected = start - rates[name] * gradient
        torch.testing.assert_close(model.get_parameter(name), expected, rtol=1e-5, atol=1e-7)
    assert torch.equal(model.get_parameter("0.bias"), mirror.get_parameter("0.bias"))


def test_frozen_parameters_gather_no_gradient_from_step_to_step(digits):
    sizes = []
    training.train(
        network(), digits, learning_rate=1e-9, rates={"3": 0.0}, steps=4, batch_size=200,
        generator=generator(0, "order"), adjust=lambda model, step: sizes.append(model[3].weight.grad.norm().item()),
    )  # fmt: skip
    assert max(sizes) < 1.01 * min(sizes)  # the same 200 images each time: a sum would grow as 1, 2, 3, 4


@pytest.mark.parametrize(
    ("rates", "words"),
    [({"fd": 0.1}, "fd"), ({"3": -0.1}, r"-0\.1"), ({"3": float("inf")}, "inf")],
)
def test_rates_that_fit_nothing_are_named(digits, rates, words):
    with pytest.raises(ValueError, match=words):
        training.train(network(), digits, learning_rate=0.1, rates=rates, steps=1, batch_size=50,
                       generator=generator(0, "order"))  # fmt: skip


def test_adjust_sees_the_gradient_of_each_step_and_may_change_it(digits):
    seen, model = [], network()
    start = {name: value.detach().clone() for name, value in model.named_parameters()}

    def adjust(network, step):
        seen.append(step)
        for parameter in network.parameters():
            parameter.grad.fill_(1.0)

    training.train(model, digits, learning_rate=0.25, steps=3, batch_size=50, generator=generator(0, "order"),
                   adjust=adjust)  # fmt: skip
    assert seen == [1, 2, 3]
    for name, value in model.named_parameters():
        torch.testing.assert_close(value, start[name] - 0.75, rtol=1e-5, atol=1e-6)


def test_a_measurement_may_give_several_numbers(digits):
    run = training.train(
        network(), digits, learning_rate=0.1, steps=2, batch_size=50, generator=generator(0, "order"), record_at=[1],
        measurements={"pair": lambda model: {"one": 1, "two": torch.tensor(2.0)}, "three": lambda model: 3},
    )  # fmt: skip
    assert list(run.history) == ["step", "loss", "one", "two", "three"]
    assert run.history[["one", "two", "three"]].to_numpy().tolist() == [[1.0, 2.0, 3.0]] * 2
