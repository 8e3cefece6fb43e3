"""`folder:PATH`: trees of images, clean ones and hostile ones, and the cache of decoded pixels."""

import os
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from bnlab import datasets
from bnlab.datasets import folder, tree_cache
from bnlab.randomness import generator


def pixels(seed, height=32, width=32, channels=3):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return torch.randint(0, 256, shape, generator=generator(seed, "pixels of a test")).to(torch.uint8).numpy()


def save(path, array=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(0) if array is None else array).save(path, **options)


@pytest.fixture
def tree(tmp_path):
    """Two classes with a split: four training and two test images each, as PNG, so that pixels survive."""
    for part, count in (("train", 4), ("test", 2)):
        for label, name in enumerate(("cat", "dog")):
            for i in range(count):
                save(tmp_path / "tree" / part / name / f"{i}.png", pixels(100 * label + 10 * (part == "test") + i))
    return tmp_path / "tree"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


def load(tree, root, **options):
    return datasets.load(f"folder:{tree}", root=root, **options)


def fails(tree, root, **options):
    with pytest.raises(datasets.DatasetError) as caught:
        load(tree, root, **options)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_a_tree_with_a_split(tree, root):
    data = load(tree, root)
    assert data.classes == ("cat", "dog")
    assert data.train_images.shape == (8, 3, 32, 32)
    assert data.test_images.shape == (4, 3, 32, 32)
    assert data.train_labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    np.testing.assert_array_equal(data.train_images[5].permute(1, 2, 0).numpy(), pixels(101))
    np.testing.assert_array_equal(data.test_images[1].permute(1, 2, 0).numpy(), pixels(11))
    assert (data.name, data.title) == (f"folder:{tree}", "images in tree/")


def test_a_tree_without_a_split_is_split_by_class_and_always_alike(tmp_path, root):
    for label, (name, count) in enumerate((("a", 10), ("b", 5), ("c", 2))):
        for i in range(count):
            save(tmp_path / "whole" / name / f"{i}.png", pixels(100 * label + i))
    data = load(tmp_path / "whole", root)
    assert torch.bincount(data.test_labels).tolist() == [2, 1, 1]
    assert torch.bincount(data.train_labels).tolist() == [8, 4, 1]
    everything = torch.cat([data.train_images, data.test_images])
    assert len(everything.flatten(1).unique(dim=0)) == 17
    assert load(tmp_path / "whole", root).checksum == data.checksum


def test_classes_may_be_called_train_and_test(tmp_path, root):
    for name in ("test", "train"):
        for i in range(3):
            save(tmp_path / "vehicles" / name / f"{i}.png", pixels(i))
    assert load(tmp_path / "vehicles", root).classes == ("test", "train")


