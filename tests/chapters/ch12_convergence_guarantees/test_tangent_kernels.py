"""The experiments on tangent kernels, against the same training and the same kernel by hand."""

import pytest
import torch

from bnlab import datasets
from bnlab.chapters.ch12_convergence_guarantees import tangent_kernels
from bnlab.measures import kernels
from bnlab.models.mlp import MLP
from bnlab.randomness import generator


def test_kernel_runs():
    digits = datasets.load("digits", size=8)
    made = {
        name: make()
        for name, make in tangent_kernels.parts(
            digits, widths=[16, 256], kernel_steps=10, depths=[2], width=32, images=12, seeds=2, seed=3
        ).items()
    }
    change = made["widths"].pivot_table(index="seed", columns="width", values="kernel_change")
    assert list(change.index) == [3, 4]
    assert (change[256] < change[16]).all()
    # the loss that is left is that of the same training by hand, and the forecast starts from the same kernel
    x, d = tangent_kernels.parity_task(digits, 12, 3)
    net = MLP(64, 1, depth=2, width=16, initialisation="ntk", generator=generator(3, "weights")).double()
    K = kernels.empirical_ntk(net, x)
    rate = 1 / torch.linalg.eigvalsh(K)[-1].item()
    first = (net(x).flatten() - d).square().sum()
    for _ in range(10):
        gradients = torch.autograd.grad((net(x).flatten() - d).square().sum() / 2, list(net.parameters()))
        with torch.no_grad():
            for p, g in zip(net.parameters(), gradients, strict=True):
                p -= rate * g
    left = made["widths"].set_index(["width", "seed"]).loc[(16, 3), "loss_left"]
    assert left == pytest.approx(((net(x).flatten() - d).square().sum() / first).item(), rel=1e-6)
    spectra = made["spectra"].set_index(["statistics", "seed"])
    assert (spectra.loc["passed through", "correlation"] < spectra.loc["none", "correlation"]).all()
    assert set(spectra.index.unique("statistics")) == {"none", "passed through", "held"}
    plain = MLP(64, 1, depth=2, width=32, generator=generator(3, "weights")).double()
    assert spectra.loc[("none", 3), "largest"] == pytest.approx(
        torch.linalg.eigvalsh(kernels.empirical_ntk(plain, x))[-1].item()
    )


def test_kernel_parts_refuse_nothing_to_do():
    with pytest.raises(ValueError, match="must each be at least 1"):
        tangent_kernels.parts(datasets.load("digits", size=8), images=0)
