"""The layer of `layers.batchnorm` against PyTorch's, exact arithmetic, closed forms and finite differences."""

from fractions import Fraction

import pytest
import torch
from torch import nn
from torch.nn import functional

from bnlab.layers.batchnorm import BatchNorm, batch_norm, batch_statistics, normalise
from bnlab.layers.batchnorm_backward import backward, backward_as_printed

SHAPES = {
    "2d": (7, 3),
    "3d": (6, 3, 4),
    "4d": (4, 3, 5, 2),
    "5d": (2, 3, 2, 3, 2),
    "one image": (1, 3, 4, 4),
    "two values": (2, 3),
}
any_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def drawn(shape):
    """Input with its own offset and scale in every channel, gradient, gamma, beta."""
    channels = shape[1]
    tail = (1,) * (len(shape) - 2)
    scale, offset = torch.tensor([0.1, 1.0, 30.0]).double(), torch.tensor([-2.0, 0.0, 100.0]).double()
    x = normal(*shape) * scale.view(-1, *tail) + offset.view(-1, *tail)
    return x, normal(*shape, seed=1), normal(channels, seed=2), normal(channels, seed=3)


def torchs(channels, dims, **settings):
    """PyTorch's layer of the same dimension, float64."""
    return {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}[dims](
        channels, dtype=torch.float64, **settings
    )


def exact_statistics(values):
    """Mean and biased variance of floats, in rational arithmetic."""
    exact = [Fraction(v) for v in values.double().tolist()]
    mean = sum(exact) / len(exact)
    return mean, sum((v - mean) ** 2 for v in exact) / len(exact)


# Forward


@any_shape
@pytest.mark.parametrize("eps", [1e-5, 1e-3, 5.0])
def test_forward_is_pytorchs(shape, eps):
    x, _, gamma, beta = drawn(shape)
    expected = functional.batch_norm(x, None, None, gamma, beta, training=True, eps=eps)
    torch.testing.assert_close(batch_norm(x, gamma, beta, eps), expected, rtol=1e-12, atol=1e-12)


@any_shape
def test_statistics_are_those_of_exact_arithmetic(shape):
    x = drawn(shape)[0]
    found = batch_statistics(x)
    for channel in range(3):
        mean, variance = exact_statistics(x[:, channel].flatten())
        assert found.mean[channel].item() == pytest.approx(float(mean), rel=1e-14)
        assert found.variance[channel].item() == pytest.approx(float(variance), rel=1e-13)
    assert found.count == x[:, 0].numel()
    assert found.centred.shape == x.shape


def test_closed_form_of_two_values():
    x = torch.tensor([[3.0], [7.0]], dtype=torch.float64)
    found = batch_statistics(x)
    assert (found.mean.item(), found.variance.item(), found.unbiased_variance.item()) == (5.0, 4.0, 8.0)
    y = batch_norm(x, torch.tensor([2.0]), torch.tensor([1.0]), eps=0)
    assert y.flatten().tolist() == [-1.0, 3.0]


def test_variance_after_normalising_is_short_of_one_by_eps():
    x = drawn((64, 3))[0]
    found = batch_statistics(x)
    after = batch_statistics(normalise(found.centred, found.variance, 0.5))
    torch.testing.assert_close(after.variance, found.variance / (found.variance + 0.5), rtol=1e-12, atol=0)
    torch.testing.assert_close(after.mean, torch.zeros(3).double(), rtol=0, atol=1e-14)


# Numerical safety


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6, -1e6])
@pytest.mark.parametrize("shape", [(2048, 2), (32, 2, 8, 8)])
def test_float32_is_accurate_at_any_offset(offset, shape):
    x = (normal(*shape) + offset).float()
    ours = batch_norm(x, torch.ones(2), torch.zeros(2))
    dims = [0] if x.ndim == 2 else [0, 2, 3]
    wide = x.double()  # the rounded values themselves, so that only our arithmetic is judged
    centred = wide - wide.mean(dims, keepdim=True)
    expected = centred / (centred.square().mean(dims, keepdim=True) + 1e-5).sqrt()
    assert (ours - expected).abs().max() < 2e-6


