"""Where numbers are made: commit, versions, processor, and torch's switches."""

import shutil
import subprocess

import numpy as np
import pytest
import torch

import bnlab
from bnlab.records import provenance
from bnlab.records.arithmetic import Arithmetic, fixed


def git(folder, *words) -> str:
    settings = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", "-C", str(folder), *settings, *words], check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git to make a repository")
def test_commit(tmp_path, monkeypatch):
    library = tmp_path / "lib" / "bnlab"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text("")
    monkeypatch.setattr(bnlab, "__file__", str(library / "__init__.py"))
    assert provenance.commit() == "unknown"
    git(tmp_path, "init", "-q")
    (tmp_path / "own").write_text("")
    git(tmp_path, "add", "own")
    git(tmp_path, "commit", "-qm", "somebody's own repository, which has the library beside it")
    assert provenance.commit() == "unknown"
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "the library")
    head = git(tmp_path, "rev-parse", "HEAD").strip()
    assert provenance.commit() == head
    (library / "new.py").write_text("x = 1")
    assert provenance.commit() == head + "+"


MNIST = {"title": "MNIST", "checksum": "a" * 64}
CIFAR = {"title": "CIFAR-10", "checksum": "b" * 64}


@pytest.mark.parametrize(
    ("data", "named", "told", "content"),
    [
        (None, "", "none", None),
        (MNIST, "MNIST", "MNIST, checksum aaaaaaaaaaaa", "a" * 64),
        (
            MNIST | {"others": {"vgg_dataset": CIFAR}},
            "MNIST, CIFAR-10",
            "MNIST, checksum aaaaaaaaaaaa; vgg_dataset: CIFAR-10, checksum bbbbbbbbbbbb",
            f"{'a' * 64} vgg_dataset={'b' * 64}",
        ),
    ],
)
def test_data_sets_are_named_and_told_apart(data, named, told, content):
    assert provenance.titles(data) == named
    assert provenance.described(data) == told
    assert provenance.checksums(data) == content


def test_the_data_of_an_argument():
    """An argument that took no data set of its own took the one of all others."""
    both = MNIST | {"others": {"vgg_dataset": CIFAR}}
    assert [provenance.titles(data, "vgg_dataset") for data in (MNIST, both)] == ["MNIST", "CIFAR-10"]


@pytest.mark.parametrize("others", [3, [CIFAR], {"vgg_dataset": 3}])
def test_further_data_that_are_no_mapping_are_refused(others):
    with pytest.raises(ValueError, match="others of the data is no mapping"):
        provenance.described(MNIST | {"others": others})


def test_a_machine_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.commit() == "unknown"


def test_the_machine_says_versions_and_processor():
    facts = provenance.machine("cpu")
    assert set(facts["versions"]) == {"bnlab", "python", "numpy", "scipy", "pandas", "torch"}
    assert facts["versions"]["numpy"] == np.__version__
    assert "CPU" in facts["device"]
    assert facts["cpu"]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_switches_are_set_and_not_inherited(device):
    """TF32 off, deterministic on a GPU; afterwards as before. What goes into the key is what was set."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    try:
        before = Arithmetic.now(device)
        assert before.tf32 == (device == "cuda")
        with fixed(device):
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.backends.cudnn.benchmark
            inside = Arithmetic.now(device, "batched")
        assert inside.facts() == {
            "device": device,
            "engine": "batched",
            "torch": ".".join(torch.__version__.split(".")[:2]),
            "tf32": False,
            "deterministic": device == "cuda",
        }
        assert Arithmetic.now(device) == before
        assert torch.backends.cudnn.benchmark
        assert not torch.are_deterministic_algorithms_enabled()
    finally:
        torch.backends.cudnn.benchmark = False
        torch.set_float32_matmul_precision("highest")