def test_size_and_channels(tree, root):
    grey = load(tree, root, size=16, channels=1)
    assert grey.train_images.shape == (8, 1, 16, 16)
    with Image.open(tree / "train" / "cat" / "0.png") as image:
        expected = np.asarray(image.convert("L").resize((16, 16), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(grey.train_images[0, 0].numpy(), expected)
    assert load(tree, root, size=48).test_images.shape == (4, 3, 48, 48)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_mode_of_eight_bits(tree, root, mode):
    suffix = "jpg" if mode == "CMYK" else "png"
    Image.fromarray(pixels(3)).convert(mode).save(tree / "train" / "cat" / f"extra.{suffix}")
    assert load(tree, root).train_images.shape == (9, 3, 32, 32)
    assert load(tree, root, channels=1).train_images.shape == (9, 1, 32, 32)


@pytest.mark.parametrize(
    ("suffix", "kind"), [("jpg", "JPEG"), ("JPEG", "JPEG"), ("bmp", "BMP"), ("ppm", "PPM"), ("webp", "WEBP")]
)
def test_every_format(tree, root, suffix, kind):
    save(tree / "train" / "cat" / f"extra.{suffix}", format=kind)
    assert load(tree, root).train_images.shape[0] == 9


EXIF_ORIENTATION = 0x0112
SHOWN = {  # what a viewer does with the pixels as they are stored, by orientation
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[:, ::-1],
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: a.transpose(1, 0, 2)[::-1],
}


@pytest.mark.parametrize("orientation", SHOWN)
def test_images_stand_as_their_exif_orientation_says(tree, root, orientation):
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    save(tree / "train" / "cat" / "0.png", pixels(5), exif=exif)
    shown = load(tree, root).train_images[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(shown, SHOWN[orientation](pixels(5)))


def test_what_is_transparent_shows_white_and_not_what_hides_behind_it(tree, root):
    rgba = np.concatenate([pixels(6), np.full((32, 32, 1), 255, np.uint8)], axis=2)
    rgba[:8, :, 3], rgba[8:16, :, 3] = 0, 51  # a fifth of 255
    save(tree / "train" / "cat" / "0.png", rgba)
    shown = load(tree, root).train_images[0].permute(1, 2, 0).numpy().astype(float)
    assert (shown[:8] == 255).all()
    np.testing.assert_allclose(shown[8:16], 0.2 * pixels(6)[8:16] + 0.8 * 255, atol=1)
    np.testing.assert_array_equal(shown[16:], pixels(6)[16:])


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_a_colour_that_is_declared_transparent_shows_white(tree, root, mode):
    image = Image.new(mode, (32, 32), 0 if mode != "RGB" else (0, 0, 0))
    image.save(tree / "train" / "cat" / "0.png", transparency=0 if mode != "RGB" else (0, 0, 0))
    assert (load(tree, root).train_images[0] == 255).all()
    assert (load(tree, root, channels=1).train_images[0] == 255).all()


def test_not_square_images_are_resized(tree, root):
    save(tree / "train" / "cat" / "wide.png", pixels(1, height=10, width=70))
    assert load(tree, root).train_images.shape == (9, 3, 32, 32)


def test_a_relative_path_is_found_here_then_in_the_root(tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = datasets.load("folder:tree", root=tmp_path / "elsewhere")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert datasets.load("folder:tree", root=tmp_path).checksum == here.checksum


def test_recoded_cifar_is_called_so(tree, root):
    tree = tree.rename(tree.with_name("cifar10-jpeg"))
    assert load(tree, root).title == "CIFAR-10 (JPEG)"


def test_clutter_of_file_managers_is_not_looked_at(tree, root):
    before = load(tree, root).checksum
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._0.png"):
        (tree / "train" / "cat" / name).write_bytes(b"?")
    (tree / "README.md").write_text("about these images")
    (tree / "train" / "labels.txt").write_text("beside the class folders")
    assert load(tree, root).checksum == before


@pytest.mark.parametrize("given", ["", "  ", "nowhere", "/nowhere/at/all", "~nobody-of-this-name/x", "a\0b"])
def test_a_path_that_is_no_folder(root, given):
    with pytest.raises(datasets.DatasetError, match="'folder:PATH', PATH being a folder that holds train/<class>/"):
        datasets.load(f"folder:{given}", root=root)


def test_a_file_in_place_of_the_folder(tree, root):
    assert "is not a folder" in fails(tree / "train" / "cat" / "0.png", root)


@pytest.mark.parametrize("name", ["notes.txt", "movie.gif", "noext", "archive.tar.gz", "page.eps"])
def test_a_file_that_is_no_image_is_named(tree, root, name):
    (tree / "test" / "dog" / name).write_bytes(b"not an image")
    assert fails(tree, root).startswith(f"{str(tree / 'test' / 'dog' / name)!r} is not an image file")


def test_a_folder_in_a_class_is_named(tree, root):
    (tree / "train" / "cat" / "kittens.png").mkdir()
    assert fails(tree, root).startswith(f"{str(tree / 'train' / 'cat' / 'kittens.png')!r} is not an image file")


def test_a_named_pipe_is_not_waited_for(tree, root):
    os.mkfifo(tree / "train" / "cat" / "pipe.png")
    assert "pipe.png' is not an image file" in fails(tree, root)


def png(width, height):
    """A PNG header of any size over a handful of bytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize(
    ("side", "reason"),
    [
        (8_000, "has 8000 x 8000 pixels: scale it down"),  # above our limit
        (12_000, "has 12000 x 12000 pixels: scale it down"),  # where Pillow only warns
        (60_000, "decompression bomb"),  # where Pillow refuses by itself
    ],
)
@pytest.mark.filterwarnings("error")
def test_an_image_bomb_is_refused_by_its_header(tree, root, side, reason):
    (tree / "train" / "cat" / "bomb.png").write_bytes(png(side, side))
    line = fails(tree, root)
    assert "bomb.png'" in line
    assert reason in line


@pytest.mark.parametrize(
    "content",
    [b"", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n", bytes(500), png(32, 32)],
    ids=["empty", "signature only", "disguised PostScript", "zeros", "too few pixels"],
)
def test_a_file_that_only_looks_like_an_image_is_named(tree, root, content):
    (tree / "train" / "cat" / "bad.png").write_bytes(content)
    line = fails(tree, root)
    assert line.startswith(f"{str(tree / 'train' / 'cat' / 'bad.png')!r} is not a whole image")
    assert line.endswith("replace it or remove it")


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "EPS"])
def test_a_format_in_disguise_reaches_no_decoder(tree, root, kind):
    save(tree / "train" / "cat" / "bad.png", format=kind)
    assert "bad.png' is not a whole image (cannot identify image file" in fails(tree, root)


def test_a_truncated_jpeg_is_named(tree, root):
    path = tree / "train" / "cat" / "cut.jpg"
    save(path)
    path.write_bytes(path.read_bytes()[:-200])
    assert "cut.jpg' is not a whole image" in fails(tree, root)


def test_sixteen_bits_are_not_clipped_in_silence(tree, root):
    Image.fromarray(np.full((32, 32), 40_000, dtype=np.uint16)).save(tree / "train" / "cat" / "deep.png")
    assert "deep.png' has not 8 bits a channel" in fails(tree, root)


def test_an_empty_class_is_named(tree, root):
    for file in (tree / "test" / "dog").iterdir():
        file.unlink()
    assert fails(tree, root).startswith(f"class folder {str(tree / 'test' / 'dog')!r} is empty")


def test_classes_that_differ_between_the_splits(tree, root):
    save(tree / "test" / "bird" / "0.png")
    assert "other classes in train/ than in test/ ('bird' is in one)" in fails(tree, root)


def test_one_split_only(tree, root):
    (tree / "test").rename(tree.parent / "gone")
    assert "has class folders in train/ only" in fails(tree, root)


def test_one_class_only(tmp_path, root):
    save(tmp_path / "one" / "cat" / "0.png")
    assert "has 1 class folders, at least two are needed" in fails(tmp_path / "one", root)


def test_no_class_at_all(tmp_path, root):
    (tmp_path / "none").mkdir()
    assert "has 0 class folders" in fails(tmp_path / "none", root)


def test_a_class_too_small_to_split(tmp_path, root):
    for name, count in (("a", 3), ("b", 1)):
        for i in range(count):
            save(tmp_path / "few" / name / f"{i}.png", pixels(i))
    assert fails(tmp_path / "few", root).startswith(f"class folder {str(tmp_path / 'few' / 'b')!r} has one image")


@pytest.mark.parametrize("place", ["train/cat/link.png", "train/bird", "test"])
def test_a_link_out_of_the_tree_is_not_followed(tree, tmp_path, root, place):
    save(tmp_path / "outside" / "bird" / "secret.png")
    target = {"train/cat/link.png": "outside/bird/secret.png", "train/bird": "outside/bird", "test": "outside"}[place]
    if place == "test":
        (tree / "test").rename(tmp_path / "old test")
    (tree / place).symlink_to(tmp_path / target)
    assert f"{str(tree / place)!r} is a link out of {str(tree)!r}" in fails(tree, root)


@pytest.mark.parametrize("target", ["circle.png", "nowhere.png"])
def test_a_link_to_nothing_is_named(tree, root, target):
    (tree / "train" / "cat" / "circle.png").symlink_to(target)
    assert "circle.png'" in fails(tree, root)


def test_a_name_that_the_system_refuses(root):
    with pytest.raises(datasets.DatasetError, match=r"cannot be read .*: check its permissions and links"):
        datasets.load("folder:" + 5000 * "x", root=root)


def test_a_link_within_the_tree_is_followed(tree, root):
    (tree / "train" / "cat" / "again.png").symlink_to("0.png")
    data = load(tree, root)
    assert torch.equal(data.train_images[0], data.train_images[4])


def test_the_tree_itself_may_be_a_link(tree, tmp_path, root):
    (tmp_path / "short").symlink_to(tree)
    assert load(tmp_path / "short", root).checksum == load(tree, root).checksum


def test_a_name_with_a_line_break_stays_on_one_line(tree, root):
    (tree / "train" / "cat" / "two\nlines.txt").write_text("?")
    assert "two\\nlines.txt" in fails(tree, root)


def test_a_data_set_larger_than_the_memory_is_refused(tree, root, monkeypatch):
    monkeypatch.setattr(folder, "MOST_BYTES", 12 * 3 * 32 * 32 - 1)
    assert "size=32 makes 12 images" in fails(tree, root)
    assert load(tree, root, channels=1).train_images.shape == (8, 1, 32, 32)


def count_decoded(monkeypatch):
    decoded, real = [], folder.decode
    monkeypatch.setattr(folder, "decode", lambda paths, *rest: decoded.append(len(paths)) or real(paths, *rest))
    return decoded


def test_pixels_are_decoded_once(tree, root, monkeypatch):
    decoded = count_decoded(monkeypatch)
    assert load(tree, root).checksum == load(tree, root).checksum
    assert decoded == [12]


def test_a_changed_tree_or_format_is_decoded_again(tree, root, monkeypatch):
    decoded = count_decoded(monkeypatch)
    before = load(tree, root).checksum
    save(tree / "train" / "cat" / "0.png", pixels(55))
    assert load(tree, root).checksum != before
    load(tree, root, size=16)
    load(tree, root, size=16, channels=1)
    assert decoded == [12, 12, 12, 12]


def test_other_contents_of_the_same_length_and_time_are_seen(tree, root):
    for name in ("0.bmp", "1.bmp"):
        save(tree / "train" / "cat" / name, pixels(1))
    before, file = load(tree, root).checksum, tree / "train" / "cat" / "0.bmp"
    earlier = file.stat()
    save(file, pixels(2))
    os.utime(file, ns=(earlier.st_atime_ns, earlier.st_mtime_ns))
    assert file.stat().st_size == earlier.st_size
    assert load(tree, root).checksum != before


@pytest.mark.parametrize("how", ["truncated", "flipped", "empty", "pickled", "another shape"])
def test_a_damaged_cache_is_decoded_again(tree, root, monkeypatch, tmp_path, how):
    data = load(tree, root)
    (cached,) = (root / tree_cache.FOLDER).glob("*.npz")
    content = cached.read_bytes()
    key = str(np.load(cached)["key"])
    if how == "pickled":
        np.savez(cached, key=np.array(key), pixels=np.array([Evil(tmp_path / "opened")], dtype=object))
    elif how == "another shape":
        np.savez(cached, key=np.array(key), pixels=np.zeros((12, 3, 32, 31), np.uint8))
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        cached.write_bytes({"truncated": content[:-500], "flipped": flipped, "empty": b""}[how])
    decoded = count_decoded(monkeypatch)
    assert load(tree, root).checksum == data.checksum
    assert decoded == [12]
    assert not (tmp_path / "opened").exists()
    assert load(tree, root).checksum == data.checksum  # and the cache is whole again
    assert decoded == [12]


class Evil:
    """A pickle that shows that it was opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_a_root_that_cannot_be_written_costs_the_cache_only(tree, root):
    expected = load(tree, root).checksum
    (root.parent / "a file").write_text("")
    assert load(tree, root.parent / "a file" / "root").checksum == expected


def test_a_writer_killed_half_way_leaves_nothing_behind(tree, root):
    leftover = root / tree_cache.FOLDER / ".incoming-of-a-killed-run"
    leftover.mkdir(parents=True)
    (leftover / "pixels.npz").write_bytes(b"half")
    load(tree, root)
    assert not leftover.exists()
