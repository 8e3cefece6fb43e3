"""LSUV on networks that are not the book's: unit variances, orthonormal weights, nothing else touched."""

import pytest
import torch
from torch import nn

from bnlab.models.lsuv import lsuv_


def images(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seeded():
    return torch.Generator().manual_seed(3)


def network():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(64, 8),
        nn.Sigmoid(), nn.Linear(8, 3, bias=False),
    ).double()  # fmt: skip


def test_variances_are_one_and_weights_orthogonal():
    net, x = network(), images(30, 2, 6, 6)
    found = lsuv_(net, x, generator=seeded(), tolerance=1e-9)
    assert list(found) == ["0", "4", "6"]
    outputs = {}
    handles = [net[int(n)].register_forward_hook(lambda _, __, y, n=n: outputs.update({n: y.clone()})) for n in found]
    net(x)
    for handle in handles:
        handle.remove()
    for name in found:
        assert outputs[name].var(correction=0).item() == pytest.approx(1, abs=1e-8)
        W = net[int(name)].weight.detach().flatten(1)
        gram = W @ W.mT if len(W) <= W.shape[1] else W.mT @ W
        torch.testing.assert_close(gram / gram[0, 0], torch.eye(len(gram)).double(), rtol=0, atol=1e-10)
    assert net[0].bias.abs().max() == 0


def test_nothing_else_is_touched():
    net, x = network(), images(30, 2, 6, 6)
    net[1].eval()
    buffers = {name: buffer.clone() for name, buffer in net.named_buffers()}
    state, modes = torch.get_rng_state(), [m.training for m in net.modules()]
    lsuv_(net, x, generator=seeded())
    assert torch.equal(torch.get_rng_state(), state)
    assert [m.training for m in net.modules()] == modes
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in net.named_buffers())
    assert all(p.grad is None for p in net.parameters())
    assert not any(module._forward_hooks for module in net.modules())


class Twice(nn.Module):
    """One layer that runs twice, and one that never does."""

    def __init__(self, unused):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.other = nn.Linear(3, 3) if unused else nn.Identity()
        self.unused = unused

    def forward(self, x):
        return self.fc(x) if self.unused else self.fc(self.fc(x))


def test_what_cannot_be_set_is_named():
    x = torch.randn(5, 3, generator=seeded())
    for net, words in (
        (Twice(unused=False), "model: 'fc' runs 2 times"),
        (Twice(unused=True), "model: 'other' runs 0 times"),
        (nn.ReLU(), "model: it has no convolution"),
        (nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)), "model: the weights of '' are parametrised"),
        (nn.Sequential(nn.Linear(3, 2), nn.Threshold(1e9, 0.0), nn.Linear(2, 1)), "what leaves '2' has the variance 0"),
        (nn.Linear(4, 2), "images: torch.float32 of shape (5, 3) do not pass the model"),
    ):
        with pytest.raises(ValueError, match=r"^(model|images): ") as refusal:
            lsuv_(net, x, generator=seeded())
        assert words in str(refusal.value)
        assert "\n" not in str(refusal.value)
    with pytest.raises(ValueError, match=r"after 1 divisions, not within 1e-300"):
        lsuv_(nn.Linear(3, 2), x, generator=seeded(), tolerance=1e-300, most=1)
