"""Settings that Chai et al. 2020 leave open: drawn without repetition, few or all of them; images without margins."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from bnlab import datasets
from bnlab.sweeps import unknowns
from bnlab.sweeps.unknowns import UNKNOWNS
from bnlab.tables import table

BOOK = {name: values[0] for name, values in UNKNOWNS.items()}


def test_settings_differ_in_one_thing_and_then_in_many_without_repetition():
    found = unknowns.settings(48, seed=0)
    assert found[0] == BOOK
    assert found == unknowns.settings(48, seed=0) != unknowns.settings(48, seed=1)
    differences = [sum(setting[name] != BOOK[name] for name in BOOK) for setting in found]
    assert differences[1:13] == [1] * 12
    assert len(found) == 61
    assert min(differences[13:]) >= 2
    assert len({tuple(setting.items()) for setting in found}) == 61
    assert all(setting[name] in UNKNOWNS[name] for setting in found for name in BOOK)


@pytest.mark.parametrize("wrong", [-1, 2.5, 2000])
def test_a_number_of_combinations_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="combinations"):
        unknowns.settings(wrong, seed=0)


def test_images_without_their_margin_fill_their_size():
    padded = datasets.load("digits").subset(train=4, test=2)
    padded.train_images[:, :, :2], padded.train_images[:, :, -2:] = 0, 0
    padded.train_images[:, :, 2:-2, 2:-2] = 200
    found = unknowns.enlarged(padded)
    assert found.train_images.shape == padded.train_images.shape
    assert (found.train_images == 200).all()
    assert found.train_images.dtype == torch.uint8
    assert found.checksum != padded.checksum


def test_an_experiment_that_knows_fewer_has_settings_of_those():
    known = ("batch_size", "other_rate")
    found = unknowns.settings(2, seed=0, names=known)
    assert [tuple(setting) for setting in found] == [known] * 6
    assert {tuple(setting.values()) for setting in found[4:]} == {(16, 0.01), (256, 0.01)}
    with pytest.raises(ValueError, match="more than the 2 that there are"):
        unknowns.settings(3, seed=0, names=known)


def seen(point, setting):
    """What a run is given."""
    step = {"step": setting.steps, "mean": setting.dataset.train_images.float().mean().item()}
    return table([tuple(step.values())], {"step": "gradient steps", "mean": "byte"})


def test_a_point_is_run_on_the_images_that_it_says():
    data = datasets.load("digits").subset(train=20, test=5)
    points = [{"images": images, "seed": seed} for images in reversed(UNKNOWNS["images"]) for seed in range(2)]
    with ThreadPoolExecutor(1) as here:
        found = unknowns.swept(points, seen, data, 7, lambda shown: {}, executor=here, progress=False)
    means = {name: shown.train_images.float().mean().item() for name, shown in unknowns.both_kinds(data)}
    assert means["padded"] != means["enlarged"]
    assert found["mean"].tolist() == [means[images] for images in found["images"]]
    assert sorted(found["images"]) == ["enlarged"] * 2 + ["padded"] * 2
    assert set(found["step"]) == {7}
