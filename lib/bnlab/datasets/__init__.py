"""Data sets: uint8 images on a device, normalised in batches there.

`load` gives one of `NAMES`, or `folder:PATH`, as a `Dataset`. Whatever cannot be given as asked raises `DatasetError`,
a ValueError of one line that names the file or the value and the remedy. `digits` and `digits-rgb` ship with
scikit-learn and need no network.
"""

import difflib
import os

from bnlab.checks import is_whole
from bnlab.datasets import downloads, embedded, folder
from bnlab.datasets.base import Dataset, DatasetError
from bnlab.datasets.roots import data_root

__all__ = ["NAMES", "Dataset", "DatasetError", "check_name", "load"]

# Channels, and the sizes that a data set can give; the first is the default.
FORMATS = {
    "digits": (1, (32, 8, 16)),
    "digits-rgb": (3, (32,)),
    "mnist": (1, (28, 32)),
    "fashion-mnist": (1, (28, 32)),
    "cifar10": (3, (32,)),
}
NAMES = tuple(FORMATS)
LARGEST_FOLDER_SIZE = 512


def load(
    name: str,
    root: str | os.PathLike | None = None,
    device="cpu",
    size: int | None = None,
    channels: int | None = None,
    download: bool = True,
) -> Dataset:
    """Load a data set by name, whole, onto `device`.

    | name            | images                                              | size (default first) |
    |-----------------|-----------------------------------------------------|----------------------|
    | `digits`        | scikit-learn's 1,797 handwritten digits, grey       | 32, 8, 16            |
    | `digits-rgb`    | the same, coloured, over crops of two photographs   | 32                   |
    | `mnist`         | 70,000 handwritten digits, grey                     | 28, 32 (padded)      |
    | `fashion-mnist` | 70,000 articles of clothing, grey                   | 28, 32 (padded)      |
    | `cifar10`       | 60,000 photographs, colour                          | 32                   |
    | `folder:PATH`   | `train/<class>/` and `test/<class>/`, or `<class>/` | 32, any up to 512    |

    `root` is the folder of downloaded data: the argument, else the environment's BNLAB_DATA, else `data/downloads` of
    the project. `channels` is 3 (default) or 1 for `folder:PATH`, and fixed for the others. What is missing is
    downloaded, unless `download` is False. Raises DatasetError, one line, for whatever cannot be given as asked.

    >>> digits = load("digits")
    >>> digits.train_images.shape, len(digits.test_labels), digits.title
    (torch.Size([1438, 1, 32, 32]), 359, 'digits (scikit-learn)')
    """
    check_name(name)
    where = data_root(root)
    if name.startswith(folder.PREFIX):
        size, channels = 32 if size is None else size, 3 if channels is None else channels
        _check_choice(name, "size", size, range(1, LARGEST_FOLDER_SIZE + 1), f"1 to {LARGEST_FOLDER_SIZE} pixels")
        _check_choice(name, "channels", channels, (1, 3), "1 (grey) or 3 (colour)")
        return folder.load_folder(name, where, size, channels, device)
    own_channels, sizes = FORMATS[name]
    _check_choice(name, "channels", own_channels if channels is None else channels, (own_channels,), str(own_channels))
    size = sizes[0] if size is None else size
    _check_choice(name, "size", size, sizes, " or ".join(map(str, sorted(sizes))))
    if name == "digits":
        return embedded.load_digits(name, size, device)
    if name == "digits-rgb":
        return embedded.load_digits_rgb(name, size, device)
    if name == "cifar10":
        return downloads.load_cifar10(name, where, device, download)
    return downloads.load_idx(name, where, size, device, download)


def check_name(name: str) -> str:
    """Give `name` back if it names a data set. Raises DatasetError that lists the right names and the nearest one.

    >>> check_name("minst")
    Traceback (most recent call last):
        ...
    bnlab.datasets.base.DatasetError: name='minst' is not a data set; did you mean 'mnist'? There are digits, ...
    """
    if isinstance(name, str) and (name in FORMATS or name.startswith(folder.PREFIX)):
        return name
    nearest = difflib.get_close_matches(str(name).lower(), NAMES, n=1, cutoff=0)[0]
    if isinstance(name, str) and name and os.path.isdir(name):
        nearest = folder.PREFIX + name
    raise DatasetError(
        f"name={name!r} is not a data set; did you mean {nearest!r}? There are {', '.join(NAMES)} and folder:PATH"
    )


def _check_choice(name, argument, value, choices, right):
    if not is_whole(value) or value not in choices:
        raise DatasetError(f"{argument}={value!r} is not what {name!r} can give: it must be {right}")
