"""What every data set becomes: uint8 images and labels on one device, normalised batch by batch, and checksummed."""

import hashlib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from bnlab.checks import is_whole
from bnlab.datasets.splitting import stratified_sample
from bnlab.randomness import generator as keyed_generator

OFFLINE = "'digits' or 'digits-rgb', which need no download"


class DatasetError(ValueError):
    """A data set that cannot be given as asked. Its text is one line: what is wrong, in which file, the remedy."""

    def _render_traceback_(self):
        # IPython calls this: a reader needs the line, not forty lines of stack.
        return [f"DatasetError: {self}"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A classification data set, whole and on one device.

    Images are uint8 `(N, C, H, W)`, labels int64 `(N,)`. `mean` and `std` (float32, `(C,)`; the biased standard
    deviation) are those of the training pixels scaled to [0, 1], taken before any padding: MNIST padded to 32x32 is
    normalised exactly as MNIST. `title` names the data beside a number, `checksum` the very images and labels.
    """

    name: str
    train_images: Tensor = field(repr=False)
    train_labels: Tensor = field(repr=False)
    test_images: Tensor = field(repr=False)
    test_labels: Tensor = field(repr=False)
    classes: tuple[str, ...]
    mean: Tensor
    std: Tensor
    title: str

    @property
    def checksum(self) -> str:
        """The sha256 of the bytes of images and labels as they are now, the same on every device.

        Computed when it is asked for: a copy with other images, or labels changed in place, has another one.
        """
        return checksum(self.train_images, self.train_labels, self.test_images, self.test_labels)

    def normalise(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Standardise uint8 images `(B, C, H, W)` by channel, (x / 255 - mean) / std, on the images' device.

        Raises DatasetError unless the images are uint8 with this data set's channels.
        """
        channels = len(self.mean)
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != channels:
            raise DatasetError(
                f"images of shape {tuple(images.shape)} and {images.dtype} cannot be normalised: {self.name!r} takes "
                f"uint8 of shape (B, {channels}, H, W)"
            )
        mean, std = (s.to(images.device, dtype).view(1, -1, 1, 1) for s in (self.mean, self.std))  # (1, C, 1, 1)
        return images.to(dtype).div_(255).sub_(mean).div_(std)  # (B, C, H, W)

    def batches(
        self, batch_size: int, generator: torch.Generator | None, split: str = "train", drop_last: bool = True
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass over a split: pairs of normalised images `(B, C, H, W)` float32 and labels `(B,)`.

        The order is drawn by the CPU `generator`, so that a GPU run sees the same batches; None keeps the stored order.
        `drop_last` leaves out a last batch that is smaller than the others.
        Raises DatasetError for a batch that the split cannot fill, a generator of another device, a wrong split.
        """
        images, labels = self._split(split)
        _check_count("batch_size", batch_size, len(labels), self.name, split)
        if generator is not None and not (isinstance(generator, torch.Generator) and generator.device.type == "cpu"):
            raise DatasetError(f"generator={generator!r} must be a CPU torch.Generator, on every device")
        return self._pass(images, labels, batch_size, generator, drop_last)

    def _pass(self, images, labels, batch_size, generator, drop_last):
        count = len(labels)
        order = torch.arange(count) if generator is None else torch.randperm(count, generator=generator)
        order = order.to(images.device)
        for start in range(0, count - batch_size + 1 if drop_last else count, batch_size):
            chosen = order[start : start + batch_size]
            yield self.normalise(images[chosen]), labels[chosen]

    def subset(self, train: int | None = None, test: int | None = None, seed: int = 0) -> "Dataset":
        """A smaller data set of `train` and `test` images (None keeps all), with the classes in the same proportions.

        The draw depends on the seed alone. Name, mean and std stay those of the whole, so that a pixel keeps its
        normalised value; the checksum is the subset's own. Raises DatasetError for more images than the split has.
        """
        parts = {}
        for split, wanted in (("train", train), ("test", test)):
            images, labels = self._split(split)
            if wanted is not None:
                _check_count(split, wanted, len(labels), self.name, split)
                draw = keyed_generator(seed, f"subset of {split} images")
                chosen = stratified_sample(labels.cpu(), wanted, draw).to(labels.device)
                images, labels = images[chosen], labels[chosen]
            parts |= {f"{split}_images": images, f"{split}_labels": labels}
        return replace(self, **parts)

    def _split(self, split):
        if split not in ("train", "test"):
            raise DatasetError(f"split={split!r} must be 'train' or 'test'")
        return getattr(self, f"{split}_images"), getattr(self, f"{split}_labels")


def assemble(name, title, train, test, classes, device="cpu", pad: int = 0) -> Dataset:
    """Make a Dataset of `train` and `test`, pairs of uint8 images `(N, C, H, W)` and int64 labels `(N,)` on the CPU.

    `pad` adds that many pixels of background, uint8 0, on every side, after mean and std were taken.
    Raises DatasetError if the training pixels of a channel are all equal, or the device is not here.
    """
    mean, std = pixel_statistics(train[0])
    if (std == 0).any():
        raise DatasetError(f"{name!r} cannot be normalised: the training pixels of a channel are all equal; check them")
    if pad:
        train, test = ((torch.nn.functional.pad(images, (pad,) * 4), labels) for images, labels in (train, test))
    parts = [on_device(part, device) for part in (*train, *test)]  # (N, C, H + 2 pad, W + 2 pad) and (N,), twice
    return Dataset(name, *parts, tuple(classes), on_device(mean, device), on_device(std, device), title)


def pixel_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased standard deviation of uint8 images `(N, C, H, W)` scaled to [0, 1]: two float32 tensors `(C,)`.

    From the counts of the 256 values, hence exact up to the last rounding: a float sum over 47 million pixels would
    depend on the number of threads, and with it every number of the run.

    >>> pixel_statistics(torch.tensor([0, 255, 255, 0], dtype=torch.uint8).view(1, 1, 2, 2))
    (tensor([0.5000]), tensor([0.5000]))
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    channels = images.shape[1]
    counts = torch.zeros(channels, 256, dtype=torch.int64)
    for chunk in images.split(4096):
        for channel in range(channels):
            counts[channel] += torch.bincount(chunk[:, channel].flatten(), minlength=256)
    share = counts.double() / counts.sum(1, keepdim=True)  # (C, 256)
    mean = share @ values
    variance = (share * (values - mean[:, None]) ** 2).sum(1)
    return mean.float(), variance.sqrt().float()


def checksum(*tensors: Tensor) -> str:
    """sha256 over the bytes of the tensors, in order: the same on every device."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.contiguous().cpu().numpy().data)
    return digest.hexdigest()


def on_device(tensor: Tensor, device) -> Tensor:
    """The tensor on `device`. Raises DatasetError if there is no such device here, or no room on it."""
    try:
        return tensor.to(torch.device(device))
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0][:100]
        raise DatasetError(f"device={str(device)!r} cannot hold the data ({reason}): use device='cpu'") from error


def require(module: str, package: str):
    """Import a module that only some data sets need. Raises DatasetError, naming its package, if it is not there."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DatasetError(f"this data set needs the package {package}, which is not installed: install it") from error


def _check_count(argument: str, value: int, most: int, name: str, split: str) -> None:
    if not is_whole(value) or not 1 <= value <= most:
        raise DatasetError(f"{argument}={value!r} must be an integer of 1 to {most}, the {split} images of {name!r}")
