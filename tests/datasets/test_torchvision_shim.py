"""torchvision beside a torch of another build."""

import importlib
import subprocess
import sys

import pytest
import torch

from bnlab.datasets import DatasetError, torchvision_shim

NO_NMS = "operator torchvision::nms does not exist"


def failing_first(error, monkeypatch, forever=False):
    """Let importing torchvision fail once (or always) with `error`; returns the list of what was declared."""
    declared, real, failures = [], importlib.import_module, []

    def fake(name, *rest):
        if name == "torchvision.datasets" and (forever or not failures):
            failures.append(name)
            raise error
        return real(name, *rest)

    monkeypatch.setattr(torchvision_shim.importlib, "import_module", fake)
    monkeypatch.setattr(torchvision_shim, "declare_missing_operators", lambda: declared.append("nms"))
    return declared


def test_data_sets_and_transforms_work_here():
    # In a fresh process, whichever builds of torch and torchvision this machine has.
    code = (
        "from bnlab.datasets.torchvision_shim import torchvision_datasets as t; import torch; "
        "assert t().MNIST.resources and t().CIFAR10.tgz_md5; from torchvision.transforms import functional as f; "
        "print(tuple(f.resize(torch.zeros(1, 8, 8), [4, 4]).shape))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "(1, 4, 4)", done.stderr


def test_a_whole_torchvision_is_left_alone(monkeypatch):
    torchvision_shim.torchvision_datasets()  # imported by now, in one way or the other
    declared = []
    monkeypatch.setattr(torchvision_shim, "declare_missing_operators", lambda: declared.append("nms"))
    torchvision_shim.torchvision_datasets()
    assert declared == []


def test_the_missing_operator_is_declared_after_the_import_failed(monkeypatch):
    torchvision_shim.torchvision_datasets()
    declared = failing_first(RuntimeError(NO_NMS), monkeypatch)
    assert torchvision_shim.torchvision_datasets().MNIST
    assert declared == ["nms"]


@pytest.mark.parametrize("error", [RuntimeError("another thing\nin two lines"), ImportError("no torchvision")])
def test_another_failure_is_one_clear_line(monkeypatch, error):
    declared = failing_first(error, monkeypatch, forever=True)
    with pytest.raises(DatasetError) as caught:
        torchvision_shim.torchvision_datasets()
    assert str(caught.value) == (
        f"torchvision cannot be imported ({str(error).splitlines()[0]}): install the release made for torch "
        f"{torch.__version__}, or use 'digits' or 'digits-rgb', which need no download"
    )
    assert declared == []


def test_a_cure_that_does_not_help_is_one_clear_line(monkeypatch):
    failing_first(RuntimeError(NO_NMS), monkeypatch, forever=True)
    with pytest.raises(DatasetError, match="torchvision cannot be imported"):
        torchvision_shim.torchvision_datasets()


def test_declaring_twice_is_harmless():
    torchvision_shim.torchvision_datasets()
    torchvision_shim.declare_missing_operators()
    torchvision_shim.declare_missing_operators()
    assert all(hasattr(torch.ops.torchvision, name) for name in torchvision_shim.SIGNATURES)
