"""What makes a file on disk worth reading: its size against its own header, its digest against a published one.

torchvision reads any file that bears the right name, also one that an interrupted extraction left half-written.
"""

import gzip
import hashlib
import math
from pathlib import Path

from bnlab.datasets.base import DatasetError

# sha256 of the uncompressed files: the original four of MNIST; of Fashion-MNIST the labels, taken from archives with
# the md5 that torchvision publishes. For Fashion-MNIST's images the archive beside them vouches (`expected_sha256`).
RAW_SHA256 = {
    ("MNIST", "train-images-idx3-ubyte"): "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ("MNIST", "train-labels-idx1-ubyte"): "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ("MNIST", "t10k-images-idx3-ubyte"): "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ("MNIST", "t10k-labels-idx1-ubyte"): "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ("FashionMNIST", "train-labels-idx1-ubyte"): "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ("FashionMNIST", "t10k-labels-idx1-ubyte"): "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
REMEDY = "delete it and load again with download=True"
CHUNK = 1 << 20


def check_idx(path: Path, dataset: str, archive_md5: str) -> None:
    """Raise DatasetError, naming file and remedy, unless `path` is the whole and genuine IDX file of that data set.

    First the header, which promises a size; then the digest, which is pinned here or else taken from the archive of the
    same name plus ".gz" beside the file, once that archive has the published md5.
    """
    check_idx_size(path)
    if not matches(path, expected_sha256(path, dataset, archive_md5), "sha256"):
        raise DatasetError(f"{str(path)!r} is corrupt (its sha256 is not that of {dataset}): {REMEDY}")


def check_idx_size(path: Path) -> None:
    """Raise DatasetError unless the file is as long as its IDX header says.

    The header: 0, 0, type 8 (unsigned byte), the number of dimensions, each dimension as a big-endian 4-byte integer.
    """
    expected_dimensions = 3 if "idx3" in path.name else 1
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(4)
            dimensions = file.read(4 * expected_dimensions)
    except OSError as error:
        raise DatasetError(f"{str(path)!r} cannot be read ({error.strerror}): unlock it, or {REMEDY}") from error
    if head != bytes((0, 0, 8, expected_dimensions)) or len(dimensions) < 4 * expected_dimensions:
        raise DatasetError(
            f"{str(path)!r} is corrupt or truncated (no IDX header of {expected_dimensions} dimensions): {REMEDY}"
        )
    lengths = [int.from_bytes(dimensions[i : i + 4], "big") for i in range(0, len(dimensions), 4)]
    promised = 4 + len(dimensions) + math.prod(lengths)
    if size != promised:
        word = "truncated" if size < promised else "corrupt"
        raise DatasetError(f"{str(path)!r} is {word} ({size} bytes where its header promises {promised}): {REMEDY}")


def expected_sha256(path: Path, dataset: str, archive_md5: str) -> str:
    """The sha256 that the raw file must have. Raises DatasetError if nothing here can vouch for it."""
    pinned = RAW_SHA256.get((dataset, path.name))
    if pinned:
        return pinned
    archive = path.with_name(path.name + ".gz")
    if not matches(archive, archive_md5, "md5"):
        raise DatasetError(f"{str(archive)!r}, which vouches for the file beside it, is missing or corrupt: {REMEDY}")
    with gzip.open(archive) as unpacked:
        return _digest(unpacked, "sha256")


def matches(path: Path, digest: str, algorithm: str) -> bool:
    """Whether `path` is a readable regular file with that hexadecimal digest ("md5" or "sha256")."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return _digest(file, algorithm) == digest
    except OSError:
        return False


def _digest(file, algorithm: str) -> str:
    # md5 is what torchvision publishes, against accidents; machines under FIPS refuse it without usedforsecurity=False.
    digest = hashlib.new(algorithm, usedforsecurity=False)
    while chunk := file.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
