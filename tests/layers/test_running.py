"""What a batch may do to running statistics, for every layer that keeps some: the kinds of wrong input, each once."""

import copy

import pytest
import torch

from bnlab.layers.batchnorm import BatchNorm
from bnlab.layers.constant_gain import ConstantGain
from bnlab.layers.frozen_gain import FrozenGainBatchNorm
from bnlab.layers.grouped_batchnorm import GroupedBatchNorm
from bnlab.layers.rms_norm import RmsNorm
from bnlab.layers.threshold_norm import ThresholdNorm

LAYERS = {
    "batch": lambda: BatchNorm(3),
    "grouped": lambda: GroupedBatchNorm(3, 4),
    "amplify": lambda: ThresholdNorm(3, "below", threshold=1e30),
    "suppress": lambda: ThresholdNorm(3, "above", threshold=1e-30, power="variance"),
    "rms": lambda: RmsNorm(3),
    "gain": lambda: ConstantGain(3),
    "frozen gain": lambda: FrozenGainBatchNorm(3),
    "gain_layer": lambda: ConstantGain(3, "layer"),
}
every_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)


def maps(seed=0, dtype=torch.float32):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(8, 3, 4, 4, dtype=torch.float64, generator=draw).to(dtype)


def buffers(layer):
    return {name: buffer.clone() for name, buffer in layer.named_buffers() if buffer.is_floating_point()}


@every_layer
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_a_batch_gone_wrong_spoils_no_statistics(make, value):
    """1e30 is finite, but its square is not in float32: statistics alone overflow."""
    layer, twin = make(), make()
    spoilt = maps(1)
    spoilt[0, 1, 0, 0] = value
    for number, batch in enumerate((maps(0), spoilt, maps(2), maps(3))):
        layer(batch)
        if number != 1:
            twin(batch)
    found, expected = buffers(layer), buffers(twin)
    for name in expected:
        assert torch.equal(found[name][1], expected[name][1]), name  # as if that batch had not been
        assert found[name].isfinite().all()
    layer.eval()
    assert layer(maps(4)).isfinite().all()


@every_layer
def test_the_first_batch_may_be_the_one_gone_wrong(make):
    layer, twin = make(), make()
    layer(torch.full((8, 3, 4, 4), torch.inf))
    layer(maps(0))
    twin(maps(0))
    for name, expected in buffers(twin).items():
        assert torch.equal(buffers(layer)[name], expected), name


@every_layer
@pytest.mark.parametrize("scale", [1.0, 200.0])
def test_half_precision_is_that_of_single_up_to_rounding(make, scale):
    """Squares of 200 sigma pass 65504."""
    half, single = make().half(), make()
    x = (scale * maps()).half()
    torch.testing.assert_close(half(x), single(x.float()).half(), rtol=4e-3, atol=4e-3)
    for name, expected in buffers(single).items():
        torch.testing.assert_close(buffers(half)[name].float(), expected, rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("norm", ["batch", "grouped", "amplify", "suppress", "rms"])
def test_statistics_that_half_precision_cannot_hold_are_refused(norm):
    with pytest.raises(ValueError, match=r"^running statistics: .* is beyond float16; use layer.float\(\)$"):
        LAYERS[norm]().half()((3000 * maps()).half())
    LAYERS[norm]().bfloat16()((3000 * maps()).bfloat16())  # has the range


@every_layer
def test_autocast_hands_on_half_precision(make):
    single = make()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = make()(maps().bfloat16())
    torch.testing.assert_close(found.float(), single(maps().bfloat16().float()), rtol=1e-2, atol=2e-2)


@every_layer
@pytest.mark.parametrize(
    ("x", "line"),
    [
        (torch.ones(8, 3, 4, 4, dtype=torch.complex64), "x: torch.complex64 is no real floating-point dtype"),
        (torch.ones(8, 3, 4, 4, dtype=torch.int64), "x: torch.int64 is no real floating-point dtype"),
        (torch.ones(0, 3, 4, 4), r"x: shape \(0, 3, 4, 4\) is not"),
        (torch.ones(3), r"x: shape \(3,\) is not"),
        (torch.ones(8, 2, 4, 4), r"x: shape \(8, 2, 4, 4\)"),
        ([1.0], "x: list is not a tensor"),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_what_is_no_input_is_refused_in_one_line(make, x, line, training):
    with pytest.raises(ValueError, match=line) as refusal:
        make().train(training)(x)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("norm", ["amplify", "suppress", "rms", "gain"])
def test_a_wider_input_than_the_layer_is_refused(norm):
    with pytest.raises(ValueError, match=r"x: torch.float64 where the layer holds torch.float32; convert the one"):
        LAYERS[norm]()(maps(dtype=torch.float64))


def test_a_gain_once_set_stays():
    """One channel of the first batch is wrong: its gain is set by the second batch, those of the others are not."""
    layer, first = ConstantGain(3, eps=0.0), maps(0)
    first[0, 1] = torch.nan
    layer(first)
    assert layer.gain.isnan().tolist() == [False, True, False]
    kept = layer.gain.clone()
    layer(maps(1))
    assert torch.equal(layer.gain[[0, 2]], kept[[0, 2]])
    assert layer.gain[1].item() == pytest.approx(1 / maps(1)[:, 1].double().std(correction=0).item(), rel=1e-6)


@pytest.mark.parametrize("offset", [0.0, 1e2, 1e4, 1e6])
@pytest.mark.parametrize("norm", ["amplify", "suppress"])
def test_threshold_norm_is_accurate_at_any_offset(norm, offset):
    x = maps() + offset
    wide = x.double()
    variance, mean = torch.var_mean(wide, (0, 2, 3), correction=0, keepdim=True)
    expected = ((wide - mean) / (variance + 1e-5).sqrt()).float()
    layer = LAYERS[norm]()
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-4)
    unbiased = wide.var((0, 2, 3)).float()
    torch.testing.assert_close(layer.running_var, 0.9 + 0.1 * unbiased, rtol=1e-6, atol=0)


@every_layer
@pytest.mark.parametrize("offset", [0.0, 1e2, 1e4, 1e6])
@pytest.mark.parametrize("training", [True, False])
def test_an_offset_costs_no_digits(make, offset, training):
    """Evaluating a threshold norm was off by 0.03 at 1e6: the fused kernel forms x a + b, whose terms cancel."""
    x = maps() + offset
    layer = make()
    with torch.no_grad():
        for _ in range(200):
            layer(x)  # until the running statistics are those of x
        wide = copy.deepcopy(layer).double()
        got, expected = layer.train(training)(x), wide.train(training)(x.double())
    assert (got - expected).abs().max() < 1e-6 * max(100, expected.abs().max())


def test_gradient_at_an_offset_against_finite_differences():
    offset = torch.tensor([1e15, 0.0, 1e15], dtype=torch.float64).view(1, 3, 1, 1)  # far in two channels, for float64
    layer, x = ThresholdNorm(3, "below", threshold=1e31).double(), maps(dtype=torch.float64) * 1e3 + offset
    pull, direction = (maps(seed, torch.float64) for seed in (5, 6))
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((layer(leaf) * pull).sum(), leaf)
    h = 8.0  # a step that 1e15 resolves
    steps = [((layer(x + sign * h * direction.round()) * pull).sum()).item() for sign in (1, -1)]
    assert (gradient * direction.round()).sum().item() == pytest.approx((steps[0] - steps[1]) / (2 * h), rel=1e-2)
