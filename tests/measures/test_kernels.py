"""The empirical tangent kernel: finite differences, closed forms, batch statistics both ways, nothing touched."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn.utils import weight_norm as old_weight_norm

from bnlab.layers.batchnorm import BatchNorm
from bnlab.layers.grouped_batchnorm import GroupedBatchNorm
from bnlab.layers.nlms import NlmsConv2d
from bnlab.layers.threshold_norm import ThresholdNorm
from bnlab.measures.kernels import empirical_ntk, fisher_gram, kernel_spectrum
from bnlab.models.lenet import LeNet
from bnlab.models.mlp import MLP
from bnlab.randomness import generator

STEP = 1e-5


def draw(*shape, purpose="inputs"):
    return torch.randn(*shape, generator=generator(0, purpose), dtype=torch.float64)


def with_random_affine(model):
    """gamma and beta away from 1 and 0, so that a kernel that forgot them would be wrong."""
    draws = generator(5, "affine")
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.weight.data = 1 + 0.3 * torch.randn(module.weight.shape, generator=draws, dtype=module.weight.dtype)
            module.bias.data = 0.3 * torch.randn(module.bias.shape, generator=draws, dtype=module.bias.dtype)
    return model


def mlp(norm, activation="tanh", classes=2, depth=2, **options):
    # tanh: central differences across a kink of relu would be the test's error, not the kernel's
    net = MLP(3, classes, depth=depth, width=4, norm=norm, activation=activation, initialisation="default",
              generator=generator(1, "weights"), **options)  # fmt: skip
    return with_random_affine(net.double())


def jacobian_by_differences(model, inputs):
    """(n*C, P) by central differences of the model in its present mode, one parameter at a time."""
    columns = []
    with torch.no_grad():
        for parameter in model.parameters():
            flat = parameter.view(-1)
            for k in range(flat.numel()):
                kept = flat[k].item()
                flat[k] = kept + STEP
                up = model(inputs).flatten().clone()
                flat[k] = kept - STEP
                down = model(inputs).flatten().clone()
                flat[k] = kept
                columns.append((up - down) / (2 * STEP))
    return torch.stack(columns, 1)


def frozen(model, inputs):
    """The same network in eval mode, layer by layer given the biased batch statistics as running statistics."""
    model = copy.deepcopy(model).eval()
    order, handles = [], []
    for norm in (m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)):
        handles.append(norm.register_forward_pre_hook(lambda module, args: order.append(module)))
    model(inputs)
    for handle in handles:
        handle.remove()
    for norm in order:  # each sees what the ones before it now make
        seen = []
        handle = norm.register_forward_pre_hook(lambda module, args, seen=seen: seen.append(args[0].detach()))
        model(inputs)
        handle.remove()
        x = seen[0].transpose(0, 1).flatten(1)
        norm.running_mean.copy_(x.mean(1))
        norm.running_var.copy_(((x - x.mean(1, keepdim=True)) ** 2).mean(1))
    return model


PLACEMENTS = ["none", "batch", ("none", "batch", "batch_prior"), ("batch", "none", "none")]


@pytest.mark.parametrize("norm", PLACEMENTS, ids=str)
@pytest.mark.parametrize("ntk", [False, True])
def test_finite_differences(norm, ntk):
    net, x = mlp(norm), draw(6, 3)
    if ntk:
        net.input_scales = [0.7, 0.3, 1.9]
    jacobian = jacobian_by_differences(net.train(), x)
    kernel = empirical_ntk(net, x)
    expected = jacobian @ jacobian.T
    assert (kernel - expected).abs().max() < 1e-8 * expected.abs().max()


@pytest.mark.parametrize("norm", PLACEMENTS, ids=str)
def test_finite_differences_with_statistics_held(norm):
    net, x = mlp(norm), draw(6, 3)
    jacobian = jacobian_by_differences(frozen(net, x), x)
    expected = jacobian @ jacobian.T
    held = empirical_ntk(net, x, through_statistics=False)
    assert (held - expected).abs().max() < 1e-8 * expected.abs().max()
    through = empirical_ntk(net, x)
    # The choice matters where there is batch normalisation, and nowhere else.
    assert ((held - through).abs().max() > 0.05 * held.abs().max()) == (norm != "none")


def test_convolutions_pools_and_batch_normalisation():
    """K c against the change of the logits when the parameters move along J^T c, by central differences."""
    net = with_random_affine(LeNet(norm="batch", classes=2, generator=generator(2, "weights")).double())
    x, c = draw(3, 1, 32, 32), draw(6, purpose="combination")
    net.train()
    pulled = torch.autograd.grad((net(x).flatten() * c).sum(), list(net.parameters()))
    moved = []
    with torch.no_grad():
        for sign in (1, -1):
            other = copy.deepcopy(net)
            for p, g in zip(other.parameters(), pulled, strict=True):
                p += sign * 1e-6 * g
            moved.append(other(x).flatten())
    difference = (moved[0] - moved[1]) / 2e-6
    assert (empirical_ntk(net, x) @ c - difference).abs().max() < 1e-5 * difference.abs().max()


def test_linear_regression_has_the_gram_matrix_of_its_inputs():
    layer, x = nn.Linear(5, 1, bias=False), draw(4, 5)
    assert (empirical_ntk(layer, x) - x @ x.T).abs().max() < 1e-12
    two = nn.Linear(5, 2, bias=True)
    expected = torch.kron(x @ x.T + 1, torch.eye(2, dtype=torch.float64))
    assert (empirical_ntk(two, x) - expected).abs().max() < 1e-12


@pytest.mark.parametrize("through", [True, False])
def test_batch_normalisation_from_the_formulas_gives_the_same_kernel(through):
    fused, x = mlp("batch"), draw(6, 3)
    ours = copy.deepcopy(fused)
    for layer, norm in enumerate(ours.after[:-1]):
        ours.after[layer] = BatchNorm(norm.num_features).double()
        ours.after[layer].load_state_dict(norm.state_dict(), strict=False)
    expected = empirical_ntk(fused, x, through)
    assert (empirical_ntk(ours, x, through) - expected).abs().max() < 1e-12 * expected.abs().max()


def test_a_threshold_cannot_be_held():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), ThresholdNorm(2, "below"), nn.Flatten())
    assert empirical_ntk(net, draw(3, 1, 1, 2)).shape == (12, 12)
    with pytest.raises(ValueError, match="ThresholdNorm has no statistics to hold"):
        empirical_ntk(net, draw(3, 1, 1, 2), through_statistics=False)


def test_a_weight_used_twice_counts_with_its_cross_terms():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(3, 3)
            self.second = nn.Linear(3, 3)
            self.second.weight = self.first.weight

        def forward(self, x):
            return self.first(torch.tanh(self.second(torch.tanh(self.first(x)))))

    net, x = Twice().double(), draw(4, 3)
    jacobian = jacobian_by_differences(net, x)
    expected = jacobian @ jacobian.T
    assert (empirical_ntk(net, x) - expected).abs().max() < 1e-8 * expected.abs().max()


def test_frozen_parameters_do_not_count():
    net, x = mlp("batch"), draw(5, 3)
    for p in net.parameters():
        p.requires_grad_(False)
    net.after[0].bias.requires_grad_(True)
    jacobian = jacobian_by_differences(net.train(), x)
    names = [name for name, p in net.named_parameters() for _ in range(p.numel())]
    kept = torch.tensor([name == "after.0.bias" for name in names])
    expected = jacobian[:, kept] @ jacobian[:, kept].T
    assert (empirical_ntk(net, x) - expected).abs().max() < 1e-8 * expected.abs().max()


def test_wide_relu_network_has_the_arc_cosine_kernel():
    """One hidden layer in NTK parameterisation, without biases: closed form of Cho and Saul (2009)."""
    d, x = 6, draw(5, 6)
    net = MLP(d, 1, depth=1, width=20_000, initialisation="ntk", bias=False, generator=generator(3, "weights"))
    norms = x.norm(dim=1)
    cosine = ((x @ x.T) / norms[:, None] / norms[None]).clamp(-1, 1)
    angle = cosine.arccos()
    product = norms[:, None] * norms[None]
    outer = product / (math.pi * d) * (angle.sin() + (math.pi - angle) * cosine)  # last layer: E relu(z) relu(z')
    inner = (x @ x.T) / d * (math.pi - angle) / math.pi  # first layer: 2/d <x, x'> E step(z) step(z')
    expected = outer + inner
    assert (empirical_ntk(net, x) - expected).abs().max() < 0.03 * expected.abs().max()


def test_batch_statistics_leave_dead_directions():
    """Normalised after the last nonlinearity, a channel sums to 0 over the batch: so do the logits' derivatives."""
    net, x = mlp(("none", "none", "batch_prior"), bias=False), draw(6, 3)
    net.before[-1].bias.requires_grad_(False).zero_()  # beta would move the sum
    kernel = empirical_ntk(net, x)
    ones = torch.kron(torch.ones(6, 1, dtype=torch.float64), torch.eye(2, dtype=torch.float64))
    assert (kernel @ ones).abs().max() < 1e-10 * kernel.abs().max()
    assert kernel_spectrum(kernel).dead_modes >= 2
    held = empirical_ntk(net, x, through_statistics=False)
    assert (held @ ones).abs().max() > 1e-3 * held.abs().max()


