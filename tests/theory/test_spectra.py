"""R and P against loops, two libraries with their own scales, and finite differences of a convolution's loss."""

import itertools

import pytest
import torch
from backpack import backpack, extend
from backpack.extensions import KFLR
from curvlinops import KFACLinearOperator
from torch import nn
from torch.nn import functional

from bnlab.theory import patches, spectra

GEOMETRIES = [
    dict(kernel_size=3),
    dict(kernel_size=(2, 3), stride=(1, 2), padding=(0, 1)),
    dict(kernel_size=(3, 2), stride=2, padding=2, dilation=(1, 2)),
    dict(kernel_size=5, dilation=2, padding=3),
    dict(kernel_size=(5, 4)),
]


def maps(*shape, seed=0, dtype=torch.float64):
    """Maps with a mean, so that an R that were centred would be another matrix."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).add(0.7).to(dtype)


def loop_correlation(x, d, **options):
    """Explicit loops over images, positions and pairs of entries: R where d is None, else P."""
    columns = patches.unroll(x, **options)
    batch, length, positions = columns.shape
    rows = columns if d is None else d.flatten(2)
    total = torch.zeros(length, rows.shape[1], dtype=torch.float64)
    for b, m, k, j in itertools.product(range(batch), range(positions), range(length), range(rows.shape[1])):
        total[k, j] += columns[b, k, m].item() * rows[b, j, m].item()
    return total / (batch * positions)


def table_1_lenet(channels=6):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, channels, 5),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(channels, 8, 5),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(200, 10),
    ).double()


@pytest.mark.parametrize("options", GEOMETRIES)
def test_autocorrelation_is_the_loop(options):
    x = maps(2, 2, 6, 7)
    expected = loop_correlation(x, None, **options)
    torch.testing.assert_close(spectra.autocorrelation(x, **options), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("options", GEOMETRIES)
def test_cross_correlation_is_the_loop(options):
    x = maps(2, 2, 6, 7)
    d = maps(2, 3, *patches.output_size((6, 7), **options), seed=1)
    expected = loop_correlation(x, d, **options)
    torch.testing.assert_close(spectra.cross_correlation(x, d, **options), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("options", GEOMETRIES)
def test_batches_add_up_to_the_whole_and_the_matrix_is_symmetric(options):
    x = maps(7, 2, 9, 12)
    whole = spectra.autocorrelation(x, **options)
    in_batches = spectra.autocorrelation(iter([x[:3], x[3:3], x[3:]]), **options)
    torch.testing.assert_close(in_batches, whole, rtol=1e-12, atol=1e-13)
    assert torch.equal(whole, whole.mT)


@pytest.fixture
def float64_by_default():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # BackPACK differentiates pooling with a helper of the default dtype
    yield
    torch.set_default_dtype(before)


@pytest.mark.usefixtures("float64_by_default")
def test_backpack_sums_over_positions():
    model = extend(table_1_lenet())
    loss = extend(nn.CrossEntropyLoss())
    images, labels = maps(8, 1, 32, 32), torch.arange(8) % 10
    with backpack(KFLR()):
        loss(model(images), labels).backward()
    _, factor = model[3].weight.kflr  # E over the batch of the SUM over positions: R as the paper writes it
    ours = spectra.autocorrelation(model[:3](images), 5)
    torch.testing.assert_close(100 * ours, factor, rtol=1e-12, atol=1e-12)


def test_curvlinops_averages_over_positions():
    model = table_1_lenet()
    images, labels = maps(8, 1, 32, 32), torch.arange(8) % 10
    operator = KFACLinearOperator(
        model,
        nn.CrossEntropyLoss(),
        [p for layer in (model[0], model[3], model[7]) for p in layer.parameters()],
        [(images, labels)],
        fisher_type="forward-only",
        kfac_approx="expand",
        separate_weight_and_bias=True,
        check_deterministic=False,  # the check computes the factors once more and adds them up
    )
    operator.compute_kronecker_factors()
    ours = spectra.autocorrelation(model[:3](images), 5)
    torch.testing.assert_close(ours, operator._input_covariances["3"], rtol=1e-12, atol=1e-12)
    first = spectra.autocorrelation(images, 5)
    torch.testing.assert_close(first, operator._input_covariances["0"], rtol=1e-12, atol=1e-12)


def test_it_is_the_hessian_of_the_squared_output():
    # J = 1/2 E (w.x)^2 is quadratic, so second differences with unit steps are exact up to rounding.
    x, options = maps(3, 2, 6, 6), dict(stride=2, padding=1)
    weights = 2 * 3 * 2

    def cost(w):
        return 0.5 * functional.conv2d(x, w.reshape(1, 2, 3, 2), **options).square().mean()

    unit = torch.eye(weights, dtype=torch.float64)
    hessian = torch.stack(
        [torch.stack([cost(a + b) - cost(a) - cost(b) + cost(0 * a) for a in unit]) for b in unit]
    )  # (K, K)
    torch.testing.assert_close(spectra.autocorrelation(x, (3, 2), **options), hessian, rtol=1e-10, atol=1e-12)


def test_cross_correlation_unrolls_some_images_at_a_time(monkeypatch):
    x, d = maps(7, 3, 10, 10), maps(7, 2, 7, 7, seed=1)
    at_once = spectra.cross_correlation(x, d, 4)
    monkeypatch.setattr(spectra, "UNROLLED", 1)  # one image at a time
    seen, original = [], spectra.unroll
    monkeypatch.setattr(
        spectra, "unroll", lambda images, *window: seen.append(len(images)) or original(images, *window)
    )
    torch.testing.assert_close(spectra.cross_correlation(x, d, 4), at_once, rtol=1e-13, atol=1e-14)
    assert seen == [1] * 7


def test_float32_maps_are_correlated_in_float64():
    x = maps(4, 2, 8, 8, dtype=torch.float32)
    result = spectra.autocorrelation(x, 3)
    assert result.dtype == torch.float64
    torch.testing.assert_close(result, spectra.autocorrelation(x.double(), 3), rtol=1e-14, atol=0)
    assert spectra.cross_correlation(x, x[:, :1, 1:-1, 1:-1], 3).dtype == torch.float64


def test_half_precision_maps_do_not_overflow():
    x = (1000 * maps(4, 2, 8, 8)).half()
    torch.testing.assert_close(spectra.autocorrelation(x, 3), spectra.autocorrelation(x.double(), 3))
    assert spectra.autocorrelation(x, 3).max() > 65504


def test_a_dead_channel_leaves_zero_rows():
    x = maps(4, 3, 9, 9)
    x[:, 1] = 0
    matrix = spectra.autocorrelation(x, 3)
    assert torch.count_nonzero(matrix[9:18]) == 0
    assert torch.linalg.eigvalsh(matrix)[8].item() == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: spectra.autocorrelation([], 3), "x: no image"),
        (lambda: spectra.autocorrelation(maps(0, 1, 5, 5), 3), "x: no image"),
        (lambda: spectra.autocorrelation(maps(1, 5, 5), 3), r"x: shape \(1, 5, 5\) is not \(B, C, H, W\)"),
        (lambda: spectra.autocorrelation([maps(1, 1, 5, 5), maps(1, 2, 5, 5)], 3), "a batch of shape .* follows"),
        (lambda: spectra.autocorrelation(maps(1, 1, 2, 2), 3), "kernel_size"),
        (lambda: spectra.cross_correlation(maps(2, 1, 5, 5), maps(2, 1, 5, 5), 3), r"d: .* is not \(2, OC, 3, 3\)"),
        (lambda: spectra.autocorrelation(maps(1, 1, 5, 5).long(), 3), "x: torch.int64 is no real"),
        (lambda: spectra.autocorrelation(maps(1, 1, 5, 5).cfloat(), 3), "x: torch.complex64 is no real"),
        (lambda: spectra.autocorrelation([maps(1, 1, 5, 5), maps(1, 1, 5, 5).long()], 3), "x: torch.int64 is no real"),
        (lambda: spectra.autocorrelation(maps(1, 1, 5, 5) * torch.nan, 3), "x: not all entries are finite"),
        (lambda: spectra.autocorrelation(maps(1, 1, 5, 5) * 1e200, 3), "x: .* or not all of their products"),
        (lambda: spectra.cross_correlation(maps(2, 1, 5, 5), maps(2, 1, 3, 3).long(), 3), "d: torch.int64"),
        (lambda: spectra.cross_correlation(maps(2, 1, 5, 5), maps(2, 1, 3, 3) * torch.inf, 3), "x, d: not all"),
        (lambda: spectra.cross_correlation(maps(0, 1, 5, 5), maps(0, 1, 3, 3), 3), "x: no image"),
    ],
)
def test_bad_input_is_named_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)
