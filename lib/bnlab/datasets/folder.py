"""`folder:PATH`: a tree of image files, one folder a class, read as if a stranger had packed it.

`PATH/train/<class>/` and `PATH/test/<class>/`, or `PATH/<class>/` alone, split 80/20 within each class by a fixed seed.
Classes are the folder names in order; files beside the class folders are not looked at. Images are turned upright as
their EXIF orientation says, transparent ones laid on white, as a page shows both, then resized (bilinear, anti-aliased,
without keeping the aspect ratio) to size x size. Decoded pixels are kept in the data root (`tree_cache`): 60,000 JPEG
files take ten seconds to decode.
"""

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bnlab.datasets import tree_cache
from bnlab.datasets.base import Dataset, DatasetError, assemble, require
from bnlab.datasets.splitting import stratified_split
from bnlab.randomness import generator

PREFIX = "folder:"
# What a number must be called that comes from a re-encoded copy of a known data set.
TITLES = {"cifar10-jpeg": "CIFAR-10 (JPEG)"}
# The decoders that may run. Naming them keeps a disguised file from a rarer one, and PostScript from Ghostscript.
FORMATS = ("JPEG", "PNG", "BMP", "PPM", "WEBP")
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".webp")
MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}  # 8 bits; 16 would be clipped to white in silence
CLUTTER = {"thumbs.db", "desktop.ini"}  # what file managers leave behind, beside names that begin with a dot
MOST_PIXELS = 50_000_000  # in one file; a small file can unpack to more than the memory holds
MOST_BYTES = 8 << 30  # of the whole data set, which is held in memory
LAYOUT = "a folder that holds train/<class>/ and test/<class>/, or <class>/ alone"


@dataclass(frozen=True)
class Tree:
    """The image files of a tree with their class numbers; `test` is None where the tree has no split of its own."""

    root: Path
    classes: tuple[str, ...]
    train: tuple[tuple[Path, int], ...]
    test: tuple[tuple[Path, int], ...] | None


def load_folder(name: str, root: Path, size: int, channels: int, device) -> Dataset:
    """The images below the path in `name` ("folder:PATH") as `(channels, size, size)`, channels 1 (grey) or 3 (RGB).

    A relative PATH is looked for in the current folder, then in the data root.
    Raises DatasetError, naming the file or folder and the remedy, for whatever is not a clean tree of images.
    """
    try:
        tree = scan(_find(name, root))
        labelled = [*tree.train, *(tree.test or ())]
        files = [path for path, _ in labelled]
        key = tree_cache.content_checksum(tree.root, files, size, channels)
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise DatasetError(f"{name!r} cannot be read ({error}): check its permissions and links") from error
    shape = (len(files), channels, size, size)
    if np.prod(shape, dtype=float) > MOST_BYTES:
        raise DatasetError(f"size={size} makes {len(files)} images over {MOST_BYTES >> 30} GiB: choose a smaller one")
    pixels = tree_cache.read(root, tree.root, key, shape)
    if pixels is None:
        pixels = decode(files, size, channels)
        tree_cache.write(root, tree.root, key, pixels)
    labels = torch.tensor([label for _, label in labelled])
    if tree.test is None:
        train, test = stratified_split(labels, generator(0, "split of an image folder"))
    else:
        train, test = torch.arange(len(files)).split([len(tree.train), len(tree.test)])
    images = torch.from_numpy(pixels)  # (N, C, size, size)
    title = TITLES.get(tree.root.name, f"images in {tree.root.name}/")
    return assemble(name, title, (images[train], labels[train]), (images[test], labels[test]), tree.classes, device)


def scan(root: Path) -> Tree:
    """List the tree.

    Raises DatasetError for a class that is empty or in one split only, a file that is no image, a link that leads out.
    """
    splits = [path.name for path in _folders(root, root) if path.name in ("train", "test") and _folders(path, root)]
    if not splits:
        classes = _classes(root, root)
        for name, files in classes.items():
            if len(files) < 2:
                raise DatasetError(f"class folder {str(root / name)!r} has one image: training and test need one each")
        return Tree(root, tuple(classes), _numbered(classes), None)
    if len(splits) == 1:
        raise DatasetError(f"{str(root)!r} has class folders in {splits[0]}/ only: it needs both train/ and test/")
    train, test = (_classes(root / part, root) for part in ("train", "test"))
    if differing := sorted(train.keys() ^ test.keys()):
        raise DatasetError(
            f"{str(root)!r} has other classes in train/ than in test/ ({differing[0]!r} is in one): make them equal"
        )
    return Tree(root, tuple(train), _numbered(train), _numbered(test))


