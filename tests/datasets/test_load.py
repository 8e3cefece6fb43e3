"""What every data set is: `load`, the Dataset, its batches and subsets, splits, roots."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bnlab import datasets
from bnlab.datasets.base import assemble, pixel_statistics
from bnlab.datasets.roots import data_root
from bnlab.datasets.splitting import stratified_sample, stratified_split
from bnlab.randomness import generator


@pytest.fixture(scope="module")
def colourful():
    """A data set small enough to check by hand: 40 training and 12 test images of two channels, three classes."""
    draw = generator(0, "pixels of a test")
    train = torch.randint(0, 256, (40, 2, 4, 4), generator=draw).to(torch.uint8)
    test = torch.randint(0, 256, (12, 2, 4, 4), generator=draw).to(torch.uint8)
    labels = [torch.arange(n) % 3 for n in (40, 12)]
    return assemble("colourful", "Colourful", (train, labels[0]), (test, labels[1]), ("a", "b", "c"), pad=1)


def test_mean_and_std_are_of_training_pixels_before_padding(colourful):
    inner = colourful.train_images[:, :, 1:-1, 1:-1].numpy() / 255
    np.testing.assert_allclose(colourful.mean.numpy(), inner.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(colourful.std.numpy(), inner.std((0, 2, 3)), rtol=1e-6)
    assert colourful.mean.dtype == colourful.std.dtype == torch.float32


def test_padding_is_background(colourful):
    assert colourful.train_images.shape == (40, 2, 6, 6)
    border = colourful.train_images.clone()
    border[:, :, 1:-1, 1:-1] = 0
    assert not border.any()


def test_pixel_statistics_of_several_chunks():
    images = torch.randint(0, 256, (5000, 1, 2, 2), generator=generator(1, "pixels of a test")).to(torch.uint8)
    mean, std = pixel_statistics(images)
    pixels = images.numpy() / 255
    np.testing.assert_allclose([mean.item(), std.item()], [pixels.mean(), pixels.std()], rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_normalise_is_the_formula(colourful, dtype):
    normalised = colourful.normalise(colourful.test_images, dtype)
    x = colourful.test_images.numpy().astype(np.float64)
    mean, std = (s.numpy().astype(np.float64)[None, :, None, None] for s in (colourful.mean, colourful.std))
    assert normalised.dtype == dtype
    tolerance = {torch.float32: 2e-6, torch.float64: 1e-14}[dtype]
    np.testing.assert_allclose(normalised.numpy(), (x / 255 - mean) / std, atol=tolerance)


def test_normalise_leaves_the_images_as_they_are(colourful):
    before = colourful.test_images.clone()
    colourful.normalise(colourful.test_images)
    assert torch.equal(colourful.test_images, before)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((1, 2, 4, 4), torch.float32), ((1, 3, 4, 4), torch.uint8), ((2, 4, 4), torch.uint8)]
)
def test_normalise_refuses_other_images(colourful, shape, dtype):
    images = torch.zeros(shape, dtype=dtype)
    with pytest.raises(datasets.DatasetError, match=r"^images of shape .* takes uint8 of shape \(B, 2, H, W\)$"):
        colourful.normalise(images)


def test_a_pass_shows_every_image_once_in_the_generators_order(colourful):
    passes = [list(colourful.batches(8, generator(seed, "order"), drop_last=False)) for seed in (0, 0, 1)]
    for batches in passes:
        seen = torch.cat([x for x, _ in batches])
        whole = colourful.normalise(colourful.train_images)
        assert torch.equal(seen.flatten(1).sort(0).values, whole.flatten(1).sort(0).values)
    order = torch.randperm(40, generator=generator(0, "order"))
    assert torch.equal(torch.cat([y for _, y in passes[0]]), colourful.train_labels[order])
    assert torch.equal(passes[0][0][0], passes[1][0][0])
    assert not torch.equal(passes[0][0][0], passes[2][0][0])


def test_last_batch_is_dropped_or_kept(colourful):
    for drop_last, sizes in ((True, [12, 12, 12]), (False, [12, 12, 12, 4])):
        batches = colourful.batches(12, generator(0, "order"), drop_last=drop_last)
        assert [len(y) for _, y in batches] == sizes


def test_without_generator_the_stored_order(colourful):
    labels = torch.cat([y for _, y in colourful.batches(5, None, split="test", drop_last=False)])
    assert torch.equal(labels, colourful.test_labels)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"batch_size": 41}, "batch_size=41 must be an integer of 1 to 40, the train images of 'colourful'"),
        ({"batch_size": 0}, "batch_size=0 must be"),
        ({"batch_size": 8.0}, "batch_size=8.0 must be"),
        ({"batch_size": True}, "batch_size=True must be"),
        ({"batch_size": 13, "split": "test"}, "batch_size=13 must be an integer of 1 to 12, the test images"),
        ({"batch_size": 4, "split": "val"}, "split='val' must be 'train' or 'test'"),
    ],
)
def test_bad_batches_are_refused_at_the_call(colourful, arguments, line):
    # At the call, not at the first batch: nothing is drawn from the iterator here.
    with pytest.raises(datasets.DatasetError) as caught:
        colourful.batches(generator=generator(0, "order"), **arguments)
    assert str(caught.value).startswith(line)


@pytest.mark.parametrize("draw", [0, "seed", np.random.default_rng(0)])
def test_only_a_generator_of_torch_draws_the_order(colourful, draw):
    with pytest.raises(datasets.DatasetError, match=r"^generator=.* must be a CPU torch.Generator"):
        colourful.batches(8, draw)


def test_subset_keeps_proportions_name_and_statistics(colourful):
    small = colourful.subset(train=10, test=6, seed=1)
    assert small.train_images.shape == (10, 2, 6, 6)
    assert torch.bincount(small.train_labels).tolist() in ([4, 3, 3], [3, 4, 3], [3, 3, 4])
    assert torch.bincount(small.test_labels).tolist() == [2, 2, 2]
    assert (small.name, small.title) == (colourful.name, colourful.title)
    assert torch.equal(small.mean, colourful.mean)
    pairs = {(x.numpy().tobytes(), int(y)) for x, y in zip(colourful.train_images, colourful.train_labels, strict=True)}
    chosen = [(x.numpy().tobytes(), int(y)) for x, y in zip(small.train_images, small.train_labels, strict=True)]
    assert len(set(chosen)) == 10
    assert set(chosen) <= pairs


def test_subset_depends_on_the_seed_alone(colourful):
    checksums = [colourful.subset(train=10, seed=seed).checksum for seed in (0, 0, 1)]
    assert checksums[0] == checksums[1] != checksums[2]
    assert checksums[0] != colourful.checksum
    assert colourful.subset().checksum == colourful.checksum


def test_subset_of_the_training_images_leaves_the_test_images(colourful):
    assert torch.equal(colourful.subset(train=10).test_images, colourful.test_images)


@pytest.mark.parametrize("wanted", [{"train": 41}, {"test": 13}, {"train": 0}, {"test": -1}, {"train": 2.5}])
def test_subset_that_the_split_does_not_have(colourful, wanted):
    ((split, count),) = wanted.items()
    most = {"train": 40, "test": 12}[split]
    with pytest.raises(datasets.DatasetError) as caught:
        colourful.subset(**wanted)
    assert str(caught.value) == f"{split}={count} must be an integer of 1 to {most}, the {split} images of 'colourful'"


def test_checksum_is_sha256_of_images_and_labels(colourful):
    digest = hashlib.sha256()
    for tensor in (colourful.train_images, colourful.train_labels, colourful.test_images, colourful.test_labels):
        digest.update(tensor.numpy().tobytes())
    assert colourful.checksum == digest.hexdigest()


def test_checksum_sees_one_changed_label(colourful):
    labels = colourful.train_labels.clone()
    labels[0] = (labels[0] + 1) % 3
    parts = [(colourful.train_images, labels), (colourful.test_images, colourful.test_labels)]
    assert assemble("c", "C", *parts, ("a", "b", "c")).checksum != colourful.checksum


def test_checksum_names_the_contents_of_a_copy_and_of_labels_changed_in_place(colourful):
    thinned = replace(colourful, train_images=colourful.train_images[:, :, ::2, ::2])
    assert thinned.checksum != colourful.checksum
    relabelled = replace(colourful, train_labels=colourful.train_labels.clone())
    assert relabelled.checksum == colourful.checksum
    relabelled.train_labels[0] += 1
    assert relabelled.checksum != colourful.checksum


def test_constant_pixels_are_refused():
    grey = (torch.full((4, 1, 2, 2), 9, dtype=torch.uint8), torch.tensor([0, 1, 0, 1]))
    with pytest.raises(datasets.DatasetError, match="the training pixels of a channel are all equal"):
        assemble("grey", "Grey", grey, grey, ("a", "b"))


def test_split_takes_a_fifth_of_every_class():
    labels = torch.tensor([0] * 100 + [1] * 37 + [2] * 2)[torch.randperm(139, generator=generator(0, "shuffle"))]
    train, test = stratified_split(labels, generator(0, "split"))
    assert torch.equal(torch.cat([train, test]).sort().values, torch.arange(139))
    assert torch.bincount(labels[test]).tolist() == [20, 7, 1]


@pytest.mark.parametrize("count", [1, 7, 50, 138, 139])
def test_sample_is_exact_and_proportional(count):
    labels = torch.tensor([0] * 100 + [1] * 37 + [2] * 2)
    chosen = stratified_sample(labels, count, generator(0, "sample"))
    assert len(chosen.unique()) == count
    shares = torch.bincount(labels[chosen], minlength=3) - count * torch.bincount(labels) / 139
    assert shares.abs().max() < 1


def test_the_largest_remainders_are_rounded_up():
    # 50 of 139: shares of 35.97, 13.31 and 0.72.
    labels = torch.tensor([0] * 100 + [1] * 37 + [2] * 2)
    chosen = stratified_sample(labels, 50, generator(0, "sample"))
    assert torch.bincount(labels[chosen]).tolist() == [36, 13, 1]


def test_importing_brings_no_image_library():
    heavy = {"torchvision", "sklearn", "PIL", "filelock"}
    code = f"import sys, bnlab.datasets; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_root_is_argument_then_environment_then_project(tmp_path, monkeypatch):
    monkeypatch.setenv("BNLAB_DATA", str(tmp_path / "environment"))
    assert data_root(tmp_path / "argument") == tmp_path / "argument"
    assert data_root() == tmp_path / "environment"
    monkeypatch.setenv("BNLAB_DATA", "")
    (tmp_path / "project" / "book").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project" / "book")
    assert data_root() == tmp_path / "project" / "book" / "data" / "downloads"
    (tmp_path / "project" / "pyproject.toml").touch()
    assert data_root() == tmp_path / "project" / "data" / "downloads"
    assert data_root("here") == tmp_path / "project" / "book" / "here"
    assert data_root("~/there") == Path.home() / "there"
    assert not (tmp_path / "project" / "data").exists()


@pytest.mark.parametrize("root", [3, b"x", "a\0b"])
def test_root_that_is_no_path(root):
    with pytest.raises(datasets.DatasetError, match=r"^root=.* must be the path of a folder$"):
        datasets.load("mnist", root=root)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("minst", "mnist"),
        ("MNIST", "mnist"),
        ("cifar-10", "cifar10"),
        ("digitsrgb", "digits-rgb"),
        ("fashion_mnist", "fashion-mnist"),
    ],
)
def test_wrong_name_lists_the_right_ones_and_the_nearest(name, nearest):
    with pytest.raises(datasets.DatasetError) as caught:
        datasets.load(name)
    assert str(caught.value) == (
        f"name={name!r} is not a data set; did you mean {nearest!r}? "
        "There are digits, digits-rgb, mnist, fashion-mnist, cifar10 and folder:PATH"
    )


@pytest.mark.parametrize("name", [None, 3, "", [], "\n", "folders:x"])
def test_a_name_of_any_kind_gives_one_line(name):
    with pytest.raises(datasets.DatasetError) as caught:
        datasets.load(name)
    assert "\n" not in str(caught.value)


def test_a_bare_path_suggests_the_prefix(tmp_path):
    with pytest.raises(datasets.DatasetError, match=f"did you mean 'folder:{tmp_path}'"):
        datasets.load(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "arguments", "line"),
    [
        ("digits", {"size": 28}, "size=28 is not what 'digits' can give: it must be 8 or 16 or 32"),
        ("digits", {"size": "32"}, "size='32' is not what 'digits' can give: it must be 8 or 16 or 32"),
        ("digits", {"channels": 3}, "channels=3 is not what 'digits' can give: it must be 1"),
        ("digits-rgb", {"size": 64}, "size=64 is not what 'digits-rgb' can give: it must be 32"),
        ("digits-rgb", {"channels": 1}, "channels=1 is not what 'digits-rgb' can give: it must be 3"),
        ("mnist", {"size": 30}, "size=30 is not what 'mnist' can give: it must be 28 or 32"),
        ("cifar10", {"size": 28}, "size=28 is not what 'cifar10' can give: it must be 32"),
        ("folder:x", {"channels": 2}, "channels=2 is not what 'folder:x' can give: it must be 1 (grey) or 3 (colour)"),
        ("folder:x", {"size": 0}, "size=0 is not what 'folder:x' can give: it must be 1 to 512 pixels"),
        ("folder:x", {"size": 10**6}, "size=1000000 is not what 'folder:x' can give: it must be 1 to 512 pixels"),
    ],
)
def test_size_and_channels_that_a_data_set_cannot_give(name, arguments, line):
    with pytest.raises(datasets.DatasetError) as caught:
        datasets.load(name, **arguments)
    assert str(caught.value) == line


@pytest.mark.parametrize("device", ["nowhere", "cuda:99", 3.5])
def test_device_that_is_not_here(device):
    with pytest.raises(datasets.DatasetError, match=r"^device='.*' cannot hold the data \(.*\): use device='cpu'$"):
        datasets.load("digits", device=device, size=8)


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(datasets.DatasetError, match="needs the package scikit-learn, which is not installed"):
        datasets.load("digits")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gets_the_same_data_and_the_same_batches():
    here, there = datasets.load("digits"), datasets.load("digits", device="cuda")
    assert there.train_images.device.type == "cuda"
    assert there.checksum == here.checksum
    assert there.subset(train=100).checksum == here.subset(train=100).checksum
    x, y = next(there.batches(16, generator(0, "order")))
    x_here, y_here = next(here.batches(16, generator(0, "order")))
    assert torch.equal(y.cpu(), y_here)
    torch.testing.assert_close(x.cpu(), x_here)
