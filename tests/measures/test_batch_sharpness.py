import pytest
import torch
from torch import nn
from torch.nn import functional

from bnlab.measures.batch_sharpness import batch_sharpness
from bnlab.models.mlp import MLP
from bnlab.randomness import generator


def test_closed_form_of_linear_least_squares():
    """Of mean (x w - y)^2 the gradient is 2 X'(Xw - y) / B and the Hessian 2 X'X / B, batch by batch."""
    draw = generator(0, "data")
    line = nn.Linear(3, 1, bias=False).double()
    weight = line.weight.detach().flatten()
    batches, along, squares = [], 0.0, 0.0
    for _ in range(4):
        x = torch.randn(5, 3, generator=draw, dtype=torch.float64)
        y = torch.randn(5, 1, generator=draw, dtype=torch.float64)
        batches.append((x, y))
        gradient = 2 * x.T @ (x @ weight - y.flatten()) / 5
        along += gradient @ (2 * x.T @ x / 5) @ gradient
        squares += gradient @ gradient
    assert batch_sharpness(line, batches, functional.mse_loss) == pytest.approx(float(along / squares), rel=1e-12)


def test_finite_differences_of_the_gradient():
    draw = generator(1, "data")
    model = MLP(4, 3, depth=2, width=6, activation="tanh", generator=generator(0, "weights")).double()
    x, y = torch.randn(7, 4, generator=draw, dtype=torch.float64), torch.arange(7) % 3
    before = {name: value.clone() for name, value in model.state_dict().items()}

    def gradient() -> torch.Tensor:
        parts = torch.autograd.grad(functional.cross_entropy(model(x), y), list(model.parameters()))
        return torch.cat([part.flatten() for part in parts])

    g, step = gradient(), 1e-5
    found = batch_sharpness(model, [(x, y)], functional.cross_entropy)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    shifted = []
    for sign in (1, -1):
        with torch.no_grad():
            for p, part in zip(model.parameters(), g.split([q.numel() for q in model.parameters()]), strict=True):
                p += sign * step * part.view_as(p)
        shifted.append(gradient())
        model.load_state_dict(before)
    product = (shifted[0] - shifted[1]) / (2 * step)
    assert found == pytest.approx(float(g @ product / (g @ g)), rel=1e-6)


@pytest.mark.parametrize("batches", [[], [(torch.zeros(2, 1), torch.zeros(2, 1))]])
def test_no_gradient_is_refused(batches):
    with pytest.raises(ValueError, match=r"^batches: there is none, or all their gradients are zero"):
        batch_sharpness(nn.Linear(1, 1, bias=False), batches, functional.mse_loss)