def test_kernel_is_invariant_to_the_batch_order_and_positive():
    net, x = mlp("batch"), draw(6, 3)
    kernel = empirical_ntk(net, x)
    order = torch.tensor([3, 1, 0, 5, 4, 2])
    rows = (2 * order[:, None] + torch.arange(2)).flatten()
    assert (empirical_ntk(net, x[order]) - kernel[rows][:, rows]).abs().max() < 1e-10 * kernel.abs().max()
    assert torch.linalg.eigvalsh(kernel)[0] > -1e-10 * kernel.abs().max()


def test_nothing_of_the_model_changes():
    net, x = mlp("batch").float().eval(), draw(6, 3).float()
    before = copy.deepcopy(net.state_dict())
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()]
    for through in (True, False):
        with torch.no_grad():
            assert empirical_ntk(net, x, through).dtype == torch.float64
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert not net.training
    assert hooks == [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()]
    assert all(p.grad is None and p.dtype == torch.float32 for p in net.parameters())


@pytest.mark.parametrize("likelihood", ["softmax", "gaussian"])
def test_fisher_gram_shares_eigenvalues_with_the_fisher_information(likelihood):
    net, x = mlp("batch", classes=3), draw(5, 3)
    logits = copy.deepcopy(net).train()(x).detach()
    jacobian = jacobian_by_differences(net.train(), x)
    p = logits.softmax(1)
    fisher = torch.zeros(jacobian.shape[1], jacobian.shape[1], dtype=torch.float64)
    for i, rows in enumerate(jacobian.reshape(5, 3, -1)):
        if likelihood == "gaussian":
            fisher += rows.T @ rows / 5
            continue
        for k in range(3):  # E over the model's own labels of the score's outer product
            score = rows[k] - p[i] @ rows
            fisher += p[i, k] * torch.outer(score, score) / 5
    gram = fisher_gram(empirical_ntk(net, x), logits, likelihood)
    expected = torch.linalg.eigvalsh(fisher).flip(0)[: len(gram)]
    assert (torch.linalg.eigvalsh(gram).flip(0) - expected).abs().max() < 1e-7 * expected[0]


