"""Data from a mirror or on the disk: torchvision's data sets behind small local mirrors, and the ways they break."""

import concurrent.futures
import contextlib
import errno
import gzip
import hashlib
import io
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from bnlab import datasets
from bnlab.datasets import downloads, fetching, integrity, staging
from bnlab.datasets.torchvision_shim import torchvision_datasets

CLASS_NAMES = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}


class Mirror:
    """A web server on this machine. `faults` maps a file name to "cut", "wrong", "missing", "silent" or "endless"."""

    def __init__(self, folder):
        self.folder, self.faults, self.asked = folder, {}, []
        self.half_sent, self.go_on = threading.Event(), threading.Event()
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, request):
        name = request.path.strip("/")
        self.asked.append(name)
        fault = self.faults.get(name)
        if fault == "missing" or not (self.folder / name).is_file():
            request.send_error(404)
            return
        body = (self.folder / name).read_bytes()
        if fault == "wrong":
            body = body[:-1] + bytes([body[-1] ^ 1])
        request.send_response(200)
        if fault != "endless":
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        half = len(body) // 2
        request.wfile.write(body[:half])
        request.wfile.flush()
        self.half_sent.set()
        if fault == "silent":
            self.go_on.wait(60)
        if fault == "endless":
            with contextlib.suppress(OSError):  # until the client hangs up
                while True:
                    request.wfile.write(bytes(65536))
        elif fault != "cut":
            request.wfile.write(body[half:])

    def close(self):
        self.go_on.set()
        self.server.shutdown()
        self.server.server_close()


def idx(array):
    return bytes((0, 0, 8, array.ndim)) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def idx_files():
    draw = np.random.default_rng(0)
    files = {}
    for part, count in (("train", 60), ("t10k", 20)):
        files[f"{part}-images-idx3-ubyte"] = idx(draw.integers(0, 256, (count, 28, 28), dtype=np.uint8))
        files[f"{part}-labels-idx1-ubyte"] = idx(np.arange(count, dtype=np.uint8) % 10)
    return files


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "mirror"
    folder.mkdir()
    server = Mirror(folder)
    yield server
    server.close()


@pytest.fixture(params=["mnist", "fashion-mnist"])
def small(request, mirror, tmp_path, monkeypatch):
    """A data set of 60 + 20 images behind a local mirror, and an empty root for it."""
    return small_idx(request.param, mirror, tmp_path, monkeypatch)


@pytest.fixture
def small_mnist(mirror, tmp_path, monkeypatch):
    return small_idx("mnist", mirror, tmp_path, monkeypatch)


class Small:
    """A data set of few images: its name, its torchvision class, its root, the folder of its files, their contents."""

    def __init__(self, name, loader, root, raw, files):
        self.name, self.loader, self.root, self.raw, self.files = name, loader, root, root / raw, files

    def load(self, **options):
        return datasets.load(self.name, root=self.root, **options)

    def fails(self, **options):
        with pytest.raises(datasets.DatasetError) as caught:
            self.load(**options)
        line = str(caught.value)
        assert "\n" not in line
        return line

    def leftovers(self):
        return list(self.root.rglob(".incoming-*"))


def small_idx(name, mirror, tmp_path, monkeypatch):
    files = idx_files()
    resources, pinned = [], {}
    for file, content in files.items():
        packed = gzip.compress(content, mtime=0)
        (mirror.folder / f"{file}.gz").write_bytes(packed)
        resources.append((f"{file}.gz", md5(packed)))
        if (CLASS_NAMES[name], file) in integrity.RAW_SHA256:  # as in reality: not Fashion-MNIST's images
            pinned[CLASS_NAMES[name], file] = hashlib.sha256(content).hexdigest()
    loader = getattr(torchvision_datasets(), CLASS_NAMES[name])
    monkeypatch.setattr(loader, "mirrors", [mirror.url])
    monkeypatch.setattr(loader, "resources", resources)
    monkeypatch.setattr(integrity, "RAW_SHA256", pinned)
    monkeypatch.setattr(downloads, "RAW_SHA256", pinned)
    return Small(name, loader, tmp_path / "root", f"{CLASS_NAMES[name]}/raw", files)


def test_download_gives_the_images_and_a_second_run_asks_nobody(small, mirror):
    data = small.load(size=32)
    pixels = np.frombuffer(small.files["train-images-idx3-ubyte"][16:], np.uint8).reshape(60, 1, 28, 28)
    np.testing.assert_array_equal(data.train_images[:, :, 2:-2, 2:-2].numpy(), pixels)
    assert data.train_images.shape == (60, 1, 32, 32)
    assert data.test_labels.tolist() == [i % 10 for i in range(20)]
    np.testing.assert_allclose(data.mean.item(), pixels.mean() / 255, rtol=1e-6)
    assert not small.leftovers()
    mirror.asked.clear()
    assert small.load(size=32, download=False).checksum == data.checksum
    assert mirror.asked == []


