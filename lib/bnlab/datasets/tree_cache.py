"""Decoded pixels of an image folder, kept in the data root: a convenience that a run can always do without."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np

from bnlab.datasets.base import DatasetError, require
from bnlab.datasets.staging import publish, sole_writer, staging_folder

FOLDER = "decoded-folders"
DECODING = 2  # the version of `folder.decode`: pixels that an earlier one left are not read
PATIENCE = 10  # seconds; a process that writes meanwhile keeps the same pixels


def content_checksum(tree: Path, files: list[Path], size: int, channels: int) -> str:
    """sha256 over what decides the pixels: each file's path in the tree and its bytes, and the format.

    The format is `size`, `channels`, and the versions of the decoder and of what is made of its pixels. Reading the
    files costs a fraction of decoding them; their lengths and times may stay the same when their contents change.
    """
    digest = hashlib.sha256(f"{DECODING} {size} {channels} {require('PIL', 'pillow').__version__}".encode())
    for path in files:
        digest.update(f"\0{path.relative_to(tree)}\0".encode(errors="surrogateescape"))  # names may be any bytes
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def read(root: Path, tree: Path, key: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """The pixels kept under `key`, uint8 of that shape, or None if there are none that can be trusted.

    A damaged file fails the check sums of the zip format; pickles are refused.
    """
    try:
        with np.load(_place(root, tree), allow_pickle=False) as kept:
            if str(kept["key"]) != key:
                return None
            pixels = kept["pixels"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return pixels if pixels.shape == shape and pixels.dtype == np.uint8 else None


def write(root: Path, tree: Path, key: str, pixels: np.ndarray) -> None:
    """Keep the pixels, in place of an earlier state of the tree. A root that cannot be written is left as it is."""
    try:
        with sole_writer(root / FOLDER, PATIENCE), staging_folder(root / FOLDER) as folder:
            written = Path(folder) / "pixels.npz"
            np.savez(written, key=np.array(key), pixels=pixels)
            publish(written, _place(root, tree))
    except (OSError, DatasetError):
        return


def _place(root: Path, tree: Path) -> Path:
    return root / FOLDER / (hashlib.sha256(str(tree).encode(errors="surrogateescape")).hexdigest()[:16] + ".npz")