def test_kernel_predicts_a_small_step_of_gradient_descent():
    net, x = mlp("batch"), draw(6, 3).double()
    target = draw(6, 2, purpose="target")
    net.train()
    f = net(x)
    loss = (f - target).square().sum() / 2
    gradients = torch.autograd.grad(loss, list(net.parameters()), allow_unused=True, materialize_grads=True)
    with torch.no_grad():
        for p, g in zip(net.parameters(), gradients, strict=True):
            p -= 1e-6 * g
        moved = net(x) - f
    predicted = -1e-6 * empirical_ntk(net, x) @ (f - target).detach().flatten()
    assert (moved.flatten() - predicted).abs().max() < 1e-4 * predicted.abs().max()


def test_activations_in_place_by_hand():
    """J of w2 relu(w1 x) is (relu(w1 x), w2 x) where w1 x > 0: 1 + 4 here; read after the ReLU it was 14."""
    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU(inplace=True), nn.Linear(1, 1, bias=False))
    nn.init.constant_(net[0].weight, 1.0)
    nn.init.constant_(net[2].weight, 2.0)
    assert empirical_ntk(net, torch.ones(1, 1)).item() == 5


@pytest.mark.parametrize("through", [True, False])
def test_activations_in_place_change_no_kernel(through):
    x = draw(6, 3)
    kernels = []
    for inplace in (True, False):
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU(inplace), nn.Linear(5, 4), nn.LeakyReLU(0.1, inplace),
            nn.Linear(4, 2), nn.ELU(inplace=inplace),
        )  # fmt: skip
        kernels.append(empirical_ntk(net, x, through))
    assert torch.equal(*kernels)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_convolutions_of_any_dimension(dims):
    torch.manual_seed(0)
    convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1]
    norm = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[dims - 1]
    net = nn.Sequential(convolution(1, 2, 2), norm(2), nn.Tanh(), nn.Flatten(), nn.Linear(2 * 2**dims, 2)).double()
    x = draw(4, 1, *(3,) * dims)
    for through, model in ((True, copy.deepcopy(net).train()), (False, frozen_first(net, x))):
        J = jacobian_by_differences(model, x)
        kernel = empirical_ntk(net, x, through)
        assert (kernel - J @ J.T).abs().max() < 1e-7 * kernel.abs().max()


def frozen_first(net, x):
    """Eval mode with the biased statistics of x in its one norm, the second module."""
    model = copy.deepcopy(net).eval()
    meets = model[0](x).detach()
    over = [0, *range(2, meets.ndim)]
    model[1].running_mean, model[1].running_var = meets.mean(over), meets.var(over, correction=0)
    return model


