import math

import pytest
import torch
from torch.nn import functional

from bnlab import datasets
from bnlab.models.resnet import ResNet
from bnlab.randomness import generator
from bnlab.training import epochs as trainings
from bnlab.training.epochs import Recipe, train_epochs
from bnlab.training.train import evaluate


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits", size=8).subset(train=96, test=40)


def network(norm: str = "batch", place: str = "everywhere") -> ResNet:
    return ResNet(8, 1, width=4, norm=norm, placement=place, generator=generator(0, "weights"))


def recipe(**changes) -> Recipe:
    return Recipe(**{"learning_rate": 0.1, "epochs": 4, "batch_size": 32, "augment": False, **changes})


def test_trace_of_learning_rates(digits):
    """akamaster's ResNet-110 never left its warm-up's 0.01: the trace, not the intention, is what counts."""
    run = train_epochs(network(), digits, recipe(epochs=12, drops=(0.5, 0.75)), seed=0, evaluations=12)
    assert list(run.history["epoch"]) == list(range(1, 13))
    assert list(run.history["learning_rate"]) == pytest.approx([0.1] * 6 + [0.01] * 3 + [0.001] * 3, rel=1e-12)


def test_he_et_al_drop_at_half_and_three_quarters():
    assert Recipe(0.1, 165).drops == (32 / 64, 48 / 64)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_steps_are_those_of_the_formula(digits, momentum):
    """v <- m v + g + wd w, w <- w - rate v, with the rate of the epoch, by hand."""
    model, mirror = network(), network()
    train_epochs(
        model,
        digits,
        recipe(epochs=2, momentum=momentum, weight_decay=0.01, drops=(0.5,), channels_last=False),
        seed=3,
    )
    order, velocity = generator(3, "order of mini-batches"), None
    mirror.train()
    for rate in (0.1, 0.01):
        for images, labels in digits.batches(32, order):
            loss = functional.cross_entropy(mirror(images), labels)
            gradients = torch.autograd.grad(loss, list(mirror.parameters()))
            with torch.no_grad():
                full = [g + 0.01 * p for g, p in zip(gradients, mirror.parameters(), strict=True)]
                velocity = full if velocity is None else [momentum * v + f for v, f in zip(velocity, full, strict=True)]
                for parameter, v in zip(mirror.parameters(), velocity, strict=True):
                    parameter -= rate * v
    for a, b in zip(model.parameters(), mirror.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_looks_are_of_whole_splits_in_eval_mode(digits):
    model = network()
    run = train_epochs(model, digits, recipe(epochs=3, augment=True), seed=0, evaluations=1)
    last = run.history.iloc[-1]
    model.eval()
    for split in ("train", "test"):
        error, loss = evaluate(model, digits, split)
        assert last[f"{split}_accuracy"] == pytest.approx(1 - error)
        assert last[f"{split}_loss"] == pytest.approx(loss)
    assert list(run.history["epoch"]) == [3]


@pytest.mark.parametrize(
    ("epochs", "looks", "expected"), [(10, 3, [4, 7, 10]), (5, 5, [1, 2, 3, 4, 5]), (2, 9, [1, 2])]
)
def test_looks_are_equally_far_apart_and_the_last_is_at_the_end(digits, epochs, looks, expected):
    run = train_epochs(network(), digits, recipe(epochs=epochs), seed=0, evaluations=looks)
    assert list(run.history["epoch"]) == expected


def test_augmentation_changes_what_is_trained_on_and_draws_from_its_own_generator(digits):
    plain, moved, again = (
        train_epochs(network(), digits, recipe(augment=moves), seed=0).history for moves in (False, True, True)
    )
    assert not plain.equals(moved)
    assert moved.equals(again)


class KilledError(Exception):
    pass


@pytest.mark.parametrize("place", ["everywhere", "nowhere"])
def test_resumed_run_ends_with_the_same_bits(digits, place, tmp_path, monkeypatch):
    settings = recipe(epochs=5, augment=True, drops=(0.4,))
    whole = network(place=place)
    expected = train_epochs(whole, digits, settings, seed=1, evaluations=5).history
    path = tmp_path / "deep" / "run.pt"
    save = trainings._Run.save

    def dies(run, where):
        save(run, where)
        if run.epoch in (1, 3):
            raise KilledError

    monkeypatch.setattr(trainings._Run, "save", dies)
    for _ in range(2):
        with pytest.raises(KilledError):
            train_epochs(network(place=place), digits, settings, seed=1, evaluations=5, checkpoint=path)
    resumed = network(place=place)
    found = train_epochs(resumed, digits, settings, seed=1, evaluations=5, checkpoint=path).history
    assert found.equals(expected)
    assert all(
        torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    )
    monkeypatch.setattr(trainings._Run, "train_one_epoch", None)  # a finished run is not repeated
    assert train_epochs(network(place=place), digits, settings, seed=1, evaluations=5, checkpoint=path).history.equals(
        found
    )


def test_killed_while_writing_leaves_the_earlier_checkpoint(digits, tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    train_epochs(network(), digits, recipe(epochs=1), seed=0, checkpoint=path)
    before = path.read_bytes()

    def half(state, file):
        file.write(b"half of it")
        raise KilledError

    monkeypatch.setattr(trainings.torch, "save", half)
    run = trainings._Run(network(), digits, recipe(epochs=1), 0)
    with pytest.raises(KilledError):
        run.save(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("change", [{"seed": 2}, {"learning_rate": 0.2}, {"epochs": 9}, {"data": 90}])
def test_checkpoint_of_another_run_is_refused(digits, tmp_path, change):
    path = tmp_path / "run.pt"
    train_epochs(network(), digits, recipe(epochs=1), seed=0, checkpoint=path)
    seed = change.pop("seed", 0)
    data = digits.subset(train=change.pop("data", 96))
    with pytest.raises(ValueError, match=r"^checkpoint: .*run\.pt is another run's; delete it"):
        train_epochs(network(), data, recipe(**{"epochs": 1, **change}), seed=seed, checkpoint=path)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04"])
def test_damaged_checkpoint_is_refused(digits, tmp_path, content):
    path = tmp_path / "run.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^checkpoint: .*run\.pt cannot be read .*delete it"):
        train_epochs(network(), digits, recipe(), seed=0, checkpoint=path)


def test_a_run_that_diverges_ends_with_a_row_that_says_so(digits, tmp_path):
    path = tmp_path / "run.pt"
    lost = [
        train_epochs(network(place="nowhere"), digits, recipe(learning_rate=1e4), seed=0, checkpoint=path)
        for _ in range(2)  # the second finds it in the checkpoint
    ]
    assert all(run.diverged for run in lost)
    assert lost[0].history.equals(lost[1].history)
    last = lost[0].history.iloc[-1]
    assert last["epoch"] == 1
    assert not last["loss"] < 1e3
    assert math.isnan(last["test_accuracy"])


def test_bfloat16_rounds_and_channels_last_does_not(digits):
    plain, half, last = (
        train_epochs(network(), digits, recipe(epochs=1, **option), seed=0).history["loss"].item()
        for option in ({"channels_last": False}, {"bfloat16": True, "channels_last": False}, {"channels_last": True})
    )
    assert last == pytest.approx(plain, rel=1e-4)
    assert half == pytest.approx(plain, rel=0.03)
    assert abs(half - plain) > 1e-5 * plain


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"learning_rate": 0}, "learning_rate"),
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"momentum": -0.1}, "momentum"),
        ({"weight_decay": -1}, "weight_decay"),
        ({"drops": (0.5, 1.0)}, "drops"),
    ],
)
def test_wrong_recipes_are_refused(change, said):
    with pytest.raises(ValueError, match=f"^({said}): "):
        recipe(**change)


def test_no_look_is_refused(digits):
    with pytest.raises(ValueError, match=r"^evaluations: 0"):
        train_epochs(network(), digits, recipe(), seed=0, evaluations=0)
