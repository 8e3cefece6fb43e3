"""A loss as a function of its parameters: finite differences, other libraries, whose statistics, nothing touched."""

import copy

import pytest
import torch
from curvlinops import HessianLinearOperator
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from bnlab.layers.rms_norm import RmsNorm
from bnlab.measures.surface import LossSurface
from bnlab.models.mlp import MLP
from bnlab.models.resnet import ResNet
from bnlab.randomness import generator


def draw(*shape, purpose="inputs"):
    return torch.randn(*shape, generator=generator(0, purpose), dtype=torch.float64)


def own(norm=nn.BatchNorm1d):
    """A network that is not the book's, gamma and beta away from 1 and 0."""
    net = nn.Sequential(nn.Linear(4, 5), norm(5), nn.Tanh(), nn.Linear(5, 3)).double()
    with torch.no_grad():
        for number, parameter in enumerate(net.parameters()):
            parameter.copy_(0.7 * draw(*parameter.shape, purpose=f"parameter {number}"))
    return net


X, LABELS = draw(9, 4), torch.arange(9) % 3


def surface(model=None, inputs=X, targets=LABELS, loss=functional.cross_entropy, **options):
    return LossSurface(model or own(), inputs, targets, loss, **options)


def by_differences(made, step=1e-5):
    """Dense Hessian by central differences of the gradient, one parameter at a time."""
    columns = []
    for unit in torch.eye(len(made.theta), dtype=torch.float64):
        up, down = (made.gradient(made.theta + way * step * unit) for way in (1, -1))
        columns.append((up - down) / (2 * step))
    return torch.stack(columns)


def gradient_by_differences(made, step=1e-6):
    units = step * torch.eye(len(made.theta), dtype=torch.float64)
    return torch.tensor(
        [(made.value(made.theta + unit) - made.value(made.theta - unit)) / (2 * step) for unit in units],
        dtype=torch.float64,
    )


@pytest.mark.parametrize("statistics", ["batch", "population", "running"])
def test_gradient_and_hessian_are_those_of_finite_differences(statistics):
    made = surface(statistics=statistics)
    torch.testing.assert_close(made.gradient(), gradient_by_differences(made), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(made.hessian(), by_differences(made), rtol=1e-6, atol=1e-7)


def test_statistics_make_different_hessians():
    batch, population, running = (surface(statistics=s) for s in ("batch", "population", "running"))
    assert (batch.hessian() - population.hessian()).norm() > 0.1 * batch.hessian().norm()
    assert (running.hessian() - population.hessian()).norm() > 0.1 * running.hessian().norm()
    assert population.value() != running.value()
    plain = own(norm=nn.Identity)
    made = [surface(plain, statistics=s).hessian() for s in ("batch", "population", "running")]
    assert torch.equal(made[0], made[1])
    assert torch.equal(made[0], made[2])


def test_population_is_the_eval_mode_of_a_network_with_exact_statistics():
    model, population = own(), draw(40, 4, purpose="population")
    by_hand = copy.deepcopy(model).eval()
    first = model[0](population).detach()
    by_hand[1].running_mean.copy_(first.mean(0))
    by_hand[1].running_var.copy_(first.var(0))
    expected = functional.cross_entropy(by_hand(X), LABELS)
    made = surface(model, statistics="population", population=population)
    assert abs(made.value() - expected.item()) < 1e-12


class Written(nn.Module):
    """Batch Normalization in single operations, without running statistics."""

    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        centred = x - x.mean(0)
        return self.weight * centred / (centred.square().mean(0) + 1e-5).sqrt() + self.bias


def test_products_agree_with_curvlinops_through_a_written_out_batch_normalisation():
    # curvlinops 3.0.1 is wrong through the fused layer (jvp of jacrev), right through one made of single operations.
    model = own(Written)
    parameters = [p for p in model.parameters() if p.requires_grad]
    model.train()
    operator = HessianLinearOperator(model, nn.CrossEntropyLoss(), parameters, [(X, LABELS)], check_deterministic=False)
    fused = own()
    fused.load_state_dict(model.state_dict(), strict=False)
    for seed in range(3):
        vector = draw(len(surface(model).theta), purpose=f"vector {seed}")
        expected = torch.as_tensor(operator @ vector)
        torch.testing.assert_close(surface(model).product(vector), expected, rtol=1e-8, atol=1e-10)
        torch.testing.assert_close(surface(fused).product(vector), expected, rtol=1e-6, atol=1e-8)


def test_residual_network_by_differences_in_a_direction():
    model = ResNet(8, 1, 3, width=2, generator=generator(0, "weights")).double()
    made = surface(model, draw(6, 1, 4, 4), torch.arange(6) % 3)
    vector = draw(len(made.theta), purpose="direction")
    vector = vector / vector.norm()
    up, down = (made.gradient(made.theta + way * 1e-7 * vector) for way in (1, -1))
    difference = (up - down) / 2e-7
    assert (made.product(vector) - difference).norm() < 1e-4 * difference.norm()


def test_a_layer_alone_is_a_block_of_the_whole():
    made, block = surface(), surface(parameters=("3.",))
    assert block.names == ("3.weight", "3.bias")
    torch.testing.assert_close(block.hessian(), made.hessian()[-18:, -18:], rtol=1e-10, atol=1e-12)
    assert surface(parameters="3.weight").theta.shape == (15,)


def everything(model):
    return (
        {name: value.clone() for name, value in model.state_dict().items()},
        [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        [module.training for module in model.modules()],
        torch.get_rng_state(),
    )


@pytest.mark.parametrize("statistics", ["batch", "population", "running"])
@pytest.mark.parametrize("mode", [True, False])
def test_nothing_is_touched(statistics, mode):
    model = own().train(mode)
    model(X).sum().backward()
    before = everything(model)
    made = surface(model, statistics=statistics)
    made.value(), made.gradient(made.theta + 1), made.product(torch.ones_like(made.theta))
    after = everything(model)
    assert all(torch.equal(before[0][name], after[0][name]) for name in before[0])
    assert all(torch.equal(a, b) for a, b in zip(before[1], after[1], strict=True))
    assert before[2] == after[2]
    assert torch.equal(before[3], after[3])


def test_in_place_activations_shared_modules_parametrisations_and_frozen_parameters():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.act, self.head = nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 3)
            self.head.bias.requires_grad_(False)

        def forward(self, x):
            return self.head(self.act(self.inner(self.act(self.inner(x)))))

    for model in (
        Shared().double(),
        nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 4)), nn.Tanh(), nn.Linear(4, 3)).double(),
    ):
        made = surface(model)
        assert len(made.theta) == sum(p.numel() for p in model.parameters() if p.requires_grad)
        torch.testing.assert_close(made.gradient(), gradient_by_differences(made), rtol=1e-5, atol=1e-7)


