"""`mnist`, `fashion-mnist`, `cifar10`: torchvision's addresses, checksums and readers, behind our own verification."""

from pathlib import Path

import torch

from bnlab.datasets.base import Dataset, DatasetError, assemble
from bnlab.datasets.fetching import Archive, provide
from bnlab.datasets.integrity import RAW_SHA256, REMEDY, check_idx, matches
from bnlab.datasets.torchvision_shim import torchvision_datasets

TITLES = {"mnist": ("MNIST", "MNIST"), "fashion-mnist": ("FashionMNIST", "Fashion-MNIST")}


def load_idx(name: str, root: Path, size: int, device, download: bool) -> Dataset:
    """MNIST or Fashion-MNIST, `(1, 28, 28)`; size=32 adds 2 pixels of background on every side.

    (32x32 is what gives the 400 inputs of Chai et al. 2020, Table 1.)
    Raises DatasetError for a missing, truncated or corrupt file, naming it and the remedy.
    """
    class_name, title = TITLES[name]
    datasets = torchvision_datasets()
    loader = getattr(datasets, class_name)
    archives = [_idx_archive(loader, class_name, root, *resource) for resource in loader.resources]
    provide(archives, root, download)
    for archive in archives:
        archive.check(archive.folder / archive.members[0])
    folder = root / class_name / "raw"
    parts = []
    for part in ("train", "t10k"):
        # The readers, not the class: the class prefers a `processed/*.pt` of old releases, which nothing vouches for.
        images = datasets.mnist.read_image_file(str(folder / f"{part}-images-idx3-ubyte"))
        labels = datasets.mnist.read_label_file(str(folder / f"{part}-labels-idx1-ubyte"))
        parts.append((images[:, None], labels))  # (N, 1, 28, 28), (N,)
    classes = "0123456789" if name == "mnist" else loader.classes
    return assemble(name, title, *parts, classes, device, pad=(size - images.shape[-1]) // 2)


def load_cifar10(name: str, root: Path, device, download: bool) -> Dataset:
    """CIFAR-10, `(3, 32, 32)`. Its files are pickles, opened by torchvision only after their md5 was found right.

    Raises DatasetError for a missing or corrupt file, naming it and the remedy.
    """
    loader = torchvision_datasets().CIFAR10
    archive = _cifar_archive(loader, root)
    provide([archive], root, download)
    for member in archive.members:
        archive.check(root / member)
    parts = []
    for train in (True, False):
        data = loader(root=str(root), train=train, download=False)
        images = torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous()  # (N, 3, 32, 32)
        parts.append((images, torch.tensor(data.targets)))
    return assemble(name, "CIFAR-10", *parts, data.classes, device)


def _idx_archive(loader, class_name: str, root: Path, filename: str, md5: str) -> Archive:
    member = filename.removesuffix(".gz")
    return Archive(
        filename,
        md5,
        urls=tuple(mirror + filename for mirror in loader.mirrors),
        folder=root / class_name / "raw",
        members=(member,),
        check=lambda path: check_idx(path, class_name, md5),
        keep=(class_name, member) not in RAW_SHA256,
    )


def _cifar_archive(loader, root: Path) -> Archive:
    meta = loader.meta
    digests = dict([*loader.train_list, *loader.test_list, (meta["filename"], meta["md5"])])

    def check(path: Path) -> None:
        if not matches(path, digests[path.name], "md5"):
            raise DatasetError(f"{str(path)!r} is corrupt or truncated (its md5 is not that of CIFAR-10): {REMEDY}")

    members = tuple(f"{loader.base_folder}/{name}" for name in digests)
    return Archive(loader.filename, loader.tgz_md5, (loader.url,), root, members, check, keep=False)