def test_weight_normalised_layers_have_the_kernel_of_their_own_parameters():
    torch.manual_seed(0)
    weight_norm = nn.utils.parametrizations.weight_norm
    net = nn.Sequential(weight_norm(nn.Linear(3, 4)), nn.Tanh(), weight_norm(nn.Linear(4, 2))).double()
    x = draw(5, 3)
    J = jacobian_by_differences(net, x)
    kernel = empirical_ntk(net, x)
    assert (kernel - J @ J.T).abs().max() < 1e-7 * kernel.abs().max()


def test_rms_norm_holds_its_statistics():
    net, x = mlp("rms"), draw(6, 3)
    held = empirical_ntk(net, x, through_statistics=False)
    assert (held - empirical_ntk(net, x)).abs().max() > 1e-3 * held.abs().max()
    model, h = copy.deepcopy(net).eval(), x
    for layer in range(2):
        h = model.linears[layer](h)
        model.after[layer].running_power = h.detach().square().mean(0)
        h = model.activation(model.after[layer](h[:, :, None, None]).flatten(1))
    J = jacobian_by_differences(model, x)
    assert (held - J @ J.T).abs().max() < 1e-7 * held.abs().max()


class TiedByHand(nn.Module):
    """A linear layer whose weights are used once more, behind its back."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        return torch.tanh(self.fc(x)) @ self.fc.weight


def spectral(make):
    return nn.Sequential(make(nn.Linear(3, 2)))


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: spectral(nn.utils.parametrizations.spectral_norm), "weight of '0' is made anew at every pass"),
        (lambda: spectral(nn.utils.spectral_norm), "weight of '0' is made anew at every pass"),
        (lambda: spectral(old_weight_norm), "weight of '0' is made anew at every pass"),
        (TiedByHand, "weights of a linear layer are used by something else"),
        (lambda: nn.Sequential(NlmsConv2d(3, 2, 1), nn.Flatten()), "'0' is an NlmsConv2d"),
    ],
)
def test_networks_without_a_kernel_are_refused_by_name(make, words):
    torch.manual_seed(0)
    model = make()
    x = torch.randn(4, 3, 1, 1) if isinstance(model, nn.Sequential) and isinstance(model[0], NlmsConv2d) else draw(4, 3)
    with pytest.raises(ValueError, match=words) as refusal:
        empirical_ntk(model, x)
    assert "\n" not in str(refusal.value)


def test_groups_have_no_statistics_to_hold():
    net = nn.Sequential(nn.Linear(3, 2), GroupedBatchNorm(2, 2))
    assert empirical_ntk(net, draw(4, 3)).isfinite().all()
    with pytest.raises(ValueError, match="GroupedBatchNorm has other statistics for each group"):
        empirical_ntk(net, draw(4, 3), through_statistics=False)


@pytest.mark.parametrize(
    ("model", "inputs", "words"),
    [
        (nn.Linear(3, 2), torch.ones(4, 3, dtype=torch.int64), "inputs: torch.int64"),
        (nn.Linear(3, 2), torch.ones(4, 3, dtype=torch.complex64), "inputs: torch.complex64"),
        (nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.1)), torch.ones(4, 3), "dropout"),
        (nn.Conv1d(1, 1, 1), torch.ones(4, 1, 3), r"logits \(4, 1, 3\)"),
        (nn.Linear(3, 2), torch.ones(0, 3), r"inputs: shape \(0, 3\)"),
        (nn.Linear(3, 2), torch.full((4, 3), torch.nan), "not finite"),
        (nn.ReLU(), torch.ones(4, 3), "no parameter"),
    ],
)
def test_refusals_are_one_line(model, inputs, words):
    with pytest.raises(ValueError, match=words) as refusal:
        empirical_ntk(model, inputs)
    assert "\n" not in str(refusal.value)


def test_fisher_gram_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"\(4, 4\) is not \(n\*C, n\*C\) for logits \(3, 2\)"):
        fisher_gram(torch.eye(4), torch.zeros(3, 2))
    with pytest.raises(ValueError, match="'poisson' is not"):
        fisher_gram(torch.eye(6), torch.zeros(3, 2), "poisson")
    with pytest.raises(ValueError, match="kernel: not all entries"):
        fisher_gram(torch.eye(6) * torch.nan, torch.zeros(3, 2))
    with pytest.raises(ValueError, match=r"logits: torch\.int64"):
        fisher_gram(torch.eye(6), torch.zeros(3, 2).long())


def test_a_network_whose_gradients_are_rounding_is_not_taken_for_one_that_shares_weights():
    """Twenty normalised layers two wide: what a sum over logits loses there is more than its value."""
    inputs = torch.randn(10, 6, generator=generator(0, "inputs"), dtype=torch.float64)
    for seed in range(5):
        net = MLP(6, 1, depth=20, width=2, norm="batch", generator=generator(seed, "weights")).double()
        kernel = empirical_ntk(net, inputs)
        assert torch.isfinite(kernel).all()