def test_file_mirror(small, mirror, monkeypatch):
    monkeypatch.setattr(small.loader, "mirrors", [mirror.folder.as_uri() + "/"])
    assert len(small.load().train_labels) == 60


def test_torchvision_itself_reads_what_was_downloaded(small):
    data = small.load()
    theirs = small.loader(root=small.root, train=True, download=False)
    assert torch.equal(theirs.data, data.train_images[:, 0])
    assert torch.equal(theirs.targets, data.train_labels)


def test_second_mirror_serves_when_the_first_fails(small, mirror, monkeypatch):
    monkeypatch.setattr(small.loader, "mirrors", [mirror.url + "nowhere/", mirror.url])
    assert len(small.load().test_labels) == 20


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("cut", "cut short or damaged"),
        ("wrong", "cut short or damaged"),
        ("missing", "HTTP Error 404"),
        ("silent", "timed out"),
        ("endless", "bytes arrived"),
    ],
)
def test_a_broken_download_is_named_and_never_trusted(small, mirror, monkeypatch, fault, reason):
    mirror.faults["train-images-idx3-ubyte.gz"] = fault
    with monkeypatch.context() as shortened:
        shortened.setattr(fetching, "LARGEST", 1 << 20)
        if fault == "silent":  # else a mirror on a busy machine would count as silent
            shortened.setattr(fetching, "SILENCE", 0.3)
        line = small.fails()
    assert line.startswith("train-images-idx3-ubyte.gz cannot be downloaded")
    assert reason in line
    assert f"copy the file into {str(small.raw)!r}" in line
    assert "'digits' or 'digits-rgb'" in line
    assert not (small.raw / "train-images-idx3-ubyte").exists()
    assert not small.leftovers()
    mirror.faults.clear()
    assert len(small.load().train_labels) == 60


def test_what_arrived_whole_is_kept_when_a_later_file_fails(small_mnist, mirror):
    mirror.faults["t10k-labels-idx1-ubyte.gz"] = "missing"
    small_mnist.fails()
    mirror.asked.clear()
    mirror.faults.clear()
    small_mnist.load()
    assert mirror.asked == ["t10k-labels-idx1-ubyte.gz"]


def test_no_network(small, monkeypatch):
    with socket.socket() as unused:  # a port that nobody listens on
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.setattr(small.loader, "mirrors", [f"http://127.0.0.1:{port}/"])
    line = small.fails()
    assert "Connection refused" in line
    assert "check the network" in line


CHILD = """
import json, sys
from bnlab import datasets
from bnlab.datasets import downloads, integrity
from bnlab.datasets.torchvision_shim import torchvision_datasets
url, resources, digests, root = json.loads(sys.argv[1])
loader = torchvision_datasets().MNIST
loader.mirrors, loader.resources = [url], [tuple(r) for r in resources]
integrity.RAW_SHA256 = downloads.RAW_SHA256 = {("MNIST", file): digest for file, digest in digests.items()}
print(datasets.load("mnist", root=root).checksum)
"""