def test_a_loss_linear_in_the_parameters_has_no_curvature():
    line = nn.Linear(4, 1).double()
    made = surface(line, loss=lambda outputs, _: outputs.mean())
    assert not made.product(torch.ones_like(made.theta)).any()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: surface(statistics="eval"), "statistics: 'eval' is not one of 'batch', 'population', 'running'"),
        (lambda: surface(inputs=X.float()), r"inputs: torch.float32 of shape \(9, 4\) do not pass the model"),
        (lambda: surface(inputs=X[:, :3]), r"inputs: torch.float64 of shape \(9, 3\) do not pass"),
        (lambda: surface(inputs=X[:0]), "inputs: .* with at least one entry"),
        (lambda: surface(inputs=[1.0]), "inputs: .*list"),
        (lambda: surface(targets=LABELS[:4]), "inputs: .*do not pass the model and its loss"),
        (lambda: surface(loss=lambda o, t: o), "loss: .* is not a single number"),
        (lambda: surface(loss=lambda o, t: torch.ones(())), "loss: it does not depend on the parameters"),
        (lambda: surface(loss=lambda o, t: (o * torch.nan).sum()), "loss: nan at the model's own parameters"),
        (lambda: surface(nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5)).double()), "model: '1' drops out"),
        (lambda: surface(loss=lambda o, t: o.sum() * torch.rand(())), "loss: it differs from one call to the next"),
        (lambda: surface(own().half()), "model: '0.weight' is of half precision"),
        (lambda: surface(own().requires_grad_(False)), "model: no parameter requires a gradient"),
        (lambda: surface(parameters=("7.",)), "parameters: '7.' begins no parameter's name; there are 0.weight"),
        (
            lambda: surface(
                nn.Sequential(nn.Unflatten(1, (4, 1, 1)), RmsNorm(4), nn.Flatten(), nn.Linear(4, 3)).double(),
                statistics="population",
            ),
            "statistics: 'population', which cannot be set in '1', a RmsNorm",
        ),
        (lambda: surface(statistics="population", population=X[:1]), "batches: they hold 1 value"),
        (lambda: surface().product(torch.ones(3)), r"vector: shape \(3,\) in torch.float32 is not \(53,\)"),
        (
            lambda: surface().value(torch.full((53,), torch.nan, dtype=torch.float64)),
            "theta: not all entries are finite",
        ),
    ],
)
def test_bad_input_is_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


def test_dropout_does_not_matter_where_it_is_off():
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5)).double()
    assert surface(model, statistics="running").value() == surface(model[0]).value()


def test_an_mlp_of_the_book():
    net = MLP(4, 3, depth=2, width=4, norm="batch", activation="tanh", generator=generator(0, "weights")).double()
    made = surface(net)
    torch.testing.assert_close(made.hessian(), by_differences(made), rtol=1e-5, atol=1e-6)