def decode(paths: list[Path], size: int, channels: int) -> np.ndarray:
    """The image files as uint8 `(N, channels, size, size)`. Raises DatasetError for one that is no whole image."""
    image_module, image_ops = require("PIL.Image", "pillow"), require("PIL.ImageOps", "pillow")
    pixels = np.empty((len(paths), channels, size, size), dtype=np.uint8)
    with warnings.catch_warnings():
        # MOST_PIXELS is stricter than Pillow's warning, and an error.
        warnings.simplefilter("ignore", image_module.DecompressionBombWarning)
        for i, path in enumerate(paths):
            pixels[i] = _decode_one(image_module, image_ops, path, size, channels)
    return pixels


def _decode_one(image_module, image_ops, path: Path, size: int, channels: int) -> np.ndarray:
    try:
        with image_module.open(path, formats=FORMATS) as image:  # reads the header only
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise DatasetError(f"{str(path)!r} has {width} x {height} pixels: scale it down or remove it")
            if image.mode not in MODES:
                raise DatasetError(f"{str(path)!r} has not 8 bits a channel ({image.mode}): convert it or remove it")
            image_ops.exif_transpose(image, in_place=True)  # a camera held sideways says so beside the pixels
            if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
                # Without this the colour that stands behind a transparent pixel, where nobody sees it, would show.
                image = image.convert("RGBA")
                image = image_module.alpha_composite(image_module.new("RGBA", image.size, "white"), image)
            image = image.convert("L" if channels == 1 else "RGB")
            if image.size != (size, size):
                image = image.resize((size, size), image_module.Resampling.BILINEAR)
            return np.asarray(image).reshape(size, size, channels).transpose(2, 0, 1)
    except DatasetError:
        raise
    # A decoder fed a hostile file may raise nearly anything (struct.error, SyntaxError, ...): all mean the same here.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DatasetError(f"{str(path)!r} is not a whole image ({reason}): replace it or remove it") from error


def _find(name: str, root: Path) -> Path:
    given = name.removeprefix(PREFIX)
    if not given.strip() or "\0" in given:
        raise DatasetError(f"name={name!r} lacks a path: write 'folder:PATH', PATH being {LAYOUT}")
    tried = [base / os.path.expanduser(given) for base in (Path.cwd(), root)]
    for path in tried:
        if path.is_dir():
            return path.resolve()
    raise DatasetError(f"{str(tried[0])!r} is not a folder: write 'folder:PATH', PATH being {LAYOUT}")


def _entries(folder: Path, root: Path) -> list[Path]:
    """The visible entries in order of name; a link that leads out of the tree is refused, never followed."""
    with os.scandir(folder) as found:
        entries = [e for e in found if not e.name.startswith(".") and e.name.lower() not in CLUTTER]
    for entry in entries:
        if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root):
            raise DatasetError(f"{entry.path!r} is a link out of {str(root)!r}: copy the file in, or remove the link")
    return [folder / name for name in sorted(e.name for e in entries)]


def _folders(folder: Path, root: Path) -> list[Path]:
    return [path for path in _entries(folder, root) if path.is_dir()]


def _classes(folder: Path, root: Path) -> dict[str, list[Path]]:
    classes = {path.name: _entries(path, root) for path in _folders(folder, root)}
    if len(classes) < 2:
        raise DatasetError(f"{str(folder)!r} has {len(classes)} class folders, at least two are needed: give {LAYOUT}")
    for name, files in classes.items():
        if not files:
            raise DatasetError(f"class folder {str(folder / name)!r} is empty: add images or remove the folder")
        for file in files:
            # Only regular files are opened: reading a named pipe would wait for ever.
            if not file.is_file() or file.suffix.lower() not in SUFFIXES:
                raise DatasetError(f"{str(file)!r} is not an image file ({' '.join(SUFFIXES)}): move it elsewhere")
    return classes


def _numbered(classes: dict[str, list[Path]]) -> tuple[tuple[Path, int], ...]:
    return tuple((path, label) for label, paths in enumerate(classes.values()) for path in paths)