def start(small, mirror):
    digests = {file: hashlib.sha256(content).hexdigest() for file, content in small.files.items()}
    arguments = json.dumps([mirror.url, torchvision_datasets().MNIST.resources, digests, str(small.root)])
    paths = os.pathsep.join([str(Path(datasets.__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, arguments],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_process_killed_while_downloading_leaves_nothing_that_is_trusted(small_mnist, mirror):
    mirror.faults["train-images-idx3-ubyte.gz"] = "silent"
    child = start(small_mnist, mirror)
    assert mirror.half_sent.wait(60)
    assert small_mnist.leftovers()
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert not (small_mnist.raw / "train-images-idx3-ubyte").exists()
    mirror.go_on.set()
    mirror.faults.clear()
    assert len(small_mnist.load().train_labels) == 60
    assert not small_mnist.leftovers()


def test_two_at_once_download_once_and_agree(small_mnist, mirror):
    mirror.faults["train-images-idx3-ubyte.gz"] = "silent"  # holds the other process in the middle of its download
    other = start(small_mnist, mirror)
    assert mirror.half_sent.wait(60)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        mine = pool.submit(small_mnist.load)
        with pytest.raises(concurrent.futures.TimeoutError):
            mine.result(timeout=1)  # it waits for the other
        mirror.go_on.set()
        assert other.communicate(timeout=60)[0].strip() == mine.result(timeout=60).checksum
    assert sorted(mirror.asked) == sorted(name for name, _ in small_mnist.loader.resources)


def test_patience_with_another_process_ends(small_mnist, monkeypatch):
    monkeypatch.setattr(fetching, "PATIENCE", 0.2)
    with staging.sole_writer(small_mnist.root, 1):
        assert "another process has kept" in small_mnist.fails()


def break_file(path, how):
    content = path.read_bytes()
    changed = {
        "truncated": content[:-100],
        "empty": b"",
        "short header": content[:6],
        "longer": content + b"\0",
        "flipped": content[:-5] + bytes([content[-5] ^ 1]) + content[-4:],
        "other type": b"\0\0\x0d" + content[3:],
        "hostile size": content[:4] + b"\xff" * 4 + content[8:],
        "not idx": b"<!DOCTYPE html>" + content[15:],
    }[how]
    path.write_bytes(changed)


@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
@pytest.mark.parametrize(
    ("how", "word"),
    [
        ("truncated", "truncated"),
        ("empty", "truncated"),
        ("short header", "truncated"),
        ("longer", "corrupt"),
        ("flipped", "corrupt"),
        ("other type", "corrupt"),
        ("hostile size", "truncated"),
        ("not idx", "corrupt"),
    ],
)
def test_a_bad_raw_file_is_named_with_the_remedy(small, file, how, word):
    small.load()
    if how == "truncated" and "labels" in file:
        how = "empty"
    break_file(small.raw / file, how)
    line = small.fails()
    assert line.startswith(repr(str(small.raw / file)))
    assert word in line
    assert line.endswith("delete it and load again with download=True")
    (small.raw / file).unlink()
    assert len(small.load().train_labels) == 60  # the remedy works


def test_a_folder_in_place_of_a_file(small):
    small.load()
    (small.raw / "train-labels-idx1-ubyte").unlink()
    (small.raw / "train-labels-idx1-ubyte").mkdir()
    assert repr(str(small.raw / "train-labels-idx1-ubyte")) in small.fails()


def test_a_missing_file_without_download(small):
    line = small.fails(download=False)
    assert line.startswith(repr(str(small.raw / "train-images-idx3-ubyte")) + " is missing: load with download=True")
    assert "BNLAB_DATA" in line
    assert not small.root.exists()  # nothing is written


def test_archives_copied_by_hand_need_no_network(small, mirror):
    small.raw.mkdir(parents=True)
    for file in small.files:
        (small.raw / f"{file}.gz").write_bytes((mirror.folder / f"{file}.gz").read_bytes())
    assert len(small.load(download=False).train_labels) == 60
    assert mirror.asked == []


def test_a_truncated_archive_is_not_trusted(small, mirror):
    small.raw.mkdir(parents=True)
    name = "train-images-idx3-ubyte.gz"
    (small.raw / name).write_bytes((mirror.folder / name).read_bytes()[:99])
    assert "is missing" in small.fails(download=False)
    assert len(small.load().train_labels) == 60


def test_old_processed_files_are_not_read(small):
    # torchvision prefers them to the raw files, and nothing vouches for them.
    data = small.load()
    processed = small.raw.parent / "processed"
    processed.mkdir()
    for file in ("training.pt", "test.pt"):
        torch.save((torch.zeros(5, 28, 28, dtype=torch.uint8), torch.zeros(5)), processed / file)
    assert small.load().checksum == data.checksum


def test_fashion_images_are_vouched_for_by_their_archive(mirror, tmp_path, monkeypatch):
    small = small_idx("fashion-mnist", mirror, tmp_path, monkeypatch)
    small.load()
    archive = small.raw / "train-images-idx3-ubyte.gz"
    archive.write_bytes(archive.read_bytes()[:-1] + b"?")
    assert "vouches for the file beside it, is missing or corrupt" in small.fails()
    archive.unlink()
    assert "is missing" in small.fails(download=False)
    assert len(small.load().train_labels) == 60
    break_file(small.raw / "train-images-idx3-ubyte", "flipped")
    archive.unlink()
    assert "corrupt" in small.fails()  # the archive comes back and convicts the file


@pytest.mark.parametrize("where", ["a file", "below a file"])
def test_a_root_that_cannot_be_a_folder(small, where):
    small.root.write_text("not a folder")
    small.root = small.root if where == "a file" else small.root / "below"
    line = small.fails()
    assert line.startswith(f"{str(small.root)!r} cannot be used")
    assert "BNLAB_DATA" in line
    assert "'digits' or 'digits-rgb'" in line


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_root_that_cannot_be_written(small, monkeypatch, code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fetching, "publish", refuse)
    line = small.fails()
    assert line.startswith(f"{str(small.root)!r} cannot be used ({os.strerror(code)})")
    assert not small.leftovers()


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_read_only_root(small):
    small.root.mkdir()
    small.root.chmod(0o500)
    assert "cannot be used (Permission denied)" in small.fails()


class Touch:
    """A pickle that shows that it was opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.fixture
def small_cifar(mirror, tmp_path, monkeypatch):
    draw = np.random.default_rng(0)
    contents = {}
    for i, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        batch = {"data": draw.integers(0, 256, (10, 3072), dtype=np.uint8), "labels": [(i + k) % 10 for k in range(10)]}
        contents[name] = pickle.dumps(batch)
    contents["batches.meta"] = pickle.dumps({"label_names": [f"class {i}" for i in range(10)]})
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        members = {f"cifar-10-batches-py/{name}": content for name, content in contents.items()}
        for name, content in {**members, "../escaped": b"out of the tree", "cifar-10-batches-py/extra": b"?"}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    (mirror.folder / "cifar-10-python.tar.gz").write_bytes(packed.getvalue())
    loader = torchvision_datasets().CIFAR10
    monkeypatch.setattr(loader, "url", mirror.url + "cifar-10-python.tar.gz")
    monkeypatch.setattr(loader, "tgz_md5", md5(packed.getvalue()))
    monkeypatch.setattr(loader, "train_list", [[name, md5(contents[name])] for name in list(contents)[:5]])
    monkeypatch.setattr(loader, "test_list", [["test_batch", md5(contents["test_batch"])]])
    monkeypatch.setattr(loader, "meta", {**loader.meta, "md5": md5(contents["batches.meta"])})
    return Small("cifar10", loader, tmp_path / "root", "cifar-10-batches-py", contents)


def test_cifar_is_downloaded_and_read(small_cifar, mirror):
    data = small_cifar.load()
    assert data.train_images.shape == (50, 3, 32, 32)
    first = pickle.loads(small_cifar.files["data_batch_1"])
    np.testing.assert_array_equal(data.train_images[0].numpy().ravel(), first["data"][0])  # planes, not interleaved
    assert data.train_labels[:10].tolist() == first["labels"]
    assert data.classes == tuple(f"class {i}" for i in range(10))
    assert data.title == "CIFAR-10"
    assert not small_cifar.leftovers()
    mirror.asked.clear()
    assert small_cifar.load(download=False).checksum == data.checksum
    assert mirror.asked == []


def test_only_what_belongs_to_cifar_is_unpacked(small_cifar, tmp_path):
    small_cifar.load()
    assert sorted(path.name for path in small_cifar.raw.iterdir()) == sorted(small_cifar.files)
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch", "batches.meta"])
def test_a_pickle_with_a_wrong_md5_is_never_opened(small_cifar, tmp_path, name):
    small_cifar.load()
    (small_cifar.raw / name).write_bytes(pickle.dumps(Touch(tmp_path / "opened")))
    line = small_cifar.fails()
    assert line.startswith(f"{str(small_cifar.raw / name)!r} is corrupt or truncated")
    assert line.endswith("delete it and load again with download=True")
    assert not (tmp_path / "opened").exists()
    (small_cifar.raw / name).unlink()
    assert len(small_cifar.load().train_labels) == 50


def test_cifar_cut_and_missing(small_cifar, mirror):
    assert "cifar-10-batches-py/data_batch_1' is missing" in small_cifar.fails(download=False)
    mirror.faults["cifar-10-python.tar.gz"] = "cut"
    assert small_cifar.fails().startswith("cifar-10-python.tar.gz cannot be downloaded")
    assert not small_cifar.raw.exists()
    mirror.faults.clear()
    assert len(small_cifar.load().train_labels) == 50


def real_mnist():
    """A folder with MNIST in it: the one that BNLAB_DATA names, else one beside the project."""
    for folder in (os.environ.get("BNLAB_DATA"), Path(__file__).parents[3] / "shared" / "data"):
        if folder and (Path(folder) / "MNIST" / "raw" / "train-images-idx3-ubyte").is_file():
            return Path(folder)
    return None


@pytest.mark.skipif(real_mnist() is None, reason="no MNIST here: set BNLAB_DATA to a folder that holds MNIST/raw")
def test_mnist_itself():
    data = datasets.load("mnist", root=real_mnist(), size=32, download=False)
    assert data.train_images.shape == (60_000, 1, 32, 32)
    assert data.test_images.shape == (10_000, 1, 32, 32)
    assert torch.bincount(data.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert data.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    # The figures that everybody quotes, of the unpadded pixels.
    assert [round(s.item(), 4) for s in (data.mean, data.std)] == [0.1307, 0.3081]
    assert data.checksum == "ead96fe5465a2e4a55fd46adbd2304c0a2d20236cf130bd12536843303d8cb71"
    assert data.title == "MNIST"