def test_float32_variance_at_mean_1e6_is_exact_arithmetics():
    x = (normal(500, 1) + 1e6).float()
    found = batch_statistics(x)
    mean, variance = exact_statistics(x.flatten())
    assert found.variance.item() == pytest.approx(float(variance), rel=1e-6)
    assert found.mean.item() == pytest.approx(float(mean), rel=1e-7)
    textbook = x.square().mean() - x.mean().square()  # what the shift avoids: not one right digit
    assert abs(textbook.item() - float(variance)) > 0.5 * float(variance)


def test_a_first_value_far_from_the_rest_does_no_harm():
    x = normal(4096, 1)
    x[0] = 1e6  # then sigma is 1e6 / sqrt(m)
    x = x.float()
    _, variance = exact_statistics(x.flatten())
    found = batch_statistics(x)
    assert found.variance.item() == pytest.approx(float(variance), rel=1e-5)
    exact = (x.double() - x.double().mean()) / float(variance) ** 0.5
    assert (normalise(found.centred, found.variance, 0) - exact).abs().max() < 1e-4


@pytest.mark.parametrize("value", [0.0, 0.1, -3.0, 1e10])
@pytest.mark.parametrize("shape", [(9, 2), (3, 2, 5, 5)])
def test_constant_channel_becomes_beta(value, shape):
    x = normal(*shape, dtype=torch.float32)
    x[:, 1] = value
    x.requires_grad_()
    y = batch_norm(x, torch.ones(2), torch.tensor([0.0, 7.0]))
    assert (y[:, 1] == 7).all()
    y.square().sum().backward()
    assert x.grad.isfinite().all()
    assert (batch_norm(x, torch.ones(2), torch.zeros(2), eps=0)[:, 1].isnan()).all()  # 0/0


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_nan_and_inf_spoil_their_channel_only_and_no_running_statistics(poison):
    x = normal(4, 3, 2, 2)
    clean = batch_norm(x, torch.ones(3), torch.zeros(3))
    x[1, 2, 0, 1] = poison
    layer = BatchNorm(3).double()
    y = layer(x)
    assert y[:, 2].isnan().all()
    assert torch.equal(y[:, :2], clean[:, :2])
    assert layer.running_mean[2] == 0
    assert layer.running_var[2] == 1
    assert (layer.running_mean[:2] != 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_has_float32_statistics(dtype):
    x = (normal(64, 2, 8, 8, dtype=torch.float32) * 50 + 300).to(dtype)  # squares overflow float16
    found = batch_statistics(x)
    assert found.mean.dtype == found.variance.dtype == found.centred.dtype == torch.float32
    mean, variance = exact_statistics(x[:, 0].flatten())
    assert found.mean[0].item() == pytest.approx(float(mean), rel=1e-6)
    assert found.variance[0].item() == pytest.approx(float(variance), rel=1e-5)
    layer = BatchNorm(2)
    y = layer(x)
    assert y.dtype == dtype
    assert layer.running_var.dtype == torch.float32
    expected = functional.batch_norm(x.double(), None, None, training=True)
    assert (y - expected).abs().max() < (0.003 if dtype == torch.float16 else 0.02)  # one rounding of values up to 4
    x.requires_grad_()
    batch_norm(x, torch.ones(2), torch.zeros(2)).square().sum().backward()
    assert x.grad.dtype == dtype


def test_unusual_strides_change_nothing():
    x, _, gamma, beta = drawn((4, 3, 5, 2))
    y = batch_norm(x, gamma, beta)
    strided = x.to(memory_format=torch.channels_last)
    torch.testing.assert_close(batch_norm(strided, gamma, beta), y, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(batch_norm(x.transpose(2, 3), gamma, beta), y.transpose(2, 3), rtol=1e-13, atol=1e-13)


# Small batches


def test_batch_of_one_becomes_beta_with_gradient_zero():
    x = normal(1, 3).requires_grad_()
    beta = normal(3, seed=3)
    y = batch_norm(x, normal(3, seed=2), beta)
    assert torch.equal(y, beta.expand(1, 3))
    (gradient,) = torch.autograd.grad(y.square().sum(), x)
    assert (gradient == 0).all()
    assert batch_statistics(x).unbiased_variance.isnan().all()


def test_batch_of_two_keeps_the_order_and_nothing_else():
    x = normal(2, 3).requires_grad_()
    gamma = normal(3, seed=2)
    y = batch_norm(x, gamma, torch.zeros(3), eps=0)
    assert torch.allclose(y.abs(), gamma.abs().expand(2, 3), rtol=1e-14, atol=0)
    (gradient,) = torch.autograd.grad((y * normal(2, 3, seed=5)).sum(), x)
    assert gradient.abs().max() < 1e-13


def test_layer_refuses_to_train_on_one_value_a_channel_but_evaluates_it():
    layer = BatchNorm(3)
    with pytest.raises(ValueError, match=r"\(1, 3\) has one value a channel"):
        layer(torch.zeros(1, 3))
    with pytest.raises(ValueError, match="one value a channel"):
        layer(torch.zeros(1, 3, 1, 1))
    assert layer(torch.ones(1, 3, 2, 1)).shape == (1, 3, 2, 1)
    assert layer.eval()(torch.ones(1, 3)).shape == (1, 3)


# Backward


def central_differences(function, x, step=1e-6):
    """Gradient of a scalar function by central differences, entry by entry."""
    gradient = torch.zeros_like(x)
    for index in range(x.numel()):
        nudge = torch.zeros_like(x).flatten()
        nudge[index] = step
        nudge = nudge.view_as(x)
        gradient.view(-1)[index] = (function(x + nudge) - function(x - nudge)) / (2 * step)
    return gradient


@any_shape
@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_both_backward_forms_are_pytorchs_backward(shape, eps):
    x, grad, gamma, beta = drawn(shape)
    leaves = [t.clone().requires_grad_() for t in (x, gamma, beta)]
    functional.batch_norm(leaves[0], None, None, *leaves[1:], training=True, eps=eps).backward(grad)
    for ours in (backward(grad, x, gamma, eps), backward_as_printed(grad, x, gamma, eps)):
        for found, leaf in zip((ours.x, ours.gamma, ours.beta), leaves, strict=True):
            torch.testing.assert_close(found, leaf.grad, rtol=1e-11, atol=1e-12)


@any_shape
def test_both_backward_forms_are_the_finite_differences(shape):
    x, grad, gamma, beta = drawn(shape)
    x = (x - x.mean()) / x.std()  # steps of 1e-6 suit values near 1
    eps = 0.1

    def loss(x, gamma=gamma, beta=beta):
        y = functional.batch_norm(x, None, None, gamma, beta, training=True, eps=eps)
        return (grad * y).sum()

    for ours in (backward(grad, x, gamma, eps), backward_as_printed(grad, x, gamma, eps)):
        torch.testing.assert_close(ours.x, central_differences(loss, x), rtol=1e-7, atol=1e-7)
        by_gamma = central_differences(lambda gamma: loss(x, gamma=gamma), gamma)
        by_beta = central_differences(lambda beta: loss(x, beta=beta), beta)
        torch.testing.assert_close(ours.gamma, by_gamma, rtol=1e-7, atol=1e-7)
        torch.testing.assert_close(ours.beta, by_beta, rtol=1e-7, atol=1e-7)


def test_each_printed_term_is_the_derivative_by_one_path():
    x, grad, gamma, _ = drawn((6, 3))
    eps, m = 0.2, 6
    mean, variance = x.mean(0), x.var(0, correction=0)
    terms = backward_as_printed(grad, x, gamma, eps)

    def loss(mean, variance):  # x_i held: the paths that go through the statistics alone
        return (grad * gamma * (x - mean) / (variance + eps).sqrt()).sum()

    by_mean = central_differences(lambda mean: loss(mean, variance), mean)
    by_variance = central_differences(lambda variance: loss(mean, variance), variance)
    torch.testing.assert_close(terms.mean_direct, by_mean, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(terms.variance, by_variance, rtol=1e-6, atol=1e-6)
    assert (terms.mean_by_variance.abs() < 1e-12 * terms.variance.abs()).all()
    torch.testing.assert_close(terms.x_hat, grad * gamma)
    torch.testing.assert_close(terms.by_mean, terms.mean.view(1, 3) / m)
    torch.testing.assert_close(terms.by_variance, terms.variance * 2 * (x - mean) / m)
    torch.testing.assert_close(terms.by_x_hat, grad * gamma / (variance + eps).sqrt())


@pytest.mark.parametrize("eps", [0.0, 0.7])
def test_singular_values_of_the_jacobian(eps):
    m = 9
    x, gamma = normal(m, 1), torch.tensor([1.7], dtype=torch.float64)
    rows = [backward(row.view(m, 1), x, gamma, eps).x.flatten() for row in torch.eye(m).double()]
    found = torch.linalg.svdvals(torch.stack(rows))
    s2 = batch_statistics(x).variance
    scale = (gamma / (s2 + eps).sqrt()).item()
    along = scale * eps / (s2.item() + eps)  # along xhat: 0 at eps = 0
    expected = torch.tensor([scale] * (m - 2) + [along, 0.0], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


def test_gradient_has_no_mean_and_no_part_along_the_input():
    x, grad, gamma, _ = drawn((4, 3, 5, 2))
    found = backward(grad, x, gamma, eps=0).x
    size = found.abs().sum((0, 2, 3))
    assert (found.sum((0, 2, 3)).abs() < 1e-12 * size).all()
    centred = batch_statistics(x).centred
    assert ((found * centred).sum((0, 2, 3)).abs() < 1e-11 * size * centred.abs().amax((0, 2, 3))).all()


# The layer, differentiated by autograd, to second order and in every mode


def small_network(norm):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), norm, nn.Tanh(), nn.Linear(5, 3)).double()


def test_autograd_through_the_layer_is_the_hand_written_backward():
    x, grad, gamma, beta = drawn((4, 3, 5, 2))
    layer = BatchNorm(3).double()
    with torch.no_grad():
        layer.weight.copy_(gamma)
        layer.bias.copy_(beta)
    x.requires_grad_()
    layer(x).backward(grad)
    ours = backward(grad, x.detach(), gamma)
    torch.testing.assert_close(x.grad, ours.x, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(layer.weight.grad, ours.gamma, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(layer.bias.grad, ours.beta, rtol=1e-11, atol=1e-12)


def test_network_gradients_are_those_with_pytorchs_layer():
    ours, theirs = small_network(BatchNorm(5)), small_network(nn.BatchNorm1d(5))
    x, labels = normal(8, 4), torch.arange(8) % 3
    for network in (ours, theirs):
        functional.cross_entropy(network(x), labels).backward()
    for (name, mine), his in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, his.grad, rtol=1e-10, atol=1e-13, msg=name)


def loss_of(network, x, labels):
    """Loss as a function of the parameters in one vector, and that vector."""
    parameters = dict(network.named_parameters())
    buffers = {name: value.clone() for name, value in network.named_buffers()}

    def loss(vector):
        pieces, start = {}, 0
        for name, value in parameters.items():
            pieces[name] = vector[start : start + value.numel()].view_as(value)
            start += value.numel()
        return functional.cross_entropy(torch.func.functional_call(network, (pieces, buffers), (x,)), labels)

    return loss, torch.cat([value.detach().flatten() for value in parameters.values()])


@pytest.mark.parametrize("mode", ["reverse over reverse", "forward over reverse", "reverse over forward"])
def test_hessian_vector_product_is_the_finite_difference_of_the_gradient(mode):
    # Through PyTorch's fused layer some of these products are silently wrong in the block of gamma.
    network = small_network(BatchNorm(5, decay=1))  # torch.func does not let a buffer change
    loss, at = loss_of(network, normal(8, 4), torch.arange(8) % 3)
    direction = normal(at.numel(), seed=9)

    def gradient(vector):
        vector = vector.clone().requires_grad_()
        return torch.autograd.grad(loss(vector), vector)[0]

    step = 1e-5
    expected = (gradient(at + step * direction) - gradient(at - step * direction)) / (2 * step)
    if mode == "reverse over reverse":
        leaf = at.clone().requires_grad_()
        (first,) = torch.autograd.grad(loss(leaf), leaf, create_graph=True)
        (found,) = torch.autograd.grad(first @ direction, leaf)
    elif mode == "forward over reverse":
        found = torch.func.jvp(torch.func.jacrev(loss), (at,), (direction,))[1]
    else:
        found = torch.func.grad(lambda v: torch.func.jvp(loss, (v,), (direction,))[1])(at)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)


def test_forward_over_forward_is_the_second_difference():
    network = small_network(BatchNorm(5, decay=1))  # torch.func does not let a buffer change
    loss, at = loss_of(network, normal(8, 4), torch.arange(8) % 3)
    direction = normal(at.numel(), seed=9)
    line = lambda t: loss(at + t * direction)  # noqa: E731
    slope = lambda t: torch.func.jvp(line, (t,), (torch.ones_like(t),))[1]  # noqa: E731
    zero = torch.zeros((), dtype=torch.float64)
    found = torch.func.jvp(slope, (zero,), (torch.ones_like(zero),))[1]
    step = 1e-4
    expected = (line(zero + step) - 2 * line(zero) + line(zero - step)) / step**2
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_vmap_over_networks_equals_a_loop():
    x = normal(5, 8, 3)  # five networks' inputs
    gamma, beta = normal(5, 3, seed=1), normal(5, 3, seed=2)
    loss = lambda x, gamma, beta: batch_norm(x, gamma, beta).pow(3).sum()  # noqa: E731
    together = torch.func.vmap(torch.func.grad(loss))(x, gamma, beta)
    for i in range(5):
        torch.testing.assert_close(together[i], torch.func.grad(loss)(x[i], gamma[i], beta[i]))


# Running statistics


@pytest.mark.parametrize("dims", [2, 4])
def test_five_batches_leave_pytorchs_running_statistics_and_evaluation(dims):
    ours, theirs = BatchNorm(3, decay=0.8).double(), torchs(3, dims, momentum=0.2)
    for seed in range(5):
        x = normal(*((6, 3) if dims == 2 else (6, 3, 4, 4)), seed=seed) * (seed + 1) + seed
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(ours.running_var, theirs.running_var, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), rtol=1e-12, atol=1e-12)


def test_running_variance_is_unbiased_and_decay_weighs_the_old():
    layer = BatchNorm(1, decay=0.9).double()
    layer(torch.tensor([[0.0], [2.0]]).double())  # mean 1; variance 1 biased, 2 unbiased
    assert layer.running_mean.item() == pytest.approx(0.1)
    assert layer.running_var.item() == pytest.approx(0.9 * 1 + 0.1 * 2)


def graph_size(tensor):
    """Nodes of the autograd graph behind a tensor."""
    seen, waiting = set(), [tensor.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [parent for parent, _ in node.next_functions]
    return len(seen)


def test_running_statistics_carry_no_graph():
    layer, first = BatchNorm(3), nn.Linear(3, 3)
    sizes = []
    for seed in range(4):
        y = layer(first(normal(5, 3, seed=seed, dtype=torch.float32)))
        sizes.append(graph_size(y))
        assert not layer.running_mean.requires_grad
        assert not layer.running_var.requires_grad
    assert len(set(sizes)) == 1, f"the graph grows: {sizes}"


def test_evaluation_leaves_everything_as_it_was_and_is_affine():
    layer = BatchNorm(3).double()
    layer(drawn((7, 3))[0])
    layer.eval()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    x, z = normal(5, 3, seed=4), normal(5, 3, seed=5)
    torch.testing.assert_close(layer((x + z) / 2), (layer(x) + layer(z)) / 2, rtol=1e-12, atol=1e-12)
    assert torch.equal(layer(x)[:1], layer(x[:1]))  # whatever the company
    assert all(torch.equal(before[name], value) for name, value in layer.state_dict().items())


def test_decay_of_one_freezes_and_of_zero_replaces():
    x = drawn((7, 3))[0]
    frozen, newest = BatchNorm(3, decay=1.0).double(), BatchNorm(3, decay=0).double()
    frozen(x)
    newest(x)
    assert (frozen.running_mean == 0).all()
    assert (frozen.running_var == 1).all()
    torch.testing.assert_close(newest.running_mean, x.mean(0))
    torch.testing.assert_close(newest.running_var, x.var(0))


# Construction and refusal


def test_parameters_are_those_of_pytorch():
    ours, theirs = BatchNorm(6), nn.BatchNorm2d(6)
    assert {name: tuple(p.shape) for name, p in ours.named_parameters()} == {"weight": (6,), "bias": (6,)}
    for name, parameter in theirs.named_parameters():
        assert torch.equal(getattr(ours, name), parameter)
    for name in ("running_mean", "running_var"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name))
    assert list(BatchNorm(6, affine=False).parameters()) == []
    x = normal(4, 6, dtype=torch.float32)
    assert torch.equal(BatchNorm(6, affine=False)(x), BatchNorm(6)(x))
    assert BatchNorm(2, dtype=torch.float64).running_var.dtype == torch.float64
    assert repr(ours) == "BatchNorm(6, eps=1e-05, decay=0.9, affine=True)"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"channels": 0}, "channels: 0 is not"),
        ({"channels": 2.0}, r"channels: 2\.0 is not"),
        ({"channels": 2, "eps": -1.0}, r"eps: -1\.0 is not"),
        ({"channels": 2, "eps": float("nan")}, "eps: nan is not"),
        ({"channels": 2, "decay": 1.5}, r"decay: 1\.5 is not"),
    ],
)
def test_bad_settings_are_refused_in_one_line(arguments, line):
    with pytest.raises(ValueError, match=line) as refusal:
        BatchNorm(**arguments)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("x", "line"),
    [
        (torch.zeros(3), r"shape \(3,\) is not \(B, C\)"),
        (torch.zeros(3, 4, 1, 1, 1, 1), r"shape \(3, 4, 1, 1, 1, 1\) is not"),
        (torch.zeros(0, 4), r"shape \(0, 4\) is not"),
        (torch.zeros(3, 4, dtype=torch.int64), "int64 is no real floating-point dtype"),
        (torch.zeros(3, 5), r"5 channels, but running_mean has shape \(4,\)"),
    ],
)
def test_bad_inputs_are_refused_in_one_line(x, line):
    with pytest.raises(ValueError, match=line) as refusal:
        BatchNorm(4)(x)
    assert "\n" not in str(refusal.value)


def test_functions_refuse_shapes_that_do_not_match():
    x = torch.zeros(3, 4)
    with pytest.raises(ValueError, match=r"gamma has shape \(5,\)"):
        batch_norm(x, torch.ones(5), torch.zeros(4))
    with pytest.raises(ValueError, match=r"beta has shape \(1, 4\)"):
        batch_norm(x, torch.ones(4), torch.zeros(1, 4))
    with pytest.raises(ValueError, match=r"variance has shape \(1,\)"):
        normalise(x, torch.ones(1))
    with pytest.raises(ValueError, match="eps: -1 is not a finite number of at least 0"):
        batch_norm(x, torch.ones(4), torch.zeros(4), eps=-1)
    for function in (backward, backward_as_printed):
        with pytest.raises(ValueError, match=r"grad: shape \(4, 3\) is not that of x"):
            function(x.T, x, torch.ones(4))
